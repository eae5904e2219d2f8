"""`ff run`: programs that know nothing of firstflight, over it, with the results that they have without."""

import os
import re
import shutil
import signal
import textwrap
import time

import pytest

import harness
from harness import find_ff, wait_until

CLIENT, SERVER = "198.18.7.1", "198.18.7.2"
NOBODY = "198.18.99.9"


class Outside:
    """The host that ff run is on, and a server across a cable."""

    def __init__(self, lab):
        self.lab = lab
        self.host, self.server = lab.space("h"), lab.space("s")
        self.host.ip("link add wire0 type veth peer name wire1 netns " + self.server.name)
        for space, device, address in [(self.host, "wire0", CLIENT), (self.server, "wire1", SERVER)]:
            space.ip("address add %s/24 dev %s" % (address, device))
            space.ip("link set %s up" % device)

    def ff(self, *words):
        return [find_ff(), "run", *words]

    def own_stack(self):
        """Options for firstflight's own TCP to the server."""
        self.server.ip("route replace 198.18.8.0/24 via " + CLIENT)
        self.host.sysctl("net.ipv4.ip_forward", 1)
        return ["--via", "tun:ff0", "--address", "198.18.8.1/24", "--host-address", "198.18.8.2/24", "--gateway",
                "198.18.8.2"]

    def run(self, *program, options=(), status=0, limit=30.0):
        done = self.host.run(*self.ff(*options, "--", *program), limit=limit, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def python(self, code, *options, status=0):
        return self.run("python3", "-c", textwrap.dedent(code), options=options, status=status).stdout

    def listens(self, space, port, protocol="t"):
        wait_until(lambda: space.run("ss", "-Hln" + protocol, "sport = :%d" % port).stdout, "nobody on %d" % port)


def ended(pid):
    """Also one that nobody has waited for yet."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def plain_nginx(lab, root):
    """A configuration in a directory of its own: port 80, and nothing of Fast Open. It writes pid and log there."""
    directory = lab.directory("nginx-inside")
    temporary = "".join("%s_temp_path %s/%s;" % (kind, directory, kind)
                        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    (directory / "nginx.conf").write_text(
        "daemon off; master_process off; pid %s/pid; error_log stderr; events { worker_connections 1024; }\n"
        "http { %s access_log %s/log; server { listen 80; root %s; } }\n" % (directory, temporary, directory, root))
    return directory / "nginx.conf"


@pytest.fixture
def outside(lab):
    return Outside(lab)


def test_the_first_write_rides_in_the_second_visits_syn(outside):
    outside.server.nginx([SERVER], outside.lab.site())
    with outside.server.counting() as counted:
        for _ in range(2):
            assert outside.run("curl", "-sS", harness.url(SERVER)).stdout == "hello\n"
    assert counted["TCPFastOpenCookieReqd"] == 1
    assert counted["TCPFastOpenPassive"] == 1
    assert counted["TCPFastOpenPassiveFail"] == 0


@pytest.mark.parametrize("inside", ["client", "server"])
def test_100_ms_away_the_second_visit_takes_one_round_trip(lab, inside):
    wiring = lab.linked("--delay", "50ms")
    near, far = wiring.space, wiring.kernel
    words = ["curl", "-sS", "-o", "/dev/null", "-w", "%{time_namelookup} %{time_starttransfer}"]
    if inside == "client":
        far.nginx([harness.KERNEL[4]], lab.site())
        words = [find_ff(), "run", "--", *words, harness.url(harness.KERNEL[4])]
        visitor, counter = near, "TCPFastOpenPassive"
    else:
        configuration = plain_nginx(lab, lab.site())
        running = near.start(find_ff(), "run", "-p", "8080:80", "--", "nginx", "-c", configuration, "-e", "stderr")
        wait_until(lambda: near.run("ss", "-Hltn", "sport = :8080").stdout and configuration.with_name("pid").exists(),
                   running.describe)
        words += ["--tcp-fastopen", harness.url("198.18.4.1", port=8080)]
        visitor, counter = far, "TCPFastOpenActive"
    for visit, round_trips in [(1, 2), (2, 1)]:
        with far.counting() as counted:
            start, first_byte = map(float, visitor.run(*words).stdout.split())
        # Nothing is sooner than its round trips; how much later it is, says how busy the machine is.
        assert round_trips <= (first_byte - start) / 0.1 < round_trips + 1, visit
        assert counted[counter] == (1 if visit == 2 else 0)


def test_a_program_ends_as_it_would_without(outside):
    assert outside.run("sh", "-c", "echo out; echo err >&2; exit 7", status=7).stdout == "out\n"
    assert outside.run("true").stderr == ""
    assert "No such file" in outside.run("no-such-program", status=127).stderr
    outside.run("/etc/passwd", status=126)
    outside.run("sh", "-c", "kill -KILL $$", status=-signal.SIGKILL)


def test_signals_reach_the_program_and_nothing_is_left(outside):
    running = outside.host.start(*outside.ff("--", "sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done"))
    running.wait_for_output("ready")
    inside = harness.descendants(running.pid)
    running.signal(signal.SIGUSR1)
    assert running.wait() == 9, running.describe()
    assert not [pid for pid in inside if os.path.exists("/proc/%d" % pid)]
    killed = outside.host.start(*outside.ff("--", "sh", "-c", "echo ready; exec sleep 100"))
    killed.wait_for_output("ready")
    inside = harness.descendants(killed.pid)
    killed.signal(signal.SIGKILL)
    killed.wait()
    wait_until(lambda: not [pid for pid in inside if os.path.exists("/proc/%d" % pid)], "the program lives on")


def test_a_signal_to_the_group_reaches_the_program_once(outside):
    code = """
        import signal, sys, time
        count = 0
        def told(number, frame):
            global count
            count += 1
        signal.signal(signal.SIGTERM, told)
        signal.signal(signal.SIGUSR1, lambda number, frame: sys.exit(count))
        print("ready", flush=True)
        while True:
            time.sleep(0.01)
        """
    running = outside.host.start(*outside.ff("--", "python3", "-c", textwrap.dedent(code)))
    running.wait_for_output("ready")
    for number in range(5):  # far enough apart not to become one
        os.killpg(running.pid, signal.SIGTERM)
        time.sleep(0.05)
        if number < 2:
            running.signal(signal.SIGTERM)
            time.sleep(0.05)
    running.signal(signal.SIGUSR1)
    assert running.wait() == 7, running.describe()


def test_failures_look_as_they_do_without(outside):
    code = """
        import errno, socket
        for address in ["%s", "%s"]:
            connection = socket.socket()
            connection.settimeout(5)
            print(errno.errorcode[connection.connect_ex((address, 9))])
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.settimeout(5)
        datagrams.connect(("%s", 9))
        datagrams.send(b"anybody?")
        try:
            datagrams.recv(1)
        except OSError as error:
            print(errno.errorcode[error.errno])
        """ % (SERVER, NOBODY, SERVER)
    without = outside.host.run("python3", "-c", textwrap.dedent(code)).stdout
    assert without.split() == ["ECONNREFUSED", "ENETUNREACH", "ECONNREFUSED"]
    assert outside.python(code) == without


def test_a_server_that_has_cookies_refuses_at_most_once_as_a_reset(outside):
    outside.server.nginx([SERVER], outside.lab.site())
    said = outside.python("""
        import errno, socket, urllib.request
        urllib.request.urlopen("http://%s/").read()  # for the cookie
        for _ in range(3):
            connection = socket.socket()
            try:
                connection.connect(("%s", 9))
                connection.send(b"x")
                connection.recv(1)
            except OSError as error:
                print(errno.errorcode[error.errno])
        """ % (SERVER, SERVER)).split()
    assert said == ["ECONNRESET", "ECONNREFUSED", "ECONNREFUSED"]


def test_half_close_and_reset_pass_both_ways(outside):
    server = outside.server.start("python3", "-u", "-c", textwrap.dedent("""
        import socket, struct
        listener = socket.create_server(("", 7))
        first, _ = listener.accept()
        data = b""
        while piece := first.recv(65536):
            data += piece
        first.sendall(b"%d bytes" % len(data))
        first.close()
        second, _ = listener.accept()
        second.recv(1)
        second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        second.close()
        third, _ = listener.accept()
        third.recv(1)
        try:
            third.recv(1)
            print("ended")
        except ConnectionResetError:
            print("reset")
        """))
    outside.listens(outside.server, 7)
    said = outside.python("""
        import socket, struct
        connection = socket.create_connection(("%s", 7))
        connection.sendall(b"x" * 1000000)
        connection.shutdown(socket.SHUT_WR)
        print(connection.recv(100).decode())
        assert connection.recv(100) == b""
        connection = socket.create_connection(("%s", 7))
        connection.send(b"x")
        try:
            connection.recv(1)
        except ConnectionResetError:
            print("reset")
        connection = socket.create_connection(("%s", 7))
        connection.send(b"x")
        import time
        time.sleep(0.1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        time.sleep(0.1)
        """ % (SERVER, SERVER, SERVER))
    assert said.split("\n")[:2] == ["1000000 bytes", "reset"]
    server.wait()
    assert server.out == "reset\n"


@pytest.mark.parametrize("via", ["host", "tun"])
def test_datagrams_come_to_a_published_port(outside, via):
    options = outside.own_stack() if via == "tun" else []
    address = "198.18.8.1" if via == "tun" else CLIENT
    echo = """
        import socket
        inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        inside.bind(("", 53))
        print("ready", flush=True)
        while True:
            data, sender = inside.recvfrom(65536)
            inside.sendto(sender[0].encode() + b" " + data, sender)
        """
    running = outside.host.start(*outside.ff(*options, "-p", "5353:53/udp", "--", "python3", "-c", textwrap.dedent(echo)))
    running.wait_for_output("ready")
    ask = """
        import socket
        for client in range(3):
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            asking.settimeout(5)
            asking.connect(("%s", 5353))  # only what comes from there is heard
            for text in [b"one", b"", b"x" * 9000]:
                asking.send(text)
                answer = asking.recv(65536)
                print(answer.split()[0].decode(), answer.endswith(text), len(answer))
        """
    for space, sender in [(outside.server, SERVER)] + [(outside.host, "192.0.0.1")] * (via == "host"):
        where = "127.0.0.1" if space is outside.host else address
        said = space.run("python3", "-c", textwrap.dedent(ask % where)).stdout.splitlines()
        assert said == 3 * ["%s True %d" % (sender, len(sender) + 1 + size) for size in [3, 0, 9000]]


@pytest.mark.parametrize("via", ["host, raw", "host", "tun"])
def test_ping_says_what_it_says_without(outside, via):
    """By the host's raw sockets where those for ping are not allowed, as in a new namespace."""
    if via == "host":
        outside.host.sysctl("net.ipv4.ping_group_range", "0 0")
    options = outside.own_stack() if via == "tun" else []
    outside.host.sysctl("net.ipv4.neigh.wire0.retrans_time_ms", 50)  # how soon it is known that nobody is there
    for arguments, status in [(["-c", "3", "-i", "0.1", SERVER], 0), (["-c", "1", "-s", "20000", SERVER], 0),
                              (["-c", "1", "-W", "5", SERVER[:-1] + "77"], 1)]:
        without = outside.host.run("ping", *arguments, check=False).stdout
        said = outside.run("ping", *arguments, options=options, status=status).stdout
        what = r"icmp_seq=\d+(?: ttl=\d+)?|Destination .*|\d+ received"
        assert re.findall(what, said) == re.findall(what, without)
    assert "Host Unreachable" in said
    assert "Net Unreachable" in outside.run("ping", "-c", "1", NOBODY, options=options, status=1).stdout


@pytest.mark.parametrize("via", ["host", "tun"])
def test_urgent_data_passes_both_ways(outside, via):
    speak = """
        def speak(connection):
            connection.sendall(b"abc")
            connection.send(b"de!", socket.MSG_OOB)
            connection.sendall(b"fgh")
        def hear(connection):
            poll = select.poll()
            poll.register(connection, select.POLLPRI)
            assert poll.poll(5000), "nothing urgent"
            heard = b""
            while len(heard) < 5:
                heard += connection.recv(5 - len(heard))
            urgent = connection.recv(1, socket.MSG_OOB)
            while len(heard) < 8:
                heard += connection.recv(100)
            print(heard, urgent)
        """
    server = "import select, socket\n" + textwrap.dedent(speak) + textwrap.dedent("""
        listener = socket.create_server(("", 7))
        while True:
            connection, _ = listener.accept()
            hear(connection)
            speak(connection)
        """)
    client = "import select, socket\n" + textwrap.dedent(speak) + textwrap.dedent("""
        connection = socket.create_connection(("%s", 7))
        speak(connection)
        hear(connection)
        """ % SERVER)
    heard = outside.server.start("python3", "-u", "-c", server)
    outside.listens(outside.server, 7)
    without = outside.host.run("python3", "-c", client).stdout
    assert without == "b'abcdefgh' b'!'\n"
    options = outside.own_stack() if via == "tun" else ()
    assert outside.run("python3", "-c", client, options=options).stdout == without
    assert heard.out == 2 * without


def test_what_came_before_a_reset_is_read_before_it(outside):
    """As from a kernel's receive queue, though ff run finds both at once."""
    server = outside.server.start("python3", "-u", "-c", textwrap.dedent("""
        import array, fcntl, signal, socket, struct, termios, time
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        connection, _ = socket.create_server(("", 7)).accept()
        connection.recv(1)
        print("asked")
        signal.sigwait([signal.SIGUSR1])
        connection.sendall(b"x" * 50000)
        left = array.array("i", [1])
        while left[0] > 0:
            time.sleep(0.01)
            fcntl.ioctl(connection, termios.TIOCOUTQ, left)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        print("reset")
        """))
    outside.listens(outside.server, 7)
    client = outside.host.start(*outside.ff("--", "python3", "-u", "-c", textwrap.dedent("""
        import socket
        connection = socket.create_connection(("%s", 7))
        connection.send(b"x")
        size = 0
        try:
            while piece := connection.recv(65536):
                size += len(piece)
        except ConnectionResetError:
            print(size, "and a reset")
        """ % SERVER)))
    server.wait_for_output("asked")
    client.signal(signal.SIGSTOP)
    server.signal(signal.SIGUSR1)
    server.wait_for_output("reset")
    client.signal(signal.SIGCONT)
    assert client.wait() == 0, client.describe()
    assert client.out == "50000 and a reset\n"


@pytest.mark.parametrize("way", ["down", "up"])
def test_a_reader_who_stops_costs_little_memory(outside, way):
    """Also when all have been quick before, so that the buffers are as large as they become."""
    writer = """
        connection.settimeout(1)
        try:
            while True:
                connection.sendall(bytes(1 << 18))
        except TimeoutError:
            print("stuck", flush=True)
        """
    reader = """
        size = 0
        while size < 1 << 30:
            size += len(connection.recv(1 << 18))
        """
    near, far = (reader, writer) if way == "down" else (writer, reader)
    server = outside.server.start("python3", "-c", "import socket, time\n"
                                  "connection, _ = socket.create_server(('', 7)).accept()\n"
                                  + textwrap.dedent(far) + "time.sleep(60)\n")
    outside.listens(outside.server, 7)
    client = outside.host.start(*outside.ff("--", "python3", "-c", "import socket, time\n"
                                            "connection = socket.create_connection(('%s', 7))\n" % SERVER
                                            + textwrap.dedent(near) + "time.sleep(60)\n"))
    (server if way == "down" else client).wait_for_output("stuck")
    with open("/proc/%d/status" % client.pid) as status:
        peak = re.search(r"VmHWM:\s*(\d+) kB", status.read())
    assert int(peak[1]) < 20_000
    for process in (client, server):
        process.signal(signal.SIGKILL)
        process.wait()


def test_what_was_written_before_the_end_arrives(outside):
    received = outside.lab.tmp_path / "received"
    server = outside.server.start("python3", "-c", textwrap.dedent("""
        import socket, time
        connection, _ = socket.create_server(("", 7)).accept()
        time.sleep(0.3)
        data = b""
        while piece := connection.recv(65536):
            data += piece
        open("%s", "w").write(str(len(data)))
        """ % received))
    outside.listens(outside.server, 7)
    outside.python("""
        import socket
        connection = socket.create_connection(("%s", 7))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        connection.setblocking(False)
        print(connection.send(b"x" * 500000))
        """ % SERVER)
    assert server.wait() == 0
    assert int(received.read_text()) >= 65536


def test_what_was_written_before_the_end_arrives_100_ms_away(lab):
    """Also what the SYN has taken along, and the end behind it."""
    wiring = lab.linked("--delay", "50ms")
    near, far = wiring.space, wiring.kernel
    received = lab.tmp_path / "received"
    far.sysctl("net.ipv4.tcp_fastopen", 3)
    server = far.start("python3", "-c", textwrap.dedent("""
        import socket
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
        listener.bind(("", 7))
        listener.listen()
        with open("%s", "w") as file:
            for _ in range(2):
                connection, _ = listener.accept()
                size = 0
                while piece := connection.recv(65536):
                    size += len(piece)
                print(size, file=file)
        """ % received))
    wait_until(lambda: near.run("true") and far.run("ss", "-Hltn", "sport = :7").stdout, server.describe)
    code = "import socket; socket.create_connection(('%s', 7)).sendall(b'x' * 500)" % harness.KERNEL[4]
    with far.counting() as counted:
        for _ in range(2):
            near.run(find_ff(), "run", "--", "python3", "-c", code)
    assert server.wait() == 0, server.describe()
    assert received.read_text().split() == ["500", "500"]
    assert counted["TCPFastOpenPassive"] == 1


def test_a_datagram_sent_at_the_very_end_arrives(outside):
    """Though ff run hears of it and of the end at the same time."""
    server = outside.server.start("python3", "-c", textwrap.dedent("""
        import socket
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("", 7))
        receiver.settimeout(10)
        print(receiver.recv(100).decode())
        """))
    outside.listens(outside.server, 7, "u")
    code = """
        import socket, sys
        print("ready", flush=True)
        sys.stdin.readline()
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"farewell", ("%s", 7))
        """ % SERVER
    go = outside.lab.tmp_path / "go"
    os.mkfifo(go)
    running = outside.host.start("sh", "-c", 'exec "$0" "$@" < %s' % go, *outside.ff("--", "python3", "-c", textwrap.dedent(code)))
    with open(go, "w") as line:
        running.wait_for_output("ready")
        program = harness.descendants(running.pid)
        running.signal(signal.SIGSTOP)
        print("go", file=line, flush=True)
        wait_until(lambda: any(ended(pid) for pid in program), running.describe)
        running.signal(signal.SIGCONT)
    assert running.wait() == 0, running.describe()
    assert server.wait() == 0, server.describe()
    assert server.out == "farewell\n"


def test_datagrams_go_and_come_back(outside):
    outside.server.start("python3", "-c", textwrap.dedent("""
        import socket
        socket_ = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        socket_.bind(("", 7))
        while True:
            data, sender = socket_.recvfrom(65536)
            socket_.sendto(data, sender)
        """))
    outside.listens(outside.server, 7, "u")
    assert outside.python("""
        import socket
        for size in [0, 1, 1472, 1473, 60000]:
            socket_ = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            socket_.settimeout(5)
            socket_.sendto(b"x" * size, ("%s", 7))
            data, sender = socket_.recvfrom(65536)
            print(len(data), sender[1])
        """ % SERVER).split() == ["0", "7", "1", "7", "1472", "7", "1473", "7", "60000", "7"]


def test_git_clones_over_http(outside):
    site = outside.lab.site()
    outside.server.run("git", "init", "-q", "--bare", site / "repository.git")
    work = outside.lab.directory("work")
    for words in [["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"],
                  ["push", "-q", site / "repository.git", "main"]]:
        (work / "file").write_text("of the repository\n")
        outside.server.run("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", work, *words)
    outside.server.run("git", "-C", site / "repository.git", "update-server-info")
    outside.server.nginx([SERVER], site)
    into = outside.lab.directory("into")
    outside.run("git", "clone", "-q", "-b", "main", harness.url(SERVER, "/repository.git"), into / "clone")
    assert (into / "clone" / "file").read_text() == "of the repository\n"


def test_a_server_inside_has_fast_open_outside(outside):
    configuration = plain_nginx(outside.lab, outside.lab.site(index="inside\n"))
    directory = configuration.parent
    running = outside.host.start(*outside.ff("-p", "8080:80", "--", "nginx", "-c", configuration, "-e", "stderr"))
    wait_until(lambda: (directory / "pid").exists() or not running.running(), running.describe)
    with outside.server.counting() as counted:
        for _ in range(2):
            words = ["curl", "-sS", "--tcp-fastopen", harness.url(CLIENT, port=8080)]
            assert outside.server.run(*words).stdout == "inside\n"
    assert counted["TCPFastOpenActive"] == 1
    assert counted["TCPFastOpenActiveFail"] == 0
    assert (directory / "log").read_text().startswith(SERVER + " "), "the server sees who asks"
    running.signal(signal.SIGTERM)
    assert running.wait() == 0, running.describe()


def test_over_a_stack_of_our_own(outside):
    outside.server.nginx([SERVER], outside.lab.site())
    via = outside.own_stack()
    with outside.server.counting() as counted:
        said = outside.run("sh", "-c", "curl -sS %s && curl -sS %s" % (2 * (harness.url(SERVER),)), options=via).stdout
    assert said == "hello\nhello\n"
    assert counted["TCPFastOpenCookieReqd"] == 1
    assert counted["TCPFastOpenPassive"] == 1
    outside.run("curl", "-sS", harness.url(SERVER, port=9), options=via, status=7)  # curl's word for refused


@pytest.mark.parametrize("options", [[], ["--no-offload"]], ids=["offloads", "plain"])
def test_as_one_more_host_on_an_interface_that_is_there(outside, options):
    own = "198.18.7.3"
    site = outside.lab.site()
    digest = harness.random_file(site / "large", 20 << 20)
    outside.server.nginx([SERVER], site)
    via = ["--via", "raw:wire0", "--address", own + "/24", *options]
    commands = 2 * ("curl -sS %s &&" % harness.url(SERVER)) + "curl -sS %s | sha256sum" % harness.url(SERVER, "/large")
    with outside.server.counting() as counted:
        assert outside.run("sh", "-c", commands, options=via).stdout == "hello\nhello\n%s  -\n" % digest
    assert counted["TCPFastOpenPassive"] >= 1
    assert counted["TCPFastOpenPassiveFail"] == 0
    running = outside.host.start(*outside.ff(*via, "-p", "8080:80", "--", "nginx", "-c", plain_nginx(outside.lab, site),
                                             "-e", "stderr"))
    # The host goes on using the interface, and what is ours is none of its business.
    with outside.host.counting() as counted:
        wait_until(lambda: outside.server.run("curl", "-sS", harness.url(own, port=8080), check=False).stdout == "hello\n",
                   running.describe)
        said = outside.server.run("sh", "-c", "curl -sS %s | sha256sum" % harness.url(own, "/large", 8080)).stdout
        assert said == digest + "  -\n"
        assert outside.host.run("curl", "-sS", harness.url(SERVER)).stdout == "hello\n"
    assert counted["TCPAbortOnData"] == 0
    assert outside.server.run("ip", "neigh", "show", own).stdout.split()[4].startswith("02:")


def as_nobody(lab, words):
    """As a user without any capability; here /dev/net/tun may be root's alone, which it is nowhere else."""
    directory = lab.directory("dev")
    script = ("mount -t tmpfs none {0} && mknod -m 666 {0}/tun c 10 200 && mount --bind {0}/tun /dev/net/tun && "
              "exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all -- \"$@\"")
    return ["unshare", "-m", "sh", "-c", script.format(directory), "sh", *words]


def program_for_all(lab):
    """A copy of ff where every user finds it."""
    program = lab.directory("bin") / "ff"
    shutil.copy(find_ff(), program)
    for path in [program, *program.parents][:-1]:
        if path.is_relative_to(lab.tmp_path.parent.parent):
            path.chmod(0o755)
    return program


@pytest.mark.parametrize("missing, hint", [
    ("mount -t tmpfs none /dev/net", "modprobe tun"),
    ("mount -t tmpfs none /dev/net && mknod -m 600 /dev/net/tun c 10 200", "/dev/net/tun may not be opened"),
    ("echo 0 > /proc/sys/user/max_user_namespaces", "user.max_user_namespaces"),
], ids=["no device", "another's device", "no user namespaces"])
def test_what_an_ordinary_user_lacks_is_named_in_one_line(outside, missing, hint):
    # The limit is one of the user namespace that it is set in, which must hence not be the machine's.
    own = ["unshare", "--user", "--map-root-user"] if "max_user" in missing else ["unshare", "--mount"]
    user = "" if "max_user" in missing else "--reuid=65534 --regid=65534 --clear-groups"
    script = "%s && exec setpriv %s --inh-caps=-all --bounding-set=-all -- \"$@\"" % (missing, user)
    done = outside.host.run(*own, "sh", "-c", script, "sh", program_for_all(outside.lab), "run", "--", "true", check=False)
    assert done.returncode == 125, done.stderr
    assert done.stderr.count("\n") == 1 and hint in done.stderr, done.stderr
    assert done.stdout == ""


def test_an_ordinary_user_needs_no_privilege(outside):
    outside.server.nginx([SERVER], outside.lab.site())
    program = program_for_all(outside.lab)
    done = outside.host.run(*as_nobody(outside.lab, [program, "run", "--", "sh", "-c",
                                                     "id -u; curl -sS %s; grep CapEff /proc/self/status; "
                                                     "cat /proc/sys/net/ipv4/ping_group_range" % harness.url(SERVER)]))
    said = ["65534", "hello", "CapEff:", "0" * 16, "65534", "65534"]
    assert done.stdout.split() == said, done.stdout + done.stderr
    assert done.stderr == ""


def test_bad_command_lines_are_told_in_one_line(outside):
    for words, told in [([], "PROGRAM"), (["-p", "80:x", "--", "true"], "8080:80"), (["-p", "53/upd", "--", "true"], "5353:53/udp"),
                        (["--via", "raw", "--", "true"], "tun:NAME"),
                        (["--via", "raw:none", "--address", "10.0.0.1/24", "--", "true"], "ip link"),
                        (["--via", "raw:lo", "--address", "10.0.0.1/24", "--", "true"], "no Ethernet"),
                        (["--via", "raw:wire0", "--address", "10.0.0.1/24", "--host-address", "10.0.0.2/24", "--",
                          "true"], "--host-address is for"), (["--address", "10.0.0.1/24", "--", "true"], "--via"),
                        (["--server-first", "22,x", "--", "true"], "22,25"), (["--wiat", "1ms", "--", "true"], "no option")]:
        done = outside.host.run(*outside.ff(*words), check=False)
        assert done.returncode == 2, (words, done.stderr)
        assert done.stderr.count("\n") == 1 and told in done.stderr, done.stderr
