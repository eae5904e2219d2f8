// Scenarios of ports and addresses: G1 to G4.
#include <algorithm>
#include <set>

#include "lab/lab.hpp"

namespace ff::lab {
namespace {

// ---- G1 ------------------------------------------------------------------------------------------------------------

void four_tuple(Lab& lab) {
  lab.server.listen({.local = {{}, 80}});
  lab.server.listen({.local = {{}, 81}});
  const Endpoint local{lab.client.address(), 4000};
  const SocketOptions options{.reuse_addr = true};
  lab.say("one client port, 4000, connects to port 80, to port 81, and to another address of the server");
  lab.say("(the port was asked for, not chosen: its sockets need SO_REUSEADDR to have it one beside the other)");
  const Endpoint destinations[] = {
      {lab.server.address(), 80}, {lab.server.address(), 81}, {lab.server.second_address(), 80}};
  std::vector<Socket> sockets;
  for (const Endpoint& remote : destinations)
    sockets.push_back(lab.client.connect({.remote = remote, .local = local, .options = options}));
  lab.run(200ms);
  for (const Socket& socket : sockets)
    lab.expect(socket.established(), fmt::format("{} is connected", socket.tuple().to_string()));
  lab.expect_error("a second connection between the same two endpoints",
                   lab.client.try_connect({.remote = destinations[0], .local = local, .options = options}),
                   Error::AddressNotAvailable);
  lab.say("each has a stream of its own");
  sockets[1].write("for 81");
  lab.run(200ms);
  lab.expect_equal("bytes that the one to port 81 has sent", sockets[1].info().bytes_acked, 6);
  lab.expect_equal("and the others", sockets[0].info().bytes_acked + sockets[2].info().bytes_acked, 0);
}

void tcp_and_udp(Lab& lab) {
  const Listener listener = lab.server.listen({.local = {lab.server.address(), 53}});
  DatagramOptions options;
  options.local = {lab.server.address(), 53};
  const auto datagrams = lab.server.stack().open(options);
  lab.expect(datagrams.has_value(), "a UDP socket is bound to port 53, where a TCP listener is already");
  if (!datagrams) return;
  lab.say("the client sends a datagram from port 5000 to port 53, and connects from port 5000 to port 53");
  options.local = {lab.client.address(), 5000};
  const auto sender = lab.client.stack().open(options);
  if (!sender) throw Stopped("the client cannot open a UDP socket");
  (void)lab.client.stack().send(lab.now(), *sender, Slice::copy_of(as_bytes("one datagram")),
                                Endpoint{lab.server.address(), 53});
  Socket client =
      lab.client.connect({.remote = {lab.server.address(), 53}, .local = Endpoint{lab.client.address(), 5000}});
  client.write("a stream");
  lab.run(1s);
  const auto datagram = lab.server.stack().receive(*datagrams);
  lab.expect_equal("what the UDP socket receives", datagram ? datagram->bytes.text() : "nothing", "one datagram");
  lab.expect_equal("what the TCP connection receives", lab.server.accept(listener).read(), "a stream");
}

// ---- G2 ------------------------------------------------------------------------------------------------------------

void bind_conflicts(Lab& lab) {
  const Endpoint specific{lab.server.address(), 80}, other{lab.server.second_address(), 80};
  const IpAddress wildcard = lab.server.address().is_v4() ? IpAddress::any_v4() : IpAddress::any_v6();
  const Listener first = lab.server.listen({.local = specific});
  lab.say("a listener on {}", specific.to_string());
  lab.expect_error("the same address and port", lab.server.try_listen({.local = specific}), Error::AddressInUse);
  lab.expect_error("another address, same port", lab.server.try_listen({.local = other}), std::nullopt);
  lab.expect_error("every address, same port", lab.server.try_listen({.local = {wildcard, 80}}), Error::AddressInUse);
  lab.expect_error("every address, another port", lab.server.try_listen({.local = {wildcard, 81}}), std::nullopt);
  lab.expect_error("then one address on that port", lab.server.try_listen({.local = {lab.server.address(), 81}}),
                   Error::AddressInUse);
  lab.expect_error("an address that is not the server's", lab.server.try_listen({.local = {lab.client.address(), 82}}),
                   Error::AddressNotAvailable);
  lab.say("the first listener is closed");
  lab.server.close(first);
  lab.expect_error("the same address and port", lab.server.try_listen({.local = specific}), std::nullopt);
}

void bound_not_listening(Lab& lab) {
  const Endpoint local{lab.server.address(), kPort};
  const auto binding = lab.server.stack().bind({.local = local});
  if (!binding) throw Stopped("the server cannot bind");
  lab.say("the server has bound port {}, and does not listen yet; the client connects", kPort);
  const Socket early = lab.client.connect();
  lab.run(kRoundTrip);
  lab.expect_error("the client is told", early.error(), Error::ConnectionRefused);
  lab.expect_equal("RSTs from the server", lab.number_of(lab.server, rst), 1);
  lab.expect_error("another socket of the server that wants the port", lab.server.try_listen({.local = local}),
                   Error::AddressInUse);
  const auto listener = lab.server.stack().listen({.binding = *binding});
  lab.expect(listener.has_value(), "the one that has it listens now");
  const Socket late = lab.client.connect();
  lab.run(kRoundTrip);
  lab.expect(late.established(), "the client's next connection is established");
}

// A server that was stopped, and is started again at once.
void restart_of_a_server(Lab& lab) {
  const bool reuses = lab.parameter("SO_REUSEADDR") == "1";
  const bool alive = lab.parameter("left") == "connection";
  const ListenOptions options{.options = {.reuse_addr = reuses}};
  const Listener first = lab.server.listen(options);
  Socket client = lab.client.connect();
  lab.run(4 * kDelay);
  Socket server = lab.server.accept(first);
  if (!alive) {
    lab.say("the server ends its one connection first, and so has it in TIME_WAIT");
    server.close();
    lab.run(kRoundTrip);
    client.close();
    lab.run(kRoundTrip);
    lab.expect_equal("TIME_WAIT entries at the server", lab.server.population().time_waits, 1);
  } else {
    lab.say("one connection is alive, held by another process, as that of a server which forks");
  }
  lab.server.close(first);
  lab.say("the listener is gone; a new one is started {} SO_REUSEADDR", reuses ? "with" : "without");
  lab.expect_error("listening again", lab.server.try_listen(options),
                   reuses ? std::nullopt : std::optional(Error::AddressInUse));
  if (reuses) {
    lab.expect_error("and once more beside the new one", lab.server.try_listen(options), Error::AddressInUse);
    const Socket next = lab.client.connect();
    lab.run(kRoundTrip);
    lab.expect(next.established(), "clients are served");
    return;
  }
  if (alive) {
    server.abort();
    lab.expect_error("when the connection has ended", lab.server.try_listen(options), std::nullopt);
  } else {
    lab.run(60s);
    lab.expect_error("when the minute is over", lab.server.try_listen(options), std::nullopt);
  }
}

void shared_port(Lab& lab) {
  constexpr std::size_t kListeners = 4, kClients = 40;
  lab.server.set("tcp_migrate_req", 0);
  const bool migrates = lab.server.on("tcp_migrate_req");
  const ListenOptions options{.options = {.reuse_port = true}};
  std::vector<Listener> listeners;
  listeners.reserve(kListeners);
  for (std::size_t i = 0; i < kListeners; ++i) listeners.push_back(lab.server.listen(options));
  lab.say("{} listeners share port {}, as the workers of a server do; {} clients connect", kListeners, kPort, kClients);
  lab.expect_error("one without SO_REUSEPORT", lab.server.try_listen(), Error::AddressInUse);
  std::vector<Socket> clients;
  clients.reserve(kClients);
  for (std::size_t i = 0; i < kClients; ++i) clients.push_back(lab.client.connect());
  lab.run(4 * kDelay);
  const auto recv_queue_of_last = [&] {
    std::size_t waiting = 0;
    while (lab.server.try_accept(listeners.back())) ++waiting;
    return waiting;
  };
  std::vector<std::size_t> shares;
  for (std::size_t i = 0; i + 1 < kListeners; ++i) {
    std::size_t& share = shares.emplace_back(0);
    if (i == 0) continue;
    while (lab.server.try_accept(listeners[i])) ++share;
    lab.expect(share > 0 && share < kClients / 2, fmt::format("listener {} has its share: {}", i + 1, share));
  }
  lab.say("the first listener is closed before it accepts what it has");
  lab.server.close(listeners[0]);
  lab.run(kRoundTrip);
  const auto reset = std::ranges::count_if(clients, [](const Socket& client) { return client.error().has_value(); });
  if (migrates) {
    lab.expect_equal("connections that were reset", static_cast<std::uint64_t>(reset), 0);
    lab.expect(lab.server.count(Counter::TcpExt_TCPMigrateReqSuccess) > 0, "they went to the other listeners");
  } else {
    lab.expect(reset > 0 && reset < static_cast<std::ptrdiff_t>(kClients / 2),
               fmt::format("{} connections, its own, were reset", reset));
  }
  lab.expect(recv_queue_of_last() > 0, "the others have theirs still");
  const Socket next = lab.client.connect();
  lab.run(kRoundTrip);
  lab.expect(next.established(), "and whoever comes now is served");
}

// ---- G3 ------------------------------------------------------------------------------------------------------------

void reserved_ports(Lab& lab) {
  lab.client.set("ip_local_port_range", "40000 40007");
  lab.client.set("ip_local_reserved_ports", "40000-40004,40006");
  lab.server.listen();
  lab.say("the client may choose from {}, but for {}", lab.client.setting("ip_local_port_range"),
          lab.client.setting("ip_local_reserved_ports"));
  std::set<std::uint16_t> ports{lab.client.connect().port(), lab.client.connect().port()};
  lab.expect(ports == std::set<std::uint16_t>{40005, 40007}, "it gets 40005 and 40007");
  lab.expect_error("the third connection", lab.client.try_connect(), Error::AddressNotAvailable);
  lab.expect_error("one that asks for 40006", lab.client.try_connect({.local = Endpoint{lab.client.address(), 40006}}),
                   std::nullopt);
}

void ephemeral_ports(Lab& lab) {
  lab.client.set("ip_local_port_range", "40000 40003");
  const std::string range = lab.client.setting("ip_local_port_range");
  const auto first = static_cast<std::uint32_t>(std::stoul(range));
  const auto last = static_cast<std::uint32_t>(std::stoul(range.substr(range.find_first_of("\t "))));
  const std::size_t ports = last - first + 1;
  lab.server.listen();
  lab.say("{} ports are allowed for outgoing connections; the client connects as often as it can", ports);
  std::set<std::uint32_t> used;
  for (std::size_t i = 0; i < ports; ++i) {
    used.insert(lab.client.connect().port());
    lab.run(100ms);
  }
  lab.expect_equal("different ports", used.size(), ports);
  lab.expect(*used.begin() == first && *used.rbegin() == last, fmt::format("all of them from {} to {}", first, last));
  lab.expect_error("one connection more to the same server", lab.client.try_connect(), Error::AddressNotAvailable);
  lab.expect_error("to another address of it", lab.client.try_connect({.remote = {lab.server.second_address(), kPort}}),
                   std::nullopt);
}

void port_choice(Lab& lab) {
  lab.server.listen();
  lab.server.listen({.local = {{}, 81}});
  lab.say("the client connects eight times to port 80, and eight times to port 81");
  std::vector<std::uint16_t> ports;
  for (int i = 0; i < 16; ++i) {
    const auto port = static_cast<std::uint16_t>(i < 8 ? 80 : 81);
    ports.push_back(lab.client.connect({.remote = {lab.server.address(), port}}).port());
    lab.run(100ms);
  }
  const std::set<std::uint16_t> first(ports.begin(), ports.begin() + 8), second(ports.begin() + 8, ports.end());
  lab.expect_equal("different ports towards one destination", first.size(), 8);
  lab.expect_equal("and towards the other", second.size(), 8);
  lab.expect(ports[0] != ports[8], "each destination has its own place to begin");
  const auto range = lab.client.setting("ip_local_port_range");
  const bool within = std::ranges::all_of(ports, [&](std::uint16_t port) {
    return port >= std::stoul(range) && port <= std::stoul(range.substr(range.find_first_of("\t ")));
  });
  lab.expect(within, "all within ip_local_port_range");
}

// ---- G4 ------------------------------------------------------------------------------------------------------------

void both_families(Lab& lab) {
  ListenOptions options;
  options.local = {IpAddress::any_v6(), kPort};
  options.ipv6_only = lab.parameter("IPV6_V6ONLY") == "1";
  const auto id = lab.server.stack().listen(options);
  if (!id) throw Stopped("the server cannot listen");
  const Listener listener{*id};
  lab.say("the server listens on [::]:{}; the client connects over IPv4, and then over IPv6", kPort);
  const IpAddress v4 = IpAddress::v4(10, 0, 0, 2), v6 = IpAddress::parse("fd00::2").value();
  const Socket over_v4 = lab.client.connect({.remote = {v4, kPort}});
  lab.run(1s);
  const Socket over_v6 = lab.client.connect({.remote = {v6, kPort}});
  lab.run(1s);
  if (options.ipv6_only) {
    lab.expect_error("over IPv4", over_v4.error(), Error::ConnectionRefused);
  } else {
    lab.expect(over_v4.established(), "over IPv4: connected");
    const auto flags = [&](bool of_v4) {
      std::string text;
      for (const Host* host : {&lab.client, &lab.server})
        for (const Segment& segment : lab.seen(*host))
          if (segment.source.address.is_v4() == of_v4) text += fmt::format("{:02x} ", segment.tcp.flags.bits);
      return text;
    };
    lab.expect_equal("the flags of the packets, the same with either", flags(true), flags(false));
    const auto syns = lab.seen(lab.client, syn);
    lab.expect_equal("the MSS: the longer header makes it smaller by",
                     syns[0].tcp.options.mss.value_or(0) - syns[1].tcp.options.mss.value_or(0), 20);
  }
  lab.expect(over_v6.established(), "over IPv6: connected");
  lab.expect(lab.server.try_accept(listener).has_value(), "one listener has taken what there is");
}

}  // namespace

std::vector<Scenario> port_scenarios() {
  return {
      {.name = "four-tuple",
       .ids = {"G1"},
       .summary = "a connection is two addresses and two ports; one port may serve many connections",
       .lesson =
           "A port is not used up by a connection: what must be unique is the combination of both addresses and both "
           "ports. A server has all its connections on one port, and a client can use one towards many "
           "destinations.",
       .play = four_tuple},
      {.name = "tcp-and-udp-ports",
       .ids = {"G1"},
       .summary = "TCP's port 53 and UDP's port 53 have nothing to do with each other",
       .lesson =
           "The protocol number of the IP header says whose port is meant. A name server has both, and a firewall "
           "must allow both.",
       .play = tcp_and_udp},
      {.name = "bind-conflicts",
       .ids = {"G2"},
       .summary = "what may listen beside what: same port, specific and wildcard addresses",
       .lesson =
           "Two listeners must not both be meant by one SYN, unless they say that they share. \"Every address\" "
           "includes the specific ones, so they exclude each other on one port. EADDRINUSE at a program's start is "
           "mostly another instance of it.",
       .play = bind_conflicts},
      {.name = "bound-not-listening",
       .ids = {"G2", "B7"},
       .summary = "a port that a program has bound, but does not listen on, refuses connections",
       .lesson =
           "bind() takes a port away from others, listen() opens it to clients. Between the two a SYN is answered by "
           "RST, exactly as if nobody had the port, and the client sees ECONNREFUSED: the server is not up yet.",
       .play = bound_not_listening},
      {.name = "server-restart",
       .ids = {"G2", "E6"},
       .summary = "why a server that was just stopped cannot have its port, and what SO_REUSEADDR is for",
       .lesson =
           "A port is held by the listener, and by its connections too, and by what is left of them for a minute in "
           "TIME_WAIT. SO_REUSEADDR says that this does not matter, if those had it also. Beside a listener that is "
           "alive it lets nobody listen: that would steal its clients.",
       .knobs = {{"SO_REUSEADDR", {"0", "1"}, "the option of both listeners"},
                 {"left", {"time-wait", "connection"}, "what is left of the first server"}},
       .play = restart_of_a_server},
      {.name = "shared-port",
       .ids = {"G2"},
       .summary = "SO_REUSEPORT: several listeners share a port, and clients are spread over them",
       .lesson =
           "Each listener has an accept queue of its own, so that processes or threads need not fight for one. Who "
           "serves a client follows from a hash of its four-tuple. When a listener closes, what it had not accepted "
           "is reset, unless tcp_migrate_req has it passed on to the others.",
       .knobs = {{"server.tcp_migrate_req", {"0", "1"}, ""}},
       .play = shared_port},
      {.name = "reserved-ports",
       .ids = {"G3"},
       .summary = "ip_local_reserved_ports: some are not to be had by chance",
       .lesson = "A server whose port lies in ip_local_port_range may find it taken, by an outgoing connection that "
                 "got it by "
                 "chance. What is reserved is given only to who asks for it.",
       .play = reserved_ports},
      {.name = "ephemeral-ports",
       .ids = {"G3"},
       .summary = "outgoing connections to one destination end when ip_local_port_range is used up",
       .lesson =
           "A client that names no port gets one of ip_local_port_range. As a connection is a four-tuple, the bound "
           "is one for each destination: about 28000 by default. A proxy in front of a single server meets it, as "
           "EADDRNOTAVAIL.",
       .knobs = {{"client.ip_local_port_range", {"40000 40003", "50000 50000"}, ""}},
       .play = ephemeral_ports},
      {.name = "port-choice",
       .ids = {"G3"},
       .summary = "the next port is not predictable for others, and not used again soon",
       .lesson =
           "Who can guess addresses, ports and sequence numbers can forge packets. So the first port is a secret "
           "function of the destination, and the next ones follow from there: neighbours learn nothing, and no port "
           "comes round early (RFC 6056).",
       .play = port_choice},
      {.name = "both-families",
       .ids = {"G4"},
       .summary = "IPv4 and IPv6 carry the same TCP; one listener on [::] takes both, unless IPV6_V6ONLY",
       .lesson =
           "TCP does not care what carries it, but for the size of the header and the checksum's pseudo-header. A "
           "socket bound to :: accepts IPv4 clients too unless IPV6_V6ONLY is set, as some programs do to bind "
           "both.",
       .knobs = {{"IPV6_V6ONLY", {"0", "1"}, "the listener's socket option"}},
       .play = both_families},
  };
}

}  // namespace ff::lab
