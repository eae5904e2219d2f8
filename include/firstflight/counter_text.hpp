// All counters of a stack in the forms that other programs read.
#pragma once

#include <string>

#include "firstflight/counters.hpp"
#include "firstflight/settings.hpp"

namespace ff {

// Pairs of lines, "Tcp: ActiveOpens ..." and "Tcp: 3 ...", as in /proc/net/snmp: the groups Ip, Icmp, Tcp and Udp.
// Readers find a counter by its name, so the lines hold what this stack counts, and nothing that would always be 0
// because it does not.
std::string proc_net_snmp(const Counters& counters, const Settings& settings);

// The same for the groups of /proc/net/netstat: TcpExt and IpExt.
std::string proc_net_netstat(const Counters& counters);

// One counter on each line, as in /proc/net/snmp6: "Ip6InReceives 3".
std::string proc_net_snmp6(const Counters& counters);

// Prometheus' text format 0.0.4: firstflight_Tcp_ActiveOpens and so on (the names of its node exporter, under our
// prefix), drops and Fast Open outcomes with labels.
std::string prometheus_text(const Counters& counters);

}  // namespace ff
