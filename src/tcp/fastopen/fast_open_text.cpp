#include <array>
#include <charconv>

#include "firstflight/fast_open.hpp"

namespace ff {
namespace {

constexpr std::size_t kGroups = 4;
constexpr std::size_t kGroupBytes = 4;
constexpr std::size_t kGroupDigits = 8;

}  // namespace

// A group may have fewer than eight digits, as Linux's parser takes it.
std::optional<FastOpenKey> FastOpenKey::parse(std::string_view text) {
  FastOpenKey key;
  for (std::size_t group = 0; group < kGroups; ++group) {
    const bool last = group == kGroups - 1;
    const std::size_t end = last ? text.size() : text.find('-');
    if (end == std::string_view::npos || end == 0 || end > kGroupDigits) return std::nullopt;
    std::uint32_t word = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + end, word, 16);
    if (error != std::errc() || stop != text.data() + end) return std::nullopt;
    for (std::size_t i = 0; i < kGroupBytes; ++i) {
      key.bytes[group * kGroupBytes + i] = static_cast<std::uint8_t>(word >> (8 * i));
    }
    text.remove_prefix(last ? end : end + 1);
  }
  return key;
}

std::string FastOpenKey::to_string() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(kGroups * (kGroupDigits + 1));
  for (std::size_t group = 0; group < kGroups; ++group) {
    if (group > 0) text += '-';
    for (std::size_t i = kGroupBytes; i-- > 0;) {
      const std::uint8_t byte = bytes[group * kGroupBytes + i];
      text += kDigits[byte >> 4];
      text += kDigits[byte & 0xf];
    }
  }
  return text;
}

std::optional<FastOpenKeys> FastOpenKeys::parse(std::string_view text) {
  const std::size_t comma = text.find(',');
  const auto primary = FastOpenKey::parse(text.substr(0, comma));
  if (!primary) return std::nullopt;
  if (comma == std::string_view::npos) return FastOpenKeys{*primary, std::nullopt};
  const auto backup = FastOpenKey::parse(text.substr(comma + 1));
  if (!backup) return std::nullopt;
  return FastOpenKeys{*primary, backup};
}

std::string FastOpenKeys::to_string() const {
  return backup ? primary.to_string() + "," + backup->to_string() : primary.to_string();
}

std::string_view name_of(FastOpenOutcome outcome) noexcept {
  static constexpr std::array<std::string_view, kFastOpenOutcomes> kNames{
      "NotTried",         "Pending",       "Accepted",     "Disabled",         "NoCookieYet",
      "CookieNotGranted", "CookieRefused", "DataNotAcked", "SynRetransmitted", "PathBlackholed",
      "NoData",           "ListenerFull",  "NotEnabled",   "SynRepeated"};
  const auto index = static_cast<std::size_t>(outcome);
  return index < kNames.size() ? kNames[index] : "unknown";
}

std::string_view to_string(FastOpenOutcome outcome) noexcept {
  switch (outcome) {
    case FastOpenOutcome::NotTried:
      return "not asked for";
    case FastOpenOutcome::Pending:
      return "waiting for the answer to the SYN";
    case FastOpenOutcome::Accepted:
      return "data in the SYN accepted";
    case FastOpenOutcome::Disabled:
      return "switched off in the settings";
    case FastOpenOutcome::NoCookieYet:
      return "no cookie yet: one was granted for next time";
    case FastOpenOutcome::CookieNotGranted:
      return "a cookie was asked for and the server granted none";
    case FastOpenOutcome::CookieRefused:
      return "the cookie was refused";
    case FastOpenOutcome::DataNotAcked:
      return "the server did not take the data in the SYN";
    case FastOpenOutcome::SynRetransmitted:
      return "the SYN was lost and went again without data and option";
    case FastOpenOutcome::PathBlackholed:
      return "the path swallowed Fast Open lately";
    case FastOpenOutcome::NoData:
      return "there was nothing to put into the SYN";
    case FastOpenOutcome::ListenerFull:
      return "too many half-open Fast Open connections on the listener";
    case FastOpenOutcome::NotEnabled:
      return "the listener has Fast Open off";
    case FastOpenOutcome::SynRepeated:
      return "the same SYN with the same data came before";
  }
  return "unknown";
}

}  // namespace ff
