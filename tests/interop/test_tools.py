"""ff ss, ff netstat, ff nstat and ff sysctl against a running ff serve, beside the kernel's own tools for its side."""

import json
import os
import re
import socket
import subprocess

import pytest

import harness
from harness import FIRSTFLIGHT, KERNEL, find_ff, wait_until


class Tools:
    """A server of firstflight with the kernel as its client, and the tools that look at it."""

    def __init__(self, lab, *options):
        self.lab = lab
        self.path = str(lab.directory("control") / "stack.sock")
        self.wiring = lab.direct()
        self.kernel = self.wiring.kernel
        root = lab.site(index="hello\n")
        harness.random_file(root / "big", 20_000_000)
        self.server = self.wiring.serve(root, "--control", self.path, *options)

    def run(self, command, *words, status=0):
        done = subprocess.run([find_ff(), command, "--control", self.path, *words], capture_output=True, text=True,
                              timeout=30, check=False, env=dict(os.environ, NSTAT_HISTORY=self.path + ".nstat"))
        assert done.returncode == status, (words, done)
        if status != 0:
            assert done.stdout == "" and done.stderr.count("\n") == 1, done
            return done.stderr
        assert done.stderr == "", done
        return done.stdout

    def ss(self, *words):
        return [line.split() for line in self.run("ss", "-H", *words).splitlines()]

    def hold_connection(self, path="/big"):
        """A client of the kernel that asks for something and does not read it."""
        client = self.kernel.start("curl", "--silent", "--noproxy", "*", "--limit-rate", "1k", "--output", "/dev/null",
                                   harness.url(FIRSTFLIGHT[4], path))
        wait_until(lambda: self.ss("-tn", "state", "established"), client.describe)
        return client


@pytest.fixture
def tools(lab):
    return Tools(lab)


def test_a_connection_looks_the_same_from_both_sides(tools):
    tools.hold_connection()
    [ours] = tools.ss("-tn", "state", "established")
    said = tools.kernel.run("ss", "-H", "-tn", "state", "established").stdout
    [theirs] = [line.split() for line in said.splitlines()]
    # Recv-Q, Send-Q, local, peer: the same words in the same columns, each side the other's mirror.
    assert ours[2:4] == theirs[3:1:-1]
    assert int(ours[1]) > 0, "the answer waits to be acknowledged"


def test_the_columns_are_those_of_ss(tools):
    tools.hold_connection()
    for words in (["-t"], ["-tan"], ["-tuan"], ["-tln"], ["-tn", "state", "established"], ["-ton"]):
        ours = tools.run("ss", *words).splitlines()[0].split()
        theirs = tools.kernel.run("ss", *words).stdout.splitlines()[0].replace("PortProcess", "Port Process").split()
        assert ours == theirs, words


def test_the_info_has_the_fields_of_ss(tools):
    tools.hold_connection()
    ours = tools.run("ss", "-tniOH")
    theirs = tools.kernel.run("ss", "-tniOH").stdout
    names = lambda text: set(re.findall(r"([a-z_]+):", text))
    common = {"wscale", "rto", "rtt", "mss", "pmtu", "rcvmss", "advmss", "cwnd", "segs_out", "segs_in", "lastsnd",
              "lastrcv", "lastack", "minrtt", "snd_wnd"}
    assert common <= names(ours), ours
    assert common <= names(theirs), theirs
    # What both measured of one connection.
    value = lambda text, name: re.search(r"\b%s:(\S+)" % name, text).group(1)
    assert value(ours, "mss") == value(theirs, "mss")
    assert value(ours, "wscale").split(",") == value(theirs, "wscale").split(",")[::-1]


def test_a_listener_shows_its_accept_queue(lab):
    tools = Tools(lab, "--backlog", "77")
    [listener] = tools.ss("-tln")
    assert listener[:4] == ["LISTEN", "0", "77", "*:80"]
    assert tools.ss("-tn", "state", "listening", "sport = :81") == []


def test_a_closed_connection_waits_in_time_wait(tools):
    # The server closes first where the client asks it to.
    assert tools.kernel.curl(FIRSTFLIGHT[4], extra=["--header", "Connection: close"]) == "hello\n"
    wait_until(lambda: tools.ss("-tan", "state", "time-wait"), "an entry in TIME_WAIT", 5)
    [line] = tools.run("ss", "-Htano", "state", "time-wait").splitlines()
    assert re.search(r"timer:\(timewait,5\dsec,0\)", line), line
    assert tools.ss("-tn") == [], "ss shows it only when asked"


def test_filters_choose_as_they_do_in_ss(tools):
    tools.hold_connection()
    port = tools.ss("-tn")[0][4].rsplit(":", 1)[1]
    for words, count in [(["dst", KERNEL[4]], 1), (["dst", "198.18.0.0/15"], 1), (["dst", "10.0.0.0/8"], 0),
                         (["sport = :80 and dport = :" + port], 1), (["( dport = :443 or dport = :%s )" % port], 1),
                         (["not sport = :80"], 0), (["sport", "!=", ":80"], 0), (["exclude", "established"], 0),
                         (["state", "connected", "src", FIRSTFLIGHT[4] + ":80"], 1)]:
        assert len([s for s in tools.ss("-tn", *words) if s[0] != "LISTEN" and s[0] != "TIME-WAIT"]) == count, words


def test_json_is_complete(tools):
    tools.hold_connection()
    [connection] = json.loads(tools.run("ss", "-tn", "--json"))
    assert connection["remote"].startswith(KERNEL[4] + ":")
    assert connection["send_queue"] > 0 and connection["info"]["bytes_sent"] > 0
    assert connection["info"]["congestion_control"]


METRICS = re.compile(r"(?P<destination>\S+) age [\d.]+sec(?: ssthresh \d+)? cwnd (?P<cwnd>\d+)(?: reordering \d+)? "
                     r"rtt (?P<rtt>\d+)us rttvar \d+us(?: fo_mss \d+)?(?: fo_cookie [0-9a-f]+)? source (?P<source>\S+)")


def test_metrics_look_like_those_of_ip(tools):
    assert tools.run("ss", "--metrics") == ""
    tools.kernel.run("ip", "tcp_metrics", "flush")
    assert tools.kernel.curl(FIRSTFLIGHT[4]) == "hello\n"
    wait_until(lambda: tools.run("ss", "--metrics") and tools.kernel.run("ip", "tcp_metrics").stdout, "metrics")
    [ours] = tools.run("ss", "--metrics").splitlines()
    [theirs] = tools.kernel.run("ip", "tcp_metrics").stdout.splitlines()
    ours, theirs = (METRICS.fullmatch(line.strip()) or pytest.fail(line) for line in (ours, theirs))
    assert (ours["destination"], ours["source"]) == (theirs["source"], theirs["destination"])
    assert int(ours["rtt"]) > 0 and int(ours["cwnd"]) >= 10
    [known] = json.loads(tools.run("ss", "--metrics", "--json"))
    assert known["destination"] == ours["destination"] and known["rtt_us"] == int(ours["rtt"])
    assert tools.run("ss", "--metrics", "-6") == "" and tools.run("ss", "--metrics", "-4") != ""
    tools.run("ss", "--metrics", "--flush")
    assert tools.run("ss", "--metrics") == ""


@pytest.mark.parametrize("words", [["--metrics", "state", "established"], ["--metrics", "-t"], ["--flush"]])
def test_metrics_are_no_sockets(tools, words):
    assert words[0] in tools.run("ss", *words, status=2)


@pytest.mark.parametrize("words", [["state", "foo"], ["dst", "1.2.3.400"], ["( sport = :80"], ["sport"], ["frob"]])
def test_a_bad_filter_is_told_in_one_line(tools, words):
    assert "filter" in tools.run("ss", *words, status=2)


def test_netstat_counts_what_the_kernel_counts(tools):
    for _ in range(3):
        tools.kernel.curl(FIRSTFLIGHT[4])
    ours = tools.run("netstat", "-s")
    theirs = tools.kernel.run("netstat", "-s").stdout
    said = lambda text, words: int(re.search(r"(\d+) %s" % words, text).group(1))
    assert said(ours, "passive connection openings") == said(theirs, "active connection openings") == 3
    assert said(ours, "segments received") == said(theirs, "segments sent out")
    # Lines that netstat always has, ours has too, word for word.
    always = re.findall(r"^    \d+ ((?:active|passive|failed|connection|segments|bad|resets).*)$", theirs, re.M)
    assert len(always) > 8
    for words in always:
        assert re.search(r"^    \d+ %s$" % re.escape(words), ours, re.M), words
    assert "Drops:\n" in ours and "FastOpen:\n" in ours


def test_raw_counters_have_the_form_of_proc(tools):
    tools.kernel.curl(FIRSTFLIGHT[4])
    lines = tools.run("netstat", "-s", "--raw").splitlines()
    pairs = {}
    for names, values in zip(lines, lines[1:]):
        if names.split()[0] == values.split()[0]:
            pairs.update(zip((names.split()[0] + n for n in names.split()[1:]), values.split()[1:]))
    assert pairs["Tcp:PassiveOpens"] == "1"
    kernel = tools.kernel.run("cat", "/proc/net/snmp", "/proc/net/netstat").stdout
    known = set()
    for line in kernel.splitlines():
        known.update(line.split()[0] + word for word in line.split()[1:])
    assert set(pairs) <= known, "every name is one of Linux's"


def test_nstat_tells_what_came_since(tools):
    tools.kernel.curl(FIRSTFLIGHT[4])
    assert re.search(r"^TcpPassiveOpens +1 +0\.0$", tools.run("nstat"), re.M)
    assert "TcpPassiveOpens" not in tools.run("nstat")
    assert re.search(r"^TcpPassiveOpens +1 ", tools.run("nstat", "-a", "-s"), re.M)
    tools.kernel.curl(FIRSTFLIGHT[4])
    tools.kernel.curl(FIRSTFLIGHT[4])
    assert json.loads(tools.run("nstat", "-j", "-s", "TcpPassive*")) == {"firstflight": {"TcpPassiveOpens": 2}}
    assert json.loads(tools.run("nstat", "-jz", "TcpAttemptFails")) == {"firstflight": {"TcpAttemptFails": 0}}
    assert tools.run("nstat", "TcpPassiveOpens") == "#firstflight\n"
    assert "TcpPassiveOpens                 3 " in tools.run("nstat", "-r")
    assert "no counter is like" in tools.run("nstat", "Tpc*", status=2)


def test_prometheus_text(tools):
    text = tools.run("nstat", "--prometheus")
    assert "# TYPE firstflight_Tcp_PassiveOpens counter\n" in text
    assert 'firstflight_drops_total{reason="TcpChecksum"} 0\n' in text


def test_sysctl_shows_and_changes(tools):
    assert tools.run("sysctl", "net.ipv4.tcp_fin_timeout") == "net.ipv4.tcp_fin_timeout = 60\n"
    assert tools.run("sysctl", "-n", "tcp_rmem") == "4096\t131072\t33554432\n"
    assert tools.run("sysctl", "-w", "net/ipv4/tcp_fin_timeout=7") == "net.ipv4.tcp_fin_timeout = 7\n"
    assert tools.run("sysctl", "-N", "tcp_fin_t*") == "net.ipv4.tcp_fin_timeout\n"
    listed = tools.run("sysctl", "-a").splitlines()
    # The form and the names are those of sysctl -a; what all namespaces share is told outside of them alone.
    assert all(re.fullmatch(r"[a-z0-9_.]+ = .*", line) for line in listed)
    kernel = subprocess.run(["sysctl", "-aN"], capture_output=True, text=True, check=False,
                            env=dict(os.environ, PATH=harness.PATH)).stdout.split()
    unknown = {line.split(" = ")[0] for line in listed} - set(kernel)
    # The key is told to no one but root of the first namespace; the others are for what Linux does not have.
    own = {"tcp_fastopen_cache_expire_sec", "tcp_fastopen_cache_max", "tcp_fastopen_replay_filter_kb", "tcp_rfc793_rto"}
    assert unknown <= {"net.ipv4." + name for name in own | {"tcp_fastopen_key"}}, "no other names but Linux's"


def test_sysctl_changes_all_or_nothing(tools):
    assert "tcp_sack" in tools.run("sysctl", "tcp_fin_timeout=8", "tcp_sack=2", status=2)
    assert tools.run("sysctl", "-n", "tcp_fin_timeout") == "60\n"
    conf = tools.lab.tmp_path / "tcp.conf"
    conf.write_text("# ours\n-vm.swappiness = 1\ntcp_fin_timeout = 9\nnet.ipv4.tcp_sck = 0\n")
    assert "%s:4" % conf in tools.run("sysctl", "-p", str(conf), status=2)
    assert tools.run("sysctl", "-n", "tcp_fin_timeout") == "60\n"
    conf.write_text("# ours\n-vm.swappiness = 1\ntcp_fin_timeout = 9\nnet.ipv4.tcp_sack = 0\n")
    assert tools.run("sysctl", "-p", str(conf)) == "net.ipv4.tcp_fin_timeout = 9\nnet.ipv4.tcp_sack = 0\n"
    assert "tcp_fin_timeout" in tools.run("sysctl", "tcp_fin_timeot", status=2)
    assert tools.run("sysctl", "-e", "tcp_fin_timeot") == ""


def test_a_changed_setting_has_its_effect(tools):
    tools.run("sysctl", "-q", "tcp_sack=0", "tcp_timestamps=0")
    tools.hold_connection()
    [info] = [s["info"] for s in json.loads(tools.run("ss", "-tn", "--json"))]
    assert not info["sack"] and not info["timestamps"]


def test_settings_from_a_file(lab):
    conf = lab.directory("conf") / "tcp.conf"
    conf.write_text("net.ipv4.tcp_fin_timeout = 11\nnet.ipv4.tcp_retries2 = 3\n")
    tools = Tools(lab, "--sysctl-file", str(conf), "--sysctl", "tcp_retries2=4")
    assert tools.run("sysctl", "-n", "tcp_fin_timeout", "tcp_retries2") == "11\n4\n"


def test_a_client_that_does_not_read_holds_nothing_up(tools):
    hostile = []
    for _ in range(40):
        client = socket.socket(socket.AF_UNIX)
        client.connect(tools.path)
        client.setblocking(False)
        try:
            for _ in range(10_000):
                client.send(b'{"command": "settings"}\n' * 100)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
        hostile.append(client)
    assert tools.kernel.curl(FIRSTFLIGHT[4]) == "hello\n"
    assert tools.run("sysctl", "-n", "tcp_sack") == "1\n"
    for client in hostile:
        client.close()
    assert tools.server.end() == 0, tools.server.describe()
    assert not os.path.exists(tools.path)


def test_which_stack_is_meant(lab):
    """Not root, so that other stacks of this machine do not count: a directory of its own stands for /run."""
    runtime = lab.directory("runtime")
    environment = dict(os.environ, XDG_RUNTIME_DIR=str(runtime))
    ask = lambda: subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", find_ff(), "ss"], capture_output=True,
        text=True, check=False, timeout=20, env=environment)
    done = ask()
    if "setpriv" in done.stderr:
        pytest.skip("the program lies where only root may read")
    assert done.returncode == 2 and "no running stack" in done.stderr, done
    (runtime / "firstflight").mkdir()
    listeners = []
    for name in ("serve-1.sock", "get-2.sock"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(runtime / "firstflight" / name))
        listener.listen()
        os.chmod(runtime / "firstflight" / name, 0o666)
        listeners.append(listener)
    for directory in (lab.tmp_path, *lab.tmp_path.parents[:3]):
        if directory != directory.parent and "pytest" in str(directory):
            os.chmod(directory, 0o755)
    done = ask()
    assert done.returncode == 2 and "2 stacks are running" in done.stderr, done
    assert "serve-1.sock" in done.stderr and "get-2.sock" in done.stderr and done.stderr.count("\n") == 1, done
