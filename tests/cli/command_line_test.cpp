// The real program: a wrong command line gives one line on standard error and exit status 2.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

extern char** environ;

namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

struct Outcome {
  int status = -1;
  std::string out, err;
};

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t count; (count = ::read(descriptor, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(count));
  ::close(descriptor);
  return text;
}

// What it prints is far less than a pipe holds, so that one may be read after the other.
Outcome run(std::vector<std::string> words) {
  words.insert(words.begin(), FF_PROGRAM);
  std::vector<char*> arguments;
  std::ranges::transform(words, std::back_inserter(arguments), [](std::string& word) { return word.data(); });
  arguments.push_back(nullptr);
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
  pid_t child = -1;
  const int error = ::posix_spawn(&child, FF_PROGRAM, &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(err[1]);
  Outcome outcome;
  outcome.out = read_all(out[0]);
  outcome.err = read_all(err[0]);
  int status = 0;
  if (error != 0 || ::waitpid(child, &status, 0) != child) return {};
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// "ff SUB: what was wrong; what would work", once, and nothing else.
void expect_usage_error(std::vector<std::string> words, const std::string& start, const std::string& content) {
  const Outcome outcome = run(words);
  EXPECT_EQ(outcome.status, 2) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, StartsWith(start));
  EXPECT_THAT(outcome.err, HasSubstr(content));
  EXPECT_THAT(outcome.err, HasSubstr(";"));
  EXPECT_THAT(outcome.err, EndsWith("\n"));
  EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
}

TEST(CommandLine, HelpAndVersionAreNoErrors) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{}, {"--help"}, {"-h"}, {"help"}, {"help", "get"}, {"serve", "--help"}}) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out, HasSubstr("Usage: ff"));
  }
  EXPECT_THAT(run({"--version"}).out, StartsWith("firstflight "));
  EXPECT_THAT(run({"help"}).out, HasSubstr("serve"));
  EXPECT_THAT(run({"help", "serve"}).out, HasSubstr("--listen"));
}

TEST(CommandLine, AnUnknownCommandIsToldFromTheNearest) {
  expect_usage_error({"serv"}, "ff: ", "did you mean 'serve'");
  expect_usage_error({"frobnicate"}, "ff: ", "'ff --help'");
  expect_usage_error({"--frobnicate"}, "ff: ", "'ff --help'");
}

TEST(CommandLine, WhatIsWrongInItIsSaidInOneLine) {
  const std::vector<std::string> good{"serve", ".", "--device", "tun:ff0", "--address", "10.9.8.1/24"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> words = good;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  expect_usage_error({"serve"}, "ff serve: ", "DIR");
  expect_usage_error({"get"}, "ff get: ", "URL");
  expect_usage_error({"serve", "."}, "ff serve: ", "--device");
  expect_usage_error({"serve", ".", "--device", "tun:ff0"}, "ff serve: ", "--address");
  expect_usage_error({"serve", ".", "--device"}, "ff serve: ", "--device");
  expect_usage_error(with({"--divice", "x"}), "ff serve: ", "did you mean '--device'");
  expect_usage_error(with({"another"}), "ff serve: ", "'another'");
  expect_usage_error(with({"--mtu", "-5"}), "ff serve: ", "--mtu");
  expect_usage_error(with({"--listen", "80"}), "ff serve: ", "--listen");
  expect_usage_error(with({"--sysctl", "tcp_fastopen"}), "ff serve: ", "NAME=VALUE");
  expect_usage_error(with({"--sysctl", "tcp_fastopn=3"}), "ff serve: ", "net.ipv4.tcp_fastopen");
  expect_usage_error(with({"--sysctl", "tcp_fin_timeout=soon"}), "ff serve: ", "tcp_fin_timeout");
  expect_usage_error(with({"--idle-timeout", "long"}), "ff serve: ", "--idle-timeout");
  expect_usage_error(with({"--seed", "x"}), "ff serve: ", "--seed");
  expect_usage_error({"get", "nonsense"}, "ff get: ", "http://");
  expect_usage_error({"get", "https://10.9.8.1/"}, "ff get: ", "TLS");
  expect_usage_error({"get", "http://10.9.8.1/", "--repeat", "0"}, "ff get: ", "--repeat");
}

TEST(CommandLine, WhatIsMissingIsSaidInOneLine) {
  expect_usage_error({"serve", "/nonexistent", "--device", "tun:ff0", "--address", "10.9.8.1/24"},
                     "ff serve: ", "'/nonexistent'");
  expect_usage_error({"get", "http://10.9.8.2/", "--device", "tun:ff0@no-such-namespace", "--address", "10.9.8.1/24"},
                     "ff get: ", "no-such-namespace");
  expect_usage_error(
      {"get", "http://10.9.8.2/", "--device", "tun:ff0", "--address", "10.9.8.1/24", "-o", "/nonexistent/x"},
      "ff get: ", "/nonexistent/x");
}

TEST(CommandLine, KillWantsTwoEndsOfOneConnection) {
  expect_usage_error({"kill"}, "ff kill: ", "SOURCE");
  expect_usage_error({"kill", "192.0.2.1:4000"}, "ff kill: ", "DESTINATION");
  expect_usage_error({"kill", "192.0.2.1", "198.51.100.1:80"}, "ff kill: ", "ADDRESS:PORT");
  expect_usage_error({"kill", "192.0.2.1:4000", "198.51.100.1:0"}, "ff kill: ", "'198.51.100.1:0'");
  expect_usage_error({"kill", "192.0.2.1:4000", "[2001:db8::1]:80"}, "ff kill: ", "one family");
  expect_usage_error({"kill", "192.0.2.1:4000", "192.0.2.1:4000"}, "ff kill: ", "two ends");
  expect_usage_error({"kill", "192.0.2.1:4000", "198.51.100.1:80", "--idle", "--busy"}, "ff kill: ", "--busy");
  expect_usage_error({"kill", "192.0.2.1:4000", "198.51.100.1:80", "--interface", "loo"},
                     "ff kill: ", "did you mean 'lo'");
  expect_usage_error({"kill", "192.0.2.1:4000", "198.51.100.1:80", "--timeout", "soon"}, "ff kill: ", "--timeout");
}

TEST(CommandLine, TheBenchSaysWhatItCannotMeasure) {
  expect_usage_error({"bench"}, "ff bench: ", "'ff bench path'");
  expect_usage_error({"bench", "pth"}, "ff bench: ", "did you mean 'bench path'");
  expect_usage_error({"bench", "--json"}, "ff bench: ", "'--json'");
  expect_usage_error({"bench", "path", "--rt", "20ms"}, "ff bench path: ", "did you mean '--rtt'");
  expect_usage_error({"bench", "path", "--rtt", "20ms,fast"}, "ff bench path: ", "'fast'");
  expect_usage_error({"bench", "path", "--rtt", "0"}, "ff bench path: ", "100us");
  expect_usage_error({"bench", "path", "--loss", "60%"}, "ff bench path: ", "50%");
  expect_usage_error({"bench", "path", "--rate", "10mb"}, "ff bench path: ", "100mbit");
  expect_usage_error({"bench", "path", "--size", "0"}, "ff bench path: ", "10mb");
  expect_usage_error({"bench", "path", "--size", "1mb", "--duration", "2s"}, "ff bench path: ", "--duration");
  expect_usage_error({"bench", "path", "--flows", "0"}, "ff bench path: ", "--flows");
  expect_usage_error({"bench", "path", "--seeds", "many"}, "ff bench path: ", "--seeds");
  expect_usage_error({"bench", "path", "--pairs", "kernel"}, "ff bench path: ", "SENDER:RECEIVER");
  expect_usage_error({"bench", "path", "--pairs", "kernel:linux"}, "ff bench path: ", "'linux'");
  expect_usage_error({"bench", "path", "--cc", ""}, "ff bench path: ", "--cc");
}

TEST(CommandLine, TheLabSaysWhatItDoesNotHave) {
  expect_usage_error({"lab", "accept-queue-overflw"}, "ff lab: ", "did you mean 'accept-queue-overflow'");
  expect_usage_error({"lab", "frobnicate"}, "ff lab: ", "'ff lab'");
  expect_usage_error({"lab", "no-listener", "--set", "tcp_syn_retrys=2"}, "ff lab: ", "tcp_syn_retries");
  expect_usage_error({"lab", "no-listener", "--set", "tcp_syn_retries=0"}, "ff lab: ", "from 1 to 127");
  expect_usage_error({"lab", "no-listener", "--set", "tcp_syn_retries"}, "ff lab: ", "SETTING=VALUE");
  expect_usage_error({"lab", "nagle", "--set", "TCP_NODELAY=2"}, "ff lab: ", "one of 0, 1");
  expect_usage_error({"lab", "nagle", "--set", "TCP_NODELY=1"}, "ff lab: ", "did you mean 'TCP_NODELAY'");
  expect_usage_error({"lab", "no-listener", "--set", "client.tcp_sak=1"}, "ff lab: ", "tcp_sack");
  expect_usage_error({"lab", "no-listener", "--set", "servr.tcp_sack=1"}, "ff lab: ", "server.tcp_sack");
  expect_usage_error({"lab", "L3"}, "ff lab: ", "no scenario shows L3");
  expect_usage_error({"lab", "E7", "--set", "tcp_sack=1"}, "ff lab: ", "'ff lab E7'");
  expect_usage_error({"lab", "no-listener", "--seed", "x"}, "ff lab: ", "--seed");
  expect_usage_error({"lab", "no-listener", "--pcap", "/nonexistent/x"}, "ff lab: ", "/nonexistent/x");
  expect_usage_error({"lab", "--all", "no-listener"}, "ff lab: ", "--all");
  expect_usage_error({"lab", "--all", "--set", "tcp_syn_retries=2"}, "ff lab: ", "--set");
}

TEST(CommandLine, TheLabsExitStatusSaysWhetherAllIsAsItShouldBe) {
  EXPECT_EQ(run({"lab", "no-listener"}).status, 0);
  const Outcome of_an_id = run({"lab", "E7"});
  EXPECT_EQ(of_an_id.status, 0);
  EXPECT_THAT(of_an_id.out, testing::HasSubstr("syn-in-time-wait"));
  EXPECT_THAT(of_an_id.out, testing::Not(testing::HasSubstr("nagle")));
  EXPECT_EQ(run({"lab", "challenge-ack-limit", "--set", "tcp_challenge_ack_limit=0"}).status, 1);
  const Outcome all = run({"lab", "--all"});
  EXPECT_EQ(all.status, 0) << all.out;
  EXPECT_THAT(all.out, HasSubstr(" as they should be, 0 not"));
}

}  // namespace
