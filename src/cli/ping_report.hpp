// What `ff ping` says, word for word as iputils' ping, whose output people and scripts know.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "firstflight/datagram.hpp"
#include "firstflight/time.hpp"

namespace ff::cli {

// "0.213", "2.13", "21.3", "213": milliseconds as a reply's line has them.
std::string format_round_trip(Duration time);

// An ICMP message of this number with `size` bytes of data. The stack fills in identifier and checksum.
Slice echo_request(bool v4, std::uint16_t sequence, std::uint32_t size);

// What is wrong, such as "Destination Host Unreachable"; for an ICMP message of `v4` or ICMPv6.
std::string describe_icmp_error(const DatagramError& error, bool v4);

// Which requests are under way, and what came of them.
class PingStatistics {
 public:
  enum class Answer : std::uint8_t { Reply, Duplicate, Unknown };

  // A request went out; numbers count from 1 and are on the wire cut to 16 bits.
  void sent(Instant now);
  // A reply to number `sequence` came. Tells its round trip where there is one.
  Answer received(Instant now, std::uint16_t sequence, Duration& round_trip);
  void failed() { ++errors_; }

  [[nodiscard]] std::uint64_t transmitted() const noexcept { return transmitted_; }
  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
  [[nodiscard]] std::uint64_t errors() const noexcept { return errors_; }
  [[nodiscard]] Duration longest() const noexcept { return longest_; }

  // The two lines at the end, "--- HOST ping statistics ---" before them.
  [[nodiscard]] std::string summary(const std::string& host, Duration elapsed) const;

 private:
  struct Request {
    Instant sent{};
    bool answered = true;
  };
  // A sequence number of 16 bits names one of these; answers to older requests count as unknown.
  static constexpr std::size_t kNumbers = 65536;

  std::vector<Request> requests_ = std::vector<Request>(kNumbers);
  std::uint64_t transmitted_ = 0, received_ = 0, duplicates_ = 0, errors_ = 0;
  Duration shortest_ = Duration::max(), longest_{};
  double sum_ = 0, sum_of_squares_ = 0;  // of milliseconds
};

}  // namespace ff::cli
