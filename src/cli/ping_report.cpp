#include "cli/ping_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ff::cli {
namespace {

double milliseconds(Duration time) { return static_cast<double>(time.count()) / 1e6; }

std::string describe_v4(std::uint8_t type, std::uint8_t code, std::uint32_t mtu) {
  constexpr std::uint8_t kUnreachable = 3, kTimeExceeded = 11, kParameterProblem = 12;
  if (type == kTimeExceeded) return code == 1 ? "Frag reassembly time exceeded" : "Time to live exceeded";
  if (type == kParameterProblem) return "Parameter problem";
  if (type != kUnreachable) return fmt::format("Bad ICMP type: {}", type);
  switch (code) {
    case 0:
      return "Destination Net Unreachable";
    case 1:
      return "Destination Host Unreachable";
    case 2:
      return "Destination Protocol Unreachable";
    case 3:
      return "Destination Port Unreachable";
    case 4:
      return fmt::format("Frag needed and DF set (mtu = {})", mtu);
    case 5:
      return "Source Route Failed";
    case 6:
      return "Destination Net Unknown";
    case 7:
      return "Destination Host Unknown";
    case 8:
      return "Source Host Isolated";
    case 9:
      return "Destination Net Prohibited";
    case 10:
      return "Destination Host Prohibited";
    case 11:
      return "Destination Net Unreachable for Type of Service";
    case 12:
      return "Destination Host Unreachable for Type of Service";
    case 13:
      return "Packet filtered";
    case 14:
      return "Precedence Violation";
    case 15:
      return "Precedence Cutoff";
    default:
      return fmt::format("Dest Unreachable, Bad Code: {}", code);
  }
}

std::string describe_v6(std::uint8_t type, std::uint8_t code, std::uint32_t mtu) {
  constexpr std::uint8_t kUnreachable = 1, kPacketTooBig = 2, kTimeExceeded = 3, kParameterProblem = 4;
  switch (type) {
    case kUnreachable:
      break;
    case kPacketTooBig:
      return fmt::format("Packet too big: mtu={}", mtu);
    case kTimeExceeded:
      return code == 1 ? "Time exceeded: Defragmentation failure" : "Time exceeded: Hop limit";
    case kParameterProblem:
      return code == 1 ? "Parameter problem: Unknown header" : "Parameter problem: Wrong header field";
    default:
      return fmt::format("unknown icmp type: {}", type);
  }
  switch (code) {
    case 0:
      return "Destination unreachable: No route";
    case 1:
      return "Destination unreachable: Administratively prohibited";
    case 2:
      return "Destination unreachable: Beyond scope of source address";
    case 3:
      return "Destination unreachable: Address unreachable";
    case 4:
      return "Destination unreachable: Port unreachable";
    default:
      return fmt::format("Destination unreachable: Unknown code {}", code);
  }
}

}  // namespace

Slice echo_request(bool v4, std::uint16_t sequence, std::uint32_t size) {
  constexpr std::uint32_t kIcmpHeader = 8;
  constexpr char kEchoV4 = 8;
  constexpr auto kEchoV6 = static_cast<char>(128);
  std::string message(kIcmpHeader + size, '\0');
  message[0] = v4 ? kEchoV4 : kEchoV6;
  message[6] = static_cast<char>(sequence >> 8);
  message[7] = static_cast<char>(sequence);
  for (std::uint32_t i = 0; i < size; ++i) message[kIcmpHeader + i] = static_cast<char>(i);
  return Slice::adopt(std::move(message));
}

std::string format_round_trip(Duration time) {
  const double value = milliseconds(time);
  if (value >= 100) return fmt::format("{}", static_cast<std::int64_t>(value));
  if (value >= 10) return fmt::format("{:.1f}", value);
  return value >= 1 ? fmt::format("{:.2f}", value) : fmt::format("{:.3f}", value);
}

std::string describe_icmp_error(const DatagramError& error, bool v4) {
  if (error.type == 0) return std::string(to_string(error.error));
  return v4 ? describe_v4(error.type, error.code, error.mtu) : describe_v6(error.type, error.code, error.mtu);
}

void PingStatistics::sent(Instant now) { requests_[++transmitted_ % kNumbers] = {now, false}; }

PingStatistics::Answer PingStatistics::received(Instant now, std::uint16_t sequence, Duration& round_trip) {
  const std::uint64_t newest = transmitted_;
  // The latest request with this number on the wire.
  const std::uint64_t number = newest - ((newest - sequence) & (kNumbers - 1));
  if (number == 0 || number > newest) return Answer::Unknown;
  Request& request = requests_[number % kNumbers];
  round_trip = now - request.sent;
  if (request.answered) {
    ++duplicates_;
    return Answer::Duplicate;
  }
  request.answered = true;
  ++received_;
  shortest_ = std::min(shortest_, round_trip);
  longest_ = std::max(longest_, round_trip);
  const double value = milliseconds(round_trip);
  sum_ += value;
  sum_of_squares_ += value * value;
  return Answer::Reply;
}

std::string PingStatistics::summary(const std::string& host, Duration elapsed) const {
  std::string text =
      fmt::format("\n--- {} ping statistics ---\n{} packets transmitted, {} received", host, transmitted_, received_);
  if (duplicates_ > 0) text += fmt::format(", +{} duplicates", duplicates_);
  if (errors_ > 0) text += fmt::format(", +{} errors", errors_);
  if (transmitted_ > 0) {
    const double lost = static_cast<double>(transmitted_ - received_) * 100 / static_cast<double>(transmitted_);
    // Six digits, as %g gives them.
    text += fmt::format(", {:g}% packet loss, time {}ms", static_cast<float>(lost),
                        std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count());
  }
  text += '\n';
  if (received_ == 0) return text + '\n';
  const double mean = sum_ / static_cast<double>(received_);
  const double variance = std::max(0.0, sum_of_squares_ / static_cast<double>(received_) - mean * mean);
  return text + fmt::format("rtt min/avg/max/mdev = {:.3f}/{:.3f}/{:.3f}/{:.3f} ms\n", milliseconds(shortest_), mean,
                            milliseconds(longest_), std::sqrt(variance));
}

}  // namespace ff::cli
