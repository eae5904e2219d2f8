"""Fixtures for tests against the real kernel: namespaces, devices, links and programs of each test's own.

Every test gets a `lab`. What it makes there has a name that is unique to the process and the test, and is gone when the
test ends, however it ends.

Without root, TUN or a needed program the tests are skipped, loudly; with CI=true that is a failure.
"""

import os
import shutil
import signal
import subprocess

import pytest

import harness
import side_by_side

NEEDED_PROGRAMS = ["ip", "nginx", "curl", "git", "iperf3", "wget", "wrk", "tshark", "ping", "redis-server",
                   "redis-benchmark", "ssh", "sshd", "musl-gcc"]


def what_is_missing():
    """Why these tests cannot run here, or None."""
    if os.geteuid() != 0:
        return "not run as root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    missing = [name for name in NEEDED_PROGRAMS if shutil.which(name, path=harness.PATH) is None]
    if missing:
        return "not installed: " + ", ".join(missing)
    if harness.find_ff() is None:
        return "ff is not built; say where it is with FF"
    if not harness.find_agent().exists():
        return "tests/socket_agent is not built beside ff"
    probe = subprocess.run(["ip", "netns", "add", harness.unique_name("probe")], capture_output=True, text=True)
    if probe.returncode != 0:
        return "no network namespace may be made: " + probe.stderr.strip()
    harness.delete_namespaces(harness.unique_prefix())
    return None


def pytest_sessionstart(session):
    # Whatever ends the tests, fixtures clean up; a shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    session.config.interop_obstacle = what_is_missing()


def pytest_collection_modifyitems(config, items):
    obstacle = config.interop_obstacle
    if obstacle is not None and os.environ.get("CI") != "true":
        for item in items:
            item.add_marker(pytest.mark.skip(reason=obstacle))


def pytest_runtest_setup(item):
    obstacle = item.config.interop_obstacle
    if obstacle is not None:  # only where CI=true kept the test from being skipped
        pytest.fail("the interop tests must run here, and cannot: " + obstacle, pytrace=False)


def pytest_terminal_summary(terminalreporter, config):
    if config.interop_obstacle is not None:
        terminalreporter.write_sep("!", "NOTHING WAS TESTED AGAINST THE KERNEL: " + config.interop_obstacle, red=True)


@pytest.fixture
def lab(tmp_path):
    """Namespaces, links and processes; see harness.Lab."""
    with harness.Lab(tmp_path) as made:
        yield made


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def family(request):
    return request.param


@pytest.fixture
def both(lab):
    """Runs a scenario against both systems. Behind it: the differences that are meant, see KnownDifference."""
    return lambda scenario, *known: side_by_side.compare(lab, scenario, known)
