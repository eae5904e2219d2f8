// The text of a client's Fast Open cache. Times stand in it as ages at the moment of saving, in seconds: an Instant
// means nothing to another process.
#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "firstflight/fast_open_cache.hpp"

namespace ff {
namespace {

constexpr std::string_view kMagic = "firstflight-fast-open-cache";
constexpr std::string_view kVersion = "1";
constexpr std::string_view kSaved = "saved";

std::string first_line() { return std::string(kMagic).append(" ").append(kVersion); }
constexpr std::uint64_t kMaxSeconds = 0x7fffffff;  // 68 years
constexpr std::uint64_t kMaxLosses = 0xffff;

using Entry = FastOpenCacheEntry;

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max, int base = 10) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

template <typename T>
bool take_number(T& into, std::string_view text, std::uint64_t max = std::numeric_limits<T>::max(),
                 int base = 10) noexcept {
  const auto value = parse_number(text, max, base);
  if (value) into = static_cast<T>(*value);
  return value.has_value();
}

bool take_address(IpAddress& into, std::string_view text) noexcept {
  const auto address = IpAddress::parse(text);
  if (address) into = *address;
  return address.has_value();
}

std::string to_hex(std::uint64_t number) {
  std::array<char, 16> digits;
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr};
}

std::string cookie_text(const FastOpenCookie& cookie) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : cookie.span()) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

bool take_cookie(FastOpenCookie& into, std::string_view text) noexcept {
  if (text.size() % 2 != 0 || !FastOpenCookie::valid_size(text.size() / 2)) return false;
  FastOpenCookie cookie;
  for (; !text.empty(); text.remove_prefix(2))
    if (!take_number(cookie.bytes[cookie.size++], text.substr(0, 2), UINT8_MAX, 16)) return false;
  into = cookie;
  return true;
}

std::uint64_t seconds_between(Instant from, Instant to) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(to - from).count();
  return std::clamp<std::int64_t>(seconds, 0, static_cast<std::int64_t>(kMaxSeconds));
}

// Of an entry's line: NAME=VALUE.
struct Field {
  std::string_view name;
  std::string_view allowed;
  // Empty: left out, because it is what an entry has anyway.
  std::string (*get)(const Entry&, Instant now);
  // `saved`: the instant, by this process's clock, to which ages refer.
  bool (*set)(Entry&, std::string_view value, Instant saved);
};

constexpr Field kFields[] = {
    {"destination", "an IPv4 or IPv6 address", [](const Entry& e, Instant) { return e.destination.to_string(); },
     [](Entry& e, std::string_view value, Instant) { return take_address(e.destination, value); }},
    {"source", "an IPv4 or IPv6 address", [](const Entry& e, Instant) { return e.source.to_string(); },
     [](Entry& e, std::string_view value, Instant) { return take_address(e.source, value); }},
    {"partition", "a hexadecimal number of at most 16 digits",
     [](const Entry& e, Instant) { return e.partition == 0 ? std::string() : to_hex(e.partition); },
     [](Entry& e, std::string_view value, Instant) { return take_number(e.partition, value, UINT64_MAX, 16); }},
    {"cookie", "an even number of bytes from 4 to 16, two hexadecimal digits each",
     [](const Entry& e, Instant) { return cookie_text(e.cookie); },
     [](Entry& e, std::string_view value, Instant) { return take_cookie(e.cookie, value); }},
    {"mss", "a whole number from 0 to 65535",
     [](const Entry& e, Instant) { return e.mss == 0 ? std::string() : std::to_string(e.mss); },
     [](Entry& e, std::string_view value, Instant) { return take_number(e.mss, value); }},
    {"form", "standard or experimental",
     [](const Entry& e, Instant) {
       return std::string(e.experimental ? "experimental" : e.experimental_refused ? "standard" : "");
     },
     [](Entry& e, std::string_view value, Instant) {
       e.experimental = value == "experimental";
       e.experimental_refused = value == "standard";
       return e.experimental || e.experimental_refused;
     }},
    {"age", "a whole number of seconds from 0 to 2147483647",
     [](const Entry& e, Instant now) { return std::to_string(seconds_between(e.learned, now)); },
     [](Entry& e, std::string_view value, Instant saved) {
       const auto age = parse_number(value, kMaxSeconds);
       if (age) e.learned = saved - std::chrono::seconds(*age);
       return age.has_value();
     }},
    {"syn-losses", "a whole number from 0 to 65535",
     [](const Entry& e, Instant) { return e.syn_losses == 0 ? std::string() : std::to_string(e.syn_losses); },
     [](Entry& e, std::string_view value, Instant) { return take_number(e.syn_losses, value, kMaxLosses); }},
    {"blackholes", "a whole number from 0 to 65535",
     [](const Entry& e, Instant) { return e.blackholes == 0 ? std::string() : std::to_string(e.blackholes); },
     [](Entry& e, std::string_view value, Instant) { return take_number(e.blackholes, value, kMaxLosses); }},
    {"retry-in", "a whole number of seconds from 0 to 2147483647",
     [](const Entry& e, Instant now) {
       return e.retry_after <= now ? std::string() : std::to_string(seconds_between(now, e.retry_after));
     },
     [](Entry& e, std::string_view value, Instant saved) {
       const auto left = parse_number(value, kMaxSeconds);
       if (left) e.retry_after = saved + std::chrono::seconds(*left);
       return left.has_value();
     }},
};

std::string field_names() {
  std::string names;
  for (const Field& field : kFields) names += (names.empty() ? "" : ", ") + std::string(field.name);
  return names;
}

// What stands in a damaged file may be anything.
std::string quoted(std::string_view text) {
  constexpr std::size_t kMost = 60;
  std::string shown(text.substr(0, kMost));
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  return "'" + shown + (text.size() > kMost ? "..." : "") + "'";
}

// The next word, cut off `text`.
std::string_view next_word(std::string_view& text) noexcept {
  constexpr std::string_view kBlank = " \t\r";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  const std::string_view word = text.substr(0, std::min(text.find_first_of(kBlank), text.size()));
  text.remove_prefix(word.size());
  return word;
}

// Reads line by line. Each take_*() says what is wrong, or nothing.
class Reader {
 public:
  Reader(Instant now, std::int64_t unix_time) noexcept : now_(now), unix_time_(unix_time) {}

  std::string take_line(std::string_view line) {
    std::string_view rest = line;
    if (next_word(rest).empty() || line.starts_with('#')) return {};
    switch (part_) {
      case Part::Version:
        return take_version(line);
      case Part::Saved:
        return take_saved(line);
      case Part::Entries:
        return take_entry(line);
    }
    return {};
  }
  // What is missing at the end.
  [[nodiscard]] std::string missing() const {
    if (part_ == Part::Version) return not_a_cache();
    return part_ == Part::Saved ? "the line 'saved SECONDS' is missing" : "";
  }
  std::vector<Entry> entries;

 private:
  enum class Part : std::uint8_t { Version, Saved, Entries };

  static std::string not_a_cache() { return "this is no Fast Open cache: it must begin with " + quoted(first_line()); }
  std::string take_version(std::string_view line) {
    if (next_word(line) != kMagic) return not_a_cache();
    const std::string_view version = next_word(line);
    if (version != kVersion || !next_word(line).empty())
      return "version " + quoted(version) + " is not known; this program reads version " + std::string(kVersion);
    part_ = Part::Saved;
    return {};
  }
  std::string take_saved(std::string_view line) {
    const std::string_view whole = line;
    const bool named = next_word(line) == kSaved;
    const auto saved = parse_number(next_word(line), INT64_MAX);
    if (!named || !saved || !next_word(line).empty())
      return quoted(whole) + " must be 'saved SECONDS', a whole number of seconds since 1970";
    // A clock that was set back since makes nothing younger than it was.
    const std::int64_t since = unix_time_ - static_cast<std::int64_t>(*saved);
    saved_ = now_ - std::chrono::seconds(std::clamp<std::int64_t>(since, 0, static_cast<std::int64_t>(kMaxSeconds)));
    part_ = Part::Entries;
    return {};
  }
  std::string take_entry(std::string_view line) {
    Entry entry;
    entry.learned = saved_;
    std::uint32_t given = 0;
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line))
      if (std::string wrong = take_field(entry, given, word); !wrong.empty()) return wrong;
    constexpr std::uint32_t kBothAddresses = 3;
    if ((given & kBothAddresses) != kBothAddresses) return "an entry needs destination=ADDRESS and source=ADDRESS";
    if (entry.source.is_v4() != entry.destination.is_v4())
      return "source and destination must be of the same IP version";
    entries.push_back(entry);
    return {};
  }
  // `given`: a bit for each field.
  std::string take_field(Entry& entry, std::uint32_t& given, std::string_view word) const {
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const auto field = std::ranges::find(kFields, name, &Field::name);
    if (equals == std::string_view::npos || field == std::end(kFields))
      return quoted(word) + " is no field=value; the fields are " + field_names();
    const std::uint32_t bit = 1u << (field - std::begin(kFields));
    if ((given & bit) != 0) return quoted(name) + " stands there twice";
    given |= bit;
    if (field->set(entry, word.substr(equals + 1), saved_)) return {};
    return quoted(word) + ": " + std::string(name) + " is " + std::string(field->allowed);
  }

  Instant now_;
  std::int64_t unix_time_;
  Part part_ = Part::Version;
  Instant saved_{};
};

}  // namespace

std::string format_fast_open_cache(std::span<const Entry> entries, Instant now, std::int64_t unix_time) {
  std::string text = first_line();
  text.append("\n").append(kSaved).append(" ");
  text.append(std::to_string(std::max<std::int64_t>(unix_time, 0))).append("\n");
  for (const Entry& entry : entries) {
    const std::size_t start = text.size();
    for (const Field& field : kFields) {
      const std::string value = field.get(entry, now);
      if (value.empty()) continue;
      if (text.size() > start) text += ' ';
      text.append(field.name).append("=").append(value);
    }
    text += '\n';
  }
  return text;
}

std::expected<std::vector<Entry>, std::string> parse_fast_open_cache(std::string_view text, std::string_view file,
                                                                     Instant now, std::int64_t unix_time) {
  Reader reader(now, unix_time);
  std::size_t number = 0;
  const auto error = [&](const std::string& what) {
    return std::unexpected(std::string(file) + ":" + std::to_string(std::max<std::size_t>(number, 1)) + ": " + what);
  };
  while (!text.empty()) {
    ++number;
    const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size()));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (const std::string wrong = reader.take_line(line); !wrong.empty()) return error(wrong);
  }
  if (const std::string wrong = reader.missing(); !wrong.empty()) return error(wrong);
  return std::move(reader.entries);
}

}  // namespace ff
