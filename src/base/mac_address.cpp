#include "firstflight/network.hpp"

namespace ff {
namespace {

int digit_of(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  constexpr std::size_t kLength = 17;
  if (text.size() != kLength) return std::nullopt;
  MacAddress address;
  for (std::size_t i = 0; i < address.bytes.size(); ++i) {
    const int high = digit_of(text[3 * i]), low = digit_of(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i > 0 && text[3 * i - 1] != ':')) return std::nullopt;
    address.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return address;
}

std::string MacAddress::to_string() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    if (!text.empty()) text += ':';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string_view to_string(NeighbourState state) noexcept {
  switch (state) {
    case NeighbourState::Incomplete:
      return "INCOMPLETE";
    case NeighbourState::Reachable:
      return "REACHABLE";
    case NeighbourState::Stale:
      return "STALE";
    case NeighbourState::Delay:
      return "DELAY";
    case NeighbourState::Probe:
      return "PROBE";
    case NeighbourState::Failed:
      return "FAILED";
  }
  return "";
}

}  // namespace ff
