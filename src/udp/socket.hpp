// A datagram socket: what waits to be read and to be sent, each within its bound, and the errors that the network
// reported.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <optional>

#include "base/ring.hpp"
#include "firstflight/datagram.hpp"
#include "firstflight/settings.hpp"
#include "udp/port_table.hpp"
#include "wire/icmp.hpp"

namespace ff::udp {

using Hook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// One that waits to be sent.
struct Outgoing {
  FourTuple tuple;
  InterfaceId interface = 0;
  DatagramHeader header;
  Slice bytes;
  StampRequest stamp;
};

// What an ICMP error says of a datagram of ours.
struct Report {
  wire::IcmpKind kind = wire::IcmpKind::Other;
  std::uint8_t type = 0, code = 0;
  std::uint32_t mtu = 0;
  std::optional<IpAddress> from;
  std::uint8_t ttl = 0, traffic_class = 0;  // of the packet that brought it
};

class Socket {
 public:
  explicit Socket(std::uint32_t its_index) noexcept : index(its_index) {}

  void open(const DatagramOptions& options, const Settings& settings);
  void set_options(const DatagramOptions& options, const Settings& settings);

  // False when there is no room: as Linux, one datagram may go over the bound, so that any fits an empty queue.
  bool deliver(Datagram datagram);
  Result<Datagram> receive();

  [[nodiscard]] bool may_send() const noexcept { return send_bytes_ < send_limit_; }
  void queue(Outgoing datagram);
  Outgoing take_outgoing();
  [[nodiscard]] bool has_outgoing() const noexcept { return !outgoing_.empty(); }
  // The application found no room; the first that there is again will be an event.
  void wants_room() noexcept { wants_room_ = true; }

  // True when the application has something to hear.
  bool report(const Report& report, const Endpoint& destination, ByteSpan quoted);
  Result<DatagramError> next_error();
  void stamp(TransmitStamp stamp);
  Result<TransmitStamp> next_stamp();
  // An error of a connected socket is told once, by whatever call comes next.
  std::optional<Error> take_pending_error() noexcept { return std::exchange(pending_error_, std::nullopt); }

  [[nodiscard]] DatagramInfo info() const;
  [[nodiscard]] std::uint8_t take_events() noexcept { return std::exchange(events, std::uint8_t{0}); }

  const std::uint32_t index;
  DatagramProtocol protocol = DatagramProtocol::Udp;
  Binding binding;                 // as opened
  IpAddress source;                // what it sends from; any: what the route says
  std::optional<Endpoint> remote;  // when connected
  std::optional<FourTuple> tuple;  // likewise: how the table knows it
  DatagramHeader header;
  std::uint64_t user_data = 0;
  std::uint8_t events = 0;
  Hook event_hook;     // linked: the application has something to hear
  Hook transmit_hook;  // linked: something waits to be sent

 private:
  // What a place in a queue, the head of a block of memory and the allocator take for one datagram, rounded up.
  static constexpr std::uint32_t kOverhead = 256;
  // Errors that nobody reads: the oldest go.
  static constexpr std::size_t kMaxErrors = 64;
  static constexpr std::size_t kMaxStamps = 256;  // the newest
  static std::uint32_t cost(const Slice& bytes) noexcept { return bytes.size() + kOverhead; }

  Ring<Datagram> received_;
  Ring<Outgoing> outgoing_;
  Ring<DatagramError> errors_;
  Ring<TransmitStamp> stamps_;
  std::uint32_t receive_bytes_ = 0, receive_limit_ = 0;
  std::uint32_t send_bytes_ = 0, send_limit_ = 0;
  std::uint64_t drops_ = 0;
  std::optional<Error> pending_error_;
  bool receive_errors_ = false;
  bool wants_room_ = false;
};

}  // namespace ff::udp
