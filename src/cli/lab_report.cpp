#include "cli/lab_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "sim/quantities.hpp"

namespace ff::cli {
namespace {

using nlohmann::ordered_json;

// More than this of a ladder tells nothing more; --pcap has it all.
constexpr std::size_t kFirstRows = 50;
constexpr std::size_t kLastRows = 15;
constexpr std::size_t kWidest = 110;

constexpr std::pair<char, std::string_view> kTopics[] = {
    {'A', "TCP Fast Open"},
    {'B', "Opening a connection"},
    {'C', "Moving data"},
    {'D', "Recovery and congestion"},
    {'E', "Closing"},
    {'F', "Peers that vanish"},
    {'G', "Ports and addresses"},
    {'H', "Settings, counters, events"},
    {'I', "IP, ICMP, UDP"},
    {'J', "Messages over a stream"},
};

std::string ids_of(const lab::Scenario& scenario) { return fmt::format("{}", fmt::join(scenario.ids, ", ")); }

std::string wrapped(std::string_view text, std::size_t width) {
  std::string result;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (column > 0 && column + 1 + word.size() > width) {
      result += '\n';
      column = 0;
    } else if (column > 0) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result + '\n';
}

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

std::string_view sign_of(lab::Remark::Kind kind, bool unicode) {
  switch (kind) {
    case lab::Remark::Kind::Held:
      return unicode ? "✓" : "+";
    case lab::Remark::Kind::Failed:
      return unicode ? "✗" : "!";
    case lab::Remark::Kind::Said:
      break;
  }
  return " ";
}

Instant beginning_of(const lab::Outcome& outcome) {
  Instant start = kNever;
  if (!outcome.packets.empty()) start = std::min(start, outcome.packets.front().time);
  if (!outcome.story.empty()) start = std::min(start, outcome.story.front().time);
  return start == kNever ? Instant() : start;
}

std::string ladder_text(const lab::Outcome& outcome, const LadderStyle& style) {
  std::vector<LadderRow> rows = lab_ladder_rows(outcome);
  if (rows.empty()) return "No packet passed.\n";
  const std::string title = "client" + std::string(std::min(style.width, kWidest) - 22, ' ') + "server";
  if (rows.size() <= kFirstRows + kLastRows) return render_ladder({title, rows}, style);
  const auto skipped = rows.size() - kFirstRows - kLastRows;
  std::vector<LadderRow> last(rows.end() - kLastRows, rows.end());
  rows.resize(kFirstRows);
  return fmt::format("{}          ... {} packets more; --pcap FILE keeps them all ...\n{}",
                     render_ladder({title, rows}, style), skipped,
                     render_ladder({title, last, rows.front().time}, style));
}

std::string settings_text(const LabRun& run) {
  std::string text;
  for (const lab::SettingUsed& setting : run.outcome.settings)
    text += fmt::format("  {:<7} {} = {}{}\n", setting.host, setting.name, setting.value,
                        setting.by_user ? "  (as you wished)" : "");
  return text.empty() ? text : "Settings that had a part:\n" + text;
}

std::string knobs_text(const lab::Scenario& scenario) {
  std::string text;
  for (const lab::Knob& knob : scenario.knobs) {
    text += fmt::format("  --set {}={}{}{}\n", knob.name, fmt::join(knob.values, "|"), knob.meaning.empty() ? "" : "  ",
                        knob.meaning);
  }
  return text.empty() ? text : "Try it another way:\n" + text;
}

std::string counters_text(const lab::Outcome& outcome) {
  std::string text;
  for (const lab::CounterUsed& counter : outcome.counters)
    text += fmt::format("  {:<7} {} {}\n", counter.host, counter.name, counter.value);
  return text.empty() ? text : "Counters that had a part:\n" + text;
}

ordered_json json_of(const lab::Scenario& scenario) {
  ordered_json knobs = ordered_json::array();
  for (const lab::Knob& knob : scenario.knobs)
    knobs.push_back({{"name", knob.name}, {"values", knob.values}, {"meaning", knob.meaning}});
  return {{"name", scenario.name},
          {"ids", scenario.ids},
          {"summary", scenario.summary},
          {"lesson", scenario.lesson},
          {"knobs", std::move(knobs)}};
}

ordered_json json_of(const LadderRow& row, Instant start) {
  ordered_json packet{{"ms", milliseconds(row.time - start)},
                      {"from", row.direction == LadderDirection::Sent ? "client" : "server"}};
  if (!row.label.empty()) packet["connection"] = row.label;
  if (row.note.empty()) {
    packet["client"] = row.tuple.local.to_string();
    packet["server"] = row.tuple.remote.to_string();
    packet["flags"] = row.flags.bits;
    packet["seq"] = row.seq;
    if (row.flags.ack()) packet["ack"] = row.ack;
    packet["window"] = row.window;
  } else {
    packet["what"] = row.note;
  }
  packet["bytes"] = row.payload;
  if (!row.remark.empty()) packet["fate"] = row.remark;
  return packet;
}

ordered_json json_of(const LabRun& run) {
  const Instant start = beginning_of(run.outcome);
  ordered_json story = ordered_json::array(), settings = ordered_json::array(), counters = ordered_json::array(),
               packets = ordered_json::array();
  for (const lab::Remark& remark : run.outcome.story) {
    ordered_json one{{"ms", milliseconds(remark.time - start)}, {"text", remark.text}};
    if (remark.kind != lab::Remark::Kind::Said) one["holds"] = remark.kind == lab::Remark::Kind::Held;
    story.push_back(std::move(one));
  }
  for (const lab::SettingUsed& setting : run.outcome.settings)
    settings.push_back(
        {{"host", setting.host}, {"name", setting.name}, {"value", setting.value}, {"wished", setting.by_user}});
  for (const lab::CounterUsed& counter : run.outcome.counters)
    counters.push_back({{"host", counter.host}, {"name", counter.name}, {"value", counter.value}});
  for (const LadderRow& row : lab_ladder_rows(run.outcome)) packets.push_back(json_of(row, start));
  ordered_json result = json_of(*run.scenario);
  result["as_it_should_be"] = run.outcome.as_it_should_be();
  result["virtual_ms"] = milliseconds(run.outcome.lasted);
  result["story"] = std::move(story);
  result["settings"] = std::move(settings);
  result["counters"] = std::move(counters);
  result["packets"] = std::move(packets);
  return result;
}

}  // namespace

std::string lab_list(const std::vector<lab::Scenario>& scenarios, std::size_t width) {
  std::size_t longest = 0;
  for (const lab::Scenario& scenario : scenarios) longest = std::max(longest, scenario.name.size());
  const std::size_t indent = longest + 4;
  const std::size_t room = std::max<std::size_t>(std::min(width, kWidest), indent + 40) - indent;
  std::string text;
  for (const auto& [letter, topic] : kTopics) {
    std::string lines;
    for (const lab::Scenario& scenario : scenarios) {
      if (scenario.ids.front().front() != letter) continue;
      std::string summary = wrapped(fmt::format("{} ({})", scenario.summary, ids_of(scenario)), room);
      summary.pop_back();
      for (std::size_t at = 0; (at = summary.find('\n', at)) != std::string::npos; at += indent)
        summary.insert(++at, indent, ' ');
      lines += fmt::format("  {:<{}}  {}\n", scenario.name, longest, summary);
    }
    if (!lines.empty()) text += fmt::format("{}{}\n{}", text.empty() ? "" : "\n", topic, lines);
  }
  return text;
}

std::string lab_list_json(const std::vector<lab::Scenario>& scenarios) {
  ordered_json list = ordered_json::array();
  for (const lab::Scenario& scenario : scenarios) list.push_back(json_of(scenario));
  return list.dump(2) + '\n';
}

std::vector<LadderRow> lab_ladder_rows(const lab::Outcome& outcome) {
  LadderRecorder recorder(outcome.packets.size());
  for (const lab::SeenPacket& packet : outcome.packets)
    recorder.record(packet.time, packet.from_client ? LadderDirection::Sent : LadderDirection::Received,
                    packet.bytes.span(), packet.bytes.size());
  std::vector<LadderRow> rows = recorder.rows();
  std::map<std::pair<Endpoint, Endpoint>, std::size_t> connections;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].remark = outcome.packets[i].fate;
    if (!outcome.packets[i].what.empty()) rows[i].note = outcome.packets[i].what;
    if (rows[i].note.empty())
      connections.try_emplace(std::pair(rows[i].tuple.local, rows[i].tuple.remote), connections.size() + 1);
  }
  if (connections.size() < 2) return rows;
  for (LadderRow& row : rows)
    if (row.note.empty()) row.label = fmt::format("#{}", connections.at(std::pair(row.tuple.local, row.tuple.remote)));
  return rows;
}

std::string lab_report(const LabRun& run, const LadderStyle& wanted) {
  LadderStyle style = wanted;
  style.width = std::min(style.width, kWidest);
  const lab::Scenario& scenario = *run.scenario;
  const Instant start = beginning_of(run.outcome);
  const bool in_seconds = run.outcome.lasted >= std::chrono::seconds(1000);
  std::string text = fmt::format("{} ({})\n{}\n\n{}\n{}\nWhat happened, in {}:\n", scenario.name, ids_of(scenario),
                                 scenario.summary, wrapped(scenario.lesson, std::min<std::size_t>(style.width, 90)),
                                 ladder_text(run.outcome, style), in_seconds ? "seconds" : "milliseconds");
  for (const lab::Remark& remark : run.outcome.story)
    text += fmt::format("{:>8.{}f}  {} {}\n", milliseconds(remark.time - start) * (in_seconds ? 1e-3 : 1),
                        in_seconds ? 2 : 1, sign_of(remark.kind, style.unicode), remark.text);
  const std::string parts = settings_text(run) + counters_text(run.outcome) + knobs_text(scenario);
  if (!parts.empty()) text += '\n' + parts;
  return text + (run.outcome.as_it_should_be() ? "\nAs it should be.\n" : "\nNot as it should be.\n");
}

std::string lab_line(const LabRun& run) {
  const bool right = run.outcome.as_it_should_be();
  const auto checks = std::ranges::count_if(
      run.outcome.story, [](const lab::Remark& remark) { return remark.kind != lab::Remark::Kind::Said; });
  std::string text =
      fmt::format("{}  {:<28} {:>3} checks, {:>4} packets, {} of virtual time\n", right ? "ok   " : "WRONG",
                  run.scenario->name, checks, run.outcome.packets.size(),
                  sim::format_duration(std::chrono::floor<std::chrono::milliseconds>(run.outcome.lasted)));
  for (const lab::Remark& remark : run.outcome.story)
    if (remark.kind == lab::Remark::Kind::Failed) text += fmt::format("         {}\n", remark.text);
  return text;
}

std::string lab_summary(const std::vector<LabRun>& runs) {
  const auto right = std::ranges::count_if(runs, [](const LabRun& run) { return run.outcome.as_it_should_be(); });
  double seconds = 0;
  for (const LabRun& run : runs) seconds += run.seconds;
  return fmt::format("{} scenarios, {} as they should be, {} not; {:.1f} s.\n", runs.size(), right,
                     static_cast<std::ptrdiff_t>(runs.size()) - right, seconds);
}

std::string lab_json(const LabRun& run) { return json_of(run).dump(2) + '\n'; }

std::string lab_json(const std::vector<LabRun>& runs) {
  ordered_json list = ordered_json::array();
  for (const LabRun& run : runs) list.push_back(json_of(run));
  return list.dump(2) + '\n';
}

}  // namespace ff::cli
