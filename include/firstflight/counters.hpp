// What a stack counts, under the names of Linux's /proc/net/snmp and /proc/net/netstat.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "firstflight/fast_open.hpp"

namespace ff {

// X(group, name): group is the line of /proc/net/snmp or /proc/net/netstat that carries the counter.
#define FF_COUNTERS(X)                 \
  X(Ip, InReceives)                    \
  X(Ip, InHdrErrors)                   \
  X(Ip, InAddrErrors)                  \
  X(Ip, InUnknownProtos)               \
  X(Ip, InDelivers)                    \
  X(Ip, OutRequests)                   \
  X(Ip, OutDiscards)                   \
  X(Ip, OutNoRoutes)                   \
  X(Ip, ReasmTimeout)                  \
  X(Ip, ReasmReqds)                    \
  X(Ip, ReasmOKs)                      \
  X(Ip, ReasmFails)                    \
  X(Ip, FragOKs)                       \
  X(Ip, FragFails)                     \
  X(Ip, FragCreates)                   \
  X(Ip6, InReceives)                   \
  X(Ip6, InHdrErrors)                  \
  X(Ip6, InAddrErrors)                 \
  X(Ip6, InUnknownProtos)              \
  X(Ip6, InDelivers)                   \
  X(Ip6, OutRequests)                  \
  X(Ip6, OutDiscards)                  \
  X(Ip6, OutNoRoutes)                  \
  X(Ip6, ReasmTimeout)                 \
  X(Ip6, ReasmReqds)                   \
  X(Ip6, ReasmOKs)                     \
  X(Ip6, ReasmFails)                   \
  X(Ip6, FragOKs)                      \
  X(Ip6, FragFails)                    \
  X(Ip6, FragCreates)                  \
  X(Ip6, InNoECTPkts)                  \
  X(Ip6, InECT1Pkts)                   \
  X(Ip6, InECT0Pkts)                   \
  X(Ip6, InCEPkts)                     \
  X(Icmp, InMsgs)                      \
  X(Icmp, InErrors)                    \
  X(Icmp, InCsumErrors)                \
  X(Icmp, InDestUnreachs)              \
  X(Icmp, InTimeExcds)                 \
  X(Icmp, InParmProbs)                 \
  X(Icmp, InEchos)                     \
  X(Icmp, InEchoReps)                  \
  X(Icmp, OutMsgs)                     \
  X(Icmp, OutErrors)                   \
  X(Icmp, OutRateLimitGlobal)          \
  X(Icmp, OutRateLimitHost)            \
  X(Icmp, OutDestUnreachs)             \
  X(Icmp, OutTimeExcds)                \
  X(Icmp, OutEchos)                    \
  X(Icmp, OutEchoReps)                 \
  X(Icmp6, InMsgs)                     \
  X(Icmp6, InErrors)                   \
  X(Icmp6, InCsumErrors)               \
  X(Icmp6, InDestUnreachs)             \
  X(Icmp6, InPktTooBigs)               \
  X(Icmp6, InTimeExcds)                \
  X(Icmp6, InParmProblems)             \
  X(Icmp6, InEchos)                    \
  X(Icmp6, InEchoReplies)              \
  X(Icmp6, InNeighborSolicits)         \
  X(Icmp6, InNeighborAdvertisements)   \
  X(Icmp6, OutMsgs)                    \
  X(Icmp6, OutErrors)                  \
  X(Icmp6, OutRateLimitHost)           \
  X(Icmp6, OutDestUnreachs)            \
  X(Icmp6, OutTimeExcds)               \
  X(Icmp6, OutParmProblems)            \
  X(Icmp6, OutEchos)                   \
  X(Icmp6, OutEchoReplies)             \
  X(Icmp6, OutNeighborSolicits)        \
  X(Icmp6, OutNeighborAdvertisements)  \
  X(Tcp, ActiveOpens)                  \
  X(Tcp, PassiveOpens)                 \
  X(Tcp, AttemptFails)                 \
  X(Tcp, EstabResets)                  \
  X(Tcp, CurrEstab)                    \
  X(Tcp, InSegs)                       \
  X(Tcp, OutSegs)                      \
  X(Tcp, RetransSegs)                  \
  X(Tcp, InErrs)                       \
  X(Tcp, OutRsts)                      \
  X(Tcp, InCsumErrors)                 \
  X(Udp, InDatagrams)                  \
  X(Udp, NoPorts)                      \
  X(Udp, InErrors)                     \
  X(Udp, OutDatagrams)                 \
  X(Udp, RcvbufErrors)                 \
  X(Udp, SndbufErrors)                 \
  X(Udp, InCsumErrors)                 \
  X(Udp6, InDatagrams)                 \
  X(Udp6, NoPorts)                     \
  X(Udp6, InErrors)                    \
  X(Udp6, OutDatagrams)                \
  X(Udp6, RcvbufErrors)                \
  X(Udp6, SndbufErrors)                \
  X(Udp6, InCsumErrors)                \
  X(TcpExt, SyncookiesSent)            \
  X(TcpExt, SyncookiesRecv)            \
  X(TcpExt, SyncookiesFailed)          \
  X(TcpExt, TCPDeferAcceptDrop)        \
  X(TcpExt, TCPAbortOnMemory)          \
  X(TcpExt, TWRecycled)                \
  X(TcpExt, EmbryonicRsts)             \
  X(TcpExt, PruneCalled)               \
  X(TcpExt, RcvPruned)                 \
  X(TcpExt, OfoPruned)                 \
  X(TcpExt, OutOfWindowIcmps)          \
  X(TcpExt, TW)                        \
  X(TcpExt, PAWSActive)                \
  X(TcpExt, PAWSEstab)                 \
  X(TcpExt, DelayedACKs)               \
  X(TcpExt, ListenOverflows)           \
  X(TcpExt, ListenDrops)               \
  X(TcpExt, TCPPureAcks)               \
  X(TcpExt, TCPRenoRecovery)           \
  X(TcpExt, TCPSackRecovery)           \
  X(TcpExt, TCPSACKReneging)           \
  X(TcpExt, TCPSACKReorder)            \
  X(TcpExt, TCPTSReorder)              \
  X(TcpExt, TCPFullUndo)               \
  X(TcpExt, TCPPartialUndo)            \
  X(TcpExt, TCPDSACKUndo)              \
  X(TcpExt, TCPLossUndo)               \
  X(TcpExt, TCPLostRetransmit)         \
  X(TcpExt, TCPFastRetrans)            \
  X(TcpExt, TCPSlowStartRetrans)       \
  X(TcpExt, TCPTimeouts)               \
  X(TcpExt, TCPLossProbes)             \
  X(TcpExt, TCPLossProbeRecovery)      \
  X(TcpExt, TCPDSACKOldSent)           \
  X(TcpExt, TCPDSACKRecv)              \
  X(TcpExt, TCPDSACKOfoRecv)           \
  X(TcpExt, TCPAbortOnData)            \
  X(TcpExt, TCPAbortOnClose)           \
  X(TcpExt, TCPAbortOnTimeout)         \
  X(TcpExt, TCPAbortOnLinger)          \
  X(TcpExt, TCPSACKDiscard)            \
  X(TcpExt, TCPDSACKIgnoredOld)        \
  X(TcpExt, TCPDSACKIgnoredNoUndo)     \
  X(TcpExt, TCPSpuriousRTOs)           \
  X(TcpExt, TCPRcvCollapsed)           \
  X(TcpExt, TCPMemoryPressures)        \
  X(TcpExt, TCPMemoryPressuresChrono)  \
  X(TcpExt, TCPRcvQDrop)               \
  X(TcpExt, TCPOFOQueue)               \
  X(TcpExt, TCPOFODrop)                \
  X(TcpExt, TCPOFOMerge)               \
  X(TcpExt, TCPChallengeACK)           \
  X(TcpExt, TCPSYNChallenge)           \
  X(TcpExt, TCPACKSkippedChallenge)    \
  X(TcpExt, TCPTimeWaitOverflow)       \
  X(TcpExt, TCPReqQFullDoCookies)      \
  X(TcpExt, TCPReqQFullDrop)           \
  X(TcpExt, TCPWinProbe)               \
  X(TcpExt, TCPSynRetrans)             \
  X(TcpExt, TCPOrigDataSent)           \
  X(TcpExt, TCPDelivered)              \
  X(TcpExt, TCPDeliveredCE)            \
  X(TcpExt, TCPKeepAlive)              \
  X(TcpExt, TCPMTUPFail)               \
  X(TcpExt, TCPMTUPSuccess)            \
  X(TcpExt, TCPFastOpenActive)         \
  X(TcpExt, TCPFastOpenActiveFail)     \
  X(TcpExt, TCPFastOpenPassive)        \
  X(TcpExt, TCPFastOpenPassiveFail)    \
  X(TcpExt, TCPFastOpenListenOverflow) \
  X(TcpExt, TCPFastOpenCookieReqd)     \
  X(TcpExt, TCPFastOpenBlackhole)      \
  X(TcpExt, TCPFastOpenPassiveAltKey)  \
  X(TcpExt, TCPMigrateReqSuccess)      \
  X(TcpExt, TCPMigrateReqFailure)      \
  X(IpExt, InNoECTPkts)                \
  X(IpExt, InECT1Pkts)                 \
  X(IpExt, InECT0Pkts)                 \
  X(IpExt, InCEPkts)                   \
  X(IpExt, ReasmOverlaps)

// Why a packet was dropped. Each has a counter of its own; one packet counts under one reason.
#define FF_DROP_REASONS(X)                                                          \
  X(IpTruncated, "shorter than its IP header says")                                 \
  X(IpVersion, "neither IPv4 nor IPv6")                                             \
  X(IpHeader, "malformed IP header")                                                \
  X(IpChecksum, "wrong IPv4 header checksum")                                       \
  X(IpMartianSource, "source address that no host can have")                        \
  X(IpNotForUs, "destination is no address of this stack")                          \
  X(IpFragment, "malformed fragment")                                               \
  X(IpFragmentOverlap, "fragments that overlap")                                    \
  X(IpFragmentTimeout, "the other fragments did not come in time")                  \
  X(IpFragmentMemory, "bound on fragments kept reached")                            \
  X(IpHopLimit, "neighbour discovery from beyond the link")                         \
  X(IpTooBig, "larger than the path carries and not to be fragmented")              \
  X(EthernetHeader, "malformed Ethernet frame")                                     \
  X(EthernetNotForUs, "Ethernet frame to another host")                             \
  X(EthernetType, "neither IPv4, IPv6 nor ARP")                                     \
  X(ArpMalformed, "malformed ARP message")                                          \
  X(NeighbourIgnored, "ARP or neighbour discovery that is of no use here")          \
  X(NeighbourDiscovery, "malformed neighbour discovery message")                    \
  X(NeighbourTableFull, "bound on neighbours reached")                              \
  X(NeighbourQueueFull, "bound on packets that wait for a neighbour reached")       \
  X(NeighbourFailed, "no answer from the neighbour")                                \
  X(IpExtensionHeader, "IPv6 extension header that is malformed or not understood") \
  X(IpProtocol, "neither TCP, UDP nor ICMP")                                        \
  X(TcpTruncated, "shorter than its TCP header says")                               \
  X(TcpHeader, "malformed TCP header")                                              \
  X(TcpOptions, "malformed TCP options")                                            \
  X(TcpChecksum, "wrong TCP checksum")                                              \
  X(TcpFlags, "flags that make no sense in this state")                             \
  X(TcpNoSocket, "no socket; answered by RST")                                      \
  X(TcpResetForNoSocket, "RST for a connection that does not exist")                \
  X(TcpUnacceptable, "outside the receive window")                                  \
  X(TcpOldDuplicate, "old duplicate")                                               \
  X(TcpPaws, "timestamp older than the last (PAWS)")                                \
  X(TcpBadAck, "acknowledges what was never sent, or too old")                      \
  X(TcpNoAckFlag, "no ACK flag on a synchronized connection")                       \
  X(TcpResetSequence, "RST with a sequence number that is not exact")               \
  X(TcpSynInWindow, "SYN on a synchronized connection")                             \
  X(TcpOutOfOrderFull, "out-of-order queue full")                                   \
  X(TcpMemory, "memory of the stack used up (tcp_mem)")                             \
  X(TcpAfterClose, "data after close; answered by RST")                             \
  X(TcpAfterFin, "data behind the peer's FIN")                                      \
  X(TcpAcceptQueueFull, "accept queue full")                                        \
  X(TcpSynQueueFull, "SYN queue full")                                              \
  X(TcpGroup, "TCP to a group, or from a broadcast address")                        \
  X(TcpConnectionLimit, "bound on connections reached")                             \
  X(TcpTimeWait, "not acceptable in TIME_WAIT")                                     \
  X(UdpTruncated, "malformed UDP header")                                           \
  X(UdpChecksum, "wrong UDP checksum")                                              \
  X(UdpNoSocket, "no UDP socket")                                                   \
  X(UdpReceiveBufferFull, "receive buffer of the datagram socket full")             \
  X(IcmpTruncated, "malformed ICMP message")                                        \
  X(IcmpChecksum, "wrong ICMP checksum")                                            \
  X(IcmpUnknown, "ICMP message of a type that is not handled")                      \
  X(IcmpNoSocket, "ICMP error about a connection that does not exist")              \
  X(IcmpSequence, "ICMP error about bytes that are not in flight")                  \
  X(IcmpIgnored, "ICMP error that changes nothing")                                 \
  X(TransmitQueueFull, "bound on queued resets and acknowledgements reached")

enum class Counter : std::uint16_t {
#define FF_X(group, name) group##_##name,
  FF_COUNTERS(FF_X)
#undef FF_X
      kCount
};

enum class DropReason : std::uint16_t {
#define FF_X(name, text) name,
  FF_DROP_REASONS(FF_X)
#undef FF_X
      kCount
};

// "TcpExt" and "TCPFastOpenActive" of Counter::TcpExt_TCPFastOpenActive.
std::string_view group_of(Counter) noexcept;
std::string_view name_of(Counter) noexcept;
// "TcpChecksum", and what it means in a phrase.
std::string_view name_of(DropReason) noexcept;
std::string_view describe(DropReason) noexcept;

// All counters of one stack. CurrEstab is a gauge, all others only grow.
class Counters {
 public:
  void add(Counter counter, std::uint64_t count = 1) noexcept { values_[static_cast<std::size_t>(counter)] += count; }
  void subtract(Counter counter) noexcept { --values_[static_cast<std::size_t>(counter)]; }
  void drop(DropReason reason) noexcept { ++drops_[static_cast<std::size_t>(reason)]; }
  void end(FastOpenOutcome outcome) noexcept { ++fast_open_[static_cast<std::size_t>(outcome)]; }

  [[nodiscard]] std::uint64_t operator[](Counter counter) const noexcept {
    return values_[static_cast<std::size_t>(counter)];
  }
  [[nodiscard]] std::uint64_t operator[](DropReason reason) const noexcept {
    return drops_[static_cast<std::size_t>(reason)];
  }
  // How many SYNs, sent or received, that had to do with Fast Open came to this end.
  [[nodiscard]] std::uint64_t operator[](FastOpenOutcome outcome) const noexcept {
    return fast_open_[static_cast<std::size_t>(outcome)];
  }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(Counter::kCount)> values_{};
  std::array<std::uint64_t, static_cast<std::size_t>(DropReason::kCount)> drops_{};
  std::array<std::uint64_t, kFastOpenOutcomes> fast_open_{};
};

}  // namespace ff
