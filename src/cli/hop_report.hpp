// Who answered at which distance, and how much got lost on the way there: what `ff ping --hops` gathers and prints.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "firstflight/address.hpp"
#include "firstflight/time.hpp"

namespace ff::cli {

// One distance from here.
struct Hop {
  std::vector<IpAddress> routers;  // who answered; several where the path is split
  std::uint64_t sent = 0, answered = 0;
  Duration last{}, best = Duration::max(), worst{};
  double sum = 0, sum_of_squares = 0;  // of milliseconds

  [[nodiscard]] std::uint64_t lost() const noexcept { return sent - answered; }
  [[nodiscard]] double loss() const noexcept {
    return sent == 0 ? 0 : 100.0 * static_cast<double>(lost()) / static_cast<double>(sent);
  }
  [[nodiscard]] double average() const noexcept;    // milliseconds
  [[nodiscard]] double deviation() const noexcept;  // milliseconds
};

class HopTable {
 public:
  static constexpr std::uint8_t kMostHops = 30;
  // So many distances in a row without any answer: what is further away is not asked.
  static constexpr std::uint8_t kPatience = 5;

  // A probe goes out; says its sequence number.
  std::uint16_t sent(Instant now, std::uint8_t ttl);
  // An answer to that probe came. `destination`: from the end of the path, not from a router that let it die. False: to
  // no probe that is under way.
  bool answered(Instant now, std::uint16_t sequence, const IpAddress& from, bool destination);

  // How far the next round should go: to the destination where that is known.
  [[nodiscard]] std::uint8_t reach() const noexcept;
  [[nodiscard]] bool reached() const noexcept { return destination_.has_value(); }
  [[nodiscard]] std::size_t under_way() const noexcept { return probes_.size(); }
  [[nodiscard]] Duration longest() const noexcept { return longest_; }
  // From the first on, to the destination or the last that answered.
  [[nodiscard]] std::vector<Hop> hops() const;

 private:
  struct Probe {
    Instant sent{};
    std::uint8_t ttl = 0;
  };
  std::vector<Hop> hops_ = std::vector<Hop>(kMostHops);  // by distance, less one
  std::map<std::uint16_t, Probe> probes_;                // without an answer, by sequence number
  std::uint16_t next_sequence_ = 1;
  std::optional<std::uint8_t> destination_;  // its distance
  Duration longest_{};
};

// The table, and in a sentence where packets get lost.
std::string hop_report(const std::string& host, const HopTable& table);
std::string hop_json(const std::string& host, const HopTable& table);

}  // namespace ff::cli
