// The names and texts of errors, counters and reasons, on which programs and people rely.
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "firstflight/counters.hpp"
#include "firstflight/error.hpp"

namespace ff {
namespace {

constexpr Error kErrors[] = {
    Error::WouldBlock,          Error::InvalidArgument,    Error::StaleHandle,     Error::AddressInUse,
    Error::AddressNotAvailable, Error::NetworkUnreachable, Error::HostUnreachable, Error::ConnectionRefused,
    Error::ConnectionReset,     Error::BrokenPipe,         Error::NotConnected,    Error::TimedOut,
    Error::NoBufferSpace,       Error::PermissionDenied,   Error::ProtocolError,   Error::MessageTooLong,
    Error::DestinationRequired, Error::AlreadyExists,      Error::NotFound,        Error::NoSuchName};

TEST(Error, EachHasAnErrnoAndATextOfItsOwn) {
  std::set<int> numbers;
  std::set<std::string_view> texts;
  for (const Error error : kErrors) {
    EXPECT_TRUE(numbers.insert(to_errno(error)).second) << to_string(error);
    EXPECT_TRUE(texts.insert(to_string(error)).second) << to_string(error);
  }
  EXPECT_EQ(to_errno(Error::ConnectionRefused), ECONNREFUSED);
  EXPECT_EQ(to_errno(Error::BrokenPipe), EPIPE);
  EXPECT_EQ(to_string(Error::ConnectionRefused), "connection refused");
}

TEST(Counters, HaveLinuxNames) {
  EXPECT_EQ(group_of(Counter::TcpExt_TCPFastOpenActive), "TcpExt");
  EXPECT_EQ(name_of(Counter::TcpExt_TCPFastOpenActive), "TCPFastOpenActive");
  EXPECT_EQ(group_of(Counter::Ip_InReceives), "Ip");
  EXPECT_EQ(name_of(Counter::Tcp_CurrEstab), "CurrEstab");
  std::set<std::string> names;
  for (std::size_t i = 0; i < static_cast<std::size_t>(Counter::kCount); ++i) {
    const auto counter = static_cast<Counter>(i);
    EXPECT_TRUE(names.insert(std::string(group_of(counter)) + std::string(name_of(counter))).second) << i;
  }
}

TEST(Counters, CountEachReasonOnItsOwn) {
  Counters counters;
  counters.drop(DropReason::TcpChecksum);
  counters.drop(DropReason::TcpChecksum);
  counters.add(Counter::Tcp_CurrEstab, 3);
  counters.subtract(Counter::Tcp_CurrEstab);
  EXPECT_EQ(counters[DropReason::TcpChecksum], 2u);
  EXPECT_EQ(counters[DropReason::TcpHeader], 0u);
  EXPECT_EQ(counters[Counter::Tcp_CurrEstab], 2u);
  EXPECT_EQ(counters[Counter::Tcp_InSegs], 0u);
}

TEST(DropReason, EachHasANameAndADescription) {
  EXPECT_EQ(name_of(DropReason::IpTruncated), "IpTruncated");
  EXPECT_EQ(describe(DropReason::IpTruncated), "shorter than its IP header says");
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < static_cast<std::size_t>(DropReason::kCount); ++i) {
    const auto reason = static_cast<DropReason>(i);
    EXPECT_TRUE(names.insert(name_of(reason)).second) << i;
    EXPECT_FALSE(describe(reason).empty()) << i;
  }
}

}  // namespace
}  // namespace ff
