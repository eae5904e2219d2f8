// Text of ladder rows.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "cli/ladder.hpp"

namespace ff::cli {
namespace {

constexpr std::size_t kTimeWidth = 10;  // "  1234.5  "
constexpr std::size_t kMinArrow = 30;

struct Glyphs {
  std::string_view line, right, left, separator;
};
constexpr Glyphs kUnicode{"─", "▶", "◀", " │ "};
constexpr Glyphs kAscii{"-", ">", "<", " | "};

const Glyphs& glyphs_of(const LadderStyle& style) { return style.unicode ? kUnicode : kAscii; }

std::string repeat(std::string_view text, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

std::string flag_names(wire::TcpFlags flags) {
  using Flags = wire::TcpFlags;
  static constexpr std::pair<std::uint8_t, std::string_view> kNames[] = {
      {Flags::kSyn, "SYN"}, {Flags::kFin, "FIN"}, {Flags::kRst, "RST"}, {Flags::kPsh, "PSH"},
      {Flags::kUrg, "URG"}, {Flags::kEce, "ECE"}, {Flags::kCwr, "CWR"}, {Flags::kAck, "ACK"}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((flags.bits & bit) == 0) continue;
    if (!text.empty()) text += ' ';
    text += name;
  }
  return text.empty() ? "no flags" : text;
}

std::string hex(ByteSpan bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string describe_fast_open(const wire::FastOpenOption& option) {
  const char* form = option.experimental ? " (exp)" : "";
  return option.cookie.size == 0 ? fmt::format("cookie request{}", form)
                                 : fmt::format("cookie {}{}", hex(option.cookie.span()), form);
}

// What is said of the packet itself, in pieces between which a line may break.
std::vector<std::string> words_of_packet(const LadderRow& row) {
  std::vector<std::string> words;
  const auto say_bytes = [&] {
    if (row.payload == 0) return;
    words.push_back(row.segments > 1 ? fmt::format("{} bytes in {}", row.payload, row.segments)
                                     : fmt::format("{} byte{}", row.payload, row.payload == 1 ? "" : "s"));
  };
  if (!row.note.empty()) {
    words.push_back(row.note);
    say_bytes();
    return words;
  }
  words.push_back(flag_names(row.flags));
  words.push_back(fmt::format("seq {}", row.seq));
  if (row.flags.ack()) words.push_back(fmt::format("ack {}", row.ack));
  say_bytes();
  words.push_back(fmt::format("win {}", row.window));
  const wire::TcpOptions& options = row.options;
  if (options.mss) words.push_back(fmt::format("mss {}", *options.mss));
  if (options.window_scale) words.push_back(fmt::format("ws {}", options.window_scale->shift));
  if (options.sack_permitted) words.emplace_back("sackOK");
  // Every later packet carries timestamps too; saying so each time would only hide the rest.
  if (options.timestamps && row.flags.syn()) words.emplace_back("TS");
  if (options.fast_open) words.push_back(describe_fast_open(*options.fast_open));
  for (std::uint8_t i = 0; i < options.sack.count; ++i)
    words.push_back(fmt::format("sack {}-{}", options.sack.blocks[i].first.raw(), options.sack.blocks[i].end.raw()));
  return words;
}

std::vector<std::string> words_of(const LadderRow& row) {
  std::vector<std::string> words = words_of_packet(row);
  if (!row.label.empty()) words.front() = fmt::format("{} {}", row.label, words.front());
  if (!row.remark.empty()) words.push_back(fmt::format("[{}]", row.remark));
  return words;
}

// Fills lines of at most `width` with the words; a word that is longer has a line of its own.
std::vector<std::string> wrap(const std::vector<std::string>& words, std::size_t width) {
  std::vector<std::string> lines;
  for (const std::string& word : words) {
    if (lines.empty() || lines.back().size() + 2 + word.size() > width) {
      if (!lines.empty()) lines.back() += ',';
      lines.push_back(word);
    } else {
      lines.back() += ", " + word;
    }
  }
  return lines;
}

// A line of text and the columns it takes, which are fewer than its bytes.
struct Line {
  std::string text;
  std::size_t width = 0;
};

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// In what unit times are told, and how finely.
struct Clock {
  std::string_view unit;
  double per_millisecond;
  int decimals;
};

Instant start_of(const Ladder& ladder) {
  if (ladder.start) return *ladder.start;
  return ladder.rows.empty() ? Instant() : ladder.rows.front().time;
}

// Whole milliseconds say little where all is over within a few, and hours of them are hard to read.
Clock clock_of(const Ladder& ladder) {
  const double lasts = ladder.rows.empty() ? 0 : milliseconds(ladder.rows.back().time - start_of(ladder));
  if (lasts < 20) return {"ms", 1, 3};
  return lasts < 1e6 ? Clock{"ms", 1, 1} : Clock{"s", 1e-3, 2};
}

// The row's lines, all `width` columns wide.
std::vector<Line> lines_of(const LadderRow& row, Instant start, const Clock& clock, std::size_t width,
                           const Glyphs& glyphs) {
  const std::size_t arrow = std::max(width, kTimeWidth + kMinArrow) - kTimeWidth;
  const std::size_t room = arrow - 8;  // "── " before, " ──▶" behind, and a comma
  std::vector<Line> lines;
  const std::string time = fmt::format("{:>{}.{}f}  ", milliseconds(row.time - start) * clock.per_millisecond,
                                       kTimeWidth - 2, clock.decimals);
  for (const std::string& text : wrap(words_of(row), room)) {
    const std::size_t fill = text.size() < room + 1 ? room + 1 - text.size() : 0;
    std::string drawn;
    if (!lines.empty()) {
      drawn = fmt::format("{}   {}{}", std::string(kTimeWidth, ' '), text, std::string(fill + 4, ' '));
    } else if (row.direction == LadderDirection::Sent) {
      drawn =
          fmt::format("{}{} {} {}{}", time, repeat(glyphs.line, 2), text, repeat(glyphs.line, fill + 2), glyphs.right);
    } else {
      drawn =
          fmt::format("{}{}{} {} {}", time, glyphs.left, repeat(glyphs.line, 1), text, repeat(glyphs.line, fill + 3));
    }
    lines.push_back({std::move(drawn), kTimeWidth + text.size() + fill + 7});
  }
  return lines;
}

Line title_line(const Ladder& ladder, std::size_t width) {
  const std::string title = ladder.title.substr(0, width - kTimeWidth);
  return {fmt::format("{:>{}}  {}", clock_of(ladder).unit, kTimeWidth - 2, title), kTimeWidth + title.size()};
}

void append(std::string& text, const Line& line) {
  text += line.text;
  text.resize(text.find_last_not_of(' ') + 1);
  text += '\n';
}

void append(std::string& text, const Line& left, const Line& right, std::size_t column, const Glyphs& glyphs) {
  std::string joined = left.text;
  if (left.width < column) joined += std::string(column - left.width, ' ');
  append(text, {fmt::format("{}{}{}", joined, glyphs.separator, right.text), 0});
}

}  // namespace

std::string render_ladder(const Ladder& ladder, const LadderStyle& style) {
  std::string text;
  append(text, title_line(ladder, std::max(style.width, kTimeWidth + kMinArrow)));
  for (const LadderRow& row : ladder.rows)
    for (const Line& line : lines_of(row, start_of(ladder), clock_of(ladder), style.width, glyphs_of(style)))
      append(text, line);
  return text;
}

std::string render_ladders(const Ladder& left, const Ladder& right, const LadderStyle& style) {
  const Glyphs& glyphs = glyphs_of(style);
  const std::size_t column = std::max((style.width - 3) / 2, kTimeWidth + kMinArrow);
  const Clock left_clock = clock_of(left), right_clock = clock_of(right);
  const Clock& clock = left_clock.decimals < right_clock.decimals ? left_clock : right_clock;
  const Duration together = clock.decimals == 3 ? std::chrono::microseconds(20) : std::chrono::milliseconds(2);
  const auto since_start = [](const Ladder& ladder, std::size_t i) {
    return i < ladder.rows.size() ? ladder.rows[i].time - start_of(ladder) : Duration::max();
  };
  std::string text;
  append(text, title_line(left, column), title_line(right, column), column, glyphs);
  for (std::size_t l = 0, r = 0; l < left.rows.size() || r < right.rows.size();) {
    const Duration left_time = since_start(left, l), right_time = since_start(right, r);
    const Duration earlier = std::min(left_time, right_time);
    std::vector<Line> left_lines, right_lines;
    if (left_time - earlier <= together) left_lines = lines_of(left.rows[l++], start_of(left), clock, column, glyphs);
    if (right_time - earlier <= together)
      right_lines = lines_of(right.rows[r++], start_of(right), clock, column, glyphs);
    const std::size_t height = std::max(left_lines.size(), right_lines.size());
    left_lines.resize(height);
    right_lines.resize(height);
    for (std::size_t i = 0; i < height; ++i) append(text, left_lines[i], right_lines[i], column, glyphs);
  }
  return text;
}

LadderStyle terminal_ladder_style(int descriptor) {
  LadderStyle style;
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    style.width = size.ws_col;
  } else if (const char* columns = std::getenv("COLUMNS"); columns != nullptr && std::atoi(columns) > 0) {
    style.width = static_cast<std::size_t>(std::atoi(columns));
  }
  style.unicode = false;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string locale(value);
    std::ranges::transform(locale, locale.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    style.unicode = locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
    break;
  }
  return style;
}

}  // namespace ff::cli
