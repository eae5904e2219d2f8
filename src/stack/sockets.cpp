// The life of connections and TIME_WAIT entries inside the stack: when they are looked at, told of, turned into the
// next form and let go.
#include <algorithm>
#include <cassert>

#include "stack/impl.hpp"
#include "tcp/time_wait.hpp"

namespace ff {

namespace {
constexpr std::uint32_t kLittle = 4608;  // Linux's SOCK_MIN_SNDBUF
bool is_v4(const TxPacket& packet) noexcept { return packet.header_bytes[0] >> 4 == 4; }
}  // namespace

Socket& Stack::Impl::new_socket() {
  Socket& socket = forms_.connections.create();
  socket.timer.owner_kind = static_cast<std::uint8_t>(Form::Connection);
  socket.timer.owner_index = socket.index;
  ++env_.memory.sockets;
  return socket;
}

void Stack::Impl::enter_demux(Socket& socket, PortUse use) {
  const FourTuple& tuple = socket.tcp.tuple();
  demux_.insert(tuple, {Form::Connection, socket.index});
  socket.in_demux = true;
  socket.use = use;
  ports_.hold({tuple.local}, use);
  if (use.chosen) port_choice_.connects(tuple);
}

void Stack::Impl::settle(Socket& socket, Instant now) {
  tcp::Connection& tcp = socket.tcp;
  if (tcp.waits_for_memory()) [[unlikely]]
    queue_writer(socket);
  if (env_.memory.under_pressure() || !writers_.empty()) [[unlikely]]
    ease_memory(now);
  if (socket.lingers && !tcp.lingering() && !socket.event_hook.is_linked()) count_orphan(socket, now);
  const TcpState state = tcp.state();
  if (socket.counts_as_half_open && state != TcpState::SynReceived) handshake_over(socket, now);
  if (state == TcpState::TimeWait && socket.in_demux) become_time_wait(socket, now);
  if (state == TcpState::Closed && socket.in_demux) {
    leave_demux(socket);
    release_port(socket);
  }

  if (!socket.in_demux) {
    wheel_.cancel(socket.timer);
    socket.transmit_hook.unlink();
    // Nobody holds a handle and none can be had any more.
    if (!socket.owned && !socket.waits_for_accept && !socket.lingers) return destroy(socket);
  } else {
    // Later deadlines need no new place in the wheel: it asks again when the old one comes.
    const Instant deadline = tcp.first_deadline();
    if (!socket.timer.armed() || deadline < socket.timer.deadline) wheel_.arm(socket.timer, deadline);
    if (tcp.may_transmit() && !socket.transmit_hook.is_linked()) transmit_ring_.push_back(socket);
  }
  tell(socket);
}

void Stack::Impl::tell(Socket& socket) noexcept {
  socket.events |= socket.tcp.take_events();
  // Whoever called close() hears one thing more: that its wait is over.
  if (socket.lingers) socket.events = socket.tcp.lingering() ? 0 : event_bits::kClosed;
  const bool heard = socket.owned || socket.lingers;
  if (heard && socket.events != 0 && !socket.event_hook.is_linked()) event_list_.push_back(socket);
}

// A Fast Open connection is half-open no more: the handshake is complete, or it ended.
void Stack::Impl::handshake_over(Socket& socket, Instant now) noexcept {
  socket.counts_as_half_open = false;
  Listener& listener = listeners_[socket.listener];
  --listener.fast_open_half_open;
  // RFC 7413 §5.1: a RST must not free the place at once, or a flood of spoofed SYNs whose victims answer with RST
  // would never fill the queue.
  if (socket.tcp.reset_while_half_open()) listener.fast_open_reset_until.push_back(now + Listener::kResetHold);
}

void Stack::Impl::leave_demux(Socket& socket) noexcept {
  demux_.erase(socket.tcp.tuple());
  socket.in_demux = false;
  if (std::exchange(socket.counts_as_orphan, false)) --orphans_;
}

// What bind() has given stays the socket's as long as the application holds it, as in Linux's tcp_set_state().
void Stack::Impl::release_port(const Socket& socket) noexcept {
  if (socket.use.by_bind) return;
  ports_.release({socket.tcp.tuple().local}, socket.use);
  if (socket.use.chosen) port_choice_.leaves(socket.tcp.tuple());
}

// close() left it to the stack to bring the connection to its end: not for more than tcp_max_orphans at a time.
void Stack::Impl::count_orphan(Socket& socket, Instant now) {
  const TcpState state = socket.tcp.state();
  if (state == TcpState::Closed || state == TcpState::TimeWait) return;
  // As Linux's tcp_check_oom(): where memory is used up, one that holds more than a little is too many as well.
  const bool too_much = env_.memory.exhausted(env_.settings.tcp_mem) && socket.tcp.send_queue() > kLittle;
  if (orphans_ >= env_.settings.tcp_max_orphans || too_much) {
    tcp::Context c = context(now);
    return socket.tcp.abort_orphan(c);
  }
  socket.counts_as_orphan = true;
  ++orphans_;
}

void Stack::Impl::destroy(Socket& socket) noexcept {
  assert(!socket.in_demux);
  if (!connection_syns_.empty()) connection_syns_.erase(socket.index);
  wheel_.cancel(socket.timer);
  if (socket.use.by_bind) ports_.release({socket.tcp.tuple().local}, socket.use);
  --env_.memory.sockets;
  forms_.connections.destroy(socket.index);
}

void Stack::Impl::become_time_wait(Socket& socket, Instant now) {
  const FourTuple tuple = socket.tcp.tuple();
  leave_demux(socket);
  const tcp::TimeWait entry(socket.tcp);
  // The peer's FIN is acknowledged also where there is no room for an entry.
  if (socket.tcp.ack_due()) {
    if (TxPacket* packet = control_.add(tuple.local.address.is_v4())) {
      entry.emit_ack(now, tuple, socket.tcp.path(), timestamp_offset(tuple), *packet);
      env_.counters.add(Counter::Tcp_OutSegs);
    }
  }
  if (time_waits_.size() >= env_.settings.tcp_max_tw_buckets) {
    env_.counters.add(Counter::TcpExt_TCPTimeWaitOverflow);
    return release_port(socket);
  }
  env_.counters.add(Counter::TcpExt_TW);
  PortUse use = socket.use;
  use.by_bind = false;
  time_waits_.add(tuple, entry, now + tcp::kTimeWaitLength, use);
  // The connection's hold is the entry's now; one that bind() gave is the socket's besides.
  if (socket.use.by_bind) ports_.hold({tuple.local}, use);
  if (use.chosen) port_choice_.waits(tuple, entry.ts_recent().has_value());
}

void Stack::Impl::remove_time_wait(std::uint32_t index) noexcept {
  const FourTuple tuple = time_waits_.tuple(index);
  const PortUse use = time_waits_.use(index);
  ports_.release({tuple.local}, use);
  if (use.chosen) port_choice_.leaves(tuple);
  time_waits_.remove(index);
}

void Stack::Impl::time_wait_arrives(Instant now, InterfaceId interface, std::uint32_t index, const FourTuple& tuple,
                                    tcp::Segment& segment) {
  tcp::TimeWait& entry = time_waits_[index];
  switch (entry.arrives(env_, segment)) {
    case tcp::TimeWait::Outcome::Ignore:
      return;
    case tcp::TimeWait::Outcome::Restart:
      return time_waits_.restart(index, now + tcp::kTimeWaitLength);
    case tcp::TimeWait::Outcome::Remove:
      return remove_time_wait(index);
    case tcp::TimeWait::Outcome::SendAckRestart:
      time_waits_.restart(index, now + tcp::kTimeWaitLength);
      [[fallthrough]];
    case tcp::TimeWait::Outcome::SendAck:
      if (TxPacket* packet = control_.add(tuple.local.address.is_v4())) {
        entry.emit_ack(now, tuple, path_of(interface), timestamp_offset(tuple), *packet);
        env_.counters.add(Counter::Tcp_OutSegs);
      }
      return;
    case tcp::TimeWait::Outcome::NewConnection: {
      // RFC 6191: the four-tuple is used again, if somebody listens still.
      const Seq iss = entry.next_iss();
      Listener* listener = listening_.find(tuple);
      if (listener == nullptr) return;
      remove_time_wait(index);
      return listener_arrives(now, interface, tuple, *listener, segment, iss);
    }
  }
}

void Stack::Impl::expire_time_waits(Instant now) {
  while (time_waits_.next_end() <= now) remove_time_wait(*time_waits_.first());
}

void Stack::Impl::handle_deadline(Instant now) {
  while (TimerNode* node = wheel_.expire(now)) {
    if (static_cast<Form>(node->owner_kind) == Form::Request) {
      request_timeout(now, forms_.requests[node->owner_index]);
      continue;
    }
    Socket& socket = forms_.connections[node->owner_index];
    tcp::Context c = context(now);
    socket.tcp.deadline(c);
    settle(socket, now);
  }
  expire_time_waits(now);
  expire_fragments(now);
  if (ethernet_ != nullptr) {
    ethernet_->handle_deadline(now);
    report_failed_neighbours(now);
  }
}

Instant Stack::Impl::next_deadline() const {
  const Instant first = std::min({wheel_.next_deadline(), time_waits_.next_end(), delayed_.next(),
                                  fragments_v4_.next_deadline(), fragments_v6_.next_deadline()});
  return ethernet_ == nullptr ? first : std::min(first, ethernet_->next_deadline());
}

bool Stack::Impl::next_segment(Instant now, TxPacket& packet) {
  while (!transmit_ring_.empty()) {
    Socket& socket = transmit_ring_.front();
    transmit_ring_.pop_front();
    tcp::Context c = context(now);
    const bool sent = socket.tcp.transmit(c, packet);
    // settle() puts it at the end of the ring again if it has more: each connection gets its turn.
    if (!sent) {
      const Instant deadline = socket.tcp.first_deadline();  // a persist timer may have been set
      if (!socket.timer.armed() || deadline < socket.timer.deadline) wheel_.arm(socket.timer, deadline);
      tell(socket);
      continue;
    }
    const Duration delay = socket.tcp.transmit_delay();
    settle(socket, now);
    env_.counters.add(is_v4(packet) ? Counter::Ip_OutRequests : Counter::Ip6_OutRequests);
    if (delay == Duration::zero()) return true;
    if (!delayed_.keep(packet, now + delay)) env_.counters.drop(DropReason::TransmitQueueFull);
  }
  return false;
}

std::optional<Event> Stack::Impl::poll_event() {
  if (!listener_events_.empty()) {
    Listener& listener = listener_events_.front();
    listener_events_.pop_front();
    Event event;
    event.bits = event_bits::kAcceptable;
    event.listener = {listener.index, listeners_.generation(listener.index)};
    event.user_data = listener.options.user_data;
    return event;
  }
  if (auto event = datagrams_.poll_event()) return event;
  if (event_list_.empty()) return std::nullopt;
  Socket& socket = event_list_.front();
  event_list_.pop_front();
  Event event;
  event.bits = std::exchange(socket.events, std::uint8_t{0});
  event.connection = {socket.index, forms_.connections.generation(socket.index)};
  event.user_data = socket.user_data;
  event.early_bytes = socket.tcp.early_bytes();
  if (std::exchange(socket.lingers, false) && !socket.in_demux) destroy(socket);
  return event;
}

std::string Stack::Impl::check() const {
  auto& forms = const_cast<Forms&>(forms_);
  std::string wrong;
  std::size_t in_demux = 0, port_holders = bindings_.size() + time_waits_.size();
  const_cast<Pool<Listener>&>(listeners_).for_each([&](const Listener& listener) {
    port_holders += listener.options.every_port ? 0 : 1;
  });
  forms.connections.for_each([&](Socket& socket) {
    in_demux += socket.in_demux ? 1 : 0;
    port_holders += socket.holds_port() ? 1 : 0;
    if (!wrong.empty()) return;
    if (std::string bad = socket.tcp.check(); !bad.empty()) wrong = socket.tcp.tuple().to_string() + ": " + bad;
    const bool live = socket.in_demux && socket.tcp.first_deadline() != kNever;
    if (live && (!socket.timer.armed() || socket.timer.deadline > socket.tcp.first_deadline()) &&
        !socket.transmit_hook.is_linked())
      wrong = socket.tcp.tuple().to_string() + ": the wheel does not know of its deadline";
  });
  if (!wrong.empty()) return wrong;
  if (in_demux + forms.requests.size() != demux_.size())
    return "the demultiplexer holds a different number of four-tuples than there are";
  if (port_holders != ports_.size()) return "ports are held by a different number of sockets than there are";
  return "";
}

}  // namespace ff
