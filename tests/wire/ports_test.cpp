// Local ports of TCP (G1, G2, G3): who may have one beside whom, who of several listeners is meant, and which port an
// outgoing connection gets.
#include <algorithm>
#include <set>

#include "wire/language.hpp"

namespace {

constexpr SocketOptions kReuseAddr{.reuse_addr = true}, kReusePort{.reuse_port = true};

IpAddress wildcard(const Wire& w) { return w.v6() ? IpAddress::any_v6() : IpAddress::any_v4(); }

std::optional<Error> error_of(const auto& result) { return result ? std::nullopt : std::optional(result.error()); }

BindingId bind(Wire& w, std::uint16_t port, const SocketOptions& options = {}) {
  const auto id = w.stack().bind({.local = {wildcard(w), port}, .options = options});
  w.require(id.has_value(), "the port is ours");
  return *id;
}
void bind_fails(Wire& w, std::uint16_t port, const SocketOptions& options = {}) {
  const auto id = w.stack().bind({.local = {wildcard(w), port}, .options = options});
  w.require(error_of(id) == Error::AddressInUse, "EADDRINUSE");
}

// One that shares port 80 with others.
ListenerId join(Wire& w, std::uint32_t backlog = 1000) {
  const auto id = w.stack().listen({.local = {wildcard(w), 80}, .backlog = backlog, .options = kReusePort});
  w.require(id.has_value(), "another listener on the port");
  return *id;
}

// Who of these has the connection that is spoken of, which has completed its handshake.
std::size_t taker(Wire& w, const std::vector<ListenerId>& listeners) {
  std::size_t found = listeners.size();
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    if (!w.stack().accept(listeners[i])) continue;
    w.require(found == listeners.size(), "one listener has it");
    found = i;
  }
  w.require(found < listeners.size(), "somebody has it");
  return found;
}

void shake_hands(Wire& w) {
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
}

// We have closed first.
void leave_time_wait(Wire& w) {
  w.close();
  w.out(fin(1).ack(1));
  w.in(fin(1).ack(2));
  w.out(segment(2).ack(2));
}

}  // namespace

// ---- bind() --------------------------------------------------------------------------------------------------------

// B7: a port that is bound, and not listened on, answers as one that is not.
WIRE_TEST(Ports, BoundButNotListeningAnswersByReset) {
  const BindingId binding = bind(w, 80);
  w.in(syn(0).mss(1000));
  w.out(rst(0).raw_seq().ack(1));
  const auto listener = w.stack().listen({.binding = binding});
  w.require(listener.has_value(), "now it listens");
  w.require(w.stack().local(*listener)->port == 80, "on the port that was bound");
  w.require(error_of(w.stack().local(binding)) == Error::StaleHandle, "the binding is the listener's");
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
}

WIRE_TEST(Ports, BindingKeepsOthersAway) {
  const BindingId binding = bind(w, 80);
  bind_fails(w, 80);
  bind_fails(w, 80, kReuseAddr);
  bind_fails(w, 80, kReusePort);
  w.connect_fails({.local_port = 80}, Error::AddressInUse);
  const Endpoint specific{w.own_address(), 80};
  w.require(error_of(w.stack().bind({.local = specific})) == Error::AddressInUse, "the wildcard has it");
  w.require(w.stack().close(binding).has_value(), "given back");
  w.require(error_of(w.stack().close(binding)) == Error::StaleHandle, "once");
  w.require(w.stack().bind({.local = specific}).has_value(), "free again");
  bind_fails(w, 80);
}

// With SO_REUSEADDR many may bind, as long as nobody listens; the first that does is the last that may.
WIRE_TEST(Ports, OfThoseWithReuseAddrOneMayListen) {
  const BindingId first = bind(w, 80, kReuseAddr), second = bind(w, 80, kReuseAddr);
  bind_fails(w, 80);
  const auto listener = w.stack().listen({.binding = first, .options = kReuseAddr});
  w.require(listener.has_value(), "the first");
  bind_fails(w, 80, kReuseAddr);
  const auto other = w.stack().listen({.binding = second, .options = kReuseAddr});
  w.require(error_of(other) == Error::AddressInUse, "not the second");
  w.require(w.stack().local(second).has_value(), "whose binding stays");
  w.require(w.stack().close(w.now(), *listener).has_value(), "the first has gone");
  w.require(w.stack().listen({.binding = second, .options = kReuseAddr}).has_value(), "now the second");
}

// setsockopt() after bind() counts for those who come later.
WIRE_TEST(Ports, OptionsMayChangeAfterBind) {
  const BindingId binding = bind(w, 80);
  bind_fails(w, 80, kReuseAddr);
  w.require(w.stack().set_options(binding, kReuseAddr).has_value(), "changed");
  const BindingId other = bind(w, 80, kReuseAddr);
  w.require(w.stack().set_options(binding, {}).has_value(), "changed back");
  bind_fails(w, 80, kReuseAddr);
  w.require(w.stack().close(binding) && w.stack().close(other), "both given back");
  bind(w, 80);
}

WIRE_TEST(Ports, PortZeroIsAnyThatNobodyHas) {
  w.set("net.ipv4.ip_local_port_range", "50000 50003");
  w.set("net.ipv4.ip_local_reserved_ports", "50001");
  bind(w, 50002);
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 2; ++i) ports.insert(w.stack().local(bind(w, 0))->port);
  w.require(ports == std::set<std::uint16_t>{50000, 50003}, "neither reserved nor taken");
  bind_fails(w, 0);
  bind(w, 50001);  // reserved from chance alone
  const auto listener = w.stack().listen({.local = {wildcard(w), 0}});
  w.require(error_of(listener) == Error::AddressInUse, "listen() binds in the same way");
}

WIRE_TEST(Ports, ListenTellsThePortThatWasChosen) {
  const auto listener = w.stack().listen({.local = {wildcard(w), 0}});
  w.require(listener.has_value(), "it listens");
  const std::uint16_t port = w.stack().local(*listener)->port;
  w.require(port >= 32768 && port <= 60999, "in ip_local_port_range");
  bind_fails(w, port);
}

// ---- listening beside what is left of an earlier run ---------------------------------------------------------------

WIRE_TEST(Ports, ConnectionsOfAnEarlierListenerKeepItsPort) {
  w.establish();
  w.close_listener();
  bind_fails(w, 80);
  bind_fails(w, 80, kReuseAddr);  // the connection has not got it
  leave_time_wait(w);
  bind_fails(w, 80);
  w.advance(60s - 1ms);
  bind_fails(w, 80);
  w.advance(1ms);
  w.listen();
}

WIRE_TEST(Ports, ReuseAddrListensBesideThem) {
  w.listen({.options = kReuseAddr});
  w.establish();
  w.close_listener();
  bind_fails(w, 80);
  bind_fails(w, 80, kReusePort);
  w.listen({.options = kReuseAddr});
  leave_time_wait(w);
  w.close_listener();
  bind_fails(w, 80);
  w.listen({.options = kReuseAddr});
  w.use(1);
  shake_hands(w);
  w.accept();
}

// An accepted connection has the options of its listener, and may change them.
WIRE_TEST(Ports, AcceptedConnectionsHaveTheListenersOptions) {
  w.listen({.options = kReuseAddr});
  w.establish();
  w.close_listener();
  w.options({});
  bind_fails(w, 80, kReuseAddr);
  w.options(kReuseAddr);
  bind(w, 80, kReuseAddr);
}

// A peer's RST ends the connection, and with it what it holds.
WIRE_TEST(Ports, ResetConnectionsHoldNothing) {
  w.establish();
  w.close_listener();
  bind_fails(w, 80);
  w.in(rst(1));
  w.ended_with(Error::ConnectionReset);
  bind(w, 80);
}

// ---- SO_REUSEPORT --------------------------------------------------------------------------------------------------

WIRE_TEST(Ports, ReusePortSpreadsClientsOverListeners) {
  std::vector<ListenerId> listeners;
  for (int i = 0; i < 4; ++i) listeners.push_back(join(w));
  bind_fails(w, 80, kReuseAddr);
  std::vector<int> taken(4);
  std::vector<std::size_t> takers;
  for (int client = 0; client < 64; ++client) {
    w.use(client);
    shake_hands(w);
    takers.push_back(taker(w, listeners));
    w.in(rst(1));
    ++taken[takers.back()];
  }
  for (const int count : taken) w.require(count >= 4 && count <= 32, "each has its share");
  // Whoever comes again comes to the same one.
  for (int client = 0; client < 64; ++client) {
    w.use(client);
    w.reincarnate(1000);
    shake_hands(w);
    w.require(taker(w, listeners) == takers[static_cast<std::size_t>(client)], "as before");
  }
}

// A listener that closes takes with it what is its own: requests are forgotten, connections that nobody accepted are
// reset. What the others have stays theirs.
WIRE_TEST(Ports, ClosingOneOfAGroupLeavesTheOthersAlone) {
  std::vector<ListenerId> listeners{join(w), join(w)};
  constexpr int kClients = 16;
  for (int client = 0; client < kClients; ++client) {
    w.use(client);
    w.in(syn(0).mss(1000));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
    if (client % 2 == 0) w.in(segment(1).ack(1));
  }
  const auto waiting = [&] { return w.stack().population(); };
  w.require(waiting().requests == kClients / 2 && waiting().connections == kClients / 2,
            "half of them wait for an ACK");
  w.require(w.stack().close(w.now(), listeners[0]).has_value(), "closed");
  const Stack::Population left = waiting();
  w.require(left.requests > 0 && left.requests < kClients / 2, "some requests were the other's");
  TxPacket reset;
  std::size_t resets = 0;
  while (w.stack().poll_transmit(w.now(), reset)) ++resets;
  w.require(resets > 0 && left.connections + resets == kClients / 2, "some connections were the other's");
  std::size_t accepted = 0;
  while (w.stack().accept(listeners[1])) ++accepted;
  w.require(accepted == left.connections, "which are still there");
  w.require(w.stack().check().empty(), "and all is in order");
  // Whoever comes now comes to the one that is left.
  for (int client = kClients; client < kClients + 8; ++client) {
    w.use(client);
    shake_hands(w);
    w.require(w.stack().accept(listeners[1]).has_value(), "accepted");
  }
}

// net.ipv4.tcp_migrate_req: what the closing one has not accepted goes to the others.
WIRE_TEST(Ports, MigrateReqPassesOnWhatWasNotAccepted) {
  w.set("net.ipv4.tcp_migrate_req", "1");
  std::vector<ListenerId> listeners{join(w), join(w)};
  constexpr int kClients = 16;
  for (int client = 0; client < kClients; ++client) {
    w.use(client);
    w.in(syn(0).mss(1000));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
    if (client % 2 == 0) w.in(segment(1).ack(1));
  }
  w.require(w.stack().close(w.now(), listeners[0]).has_value(), "closed");
  const Stack::Population left = w.stack().population();
  w.require(left.requests == kClients / 2 && left.connections == kClients / 2, "nothing is lost");
  for (int client = 1; client < kClients; client += 2) {
    w.use(client);
    w.in(segment(1).ack(1));
  }
  for (int i = 0; i < kClients; ++i) w.require(w.stack().accept(listeners[1]).has_value(), "accepted by the other");
  const std::uint64_t passed_on = w.stack().counters()[Counter::TcpExt_TCPMigrateReqSuccess];
  w.require(passed_on > 0 && passed_on < kClients, "those that had to move are counted");
  w.counter(Counter::TcpExt_TCPMigrateReqFailure, 0);
}

// There is no more room than there is.
WIRE_TEST(Ports, MigrateReqNeedsRoom) {
  w.set("net.ipv4.tcp_migrate_req", "1");
  w.listen({.options = kReusePort});
  w.use(0);
  shake_hands(w);
  w.use(1);
  shake_hands(w);
  const ListenerId small = join(w, 0);
  w.close_listener();
  w.out(rst(1).ack(1));
  w.counter(Counter::TcpExt_TCPMigrateReqSuccess, 1);
  w.counter(Counter::TcpExt_TCPMigrateReqFailure, 1);
  w.require(w.stack().accept(small).has_value(), "one found room");
}

// B4: the ACK that brings a SYN cookie back may come to another listener of the group than the one that sent it.
WIRE_TEST(Ports, SynCookiesAreGoodForTheWholeGroup) {
  w.set("net.ipv4.tcp_syncookies", "2");
  std::vector<ListenerId> listeners{join(w)};
  constexpr int kClients = 8;
  for (int client = 0; client < kClients; ++client) {
    w.use(client);
    w.learn_isn();
    w.in(syn(0).mss(1000));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
  }
  listeners.push_back(join(w));
  listeners.push_back(join(w));
  std::set<std::size_t> takers;
  for (int client = 0; client < kClients; ++client) {
    w.use(client);
    w.in(segment(1).ack(1));
    takers.insert(taker(w, listeners));
  }
  w.require(takers.size() > 1, "they were spread");
  w.counter(Counter::TcpExt_SyncookiesRecv, kClients);
}

// A3: and so is a Fast Open cookie, whose connection is accepted where its SYN came to.
WIRE_TEST(Ports, FastOpenWorksWithAGroup) {
  std::vector<ListenerId> listeners;
  for (int i = 0; i < 3; ++i) {
    const auto id = w.stack().listen(
        {.local = {wildcard(w), 80}, .fast_open_queue = 16, .options = {.reuse_addr = true, .reuse_port = true}});
    w.require(id.has_value(), "it joins");
    listeners.push_back(*id);
  }
  std::set<std::size_t> takers;
  for (int client = 0; client < 12; ++client) {
    w.use(client);
    w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET"));
    w.out(syn_ack(0).ack(4).mss(w.mss()));
    takers.insert(taker(w, listeners));
  }
  w.require(takers.size() == 3, "they were spread");
  w.counter(Counter::TcpExt_TCPFastOpenPassive, 12);
}

// ---- connect() -----------------------------------------------------------------------------------------------------

// G1: one port, many destinations; bind() needs SO_REUSEADDR for it, and the four-tuple stays one of a kind.
WIRE_TEST(Ports, OneLocalPortServesManyDestinations) {
  w.connect({.local_port = 5000, .remote_port = 80, .options = kReuseAddr});
  w.out(w.our_syn());
  w.use(1);
  w.connect_fails({.local_port = 5000, .remote_port = 81}, Error::AddressInUse);
  w.connect({.local_port = 5000, .remote_port = 81, .options = kReuseAddr});
  w.out(w.our_syn());
  w.use(2);
  w.connect_fails({.local_port = 5000, .remote_port = 80, .options = kReuseAddr}, Error::AddressNotAvailable);
  w.use(3, 1);
  w.connect({.local_port = 5000, .remote_port = 80, .options = kReuseAddr});
  w.out(w.our_syn());
}

// What bind() gave is the socket's as long as the application has it, whatever becomes of the connection.
WIRE_TEST(Ports, BoundPortOutlivesTheConnection) {
  w.connect({.local_port = 5000});
  w.out(w.our_syn());
  w.in(rst(0).ack(1));
  w.ended_with(Error::ConnectionRefused);
  bind_fails(w, 5000);
  w.close();
  bind(w, 5000);
}

// One that connect() chose is free with the connection's end.
WIRE_TEST(Ports, ChosenPortDoesNot) {
  w.set("net.ipv4.ip_local_port_range", "50000 50000");
  w.connect();
  w.out(w.our_syn());
  bind_fails(w, 50000);
  w.in(rst(0).ack(1));
  w.ended_with(Error::ConnectionRefused);
  bind(w, 50000);
}

WIRE_TEST(Ports, ConnectFromABinding) {
  const BindingId binding = bind(w, 5000);
  w.use(0);
  const auto connection = w.stack().connect(w.now(), {.remote = {w.peer_address(0), 80}, .binding = binding});
  w.require(connection.has_value(), "connects");
  w.require(w.stack().info(*connection)->tuple.local == Endpoint{w.own_address(), 5000},
            "from the port that was bound");
  w.require(error_of(w.stack().local(binding)) == Error::StaleHandle, "the binding is the connection's");
  bind_fails(w, 5000);
  TxPacket packet;
  w.require(w.stack().poll_transmit(w.now(), packet), "a SYN goes out");
  w.require(w.stack().abort(w.now(), *connection).has_value(), "given up");
  bind(w, 5000);
}

// bind() with SO_REUSEADDR, then connect() over an entry in TIME_WAIT: at once, where timestamps tell old from new.
WIRE_TEST(Ports, BoundConnectionTakesTheFourTupleOfTimeWait) {
  w.connect({.local_port = 5000, .options = kReuseAddr});
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000).ts(700, 0));
  w.out(segment(1).ack(1).ts(0, 700));
  w.close();
  w.out(fin(1).ack(1).ts(0, 700));
  w.in(fin(1).ack(2).ts(700, 0));
  w.out(segment(2).ack(2).ts(0, 700));
  w.connect_fails({.local_port = 5000}, Error::AddressInUse);
  w.reincarnate(100'000);
  w.learn_isn();
  w.connect({.local_port = 5000, .options = kReuseAddr});
  w.out(syn(0).mss(w.mss()).sack_ok().ts(0, 700).wscale(7));
  w.counter(Counter::TcpExt_TWRecycled, 1);
}

WIRE_TEST(Ports, WithoutTimestampsItDoesNot) {
  w.connect({.local_port = 5000, .options = kReuseAddr});
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(segment(1).ack(1));
  leave_time_wait(w);
  w.connect_fails({.local_port = 5000, .options = kReuseAddr}, Error::AddressNotAvailable);
}

// A port that somebody has bound is not chosen, even where the four-tuple is free; one that connect() chose for another
// destination is.
WIRE_TEST(Ports, BoundPortsAreNotChosen) {
  w.set("net.ipv4.ip_local_port_range", "50000 50001");
  bind(w, 50001);
  for (int i = 0; i < 3; ++i) {
    w.use(i);
    w.connect({.remote_port = static_cast<std::uint16_t>(80 + i)});
    w.learn_isn();
    w.out(w.our_syn());
    w.require(w.info().tuple.local.port == 50000, "the other port, each time");
  }
  w.use(3);
  w.connect_fails({.remote_port = 80}, Error::AddressNotAvailable);
}

WIRE_TEST(Ports, ReservedPortsAreNotChosen) {
  w.set("net.ipv4.ip_local_port_range", "50000 50009");
  w.set("net.ipv4.ip_local_reserved_ports", "50000-50006,50008");
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 2; ++i) {
    w.use(i);
    w.connect();
    w.learn_isn();
    w.out(w.our_syn());
    ports.insert(w.info().tuple.local.port);
  }
  w.require(ports == std::set<std::uint16_t>{50007, 50009}, "the two that are left");
  w.use(2);
  w.connect_fails({}, Error::AddressNotAvailable);
  w.connect({.local_port = 50008});
  w.learn_isn();
  w.out(w.our_syn());
}
