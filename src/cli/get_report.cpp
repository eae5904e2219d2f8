#include "cli/get_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/text.hpp"

namespace ff::cli {
namespace {

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

std::string describe_first_byte(const FetchResult& result) {
  if (!result.first_byte) return "no byte came back";
  std::string time = fmt::format("first byte after {}", format_milliseconds(*result.first_byte));
  const auto round_trips = result.round_trips();
  if (!round_trips) return time;
  return fmt::format("{} = {:.1f} round trips of {}", time, *round_trips, format_milliseconds(result.rtt));
}

}  // namespace

std::string describe_syn(const FetchResult& result) {
  if (result.syn_data_bytes == 0) return fmt::format("SYN without data ({})", to_string(result.fast_open));
  if (result.fast_open == FastOpenOutcome::Accepted)
    return fmt::format("SYN carried {} of data, accepted", format_bytes(result.syn_data_bytes));
  return fmt::format("SYN carried {} of data, not accepted ({})", format_bytes(result.syn_data_bytes),
                     to_string(result.fast_open));
}

std::string failure_of(const FetchResult& result) {
  if (!result.error.empty()) return result.error;
  if (result.status >= 400) return fmt::format("{} {}", result.status, http::reason_phrase(result.status));
  return {};
}

std::string describe_fetch(const Url& url, unsigned visit, const FetchResult& result, const std::string& body_note) {
  const std::string elsewhere = result.location.empty() ? std::string() : fmt::format(", see {}", result.location);
  return fmt::format("visit {}  {}  {} {}, {}{}{}\n         {}; {}", visit, url.to_string(), result.status,
                     http::reason_phrase(result.status), format_bytes(result.body_bytes), body_note, elsewhere,
                     describe_first_byte(result), describe_syn(result));
}

nlohmann::ordered_json fetch_to_json(const Url& url, unsigned visit, const FetchResult& result) {
  nlohmann::ordered_json json;
  json["url"] = url.to_string();
  json["local"] = result.tuple.local.to_string();
  json["remote"] = result.tuple.remote.to_string();
  json["family"] = result.tuple.remote.address.is_v4() ? "IPv4" : "IPv6";
  json["visit"] = visit;
  json["status"] = result.status;
  json["bytes"] = result.body_bytes;
  json["first_byte_ms"] = nullptr;
  if (result.first_byte) json["first_byte_ms"] = milliseconds(*result.first_byte);
  json["rtt_ms"] = nullptr;
  if (result.rtt > Duration::zero()) json["rtt_ms"] = milliseconds(result.rtt);
  json["round_trips"] = nullptr;
  if (const auto round_trips = result.round_trips()) json["round_trips"] = *round_trips;
  json["total_ms"] = milliseconds(result.total);
  json["data_in_syn"] = result.syn_data_bytes > 0;
  json["syn_data_bytes"] = result.syn_data_bytes;
  json["fast_open_accepted"] = result.fast_open == FastOpenOutcome::Accepted;
  json["fast_open"] = std::string(to_string(result.fast_open));
  json["error"] = nullptr;
  if (const std::string failure = failure_of(result); !failure.empty()) json["error"] = failure;
  return json;
}

std::string progress_line(std::uint64_t done, std::optional<std::uint64_t> all, Duration elapsed, std::size_t width) {
  const double seconds = std::max(std::chrono::duration<double>(elapsed).count(), 1e-3);
  const std::string rate = format_bytes(static_cast<std::uint64_t>(static_cast<double>(done) / seconds));
  if (!all || *all == 0) return fmt::format("{}  {}/s", format_bytes(done), rate).substr(0, width);
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(*all));
  const std::string text =
      fmt::format(" {:3.0f} %  {} of {}  {}/s", 100 * part, format_bytes(done), format_bytes(*all), rate);
  if (text.size() + 12 > width) return text.substr(0, width);
  const std::size_t bar = std::min<std::size_t>(width - text.size() - 2, 40);
  const auto full = static_cast<std::size_t>(part * static_cast<double>(bar));
  return fmt::format("[{}{}]{}", std::string(full, '#'), std::string(bar - full, '.'), text);
}

}  // namespace ff::cli
