// The parts of a stack, put together. The public class Stack forwards to this one.
//
// packets.cpp: what comes in, down to the form that it is for. listening.cpp: listeners, SYNs and requests.
// sockets.cpp: the life of connections and TIME_WAIT entries. memory.cpp: tcp_mem. commands.cpp: the application's
// calls. binding.cpp: who gets which local port. datagrams.cpp: UDP and echo sockets. icmp.cpp: ICMP both ways.
// fragments.cpp: fragments that come in. ethernet.cpp: frames. output.cpp: the way out. stack.cpp: Stack itself.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>

#include "base/pool.hpp"
#include "base/ring.hpp"
#include "base/siphash.hpp"
#include "base/timer_wheel.hpp"
#include "firstflight/stack.hpp"
#include "ip/ethernet.hpp"
#include "ip/fragmenter.hpp"
#include "ip/icmp_limiter.hpp"
#include "ip/interfaces.hpp"
#include "ip/path_mtu.hpp"
#include "ip/reassembler.hpp"
#include "stack/delay_line.hpp"
#include "stack/demux.hpp"
#include "stack/listener.hpp"
#include "stack/listener_table.hpp"
#include "stack/port_choice.hpp"
#include "stack/ports.hpp"
#include "stack/socket.hpp"
#include "stack/time_waits.hpp"
#include "tcp/connection.hpp"
#include "tcp/environment.hpp"
#include "tcp/fastopen/replay_filter.hpp"
#include "tcp/syn_cookie.hpp"
#include "udp/sockets.hpp"
#include "wire/icmp.hpp"
#include "wire/ip.hpp"

namespace ff {

// Resets, SYN-ACKs and the like, until the device asks for them.
class ControlQueue final : public tcp::Outbox {
 public:
  explicit ControlQueue(Counters& counters) noexcept : counters_(counters) {}
  TxPacket* add(bool v4) override;
  bool take(TxPacket& packet);

 private:
  static constexpr std::size_t kMax = 4096;
  Counters& counters_;
  Ring<std::unique_ptr<TxPacket>> waiting_;
  std::vector<std::unique_ptr<TxPacket>> spare_;
};

// A port that bind() gave and that neither listens nor connects yet: what is sent to it is answered by RST.
struct BoundPort {
  explicit BoundPort(std::uint32_t its_index) noexcept : index(its_index) {}
  const std::uint32_t index;
  Binding binding;
  PortUse use;
};

// Whether a frame brought it that was sent to several hosts, whatever the IP header says.
inline bool came_to_group(const RxPacket& packet) noexcept {
  return packet.link_header_size != 0 && (packet.bytes.data()[-packet.link_header_size] & 1) != 0;
}

class Stack::Impl {
 public:
  explicit Impl(StackConfig config);

  // ---- packets.cpp ----
  void handle_packet(Instant now, InterfaceId interface, RxPacket packet);

  // ---- output.cpp ----
  bool poll_transmit(Instant now, TxPacket& packet);

  // ---- sockets.cpp ----
  void handle_deadline(Instant now);
  std::optional<Event> poll_event();
  [[nodiscard]] Instant next_deadline() const;
  [[nodiscard]] std::string check() const;

  // ---- commands.cpp ----
  Result<InterfaceId> add_interface(InterfaceConfig config);
  Result<ListenerId> listen(const ListenOptions& options);
  Result<ConnectionId> accept(ListenerId id);
  Result<HeldRequest> next_request(ListenerId id);
  Result<void> answer(Instant now, RequestId id);
  Result<void> refuse(Instant now, RequestId id, Error why);
  Result<void> set_fast_open(ListenerId id, std::uint32_t queue);
  Result<void> set_fast_open_keys(ListenerId id, const std::optional<FastOpenKeys>& keys);
  Result<std::string> take_saved_syn(ConnectionId id);
  Result<void> close_listener(Instant now, ListenerId id);
  Result<ConnectionId> connect(Instant now, const ConnectOptions& options);
  Result<void> close(Instant now, ConnectionId id, bool abort);

  // ---- binding.cpp ----
  Result<BindingId> bind(const BindOptions& options);
  Result<void> close_binding(BindingId id);
  [[nodiscard]] Result<Endpoint> local(BindingId id) const;
  Result<void> set_options(BindingId id, const SocketOptions& options);
  Result<void> set_options(ListenerId id, const SocketOptions& options);
  Result<void> set_options(Instant now, ConnectionId id, const SocketOptions& options);

  // ---- datagrams.cpp ----
  Result<DatagramId> open_datagram(const DatagramOptions& options);
  Result<void> close_datagram(DatagramId id);
  Result<void> connect_datagram(DatagramId id, const Endpoint& remote);
  Result<void> disconnect_datagram(DatagramId id);
  Result<void> send_datagram(Instant now, DatagramId id, Slice bytes, const std::optional<Endpoint>& to,
                             const DatagramExtras& extras);
  Result<Datagram> receive_datagram(DatagramId id);
  Result<void> refuse_datagrams(Instant now, DatagramId id, Error why);

  // Runs `call(connection, context)` on a live connection and follows up on what it changed.
  template <typename F>
  auto with(Instant now, ConnectionId id, F&& call)
      -> decltype(call(std::declval<tcp::Connection&>(), std::declval<tcp::Context&>())) {
    Socket* socket = forms_.connections.find(id.index, id.generation);
    if (socket == nullptr || !socket->owned) return std::unexpected(Error::StaleHandle);
    tcp::Context c = context(now);
    auto result = call(socket->tcp, c);
    settle(*socket, now);
    return result;
  }
  [[nodiscard]] Socket* find(ConnectionId id) noexcept {
    Socket* socket = forms_.connections.find(id.index, id.generation);
    return socket != nullptr && socket->owned ? socket : nullptr;
  }

  [[nodiscard]] FastOpenKeys fast_open_keys() const noexcept;

  tcp::Environment env_;
  Forms forms_;
  Pool<Listener> listeners_;

 private:
  friend class Stack;

  // ---- packets.cpp ----
  void count_codepoint(const wire::IpHeader& ip, std::uint32_t packets) noexcept;
  void tcp_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, const RxPacket& packet,
                   std::uint32_t offset, std::uint32_t size);
  void deliver(Instant now, InterfaceId interface, const FourTuple& tuple, tcp::Segment& segment);
  // `ip` is a whole packet's header, found good.
  void deliver_ip(Instant now, InterfaceId interface, const RxPacket& packet, const wire::IpView& ip);
  void refuse_protocol(Instant now, InterfaceId interface, const RxPacket& packet, const wire::IpView& ip);
  void refuse(InterfaceId interface, const FourTuple& tuple, const tcp::Segment& segment);

  // ---- ethernet.cpp ----
  bool unwrap_frame(Instant now, InterfaceId interface, RxPacket& packet);
  [[nodiscard]] bool is_neighbour_discovery(InterfaceId interface, const RxPacket& packet,
                                            const wire::IpView& ip) const noexcept;
  void discovery_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, const RxPacket& packet,
                         ByteSpan message);
  void report_failed_neighbours(Instant now);

  // ---- fragments.cpp ----
  void fragment_arrives(Instant now, InterfaceId interface, const RxPacket& packet);
  void expire_fragments(Instant now);

  // ---- icmp.cpp ----
  void icmp_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, const RxPacket& packet,
                    std::uint32_t offset, std::uint32_t size);
  // `carrier`: of the packet that brought it.
  void icmp_error_arrives(Instant now, const wire::IpHeader& carrier, const wire::IcmpView& icmp, ByteSpan quoted);
  void icmp_error_about_tcp(Instant now, const wire::IpHeader& carrier, const wire::IcmpView& icmp,
                            const wire::IpHeader& ip, ByteSpan transport);
  void icmp_error_about_request(tcp::Request& request, const wire::IcmpView& icmp, const wire::QuotedTcp& quoted);
  void icmp_error_about_datagram(Instant now, const wire::IpHeader& carrier, const wire::IcmpView& icmp,
                                 const wire::IpHeader& ip, ByteSpan quoted, ByteSpan transport);
  void echo_reply_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, const wire::IcmpView& icmp,
                          ByteSpan message);
  void answer_echo(Instant now, InterfaceId interface, const wire::IpHeader& ip, const wire::IcmpView& icmp,
                   ByteSpan message);
  // An error about `packet`, as far as the rules and the limits allow. `detail`: see wire::emit_icmp_error().
  void send_icmp_error(Instant now, InterfaceId interface, wire::IcmpKind kind, const RxPacket& packet,
                       const wire::IpView& ip, std::uint32_t detail = 0);
  [[nodiscard]] bool deserves_icmp_error(InterfaceId interface, const RxPacket& packet,
                                         const wire::IpView& ip) const noexcept;
  // The error that says what `why` does; nothing when none does.
  [[nodiscard]] static std::optional<wire::IcmpKind> unreachable_kind(Error why) noexcept;
  // An error about what came from tuple.remote to tuple.local and began, behind the IP header, with `transport`.
  void report_undeliverable(Instant now, wire::IcmpKind kind, const FourTuple& tuple, std::uint8_t protocol,
                            ByteSpan transport);
  bool may_send_icmp(Instant now, const IpAddress& destination, std::uint8_t type) noexcept;
  [[nodiscard]] wire::IpHeader icmp_header(const IpAddress& from, const IpAddress& to) noexcept;
  bool send_icmp(InterfaceId interface, const wire::IpHeader& header, std::string message);

  // ---- datagrams.cpp ----
  [[nodiscard]] Result<ip::Interfaces::Hop> hop_of(const udp::Socket& socket, const Endpoint& remote,
                                                   const DatagramExtras& extras = {}) const;
  void udp_arrives(Instant now, InterfaceId interface, const wire::IpView& ip, const RxPacket& packet);
  // Writes the next datagram to send; false when it could not be sent after all.
  bool next_datagram(Instant now, TxPacket& packet);
  void count_datagram(bool v4, bool udp) noexcept;
  void stamp_datagram(Instant now, udp::Socket& sender, const StampRequest& wanted, const TxPacket& packet);

  // ---- output.cpp ----
  bool next_ip_packet(Instant now, TxPacket& packet);
  bool next_packet(Instant now, TxPacket& packet);
  bool finish_unsegmented(Instant now, TxPacket& packet);

  // ---- commands.cpp ----
  [[nodiscard]] Listener* heir_of(const Listener& listener, const FourTuple& tuple) noexcept;
  void bequeath(Listener& listener, tcp::Request& request);
  void bequeath(Listener& listener, Socket& socket, Instant now);

  // ---- commands.cpp ----
  [[nodiscard]] Result<void> check_options(const SocketOptions& options) const;

  // ---- binding.cpp ----
  // AddressInUse, AddressNotAvailable. The port is not taken yet.
  Result<Binding> claim(const Endpoint& local, bool ipv6_only, PortUse use, bool freebind);
  void let_go(BoundPort& port) noexcept;
  Result<Binding> binding_to_listen(const ListenOptions& options);
  static Binding binding_of(const Listener& listener) noexcept;
  static PortUse use_of(const Listener& listener) noexcept;
  // How a connection that it accepts has the port.
  static PortUse inherited_use(const Listener& listener) noexcept;
  struct LocalEnd {
    Binding binding;  // port 0: one is to be chosen
    PortUse use;
    BoundPort* bound = nullptr;
  };
  Result<LocalEnd> local_end(const ConnectOptions& options, const IpAddress& route_source);
  Result<std::uint16_t> choose_port(Instant now, FourTuple tuple);
  // Whether a connection whose port bind() gave may have this four-tuple.
  [[nodiscard]] bool is_unused(Instant now, const FourTuple& tuple) const noexcept;
  [[nodiscard]] bool gives_way(Instant now, std::uint32_t time_wait, bool by_bind) const noexcept;
  [[nodiscard]] bool may_reuse_time_wait(const FourTuple& tuple) const noexcept;

  // ---- listening.cpp ----
  void listener_arrives(Instant now, InterfaceId interface, const FourTuple& tuple, Listener& listener,
                        tcp::Segment& segment, std::optional<Seq> iss = std::nullopt);
  enum class Room : std::uint8_t { InQueue, Cookie, None };
  [[nodiscard]] Room room_for_syn(Instant now, const FourTuple& tuple, Listener& listener, bool reuses_time_wait);
  void send_cookie(Instant now, InterfaceId interface, const FourTuple& tuple, Listener& listener, tcp::Segment& syn);
  // An ACK for a listener; false when it brings no cookie of ours.
  bool cookie_arrives(Instant now, InterfaceId interface, const FourTuple& tuple, Listener& listener,
                      tcp::Segment& segment);
  void open_fast(Instant now, InterfaceId interface, const FourTuple& tuple, Listener& listener, tcp::Segment& syn,
                 Seq iss, const std::optional<wire::FastOpenOption>& grant);
  void request_arrives(Instant now, tcp::Request& request, tcp::Segment& segment);
  void request_timeout(Instant now, tcp::Request& request);
  void complete(Instant now, tcp::Request& request, tcp::Segment& segment);
  void establish(Instant now, Listener& listener, const tcp::PassiveOpen& how, tcp::Segment& segment,
                 std::string saved_syn);
  [[nodiscard]] bool waits_for_data(const Listener& listener, const tcp::Request& request,
                                    const tcp::Segment& segment) const noexcept;
  // The path of a connection that this listener accepts, as far as its options say.
  [[nodiscard]] tcp::Path path_for(const Listener& listener, InterfaceId interface) const noexcept;
  void send_syn_ack(Instant now, tcp::Request& request);
  void hold(Listener& listener, tcp::Request& request);
  void remove(tcp::Request& request) noexcept;
  void offer_to_acceptor(Listener& listener, Socket& socket);
  [[nodiscard]] FastOpenKeys keys_of(const Listener& listener) const noexcept;
  [[nodiscard]] std::uint32_t fast_open_limit(const ListenOptions& options) const noexcept;

  // ---- sockets.cpp ----
  bool next_segment(Instant now, TxPacket& packet);
  [[nodiscard]] tcp::Context context(Instant now) noexcept { return {env_, send_cache_, receive_cache_, now}; }
  Socket& new_socket();
  void enter_demux(Socket& socket, PortUse use);
  // Follows up on whatever happened to a connection: forms, timer, transmit ring, events.
  void settle(Socket& socket, Instant now);
  // Passes its events on to whoever holds it.
  void tell(Socket& socket) noexcept;
  void leave_demux(Socket& socket) noexcept;
  void release_port(const Socket& socket) noexcept;
  void remove_time_wait(std::uint32_t index) noexcept;
  void become_time_wait(Socket& socket, Instant now);
  void time_wait_arrives(Instant now, InterfaceId interface, std::uint32_t index, const FourTuple& tuple,
                         tcp::Segment& segment);
  void expire_time_waits(Instant now);
  void handshake_over(Socket& socket, Instant now) noexcept;
  void count_orphan(Socket& socket, Instant now);
  void destroy(Socket& socket) noexcept;

  // ---- memory.cpp ----
  void ease_memory(Instant now);
  void compact_some(Instant now);
  void queue_writer(Socket& socket);
  void tell_a_writer(Instant now);

  // ---- numbers ----
  [[nodiscard]] tcp::Path path_of(InterfaceId interface) const noexcept;
  [[nodiscard]] Seq initial_sequence_number(Instant now, const FourTuple& tuple) const noexcept;
  [[nodiscard]] std::uint32_t timestamp_offset(const FourTuple& tuple) const noexcept;

  StackConfig config_;
  SipHashKey isn_key_;
  FastOpenKey default_fast_open_key_;
  tcp::ReplayFilter fast_open_replays_;
  ip::Interfaces interfaces_;
  Demux demux_;
  TimeWaits time_waits_;
  tcp::SynCookies syn_cookies_;
  TimerWheel wheel_;
  ListenerTable listening_;
  Pool<BoundPort> bindings_;
  Ports ports_;
  PortChoice port_choice_;
  SocketList<&Socket::transmit_hook> transmit_ring_;
  SocketList<&Socket::event_hook> event_list_;
  boost::intrusive::list<Listener, boost::intrusive::member_hook<Listener, ListHook, &Listener::event_hook>,
                         boost::intrusive::constant_time_size<false>>
      listener_events_;
  ControlQueue control_;
  DelayLine delayed_;
  udp::Sockets datagrams_;
  bool datagrams_turn_ = false;  // where both could send: not a connection's
  ip::IcmpLimiter icmp_limiter_;
  ip::FragmentIds fragment_ids_;
  ip::Fragmenter fragmenter_;
  ip::Reassembler fragments_v4_, fragments_v6_;
  ip::PathMtuCache path_mtu_;
  std::unique_ptr<ip::Ethernet> ethernet_;  // null: no interface has frames
  tcp::SendHalf::WorkCache send_cache_;
  tcp::ReceiveHalf::WorkCache receive_cache_;
  // TCP_SAVE_SYN, by index of request and of connection.
  boost::unordered_flat_map<std::uint32_t, std::string> request_syns_, connection_syns_;
  std::uint32_t orphans_ = 0;
  // tcp_mem: who found no memory to write, and how far the present pressure's look at all connections has come.
  Ring<ConnectionId> writers_;
  std::uint64_t compacted_in_ = 0;
  std::uint32_t next_compacted_ = 0;
};

}  // namespace ff
