#include "sim/quantities.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

namespace ff::sim {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 4> kTimes{{{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}};
constexpr std::array<Unit, 5> kRates{{{"", 1}, {"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}}};
constexpr std::array<Unit, 4> kSizes{{{"b", 1}, {"kb", 1024}, {"mb", 1024 * 1024}, {"gb", 1024 * 1024 * 1024}}};
constexpr std::array<Unit, 1> kPercent{{{"%", 0.01}}};
constexpr std::array<Unit, 2> kPackets{{{"", 1}, {"p", 1}}};

bool same_but_for_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

// A number, not negative, with one of the units behind it; a bare "0" needs no unit.
std::optional<double> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;  // "inf", "-1"
  double number = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  if (end == last && number == 0) return 0;
  for (const Unit& unit : units) {
    if (same_but_for_case({end, last}, unit.name)) return number * unit.factor;
  }
  return std::nullopt;
}

// The same as a whole number from 0 to `most`.
std::optional<std::uint64_t> parse_whole(std::string_view text, std::span<const Unit> units, double most) {
  const auto value = parse_with_unit(text, units);
  if (!value || *value > most) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(*value));
}

constexpr double kHour = 3600e9;
constexpr double kMostRate = 1e12;
constexpr double kMostBytes = 1024.0 * 1024 * 1024 * 1024;
constexpr double kMostPackets = 1e9;

}  // namespace

Parsed<Duration> parse_duration(std::string_view text) {
  if (const auto ns = parse_whole(text, kTimes, kHour)) return Duration(*ns);
  return std::unexpected(
      fmt::format("'{}' is no time; give one from 0 to an hour in ns, us, ms or s, such as 50ms", text));
}

Parsed<std::uint64_t> parse_rate(std::string_view text) {
  if (const auto rate = parse_whole(text, kRates, kMostRate); rate && *rate > 0) return *rate;
  return std::unexpected(
      fmt::format("'{}' is no rate; give one from 1bit to 1000gbit in bit, kbit, mbit or gbit a second, such as "
                  "100mbit",
                  text));
}

Parsed<double> parse_probability(std::string_view text) {
  if (const auto value = parse_with_unit(text, kPercent); value && *value <= 1) return *value;
  return std::unexpected(fmt::format("'{}' is no probability; give one from 0% to 100%, such as 1.5%", text));
}

Parsed<std::uint64_t> parse_bytes(std::string_view text) {
  if (const auto size = parse_whole(text, kSizes, kMostBytes)) return *size;
  return std::unexpected(
      fmt::format("'{}' is no size; give one up to 1024gb in b, kb, mb or gb (powers of 1024), such as 64kb", text));
}

Parsed<QueueLimit> parse_queue_limit(std::string_view text) {
  if (const auto packets = parse_whole(text, kPackets, kMostPackets)) return QueueLimit{.packets = *packets};
  if (const auto bytes = parse_bytes(text)) return QueueLimit{.packets = UINT64_MAX, .bytes = *bytes};
  return std::unexpected(
      fmt::format("'{}' is no queue limit; give packets, such as 100 or 100p, or bytes, such as 64kb", text));
}

std::string format_duration(Duration duration) {
  const auto ns = duration.count();
  for (auto unit = kTimes.rbegin(); unit != kTimes.rend(); ++unit) {
    if (std::abs(static_cast<double>(ns)) >= unit->factor) {
      return fmt::format("{}{}", static_cast<double>(ns) / unit->factor, unit->name);
    }
  }
  return "0s";
}

std::string format_rate(std::uint64_t rate) {
  for (auto unit = kRates.rbegin(); unit != kRates.rend(); ++unit) {
    if (static_cast<double>(rate) >= unit->factor) {
      return fmt::format("{}{}", static_cast<double>(rate) / unit->factor, unit->name);
    }
  }
  return "0bit";
}

}  // namespace ff::sim
