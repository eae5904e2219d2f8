#include "cli/options.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace ff::cli {
namespace {

struct Unit {
  std::string_view suffix;
  double nanoseconds;
};
constexpr std::array<Unit, 6> kUnits{{{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}};

std::optional<double> unit_of(std::string_view suffix) {
  if (suffix.empty()) return 1e9;
  for (const Unit& unit : kUnits)
    if (unit.suffix == suffix) return unit.nanoseconds;
  return std::nullopt;
}

}  // namespace

Parsed<std::uint64_t> parse_whole_number(std::string_view text, std::uint64_t first, std::uint64_t last) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= first && value <= last) return value;
  return std::unexpected(fmt::format("'{}' will not do; give a whole number from {} to {}", text, first, last));
}

Parsed<Duration> parse_duration(std::string_view text) {
  constexpr double kLongest = 365.0 * 24 * 3600 * 1e9;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  const std::optional<double> unit = unit_of({end, text.data() + text.size()});
  const bool finite = error == std::errc() && std::isfinite(value);
  if (finite && unit && value >= 0 && value * *unit <= kLongest)
    return Duration(static_cast<std::int64_t>(std::llround(value * *unit)));
  return std::unexpected(fmt::format("'{}' is no duration; give one such as 500ms, 1.5s or 2m", text));
}

Parsed<IpAddress> parse_address(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) return *address;
  return std::unexpected(fmt::format("'{}' is no IP address; give one such as 10.9.8.1 or fd00::1", text));
}

Parsed<Cidr> parse_interface_address(std::string_view text) {
  const auto cidr = Cidr::parse(text);
  if (!cidr)
    return std::unexpected(
        fmt::format("'{}' is no address with prefix length; give one such as 10.9.8.1/24 or fd00::1/64", text));
  if (cidr->address.is_any() || cidr->address.is_multicast() || cidr->address.is_broadcast())
    return std::unexpected(fmt::format("no host can have the address {}; give one such as 10.9.8.1/24", text));
  return *cidr;
}

}  // namespace ff::cli
