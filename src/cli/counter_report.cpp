#include "cli/counter_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "cli/commands.hpp"
#include "firstflight/counters.hpp"

namespace ff::cli {
namespace {

// How netstat puts a counter: the number goes where {} is. Some are told even when they are 0. What has no words is
// printed as "Name: value", as netstat does.
struct Words {
  std::string_view group, name, text;
  bool always = false;
};

constexpr std::array kWords{
    Words{"Ip", "InReceives", "{} total packets received", true},
    Words{"Ip", "InHdrErrors", "{} with invalid headers"},
    Words{"Ip", "InAddrErrors", "{} with invalid addresses"},
    Words{"Ip", "InUnknownProtos", "{} with unknown protocol"},
    Words{"Ip", "InDiscards", "{} incoming packets discarded", true},
    Words{"Ip", "InDelivers", "{} incoming packets delivered", true},
    Words{"Ip", "OutRequests", "{} requests sent out", true},
    Words{"Ip", "OutDiscards", "{} outgoing packets dropped"},
    Words{"Ip", "OutNoRoutes", "{} dropped because of missing route"},
    Words{"Ip", "ReasmTimeout", "{} fragments dropped after timeout"},
    Words{"Ip", "ReasmReqds", "{} reassemblies required"},
    Words{"Ip", "ReasmOKs", "{} packets reassembled ok"},
    Words{"Ip", "ReasmFails", "{} packet reassemblies failed"},
    Words{"Ip", "FragOKs", "{} outgoing packets fragmented ok"},
    Words{"Ip", "FragFails", "{} outgoing packets failed fragmentation"},
    Words{"Ip", "FragCreates", "{} fragments created"},
    Words{"Icmp", "InMsgs", "{} ICMP messages received", true},
    Words{"Icmp", "InErrors", "{} input ICMP message failed", true},
    Words{"Icmp", "OutMsgs", "{} ICMP messages sent", true},
    Words{"Icmp", "OutErrors", "{} ICMP messages failed", true},
    Words{"Tcp", "ActiveOpens", "{} active connection openings", true},
    Words{"Tcp", "PassiveOpens", "{} passive connection openings", true},
    Words{"Tcp", "AttemptFails", "{} failed connection attempts", true},
    Words{"Tcp", "EstabResets", "{} connection resets received", true},
    Words{"Tcp", "CurrEstab", "{} connections established", true},
    Words{"Tcp", "InSegs", "{} segments received", true},
    Words{"Tcp", "OutSegs", "{} segments sent out", true},
    Words{"Tcp", "RetransSegs", "{} segments retransmitted", true},
    Words{"Tcp", "InErrs", "{} bad segments received", true},
    Words{"Tcp", "OutRsts", "{} resets sent", true},
    Words{"Udp", "InDatagrams", "{} packets received", true},
    Words{"Udp", "NoPorts", "{} packets to unknown port received", true},
    Words{"Udp", "InErrors", "{} packet receive errors", true},
    Words{"Udp", "OutDatagrams", "{} packets sent", true},
    Words{"Udp", "RcvbufErrors", "{} receive buffer errors", true},
    Words{"Udp", "SndbufErrors", "{} send buffer errors", true},
    Words{"TcpExt", "SyncookiesSent", "{} SYN cookies sent"},
    Words{"TcpExt", "SyncookiesRecv", "{} SYN cookies received"},
    Words{"TcpExt", "SyncookiesFailed", "{} invalid SYN cookies received"},
    Words{"TcpExt", "EmbryonicRsts", "{} resets received for embryonic SYN_RECV sockets"},
    Words{"TcpExt", "PruneCalled", "{} packets pruned from receive queue because of socket buffer overrun"},
    Words{"TcpExt", "RcvPruned", "{} packets pruned from receive queue"},
    Words{"TcpExt", "OfoPruned", "{} packets dropped from out-of-order queue because of socket buffer overrun"},
    Words{"TcpExt", "OutOfWindowIcmps", "{} ICMP packets dropped because they were out-of-window"},
    Words{"TcpExt", "TW", "{} TCP sockets finished time wait in fast timer"},
    Words{"TcpExt", "TWRecycled", "{} time wait sockets recycled by time stamp"},
    Words{"TcpExt", "TWKilled", "{} TCP sockets finished time wait in slow timer"},
    Words{"TcpExt", "PAWSActive", "{} active connections rejected because of time stamp"},
    Words{"TcpExt", "PAWSEstab", "{} packets rejected in established connections because of timestamp"},
    Words{"TcpExt", "DelayedACKs", "{} delayed acks sent"},
    Words{"TcpExt", "DelayedACKLost", "Quick ack mode was activated {} times"},
    Words{"TcpExt", "ListenOverflows", "{} times the listen queue of a socket overflowed"},
    Words{"TcpExt", "ListenDrops", "{} SYNs to LISTEN sockets dropped"},
    Words{"TcpExt", "TCPPureAcks", "{} acknowledgments not containing data payload received"},
    Words{"TcpExt", "TCPRenoRecovery", "{} times recovered from packet loss due to fast retransmit"},
    Words{"TcpExt", "TCPSackRecovery", "{} times recovered from packet loss by selective acknowledgements"},
    Words{"TcpExt", "TCPSACKReneging", "{} bad SACK blocks received"},
    Words{"TcpExt", "TCPFullUndo", "{} congestion windows fully recovered without slow start"},
    Words{"TcpExt", "TCPDSACKUndo", "{} congestion windows recovered without slow start by DSACK"},
    Words{"TcpExt", "TCPLostRetransmit", "{} retransmits lost"},
    Words{"TcpExt", "TCPFastRetrans", "{} fast retransmits"},
    Words{"TcpExt", "TCPSlowStartRetrans", "{} retransmits in slow start"},
    Words{"TcpExt", "TCPTimeouts", "{} other TCP timeouts"},
    Words{"TcpExt", "TCPDSACKOldSent", "{} DSACKs sent for old packets"},
    Words{"TcpExt", "TCPDSACKOfoSent", "{} DSACKs sent for out of order packets"},
    Words{"TcpExt", "TCPDSACKRecv", "{} DSACKs received"},
    Words{"TcpExt", "TCPAbortOnData", "{} connections reset due to unexpected data"},
    Words{"TcpExt", "TCPAbortOnClose", "{} connections reset due to early user close"},
    Words{"TcpExt", "TCPAbortOnMemory", "{} connections aborted due to memory pressure"},
    Words{"TcpExt", "TCPAbortOnTimeout", "{} connections aborted due to timeout"},
    Words{"TcpExt", "TCPAbortOnLinger", "{} connections aborted after user close in linger timeout"},
    Words{"TcpExt", "TCPMemoryPressures", "TCP ran low on memory {} times"},
};

// Counts of ICMP messages by type stand in a histogram of their own.
struct Histogram {
  std::string_view group, title;
  std::array<std::pair<std::string_view, std::string_view>, 5> types;  // counter, words
};
constexpr std::array kHistograms{
    Histogram{"Icmp",
              "ICMP input histogram:",
              {{{"InDestUnreachs", "destination unreachable"},
                {"InTimeExcds", "timeout in transit"},
                {"InParmProbs", "wrong parameters"},
                {"InEchos", "echo requests"},
                {"InEchoReps", "echo replies"}}}},
    Histogram{"Icmp",
              "ICMP output histogram:",
              {{{"OutDestUnreachs", "destination unreachable"},
                {"OutTimeExcds", "time exceeded"},
                {"OutParmProbs", "wrong parameters"},
                {"OutEchos", "echo requests"},
                {"OutEchoReps", "echo replies"}}}},
};

std::string fill_in(std::string_view words, std::uint64_t value) {
  const std::size_t gap = words.find("{}");
  return fmt::format("{}{}{}", words.substr(0, gap), value, words.substr(gap + 2));
}

// Groups of IPv6 have the words of IPv4's.
std::string_view group_with_words(std::string_view group) {
  if (group == "Ip6") return "Ip";
  if (group == "Icmp6") return "Icmp";
  return group == "Udp6" ? "Udp" : group;
}

const Histogram* histogram_of(std::string_view group, std::string_view name) {
  for (const Histogram& histogram : kHistograms) {
    if (histogram.group != group) continue;
    for (const auto& [counter, words] : histogram.types)
      if (counter == name) return &histogram;
  }
  return nullptr;
}

// One line, or nothing for what is 0 and not always told.
std::string line_of(const NamedCount& count) {
  const std::string_view group = group_with_words(count.group);
  const auto words =
      std::ranges::find_if(kWords, [&](const Words& w) { return w.group == group && w.name == count.name; });
  if (words != kWords.end() && (words->always || count.value != 0))
    return fmt::format("    {}\n", fill_in(words->text, count.value));
  return count.value != 0 ? fmt::format("    {}: {}\n", count.name, count.value) : std::string();
}

// The counters of one group, in the order of the registry, histograms last.
std::string section(std::string_view group, const std::vector<NamedCount>& counts) {
  std::string lines;
  std::array<std::string, kHistograms.size()> histograms;
  for (const NamedCount& count : counts) {
    if (count.group != group) continue;
    const Histogram* histogram = histogram_of(group, count.name);
    if (histogram == nullptr) {
      lines += line_of(count);
    } else if (count.value != 0) {
      const auto words = std::ranges::find(histogram->types, count.name, [](const auto& t) { return t.first; });
      histograms[static_cast<std::size_t>(histogram - kHistograms.data())] +=
          fmt::format("        {}: {}\n", words->second, count.value);
    }
  }
  for (std::size_t i = 0; i < kHistograms.size(); ++i)
    if (kHistograms[i].group == group) lines += fmt::format("    {}\n{}", kHistograms[i].title, histograms[i]);
  return lines;
}

std::string drops_section(const std::vector<NamedCount>& counts) {
  std::string lines;
  for (std::size_t i = 0; i < static_cast<std::size_t>(DropReason::kCount); ++i) {
    const auto reason = static_cast<DropReason>(i);
    for (const NamedCount& count : counts)
      if (count.group == "drops" && count.name == name_of(reason) && count.value != 0)
        lines += fmt::format("    {}: {} ({})\n", count.name, count.value, describe(reason));
  }
  return lines;
}

}  // namespace

std::vector<NamedCount> counts_of(const control::Json& counters) {
  std::vector<NamedCount> counts;
  for (const auto& [group, names] : counters.items()) {
    for (const auto& [name, value] : names.items()) {
      if (!value.is_number_unsigned()) throw Failure("the stack counts as another version of firstflight does");
      counts.push_back({group, name, value.get<std::uint64_t>()});
    }
  }
  return counts;
}

std::string netstat_report(const std::vector<NamedCount>& counts, const std::vector<std::string>& wanted) {
  std::vector<std::string> groups;
  for (const NamedCount& count : counts)
    if (groups.empty() || groups.back() != count.group) groups.push_back(count.group);
  std::string report;
  for (const std::string& group : groups) {
    if (!wanted.empty() && std::ranges::find(wanted, group) == wanted.end()) continue;
    const bool drops = group == "drops";
    const std::string title = drops ? "Drops" : group == "fast_open" ? "FastOpen" : group;
    report += fmt::format("{}:\n{}", title, drops ? drops_section(counts) : section(group, counts));
  }
  return report;
}

std::string nstat_name(const NamedCount& count) {
  if (count.group == "drops") return "Drop" + count.name;
  if (count.group == "fast_open") return "FastOpen" + count.name;
  return count.group + count.name;
}

bool is_gauge(const NamedCount& count) { return count.group == "Tcp" && count.name == "CurrEstab"; }

}  // namespace ff::cli
