// Datagram sockets: UDP, and ICMP echo as Linux's "ping sockets" have it.
#pragma once

#include <cstdint>
#include <optional>

#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/error.hpp"
#include "firstflight/network.hpp"
#include "firstflight/stamps.hpp"

namespace ff {

struct DatagramId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: no socket
  friend bool operator==(DatagramId, DatagramId) noexcept = default;
};

enum class DatagramProtocol : std::uint8_t {
  Udp,
  // socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP): what is sent and received is an ICMP message from its type on. Only echo
  // requests can be sent and only replies come. The port is the identifier; the stack fills it in, and the checksum.
  Echo,
};

// What the IP headers of a socket's datagrams say.
struct DatagramHeader {
  std::optional<std::uint8_t> ttl{};  // nothing: ip_default_ttl, or 1 to a group
  std::uint8_t traffic_class = 0;     // IP_TOS: DSCP and ECN
  PathMtuDiscovery path_mtu_discovery = PathMtuDiscovery::Want;
};

// What one datagram has that others of its socket have not: the control messages of sendmsg().
struct DatagramExtras {
  std::optional<std::uint8_t> ttl{};            // IP_TTL, IPV6_HOPLIMIT
  std::optional<std::uint8_t> traffic_class{};  // IP_TOS, IPV6_TCLASS
  // IP_PKTINFO, IPV6_PKTINFO: which of our addresses it is from, and by which interface it leaves.
  std::optional<IpAddress> source{};
  std::optional<InterfaceId> interface{};
  StampRequest stamp{};
};

struct DatagramOptions {
  DatagramProtocol protocol = DatagramProtocol::Udp;
  // Address "any": every address of that family; :: takes IPv4 too unless ipv6_only. Port 0: an ephemeral one.
  Endpoint local{};
  bool ipv6_only = false;
  // Instead of a port, with an address "any": every port that no other socket has. It sends nothing.
  bool every_port = false;
  // SO_REUSEADDR: several sockets that all say so have one address and port; the one that came last hears of it.
  bool reuse_addr = false;
  // SO_REUSEPORT: several sockets that all say so share an address and port; senders are spread over them.
  bool reuse_port = false;
  // IP_RECVERR: every ICMP error about what was sent is kept for receive_error().
  bool receive_errors = false;
  // SO_RCVBUF and SO_SNDBUF: doubled, as Linux does to make room for its own bookkeeping; nothing: rmem_default and
  // wmem_default as they are.
  std::optional<std::uint32_t> receive_buffer{};
  std::optional<std::uint32_t> send_buffer{};
  DatagramHeader header{};
  std::uint64_t user_data = 0;  // comes back in events
};

// One that was received.
struct Datagram {
  Endpoint source;
  IpAddress destination;  // which of our addresses it came to
  std::uint16_t destination_port = 0;
  InterfaceId interface = 0;
  std::uint8_t ttl = 0;
  std::uint8_t traffic_class = 0;
  Instant at{};  // when it came
  Slice bytes;   // may be empty: datagrams of no bytes exist
};

// What the network said about a datagram that was sent: struct sock_extended_err.
struct DatagramError {
  Error error = Error::HostUnreachable;
  std::uint8_t type = 0, code = 0;          // of the ICMP message; 0, 0 when we found it out ourselves
  std::uint32_t mtu = 0;                    // with MessageTooLong
  std::optional<IpAddress> from;            // who says so; nothing: we do
  std::uint8_t ttl = 0, traffic_class = 0;  // of the packet that says so
  Endpoint destination;                     // where the datagram was to go
  Slice bytes;                              // what is quoted of it, headers not included
};

// What there is to know of a datagram socket.
struct DatagramInfo {
  DatagramProtocol protocol = DatagramProtocol::Udp;
  Endpoint local;
  std::optional<Endpoint> remote;    // when connected
  std::uint32_t receive_queue = 0;   // bytes of memory that wait to be read, overhead included
  std::uint32_t receive_buffer = 0;  // their bound
  std::uint32_t send_queue = 0;
  std::uint32_t send_buffer = 0;
  std::uint64_t drops = 0;  // datagrams for which there was no room
  std::uint64_t user_data = 0;
};

}  // namespace ff
