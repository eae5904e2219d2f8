"""ff kill: ends one connection whose packets pass, between two kernels and of a firstflight server."""

import contextlib
import sys
import time

import pytest

import harness
import side_by_side
from harness import FIRSTFLIGHT, KERNEL, find_ff, wait_until

CLIENT = {4: "198.18.6.2", 6: "2001:db8:6::2"}
SERVER = {4: "198.18.7.2", 6: "2001:db8:7::2"}
MIDDLE_OF_CLIENT = {4: "198.18.6.1", 6: "2001:db8:6::1"}
MIDDLE_OF_SERVER = {4: "198.18.7.1", 6: "2001:db8:7::1"}
PREFIX = {4: 24, 6: 64}

# An echo server, and a client that never rests; each says how it ended.
SERVE = """
import errno, socket, sys
listener = socket.create_server((sys.argv[1], 80), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("ready", flush=True)
connection = listener.accept()[0]
try:
    while data := connection.recv(65536):
        connection.sendall(data)
    print("end", flush=True)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
"""
TALK = """
import errno, socket, sys, time
connection = socket.create_connection((sys.argv[1], 80))
print("port %d." % connection.getsockname()[1], flush=True)
try:
    while True:
        connection.sendall(b"x" * 3000)
        assert connection.recv(65536)
        time.sleep(float(sys.argv[2]))
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
"""


class Path:
    """A client and a server, and a host between that forwards."""

    def __init__(self, lab):
        self.client, self.middle, self.server = (lab.space(label) for label in ("c", "m", "s"))
        # Who forwards IPv6 needs a link-local address to ask for neighbours with.
        self.middle.sysctl("net.ipv6.conf.default.addr_gen_mode", 0)
        self.middle.sysctl("net.ipv6.conf.default.accept_dad", 0)
        for end, ours, theirs, device in [(self.client, CLIENT, MIDDLE_OF_CLIENT, "toclient"),
                                          (self.server, SERVER, MIDDLE_OF_SERVER, "toserver")]:
            end.ip("link add eth0 type veth peer name %s netns %s" % (device, self.middle.name))
            for space, name, addresses in [(end, "eth0", ours), (self.middle, device, theirs)]:
                space.ip("link set %s up" % name)
                for f in (4, 6):
                    space.ip("address add %s/%d dev %s%s" % (addresses[f], PREFIX[f], name, " nodad" if f == 6 else ""))
            end.ip("route add default via " + theirs[4])
            end.ip("-6 route add default via " + theirs[6])
        self.middle.sysctl("net.ipv4.ip_forward", 1)
        self.middle.sysctl("net.ipv6.conf.all.forwarding", 1)


def endpoint(address, port):
    return "[%s]:%d" % (address, port) if ":" in address else "%s:%d" % (address, port)


def kill(space, *words, status=0):
    done = space.run(find_ff(), "kill", *words, check=False, limit=30)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert (done.stdout if status == 0 else done.stderr).count("\n") == 1, (done.stdout, done.stderr)
    return done.stdout + done.stderr


@contextlib.contextmanager
def idle_connection(client_space, server_space, family, client_port=40000):
    """Two agents with a connection between that has carried a little: 'socket' on both sides."""
    with contextlib.closing(side_by_side.System(side_by_side.application(client_space), None)) as client, \
            contextlib.closing(side_by_side.System(side_by_side.application(server_space), None)) as server:
        def must(agent, what, **arguments):
            answer = agent.call(what, **arguments)
            assert "errno" not in answer, answer
            return answer["value"]

        must(server, "listen", name="listener", address=SERVER[family], port=80, backlog=8, options={})
        must(client, "connect", name="socket", address=SERVER[family], port=80, local_port=client_port, options={})
        wait_until(lambda: "errno" not in server.call("accept", listener="listener", name="socket"), "a connection")
        must(client, "send", name="socket", text="hello")
        wait_until(lambda: server.call("recv", name="socket", size=100).get("value") == "hello", "hello")
        must(server, "send", name="socket", text="welcome")
        wait_until(lambda: client.call("recv", name="socket", size=100).get("value") == "welcome", "welcome")
        yield client, server


def reads(agent):
    answer = agent.call("recv", name="socket", size=100)
    return answer.get("errno", answer.get("value"))


@pytest.mark.parametrize("interface", [[], ["--interface", "toserver"], ["--interface", "toclient"]],
                         ids=["all", "toserver", "toclient"])
def test_an_idle_connection_of_two_kernels(lab, family, interface):
    path = Path(lab)
    with idle_connection(path.client, path.server, family) as (client, server), \
            idle_neighbour(path, family) as neighbour:
        said = kill(path.middle, endpoint(CLIENT[family], 40000), endpoint(SERVER[family], 80), "--idle", *interface)
        assert said.count("is gone") == 2, said
        assert reads(client) == "ECONNRESET"
        assert reads(server) == "ECONNRESET"
        assert neighbour.running(), neighbour.describe()  # between the same hosts


@contextlib.contextmanager
def idle_neighbour(path, family):
    """Another connection of the two, to another port, that must not notice."""
    words = ["import socket, time; listener = socket.create_server((%r, 81), family=%d);" % (SERVER[family], 2 if family == 4 else 10),
             "print('ready', flush=True); connection = listener.accept()[0]; connection.recv(1); time.sleep(60)"]
    server = path.server.start(sys.executable, "-c", " ".join(words))
    server.wait_for_output("ready")
    client = path.client.start(sys.executable, "-c", "import socket; socket.create_connection((%r, 81)).recv(1)" % SERVER[family])
    time.sleep(0.2)
    yield client


def test_an_idle_connection_the_other_way_round(lab, family):
    path = Path(lab)
    with idle_connection(path.client, path.server, family) as (client, server):
        kill(path.middle, endpoint(SERVER[family], 80), endpoint(CLIENT[family], 40000))
        assert (reads(client), reads(server)) == ("ECONNRESET", "ECONNRESET")


@pytest.mark.parametrize("pause", [0.005, 0])
@pytest.mark.parametrize("mode", [["--busy"], []], ids=["busy", "either"])
def test_a_busy_connection_of_two_kernels(lab, family, mode, pause):
    path = Path(lab)
    server = path.server.start(sys.executable, "-c", SERVE, SERVER[family])
    server.wait_for_output("ready")
    client = path.client.start(sys.executable, "-c", TALK, SERVER[family], pause)
    client.wait_for_output(".")
    port = int(client.out.split()[1].rstrip("."))
    kill(path.middle, endpoint(CLIENT[family], port), endpoint(SERVER[family], 80), *mode)
    assert client.wait(5) == 0 and server.wait(5) == 0
    assert client.out.split()[-1] in ("ECONNRESET", "EPIPE"), client.out
    assert server.out.split()[-1] == "ECONNRESET", server.out


def test_what_only_one_end_has(lab, family):
    """The client's host has vanished without a word; the server's end is what keeps resources."""
    path = Path(lab)
    with idle_connection(path.client, path.server, family) as (_, server):
        path.client.ip("link set eth0 down")
        said = kill(path.middle, endpoint(CLIENT[family], 40000), endpoint(SERVER[family], 80))
        assert "%s does not answer" % endpoint(CLIENT[family], 40000) in said, said
        assert reads(server) == "ECONNRESET"


def test_connections_that_there_are_not(lab, family):
    path = Path(lab)
    with idle_connection(path.client, path.server, family) as (client, server):
        ends = [endpoint(CLIENT[family], 40001), endpoint(SERVER[family], 80)]
        assert "no such connection" in kill(path.middle, *ends, status=1)
        assert "no segment" in kill(path.middle, *ends, "--busy", "--timeout", "300ms", status=1)
        nobody = endpoint("198.18.7.77" if family == 4 else "2001:db8:7::77", 80)
        assert "neither end answered" in kill(path.middle, nobody.replace("77", "78"), nobody, "--timeout", "1s", status=1)
        # The question has left nothing behind, and harmed nobody.
        assert (reads(client), reads(server)) == ("EAGAIN", "EAGAIN")
        assert "SYN-RECV" not in path.server.run("ss", "-tan").stdout


def test_a_connection_to_ff_serve(lab, family):
    wiring = lab.direct()
    wiring.serve(lab.site(), "--idle-timeout", "60s")
    with contextlib.closing(side_by_side.System(side_by_side.application(wiring.kernel), None)) as client:
        client.call("connect", name="socket", address=FIRSTFLIGHT[family], port=80, local_port=40000, options={})
        wait_until(lambda: client.call("state", name="socket")["value"] == "ESTABLISHED", "a connection")
        ends = [endpoint(KERNEL[family], 40000), endpoint(FIRSTFLIGHT[family], 80)]
        said = kill(wiring.kernel, *ends, "--interface", "ff0")
        assert said.count("is gone") == 2, said
        assert reads(client) == "ECONNRESET"
        kill(wiring.kernel, *ends, status=1)
    assert wiring.kernel.curl(FIRSTFLIGHT[family]) == "hello\n"
