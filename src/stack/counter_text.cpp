#include "firstflight/counter_text.hpp"

#include <algorithm>
#include <span>

namespace ff {
namespace {

template <typename Visit>
void for_each_counter(Visit&& visit) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(Counter::kCount); ++i) visit(static_cast<Counter>(i));
}

// Values of a group that are no counters but stand on its line.
struct Constant {
  std::string_view name;
  std::string value;
};

// Two lines for a group, or nothing where there is nothing of it.
std::string line_pair(std::string_view group, const Counters& counters, std::span<const Constant> constants = {}) {
  std::string names(group);
  std::string values(group);
  names += ':';
  values += ':';
  const std::size_t empty = names.size();
  const auto put = [&](std::string_view name, const std::string& value) {
    names.append(" ").append(name);
    values.append(" ").append(value);
  };
  for (const Constant& constant : constants) put(constant.name, constant.value);
  for_each_counter([&](Counter counter) {
    if (group_of(counter) == group) put(name_of(counter), std::to_string(counters[counter]));
  });
  return names.size() == empty ? std::string() : names + '\n' + values + '\n';
}

void help(std::string& text, std::string_view metric, std::string_view type, std::string_view meaning) {
  text.append("# HELP ").append(metric).append(" ").append(meaning).append("\n");
  text.append("# TYPE ").append(metric).append(" ").append(type).append("\n");
}

void sample(std::string& text, std::string_view metric, std::string_view label, std::string_view value,
            std::uint64_t count) {
  text.append(metric).append("{").append(label).append("=\"").append(value).append("\"} ");
  text.append(std::to_string(count)).append("\n");
}

}  // namespace

std::string proc_net_snmp(const Counters& counters, const Settings& settings) {
  // Forwarding: RFC 1213's ipForwarding, 2 is "not-forwarding".
  const Constant ip[] = {{"Forwarding", "2"}, {"DefaultTTL", std::to_string(settings.ip_default_ttl)}};
  // RFC 4022's tcpRtoAlgorithm is "other" on Linux, and here; the bounds of the RTO are milliseconds.
  const Constant tcp[] = {{"RtoAlgorithm", "1"}, {"RtoMin", "200"}, {"RtoMax", "120000"}, {"MaxConn", "-1"}};
  return line_pair("Ip", counters, ip) + line_pair("Icmp", counters) + line_pair("Tcp", counters, tcp) +
         line_pair("Udp", counters);
}

std::string proc_net_netstat(const Counters& counters) {
  return line_pair("TcpExt", counters) + line_pair("IpExt", counters);
}

std::string proc_net_snmp6(const Counters& counters) {
  std::string text;
  for_each_counter([&](Counter counter) {
    if (!group_of(counter).contains('6')) return;
    std::string name(group_of(counter));
    name += name_of(counter);
    name.resize(std::max<std::size_t>(name.size(), 32), ' ');
    text.append(name).append("\t").append(std::to_string(counters[counter])).append("\n");
  });
  return text;
}

std::string prometheus_text(const Counters& counters) {
  std::string text;
  for_each_counter([&](Counter counter) {
    std::string metric = "firstflight_";
    metric.append(group_of(counter)).append("_").append(name_of(counter));
    const bool gauge = counter == Counter::Tcp_CurrEstab;
    std::string meaning = "Linux's ";
    help(text, metric, gauge ? "gauge" : "counter",
         meaning.append(group_of(counter)).append(": ").append(name_of(counter)));
    text.append(metric).append(" ").append(std::to_string(counters[counter])).append("\n");
  });
  help(text, "firstflight_drops_total", "counter", "Packets dropped, by reason");
  for (std::size_t i = 0; i < static_cast<std::size_t>(DropReason::kCount); ++i) {
    const auto reason = static_cast<DropReason>(i);
    sample(text, "firstflight_drops_total", "reason", name_of(reason), counters[reason]);
  }
  help(text, "firstflight_fast_open_total", "counter", "SYNs that had to do with Fast Open, by how that ended");
  for (std::size_t i = 0; i < kFastOpenOutcomes; ++i) {
    const auto outcome = static_cast<FastOpenOutcome>(i);
    sample(text, "firstflight_fast_open_total", "outcome", name_of(outcome), counters[outcome]);
  }
  return text;
}

}  // namespace ff
