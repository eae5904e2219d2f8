#include "cli/hop_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/ping_report.hpp"

namespace ff::cli {
namespace {

double milliseconds(Duration time) { return static_cast<double>(time.count()) / 1e6; }

// The distance from which on all that answer have lost something, the destination's loss included; 0: nowhere.
std::size_t where_loss_begins(const std::vector<Hop>& hops) {
  std::size_t begin = hops.size();
  while (begin > 0 && (hops[begin - 1].lost() > 0)) --begin;
  return begin == hops.size() ? 0 : begin + 1;
}

std::string verdict(const std::string& host, const HopTable& table, const std::vector<Hop>& hops) {
  if (hops.empty()) return "Nobody answered, at any distance.\n";
  if (!table.reached()) return fmt::format("{} did not answer; the last that did is hop {}.\n", host, hops.size());
  const std::size_t begin = where_loss_begins(hops);
  if (begin > 0) {
    return fmt::format("{} of {} packets to {} got no answer; the loss begins at hop {}.\n", hops.back().lost(),
                       hops.back().sent, host, begin);
  }
  std::string text = fmt::format("No packet to {} got lost.\n", host);
  if (std::ranges::any_of(hops, [](const Hop& hop) { return hop.lost() > 0; }))
    text += "A router that answers less often than others behind it forwards all the same: it limits what it says.\n";
  return text;
}

std::string row(std::size_t distance, const Hop& hop, std::size_t width) {
  const std::string name = hop.routers.empty() ? "*" : hop.routers.front().to_string();
  std::string text = fmt::format("{:>3}  {:<{}}  {:>5.1f}%  {:>5}", distance, name, width, hop.loss(), hop.sent);
  if (hop.answered > 0) {
    text += fmt::format("  {:>8}  {:>8.3f}  {:>8}  {:>8}  {:>8.3f}", format_round_trip(hop.last), hop.average(),
                        format_round_trip(hop.best), format_round_trip(hop.worst), hop.deviation());
  }
  text += '\n';
  for (std::size_t i = 1; i < hop.routers.size(); ++i)
    text += fmt::format("{:>3}  {}\n", "", hop.routers[i].to_string());
  return text;
}

}  // namespace

double Hop::average() const noexcept { return answered == 0 ? 0 : sum / static_cast<double>(answered); }

double Hop::deviation() const noexcept {
  if (answered == 0) return 0;
  const double mean = average();
  return std::sqrt(std::max(0.0, sum_of_squares / static_cast<double>(answered) - mean * mean));
}

// ---- gathering -----------------------------------------------------------------------------------------------------

std::uint16_t HopTable::sent(Instant now, std::uint8_t ttl) {
  const std::uint16_t sequence = next_sequence_++;
  probes_[sequence] = {now, ttl};
  ++hops_[ttl - 1u].sent;
  return sequence;
}

bool HopTable::answered(Instant now, std::uint16_t sequence, const IpAddress& from, bool destination) {
  const auto probe = probes_.find(sequence);
  if (probe == probes_.end()) return false;
  const std::uint8_t ttl = probe->second.ttl;
  const Duration round_trip = now - probe->second.sent;
  probes_.erase(probe);
  if (destination) destination_ = std::min(destination_.value_or(ttl), ttl);
  Hop& hop = hops_[ttl - 1u];
  if (std::ranges::find(hop.routers, from) == hop.routers.end()) hop.routers.push_back(from);
  ++hop.answered;
  hop.last = round_trip;
  hop.best = std::min(hop.best, round_trip);
  hop.worst = std::max(hop.worst, round_trip);
  longest_ = std::max(longest_, round_trip);
  const double value = milliseconds(round_trip);
  hop.sum += value;
  hop.sum_of_squares += value * value;
  return true;
}

std::uint8_t HopTable::reach() const noexcept {
  if (destination_) return *destination_;
  std::uint8_t furthest = 0;
  for (std::uint8_t i = 0; i < kMostHops; ++i)
    if (hops_[i].answered > 0) furthest = static_cast<std::uint8_t>(i + 1);
  return std::min<std::uint8_t>(static_cast<std::uint8_t>(furthest + kPatience), kMostHops);
}

std::vector<Hop> HopTable::hops() const {
  std::size_t count = destination_ ? *destination_ : kMostHops;
  while (!destination_ && count > 0 && hops_[count - 1].answered == 0) --count;
  return {hops_.begin(), hops_.begin() + static_cast<std::ptrdiff_t>(count)};
}

// ---- telling -------------------------------------------------------------------------------------------------------

std::string hop_report(const std::string& host, const HopTable& table) {
  const std::vector<Hop> hops = table.hops();
  std::size_t width = 15;
  for (const Hop& hop : hops)
    for (const IpAddress& router : hop.routers) width = std::max(width, router.to_string().size());
  std::string text = fmt::format("{:>3}  {:<{}}  {:>6}  {:>5}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}\n", "Hop", "Address",
                                 width, "Loss", "Sent", "Last", "Avg", "Best", "Wrst", "StDev");
  for (std::size_t i = 0; i < hops.size(); ++i) text += row(i + 1, hops[i], width);
  return text + verdict(host, table, hops);
}

std::string hop_json(const std::string& host, const HopTable& table) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  const std::vector<Hop> hops = table.hops();
  for (std::size_t i = 0; i < hops.size(); ++i) {
    const Hop& hop = hops[i];
    nlohmann::ordered_json routers = nlohmann::ordered_json::array();
    for (const IpAddress& router : hop.routers) routers.push_back(router.to_string());
    nlohmann::ordered_json one{{"hop", i + 1},
                               {"addresses", std::move(routers)},
                               {"sent", hop.sent},
                               {"answered", hop.answered},
                               {"loss_percent", hop.loss()}};
    if (hop.answered > 0) {
      one.update({{"last_ms", milliseconds(hop.last)},
                  {"average_ms", hop.average()},
                  {"best_ms", milliseconds(hop.best)},
                  {"worst_ms", milliseconds(hop.worst)},
                  {"deviation_ms", hop.deviation()}});
    }
    rows.push_back(std::move(one));
  }
  const nlohmann::ordered_json report{{"host", host},
                                      {"reached", table.reached()},
                                      {"loss_begins_at_hop", table.reached() ? where_loss_begins(hops) : 0},
                                      {"hops", std::move(rows)}};
  return report.dump(2) + '\n';
}

}  // namespace ff::cli
