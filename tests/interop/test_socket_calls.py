"""One C program of socket calls, with the kernel's sockets and with firstflight's: what they print is the same, but for
the differences that docs/linux-differences.md has."""

import dataclasses
import itertools
import re
import subprocess

import harness


@dataclasses.dataclass
class Known:
    """A heading of docs/linux-differences.md, and the lines that it is about."""
    heading: str
    lines: str

    def split(self, printed):
        """What it is about, and the rest."""
        meant = [line for line in printed if re.match(self.lines, line)]
        return meant, [line for line in printed if not re.match(self.lines, line)]


def known_differences():
    return [
        Known("SIOCOUTQ of a connection that is gone",
              r"(refused|refused, not told|disconnected): ioctl\(fd, SIOCOUTQ, &value\)"),
        Known("Options that would do nothing",
              r"(IP_MTU_DISCOVER|IPV6_MTU) \S+, level "),
        Known("bind() to a group", r"bind to (255.255.255.255|224.0.0.1), type 1: "),
    ]


def what_differs(kernel, firstflight):
    for theirs, ours in itertools.zip_longest(kernel, firstflight, fillvalue="nothing"):
        if theirs != ours:
            yield "the kernel:  %s\nfirstflight: %s" % (theirs, ours)


def test_socket_calls(lab):
    space = lab.space("calls")
    space.sysctl("net.ipv4.tcp_no_metrics_save", 1)
    programs = harness.find_ff().parent / "tests"
    kernel = space.run(programs / "socket_calls_linux").stdout.splitlines()
    firstflight = subprocess.run([programs / "socket_calls_firstflight"], capture_output=True, text=True, timeout=60,
                                 check=True).stdout.splitlines()
    assert len(kernel) >= 300

    documented = (harness.ROOT / "docs" / "linux-differences.md").read_text()
    for known in known_differences():
        theirs, kernel = known.split(kernel)
        ours, firstflight = known.split(firstflight)
        assert theirs != ours, "no difference any more: " + known.lines
        assert "\n## %s\n" % known.heading in documented, "docs/linux-differences.md has no heading %r" % known.heading
    differences = list(what_differs(kernel, firstflight))
    assert not differences, "%d, of them:\n%s" % (len(differences), "\n".join(differences[:20]))
