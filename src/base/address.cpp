#include "firstflight/address.hpp"

#include <algorithm>
#include <charconv>

namespace ff {
namespace {

// An unsigned decimal of at most `max`, nothing before or behind it. No leading zeros: "010" is 8 to some and 10 to
// others.
std::optional<std::uint32_t> parse_decimal(std::string_view text, std::uint32_t max) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (value > max) return std::nullopt;
  return value;
}

bool parse_dotted_quad(std::string_view text, std::span<std::uint8_t, 4> into) {
  for (std::size_t i = 0; i < 4; ++i) {
    const bool last = i == 3;
    const std::size_t end = last ? text.size() : text.find('.');
    if (end == std::string_view::npos) return false;
    const auto value = parse_decimal(text.substr(0, end), 255);
    if (!value) return false;
    into[i] = static_cast<std::uint8_t>(*value);
    text.remove_prefix(last ? end : end + 1);
  }
  return true;
}

std::optional<std::uint16_t> parse_hex_group(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The groups on one side of "::" (or all of them). Says how many bytes they fill, at most `room`.
std::optional<std::size_t> parse_groups(std::string_view text, bool may_end_dotted, std::span<std::uint8_t> into) {
  std::size_t used = 0;
  if (text.empty()) return used;
  while (true) {
    const std::size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    const bool last = colon == std::string_view::npos;
    if (last && may_end_dotted && group.find('.') != std::string_view::npos) {
      if (used + 4 > into.size() || !parse_dotted_quad(group, into.subspan(used).first<4>())) return std::nullopt;
      return used + 4;
    }
    const auto value = parse_hex_group(group);
    if (!value || used + 2 > into.size()) return std::nullopt;
    into[used++] = static_cast<std::uint8_t>(*value >> 8);
    into[used++] = static_cast<std::uint8_t>(*value & 0xff);
    if (last) return used;
    text.remove_prefix(colon + 1);
  }
}

// RFC 4291 §2.2
std::optional<IpAddress> parse_v6(std::string_view text) {
  std::array<std::uint8_t, 16> bytes{};
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    const auto used = parse_groups(text, true, bytes);
    if (used != bytes.size()) return std::nullopt;
    return IpAddress::v6(bytes);
  }
  std::array<std::uint8_t, 16> tail{};
  const auto before = parse_groups(text.substr(0, gap), false, bytes);
  const auto behind = parse_groups(text.substr(gap + 2), true, tail);
  // "::" stands for one group of zeros at least (RFC 5952 §4.2.2 has it written so; a "::" for none is refused).
  if (!before || !behind || *before + *behind > bytes.size() - 2) return std::nullopt;
  std::copy_n(tail.begin(), *behind, bytes.end() - static_cast<std::ptrdiff_t>(*behind));
  return IpAddress::v6(bytes);
}

void append_number(std::string& to, std::uint32_t value, int base = 10) {
  std::array<char, 12> digits;
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value, base);
  to.append(digits.data(), result.ptr);
}

// The longest run of two or more zero groups, the first of equals (RFC 5952 §4.2).
struct ZeroRun {
  std::size_t first = 8;
  std::size_t length = 0;
};
ZeroRun longest_zero_run(const std::array<std::uint16_t, 8>& groups) {
  ZeroRun best;
  for (std::size_t i = 0; i < groups.size();) {
    std::size_t end = i;
    while (end < groups.size() && groups[end] == 0) ++end;
    if (end - i > std::max<std::size_t>(best.length, 1)) best = {i, end - i};
    i = end + 1;
  }
  return best;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find(':') != std::string_view::npos) return parse_v6(text);
  std::array<std::uint8_t, 4> bytes;
  if (!parse_dotted_quad(text, bytes)) return std::nullopt;
  return v4(bytes);
}

bool IpAddress::is_loopback() const noexcept {
  if (is_v4()) return bytes_[12] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t b) { return b == 0; }) && bytes_[15] == 1;
}

std::string IpAddress::to_string() const {
  std::string text;
  if (is_v4()) {
    for (std::size_t i = 12; i < 16; ++i) {
      if (i > 12) text += '.';
      append_number(text, bytes_[i]);
    }
    return text;
  }
  std::array<std::uint16_t, 8> groups;
  for (std::size_t i = 0; i < 8; ++i) {
    groups[i] = static_cast<std::uint16_t>((bytes_[2 * i] << 8) | bytes_[2 * i + 1]);
  }
  const ZeroRun run = longest_zero_run(groups);
  for (std::size_t i = 0; i < 8;) {
    if (i == run.first) {
      text += "::";
      i += run.length;
      continue;
    }
    if (i > 0 && i != run.first + run.length) text += ':';
    append_number(text, groups[i++], 16);
  }
  return text;
}

std::string Endpoint::to_string() const {
  std::string text = address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
  text += ':';
  append_number(text, port);
  return text;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const auto port = parse_decimal(text.substr(colon + 1), 65535);
  if (!port) return std::nullopt;
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // Brackets go with IPv6 and with it alone: without them the last group would pass for a port.
  if (bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
  const auto address = IpAddress::parse(host);
  if (!address) return std::nullopt;
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

bool Cidr::contains(const IpAddress& other) const noexcept {
  if (other.is_v4() != address.is_v4()) return false;
  const std::size_t bits = std::min<std::size_t>(prefix_length + (address.is_v4() ? 96u : 0u), 128);
  const auto ours = address.bytes();
  const auto theirs = other.bytes();
  if (std::memcmp(ours.data(), theirs.data(), bits / 8) != 0) return false;
  if (bits % 8 == 0) return true;
  const int mask = 0xff00 >> (bits % 8) & 0xff;
  return ((ours[bits / 8] ^ theirs[bits / 8]) & mask) == 0;
}

std::string Cidr::to_string() const {
  std::string text = address.to_string() + "/";
  append_number(text, prefix_length);
  return text;
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const std::uint8_t longest = address->is_v4() ? 32 : 128;
  if (slash == std::string_view::npos) return Cidr{*address, longest};
  const auto length = parse_decimal(text.substr(slash + 1), longest);
  if (!length) return std::nullopt;
  return Cidr{*address, static_cast<std::uint8_t>(*length)};
}

std::string FourTuple::to_string() const { return local.to_string() + " - " + remote.to_string(); }

}  // namespace ff
