"""One C program of socket calls, with the kernel's sockets and with firstflight's: what they print is the same, but for
the differences that docs/linux-differences.md has."""

import dataclasses
import itertools
import re
import subprocess

import harness


@dataclasses.dataclass
class Known:
    """A heading of docs/linux-differences.md, and the lines that it is about, up to what was returned."""
    heading: str
    lines: str
    met: bool = False


def known_differences():
    return [
        Known("SIOCOUTQ of a connection that is gone",
              r"(refused|refused, not told|disconnected): ioctl\(fd, SIOCOUTQ, &value\)"),
    ]


def what_differs(kernel, firstflight, known):
    for ours, theirs in itertools.zip_longest(firstflight, kernel, fillvalue="nothing"):
        if ours == theirs:
            continue
        meant = [k for k in known if re.match(k.lines, theirs) and re.match(k.lines, ours)]
        for k in meant:
            k.met = True
        if not meant:
            yield "the kernel:  %s\nfirstflight: %s" % (theirs, ours)


def test_socket_calls(lab):
    space = lab.space("calls")
    programs = harness.find_ff().parent / "tests"
    kernel = space.run(programs / "socket_calls_linux").stdout.splitlines()
    firstflight = subprocess.run([programs / "socket_calls_firstflight"], capture_output=True, text=True, timeout=60,
                                 check=True).stdout.splitlines()
    assert len(kernel) >= 300

    known = known_differences()
    differences = list(what_differs(kernel, firstflight, known))
    assert not differences, "\n".join(differences[:40])
    documented = (harness.ROOT / "docs" / "linux-differences.md").read_text()
    for k in known:
        assert k.met, "no difference any more: " + k.lines
        assert "\n## %s\n" % k.heading in documented, "docs/linux-differences.md has no heading %r" % k.heading
