"""ff serve and ff get with the programs of a Linux machine as their peers, and what they do when something is wrong."""

import json
import re
import signal
import subprocess

import pytest

import harness
from harness import FIRSTFLIGHT, KERNEL, find_ff, url, wait_until


def test_a_thousand_connections_of_wrk(lab):
    wiring = lab.direct()
    server = wiring.serve(lab.site())
    wrk = "wrk --threads 2 --connections 1000 --duration 5s --timeout 5s --latency " + url(FIRSTFLIGHT[4])
    said = wiring.kernel.run("sh", "-c", "ulimit -n 4096 && " + wrk, limit=60).stdout
    assert "Socket errors" not in said, said
    assert "Non-2xx" not in said, said
    requests = int(re.search(r"(\d+) requests in", said).group(1))
    assert requests > 1000, said
    assert server.running()
    assert server.end() == 0, server.describe()


def test_many_small_files_served_to_curl(lab, family):
    files = {"file-%d" % i: "content of %d\n" % i * i for i in range(200)}
    wiring = lab.direct()
    wiring.serve(lab.site(**files))
    said = wiring.kernel.curl(FIRSTFLIGHT[family], "/file-[0-199]", extra=["--no-progress-meter"])
    assert said == "".join(files["file-%d" % i] for i in range(200))


def test_many_small_files_served_to_curls_at_once(lab, family):
    files = {"file-%d" % i: "content of %d\n" % i * i for i in range(100)}
    wiring = lab.direct()
    wiring.serve(lab.site(**files))
    target = lab.directory("received")
    wiring.kernel.curl(FIRSTFLIGHT[family], "/file-[0-99]", extra=["--parallel", "--parallel-max", "50", "--output",
                                                                  "%s/file-#1" % target])
    assert {p.name: p.read_text() for p in target.iterdir()} == files


def test_many_small_files_fetched_from_nginx(lab, family):
    files = {"file-%d" % i: "content of %d\n" % i * i for i in range(100)}
    wiring = lab.direct()
    wiring.kernel.nginx([KERNEL[family]], lab.site(**files))
    getter = wiring.get("--json", *(url(KERNEL[family], "/file-%d" % i) for i in range(100)))
    visits = json.loads(getter.out)
    assert [visit["bytes"] for visit in visits] == [len(files["file-%d" % i]) for i in range(100)]
    # One destination: the first visit gets the cookie, all others use it.
    assert [visit["data_in_syn"] for visit in visits] == [False] + [True] * 99
    assert all(visit["fast_open_accepted"] for visit in visits[1:])


def test_the_body_comes_to_standard_output(lab):
    wiring = lab.direct()
    wiring.kernel.nginx([KERNEL[4]], lab.site(index="exactly this\n"))
    assert wiring.get("--output", "-", url(KERNEL[4])).out == "exactly this\n"


@pytest.mark.parametrize("size", [56, 1472, 8000])
def test_ping_is_answered(lab, family, size):
    wiring = lab.direct()
    wiring.serve(lab.site(), "--mtu", "9000")
    said = wiring.kernel.run("ping", "-c5", "-i0.01", "-s", size, FIRSTFLIGHT[family]).stdout
    assert "5 received" in said, said


def test_a_refused_port_is_told_in_one_line(lab, family):
    wiring = lab.direct()
    getter = wiring.get(url(KERNEL[family], port=81), status=1)
    assert getter.out == ""
    assert getter.err.count("\n") == 1 and "connection refused" in getter.err


def test_the_kernel_is_refused_where_nobody_listens(lab, family):
    wiring = lab.direct()
    wiring.serve(lab.site())
    done = wiring.kernel.run("curl", "--silent", "--show-error", "--noproxy", "*", url(FIRSTFLIGHT[family], port=81),
                             check=False)
    assert done.returncode == 7, done.stderr
    assert "Connection refused" in done.stderr or re.search(r"after \d{1,2} ms", done.stderr), done.stderr


def test_a_page_that_is_not_there(lab):
    wiring = lab.direct()
    wiring.serve(lab.site())
    done = wiring.kernel.run("curl", "--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out",
                             "%{http_code}", url(FIRSTFLIGHT[4], "/nothing"))
    assert done.stdout == "404"


def test_an_unreachable_address_is_given_up(lab):
    wiring = lab.direct()
    getter = wiring.get("--timeout", "1s", url("198.18.3.77"), status=1)
    assert getter.err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_serve_cleanly(lab, number):
    wiring = lab.direct()
    server = wiring.serve(lab.site())
    assert wiring.kernel.curl(FIRSTFLIGHT[4]) == "hello\n"
    server.signal(number)
    assert server.wait(10) == 0, server.describe()
    assert server.err == ""
    assert "ff0" not in wiring.kernel.run("ip", "link", "show").stdout


def test_a_signal_lets_an_answer_finish(lab):
    root = lab.directory("www")
    digest = harness.random_file(root / "big", 2_000_000)
    wiring = lab.linked("--rate", "10mbit", "--delay", "5ms")
    server = wiring.serve(root)
    target = lab.tmp_path / "received"
    client = wiring.kernel.start("curl", "--silent", "--noproxy", "*", "--output", target, url(FIRSTFLIGHT[4], "/big"))
    wait_until(lambda: target.exists() and target.stat().st_size > 0, client.describe)
    server.signal(signal.SIGTERM)
    assert client.wait() == 0, client.describe()
    assert harness.sha256(target) == digest
    assert server.wait(10) == 0, server.describe()


def test_a_device_in_another_namespace(lab):
    wiring = lab.direct()
    server = lab.start([find_ff(), "serve", "--device", "tun:ff7@" + wiring.kernel.name, "--address", "198.18.8.2/24",
                        "--host-address", "198.18.8.1/24", lab.site()])
    server.wait_for_output("serving")
    assert wiring.kernel.curl("198.18.8.2") == "hello\n"


BAD_COMMAND_LINES = {
    "no-command-of-that-name": ["gett"],
    "no-url": ["get", "--device", "tun:ff0", "--address", "198.18.3.2/24"],
    "bad-url": ["get", "--device", "tun:ff0", "--address", "198.18.3.2/24", "ftp://198.18.3.1/"],
    "no-device": ["get", "--address", "198.18.3.2/24", "http://198.18.3.1/"],
    "bad-device": ["get", "--device", "eth0", "--address", "198.18.3.2/24", "http://198.18.3.1/"],
    "no-address": ["get", "--device", "tun:ff0", "http://198.18.3.1/"],
    "bad-address": ["get", "--device", "tun:ff0", "--address", "198.18.3.256/24", "http://198.18.3.1/"],
    "bad-mtu": ["get", "--device", "tun:ff0", "--address", "198.18.3.2/24", "--mtu", "67", "http://198.18.3.1/"],
    "bad-setting": ["get", "--device", "tun:ff0", "--address", "198.18.3.2/24", "--sysctl", "tcp_fastopn=3",
                    "http://198.18.3.1/"],
    "bad-value": ["get", "--device", "tun:ff0", "--address", "198.18.3.2/24", "--sysctl", "tcp_sack=maybe",
                  "http://198.18.3.1/"],
    "no-namespace": ["get", "--device", "tun:ff0@nowhere", "--address", "198.18.3.2/24", "http://198.18.3.1/"],
    "no-directory": ["serve", "--device", "tun:ff0", "--address", "198.18.3.2/24", "/nowhere/at/all"],
    "bad-listen": ["serve", "--device", "tun:ff0", "--address", "198.18.3.2/24", "--listen", "80:80:80", "."],
    "bad-loss": ["link", "--loss", "101%", "tunA", "tunB"],
    "bad-delay": ["link", "--delay", "50", "tunA", "tunB"],
    "one-end": ["link", "tunA"],
    "bad-family": ["demo", "--family", "5"],
    "bad-demo-delay": ["demo", "--delay", "forever"],
}


@pytest.mark.parametrize("words", BAD_COMMAND_LINES.values(), ids=BAD_COMMAND_LINES.keys())
def test_a_bad_command_line_is_told_in_one_line(lab, words):
    space = lab.space("empty")
    done = space.run(find_ff(), *words, check=False, limit=20)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("ff"), done.stderr
    assert "ff0" not in space.run("ip", "link", "show").stdout


def test_without_privilege_serve_says_what_it_needs(lab):
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all",
                           "--bounding-set=-all", find_ff(), "serve", "--device", "tun:ff0", "--address",
                           "198.18.3.2/24", "/tmp"], capture_output=True, text=True, check=False, timeout=20)
    if "Permission denied" in done.stderr and "setpriv" in done.stderr:
        pytest.skip("the program lies where only root may read")
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1 and "root" in done.stderr, done.stderr
