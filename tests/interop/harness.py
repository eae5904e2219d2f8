"""What the tests against the kernel are made of."""

import contextlib
import hashlib
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATH = os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"

# The two ends of the network that most tests run on, by family.
KERNEL = {4: "198.18.3.1", 6: "2001:db8:3::1"}
FIRSTFLIGHT = {4: "198.18.3.2", 6: "2001:db8:3::2"}
PREFIX_LENGTH = {4: 24, 6: 64}

_numbers = itertools.count()


def full():
    """Whether to run at full size, which takes minutes."""
    return os.environ.get("FF_FULL") == "1"


def find_ff():
    """The program under test: $FF, or the one built last."""
    if "FF" in os.environ:
        path = pathlib.Path(os.environ["FF"]).resolve()
        return path if os.access(path, os.X_OK) else None
    built = [p for p in ROOT.glob("build/*/ff") if os.access(p, os.X_OK)]
    return max(built, key=lambda p: p.stat().st_mtime, default=None)


def find_agent():
    """Firstflight's half of the comparison with the kernel; built beside ff."""
    return find_ff().parent / "tests" / "socket_agent"


def unique_prefix():
    return "ff-test-%d-" % os.getpid()


def unique_name(label):
    return "%s%d-%s" % (unique_prefix(), next(_numbers), label)


def delete_namespaces(prefix):
    for name in namespaces():
        if name.startswith(prefix):
            subprocess.run(["ip", "netns", "delete", name], check=False)


def namespaces():
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in said.splitlines() if line.strip()}


def url(address, path="/", port=80):
    host = "[%s]" % address if ":" in address else address
    return "http://%s%s%s" % (host, "" if port == 80 else ":%d" % port, path)


def wait_until(condition, what, limit=20.0):
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("not within %g s: %s" % (limit, what() if callable(what) else what))
        time.sleep(0.01)


def random_file(path, size, seed=1):
    """Bytes that follow from the seed and do not repeat; says their SHA-256."""
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for i in range(0, size, 1 << 20):
            chunk = hashlib.shake_128(b"%d %d" % (seed, i)).digest(min(1 << 20, size - i))
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def descendants(pid):
    """Processes that `pid` has started, and they."""
    found = []
    for children in pathlib.Path("/proc/%d/task" % pid).glob("*/children"):
        for child in children.read_text().split():
            found += [int(child)] + descendants(int(child))
    return found


class Process:
    """A program in the background, its output in files."""

    def __init__(self, argv, directory, label):
        self.argv = [str(word) for word in argv]
        self._out = directory / (label + ".out")
        self._err = directory / (label + ".err")
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self._popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                           start_new_session=True, env=dict(os.environ, PATH=PATH))

    @property
    def pid(self):
        return self._popen.pid

    @property
    def out(self):
        return self._out.read_text(errors="replace")

    @property
    def err(self):
        return self._err.read_text(errors="replace")

    def running(self):
        return self._popen.poll() is None

    def wait_for_output(self, text, limit=20.0):
        def there():
            assert self.running() or text in self.out + self.err, self.describe()
            return text in self.out + self.err

        wait_until(there, lambda: "%r of %s" % (text, self.describe()), limit)

    def wait(self, limit=60.0):
        """The exit status."""
        try:
            return self._popen.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running after %g s: %s" % (limit, self.describe())) from None

    def signal(self, number):
        self._popen.send_signal(number)

    def end(self, limit=5.0):
        """SIGTERM, and SIGKILL for what does not listen; the exit status."""
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                self._popen.wait(limit)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
        return self._popen.wait()

    def describe(self):
        return "%s\n  status %s\n  out: %s\n  err: %s" % (" ".join(self.argv), self._popen.poll(), self.out[-2000:],
                                                          self.err[-2000:])


class Space:
    """A network namespace."""

    def __init__(self, lab, label):
        self.lab = lab
        self.name = unique_name(label)
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        # No link-local chatter: captures show what the test is about.
        self.sysctl("net.ipv6.conf.default.addr_gen_mode", 1)
        self.sysctl("net.ipv6.conf.default.router_solicitations", 0)
        self.ip("link set lo up")

    def command(self, argv):
        return ["ip", "netns", "exec", self.name] + [str(word) for word in argv]

    def run(self, *argv, limit=60.0, check=True):
        done = subprocess.run(self.command(argv), capture_output=True, text=True, timeout=limit, check=False,
                              stdin=subprocess.DEVNULL, env=dict(os.environ, PATH=PATH))
        assert not check or done.returncode == 0, "%s\n  status %d\n  out: %s\n  err: %s" % (
            " ".join(map(str, argv)), done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done

    def start(self, *argv):
        return self.lab.start(self.command(argv))

    def ip(self, words):
        subprocess.run(["ip", "-n", self.name] + words.split(), check=True)

    def sysctl(self, name, value):
        self.run("sysctl", "-q", "-w", "%s=%s" % (name, value))

    def counters(self):
        """The kernel's, of /proc/net/netstat."""
        lines = self.run("cat", "/proc/net/netstat").stdout.splitlines()
        counters = {}
        for names, values in zip(lines[::2], lines[1::2]):
            counters.update(zip(names.split()[1:], map(int, values.split()[1:])))
        return counters

    @contextlib.contextmanager
    def counting(self):
        """Gives a dictionary that holds, once the block is left, what the kernel has counted in it."""
        rises = {}
        before = self.counters()
        yield rises
        rises.update({name: value - before.get(name, 0) for name, value in self.counters().items()})

    def add_tun(self, device, addresses):
        self.ip("tuntap add dev %s mode tun" % device)
        self.ip("link set %s up" % device)
        for address in addresses:
            self.ip("address add %s dev %s%s" % (address, device, " nodad" if ":" in address else ""))

    def curl(self, address, path="/", fast_open=False, extra=(), limit=60.0):
        """The body, as a string."""
        words = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", str(limit)]
        return self.run(*words, *(["--tcp-fastopen"] if fast_open else []), *extra, url(address, path),
                        limit=limit + 5).stdout

    def nginx(self, address_list, root, port=80):
        """The kernel's server, with Fast Open, from a directory of its own."""
        directory = self.lab.directory("nginx")
        listens = "".join("listen %s:%d fastopen=256;" % ("[%s]" % a if ":" in a else a, port) for a in address_list)
        temporary = "".join("%s_temp_path %s/%s;" % (kind, directory, kind)
                            for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        (directory / "nginx.conf").write_text(
            "daemon off; master_process off; pid %s/pid; error_log stderr; events { worker_connections 4096; }\n"
            "http { %s access_log off; sendfile on; server { %s root %s; } }\n" % (directory, temporary, listens, root))
        server = self.start("nginx", "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr")
        wait_until(lambda: (directory / "pid").exists() or not server.running(), server.describe)
        assert server.running(), server.describe()
        return server


class Wiring:
    """How firstflight reaches the kernel: on a TUN device of `space`, where `kernel` is the peer."""

    def __init__(self, kernel, space, device, addresses, gateways, host_addresses):
        self.kernel = kernel
        self.space = space
        self._options = ["--device", "tun:" + device]
        for option, values in [("--address", addresses), ("--gateway", gateways), ("--host-address", host_addresses)]:
            for value in values:
                self._options += [option, value]

    def serve(self, root, *options):
        """ff serve, once it serves."""
        server = self.space.start(find_ff(), "serve", *self._options, *options, root)
        wait_until(lambda: "\n" in server.out or not server.running(), server.describe)
        assert server.running(), server.describe()
        return server

    def start_get(self, *options):
        return self.space.start(find_ff(), "get", *self._options, *options)

    def get(self, *options, limit=60.0, status=0):
        """ff get, to its end."""
        getter = self.start_get(*options)
        assert getter.wait(limit) == status, getter.describe()
        return getter


class Lab:
    """All that a test makes; leaves nothing behind."""

    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self._processes = []
        self._spaces = []
        self._labels = itertools.count()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # The last one first: servers before the link they talk over.
        for process in reversed(self._processes):
            process.end()
        for space in self._spaces:
            subprocess.run(["ip", "netns", "delete", space.name], check=False)
        # Captures and big files are of interest only as long as the test can be asked.
        shutil.rmtree(self.tmp_path, ignore_errors=True)

    def directory(self, label):
        path = self.tmp_path / ("%s-%d" % (label, next(self._labels)))
        path.mkdir()
        return path

    def start(self, argv):
        process = Process(argv, self.tmp_path, "process-%d" % next(self._labels))
        self._processes.append(process)
        return process

    def space(self, label):
        made = Space(self, label)
        self._spaces.append(made)
        made.sysctl("net.ipv4.tcp_fastopen", 3)
        return made

    def site(self, **files):
        """A directory to serve: contents by name, 'index' standing for index.html."""
        root = self.directory("www")
        for name, content in {"index": "hello\n", **files}.items():
            (root / ("index.html" if name == "index" else name)).write_text(content)
        return root

    def direct(self, swapped=False):
        """The kernel and firstflight at the two ends of one TUN device. `swapped`: with each other's addresses."""
        kernel = self.space("k")
        ours, theirs = (KERNEL, FIRSTFLIGHT) if swapped else (FIRSTFLIGHT, KERNEL)
        with_prefix = lambda addresses: ["%s/%d" % (addresses[f], PREFIX_LENGTH[f]) for f in (4, 6)]
        # The device comes with ff and goes with it; servers may want their addresses earlier.
        kernel.sysctl("net.ipv4.ip_nonlocal_bind", 1)
        kernel.sysctl("net.ipv6.ip_nonlocal_bind", 1)
        return Wiring(kernel, kernel, "ff0", with_prefix(ours), [], with_prefix(theirs))

    def linked(self, *link_options):
        """The same with an emulated link and a forwarding kernel between: kernel, ff link, forwarder, firstflight."""
        kernel, forwarder = self.space("k"), self.space("f")
        kernel.add_tun("wire0", ["198.18.4.2/24", "2001:db8:4::2/64"])
        forwarder.add_tun("wire1", ["198.18.4.1/24", "2001:db8:4::1/64"])
        forwarder.sysctl("net.ipv4.ip_forward", 1)
        forwarder.sysctl("net.ipv6.conf.all.forwarding", 1)
        kernel.ip("route add default via 198.18.4.1")
        kernel.ip("-6 route add default via 2001:db8:4::1")
        for f in (4, 6):  # the kernel under the address that it has when there is no link
            kernel.ip("address add %s/%d dev lo%s" % (KERNEL[f], 32 if f == 4 else 128, "" if f == 4 else " nodad"))
        forwarder.ip("route add %s/32 via 198.18.4.2" % KERNEL[4])
        forwarder.ip("-6 route add %s/128 via 2001:db8:4::2" % KERNEL[6])
        link = self.start([find_ff(), "link", *link_options, "tun:wire0@" + kernel.name, "tun:wire1@" + forwarder.name])
        link.wait_for_output("ready")
        for address in ["198.18.4.1", "2001:db8:4::1"]:
            wait_until(lambda: kernel.run("ping", "-c1", "-W1", address, check=False).returncode == 0, link.describe)
        wiring = Wiring(kernel, forwarder, "ff0", ["%s/%d" % (FIRSTFLIGHT[f], PREFIX_LENGTH[f]) for f in (4, 6)],
                        ["198.18.3.9", "2001:db8:3::9"], ["198.18.3.9/24", "2001:db8:3::9/64"])
        wiring.link = link
        return wiring


def tshark(capture, *options, limit=600.0):
    done = subprocess.run(["tshark", "-n", "-r", str(capture), *options], capture_output=True, text=True, timeout=limit,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def packet_fields(capture, wanted, *fields):
    """One list of strings for each packet that the display filter `wanted` lets through."""
    options = list(itertools.chain.from_iterable(("-e", field) for field in fields))
    said = tshark(capture, "-Y", wanted, "-T", "fields", *options)
    return [line.split("\t") for line in said.splitlines()]


def granted_cookies(capture):
    """Those in SYN-ACKs, in hexadecimal."""
    syn_acks = "tcp.flags.syn == 1 && tcp.flags.ack == 1 && tcp.options.tfo.cookie"
    return [cookie for (cookie,) in packet_fields(capture, syn_acks, "tcp.options.tfo.cookie")]


def packet_count(capture):
    said = subprocess.run(["capinfos", "-T", "-r", "-M", "-c", str(capture)], capture_output=True, text=True, check=True)
    return int(said.stdout.split("\t")[1])


def _faulty(capture, *options):
    # The kernel may write a sum of 0 as 0xffff, which verifies as well (RFC 1624 §3); tshark finds fault with that.
    kernels_zero = "tcp.checksum == 0xffff && frame.packet_flags_direction == 1"
    wanted = "(tcp.checksum.status == Bad && !(%s)) || ip.checksum.status == Bad || _ws.malformed" % kernels_zero
    # Neither HTTP nor what the bytes of a stream mean: that takes tshark minutes where captures are large.
    return tshark(capture, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "--disable-protocol", "http",
                  "-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.analyze_sequence_numbers:FALSE", "-Y", wanted,
                  *options, limit=1800.0)


def faults(capture):
    """What tshark finds wrong with the packets of a capture, checksums included."""
    return _faulty(capture)


def faulty_packets(capture):
    """How many packets of a capture have such a fault: (received, sent)."""
    directions = _faulty(capture, "-T", "fields", "-e", "frame.packet_flags_direction").split()
    received, sent = (sum(int(d, 0) == code for d in directions) for code in (1, 2))
    assert received + sent == len(directions)
    return received, sent
