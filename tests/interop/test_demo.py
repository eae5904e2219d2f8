"""The demo shows what it promises, and leaves nothing behind."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

import harness
from harness import descendants, find_ff, packet_fields

KEYS = {"client", "server", "family", "fast_open", "visit", "data_in_syn", "round_trips", "ms", "witness"}


def run_demo(*options):
    """What it prints."""
    done = subprocess.run([find_ff(), "demo", *options], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def rows():
    return json.loads(run_demo("--json"))


def test_every_pair_is_measured(rows):
    assert all(set(row) == KEYS for row in rows)
    measured = {(row["client"], row["server"], row["family"], row["fast_open"], row["visit"]) for row in rows}
    assert len(measured) == len(rows) == 24
    for client, server in [("curl in ff run", "nginx (Linux)"), ("curl (Linux)", "nginx in ff run")]:
        assert all((client, server, family, True, visit) in measured for family in (4, 6) for visit in (1, 2))
    for client, server in [("ff get", "nginx (Linux)"), ("curl (Linux)", "ff serve")]:
        for family in (4, 6):
            for fast_open in (True, False):
                for visit in (1, 2):
                    assert (client, server, family, fast_open, visit) in measured


def assert_round_trips(row, one, round_trip):
    """Nothing is sooner than its round trips. How much later it is, says how busy the machine is."""
    needed = 1 if one else 2
    assert row["ms"] >= needed * round_trip, row
    assert row["round_trips"] == pytest.approx(row["ms"] / round_trip, abs=0.051), row
    assert not one or row["round_trips"] < 2, row


def test_a_second_visit_with_fast_open_saves_a_round_trip(rows):
    for row in rows:
        fast = row["fast_open"] and row["visit"] == 2
        assert row["data_in_syn"] == fast, row
        assert_round_trips(row, fast, 100)


def test_the_kernel_testifies(rows):
    for row in rows:
        kernel_serves = row["server"] == "nginx (Linux)"
        if row["data_in_syn"]:
            assert row["witness"] == ("TCPFastOpenPassive +1" if kernel_serves else "TCPFastOpenActive +1"), row
        elif row["fast_open"] and kernel_serves:
            assert row["witness"] == "TCPFastOpenCookieReqd +1", row
        else:
            assert row["witness"] == "nothing", row


@pytest.mark.parametrize("options", [["--simulated"], []], ids=["simulated", "kernel"])
def test_for_people(tmp_path, options):
    capture = tmp_path / "demo.pcapng"
    said = run_demo("--family", "4", "--pcap", capture, *options)
    assert str(capture) in said
    (saved,) = re.findall(r"(\d\.\d) round trips saved", said)
    assert saved == "1.0" if options else 0.5 < float(saved) < 1.5, said
    assert "cookie request" in said  # the ladder
    fast = "tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.len > 0"
    with_data = packet_fields(capture, fast, "tcp.options.tfo.cookie")
    assert len(with_data) == (2 if options else 4) and all(cookie for (cookie,) in with_data)
    assert harness.faults(capture) == ""


def test_simulated_hosts_show_the_same():
    simulated = json.loads(run_demo("--simulated", "--json", "--delay", "30ms"))
    assert len(simulated) == 16
    for row in simulated:
        fast = row["fast_open"] and row["visit"] == 2
        assert row["data_in_syn"] == fast, row
        assert (row["round_trips"], row["ms"]) == ((1.0, 60.0) if fast else (2.0, 120.0)), row


def test_another_delay_makes_other_times():
    for row in json.loads(run_demo("--json", "--family", "6", "--delay", "100ms")):
        assert_round_trips(row, row["data_in_syn"], 200)


def what_is_there():
    """Of which the demo could leave something behind."""
    links = subprocess.run(["ip", "-oneline", "link"], capture_output=True, text=True, check=True).stdout
    return {"links": sorted(line.split(":")[1] for line in links.splitlines()),
            "files": sorted(p.name for p in pathlib.Path("/tmp").iterdir() if p.name.startswith("ff-demo-"))}


@pytest.mark.parametrize("delay", [0.05, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_leaves_nothing_behind(number, delay):
    before = what_is_there()
    # Under nohup, say, SIGHUP is ignored, and a child would inherit that.
    demo = subprocess.Popen([find_ff(), "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    time.sleep(delay)
    started = descendants(demo.pid)
    demo.send_signal(number)
    out, err = demo.communicate(timeout=20)
    assert demo.returncode == -number, err
    assert out == ""
    assert [pid for pid in started if os.path.exists("/proc/%d" % pid)] == []
    assert what_is_there() == before


def test_killed_it_leaves_no_process_and_the_next_one_clears_up():
    before = what_is_there()
    demo = subprocess.Popen([find_ff(), "demo"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    harness.wait_until(lambda: len(descendants(demo.pid)) >= 3, "the link, nginx and a visit run")
    started = descendants(demo.pid)
    demo.kill()
    demo.wait()
    harness.wait_until(lambda: not [pid for pid in started if os.path.exists("/proc/%d" % pid)], "its processes end", 5)
    run_demo("--family", "4", "--json")
    assert what_is_there() == before


def test_completed_it_leaves_nothing_behind():
    before = what_is_there()
    run_demo("--family", "4", "--json")
    assert what_is_there() == before
