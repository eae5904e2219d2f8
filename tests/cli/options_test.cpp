// Words of the command line into values.
#include "cli/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cli/commands.hpp"
#include "cli/common_options.hpp"
#include "cli/serve.hpp"
#include "cli/text.hpp"
#include "cli/url.hpp"
#include "cli/usage.hpp"

namespace ff::cli {
namespace {

using testing::HasSubstr;

StackOptions good_options() {
  StackOptions options;
  options.device = DeviceName{"ff0", ""};
  options.addresses = {*Cidr::parse("10.9.8.1/24"), *Cidr::parse("fd00::1/64")};
  return options;
}

std::string complaint_about(const StackOptions& options) {
  try {
    check_stack_options(options);
    return {};
  } catch (const UsageError& error) {
    return error.what();
  }
}

TEST(DeviceOption, IsANameInThisNamespaceOrAnother) {
  EXPECT_EQ(parse_device("tun:ff0"), (DeviceName{"ff0", ""}));
  EXPECT_EQ(parse_device("tun:ff0@blue"), (DeviceName{"ff0", "blue"}));
  EXPECT_EQ(parse_device("tap:ff0@blue"), (DeviceName{"ff0", "blue", true}));
  EXPECT_EQ(parse_device("raw:eth0"), (DeviceName{"eth0", "", true, true}));
  EXPECT_EQ(parse_device("raw:eth0")->to_string(), "raw:eth0");
  EXPECT_EQ(parse_device("tap:ff0")->to_string(), "tap:ff0");
  EXPECT_EQ(parse_device("tun:ff0@blue")->to_string(), "tun:ff0@blue");
}

TEST(DeviceOption, OfAnotherKindIsRefusedWithWhatWouldWork) {
  for (const char* text : {"", "ff0", "eth:x", "tap:", "tun:", "tun:a b", "tun:a/b", "tun:..", "tun:0123456789abcdef",
                           "tun:a%d", "tun:a@", "tun:a@../x", "tun:a@b/c"}) {
    const auto device = parse_device(text);
    ASSERT_FALSE(device) << text;
    EXPECT_THAT(device.error(), HasSubstr(";")) << text;
  }
}

TEST(ListenOption, MayLeaveTheAddressOut) {
  EXPECT_EQ(*parse_listen(":80"), (Endpoint{IpAddress::any_v6(), 80}));
  EXPECT_EQ(*parse_listen("10.9.8.1:8080"), (Endpoint{IpAddress::v4(10, 9, 8, 1), 8080}));
  EXPECT_EQ(*parse_listen("[fd00::1]:80"), (Endpoint{*IpAddress::parse("fd00::1"), 80}));
  EXPECT_EQ(*parse_listen("0.0.0.0:80"), (Endpoint{IpAddress::any_v4(), 80}));
  for (const char* text : {"", "80", ":", ":0", ":65536", "10.9.8.1", "fd00::1", "host:80", ":80x"})
    EXPECT_FALSE(parse_listen(text)) << text;
}

TEST(NumberOption, HasBounds) {
  EXPECT_EQ(*parse_whole_number("68", 68, 70), 68u);
  EXPECT_EQ(*parse_whole_number("70", 68, 70), 70u);
  for (const char* text : {"", "67", "71", "-1", "+69", " 69", "69 ", "6.9", "0x45", "99999999999999999999"})
    EXPECT_FALSE(parse_whole_number(text, 68, 70)) << text;
}

TEST(AddressOption, MustBeOneThatAHostCanHave) {
  EXPECT_EQ(*parse_interface_address("10.9.8.1/24"), *Cidr::parse("10.9.8.1/24"));
  for (const char* text : {"", "10.9.8", "10.9.8.1/33", "0.0.0.0/0", "224.0.0.1/4", "255.255.255.255/32", "::/0",
                           "ff02::1/16", "fd00::1/129"})
    EXPECT_FALSE(parse_interface_address(text)) << text;
}

TEST(StackOptions, ThatGoTogetherAreTaken) {
  StackOptions options = good_options();
  EXPECT_EQ(complaint_about(options), "");
  options.gateways = {*IpAddress::parse("10.9.8.2"), *IpAddress::parse("fd00::2")};
  options.host_addresses = {*Cidr::parse("10.9.8.2/24")};
  options.mtu = 1280;
  EXPECT_EQ(complaint_about(options), "");
}

TEST(StackOptions, ThatDoNotGoTogetherAreRefused) {
  const auto with = [](auto change) {
    StackOptions options = good_options();
    change(options);
    return complaint_about(options);
  };
  EXPECT_THAT(with([](StackOptions& o) { o.device.reset(); }), HasSubstr("--device tun:"));
  EXPECT_THAT(with([](StackOptions& o) { o.addresses.clear(); }), HasSubstr("--address"));
  EXPECT_THAT(with([](StackOptions& o) { o.mtu = 1279; }), HasSubstr("1280"));
  EXPECT_THAT(with([](StackOptions& o) { o.addresses.push_back(o.addresses[0]); }), HasSubstr("twice"));
  EXPECT_THAT(with([](StackOptions& o) {
                o.addresses.pop_back();
                o.gateways = {*IpAddress::parse("fd00::2")};
              }),
              HasSubstr("IPv6"));
  EXPECT_THAT(with([](StackOptions& o) { o.gateways = {*IpAddress::parse("10.9.8.1")}; }), HasSubstr("own"));
  EXPECT_THAT(
      with([](StackOptions& o) { o.gateways = {*IpAddress::parse("10.9.8.2"), *IpAddress::parse("10.9.8.3")}; }),
      HasSubstr("one"));
  EXPECT_THAT(with([](StackOptions& o) { o.host_addresses = {o.addresses[0]}; }), HasSubstr("--host-address"));
}

TEST(UrlArgument, IsTakenApart) {
  const auto plain = parse_url("http://10.9.8.1");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "10.9.8.1");
  EXPECT_EQ(plain->port, 80);
  EXPECT_EQ(plain->target, "/");
  const auto full = parse_url("http://[fd00::1]:8080/a/b?c=d#e");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->host, "fd00::1");
  EXPECT_EQ(full->port, 8080);
  EXPECT_EQ(full->target, "/a/b?c=d");
  EXPECT_EQ(full->to_string(), "http://[fd00::1]:8080/a/b?c=d");
  EXPECT_EQ(parse_url("http://example.org?x")->target, "/?x");
}

TEST(UrlArgument, ThatCannotBeIsRefusedWithWhatWouldWork) {
  for (const char* text :
       {"", "10.9.8.1", "https://x/", "ftp://x/", "http://", "http:///x", "http://a b/", "http://a/b c", "http://u@x/",
        "http://x:/", "http://x:0/", "http://x:65536/", "http://[fd00::1/", "http://[x]/", "http://[10.9.8.1]/",
        "http://[fd00::1]80/", "http://a/\r\nX: y", "http://a\x7f/"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_THAT(url.error(), HasSubstr("; give one such as http://")) << text;
  }
}

TEST(UrlArgument, WithAnAddressNeedsTheStackToHaveItsFamily) {
  EXPECT_EQ(resolve(*parse_url("http://10.9.8.1:81/"), true, false), (Endpoint{IpAddress::v4(10, 9, 8, 1), 81}));
  EXPECT_FALSE(resolve(*parse_url("http://10.9.8.1/"), false, true));
  EXPECT_THAT(resolve(*parse_url("http://[fd00::1]/"), true, false).error(), HasSubstr("IPv6 --address"));
}

TEST(Nearest, IsTheWordThatWasMeant) {
  const std::vector<std::string> words{"get", "serve", "link", "--device", "--address"};
  EXPECT_EQ(nearest("serv", words), "serve");
  EXPECT_EQ(nearest("sevre", words), "");
  EXPECT_EQ(nearest("got", words), "get");
  EXPECT_EQ(nearest("--dev", words), "--device");
  EXPECT_EQ(nearest("--adress", words), "--address");
  EXPECT_EQ(nearest("frobnicate", words), "");
}

TEST(Text, QuantitiesHaveThreeDigits) {
  EXPECT_EQ(format_bytes(0), "0 bytes");
  EXPECT_EQ(format_bytes(1), "1 byte");
  EXPECT_EQ(format_bytes(999), "999 bytes");
  EXPECT_EQ(format_bytes(1000), "1.00 kB");
  EXPECT_EQ(format_bytes(12'345), "12.3 kB");
  EXPECT_EQ(format_bytes(999'499), "999 kB");
  EXPECT_EQ(format_bytes(999'500), "1.00 MB");
  EXPECT_EQ(format_bytes(200'000'000), "200 MB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "18.4 EB");
  EXPECT_EQ(format_milliseconds(std::chrono::microseconds(213)), "0.213 ms");
  EXPECT_EQ(format_milliseconds(std::chrono::microseconds(200'430)), "200.4 ms");
}

}  // namespace
}  // namespace ff::cli
