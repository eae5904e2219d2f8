// Runs a piece of a test in a network namespace of its own, in a child process, so that it may make devices and leaves
// none.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "capture_file.hpp"

namespace ff::test {

inline constexpr int kNoPrivilege = 77;

// 0: all expectations held. `what` is what cannot be done, if the result is kNoPrivilege.
template <typename F>
int run_in_network_namespace(F&& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return -1;
  if (child == 0) {
    ::alarm(60);  // a hang is a failure
    if (::unshare(CLONE_NEWNET) != 0) ::_exit(kNoPrivilege);
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) ::_exit(kNoPrivilege);
    try {
      body();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    std::fflush(nullptr);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Use as the whole of a test's body.
#define FF_IN_NETWORK_NAMESPACE(...)                                                                  \
  do {                                                                                                \
    const int result = ::ff::test::run_in_network_namespace(__VA_ARGS__);                             \
    if (result == ::ff::test::kNoPrivilege) {                                                         \
      FF_CANNOT_TEST_HERE("making a network namespace and a TUN device needs root and /dev/net/tun"); \
    }                                                                                                 \
    EXPECT_EQ(result, 0) << "the expectations above failed, or the child process died";               \
  } while (false)

}  // namespace ff::test
