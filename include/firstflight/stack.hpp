// The engine: packets, commands and time go in; packets, events and the next deadline come out. No clock, system call,
// thread or random source of its own: with the same seed and the same calls it does the same, bit for bit.
//
// How to drive it, whatever drives it (an event loop, a simulator, a test):
//
//   1. handle_packet() for each packet that came in, handle_deadline() when next_deadline() has passed;
//   2. poll_event() until it is empty, issuing commands as one sees fit;
//   3. poll_transmit() until it says false or the device is full;
//   4. sleep until a packet comes, the application wants something, or next_deadline().
//
// `now` must never go backwards. One stack belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/congestion_control.hpp"
#include "firstflight/connection_info.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/datagram.hpp"
#include "firstflight/error.hpp"
#include "firstflight/fast_open.hpp"
#include "firstflight/fast_open_cache.hpp"
#include "firstflight/network.hpp"
#include "firstflight/packet.hpp"
#include "firstflight/seed.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/socket_options.hpp"
#include "firstflight/sockets.hpp"
#include "firstflight/stamps.hpp"
#include "firstflight/tcp_metrics.hpp"
#include "firstflight/time.hpp"
#include "firstflight/trace.hpp"

namespace ff {

struct StackConfig {
  Seed seed{};
  Settings settings{};
  // The most connections (in all states but TIME_WAIT) at a time.
  std::uint32_t max_connections = 16u << 20;
  // For tests: every connection starts at this sequence number, instead of one that RFC 6528 derives from the seed.
  std::optional<std::uint32_t> initial_sequence_number{};
};

// A handle says which socket is meant; once that socket is gone the handle is stale for ever.
struct ListenerId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: no listener
  friend bool operator==(ListenerId, ListenerId) noexcept = default;
};
struct ConnectionId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: no connection
  friend bool operator==(ConnectionId, ConnectionId) noexcept = default;
};

struct BindingId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: no binding
  friend bool operator==(BindingId, BindingId) noexcept = default;
};

struct RequestId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: no request
  friend bool operator==(RequestId, RequestId) noexcept = default;
};
// A SYN that waits for an answer; see ListenOptions::hold_requests.
struct HeldRequest {
  RequestId id;
  FourTuple tuple;
};

// What bind() is for: to have a local port, before it is known what becomes of it.
struct BindOptions {
  // Address "any": every address of that family; :: takes IPv4 too unless ipv6_only. Port 0: one that nobody has.
  Endpoint local{};
  bool ipv6_only = false;
  SocketOptions options{};  // of these, reuse_addr and reuse_port
};

struct ListenOptions {
  // As BindOptions has them.
  Endpoint local{};
  bool ipv6_only = false;
  // Instead of these two: what bind() gave. It is the listener's from then on, and the handle is stale.
  std::optional<BindingId> binding{};
  // Instead of a port, with an address "any": every port that nobody else listens on.
  bool every_port = false;
  // A SYN is answered when the application says so: next_request() tells of it, answer() and refuse() settle it. Such a
  // listener does no Fast Open and sends no SYN cookies.
  bool hold_requests = false;
  std::uint32_t backlog = 4096;  // accept-queue limit; cut to somaxconn
  // How many Fast Open connections may be half-open at a time (TCP_FASTOPEN); 0 switches Fast Open off, nothing leaves
  // it to bit 0x400 of tcp_fastopen. Cut to somaxconn.
  std::optional<std::uint32_t> fast_open_queue{};
  // Keys for this listener alone (TCP_FASTOPEN_KEY).
  std::optional<FastOpenKeys> fast_open_keys{};
  SocketOptions options{};      // its own, and those of the connections it accepts
  std::uint64_t user_data = 0;  // comes back in events
};

enum class FastOpenMode : std::uint8_t {
  Off,           // connect(): SYN at once, without cookie and data
  Now,           // MSG_FASTOPEN: SYN at once, with `data` if there is a cookie, with a cookie request otherwise
  OnFirstWrite,  // TCP_FASTOPEN_CONNECT: with a cookie at hand the SYN waits for the first write
};

struct ConnectOptions {
  Endpoint remote{};
  // A port makes this bind() and connect() in one; port 0: an ephemeral one, as with IP_BIND_ADDRESS_NO_PORT.
  std::optional<Endpoint> local{};
  // Instead: what bind() gave. It is the connection's from then on, and the handle is stale.
  std::optional<BindingId> binding{};
  FastOpenMode fast_open = FastOpenMode::Off;
  bool fast_open_no_cookie = false;  // TCP_FASTOPEN_NO_COOKIE: data in the SYN without a cookie
  // Connections of different partitions share nothing that a server has granted or a path has done, so that no server
  // can tell by its cookie that two of them are of one client. A browser gives each site that it shows one of its own.
  std::uint64_t fast_open_partition = 0;
  Slice data{};  // the first bytes to send; they go out in the SYN as far as they may
  SocketOptions options{};
  std::uint64_t user_data = 0;  // comes back in events
};

// What happened to a socket since the last event of it; several may be told at once.
namespace event_bits {
inline constexpr std::uint8_t kAcceptable = 1;   // listener: accept() or next_request() has something
inline constexpr std::uint8_t kEstablished = 2;  // the handshake is complete
inline constexpr std::uint8_t kReadable = 4;     // bytes, or the end of the stream, wait for read()
inline constexpr std::uint8_t kWritable = 8;     // there is room again after a write() that was cut short
inline constexpr std::uint8_t kPeerClosed = 16;  // the peer's FIN has come
inline constexpr std::uint8_t kClosed = 32;      // the connection is over; info().error says whether in order
// The network reported an error, or next_stamp() has one.
inline constexpr std::uint8_t kError = 64;
inline constexpr std::uint8_t kUrgent = 128;  // the peer has urgent data, or its byte has come: read_urgent()
}  // namespace event_bits

// How write() goes about it: bits, after Linux's MSG_*.
namespace write_bits {
inline constexpr std::uint8_t kMore = 1;    // MSG_MORE: more follows at once; a short segment waits as under TCP_CORK
inline constexpr std::uint8_t kUrgent = 2;  // MSG_OOB: the last of these bytes is urgent (RFC 9293 §3.8.5)
inline constexpr std::uint8_t kEndOfRecord = 4;  // MSG_EOR: no segment holds bytes of before and behind the last
}  // namespace write_bits

struct Event {
  std::uint8_t bits = 0;
  ListenerId listener;      // set for kAcceptable
  ConnectionId connection;  // set for all others, but for
  DatagramId datagram;      // a datagram socket's kReadable, kWritable and kError
  std::uint64_t user_data = 0;
  // ConnectionInfo::early_bytes: so many bytes came in a SYN and may be a copy of older ones. kEstablished tells that
  // they are none.
  std::uint32_t early_bytes = 0;
};

// What a call that must not wait, and whoever waits for several, go by.
struct ConnectionStatus {
  TcpState state = TcpState::Closed;
  std::optional<Error> error;    // why it ended, if not in order
  bool peer_closed = false;      // the peer's FIN was reached
  bool half_open_early = false;  // server: its SYN was let in by Fast Open, and the handshake is not over
  bool writable = false;         // a third of the send buffer is free, and half of what may wait unsent (as Linux)
  bool urgent_announced = false;
  bool urgent_here = false;     // and its byte has come, and was not taken
  bool at_urgent_mark = false;  // what is read next is the urgent byte, or lies behind it
  std::uint32_t unread = 0;     // bytes received and not read
  std::uint32_t unacked = 0;    // bytes written and not acknowledged
  std::uint32_t unsent = 0;     // of them
  std::uint32_t written = 0;    // bytes ever written, modulo 2^32
  // FastOpenMode::OnFirstWrite with a cookie at hand: the SYN is held back, and so much of the first write goes with
  // it.
  std::optional<std::uint32_t> syn_room;
  SocketMemory memory;
};

struct ListenerStatus {
  std::uint32_t waiting = 0;  // for accept()
  std::uint32_t limit = 0;    // of the accept queue
};

class Stack {
 public:
  explicit Stack(StackConfig config);
  ~Stack();
  Stack(Stack&&) noexcept;
  Stack& operator=(Stack&&) noexcept;

  // ---- handle_*: the world reports -------------------------------------------------------------------------------
  // A packet came in by `interface`. Malformed, forged or unwanted ones are counted and change nothing else.
  void handle_packet(Instant now, InterfaceId interface, RxPacket packet);
  // Runs whatever is due at `now`.
  void handle_deadline(Instant now);

  // ---- commands --------------------------------------------------------------------------------------------------
  // InvalidArgument: an MTU too small, no address, an address that no host can have.
  Result<InterfaceId> add_interface(InterfaceConfig config);

  // InvalidArgument: no such interface, or addresses that do not go together; NetworkUnreachable: the gateway is on no
  // link of the interface; AlreadyExists.
  Result<void> add_route(const Route& route);
  // The first route with this prefix, and this gateway, interface and metric where they are given; NotFound.
  Result<void> remove_route(const Cidr& prefix, std::optional<IpAddress> gateway = std::nullopt,
                            std::optional<InterfaceId> interface = std::nullopt,
                            std::optional<std::uint32_t> metric = std::nullopt);

  // One sentence when the setting or value is not acceptable; see settings.hpp.
  std::expected<void, std::string> set_setting(std::string_view name, std::string_view value);
  // All of these or, when one is not acceptable, none of them.
  std::expected<void, std::string> set_settings(std::span<const SettingAssignment> assignments);

  // A congestion control of one's own, to be chosen by name like the others. AlreadyExists: one of this name;
  // InvalidArgument: it makes none, or one whose name is no word of at most 15 characters.
  Result<void> add_congestion_control(CongestionControlFactory factory);

  // Takes a local port for listen() or connect(). AddressInUse: others have it who do not share it (with port 0: all
  // are taken); AddressNotAvailable: the address is not ours; InvalidArgument.
  Result<BindingId> bind(const BindOptions& options);
  // AddressInUse, AddressNotAvailable, InvalidArgument. AddressInUse also where bind() was let, but another listens
  // by now; the binding stays then.
  Result<ListenerId> listen(const ListenOptions& options);
  // WouldBlock: no connection waits.
  Result<ConnectionId> accept(ListenerId listener);
  // listen() once more: another limit of the accept queue.
  Result<void> set_backlog(ListenerId listener, std::uint32_t backlog);
  // WouldBlock: no SYN waits that was not told yet. One may be gone before it is settled, when the peer gives up.
  Result<HeldRequest> next_request(ListenerId listener);
  // Sends the SYN-ACK: from now on it is a request like any other.
  Result<void> answer(Instant now, RequestId request);
  // Forgets it, and tells the peer as the network would tell of `why`: a RST for ConnectionRefused, an ICMP error for
  // NetworkUnreachable, HostUnreachable and PermissionDenied, nothing for all else.
  Result<void> refuse(Instant now, RequestId request, Error why);
  // TCP_FASTOPEN on a listener that listens already: how many may be half-open from now on; 0 switches it off.
  Result<void> set_fast_open(ListenerId listener, std::uint32_t queue);
  // TCP_FASTOPEN_KEY; nothing: those of the stack.
  Result<void> set_fast_open_keys(ListenerId listener, const std::optional<FastOpenKeys>& keys);
  // Ends the listener. Its requests are forgotten, connections that nobody accepted are reset.
  Result<void> close(Instant now, ListenerId listener);

  // Gives the port back.
  Result<void> close(BindingId binding);

  // Starts a connection. NetworkUnreachable, InvalidArgument; AddressInUse: the port that is asked for is others';
  // AddressNotAvailable: no such address, the four-tuple is in use, or every port is.
  Result<ConnectionId> connect(Instant now, const ConnectOptions& options);

  // Takes as many bytes as there is room for and says how many. WouldBlock: none (a kWritable event follows);
  // BrokenPipe; the connection's error, once. A SYN that waits for the first write (OnFirstWrite) waits no longer, were
  // it of no bytes.
  Result<std::size_t> write(Instant now, ConnectionId connection, ByteSpan bytes, std::uint8_t flags = 0);
  // The same without copying; takes all of the slice or nothing (WouldBlock when nothing may be added now).
  Result<void> write(Instant now, ConnectionId connection, Slice bytes, std::uint8_t flags = 0);
  // A kWritable event is wanted as soon as ConnectionStatus::writable holds again, though no write() was refused.
  Result<void> await_room(ConnectionId connection);
  // Copies out what is there, up to the size of `into`. 0: the peer has closed its side, all was read. WouldBlock.
  Result<std::size_t> read(Instant now, ConnectionId connection, MutableByteSpan into);
  // The same without copying: the next piece, at most `max` bytes. Empty: the peer has closed its side.
  Result<Slice> read_slice(Instant now, ConnectionId connection, std::uint32_t max = UINT32_MAX);

  // MSG_PEEK: copies out what read() would, behind the first `offset` bytes of it, and leaves it there. 0: there is no
  // more now.
  [[nodiscard]] Result<std::size_t> peek(ConnectionId connection, MutableByteSpan into, std::uint32_t offset = 0) const;

  // MSG_OOB: the urgent byte, which is not in the stream unless SO_OOBINLINE says so. Nothing: the peer has closed its
  // side. InvalidArgument: none was announced, it was taken already, or it is in the stream; WouldBlock: it has not
  // come.
  Result<std::optional<std::uint8_t>> read_urgent(Instant now, ConnectionId connection);
  // SIOCATMARK: what is read next lies behind the urgent byte, or with SO_OOBINLINE begins with it. read() stops there.
  [[nodiscard]] Result<bool> at_urgent_mark(ConnectionId connection) const;

  // No more writing: FIN behind what was written (SHUT_WR).
  Result<void> shutdown_write(Instant now, ConnectionId connection);
  // No more reading: what is unread and what still comes is acknowledged and dropped (SHUT_RD).
  Result<void> shutdown_read(Instant now, ConnectionId connection);
  // Gives the connection up; the handle is stale at once. What was written is still delivered, then FIN; unread bytes
  // make it a RST (RFC 9293 §3.10.4, RFC 2525 §2.17).
  // With SO_LINGER of some seconds one last event names the handle all the same, kClosed: the peer has acknowledged
  // everything, or those seconds are over, or the connection is. That is when a close() that blocks returns.
  Result<void> close(Instant now, ConnectionId connection);
  // RST at once; the handle is stale (SO_LINGER 0).
  Result<void> abort(Instant now, ConnectionId connection);

  // TCP_NODELAY alone. On, also once more: what a cork or Nagle's algorithm holds back goes now.
  Result<void> set_no_delay(Instant now, ConnectionId connection, bool on);
  // All options at once; options() gives those that hold now. InvalidArgument: one is out of range, none is changed
  // (check() in socket_options.hpp says which).
  Result<void> set_options(Instant now, ConnectionId connection, const SocketOptions& options);
  Result<void> set_options(ListenerId listener, const SocketOptions& options);
  Result<void> set_options(BindingId binding, const SocketOptions& options);
  // TCP_QUICKACK: not for good, the traffic decides anew.
  Result<void> set_quick_ack(Instant now, ConnectionId connection, bool on);
  // TCP_SAVED_SYN: IP and TCP header of the SYN that began this connection, once; NotFound where its listener was not
  // asked to save_syn, or it was told already.
  Result<std::string> take_saved_syn(ConnectionId connection);
  // SO_TIMESTAMPING: the last of the bytes that were written is to be stamped. It must not be acknowledged yet.
  Result<void> stamp_last_byte(Instant now, ConnectionId connection, const StampRequest& what);
  // WouldBlock: there is none (a kError event tells of the next).
  Result<TransmitStamp> next_stamp(ConnectionId connection);
  // What ended a handshake, as a datagram socket is told of it. WouldBlock.
  Result<DatagramError> receive_error(ConnectionId connection);
  // What the network said last of a connection that goes on all the same, once (Linux's sk_err_soft); nothing: the
  // peer was heard of since. With SocketOptions::receive_errors a kError event tells of it.
  Result<std::optional<Error>> take_soft_error(ConnectionId connection);
  Result<void> set_user_data(ConnectionId connection, std::uint64_t user_data);

  // ---- commands: datagram sockets --------------------------------------------------------------------------------
  // AddressInUse, AddressNotAvailable, InvalidArgument.
  Result<DatagramId> open(const DatagramOptions& options);
  // From now on it sends to `remote` and hears of nobody else; errors about what was sent are told by the next call.
  // NetworkUnreachable, AddressNotAvailable, InvalidArgument.
  Result<void> connect(DatagramId socket, const Endpoint& remote);
  Result<void> disconnect(DatagramId socket);
  // One datagram, to `to` or to where the socket is connected. MessageTooLong, DestinationRequired, NetworkUnreachable;
  // NotFound: there is no such interface as `extras` wants;
  // WouldBlock: no room (a kWritable event follows); an error that the network reported, once.
  Result<void> send(Instant now, DatagramId socket, Slice bytes, const std::optional<Endpoint>& to = std::nullopt,
                    const DatagramExtras& extras = {});
  // When datagrams went out that were sent with StampRequest. WouldBlock: none has (a kError event tells of the next).
  Result<TransmitStamp> next_stamp(DatagramId socket);
  // WouldBlock; an error that the network reported, once.
  Result<Datagram> receive(DatagramId socket);
  // What receive_errors kept, the oldest first. WouldBlock.
  Result<DatagramError> receive_error(DatagramId socket);
  Result<void> set_header(DatagramId socket, const DatagramHeader& header);
  // Of these: receive_errors, receive_buffer and send_buffer, from now on.
  Result<void> set_options(DatagramId socket, const DatagramOptions& options);
  // SO_ERROR: what the network reported and no call has told yet. Nothing: all is well.
  Result<std::optional<Error>> take_error(DatagramId socket);
  Result<void> set_user_data(DatagramId socket, std::uint64_t user_data);
  // Tells the peer of a connected socket by ICMP that what it sends cannot be delivered: ConnectionRefused (the port),
  // NetworkUnreachable, HostUnreachable, PermissionDenied. InvalidArgument: not connected, or another error.
  Result<void> refuse(Instant now, DatagramId socket, Error why);
  Result<void> close(DatagramId socket);

  // Who is told what happens to connections from now on; null: nobody. It must outlive the stack, or be taken away.
  void set_trace(TraceSink* sink) noexcept;

  // Replaces what is known of one path; what has been used least makes room. NoBufferSpace: tcp_fastopen_cache_max is
  // 0; InvalidArgument: no two addresses of one IP version.
  Result<void> set_fast_open_cache(const FastOpenCacheEntry& entry);
  // Forgets everything, or all that one partition knows.
  void clear_fast_open_cache(std::optional<std::uint64_t> partition = std::nullopt);
  // Forgets what tcp_metrics() tells.
  void clear_tcp_metrics() noexcept;

  // ---- poll_*: what the world should do now ----------------------------------------------------------------------
  // The next packet to send; false when there is none. `packet` is cleared first, so one object serves for all.
  bool poll_transmit(Instant now, TxPacket& packet);
  // The next event; nothing when there is none.
  std::optional<Event> poll_event();
  // When handle_deadline() must be called at the latest; kNever when no timer runs.
  [[nodiscard]] Instant next_deadline() const;

  // ---- getters ---------------------------------------------------------------------------------------------------
  [[nodiscard]] Result<ConnectionInfo> info(ConnectionId connection) const;
  [[nodiscard]] Result<ConnectionStatus> status(ConnectionId connection) const;
  [[nodiscard]] Result<ListenerStatus> status(ListenerId listener) const;
  // SocketOptions::receive_stamps: when the last byte that was read came in, or the last of the next `peeked`. Nothing:
  // before that option was set.
  [[nodiscard]] Result<std::optional<Instant>> last_arrival(ConnectionId connection, std::uint32_t peeked = 0) const;
  [[nodiscard]] Result<SocketOptions> options(ConnectionId connection) const;
  // getsockname(): where port 0 was asked for, the one that was given.
  [[nodiscard]] Result<Endpoint> local(BindingId binding) const;
  [[nodiscard]] Result<Endpoint> local(ListenerId listener) const;
  [[nodiscard]] Result<DatagramInfo> info(DatagramId socket) const;
  [[nodiscard]] std::vector<DatagramId> datagram_sockets() const;
  // In the order in which they are tried.
  [[nodiscard]] std::vector<Route> routes() const;
  [[nodiscard]] std::vector<Neighbour> neighbours() const;
  // IP_MTU: the largest packet that gets to `destination`, as far as is known. NetworkUnreachable.
  [[nodiscard]] Result<std::uint16_t> path_mtu(Instant now, const IpAddress& destination) const;
  // Bytes held for packets of which fragments are missing.
  [[nodiscard]] std::size_t fragment_memory() const noexcept;
  [[nodiscard]] const Settings& settings() const noexcept;
  [[nodiscard]] const Counters& counters() const noexcept;
  // What is used first stands last: given to set_fast_open_cache() in this order, they make the same cache again.
  // Without what tcp_fastopen_cache_expire_sec has made too old.
  [[nodiscard]] std::vector<FastOpenCacheEntry> fast_open_cache(Instant now) const;
  // What connections that have ended found out about their paths, without what is too old to be used. What is used
  // first stands last.
  [[nodiscard]] std::vector<TcpMetrics> tcp_metrics(Instant now) const;
  // The keys that grant cookies where a listener has none of its own.
  [[nodiscard]] FastOpenKeys fast_open_keys() const;
  // The cookie that this stack grants `client` for connections to `server`.
  [[nodiscard]] FastOpenCookie fast_open_cookie(const IpAddress& client, const IpAddress& server) const;
  // Sockets alive: connections, half-open requests, TIME_WAIT entries.
  struct Population {
    std::size_t connections, requests, time_waits, listeners;
  };
  [[nodiscard]] Population population() const noexcept;
  // What all connections hold together, as tcp_mem counts it: a slab of which any byte waits counts whole.
  struct MemoryUse {
    std::uint64_t bytes;
    bool pressure;  // whoever holds more than its share must do with less
  };
  [[nodiscard]] MemoryUse memory() const noexcept;
  // The next at most `most` sockets that the cursor wants, and moves it on; fewer, or none, do not mean that it has
  // come to its end. Reading a few hundred at a time keeps the stack responsive whatever the number of sockets.
  [[nodiscard]] std::vector<SocketInfo> sockets(Instant now, SocketCursor& cursor, std::size_t most) const;
  // All of them.
  [[nodiscard]] std::vector<SocketInfo> sockets(Instant now) const;
  // Verifies every invariant of every connection; what is wrong, or an empty string. For simulators and fuzzers.
  [[nodiscard]] std::string check() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ff
