// Listeners, and the requests in their SYN queues: RFC 9293 §3.10.7.2 (LISTEN), RFC 7413 §4.2.2.
#include <algorithm>
#include <cassert>

#include "stack/impl.hpp"
#include "tcp/emit.hpp"
#include "tcp/fastopen/key_ring.hpp"
#include "tcp/fastopen/server_policy.hpp"

namespace ff {

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
  if (segment.flags.ack()) {
    if (cookie_arrives(now, interface, tuple, listener, segment)) return;
    return refuse(interface, tuple, segment);
  }
  if (!segment.flags.syn() || segment.flags.fin()) return env_.counters.drop(DropReason::TcpFlags);
  if (interfaces_.is_subnet_broadcast(tuple.remote.address)) return env_.counters.drop(DropReason::TcpGroup);
  const Room room = room_for_syn(now, tuple, listener, iss.has_value());
  if (room == Room::None) return;
  if (room == Room::Cookie) return send_cookie(now, interface, tuple, listener, segment);
  const Seq own = iss.value_or(initial_sequence_number(now, tuple));

  const FastOpenKeys keys = keys_of(listener);
  const bool relevant = segment.options.fast_open || !segment.payload.empty();
  const tcp::ServerSide side{keys, listener.fast_open_limit > 0, !relevant || listener.fast_open_has_room(now),
                             fast_open_replays_, now};
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
  if (const std::uint32_t save = listener.options.options.save_syn)
    request_syns_[request.index] = std::string(as_text(segment.headers_to_save(save == 2)));
  demux_.insert(tuple, {Form::Request, request.index});
  if (listener.options.hold_requests) return hold(listener, request);
  send_syn_ack(now, request);
  wheel_.arm(request.timer, request.next_timeout(now));
}

void Stack::Impl::hold(Listener& listener, tcp::Request& request) {
  request.hold(true);
  listener.held_requests.push_back({request.index, forms_.requests.generation(request.index)});
  if (!listener.event_hook.is_linked()) listener_events_.push_back(listener);
}

// In the order of Linux's tcp_conn_request. A SYN that reuses a TIME_WAIT entry has its sequence number given already
// and can have no cookie.
Stack::Impl::Room Stack::Impl::room_for_syn(Instant now, const FourTuple& tuple, Listener& listener,
                                            bool reuses_time_wait) {
  Counters& counters = env_.counters;
  const auto refused = [&](DropReason reason) {
    counters.add(Counter::TcpExt_ListenDrops);
    counters.drop(reason);
    return Room::None;
  };
  const bool full = listener.requests > listener.accept_limit;  // one more than the limit fits, as in the accept queue
  const std::uint32_t cookies = listener.options.hold_requests ? 0 : env_.settings.tcp_syncookies;
  const bool wants_cookie = (full || cookies == 2) && !reuses_time_wait;
  if (wants_cookie) counters.add(cookies != 0 ? Counter::TcpExt_TCPReqQFullDoCookies : Counter::TcpExt_TCPReqQFullDrop);
  if (wants_cookie && cookies == 0) return refused(DropReason::TcpSynQueueFull);
  if (listener.accept_queue_full()) {
    counters.add(Counter::TcpExt_ListenOverflows);
    return refused(DropReason::TcpAcceptQueueFull);
  }
  if (wants_cookie) return Room::Cookie;
  // Without cookies the last quarter of the backlog is for peers alone that have been here before.
  const std::uint32_t backlog = env_.settings.tcp_max_syn_backlog;
  const bool last_quarter = listener.requests >= backlog || backlog - listener.requests < backlog >> 2;
  const auto is_known = [&] {
    const TcpMetrics* known = env_.metrics.use({tuple.local.address, tuple.remote.address}, now);
    return known != nullptr && known->rtt != Duration::zero();
  };
  if (cookies == 0 && last_quarter && !reuses_time_wait && !is_known()) return refused(DropReason::TcpSynQueueFull);
  if (forms_.connections.size() + forms_.requests.size() >= config_.max_connections)
    return refused(DropReason::TcpConnectionLimit);
  return Room::InQueue;
}

// RFC 4987 §3.6. Without timestamps there is no place for what the SYN's other options say; Fast Open, whose data would
// have to be kept, there is none.
void Stack::Impl::send_cookie(Instant now, InterfaceId interface, const FourTuple& tuple, Listener& listener,
                              tcp::Segment& syn) {
  TxPacket* packet = control_.add(tuple.local.address.is_v4());
  if (packet == nullptr) return;  // the client asks again
  tcp::Offer offer = tcp::Offer::of(env_.settings);
  if (!offer.timestamps || !syn.options.timestamps) offer = tcp::Offer{.min_snd_mss = offer.min_snd_mss};
  const tcp::Agreed agreed = tcp::Agreed::of(offer, syn, tuple.local.address.is_v4());
  tcp::Request request(0);
  request.begin(tuple, interface, syn, offer, syn_cookies_.make(tuple, syn.seq, agreed.peer_mss, now));
  const std::uint32_t ts_offset = timestamp_offset(tuple) + tcp::cookie_timestamp_shift(now, agreed);
  request.emit_syn_ack(env_, now, path_for(listener, interface),
                       tcp::receive_buffer(env_.settings, listener.options.options), ts_offset, std::nullopt, *packet);
  listening_.group_of(listener).cookies_until = now + tcp::SynCookies::kValid;
  env_.counters.add(Counter::TcpExt_SyncookiesSent);
}

bool Stack::Impl::cookie_arrives(Instant now, InterfaceId interface, const FourTuple& tuple, Listener& listener,
                                 tcp::Segment& segment) {
  if (env_.settings.tcp_syncookies == 0 || segment.flags.syn()) return false;
  if (now >= listening_.group_of(listener).cookies_until) return false;
  const Seq iss = segment.ack - 1u;
  const Seq irs = segment.seq - 1u;
  const auto mss = syn_cookies_.check(tuple, irs, iss, now);
  if (!mss) {
    env_.counters.add(Counter::TcpExt_SyncookiesFailed);
    return false;
  }
  env_.counters.add(Counter::TcpExt_SyncookiesRecv);
  tcp::PassiveOpen how;
  how.tuple = tuple;
  how.path = path_of(interface);
  how.iss = iss;
  how.irs = irs;
  how.ts_offset = timestamp_offset(tuple);
  if (env_.settings.tcp_timestamps && segment.options.timestamps) {
    const auto& timestamps = *segment.options.timestamps;
    how.agreed = tcp::agreed_in_timestamp(Timestamp(timestamps.echo_reply.raw() - how.ts_offset));
    how.agreed.ts_recent = timestamps.value;
    how.agreed.ecn &= tcp::Offer::of(env_.settings).ecn;
  }
  how.agreed.peer_mss = *mss;
  how.syn_ack_sent_at = now;
  how.syn_ack_retransmitted = true;  // when it went is forgotten, too: nothing to measure
  if (listener.accept_queue_full()) {
    env_.counters.add(Counter::TcpExt_ListenOverflows);
    env_.counters.add(Counter::TcpExt_ListenDrops);
    env_.counters.drop(DropReason::TcpAcceptQueueFull);
  } else {
    establish(now, listener, how, segment, {});
  }
  return true;
}

// A SYN with a valid cookie: the connection exists at once and is accepted at once, its data readable.
void Stack::Impl::open_fast(Instant now, InterfaceId interface, const FourTuple& tuple, Listener& listener,
                            tcp::Segment& syn, Seq iss, const std::optional<wire::FastOpenOption>& grant) {
  tcp::PassiveOpen how;
  how.tuple = tuple;
  how.path = path_of(interface);
  how.agreed = tcp::Agreed::of(tcp::Offer::of(env_.settings), syn, tuple.local.address.is_v4());
  how.iss = iss;
  how.irs = syn.seq;
  how.ts_offset = timestamp_offset(tuple);
  how.fast_open = FastOpenOutcome::Accepted;
  how.options = &listener.options.options;
  tcp::Context c = context(now);
  Socket& socket = new_socket();
  if (const std::uint32_t save = listener.options.options.save_syn)
    connection_syns_[socket.index] = std::string(as_text(syn.headers_to_save(save == 2)));
  socket.tcp.establish_fast_open(c, how, syn, grant);
  enter_demux(socket, inherited_use(listener));
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

tcp::Path Stack::Impl::path_for(const Listener& listener, InterfaceId interface) const noexcept {
  tcp::Path path = path_of(interface);
  path.adopt(listener.options.options, env_.settings);
  return path;
}

void Stack::Impl::send_syn_ack(Instant now, tcp::Request& request) {
  const Duration delay = std::chrono::microseconds(listeners_[request.listener].options.options.tx_delay);
  TxPacket kept;
  TxPacket* packet = delay == Duration::zero() ? control_.add(request.tuple().local.address.is_v4()) : &kept;
  if (packet == nullptr) return;  // the SYN-ACK's timer tries again
  std::optional<FastOpenCookie> cookie;
  const FourTuple& tuple = request.tuple();
  if (request.grants_cookie()) {
    cookie = tcp::make_cookie(keys_of(listeners_[request.listener]).primary, tuple.remote.address, tuple.local.address);
  }
  const Listener& listener = listeners_[request.listener];
  request.emit_syn_ack(env_, now, path_for(listener, request.interface()),
                       tcp::receive_buffer(env_.settings, listener.options.options), timestamp_offset(tuple), cookie,
                       *packet);
  if (delay != Duration::zero()) delayed_.keep(kept, now + delay);
}

void Stack::Impl::request_arrives(Instant now, tcp::Request& request, tcp::Segment& segment) {
  const tcp::Request::Outcome outcome = request.arrives(env_, segment);
  // The peer asks again, or guesses what it was never sent.
  if (request.held() && outcome != tcp::Request::Outcome::Remove) return;
  switch (outcome) {
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
  if (waits_for_data(listener, request, segment)) {
    env_.counters.add(Counter::TcpExt_TCPDeferAcceptDrop);
    return request.acknowledge_bare();
  }
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
  std::string saved_syn;
  if (const auto saved = request_syns_.find(request.index); saved != request_syns_.end())
    saved_syn = std::move(saved->second);
  remove(request);
  establish(now, listener, how, segment, std::move(saved_syn));
}

void Stack::Impl::establish(Instant now, Listener& listener, const tcp::PassiveOpen& how, tcp::Segment& segment,
                            std::string saved_syn) {
  tcp::PassiveOpen with_options = how;
  with_options.options = &listener.options.options;
  tcp::Context c = context(now);
  Socket& socket = new_socket();
  if (!saved_syn.empty()) connection_syns_[socket.index] = std::move(saved_syn);
  socket.tcp.establish(c, with_options, segment);
  enter_demux(socket, inherited_use(listener));
  offer_to_acceptor(listener, socket);
  settle(socket, now);
}

// TCP_DEFER_ACCEPT: a bare ACK is not worth waking the application for, until its time is over.
bool Stack::Impl::waits_for_data(const Listener& listener, const tcp::Request& request,
                                 const tcp::Segment& segment) const noexcept {
  return listener.options.options.defer_accept > 0 && request.timeouts() < listener.deferred_timeouts() &&
         segment.end() == request.irs() + 1u;
}

// As Linux's reqsk_timer_handler(): one that has been acknowledged and waits for data is not reminded, but for the last
// time.
void Stack::Impl::request_timeout(Instant now, tcp::Request& request) {
  env_.counters.add(Counter::TcpExt_TCPTimeouts);
  const Listener& listener = listeners_[request.listener];
  const std::uint32_t syncnt = listener.options.options.syncnt;
  const std::uint32_t most = syncnt != 0 ? syncnt : env_.settings.tcp_synack_retries;
  const std::uint8_t deferred = listener.deferred_timeouts();
  const bool waits = deferred > 0 && request.acknowledged();
  const bool expired = request.timeouts() >= most && (!waits || request.timeouts() >= deferred);
  if (expired) {
    env_.counters.add(Counter::Tcp_AttemptFails);
    return remove(request);
  }
  const bool remind = !waits || request.timeouts() + 1 >= deferred;
  request.count_timeout();
  if (remind) send_syn_ack(now, request);
  wheel_.arm(request.timer, request.next_timeout(now));
}

void Stack::Impl::remove(tcp::Request& request) noexcept {
  wheel_.cancel(request.timer);
  demux_.erase(request.tuple());
  --listeners_[request.listener].requests;
  if (!request_syns_.empty()) request_syns_.erase(request.index);
  forms_.requests.destroy(request.index);
}

}  // namespace ff
