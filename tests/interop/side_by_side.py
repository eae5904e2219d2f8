"""The same scenario against the kernel and against firstflight, and what was observed compared.

A scenario is a function of a Tester. It has both ends in hand: of the system under test it makes the socket calls, by
an agent that does what it is told (kernel_agent.py, socket_agent.cpp); of the system's peers it sends and receives
every packet itself. What it sends, what comes, when, and what the calls say make up the observation. Numbers are
relative to the initial ones; what the two systems choose freely (ports, initial numbers, window sizes, the values of
timestamps) is left out.
"""

import concurrent.futures
import contextlib
import ctypes
import dataclasses
import fcntl
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import time

import harness
import segments
from segments import Segment

SYSTEM = {4: "198.18.5.1", 6: "2001:db8:5::1"}
PEER = {4: "198.18.5.2", 6: "2001:db8:5::2"}
PREFIX_LENGTH = {4: 24, 6: 64}

# How far apart two gaps between packets may lie: a share, because timers run out late on a busy machine, and seconds.
TOLERANCE_SHARE = 0.2
TOLERANCE_SECONDS = 0.12

HERE = pathlib.Path(__file__).resolve().parent


# ---- what is compared ----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Entry:
    """One thing observed: a packet on the stream between one peer and the system, or a call on all streams."""
    text: str
    at: float
    timed: bool = False  # whether its distance from the entry before counts


def _relative(number, base):
    if base is None:
        return number
    distance = (number - base) % 2**32
    return distance - 2**32 if distance >= 2**31 else distance


def describe(segment, seq_base, ack_base):
    words = [segment.flags or "-", "seq %d" % _relative(segment.seq, seq_base)]
    if "A" in segment.flags:
        words.append("ack %d" % _relative(segment.ack, ack_base))
    if segment.data:
        words.append("length %d" % len(segment.data))
    if "U" in segment.flags:
        words.append("urgent %d" % segment.urgent)
    if segment.window == 0 and "R" not in segment.flags:
        words.append("zero window")
    for name, value in sorted(segment.options.items(), key=lambda item: str(item[0])):
        if name == "sack":
            words.append("sack " + ",".join("%d-%d" % tuple(_relative(edge, ack_base) for edge in block)
                                            for block in value))
        else:
            words.append("mss %d" % value if name == "mss" else str(name))
    return " ".join(words)


def differences(kernel, firstflight):
    """Those of two observations (stream name -> entries), one line each."""
    found = []
    for name in sorted(kernel.keys() | firstflight.keys()):
        ours, theirs = firstflight.get(name, []), kernel.get(name, [])
        for i in range(max(len(ours), len(theirs))):
            k, f = (entries[i] if i < len(entries) else None for entries in (theirs, ours))
            if k is None or f is None or k.text != f.text:
                found.append("%s, line %d: the kernel has %r, firstflight %r" % (name, i + 1, k and k.text, f and f.text))
                break  # what follows is out of step
            if not k.timed or i == 0:
                continue
            k_gap, f_gap = k.at - theirs[i - 1].at, f.at - ours[i - 1].at
            if abs(k_gap - f_gap) > TOLERANCE_SECONDS + TOLERANCE_SHARE * max(k_gap, f_gap):
                found.append("%s, line %d, %r: after %.3f s with the kernel, after %.3f s with firstflight" %
                             (name, i + 1, k.text, k_gap, f_gap))
    return found


def transcript(observation):
    lines = []
    for name, entries in sorted(observation.items()):
        lines.append("  %s" % name)
        start = entries[0].at if entries else 0
        lines += ["    %3d %8.3f  %s" % (i + 1, entry.at - start, entry.text) for i, entry in enumerate(entries)]
    return "\n".join(lines)


# ---- the two systems -----------------------------------------------------------------------------------------------


class System:
    """The agent of a system, and the wire to it."""

    def __init__(self, argv, wire, **options):
        self.wire = wire
        argv = [str(word) for word in argv]
        self._agent = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)

    def call(self, what, /, **arguments):
        self._agent.stdin.write(json.dumps({"call": what, **arguments}) + "\n")
        self._agent.stdin.flush()
        line = self._agent.stdout.readline()
        assert line, "the agent is gone: %s" % self._agent.args
        return json.loads(line)

    def read(self):
        raise NotImplementedError

    def write(self, packet):
        raise NotImplementedError

    def close(self):
        self._agent.stdin.close()
        try:
            self._agent.wait(5)
        except subprocess.TimeoutExpired:
            self._agent.kill()
            self._agent.wait()
        self._agent.stdout.close()


def application(space):
    """The command line of an agent on the sockets of a namespace."""
    return space.command([sys.executable, "-B", HERE / "kernel_agent.py"])


# Off where a scenario does not ask for them: when they come depends on how fast the tester is.
LOSS_PROBES = "net.ipv4.tcp_early_retrans"


class Kernel(System):
    """The kernel in a namespace, its packets on a TUN device that the tester holds."""

    def __init__(self, lab):
        space = lab.space("side")
        wire = _open_tun(space.name, "wire0")
        space.ip("link set wire0 up")
        for f in (4, 6):
            space.ip("address add %s/%d dev wire0%s" % (SYSTEM[f], PREFIX_LENGTH[f], " nodad" if f == 6 else ""))
        space.sysctl(LOSS_PROBES, 0)
        super().__init__(application(space), wire)

    def read(self):
        return os.read(self.wire, 65536)

    def write(self, packet):
        os.write(self.wire, packet)

    def close(self):
        super().close()
        os.close(self.wire)


class Firstflight(System):
    """A stack in a process, its packets on a socket."""

    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket = ours
        addresses = ["%s/%d" % (SYSTEM[f], PREFIX_LENGTH[f]) for f in (4, 6)]
        super().__init__([harness.find_agent(), str(theirs.fileno()), *addresses], ours.fileno(), pass_fds=[theirs.fileno()])
        theirs.close()
        self.call("sysctl", setting=LOSS_PROBES, value="0")

    def read(self):
        return self._socket.recv(65536)

    def write(self, packet):
        self._socket.send(packet)

    def close(self):
        super().close()
        self._socket.close()


def _open_tun(space, name):
    """A TUN device in another network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(descriptor):
        if libc.setns(descriptor, 0x40000000) != 0:  # CLONE_NEWNET; it moves the calling thread alone
            raise OSError(ctypes.get_errno(), "setns")

    with open("/proc/thread-self/ns/net") as home, open("/run/netns/" + space) as there:
        enter(there.fileno())
        try:
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", name.encode(), 0x1001))  # TUNSETIFF: TUN, no PI
        finally:
            enter(home.fileno())
    return tun


# ---- the tester ----------------------------------------------------------------------------------------------------


class Errno(Exception):
    """What a call was refused with, by name."""


class Tester:
    """What a scenario has in hand."""

    def __init__(self, system, family):
        self.system = system
        self.family = family
        self.address = SYSTEM[family]
        self._peers = {}
        self._calls = []
        self._baseline = self.system.call("counters")["value"]

    # -- calls of the system under test --

    def call(self, what, /, **arguments):
        """Makes a call once; its value. Raises Errno."""
        answer = self.system.call(what, **arguments)
        if answer.get("errno") != "EAGAIN":
            self._note_call(what, arguments, answer)
        if "errno" in answer:
            raise Errno(answer["errno"])
        return answer["value"]

    def outcome(self, what, limit=5.0, /, **arguments):
        """Makes a call until it is not EAGAIN: its value, or the errno's name. Packets are taken meanwhile."""
        self.settle(0.01)  # so that what was sent has arrived, and its answer comes before the call's
        deadline = time.monotonic() + limit
        while True:
            try:
                return self.call(what, **arguments)
            except Errno as error:
                if str(error) != "EAGAIN":
                    return str(error)
            if time.monotonic() > deadline:
                self._note_call(what, arguments, {"errno": "EAGAIN"})
                return "EAGAIN"
            self.settle(0.01)

    def listen(self, name="listener", port=80, backlog=10, address=None, **options):
        return self.outcome("listen", name=name, address=address or self.any, port=port, backlog=backlog,
                            options=options)

    def bind(self, name, address, port, protocol="tcp", **options):
        return self._at_once("bind", name=name, address=address, port=port, options=options, protocol=protocol)

    def listen_on(self, name, backlog=10):
        """On a socket that is bound."""
        return self._at_once("listen_on", name=name, backlog=backlog)

    def connect_from(self, name, peer):
        """From a socket that is bound."""
        return self._at_once("connect_from", name=name, address=peer.address, port=peer.port)

    def _at_once(self, what, /, **arguments):
        """The outcome of a call that no packet has a part in."""
        try:
            return self.call(what, **arguments)
        except Errno as error:
            return str(error)

    def connect(self, name, peer, local_port=0, **options):
        return self.outcome("connect", name=name, address=peer.address, port=peer.port, local_port=local_port,
                            options=options)

    def accept(self, name, listener="listener", limit=5.0):
        return self.outcome("accept", limit, listener=listener, name=name)

    def send(self, name, text, flags=()):
        """The flags by name: MSG_MORE, MSG_OOB."""
        return self.outcome("send", name=name, text=text, flags=list(flags))

    def recv(self, name, size=65536, limit=5.0):
        return self.outcome("recv", limit, name=name, size=size)

    def recv_urgent(self, name, limit=5.0):
        return self.outcome("recv_urgent", limit, name=name)

    def at_mark(self, name):
        return self.outcome("at_mark", name=name)

    def shutdown(self, name, how="write"):
        return self.outcome("shutdown", name=name, how=how)

    def close(self, name):
        return self.outcome("close", name=name)

    def set(self, name, option, value):
        return self.outcome("set", name=name, option=option, value=value)

    def state(self, name):
        return self.outcome("state", name=name)

    def sysctl(self, setting, value):
        said = self.outcome("sysctl", setting=setting, value=str(value))
        assert said is None, "%s = %s: %s" % (setting, value, said)

    def counted(self, *names):
        """How far these counters have risen since the scenario began, such as TcpExtListenOverflows."""
        now = self.system.call("counters")["value"]
        rises = [now[name] - self._baseline[name] for name in names]
        self._note("counted " + ", ".join("%s %d" % rise for rise in zip(names, rises)))
        return rises[0] if len(names) == 1 else rises

    def metrics(self):
        """What is remembered of the path to the peers, times in tenths of a second."""
        return self.outcome("metrics", address=PEER[self.family])

    @property
    def any(self):
        return "0.0.0.0" if self.family == 4 else "::"

    # -- peers --

    def peer(self, port, address=None, system_port=80, **how):
        """A peer that has said nothing yet."""
        made = Peer(self, address or PEER[self.family], port, system_port, **how)
        self._peers[made.address, made.port] = made
        made.entries += self._calls
        return made

    def connected_peer(self, port, **how):
        """A peer that has connected to the system's listener."""
        peer = self.peer(port, **how)
        peer.connect()
        return peer

    def peer_connected_to(self, name, port, local_port=0, options=None, **how):
        """A peer that the system has connected to."""
        peer = self.peer(port, **how)
        self.connect(name, peer, local_port, **(options or {}))
        peer.accept()
        return peer

    # -- packets --

    def settle(self, seconds=0.3):
        """Takes what comes in that time."""
        deadline = time.monotonic() + seconds
        while self._take(deadline):
            pass

    def _take(self, deadline):
        """Takes one packet; False when the time is over."""
        left = deadline - time.monotonic()
        if left < 0 or not select.select([self.system.wire], [], [], left)[0]:
            return False
        packet = self.system.read()
        segment = segments.parse(packet)
        if segment is None:
            return True
        if segment.destination == self.address:  # to itself: a wire that leads back
            self.system.write(packet)
            return True
        peer = self._peers.get((segment.destination, segment.destination_port))
        assert peer is not None, "a packet to nobody: %s" % segment
        peer.arrived(segment)
        return True

    # -- observation --

    def note(self, text):
        """Makes something else part of what is compared."""
        self._note("noted " + text)

    def _note_call(self, what, arguments, answer):
        words = ["%s=%r" % item for item in arguments.items()]
        self._note("%s(%s): %s" % (what, ", ".join(words), answer.get("errno", answer.get("value"))))

    def _note(self, text):
        entry = Entry(text, time.monotonic())
        self._calls.append(entry)
        for peer in self._peers.values():
            peer.entries.append(entry)

    def observation(self):
        return {"calls": self._calls, **{"peer %d" % peer.port: peer.entries for peer in self._peers.values()}}


class Peer:
    """One end of a four-tuple, of which every packet is the scenario's to send."""

    SYN_OPTIONS = {"mss": 1460, "sack_ok": True, "wscale": 7}

    def __init__(self, tester, address, port, system_port, timestamps=True, isn=1000000, window=65535, clock=5000):
        self.tester = tester
        self.address = address
        self.port = port
        self.system_port = system_port
        self.window = window
        self.isn = isn
        self.nxt = isn           # the next number to send
        self.system_isn = None   # known from the system's SYN
        self.expected = None     # the next number that the system is to send
        self.clock = clock if timestamps else None  # of the timestamps; goes up with each segment sent
        self.echo = 0            # the system's timestamp, to be echoed
        self.entries = []
        self.inbox = []
        self.last = None         # the segment that came last

    # -- sending --

    def send(self, flags, data=b"", seq=None, ack=None, options=None, clock=None, window=None, urgent=0):
        """Sends a segment. `seq` and `ack` are relative; left out, they are the next ones. `clock`: the timestamp."""
        number = self.nxt if seq is None else self.isn + seq
        acknowledged = self.expected or 0
        if ack is not None:
            acknowledged = ack + (self.system_isn or 0)
        chosen = dict(self.SYN_OPTIONS if "S" in flags and options is None else options or {})
        if self.clock is not None and "R" not in flags:
            self.clock += 1
            chosen["ts"] = (self.clock if clock is None else clock, self.echo)
        segment = Segment(self.address, self.tester.address, self.port, self.system_port, flags, number % 2**32,
                          acknowledged % 2**32 if "A" in flags else 0, self.window if window is None else window,
                          urgent, chosen, data)
        if seq is None and "R" not in flags:
            self.nxt += segment.length
        self.tester.system.write(segments.emit(segment))
        self.entries.append(Entry("> " + describe(segment, self.isn, self.system_isn), time.monotonic()))
        return segment

    # -- receiving --

    def arrived(self, segment):
        self.system_port = segment.source_port
        if "S" in segment.flags:
            if self.expected is not None and segment.seq != self.system_isn:
                self.tester.note("the initial number lies beyond the last: %s" % (_relative(segment.seq, self.expected) > 0))
            self.system_isn = segment.seq
            self.expected = None
        if self.expected is None or segment.seq == self.expected % 2**32:
            self.expected = segment.seq + segment.length
        if "ts" in segment.options:
            self.echo = segment.options["ts"][0]
        text = describe(segment, self.system_isn, self.isn)
        self.entries.append(Entry("< " + text, time.monotonic(), timed=True))
        self.inbox.append(text)
        self.last = segment

    def expect(self, wanted, limit=5.0):
        """Waits for the next packet; it must begin with `wanted`, such as "RA seq 1"."""
        deadline = time.monotonic() + limit
        while not self.inbox:
            assert self.tester._take(deadline), "not within %g s: %r" % (limit, wanted)
        came = self.inbox.pop(0)
        assert (came + " ").startswith(wanted + " "), "%r came, not %r" % (came, wanted)

    def expect_nothing(self, seconds=0.3):
        self.tester.settle(seconds)
        assert not self.inbox, "%r came, and nothing should" % self.inbox[0]

    def drain(self, seconds=0.3):
        """What comes in that time, unchecked but by the comparison."""
        self.tester.settle(seconds)
        came, self.inbox = self.inbox, []
        return came

    # -- handshakes --

    def connect(self):
        self.send("S")
        self.expect("SA")
        self.send("A")

    def accept(self):
        self.expect("S")
        self.send("SA")
        self.expect("A")


# ---- a run ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Run:
    observation: dict
    failure: str = ""


def _run(make_system, scenario, family):
    with contextlib.closing(make_system()) as system:
        tester = Tester(system, family)
        try:
            scenario(tester)
            tester.settle(0.05)
        except AssertionError as error:
            return Run(tester.observation(), str(error) or "an assertion failed")
        return Run(tester.observation())


@dataclasses.dataclass
class KnownDifference:
    """What only one of the two does, and the heading in docs/linux-differences.md that says why."""
    heading: str
    kernel: str = ""
    firstflight: str = ""

    def remove_from(self, observations):
        """Takes it out of what was observed; what is wrong, if it was not there or is not documented."""
        wrong = []
        documented = (harness.ROOT / "docs" / "linux-differences.md").read_text()
        if "\n## %s\n" % self.heading not in documented:
            wrong.append("docs/linux-differences.md has no heading %r" % self.heading)
        for name, text in [("kernel", self.kernel), ("firstflight", self.firstflight)]:
            streams = observations[name].observation.values()
            if text and not any(entry.text == text for entries in streams for entry in entries):
                wrong.append("a difference that is none any more: %s did not do %r" % (name, text))
            for entries in streams:
                entries[:] = [entry for entry in entries if not text or entry.text != text]
        return wrong


def compare(lab, scenario, known=()):
    """Runs it against both, over IPv4 and IPv6, all at the same time: what takes long is waiting for timers.

    AssertionError, with both transcripts, when they differ.
    """
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        running = {family: [threads.submit(_run, make, scenario, family) for make in (lambda: Kernel(lab), Firstflight)]
                   for family in (4, 6)}
    for family, runs in running.items():
        _judge("IPv%d" % family, *(run.result() for run in runs), known)


def _judge(family, kernel, firstflight, known):
    said = ["%s: %s" % (name, run.failure)
            for name, run in [("kernel", kernel), ("firstflight", firstflight)] if run.failure]
    transcripts = ["the kernel:", transcript(kernel.observation), "firstflight:", transcript(firstflight.observation)]
    for difference in known:
        said += difference.remove_from({"kernel": kernel, "firstflight": firstflight})
    said += differences(kernel.observation, firstflight.observation)
    assert not said, "\n".join([family + ":", *said, *transcripts])
