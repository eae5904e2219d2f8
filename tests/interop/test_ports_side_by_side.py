"""Who gets which port, by the kernel and by firstflight: bind() beside whatever else there may be, listeners that share a
port, ports that are chosen, and four-tuples in TIME_WAIT; see side_by_side.py.
"""

import itertools

import pytest

import side_by_side
from side_by_side import KnownDifference


def test_connecting_to_oneself(both):
    def scenario(t):
        t.outcome("connect", name="socket", address=t.address, port=7000, local_port=7000, options={})
        t.settle()
        assert t.state("socket") == "ESTABLISHED"
        assert t.send("socket", "to myself") == 9
        assert t.recv("socket") == "to myself"
        t.shutdown("socket", "write")
        assert t.recv("socket") == ""

    both(scenario)


def test_bind_conflicts(both):
    def scenario(t):
        assert t.listen("first", port=80) is None
        assert t.listen("same", port=80) == "EADDRINUSE"
        assert t.listen("specific", port=80, address=t.address) == "EADDRINUSE"
        assert t.listen("other", port=81, address=t.address) is None
        assert t.listen("wildcard", port=81) == "EADDRINUSE"
        foreign = "198.18.5.77" if t.family == 4 else "2001:db8:5::77"
        assert t.listen("foreign", port=82, address=foreign) == "EADDRNOTAVAIL"
        t.close("first")
        assert t.listen("second", port=80) is None

    both(scenario)


REUSE = {
    "none": {},
    "addr": {"SO_REUSEADDR": 1},
    "port": {"SO_REUSEPORT": 1},
    "both": {"SO_REUSEADDR": 1, "SO_REUSEPORT": 1},
}


def all_places(t):
    """Addresses to bind: the wildcards in all their meanings, and the system's own; those that take more come first."""
    return [("::", {}), ("0.0.0.0", {}), ("::", {"IPV6_V6ONLY": 1}),
            (side_by_side.SYSTEM[4], {}), (side_by_side.SYSTEM[6], {})]


def challenge(t, port, reuse, protocol="tcp", places=None):
    """Who wants this port, one after the other: may it bind, and then listen?

    Linux remembers of a port who was last let have it by SO_REUSEPORT, and lets pass what that one would have met,
    even when it has gone. So each port is asked for with one set of options alone, and wildcards come first.
    """
    for address, v6only in places or all_places(t):
        if t.bind("challenger", address, port, protocol, **reuse, **v6only) is None:
            if protocol == "tcp":
                t.listen_on("challenger")
            t._at_once("close", name="challenger")


@pytest.mark.parametrize("reuse", REUSE)
@pytest.mark.parametrize("holder", ["bound", "listening"])
def test_bind_beside_a_socket(both, holder, reuse):
    def scenario(t):
        for i, ((address, v6only), challenger) in enumerate(itertools.product(all_places(t), REUSE.values())):
            assert t.bind("holder", address, 1000 + i, **REUSE[reuse], **v6only) is None
            if holder == "listening":
                t.listen_on("holder")
            challenge(t, 1000 + i, challenger)
            t._at_once("close", name="holder")

    both(scenario)


@pytest.mark.parametrize("reuse", REUSE)
@pytest.mark.parametrize("holder", ["accepted", "TIME_WAIT", "connected", "connected and over"])
def test_bind_beside_a_connection(both, holder, reuse):
    def scenario(t):
        own = [t.any, t.address] if holder.startswith("connected") else [t.any, "::", t.address]
        for i, (address, challenger) in enumerate(itertools.product(own, REUSE.values())):
            name = "connection %d" % i
            if holder.startswith("connected"):
                peer = t.peer(5001 + i, system_port=1000 + i)
                assert t.bind(name, address, 1000 + i, **REUSE[reuse]) is None
                assert t.connect_from(name, peer) is None
                peer.accept()
            else:
                assert t.listen(port=1000 + i, address=address, **REUSE[reuse]) is None
                peer = t.connected_peer(5001 + i, system_port=1000 + i)
                assert t.accept(name) is None
                t.close("listener")
            if holder == "TIME_WAIT":
                t.close(name)
                peer.expect("FA seq 1 ack 1")
                peer.send("FA")
                peer.expect("A seq 2 ack 2")
            if holder == "connected and over":
                peer.send("R")
                peer.drain(0.05)
            # 0.0.0.0 beside IPv6 has a test of its own.
            challenge(t, 1000 + i, challenger, places=[place for place in all_places(t)
                                                       if t.family == 4 or place[0] != "0.0.0.0"])

    both(scenario)


def test_bind_of_ipv4_beside_a_connection_over_ipv6(both):
    def scenario(t):
        t.family, t.address = 6, side_by_side.SYSTEM[6]
        assert t.listen(port=80, address="::") is None
        t.connected_peer(5001)
        assert t.accept("connection") is None
        t.close("listener")
        t.bind("every address", "0.0.0.0", 80)
        assert t.bind("one address", side_by_side.SYSTEM[4], 81) is None

    call = "bind(name='every address', address='0.0.0.0', port=80, options={}, protocol='tcp'): "
    both(scenario, KnownDifference("0.0.0.0 beside connections over IPv6", kernel=call + "EADDRINUSE",
                                   firstflight=call + "None"))


@pytest.mark.parametrize("reuse", REUSE)
def test_bind_of_datagram_sockets(both, reuse):
    def scenario(t):
        for i, ((address, v6only), challenger) in enumerate(itertools.product(all_places(t), REUSE.values())):
            assert t.bind("holder", address, 1000 + i, "udp", **REUSE[reuse], **v6only) is None
            assert t.bind("tcp", address, 1000 + i, "tcp", **v6only) is None  # a space of its own
            challenge(t, 1000 + i, challenger, "udp")

    both(scenario)


def test_several_that_are_bound_and_one_that_listens(both):
    def scenario(t):
        for name in ["first", "second"]:
            assert t.bind(name, t.any, 80, SO_REUSEADDR=1) is None
        assert t.listen_on("first") is None
        assert t.listen_on("second") == "EADDRINUSE"
        peer = t.connected_peer(5001)
        assert t.accept("connection", "first") is None
        t.close("first")
        assert t.listen_on("second") is None  # beside the connection
        peer.send("PA", b"still there")
        assert t.recv("connection") == "still there"
        t.connected_peer(5002)
        assert t.accept("another", "second") is None

    both(scenario)


def test_bound_and_not_listening(both):
    def scenario(t):
        assert t.bind("socket", t.any, 80) is None
        peer = t.peer(5001)
        peer.send("S")
        peer.expect("RA seq 0 ack 1")
        peer.send("A", ack=5)
        peer.expect("R seq 5")
        assert t.listen_on("socket") is None
        t.connected_peer(5002)
        assert t.accept("connection", "socket") is None

    both(scenario)


@pytest.mark.parametrize("migrate", [0, 1])
def test_listeners_that_share_a_port(both, migrate):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_migrate_req", migrate)
        assert t.listen("first", SO_REUSEPORT=1) is None
        assert t.listen("none") == "EADDRINUSE"
        if not migrate:  # then what the first one has not accepted would be reset, and who that is is chance
            t.close("first")
        assert t.listen("second", SO_REUSEPORT=1) is None
        peers = [t.connected_peer(port) for port in range(5001, 5009)]
        if migrate:
            t.close("first")
        for i in range(len(peers)):
            assert t.accept("connection %d" % i, "second") is None
        assert t.accept("one more", "second", limit=0.1) == "EAGAIN"
        for peer in peers:
            peer.expect_nothing(0.01)

    both(scenario)


def test_no_port_is_left(both):
    def scenario(t):
        t.sysctl("net.ipv4.ip_local_port_range", "41000 41003")
        t.sysctl("net.ipv4.ip_local_reserved_ports", "41001-41002")
        assert t.bind("bound", t.any, 41003, SO_REUSEADDR=1) is None
        peer = t.peer(5001)
        assert t.connect("first", peer) is None
        t.note("from port %d" % peer.system_port)
        assert t.connect("second", peer) == "EADDRNOTAVAIL"
        assert t.connect("elsewhere", t.peer(5002)) is None
        assert t.bind("any", t.any, 0) == "EADDRINUSE"
        assert t.bind("reserved", t.any, 41001) is None  # from chance alone

    both(scenario)


def test_four_tuple_in_use(both):
    def scenario(t):
        peer = t.peer(5001)
        assert t.connect("first", peer, 4000, SO_REUSEADDR=1) is None
        assert t.connect("none", peer, 4000) == "EADDRINUSE"
        assert t.connect("same", peer, 4000, SO_REUSEADDR=1) == "EADDRNOTAVAIL"
        assert t.connect("elsewhere", t.peer(5002), 4000, SO_REUSEADDR=1) is None
        assert t.listen(port=4000, SO_REUSEADDR=1) is None
        assert t.connect("beside the listener", t.peer(5003), 4000, SO_REUSEADDR=1) == "EADDRINUSE"

    both(scenario)


def leave_in_time_wait(t, peer, name):
    """Closes a connection that the system began."""
    t.close(name)
    peer.expect("FA seq 1 ack 1")
    peer.send("FA")
    peer.expect("A seq 2 ack 2")


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("reuse", [0, 1, 2])
def test_outgoing_connection_over_time_wait(both, reuse, timestamps):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_tw_reuse", reuse)
        t.sysctl("net.ipv4.ip_local_port_range", "4000 4000")
        peer = t.peer_connected_to("first", 5001, timestamps=timestamps)
        leave_in_time_wait(t, peer, "first")
        assert t.connect("at once", peer) == "EADDRNOTAVAIL"
        t.settle(2.1)
        if reuse == 1 and timestamps:
            assert t.connect("second", peer) is None
            peer.expect("S")
            peer.isn = peer.nxt = peer.isn + 100000
            peer.send("SA")
            peer.expect("A")
            assert t.state("second") == "ESTABLISHED"
        else:
            assert t.connect("second", peer) == "EADDRNOTAVAIL"
        t.counted("TcpExtTWRecycled")

    both(scenario)


@pytest.mark.parametrize("timestamps", [True, False])
def test_bound_connection_over_time_wait(both, timestamps):
    def scenario(t):
        peer = t.peer(5001, timestamps=timestamps)
        assert t.connect("first", peer, 4000, SO_REUSEADDR=1) is None
        peer.accept()
        leave_in_time_wait(t, peer, "first")
        assert t.connect("none", peer, 4000) == "EADDRINUSE"
        said = t.connect("second", peer, 4000, SO_REUSEADDR=1)
        assert said == (None if timestamps else "EADDRNOTAVAIL")
        peer.drain()
        t.counted("TcpExtTWRecycled")

    both(scenario)
