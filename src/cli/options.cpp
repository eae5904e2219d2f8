#include "cli/options.hpp"

#include <fmt/format.h>

#include <charconv>

namespace ff::cli {
Parsed<std::uint64_t> parse_whole_number(std::string_view text, std::uint64_t first, std::uint64_t last) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= first && value <= last) return value;
  return std::unexpected(fmt::format("'{}' will not do; give a whole number from {} to {}", text, first, last));
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
