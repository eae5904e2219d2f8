#include "runtime/control_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "firstflight/counter_text.hpp"

namespace ff::control {
namespace {

// Sockets, or paths, in one line: some ten microseconds of work, and a line that fits a socket's buffer.
constexpr std::size_t kBatch = 64;

// An error quotes what was asked; not all of it.
std::string cut(std::string_view text) { return std::string(text.substr(0, 80)); }

// The strings of a list of strings; nothing when it is anything else.
std::optional<std::vector<std::string>> strings(const Json& json) {
  if (!json.is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const Json& item : json) {
    if (!item.is_string()) return std::nullopt;
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

std::expected<std::uint32_t, std::string> state_set(const Json& json) {
  const auto names = strings(json);
  if (!names) return std::unexpected("\"states\" must be a list of names such as \"ESTAB\"");
  std::uint32_t states = 0;
  for (const std::string& name : *names) {
    std::uint32_t bit = 0;
    for (std::size_t i = 0; i < kTcpStates; ++i)
      if (ss_name(static_cast<TcpState>(i)) == name) bit = SocketCursor::bit(static_cast<TcpState>(i));
    if (bit == 0) return std::unexpected(fmt::format("there is no state \"{}\"", cut(name)));
    states |= bit;
  }
  return states;
}

std::expected<SocketCursor, std::string> cursor_of(const Json& request) {
  std::uint32_t states = SocketCursor::kAllStates;
  bool tcp = true;
  bool udp = true;
  if (request.contains("states")) {
    const auto wanted = state_set(request["states"]);
    if (!wanted) return std::unexpected(wanted.error());
    states = *wanted;
  }
  if (request.contains("protocols")) {
    const auto names = strings(request["protocols"]);
    if (!names) return std::unexpected("\"protocols\" must be a list of \"tcp\" and \"udp\"");
    tcp = udp = false;
    for (const std::string& name : *names) {
      if (name != "tcp" && name != "udp")
        return std::unexpected(fmt::format("there is no protocol \"{}\"; there are tcp and udp", cut(name)));
      (name == "tcp" ? tcp : udp) = true;
    }
  }
  return SocketCursor(states, tcp, udp);
}

std::expected<std::vector<SettingAssignment>, std::string> assignments_of(const Json& request) {
  const auto wrong = std::unexpected<std::string>("\"settings\" must be a list of pairs, NAME and VALUE");
  if (!request.contains("settings") || !request["settings"].is_array()) return wrong;
  std::vector<SettingAssignment> assignments;
  for (const Json& item : request["settings"]) {
    const auto pair = strings(item);
    if (!pair || pair->size() != 2) return wrong;
    assignments.push_back({.name = (*pair)[0], .value = (*pair)[1]});
  }
  return assignments;
}

}  // namespace

Service::Service(Stack& stack, Identity identity) : stack_(stack), identity_(std::move(identity)) {
  add_command("hello", [this](Instant, const Json&) { return result(hello()); });
  add_command("settings", [this](Instant, const Json&) { return result(settings()); });
  add_command("set", [this](Instant, const Json& request) { return set(request); });
  add_command("counters", [this](Instant, const Json& request) { return counters(request); });
  add_command("sockets", [this](Instant, const Json& request) { return sockets(request); });
  add_command("metrics", [this](Instant now, const Json&) { return metrics(now); });
  add_command("flush_metrics", [this](Instant, const Json&) { return flush_metrics(); });
}

ControlSocket::Answer Service::result(Json value) {
  std::string line = to_line({{"ok", true}, {"result", std::move(value)}});
  return [line = std::optional(std::move(line))](Instant) mutable { return std::exchange(line, std::nullopt); };
}

ControlSocket::Answer Service::error(std::string_view sentence) {
  std::string line = to_line({{"ok", false}, {"error", sentence}});
  return [line = std::optional(std::move(line))](Instant) mutable { return std::exchange(line, std::nullopt); };
}

ControlSocket::Answer Service::respond(Instant now, std::string_view line) {
  const Json request = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (request.is_discarded() || !request.is_object()) return error("a request is one line with a JSON object");
  const auto command = request.find("command");
  if (command == request.end() || !command->is_string()) return error("a request needs a \"command\"");
  const auto found = commands_.find(command->get_ref<const std::string&>());
  if (found != commands_.end()) return found->second(now, request);
  std::vector<std::string_view> names;
  names.reserve(commands_.size());
  for (const auto& [name, handler] : commands_) names.push_back(name);
  return error(fmt::format("there is no command \"{}\"; there are {}", cut(command->get_ref<const std::string&>()),
                           fmt::join(names, ", ")));
}

Json Service::hello() const {
  return {{"program", identity_.program}, {"instance", identity_.instance}, {"pid", identity_.pid}};
}

Json Service::settings() const {
  Json list = Json::array();
  for (const SettingInfo& info : setting_list()) {
    list.push_back({{"name", info.name},
                    {"value", get_setting(stack_.settings(), info.name).value_or("")},
                    {"allowed", info.allowed},
                    {"meaning", info.meaning}});
  }
  return list;
}

ControlSocket::Answer Service::set(const Json& request) {
  const auto assignments = assignments_of(request);
  if (!assignments) return error(assignments.error());
  const auto done = stack_.set_settings(*assignments);
  return done ? result(Json::object()) : error(done.error());
}

ControlSocket::Answer Service::counters(const Json& request) const {
  const Counters& counters = stack_.counters();
  const auto format = request.find("format");
  if (format == request.end()) return result(encode(counters));
  const std::string name = format->is_string() ? format->get<std::string>() : std::string();
  if (name == "snmp") return result(proc_net_snmp(counters, stack_.settings()));
  if (name == "snmp6") return result(proc_net_snmp6(counters));
  if (name == "netstat") return result(proc_net_netstat(counters));
  if (name == "prometheus") return result(prometheus_text(counters));
  return error(fmt::format("there is no format \"{}\"; there are snmp, snmp6, netstat and prometheus", cut(name)));
}

// A batch to each line, made when the line before has gone: never more than one of them is in memory.
ControlSocket::Answer Service::sockets(const Json& request) const {
  auto cursor = cursor_of(request);
  if (!cursor) return error(cursor.error());
  return [this, cursor = *cursor, done = false](Instant now) mutable -> std::optional<std::string> {
    if (done) return std::nullopt;
    Json batch = Json::array();
    for (const SocketInfo& socket : stack_.sockets(now, cursor, kBatch)) batch.push_back(encode(socket, now));
    done = cursor.at_end();
    return to_line({{"ok", true}, {"more", !done}, {"result", std::move(batch)}});
  };
}

ControlSocket::Answer Service::metrics(Instant asked) const {
  return [paths = known_paths(stack_, asked), asked, next = std::size_t{0},
          done = false](Instant) mutable -> std::optional<std::string> {
    if (done) return std::nullopt;
    Json batch = Json::array();
    for (const std::size_t end = std::min(next + kBatch, paths.size()); next < end; ++next)
      batch.push_back(encode(paths[next], asked));
    done = next == paths.size();
    return to_line({{"ok", true}, {"more", !done}, {"result", std::move(batch)}});
  };
}

// As `ip tcp_metrics flush`, to which cookies belong, too.
ControlSocket::Answer Service::flush_metrics() {
  stack_.clear_tcp_metrics();
  stack_.clear_fast_open_cache();
  return result(Json::object());
}

}  // namespace ff::control
