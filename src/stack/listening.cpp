// Listeners, and the requests in their SYN queues: RFC 9293 §3.10.7.2 (LISTEN), RFC 7413 §4.2.2.
#include <algorithm>
#include <cassert>

#include "stack/impl.hpp"
#include "tcp/emit.hpp"
#include "tcp/fastopen/key_ring.hpp"
#include "tcp/fastopen/server_policy.hpp"

namespace ff {

Listener* Stack::Impl::find_listener(const Endpoint& local) noexcept {
  const bool v4 = local.address.is_v4();
  const auto at = [&](const IpAddress& address) -> Listener* {
    const auto it = listening_.find(Endpoint{address, local.port});
    return it == listening_.end() ? nullptr : &listeners_[it->second];
  };
  if (Listener* specific = at(local.address)) return specific;
  if (v4) {
    if (Listener* any = at(IpAddress::any_v4())) return any;
  }
  Listener* any = at(IpAddress::any_v6());
  return any != nullptr && v4 && any->options.ipv6_only ? nullptr : any;
}

FastOpenKeys Stack::Impl::keys_of(const Listener& listener) const noexcept {
  return listener.options.fast_open_keys ? *listener.options.fast_open_keys : fast_open_keys();
}

FastOpenKeys Stack::Impl::fast_open_keys() const noexcept {
  if (env_.settings.tcp_fastopen_key) return *env_.settings.tcp_fastopen_key;
  return FastOpenKeys{default_fast_open_key_, std::nullopt};
}

void Stack::Impl::listener_arrives(Instant now, InterfaceId interface, const FourTuple& tuple, Listener& listener,
                                   tcp::Segment& segment, std::optional<Seq> iss) {
  // "First, check for a RST", "second, check for an ACK", "third, check for a SYN".
  if (segment.flags.rst()) return env_.counters.drop(DropReason::TcpResetForNoSocket);
  if (segment.flags.ack()) return refuse(interface, tuple, segment);
  if (!segment.flags.syn() || segment.flags.fin()) return env_.counters.drop(DropReason::TcpFlags);
  if (tuple.remote.address.is_multicast() || tuple.remote.address.is_broadcast() || tuple.remote.address.is_any())
    return env_.counters.drop(DropReason::TcpSynOnly);
  if (!may_queue(listener, segment)) return;
  const Seq own = iss.value_or(initial_sequence_number(now, tuple));

  const FastOpenKeys keys = keys_of(listener);
  const bool relevant = segment.options.fast_open || !segment.payload.empty();
  const tcp::ServerSide side{keys, listener.fast_open_limit > 0, !relevant || listener.fast_open_has_room(now)};
  const tcp::ServerPlan plan = tcp::plan_server(side, env_.settings, env_.counters, tuple, segment);
  if (plan.outcome != FastOpenOutcome::NotTried) env_.counters.end(plan.outcome);
  if (plan.accept_data) {
    std::optional<wire::FastOpenOption> grant;
    if (plan.grant) grant = wire::FastOpenOption{*plan.grant, plan.experimental};
    return open_fast(now, interface, tuple, listener, segment, own, grant);
  }

  tcp::Request& request = forms_.requests.create();
  request.begin(tuple, interface, segment, tcp::Offer::of(env_.settings), own);
  request.listener = listener.index;
  request.timer.owner_kind = static_cast<std::uint8_t>(Form::Request);
  request.timer.owner_index = request.index;
  request.set_fast_open(plan.outcome);
  if (plan.grant) request.grant_cookie(plan.experimental);
  ++listener.requests;
  demux_.insert(tuple, {Form::Request, request.index});
  send_syn_ack(now, request);
  wheel_.arm(request.timer, request.next_timeout(now));
}

bool Stack::Impl::may_queue(Listener& listener, const tcp::Segment&) {
  Counters& counters = env_.counters;
  if (listener.accept_queue_full()) {
    counters.add(Counter::TcpExt_ListenOverflows);
    counters.add(Counter::TcpExt_ListenDrops);
    counters.drop(DropReason::TcpAcceptQueueFull);
    return false;
  }
  // As Linux without SYN cookies: the last quarter of the backlog is not for peers that nothing is known of, and none
  // is.
  const std::uint32_t backlog = env_.settings.tcp_max_syn_backlog;
  const bool full = listener.requests > listener.accept_limit;  // one more than the limit fits, as in the accept queue
  const bool last_quarter = listener.requests >= backlog || backlog - listener.requests < backlog >> 2;
  if (full || last_quarter) {
    counters.add(Counter::TcpExt_TCPReqQFullDrop);
    counters.add(Counter::TcpExt_ListenDrops);
    counters.drop(DropReason::TcpSynQueueFull);
    return false;
  }
  if (forms_.connections.size() + forms_.requests.size() >= config_.max_connections) {
    counters.add(Counter::TcpExt_ListenDrops);
    counters.drop(DropReason::TcpConnectionLimit);
    return false;
  }
  return true;
}

// A SYN with a valid cookie: the connection exists at once and is accepted at once, its data readable.
void Stack::Impl::open_fast(Instant now, InterfaceId interface, const FourTuple& tuple, Listener& listener,
                            tcp::Segment& syn, Seq iss, const std::optional<wire::FastOpenOption>& grant) {
  tcp::PassiveOpen how;
  how.tuple = tuple;
  how.path = path_of(interface);
  how.agreed = tcp::Agreed::of(tcp::Offer::of(env_.settings), syn.options, tuple.local.address.is_v4());
  how.iss = iss;
  how.irs = syn.seq;
  how.ts_offset = timestamp_offset(tuple);
  how.fast_open = FastOpenOutcome::Accepted;
  tcp::Context c = context(now);
  Socket& socket = new_socket();
  socket.tcp.establish_fast_open(c, how, syn, grant);
  enter_demux(socket);
  offer_to_acceptor(listener, socket);
  socket.counts_as_half_open = true;
  ++listener.fast_open_half_open;
  settle(socket, now);
}

void Stack::Impl::offer_to_acceptor(Listener& listener, Socket& socket) {
  socket.listener = listener.index;
  socket.waits_for_accept = true;
  socket.user_data = listener.options.user_data;
  listener.accept_queue.push_back(socket.index);
  if (!listener.event_hook.is_linked()) listener_events_.push_back(listener);
}

// ---- requests
// -----------------------------------------------------------------------------------------------------------

void Stack::Impl::send_syn_ack(Instant now, tcp::Request& request) {
  TxPacket* packet = control_.add();
  if (packet == nullptr) return;  // the SYN-ACK's timer tries again
  std::optional<FastOpenCookie> cookie;
  const FourTuple& tuple = request.tuple();
  if (request.grants_cookie()) {
    cookie = tcp::make_cookie(keys_of(listeners_[request.listener]).primary, tuple.remote.address, tuple.local.address);
  }
  request.emit_syn_ack(env_, now, path_of(request.interface()), timestamp_offset(tuple), cookie, *packet);
}

void Stack::Impl::request_arrives(Instant now, tcp::Request& request, tcp::Segment& segment) {
  switch (request.arrives(env_, segment)) {
    case tcp::Request::Outcome::Keep:
      return;
    case tcp::Request::Outcome::SendSynAck:
      return send_syn_ack(now, request);
    case tcp::Request::Outcome::Established:
      return complete(now, request, segment);
    case tcp::Request::Outcome::Remove:
      return remove(request);
    case tcp::Request::Outcome::Refuse:
      return refuse(request.interface(), request.tuple(), segment);
  }
}

// The last ACK of the handshake came.
void Stack::Impl::complete(Instant now, tcp::Request& request, tcp::Segment& segment) {
  Listener& listener = listeners_[request.listener];
  if (listener.accept_queue_full()) {
    env_.counters.add(Counter::TcpExt_ListenOverflows);
    env_.counters.add(Counter::TcpExt_ListenDrops);
    env_.counters.drop(DropReason::TcpAcceptQueueFull);
    if (!env_.settings.tcp_abort_on_overflow) return;  // the SYN-ACK goes again: there may be room by then
    refuse(request.interface(), request.tuple(), segment);
    env_.counters.add(Counter::TcpExt_EmbryonicRsts);
    return remove(request);
  }
  const tcp::PassiveOpen how =
      request.passive_open(now, path_of(request.interface()), timestamp_offset(request.tuple()));
  remove(request);
  tcp::Context c = context(now);
  Socket& socket = new_socket();
  socket.tcp.establish(c, how, segment);
  enter_demux(socket);
  offer_to_acceptor(listener, socket);
  settle(socket, now);
}

void Stack::Impl::request_timeout(Instant now, tcp::Request& request) {
  env_.counters.add(Counter::TcpExt_TCPTimeouts);
  if (!request.count_timeout(env_.settings.tcp_synack_retries)) {
    env_.counters.add(Counter::Tcp_AttemptFails);
    return remove(request);
  }
  send_syn_ack(now, request);
  wheel_.arm(request.timer, request.next_timeout(now));
}

void Stack::Impl::remove(tcp::Request& request) noexcept {
  wheel_.cancel(request.timer);
  demux_.erase(request.tuple());
  --listeners_[request.listener].requests;
  forms_.requests.destroy(request.index);
}

}  // namespace ff
