"""Each scenario runs against the kernel and against firstflight, and must look the same; see side_by_side.py.

Where the two are meant to differ stands in docs/linux-differences.md. What a scenario expects by itself is there so
that it cannot pass by nothing happening; the comparison does the rest.
"""

import pytest

from side_by_side import KnownDifference


# ---- opening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abort", [0, 1])
def test_accept_queue_overflow(both, abort):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_abort_on_overflow", abort)
        t.listen(backlog=1)
        for port in [5001, 5002]:  # one more than the backlog fits
            t.connected_peer(port)
        late = t.peer(5003)
        late.send("S")
        late.drain(1.5)
        t.accept("first")
        t.accept("second")
        late.drain(3)
        t.counted("TcpExtListenOverflows", "TcpExtListenDrops")

    both(scenario)


@pytest.mark.parametrize("abort", [0, 1])
def test_accept_queue_that_fills_during_the_handshake(both, abort):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_abort_on_overflow", abort)
        t.listen(backlog=1)
        late = t.peer(5003)
        late.send("S")
        late.expect("SA")
        for port in [5001, 5002]:
            t.connected_peer(port)
        late.send("A")
        if abort:
            late.expect("R seq 1")
        else:
            late.expect("SA", limit=3)
            t.accept("first")
            late.send("A")
        late.drain(1.5)
        t.counted("TcpExtListenOverflows", "TcpExtListenDrops")

    both(scenario)


@pytest.mark.parametrize("linear", [0, 3, 4])
def test_syn_retransmission_schedule(both, linear):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_syn_retries", 2)
        t.sysctl("net.ipv4.tcp_syn_linear_timeouts", linear)
        peer = t.peer(5001)
        t.connect("socket", peer)
        for _ in range(3):
            peer.expect("S seq 0", limit=5)
        assert t.recv("socket", limit=12) == "ETIMEDOUT"

    both(scenario)


def test_syn_ack_retransmission_schedule(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_synack_retries", 2)
        t.listen()
        peer = t.peer(5001)
        peer.send("S")
        for _ in range(3):
            peer.expect("SA seq 0 ack 1", limit=5)
        peer.expect_nothing(5)
        peer.send("A")  # the request is forgotten by now
        peer.expect("R seq 1")

    both(scenario)


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("cookies", [0, 1, 2])
def test_full_syn_queue(both, cookies, timestamps):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_syncookies", cookies)
        t.sysctl("net.ipv4.tcp_synack_retries", 0)
        t.listen(backlog=1)
        peers = [t.peer(port, timestamps=timestamps) for port in range(5001, 5005)]
        for peer in peers:
            peer.send("S")
            peer.drain(0.04)
        # Those that were answered complete the handshake, the last ones first; two find room.
        for peer in reversed(peers):
            if peer.expected is not None:
                peer.send("PA", b"hello")
                peer.drain(0.04)
        for name in ["first", "second"]:
            t.accept(name)
            t.recv(name)
            t.send(name, "x" * 2000)  # in segments of the size that the cookie has kept
            t.settle(0.04)
        t.counted("TcpExtSyncookiesSent", "TcpExtSyncookiesRecv", "TcpExtSyncookiesFailed",
                  "TcpExtTCPReqQFullDoCookies", "TcpExtTCPReqQFullDrop", "TcpExtListenDrops")

    both(scenario)


def test_guessed_syn_cookie(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_syncookies", 2)
        t.listen()
        peer = t.peer(5001)
        peer.send("S")
        peer.expect("SA")
        peer.send("A", ack=1000)
        peer.expect("R seq 1000")
        peer.send("A")
        assert t.accept("socket") is None
        t.counted("TcpExtSyncookiesSent", "TcpExtSyncookiesRecv", "TcpExtSyncookiesFailed")

    both(scenario)


def test_simultaneous_open(both):
    def scenario(t):
        peer = t.peer(5001)
        t.connect("socket", peer)
        peer.expect("S seq 0")
        peer.send("S")
        peer.expect("SA seq 0 ack 1")
        peer.send("SA", seq=0)
        peer.drain()
        assert t.state("socket") == "ESTABLISHED"
        peer.send("PA", b"hello")
        assert t.recv("socket") == "hello"
        peer.drain()

    both(scenario)


def test_refused_and_reset_while_connecting(both):
    def scenario(t):
        peer = t.peer(5001)
        t.connect("socket", peer)
        peer.expect("S seq 0")
        peer.send("RA", ack=7)  # acknowledges what was never sent
        peer.drain()
        peer.send("RA")
        assert t.recv("socket") == "ECONNREFUSED"
        assert t.send("socket", "x") == "EPIPE"
        peer.expect_nothing()

    both(scenario)


def test_segments_to_a_closed_port(both):
    def scenario(t):
        peer = t.peer(5001, system_port=81)
        peer.send("S")
        peer.expect("RA seq 0 ack 1")
        peer.send("A", ack=77)
        peer.expect("R seq 77")
        peer.send("FA", ack=78)
        peer.expect("R seq 78")
        peer.send("R")
        peer.expect_nothing()

    both(scenario)


# ---- closing -------------------------------------------------------------------------------------------------------


def test_four_way_close(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.close("socket")
        peer.expect("FA seq 1 ack 1")
        peer.send("A")
        peer.drain()
        peer.send("FA")
        peer.expect("A seq 2 ack 2")

    both(scenario)


def test_three_way_close(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.close("socket")
        peer.expect("FA seq 1 ack 1")
        peer.send("FA")
        peer.expect("A seq 2 ack 2")

    both(scenario)


def test_three_way_close_by_the_peer(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        peer.send("PA", b"request")
        assert t.recv("socket") == "request"
        peer.drain()
        peer.send("FA")
        assert t.recv("socket") == ""
        t.call("close", name="socket")  # at once: the FIN's ACK may wait, but not for long
        peer.expect("FA seq 1 ack 9")  # one packet for two
        peer.send("A")
        peer.expect_nothing()
        peer.send("A")  # nothing is left of the connection
        peer.expect("R seq 2")

    both(scenario)


def test_simultaneous_close(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.close("socket")
        peer.expect("FA seq 1 ack 1")
        peer.send("FA", ack=1)
        peer.expect("A seq 2 ack 2")
        peer.send("A")
        peer.expect_nothing()

    both(scenario)


def test_half_close(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.shutdown("socket", "write")
        peer.expect("FA seq 1 ack 1")
        peer.send("A")
        assert t.send("socket", "more") == "EPIPE"
        peer.send("PA", b"still coming")
        assert t.recv("socket") == "still coming"
        peer.drain()
        peer.send("FA")
        assert t.recv("socket") == ""
        peer.drain()
        t.close("socket")
        peer.expect_nothing()

    both(scenario)


def test_data_after_shutdown_of_reading(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.shutdown("socket", "read")
        peer.send("PA", b"unheard")
        peer.expect("A seq 1 ack 8")
        peer.drain()

    both(scenario)


def test_close_with_unread_data(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        peer.send("PA", b"unread")
        peer.drain()
        t.close("socket")
        peer.drain()
        t.counted("TcpExtTCPAbortOnClose")
        peer.send("A")
        peer.expect("R seq 1")

    both(scenario)


def test_data_after_close(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.close("socket")
        peer.expect("FA seq 1 ack 1")
        peer.send("A")
        peer.send("PA", b"nobody reads this")
        peer.drain()
        t.counted("TcpExtTCPAbortOnData")
        peer.send("A")
        peer.drain()

    both(scenario, KnownDifference("TCPAbortOnData counts in FIN_WAIT_2, too",
                                   kernel="counted TcpExtTCPAbortOnData 0",
                                   firstflight="counted TcpExtTCPAbortOnData 1"))


def test_fin_wait_2_time_out(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_fin_timeout", 2)
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.close("socket")
        peer.expect("FA seq 1 ack 1")
        peer.send("A")
        peer.expect_nothing(1)
        peer.send("A")  # still there
        peer.expect_nothing(2)
        peer.send("FA")  # gone
        peer.drain()

    both(scenario)


def test_fin_out_of_order(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        peer.send("FA", seq=6)
        peer.drain()
        assert t.state("socket") == "ESTABLISHED"
        peer.send("PA", b"early", seq=1)
        assert t.recv("socket") == "early"
        assert t.recv("socket") == ""
        peer.drain()
        assert t.state("socket") == "CLOSE_WAIT"

    both(scenario)


# ---- TIME_WAIT -----------------------------------------------------------------------------------------------------


def time_wait_peer(t, **how):
    """A peer whose connection the system holds in TIME_WAIT."""
    t.listen()
    peer = t.connected_peer(5001, **how)
    t.accept("socket")
    t.close("socket")
    peer.expect("FA seq 1 ack 1")
    peer.send("FA")
    peer.expect("A seq 2 ack 2")
    return peer


@pytest.mark.parametrize("timestamps", [True, False])
def test_newer_syn_in_time_wait(both, timestamps):
    def scenario(t):
        peer = time_wait_peer(t, timestamps=timestamps)
        peer.nxt += 100
        peer.send("S")
        peer.expect("SA")
        peer.send("A")
        assert t.accept("again") is None

    both(scenario)


@pytest.mark.parametrize("timestamps", [True, False])
def test_older_syn_in_time_wait(both, timestamps):
    def scenario(t):
        peer = time_wait_peer(t, timestamps=timestamps)
        peer.send("S", seq=-100, clock=4000)
        peer.expect("A seq 2 ack 2")
        peer.send("R", seq=2)  # what a client does that has no such connection
        peer.drain()
        peer.nxt = peer.isn - 100
        peer.send("S")
        peer.expect("SA")

    both(scenario)


def test_syn_in_time_wait_with_an_older_number_and_a_newer_timestamp(both):
    def scenario(t):
        peer = time_wait_peer(t)
        peer.nxt -= 1000
        peer.send("S", clock=9000)
        peer.expect("SA")

    both(scenario)


@pytest.mark.parametrize("rfc1337", [0, 1])
def test_reset_in_time_wait(both, rfc1337):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_rfc1337", rfc1337)
        peer = time_wait_peer(t)
        peer.send("R", seq=77)  # not the number expected
        peer.drain()
        peer.send("R", seq=2)
        peer.drain()
        peer.send("FA", seq=1)  # answered by ACK as long as there is an entry
        peer.expect("A seq 2 ack 2" if rfc1337 else "R seq 2")

    both(scenario)


def test_fin_again_and_old_data_in_time_wait(both):
    def scenario(t):
        peer = time_wait_peer(t)
        peer.send("FA", seq=1)
        peer.expect("A seq 2 ack 2")
        peer.send("PA", b"old", seq=-3)
        peer.drain()
        peer.send("A")
        peer.expect_nothing()

    both(scenario)


# ---- resets and challenges -----------------------------------------------------------------------------------------


def test_challenge_acks(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_invalid_ratelimit", 0)
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        peer.send("S", seq=5000)
        peer.expect("A seq 1 ack 1")
        peer.send("R", seq=5000)  # in the window, not exact
        peer.expect("A seq 1 ack 1")
        peer.send("R", seq=-5000000)  # outside
        peer.expect_nothing()
        peer.send("A", ack=100000000)  # of what was never sent
        peer.drain()
        t.counted("TcpExtTCPChallengeACK", "TcpExtTCPSYNChallenge")
        peer.send("R", seq=1)
        assert t.recv("socket") == "ECONNRESET"
        assert t.recv("socket") == ""
        assert t.send("socket", "x") == "EPIPE"

    both(scenario)


def test_reset_in_close_wait(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        peer.send("FA")
        peer.drain()
        peer.send("R")
        peer.drain()
        t.send("socket", "x")
        t.recv("socket")
        t.recv("socket")

    both(scenario)


def test_reset_with_unread_data(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        peer.send("PA", b"unread")
        peer.drain()
        peer.send("R")
        peer.drain()
        t.recv("socket")
        t.recv("socket")

    both(scenario)


def test_paws(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_invalid_ratelimit", 0)
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        peer.send("PA", b"new")
        peer.drain()
        peer.send("PA", b"from before", clock=100)
        peer.expect("A seq 1 ack 4")
        assert t.recv("socket") == "new"
        assert t.recv("socket", limit=0.1) == "EAGAIN"
        assert t.counted("TcpExtPAWSEstab") == 1
        peer.send("R", seq=4, clock=100)  # counts whatever its timestamp
        t.recv("socket")

    both(scenario)


# ---- what is remembered of paths -----------------------------------------------------------------------------------


def visit(t, name, port, round_trip):
    """A connection that the peer opens, and ends, at this pace."""
    peer = t.peer(port)
    peer.send("S")
    peer.expect("SA")
    t.settle(round_trip)
    peer.send("A")
    t.accept(name)
    t.close(name)
    peer.expect("FA seq 1 ack 1")
    t.settle(round_trip)
    peer.send("FA")
    peer.expect("A seq 2 ack 2")


@pytest.mark.parametrize("saved", [1, 0])
def test_first_timeout_on_a_path_that_was_slow(both, saved):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_congestion_control", "reno")
        t.sysctl("net.ipv4.tcp_no_metrics_save", 1 - saved)
        t.listen()
        visit(t, "first", 5001, 0.3)
        if saved:
            assert t.metrics() == [10, 0, 0, 3, 3]
        second = t.connected_peer(5002)
        t.accept("second")
        t.send("second", "hello")
        second.expect("PA seq 1")
        second.expect("PA seq 1")  # after 0.9 s, or 0.2 s
        second.send("A", ack=6)
        t.send("second", "hello")  # measured by its timestamp, which was echoed at once
        second.expect("PA seq 6")
        second.expect("PA seq 6", limit=1)

    both(scenario)


def test_a_path_that_becomes_quicker(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_congestion_control", "reno")
        t.listen()
        visit(t, "first", 5001, 0.8)
        visit(t, "second", 5002, 0)
        assert t.metrics()[3:] == [7, 8]

    both(scenario)


# ---- peers that vanish ---------------------------------------------------------------------------------------------


def test_giving_up_retransmission(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_retries2", 3)
        peer = t.peer_connected_to("socket", 5001)
        t.send("socket", "is anybody there?")
        for _ in range(4):
            peer.expect("PA seq 1 ack 1 length 17")
        peer.drain(2.5)
        assert t.recv("socket", limit=6) == "ETIMEDOUT"
        t.send("socket", "x")

    both(scenario)


def test_loss_probe(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_early_retrans", 3)
        peer = t.peer_connected_to("socket", 5001)
        t.send("socket", "is anybody there?")
        peer.expect("PA seq 1 ack 1 length 17")
        peer.expect("PA seq 1 ack 1 length 17")
        peer.send("A", ack=18)
        peer.drain(1)
        t.counted("TcpExtTCPLossProbes", "TcpExtTCPTimeouts")

    both(scenario)


def test_giving_up_a_fin(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_orphan_retries", 2)
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.close("socket")
        peer.expect("FA seq 1 ack 1")
        peer.drain(6)
        peer.send("A")  # nothing is left of the connection
        peer.drain()

    both(scenario)


def test_keepalive_death(both):
    def scenario(t):
        options = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2}
        peer = t.peer_connected_to("socket", 5001, options=options)
        peer.expect("A seq 0 ack 1")
        peer.send("A")  # alive
        peer.expect("A seq 0 ack 1")
        peer.expect("A seq 0 ack 1")
        peer.expect("RA seq 1 ack 1")
        assert t.recv("socket") == "ETIMEDOUT"
        t.counted("TcpExtTCPKeepAlive", "TcpExtTCPAbortOnTimeout")

    both(scenario)


def test_keepalive_is_as_patient_as_user_timeout(both):
    def scenario(t):
        options = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 9, "TCP_USER_TIMEOUT": 2500}
        peer = t.peer_connected_to("socket", 5001, options=options)
        peer.expect("A seq 0 ack 1")
        peer.expect("A seq 0 ack 1")
        peer.expect("RA seq 1 ack 1")
        assert t.recv("socket") == "ETIMEDOUT"

    both(scenario)


def test_user_timeout(both):
    def scenario(t):
        peer = t.peer_connected_to("socket", 5001)
        t.set("socket", "TCP_USER_TIMEOUT", 1000)
        t.send("socket", "is anybody there?")
        peer.expect("PA seq 1 ack 1 length 17")
        peer.drain(2)
        assert t.recv("socket") == "ETIMEDOUT"
        t.counted("TcpExtTCPAbortOnTimeout")

    both(scenario)


def test_linger_zero(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.set("socket", "SO_LINGER", 0)
        t.close("socket")
        peer.expect("RA seq 1 ack 1")
        peer.send("A")
        peer.drain()
        t.counted("TcpExtTCPAbortOnData")

    both(scenario)


@pytest.mark.parametrize("seconds", [-1, 1])
def test_linger2(both, seconds):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.set("socket", "TCP_LINGER2", seconds)
        t.close("socket")
        peer.expect("FA seq 1 ack 1")
        peer.send("A")
        peer.drain(1.5)
        peer.send("FA")  # too late
        peer.drain()

    both(scenario)


def test_deferred_accept(both):
    def scenario(t):
        t.listen(TCP_DEFER_ACCEPT=1)
        eager = t.connected_peer(5001)
        assert t.accept("socket", limit=0.3) == "EAGAIN"
        eager.send("PA", b"hello")
        eager.drain()
        t.accept("socket")
        idle = t.connected_peer(5002)
        idle.drain(1.3)
        idle.send("A")
        idle.drain()
        t.accept("idle", limit=0.3)
        t.counted("TcpExtTCPDeferAcceptDrop")

    both(scenario)


# ---- moving data ---------------------------------------------------------------------------------------------------


def test_more_follows(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.send("socket", "header ", flags=["MSG_MORE"])
        t.send("socket", "body")
        peer.expect("PA seq 1 ack 1 length 11")
        peer.send("A")
        t.send("socket", "header", flags=["MSG_MORE"])
        peer.expect("PA seq 12 ack 1 length 6")  # nothing followed
        peer.send("A")

    both(scenario)


@pytest.mark.parametrize("standard", [0, 1])
@pytest.mark.parametrize("in_line", [0, 1])
def test_urgent_data_arrives(both, in_line, standard):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_stdurg", standard)
        t.listen(SO_OOBINLINE=in_line)
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.recv_urgent("socket")  # there is none
        peer.send("PAU", b"abcd", urgent=3)
        peer.drain()
        t.at_mark("socket")
        t.recv("socket")
        t.at_mark("socket")
        t.recv_urgent("socket")
        t.recv_urgent("socket")
        t.recv("socket")
        t.at_mark("socket")
        peer.send("AU", urgent=5)  # announced, and not here
        peer.drain()
        t.recv_urgent("socket", limit=0.1)
        peer.send("PA", b"efghij")
        peer.drain()
        t.recv_urgent("socket")
        peer.send("PAU", b"kl", urgent=2)  # a newer one, before the older is passed
        peer.drain()
        t.recv("socket")
        t.at_mark("socket")
        t.recv_urgent("socket")
        t.recv("socket", limit=0.1)
        peer.send("FAU", urgent=0)
        peer.drain()
        t.recv_urgent("socket", limit=0.1)

    both(scenario)


def test_urgent_data_is_sent(both):
    def scenario(t):
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.send("socket", "x")
        peer.expect("PA seq 1")
        t.send("socket", "abc", flags=["MSG_OOB"])  # Nagle does not hold it
        peer.expect("PAU seq 2")
        t.send("socket", "y")
        peer.expect("PA seq 5")
        peer.drain(0.5)  # what is repeated, is repeated with its pointer
        peer.send("A", window=0)
        t.send("socket", "z", flags=["MSG_OOB"])
        peer.drain(1)  # the probes of the window tell of it
        peer.send("A")
        peer.drain()

    both(scenario)


def test_path_that_swallows_large_packets(both):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_mtu_probing", 1)
        t.sysctl("net.ipv4.tcp_retries1", 1)
        t.listen()
        peer = t.connected_peer(5001)
        t.accept("socket")
        t.send("socket", "x" * 1400)
        peer.drain(7)

    both(scenario)
