#include "firstflight/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace ff {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string value_after(std::string_view name, std::string_view value) {
  Settings settings;
  const auto result = set_setting(settings, name, value);
  return result ? *get_setting(settings, name) : "refused";
}

// All settings as text, to see that nothing changed.
std::string dump(const Settings& settings) {
  std::string text;
  for (const SettingInfo& info : setting_list()) {
    text += std::string(info.name) + "=" + *get_setting(settings, info.name) + "\n";
  }
  return text;
}

TEST(Settings, AreListedByName) {
  const auto list = setting_list();
  EXPECT_GT(list.size(), 50u);
  EXPECT_TRUE(std::ranges::is_sorted(list, {}, &SettingInfo::name));
  for (const SettingInfo& info : list) {
    EXPECT_FALSE(info.allowed.empty()) << info.name;
    EXPECT_TRUE(info.meaning.ends_with('.')) << info.name;
  }
}

TEST(Settings, ReadBackWhatWasWritten) {
  Settings settings;
  for (const SettingInfo& info : setting_list()) {
    const std::string value = *get_setting(settings, info.name);
    EXPECT_TRUE(set_setting(settings, info.name, value)) << info.name << " " << value;
    EXPECT_EQ(*get_setting(settings, info.name), value) << info.name;
  }
  EXPECT_EQ(dump(settings), dump(Settings()));
}

TEST(Settings, HaveLinuxDefaultsAndForms) {
  const Settings settings;
  EXPECT_EQ(*get_setting(settings, "net.ipv4.tcp_rmem"), "4096\t131072\t33554432");
  EXPECT_EQ(*get_setting(settings, "net.ipv4.ip_local_port_range"), "32768\t60999");
  EXPECT_EQ(*get_setting(settings, "net.ipv4.tcp_fin_timeout"), "60");
  EXPECT_EQ(*get_setting(settings, "net.ipv4.tcp_timestamps"), "1");
  EXPECT_EQ(*get_setting(settings, "net.core.somaxconn"), "4096");
}

// A set, however it is written; as Linux shows it.
TEST(Settings, ReservedPortsAreASet) {
  Settings settings;
  const auto shown = [&](std::string_view value) {
    EXPECT_TRUE(set_setting(settings, "net.ipv4.ip_local_reserved_ports", value)) << value;
    return *get_setting(settings, "net.ipv4.ip_local_reserved_ports");
  };
  EXPECT_EQ(shown(""), "");
  EXPECT_EQ(shown("8080"), "8080");
  EXPECT_EQ(shown("9148,8080"), "8080,9148");
  EXPECT_EQ(shown("30000-32000,1-1023"), "1-1023,30000-32000");
  EXPECT_EQ(shown("5,4,3-3,1,9-20,10-15"), "1,3-5,9-20");
  EXPECT_EQ(shown("1-65535"), "1-65535");
  EXPECT_EQ(shown("65535,1"), "1,65535");
  for (const char* value : {"0", "65536", "x", ",", "1,", ",1", "1,,2", "1-", "-1", "2-1", "1-2-3", "1 2", "0-5"}) {
    EXPECT_FALSE(set_setting(settings, "ip_local_reserved_ports", value)) << value;
    EXPECT_EQ(*get_setting(settings, "ip_local_reserved_ports"), "1,65535") << "nothing half applied";
  }
}

TEST(Settings, EachChangesItsOwnValue) {
  Settings s;
  const auto set = [&](std::string_view name, std::string_view value) {
    const auto result = set_setting(s, name, value);
    EXPECT_TRUE(result) << result.error();
  };
  set("net.core.somaxconn", "1");
  set("net.ipv4.ip_default_ttl", "2");
  set("net.ipv4.ip_local_port_range", "3 4");
  set("net.ipv4.tcp_abort_on_overflow", "1");
  set("net.ipv4.tcp_challenge_ack_limit", "5");
  set("net.ipv4.tcp_fastopen", "6");
  set("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "7");
  set("net.ipv4.tcp_fastopen_key", "1-2-3-4");
  set("net.ipv4.tcp_fin_timeout", "8");
  set("net.ipv4.tcp_invalid_ratelimit", "9");
  set("net.ipv4.tcp_max_syn_backlog", "10");
  set("net.ipv4.tcp_max_tw_buckets", "11");
  set("net.ipv4.tcp_moderate_rcvbuf", "0");
  set("net.ipv4.tcp_orphan_retries", "12");
  set("net.ipv4.tcp_retries2", "13");
  set("net.ipv4.tcp_rmem", "14 15 16");
  set("net.ipv4.tcp_sack", "0");
  set("net.ipv4.tcp_syn_retries", "17");
  set("net.ipv4.tcp_synack_retries", "18");
  set("net.ipv4.tcp_rfc1337", "1");
  set("net.ipv4.tcp_syn_linear_timeouts", "22");
  set("net.ipv4.tcp_syncookies", "2");
  set("net.ipv4.tcp_timestamps", "0");
  set("net.ipv4.tcp_window_scaling", "0");
  set("net.ipv4.tcp_wmem", "19 20 21");
  EXPECT_EQ(s.somaxconn, 1u);
  EXPECT_EQ(s.ip_default_ttl, 2u);
  EXPECT_EQ(s.ip_local_port_range.first, 3);
  EXPECT_EQ(s.ip_local_port_range.last, 4);
  EXPECT_TRUE(s.tcp_abort_on_overflow);
  EXPECT_EQ(s.tcp_challenge_ack_limit, 5u);
  EXPECT_EQ(s.tcp_fastopen, 6u);
  EXPECT_EQ(s.tcp_fastopen_blackhole_timeout_sec, 7u);
  EXPECT_EQ(s.tcp_fastopen_key->primary.bytes[12], 4);
  EXPECT_EQ(s.tcp_fin_timeout, 8u);
  EXPECT_EQ(s.tcp_invalid_ratelimit, 9u);
  EXPECT_EQ(s.tcp_max_syn_backlog, 10u);
  EXPECT_EQ(s.tcp_max_tw_buckets, 11u);
  EXPECT_FALSE(s.tcp_moderate_rcvbuf);
  EXPECT_EQ(s.tcp_orphan_retries, 12u);
  EXPECT_EQ(s.tcp_retries2, 13u);
  EXPECT_EQ(s.tcp_rmem.min, 14u);
  EXPECT_EQ(s.tcp_rmem.initial, 15u);
  EXPECT_EQ(s.tcp_rmem.max, 16u);
  EXPECT_FALSE(s.tcp_sack);
  EXPECT_EQ(s.tcp_syn_retries, 17u);
  EXPECT_EQ(s.tcp_synack_retries, 18u);
  EXPECT_TRUE(s.tcp_rfc1337);
  EXPECT_EQ(s.tcp_syn_linear_timeouts, 22u);
  EXPECT_EQ(s.tcp_syncookies, 2u);
  EXPECT_FALSE(s.tcp_timestamps);
  EXPECT_FALSE(s.tcp_window_scaling);
  EXPECT_EQ(s.tcp_wmem.min, 19u);
  EXPECT_EQ(s.tcp_wmem.initial, 20u);
  EXPECT_EQ(s.tcp_wmem.max, 21u);
}

struct Range {
  const char* name;
  std::vector<const char*> allowed;  // the ends of what is allowed
  std::vector<const char*> refused;  // just outside, and other nonsense of its own
};

class SettingRange : public testing::TestWithParam<Range> {};

TEST_P(SettingRange, TakesItsEndsAndNothingBeyond) {
  for (const char* value : GetParam().allowed) {
    Settings settings;
    EXPECT_TRUE(set_setting(settings, GetParam().name, value)) << value;
  }
  std::vector<const char*> refused = GetParam().refused;
  for (const char* value : {"x", "-1", "1x", "1.5", "+1", "1 2 3 4", "0x", "08", "99999999999999999999999", "1,2"}) {
    refused.push_back(value);
  }
  for (const char* value : refused) {
    Settings settings;
    const std::string before = dump(settings);
    const auto result = set_setting(settings, GetParam().name, value);
    ASSERT_FALSE(result) << GetParam().name << " " << value;
    const auto info = std::ranges::find(setting_list(), GetParam().name, &SettingInfo::name);
    EXPECT_THAT(result.error(), AllOf(HasSubstr(GetParam().name), HasSubstr(std::string("\"") + value + "\""),
                                      HasSubstr(std::string(info->allowed))));
    EXPECT_EQ(dump(settings), before);
  }
}

const std::vector<const char*> kIntEnds = {"0", "2147483647"};
const std::vector<const char*> kBeyondInt = {"", "2147483648"};
const std::vector<const char*> kFlagEnds = {"0", "1"};
const std::vector<const char*> kNoFlag = {"", "2", "on", "true"};
const std::vector<const char*> kByteEnds = {"0", "255"};
const std::vector<const char*> kBeyondByte = {"", "256"};
const std::vector<const char*> kSizes = {"1 1 1", "1\t2\t3", "2147483647 2147483647 2147483647"};
const std::vector<const char*> kNoSizes = {"",      "1",      "1 2", "0 1 2", "2 1 3", "1 3 2", "1 2 2147483648",
                                           "1 2 x", "1 2 3 x"};

INSTANTIATE_TEST_SUITE_P(
    All, SettingRange,
    testing::Values(Range{"net.core.somaxconn", kIntEnds, kBeyondInt},
                    Range{"net.ipv4.ip_default_ttl", {"1", "255"}, {"", "0", "256"}},
                    Range{"net.ipv4.ip_local_port_range",
                          {"1 65535", "1024\t1024"},
                          {"", "1", "0 1", "2 1", "1 65536", "1 2 3", "1-2"}},
                    Range{"net.ipv4.tcp_migrate_req", kFlagEnds, kNoFlag},
                    Range{"net.ipv4.tcp_abort_on_overflow", kFlagEnds, kNoFlag},
                    Range{"net.ipv4.tcp_challenge_ack_limit", kIntEnds, kBeyondInt},
                    Range{"net.ipv4.tcp_fastopen", {"0", "0x607", "1543", "0x7fffffff"}, kBeyondInt},
                    Range{"net.ipv4.tcp_fastopen_blackhole_timeout_sec", kIntEnds, kBeyondInt},
                    Range{"net.ipv4.tcp_fastopen_key",
                          {"", "0-0-0-0", "00112233-44556677-8899aabb-ccddeeff",
                           "00112233-44556677-8899aabb-ccddeeff,ffffffff-ffffffff-ffffffff-ffffffff"},
                          {"1-2-3", "1-2-3-4-5", "1-2-3-4,", ",1-2-3-4", "1-2-3-4,5", "1-2-3-123456789", "1--3-4",
                           "1-2-3-g", "1-2-3-4,1-2-3-4,1-2-3-4"}},
                    Range{"net.ipv4.tcp_fin_timeout", {"1", "2147483"}, {"", "0", "2147484"}},
                    Range{"net.ipv4.tcp_invalid_ratelimit", kIntEnds, kBeyondInt},
                    Range{"net.ipv4.tcp_max_syn_backlog", kIntEnds, kBeyondInt},
                    Range{"net.ipv4.tcp_max_tw_buckets", kIntEnds, kBeyondInt},
                    Range{"net.ipv4.tcp_moderate_rcvbuf", kFlagEnds, kNoFlag},
                    Range{"net.ipv4.tcp_orphan_retries", kByteEnds, kBeyondByte},
                    Range{"net.ipv4.tcp_retries2", kByteEnds, kBeyondByte},
                    Range{"net.ipv4.tcp_rmem", kSizes, kNoSizes}, Range{"net.ipv4.tcp_sack", kFlagEnds, kNoFlag},
                    Range{"net.ipv4.tcp_syn_linear_timeouts", {"0", "127"}, {"", "-1", "128"}},
                    Range{"net.ipv4.tcp_syncookies", {"0", "1", "2"}, {"", "3"}},
                    Range{"net.ipv4.tcp_syn_retries", {"1", "127"}, {"", "0", "128"}},
                    Range{"net.ipv4.tcp_synack_retries", kByteEnds, kBeyondByte},
                    Range{"net.ipv4.tcp_timestamps", kFlagEnds, kNoFlag},
                    Range{"net.ipv4.tcp_window_scaling", kFlagEnds, kNoFlag},
                    Range{"net.ipv4.tcp_wmem", kSizes, kNoSizes}),
    [](const auto& test) {
      std::string name = test.param.name;
      std::ranges::replace(name, '.', '_');
      return name;
    });

TEST(Settings, ReadsNumbersAsSysctlDoes) {
  EXPECT_EQ(value_after("tcp_fastopen", "0x607"), "1543");
  EXPECT_EQ(value_after("tcp_fastopen", "0X3"), "3");
  EXPECT_EQ(value_after("tcp_fin_timeout", "010"), "8");
  EXPECT_EQ(value_after("tcp_fin_timeout", " 30\n"), "30");
  EXPECT_EQ(value_after("tcp_wmem", "  4096   16384\t4194304 \n"), "4096\t16384\t4194304");
}

TEST(Settings, KeepsTheKeyInLinuxForm) {
  EXPECT_EQ(value_after("tcp_fastopen_key", "1-2-3-abcDEF"), "00000001-00000002-00000003-00abcdef");
  EXPECT_EQ(value_after("tcp_fastopen_key", "1-2-3-4,5-6-7-8"),
            "00000001-00000002-00000003-00000004,00000005-00000006-00000007-00000008");
  Settings settings;
  EXPECT_EQ(*get_setting(settings, "tcp_fastopen_key"), "");
  ASSERT_TRUE(set_setting(settings, "tcp_fastopen_key", "1-2-3-4"));
  ASSERT_TRUE(set_setting(settings, "tcp_fastopen_key", ""));
  EXPECT_FALSE(settings.tcp_fastopen_key);
}

TEST(Settings, NamesMayBeShortAndWrittenWithSlashes) {
  for (const char* name : {"tcp_fin_timeout", "net.ipv4.tcp_fin_timeout", "net/ipv4/tcp_fin_timeout"}) {
    EXPECT_EQ(value_after(name, "30"), "30") << name;
  }
  EXPECT_EQ(value_after("somaxconn", "30"), "30");
  EXPECT_EQ(value_after("net/core/somaxconn", "30"), "30");
}

TEST(Settings, UnknownNameTellsTheNearest) {
  Settings settings;
  const auto error = [&](std::string_view name) {
    const auto written = set_setting(settings, name, "1");
    const auto read = get_setting(settings, name);
    EXPECT_FALSE(written) << name;
    EXPECT_FALSE(read) << name;
    EXPECT_EQ(written.error(), read.error());
    return written.error();
  };
  EXPECT_EQ(error("net.ipv4.tcp_fin_timout"),
            "there is no setting \"net.ipv4.tcp_fin_timout\"; the nearest is net.ipv4.tcp_fin_timeout");
  EXPECT_THAT(error("tcp_fast_open"), HasSubstr("net.ipv4.tcp_fastopen"));
  EXPECT_THAT(error("net.ipv4.somaxconn"), HasSubstr("net.core.somaxconn"));
  EXPECT_THAT(error("TCP_SACK"), HasSubstr("the nearest is"));
  EXPECT_THAT(error(""), HasSubstr("there is no setting \"\""));
  EXPECT_EQ(dump(settings), dump(Settings()));
}

TEST(Settings, MessagesStayReadableWhateverWasTyped) {
  Settings settings;
  const std::string huge(100000, 'x');
  EXPECT_LT(set_setting(settings, huge, "1").error().size(), 200u);
  EXPECT_LT(set_setting(settings, "tcp_sack", huge).error().size(), 200u);
  const std::string error = set_setting(settings, "tcp_sack", "1\n\x1b[2J\xff").error();
  EXPECT_THAT(error, HasSubstr("\"1??[2J?\""));
}

}  // namespace
}  // namespace ff
