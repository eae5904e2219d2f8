"""Fast Open with the kernel: cookies granted, accepted and computed alike, in both roles."""

import pytest

import harness
import side_by_side
from harness import FIRSTFLIGHT, KERNEL, granted_cookies, packet_fields, url

KEY = "00112233-44556677-8899aabb-ccddeeff"
OTHER_KEY = "ffeeddcc-bbaa9988-77665544-33221100"
CLIENT_SYN = "tcp.flags.syn == 1 && tcp.flags.ack == 0"


def syns(capture):
    """(bytes of data, cookie) of each SYN."""
    seen = packet_fields(capture, CLIENT_SYN, "tcp.len", "tcp.options.tfo.cookie")
    return [(int(size), cookie) for size, cookie in seen]


def test_the_kernel_grants_firstflight_a_cookie_and_takes_data_under_it(lab, family):
    wiring = lab.direct()
    wiring.kernel.nginx([KERNEL[family]], lab.site())
    capture = lab.tmp_path / "get.pcapng"
    with wiring.kernel.counting() as counted:
        getter = wiring.get("--repeat", "2", "--pcap", capture, url(KERNEL[family]))
    assert "accepted" in getter.out
    assert counted["TCPFastOpenCookieReqd"] == 1
    assert counted["TCPFastOpenPassive"] == 1
    assert counted["TCPFastOpenPassiveFail"] == 0
    (first_data, first_cookie), (second_data, second_cookie) = syns(capture)
    assert (first_data, first_cookie) == (0, "")
    assert second_data > 0 and [second_cookie] == granted_cookies(capture)
    assert harness.faults(capture) == ""


def test_firstflight_grants_the_kernel_a_cookie_and_takes_data_under_it(lab, family):
    wiring = lab.direct()
    capture = lab.tmp_path / "serve.pcapng"
    server = wiring.serve(lab.site(index="served\n"), "--pcap", capture)
    with wiring.kernel.counting() as counted:
        for _ in range(2):
            assert wiring.kernel.curl(FIRSTFLIGHT[family], fast_open=True) == "served\n"
    assert counted["TCPFastOpenActive"] == 1
    assert counted["TCPFastOpenActiveFail"] == 0
    server.end()
    (first_data, first_cookie), (second_data, second_cookie) = syns(capture)
    assert (first_data, first_cookie) == (0, "")
    assert second_data > 0 and [second_cookie] == granted_cookies(capture)
    known = wiring.kernel.run("ip", "tcp_metrics", "show").stdout
    assert "fo_cookie " + second_cookie in known
    assert harness.faults(capture) == ""


def test_cookies_outlive_the_program_in_a_file(lab, family):
    wiring = lab.direct()
    wiring.kernel.nginx([KERNEL[family]], lab.site())
    cache, visited = lab.tmp_path / "cookies", url(KERNEL[family])
    with wiring.kernel.counting() as counted:
        first = wiring.get("--fast-open-cache", cache, visited)
        second = wiring.get("--fast-open-cache", cache, visited)
    assert "a cookie" in first.out or "no cookie yet" in first.out, first.out
    assert "accepted" in second.out, second.out
    assert counted["TCPFastOpenCookieReqd"] == 1
    assert counted["TCPFastOpenPassive"] == 1
    assert cache.stat().st_mode & 0o7777 == 0o600
    assert [path.name for path in cache.parent.glob("cookies*")] == ["cookies"]
    assert "destination=%s source=%s cookie=" % (KERNEL[family], FIRSTFLIGHT[family]) in cache.read_text()
    # What cannot be read is said before anything is sent, and not overwritten.
    cache.write_text("firstflight-fast-open-cache 9\n")
    refused = wiring.get("--fast-open-cache", cache, visited, status=2)
    assert refused.err.strip().endswith("this program reads version 1; delete the file to begin anew"), refused.err
    assert cache.read_text() == "firstflight-fast-open-cache 9\n"


def test_without_fast_open_no_syn_carries_data(lab, family):
    wiring = lab.direct()
    wiring.kernel.nginx([KERNEL[family]], lab.site())
    capture = lab.tmp_path / "get.pcapng"
    with wiring.kernel.counting() as counted:
        wiring.get("--no-fast-open", "--repeat", "2", "--pcap", capture, url(KERNEL[family]))
    assert syns(capture) == [(0, ""), (0, "")]
    assert granted_cookies(capture) == []
    assert counted["TCPFastOpenCookieReqd"] == counted["TCPFastOpenPassive"] == 0


def test_a_server_without_fast_open_is_visited_the_ordinary_way(lab, family):
    wiring = lab.direct()
    wiring.kernel.sysctl("net.ipv4.tcp_fastopen", 1)  # the client's half alone
    wiring.kernel.nginx([KERNEL[family]], lab.site())
    capture = lab.tmp_path / "get.pcapng"
    getter = wiring.get("--repeat", "2", "--pcap", capture, url(KERNEL[family]))
    assert [data for data, _ in syns(capture)] == [0, 0]
    assert granted_cookies(capture) == []
    assert getter.out.count("200 OK") == 2


def cookie_that_the_kernel_grants(lab, family):
    """To the client FIRSTFLIGHT for the server KERNEL."""
    wiring = lab.direct()
    wiring.kernel.sysctl("net.ipv4.tcp_fastopen_key", KEY)
    wiring.kernel.nginx([KERNEL[family]], lab.site())
    capture = lab.tmp_path / "kernel-grants.pcapng"
    wiring.get("--pcap", capture, url(KERNEL[family]))
    (cookie,) = granted_cookies(capture)
    return cookie


def cookie_that_firstflight_grants(lab, family):
    """To the same client address for the same server address."""
    wiring = lab.direct(swapped=True)
    capture = lab.tmp_path / "firstflight-grants.pcapng"
    server = wiring.serve(lab.site(), "--sysctl", "net.ipv4.tcp_fastopen_key=" + KEY, "--pcap", capture)
    wiring.kernel.curl(KERNEL[family], fast_open=True)
    server.end()
    (cookie,) = granted_cookies(capture)
    return cookie


def test_one_key_gives_one_cookie(lab, family):
    theirs = cookie_that_the_kernel_grants(lab, family)
    ours = cookie_that_firstflight_grants(lab, family)
    assert len(theirs) == 16  # eight bytes
    assert ours == theirs


class TwoServers:
    """A kernel as client; the kernel and firstflight as servers behind one address, to which the client's route leads
    in turn. Both servers have the same key."""

    CLIENT = {4: "198.18.5.1", 6: "2001:db8:5::1"}
    SERVER = {4: "198.18.6.1", 6: "2001:db8:6::1"}
    NEAR = {4: "198.18.7.1", 6: "2001:db8:7::1"}
    FAR = {4: "198.18.7.2", 6: "2001:db8:7::2"}
    # The client's kernel, on the device that it shares with firstflight.
    NEIGHBOUR = {4: "198.18.6.9", 6: "2001:db8:6::9"}

    def __init__(self, lab, family):
        self.lab, self.family = lab, family
        self.ip = "-6 " if family == 6 else ""
        self.host = 128 if family == 6 else 32
        self.nodad = " nodad" if family == 6 else ""
        self.client, self.kernel_server = lab.space("client"), lab.space("server")
        self.kernel_server.sysctl("net.ipv4.tcp_fastopen_key", KEY)
        length = harness.PREFIX_LENGTH[family]
        self.client.ip("link add veth0 type veth peer name veth1 netns " + self.kernel_server.name)
        for space, device, address in [(self.client, "veth0", self.NEAR), (self.kernel_server, "veth1", self.FAR)]:
            # Neighbours find each other by link-local addresses.
            space.sysctl("net.ipv6.conf.%s.addr_gen_mode" % device, 0)
            space.sysctl("net.ipv6.conf.%s.accept_dad" % device, 0)
            space.ip("address add %s/%d dev %s%s" % (address[family], length, device, self.nodad))
            space.ip("link set %s up" % device)
        self.client.ip("address add %s/%d dev lo%s" % (self.CLIENT[family], self.host, self.nodad))
        self.kernel_server.ip("address add %s/%d dev lo%s" % (self.SERVER[family], self.host, self.nodad))
        self.kernel_server.ip("%sroute add %s/%d via %s" % (self.ip, self.CLIENT[family], self.host, self.NEAR[family]))
        self.kernel_server.nginx([self.SERVER[family]], lab.site(index="the kernel\n"))
        self.firstflight = harness.Wiring(self.client, self.client, "ff0",
                                          ["%s/%d" % (self.SERVER[family], length)], [self.NEIGHBOUR[family]],
                                          ["%s/%d" % (self.NEIGHBOUR[family], length)]).serve
        self.capture = lab.tmp_path / "serve.pcapng"

    def route_to(self, where):
        leads = {"kernel": "via %s dev veth0" % self.FAR[self.family], "firstflight": "dev ff0"}[where]
        self.client.ip("%sroute replace %s/%d %s src %s" % (self.ip, self.SERVER[self.family], self.host, leads,
                                                            self.CLIENT[self.family]))

    def serve_by_firstflight(self):
        site = self.lab.site(index="firstflight\n")
        return self.firstflight(site, "--sysctl", "net.ipv4.tcp_fastopen_key=" + KEY, "--pcap", self.capture)

    def visit(self):
        return self.client.curl(self.SERVER[self.family], fast_open=True)


def test_a_cookie_of_the_kernels_is_accepted_by_firstflight(lab, family):
    servers = TwoServers(lab, family)
    servers.route_to("kernel")
    with servers.kernel_server.counting() as kernel_counted:
        assert servers.visit() == "the kernel\n"
    assert kernel_counted["TCPFastOpenCookieReqd"] == 1
    server = servers.serve_by_firstflight()
    servers.route_to("firstflight")
    with servers.client.counting() as client_counted:
        assert servers.visit() == "firstflight\n"
    assert client_counted["TCPFastOpenActive"] == 1
    server.end()
    ((data, cookie),) = syns(servers.capture)
    assert data > 0 and cookie != ""
    assert granted_cookies(servers.capture) == []  # it was good: no need for another


def test_a_cookie_of_firstflights_is_accepted_by_the_kernel(lab, family):
    servers = TwoServers(lab, family)
    server = servers.serve_by_firstflight()
    servers.route_to("firstflight")
    assert servers.visit() == "firstflight\n"
    server.end()
    assert len(granted_cookies(servers.capture)) == 1
    servers.route_to("kernel")
    with servers.kernel_server.counting() as counted:
        assert servers.visit() == "the kernel\n"
    assert counted["TCPFastOpenPassive"] == 1
    assert counted["TCPFastOpenCookieReqd"] == 0


def test_a_cookie_under_another_key_is_refused_and_replaced(lab, family):
    wiring = lab.direct()
    site = lab.site(index="served\n")
    first = wiring.serve(site, "--sysctl", "net.ipv4.tcp_fastopen_key=" + KEY)
    assert wiring.kernel.curl(FIRSTFLIGHT[family], fast_open=True) == "served\n"
    first.end()
    capture = lab.tmp_path / "serve.pcapng"
    second = wiring.serve(site, "--sysctl", "net.ipv4.tcp_fastopen_key=" + OTHER_KEY, "--pcap", capture)
    with wiring.kernel.counting() as counted:
        for _ in range(2):
            assert wiring.kernel.curl(FIRSTFLIGHT[family], fast_open=True) == "served\n"
    second.end()
    (refused_data, refused), (data, accepted) = syns(capture)
    assert refused_data > 0 and data > 0 and refused != accepted
    assert granted_cookies(capture) == [accepted]
    assert counted["TCPFastOpenActive"] == 1


@pytest.mark.parametrize("role", ["server", "client"])
def test_the_backup_key_still_counts(lab, role):
    """What was granted under the old key is taken after a new one was put before it."""
    old, new = KEY, OTHER_KEY
    wiring = lab.direct()
    if role == "server":
        site = lab.site()
        first = wiring.serve(site, "--sysctl", "net.ipv4.tcp_fastopen_key=" + old)
        wiring.kernel.curl(FIRSTFLIGHT[4], fast_open=True)
        first.end()
        capture = lab.tmp_path / "serve.pcapng"
        second = wiring.serve(site, "--sysctl", "net.ipv4.tcp_fastopen_key=%s,%s" % (new, old), "--pcap", capture)
        with wiring.kernel.counting() as counted:
            wiring.kernel.curl(FIRSTFLIGHT[4], fast_open=True)
        second.end()
        assert counted["TCPFastOpenActive"] == 1
        ((_, used),) = syns(capture)
        (fresh,) = granted_cookies(capture)
        assert fresh != used
    else:
        # The kernel as server changes its keys between two visits of a client that keeps its cookie.
        wiring.kernel.sysctl("net.ipv4.tcp_fastopen_key", old)
        wiring.kernel.nginx([KERNEL[4]], lab.site())
        cache = lab.tmp_path / "cookies"
        captures = [lab.tmp_path / "before.pcapng", lab.tmp_path / "after.pcapng"]
        wiring.get("--fast-open-cache", cache, "--pcap", captures[0], url(KERNEL[4]))
        wiring.kernel.sysctl("net.ipv4.tcp_fastopen_key", "%s,%s" % (new, old))
        wiring.get("--fast-open-cache", cache, "--repeat", "2", "--pcap", captures[1], url(KERNEL[4]))
        (granted,), (renewed,) = (granted_cookies(capture) for capture in captures)
        assert renewed != granted
        # The old cookie took the data all the same, and the new one does from then on.
        assert [(data > 0, cookie) for data, cookie in syns(captures[1])] == [(True, granted), (True, renewed)]


# ---- side by side with the kernel ----------------------------------------------------------------------------------

SYNS = {  # the Fast Open option and the data of a SYN
    "nothing": (None, b""), "data": (None, b"GET /"), "request": (b"", b""), "request and data": (b"", b"GET /"),
    "wrong cookie": (b"12345678", b""), "wrong cookie and data": (b"12345678", b"GET /"),
    "good cookie": ("good", b""), "good cookie and data": ("good", b"GET /"),
}


def cookie_under_key(t):
    """What the system under test grants."""
    t.sysctl("net.ipv4.tcp_fastopen_key", KEY)
    t.sysctl("net.ipv4.tcp_fastopen", "3")
    t.listen("granting", port=81, TCP_FASTOPEN=16)
    peer = t.peer(4000, system_port=81)
    peer.send("S", options={"mss": 1460, "fast_open": b""})
    peer.expect("SA seq 0 ack 1 fast_open")
    return peer.last.options["fast_open"]


@pytest.mark.parametrize("queue", [None, 16])
@pytest.mark.parametrize("bits", ["1", "2", "0x202", "0x402", "0x401", "0x602", "0x102", "0x802", "0x100802", "0x902"])
def test_bits_of_the_server(lab, bits, queue):
    """Every kind of SYN, to a listener with and without TCP_FASTOPEN, under each bit."""
    taken = []

    def scenario(t):
        cookie = cookie_under_key(t)
        t.sysctl("net.ipv4.tcp_fastopen", bits)
        t.listen(**({"TCP_FASTOPEN": queue} if queue else {}))
        for port, (name, (option, data)) in enumerate(SYNS.items(), 5000):
            peer = t.peer(port, timestamps=False)
            chosen = {"mss": 1460}
            if option is not None:
                chosen["fast_open"] = cookie if option == "good" else option
            peer.send("S", data, options=chosen)
            peer.expect("SA seq 0")
            taken.append(t.accept(name, limit=0) is None)

    side_by_side.compare(lab, scenario)
    on = int(bits, 0) & 2 and (queue or int(bits, 0) & 0x400)
    assert any(taken) == bool(on)


def test_a_syn_ack_that_is_repeated_grants_nothing(lab):
    def scenario(t):
        t.sysctl("net.ipv4.tcp_fastopen", "3")
        t.listen(TCP_FASTOPEN=16)
        peer = t.peer(5001)
        peer.send("S", options={"mss": 1460, "fast_open": b""})
        peer.expect("SA seq 0 ack 1 fast_open")
        peer.send("S", seq=0, options={"mss": 1460, "fast_open": b""})
        peer.expect("SA seq 0 ack 1 mss")
        peer.expect("SA seq 0 ack 1 mss")

    side_by_side.compare(lab, scenario)


def test_a_backlog_is_the_queue_of_all_listeners(lab):
    def scenario(t):
        cookie = cookie_under_key(t)
        t.sysctl("net.ipv4.tcp_fastopen", "0x402")
        t.listen(backlog=2)
        for port in [5001, 5002, 5003]:
            peer = t.peer(port)
            peer.send("S", b"GET /", options={"mss": 1460, "fast_open": cookie})
            peer.expect("SA seq 0 ack %d" % (6 if port < 5003 else 1))
            t.accept("connection %d" % port, limit=0.1)
        t.counted("TcpExtTCPFastOpenPassive", "TcpExtTCPFastOpenListenOverflow")

    side_by_side.compare(lab, scenario)
