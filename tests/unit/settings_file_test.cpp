// Files in sysctl.conf's format (H1): what they may hold, and that they are carried out whole or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firstflight/settings.hpp"

namespace ff {
namespace {

using testing::HasSubstr;

std::expected<void, std::string> load(Settings& settings, std::string_view text) {
  const auto assignments = parse_settings_file(text, "my.conf");
  if (!assignments) return std::unexpected(assignments.error());
  return set_settings(settings, *assignments);
}

TEST(SettingsFile, SetsWhatItsLinesSay) {
  Settings settings;
  const auto done = load(settings,
                         "# a comment\n"
                         "; another\n"
                         "\n"
                         "net.ipv4.tcp_fin_timeout = 15\r\n"
                         "  net/ipv4/tcp_sack=0  \n"
                         "\ttcp_rmem = 4096   8192\t16384\n"
                         "net.core.somaxconn=9");  // no end of line
  ASSERT_TRUE(done) << done.error();
  EXPECT_EQ(settings.tcp_fin_timeout, 15u);
  EXPECT_FALSE(settings.tcp_sack);
  EXPECT_EQ(settings.tcp_rmem.initial, 8192u);
  EXPECT_EQ(settings.somaxconn, 9u);
}

TEST(SettingsFile, MayBeEmpty) {
  Settings settings;
  EXPECT_TRUE(load(settings, ""));
  EXPECT_TRUE(load(settings, "\n\n#\n;\n  \n"));
}

TEST(SettingsFile, ErrorsNameTheFileAndTheLine) {
  Settings settings;
  const auto unknown = load(settings, "\n# x\nnet.ipv4.tcp_fin_timeot = 15\n");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error(), HasSubstr("my.conf:3: "));
  EXPECT_THAT(unknown.error(), HasSubstr("net.ipv4.tcp_fin_timeout"));
  const auto value = load(settings, "tcp_sack = 1\ntcp_sack = 2\n");
  ASSERT_FALSE(value);
  EXPECT_THAT(value.error(), HasSubstr("my.conf:2: net.ipv4.tcp_sack cannot be \"2\""));
  const auto no_equals = load(settings, "tcp_sack 1\n");
  ASSERT_FALSE(no_equals);
  EXPECT_THAT(no_equals.error(), HasSubstr("my.conf:1: \"tcp_sack 1\" has no '='"));
  EXPECT_THAT(load(settings, "= 3\n").error(), HasSubstr("no name"));
}

TEST(SettingsFile, ChangesNothingWhereOneLineIsWrong) {
  Settings settings;
  EXPECT_FALSE(load(settings, "tcp_fin_timeout = 15\ntcp_sack = maybe\n"));
  EXPECT_EQ(settings.tcp_fin_timeout, Settings{}.tcp_fin_timeout);
}

// As sysctl.conf(5) has it, so that a host's file may say more than a stack knows.
TEST(SettingsFile, AMinusLetsALineFail) {
  Settings settings;
  const auto done = load(settings, "-vm.swappiness = 10\n- tcp_sack = maybe\n-tcp_fin_timeout = 15\n");
  ASSERT_TRUE(done) << done.error();
  EXPECT_TRUE(settings.tcp_sack);
  EXPECT_EQ(settings.tcp_fin_timeout, 15u);
}

TEST(SettingsFile, MessagesStayReadableWhateverTheFileHolds) {
  const auto parsed = parse_settings_file(std::string(10'000, '\x01'), "f");
  ASSERT_FALSE(parsed);
  EXPECT_LT(parsed.error().size(), 200u);
  EXPECT_EQ(parsed.error().find('\x01'), std::string::npos);
}

}  // namespace
}  // namespace ff
