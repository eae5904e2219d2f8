#include "cli/http.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/status.hpp>
#include <charconv>

namespace ff::cli::http {
namespace {

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Digits and nothing else.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string_view reason_phrase(unsigned status) noexcept {
  const auto text = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  return {text.data(), text.size()};
}

std::optional<std::size_t> HeadScanner::scan(std::string_view buffer) noexcept {
  constexpr std::string_view kEnd = "\r\n\r\n";
  // RFC 9112 §2.2: empty lines before the request line are to be ignored; they are no head's end.
  std::size_t begin = 0;
  while (buffer.substr(begin).starts_with("\r\n")) begin += 2;
  const std::size_t end = buffer.find(kEnd, std::max(begin, scanned_));
  if (end != std::string_view::npos) return end + kEnd.size();
  scanned_ = buffer.size() < kEnd.size() ? 0 : buffer.size() - (kEnd.size() - 1);
  return std::nullopt;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const auto high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (!high || !low || (*high == 0 && *low == 0)) return std::nullopt;
    result += static_cast<char>(*high << 4 | *low);
    i += 2;
  }
  return result;
}

RangeAnswer answer_range(std::string_view field, std::uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  field = trim(field);
  if (!field.starts_with(kUnit)) return {};
  field = trim(field.substr(kUnit.size()));
  const std::size_t dash = field.find('-');
  if (dash == std::string_view::npos || field.find(',') != std::string_view::npos) return {};
  const std::string_view first_text = field.substr(0, dash), last_text = field.substr(dash + 1);
  if (first_text.empty()) {  // the last so many bytes
    const auto count = parse_number(last_text);
    if (!count) return {};
    if (*count == 0 || size == 0) return {RangeKind::Unsatisfiable, {}};
    const std::uint64_t length = std::min(*count, size);
    return {RangeKind::Part, {size - length, length}};
  }
  const auto first = parse_number(first_text);
  const auto last = last_text.empty() ? std::optional<std::uint64_t>(UINT64_MAX) : parse_number(last_text);
  if (!first || !last || *last < *first) return {};
  if (*first >= size) return {RangeKind::Unsatisfiable, {}};
  return {RangeKind::Part, {*first, std::min(*last, size - 1) - *first + 1}};
}

// Not strftime: its names of days and months are the locale's.
std::string format_date(std::time_t time) {
  static constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[static_cast<std::size_t>(utc.tm_wday)],
                     utc.tm_mday, kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                     utc.tm_min, utc.tm_sec);
}

std::string_view content_type_of(std::string_view path) noexcept {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".htm", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".mjs", "text/javascript; charset=utf-8"},
      {".txt", "text/plain; charset=utf-8"},
      {".md", "text/markdown; charset=utf-8"},
      {".csv", "text/csv; charset=utf-8"},
      {".json", "application/json"},
      {".xml", "application/xml"},
      {".pdf", "application/pdf"},
      {".wasm", "application/wasm"},
      {".zip", "application/zip"},
      {".gz", "application/gzip"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".jpg", "image/jpeg"},
      {".jpeg", "image/jpeg"},
      {".gif", "image/gif"},
      {".webp", "image/webp"},
      {".ico", "image/vnd.microsoft.icon"},
      {".woff2", "font/woff2"},
      {".mp3", "audio/mpeg"},
      {".mp4", "video/mp4"},
      {".webm", "video/webm"},
  };
  for (const auto& [suffix, type] : kTypes)
    if (path.ends_with(suffix)) return type;
  return "application/octet-stream";
}

std::string format_head(const ResponseHead& head, std::time_t now) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\n"
      "Server: firstflight\r\n"
      "Date: {}\r\n"
      "Content-Type: {}\r\n"
      "Content-Length: {}\r\n"
      "{}"
      "{}"
      "\r\n",
      head.status, reason_phrase(head.status), format_date(now), head.content_type, head.content_length,
      head.extra_fields, head.keep_alive ? "" : "Connection: close\r\n");
}

}  // namespace ff::cli::http
