"""UDP, ICMP, fragments and neighbours, with the kernel at the other end: over TUN, and over TAP as its neighbour."""

import json
import re
import signal
import subprocess

import pytest

import harness
from harness import FIRSTFLIGHT, KERNEL, PREFIX_LENGTH, find_ff, wait_until

ECHO_SERVER = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 4000))
print("ready", flush=True)
while True:
    data, source = s.recvfrom(65536)
    s.sendto(data, source)
"""

ASKER = """
import json, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
s.settimeout(5)
results = []
for size in map(int, sys.argv[3:]):
    data = bytes(i * 7 % 251 for i in range(size))
    try:
        s.send(data)
        results.append(s.recv(65536) == data)
    except OSError as error:
        results.append(type(error).__name__)
print(json.dumps(results))
"""


def peer_program():
    return find_ff().parent / "tests" / "datagram_peer"


class Link:
    """The kernel's side of a TUN or TAP device in a namespace of its own."""

    def __init__(self, lab, mode):
        self.space = lab.space("k")
        self.device = mode + ":ff0"
        self.space.ip("tuntap add dev ff0 mode %s" % mode)
        self.space.ip("link set ff0 up")
        for f in (4, 6):
            self.space.ip("address add %s/%d dev ff0%s" % (KERNEL[f], PREFIX_LENGTH[f], "" if f == 4 else " nodad"))

    def peer(self, family, *words):
        return self.space.start(peer_program(), FIRSTFLIGHT[family], PREFIX_LENGTH[family], self.device, *words)

    def echo(self, family):
        server = self.peer(family, "echo", 7)
        server.wait_for_output("ready")
        return server

    def ff_ping(self, family, *options, status=0, limit=30):
        words = [find_ff(), "ping", "--device", self.device,
                 "--address", "%s/%d" % (FIRSTFLIGHT[family], PREFIX_LENGTH[family]), *options]
        done = self.space.run(*words, limit=limit, check=False)
        assert done.returncode == status, "%s\n%s\n%s" % (words, done.stdout, done.stderr)
        return done.stdout

    def kernel_ping(self, family, *options, limit=60):
        return self.space.run("ping", "-n", *options, FIRSTFLIGHT[family], limit=limit, check=False).stdout

    def ask(self, family, port, *sizes):
        return json.loads(self.space.run("python3", "-c", ASKER, FIRSTFLIGHT[family], port, *sizes).stdout)


@pytest.fixture(params=["tun", "tap"])
def link(lab, request):
    return Link(lab, request.param)


def no_loss(said, count):
    return re.search(r"%d packets transmitted, %d received, 0%% packet loss" % (count, count), said)


# ---- ping ------------------------------------------------------------------------------------------------------------

def test_the_kernel_pings(link, family):
    link.echo(family)
    for size in (0, 56, 1473, 5000, 60000):
        said = link.kernel_ping(family, "-c", "3", "-i", "0.05", "-s", str(size), "-W", "5")
        assert no_loss(said, 3), said


def test_ping_flood(link, family):
    link.echo(family)
    said = link.kernel_ping(family, "-f", "-c", "5000", "-w", "30")
    assert no_loss(said, 5000), said
    said = link.kernel_ping(family, "-f", "-c", "500", "-s", "20000", "-w", "30")
    assert no_loss(said, 500), said


def test_ff_pings(link, family):
    for size in (0, 56, 1473, 5000, 60000):
        said = link.ff_ping(family, KERNEL[family], "-c", "3", "-i", "0.05", "-s", str(size))
        assert no_loss(said, 3), said
        assert said.count("%d bytes from %s: icmp_seq=" % (size + 8, KERNEL[family])) == 3, said
        assert re.search(r"rtt min/avg/max/mdev = [\d.]+/[\d.]+/[\d.]+/[\d.]+ ms\n$", said), said


def test_ff_ping_says_what_ping_says(lab, family):
    """The same words in the same order, but for numbers that time decides."""
    link = Link(lab, "tun")
    ours = link.ff_ping(family, KERNEL[family], "-c", "2", "-i", "0.1", "-n")
    theirs = link.space.run("ping", "-n", "-c", "2", "-i", "0.1", KERNEL[family]).stdout
    numbers = lambda text: re.sub(r"(time[= ])[\d.]+|[\d.]+/[\d.]+/[\d.]+/[\d.]+", r"\1N", text)
    assert numbers(ours) == numbers(theirs)


def test_ff_ping_options(lab, family):
    link = Link(lab, "tun")
    said = link.ff_ping(family, KERNEL[family], "-c", "2", "-i", "0.1", "-q")
    assert "bytes from" not in said and no_loss(said, 2), said
    said = link.ff_ping(family, KERNEL[family], "-c", "1", "-D")
    assert re.search(r"^\[\d{10}\.\d{6}\] 64 bytes from ", said, re.M), said
    # Nobody there: the kernel says so only for its own networks' sake; -W says how long to hope.
    nobody = {4: "198.18.3.77", 6: "2001:db8:3::77"}[family]
    said = link.ff_ping(family, nobody, "-c", "2", "-i", "0.1", "-W", "0.3", status=1)
    assert "2 packets transmitted, 0 received" in said and "100% packet loss" in said, said
    # Larger than the link carries and not to be fragmented.
    done = link.space.run(find_ff(), "ping", "--device", link.device, "--address",
                          "%s/%d" % (FIRSTFLIGHT[family], PREFIX_LENGTH[family]), KERNEL[family], "-c", "1", "-s",
                          "3000", "-M", "do", "-W", "0.3", check=False)
    assert done.returncode == 1 and "message too long, mtu=1500" in done.stderr, done
    for words in (["-c", "0"], ["-i", "soon"], ["-s", "70000"], ["-M", "perhaps"], ["-4", "-6"], ["-t", "0"]):
        done = link.space.run(find_ff(), "ping", "--device", link.device, "--address", "198.18.3.2/24", KERNEL[4],
                              *words, check=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done


def test_ff_ping_ends_with_ctrl_c(lab):
    link = Link(lab, "tun")
    pinger = link.space.start(find_ff(), "ping", "--device", link.device, "--address", "198.18.3.2/24", KERNEL[4], "-i",
                              "0.05")
    pinger.wait_for_output("icmp_seq=3 ")
    pinger.signal(signal.SIGINT)
    assert pinger.wait(10) == 0, pinger.describe()
    assert "ping statistics" in pinger.out and " 0% packet loss" in pinger.out, pinger.describe()


def test_ff_ping_hears_of_time_exceeded(lab, family):
    """A router (the kernel, forwarding) tells of a TTL that ran out."""
    link = Link(lab, "tun")
    link.space.sysctl("net.ipv4.ip_forward", 1)
    link.space.sysctl("net.ipv6.conf.all.forwarding", 1)
    link.space.ip("link add d0 type veth peer name d1")
    link.space.ip("link set d0 up")
    link.space.ip("link set d1 up")
    far = {4: "203.0.113.9", 6: "2001:db8:f::9"}[family]
    link.space.ip("route add %s/%d dev d0" % (far, 32 if family == 4 else 128))
    said = link.ff_ping(family, far, "-c", "1", "-t", "1", "-W", "2", "--gateway", KERNEL[family], status=1)
    text = "Time to live exceeded" if family == 4 else "Time exceeded: Hop limit"
    assert "From %s icmp_seq=1 %s" % (KERNEL[family], text) in said, said
    assert "+1 errors, 100% packet loss" in said, said


def test_ff_ping_says_at_which_hop_packets_get_lost(lab, family):
    """ff, a router, a link that loses packets, a second router, the destination: the loss begins behind the first."""
    wiring = lab.linked("--loss", "15%", "--seed", "7")
    far, second = lab.space("d"), {4: "198.18.4.2", 6: "2001:db8:4::2"}[family]
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        wiring.kernel.sysctl(name, 1)
    wiring.kernel.ip("link add d0 type veth peer name d1 netns %s" % far.name)
    near, end = {4: ("203.0.113.1/24", "203.0.113.9/24"), 6: ("2001:db8:f::1/64", "2001:db8:f::9/64")}[family]
    for space, device, address in ((wiring.kernel, "d0", near), (far, "d1", end)):
        space.ip("address add %s dev %s%s" % (address, device, "" if family == 4 else " nodad"))
        space.ip("link set %s up" % device)
    far.ip("%s route add default via %s" % ("" if family == 4 else "-6", near.split("/")[0]))
    network = {4: "203.0.113.0/24", 6: "2001:db8:f::/64"}[family]
    wiring.space.ip("%s route add %s via %s" % ("" if family == 4 else "-6", network, second))
    for router in (wiring.space, wiring.kernel):  # or they would say less than they are asked
        router.sysctl("net.ipv4.icmp_ratelimit", 0)
        router.sysctl("net.ipv6.icmp.ratelimit", 0)
    address = end.split("/")[0]
    wait_until(lambda: wiring.kernel.run("ping", "-c1", "-W1", address, check=False).returncode == 0, lambda: address)
    words = [find_ff(), "ping", *wiring._options, address, "--hops", "-c", "40", "-i", "0.05", "--json"]
    done = wiring.space.run(*words, check=False)
    assert done.returncode == 0, "%s\n%s\n%s" % (words, done.stdout, done.stderr)
    report = json.loads(done.stdout)
    hops = report["hops"]
    assert [hop["addresses"] for hop in hops] == [[{4: "198.18.3.9", 6: "2001:db8:3::9"}[family]], [second],
                                                  [address]], report
    assert hops[0]["loss_percent"] == 0, report
    # Twice over the link, 15 % each: 28 %, give or take.
    assert all(5 < hop["loss_percent"] < 55 for hop in hops[1:]), report
    assert report["loss_begins_at_hop"] == 2, report
    text = wiring.space.run(*words[:-1], check=False).stdout
    assert "the loss begins at hop 2." in text, text


# ---- UDP -------------------------------------------------------------------------------------------------------------

def test_the_kernel_asks_by_udp(link, family):
    link.echo(family)
    assert link.ask(family, 7, 1, 2, 0, 1472, 1473, 9000, 65507) == [True] * 7


def test_the_kernel_hears_that_nobody_listens(link, family):
    link.echo(family)
    assert "ConnectionRefusedError" in link.ask(family, 9, 10, 10)


def test_firstflight_asks_by_udp(link, family):
    server = link.space.start("python3", "-c", ECHO_SERVER, KERNEL[family])
    server.wait_for_output("ready")
    for size in (0, 1, 1473, 9000, 65507):
        asker = link.peer(family, "ask", KERNEL[family], 4000, 20, size)
        assert asker.wait(20) == 0, asker.describe()
        assert asker.out == "20 echoed\n"


def test_firstflight_hears_that_nobody_listens(link, family):
    asker = link.peer(family, "ask", KERNEL[family], 4001, 1, 10)
    assert asker.wait(20) == 1
    assert asker.out == "connection refused\n"


# ---- neighbours ------------------------------------------------------------------------------------------------------

def neighbour(link, family):
    said = link.space.run("ip", "-%d" % family, "neighbour", "show", FIRSTFLIGHT[family]).stdout
    return said


def test_the_kernel_finds_its_neighbour_again(lab, family):
    """The kernel's cache goes through its states: asked for, forgotten, asked by unicast."""
    link = Link(lab, "tap")
    link.space.ip("address add fe80::1/64 dev ff0 nodad")  # what the kernel asks its IPv6 neighbours from
    link.space.sysctl("net.ipv%d.neigh.ff0.base_reachable_time_ms" % family, 500)
    link.space.sysctl("net.ipv%d.neigh.ff0.delay_first_probe_time" % family, 1)
    link.echo(family)
    assert no_loss(link.kernel_ping(family, "-c", "3", "-i", "0.5"), 3)
    wait_until(lambda: link.kernel_ping(family, "-c", "1") and "STALE" in neighbour(link, family) or
               "DELAY" in neighbour(link, family), lambda: neighbour(link, family))
    link.kernel_ping(family, "-c", "1")
    wait_until(lambda: "REACHABLE" in neighbour(link, family), lambda: neighbour(link, family))
    link.space.run("ip", "-%d" % family, "neighbour", "flush", "dev", "ff0")
    assert no_loss(link.kernel_ping(family, "-c", "3", "-i", "0.1"), 3)


def test_a_neighbour_that_does_not_answer(lab, family):
    link = Link(lab, "tap")
    nobody = {4: "198.18.3.77", 6: "2001:db8:3::77"}[family]
    said = link.ff_ping(family, nobody, "-c", "1", "-W", "6", status=1)
    text = "Destination Host Unreachable" if family == 4 else "Destination unreachable: Address unreachable"
    assert "From %s icmp_seq=1 %s" % (FIRSTFLIGHT[family], text) in said, said


def test_tcp_over_tap(lab, family):
    link = Link(lab, "tap")
    root = lab.directory("www")
    digest = harness.random_file(root / "file", 20 << 20)
    server = link.space.start(find_ff(), "serve", "--device", link.device, "--address",
                              "%s/%d" % (FIRSTFLIGHT[family], PREFIX_LENGTH[family]), root)
    server.wait_for_output("serving")
    target = lab.directory("received") / "file"
    link.space.curl(FIRSTFLIGHT[family], "/file", extra=["-o", target])
    assert harness.sha256(target) == digest


def test_capture_of_frames(lab):
    link = Link(lab, "tap")
    capture = lab.tmp_path / "frames.pcapng"
    assert no_loss(link.ff_ping(4, KERNEL[4], "-c", "2", "-i", "0.1", "-s", "3000", "--pcap", str(capture)), 2)
    said = subprocess.run(["tshark", "-r", str(capture), "-T", "fields", "-e", "_ws.col.Protocol", "-e", "_ws.malformed",
                           "-o", "ip.check_checksum:TRUE", "-e", "ip.checksum.status"],
                          capture_output=True, text=True, check=True).stdout
    protocols = [line.split("\t")[0] for line in said.splitlines()]
    assert "ARP" in protocols and "ICMP" in protocols and "Malformed" not in said, said


# ---- ff ss -u ------------------------------------------------------------------------------------------------------


class Held:
    """A program with four UDP sockets that nobody reads, and ff ss to look at them."""

    def __init__(self, lab, family):
        self.link = Link(lab, "tun")
        self.control = str(lab.directory("control") / "stack.sock")
        self.own, self.peer = FIRSTFLIGHT[family], KERNEL[family]
        held = self.link.peer(family, "hold", 7000, self.peer, self.control)
        held.wait_for_output("ready")

    def send(self, port, text):
        code = "import socket, sys; s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, " \
               "socket.SOCK_DGRAM); s.sendto(sys.argv[3].encode(), (sys.argv[1], int(sys.argv[2])))"
        self.link.space.run("python3", "-c", code, self.own, port, text)

    def ss(self, *words, status=0):
        done = subprocess.run([find_ff(), "ss", "--control", self.control, *words], capture_output=True, text=True,
                              timeout=30, check=False)
        assert done.returncode == status, done
        return done.stdout if status == 0 else done.stderr


def end(address, port):
    return "[%s]:%s" % (address, port) if ":" in address else "%s:%s" % (address, port)


@pytest.mark.parametrize("family", [4, 6])
def test_ss_lists_datagram_sockets(lab, family):
    held = Held(lab, family)
    own, anybody = held.own, end("0.0.0.0" if family == 4 else "::", "*")
    bound = [["UNCONN", "0", "0", end(own, 7000), anybody], ["UNCONN", "0", "0", "*:7001", "*:*"],
             ["UNCONN", "0", "0", "[::]:7002", "[::]:*"]]
    connected = ["ESTAB", "0", "0", end(own, 7003), end(held.peer, 9)]
    lines = lambda *words: [line.split() for line in held.ss("-Hn", *words).splitlines()]
    assert lines("-ua") == [*bound, connected]
    assert lines("-ul") == bound
    assert lines("-u") == [connected]
    assert lines("-u", "state", "established") == [connected[1:]], "one state alone is not named"
    assert lines("-tu", "-a") == [["udp", *line] for line in [*bound, connected]]
    assert lines("-ta") == []
    # As the kernel's ss has it, of sockets like these.
    echo = held.link.space.start("python3", "-uc", ECHO_SERVER, KERNEL[family])
    echo.wait_for_output("ready")
    theirs = held.link.space.run("ss", "-uan").stdout.replace("PortProcess", "Port Process").splitlines()
    assert held.ss("-uan").splitlines()[0].split() == theirs[0].split()
    assert theirs[1].split() == [*bound[0][:3], end(KERNEL[family], 4000), anybody]


def test_ss_tells_what_waits_in_datagram_sockets(lab):
    held = Held(lab, 4)
    held.send(7000, "x" * 1000)
    held.send(7000, "y" * 1000)
    socket_at = lambda port: json.loads(held.ss("-ua", "--json", "sport = :%d" % port))
    wait_until(lambda: socket_at(7000)[0]["recv_queue"] > 2000, "two datagrams in the queue", 5)
    [waiting] = socket_at(7000)
    assert waiting["protocol"] == "udp" and waiting["state"] == "UNCONN"
    assert waiting["local"] == end(held.own, 7000)
    assert waiting["memory"]["rmem_alloc"] == waiting["recv_queue"] and waiting["memory"]["rcvbuf"] == 212992
    assert "skmem:(r%d,rb212992" % waiting["recv_queue"] in held.ss("-uamH", "sport = :7000")
    assert socket_at(7001)[0]["recv_queue"] == 0
    assert [s["remote"] for s in json.loads(held.ss("-u", "--json"))] == [end(held.peer, 9)]
    assert held.ss("-uaH", "-n", "dst", held.peer, "and", "dport = :9").split()[3] == end(held.own, 7003)
    assert held.ss("-uaH", "dport = :10") == ""
    assert "a port such as :80" in held.ss("-u", "sport", status=2)


def test_ss_names_the_services_of_udp(lab):
    held = Held(lab, 4)
    assert held.ss("-uH").split()[-1] == end(held.peer, "discard")
    assert held.ss("-uHn").split()[-1] == end(held.peer, 9)
