"""`ff bench path` measures what it says, in every pair, and leaves nothing behind."""

import csv
import json
import os
import signal
import subprocess
import time
import xml.etree.ElementTree

import pytest

from harness import descendants, find_ff, wait_until

PAIRS = ["kernel:kernel", "firstflight:firstflight", "firstflight:kernel", "kernel:firstflight"]
SVG = "{http://www.w3.org/2000/svg}"
# A path that is quick to try: 200 kB take 42 ms at the link's rate, behind one and a half round trips of 10 ms.
QUICK = ["--size", "200kb", "--rate", "40mbit", "--rtt", "10ms", "--seeds", "1"]
AT_LEAST = 0.055


def bench(*options, status=0, limit=120):
    done = subprocess.run([find_ff(), "bench", "path", *map(str, options)], capture_output=True, text=True,
                          timeout=limit, check=False)
    assert done.returncode == status, done.stderr
    return done


def results(cell):
    return {result["pairs"]: result for result in cell["results"]}


def test_every_pair_is_measured_on_every_path(tmp_path):
    table, drawing = tmp_path / "runs.csv", tmp_path / "medians.svg"
    said = json.loads(bench(*QUICK, "--loss", "0,1%", "--json", "--csv", table, "--svg", drawing, "--jobs", 2).stdout)
    assert [cell["loss"] for cell in said["cells"]] == [0, 0.01]
    assert "net.ipv4.tcp_no_metrics_save = 1" in said["kernel_settings"]
    for cell in said["cells"]:
        assert set(results(cell)) == set(PAIRS)
        for name, result in results(cell).items():
            (run,) = result["runs"]
            (flow,) = run["flows"]
            assert flow["pair"] == name
            assert flow["bytes"] == 200 * 1024
            assert AT_LEAST < flow["seconds"] == result["median"]
    without_loss = results(said["cells"][0])
    assert without_loss["kernel:kernel"]["ratio_to_kernel"] == 1
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["loss"], row["pairs"]) for row in rows) == sorted((l, p) for l in ("0", "0.01") for p in PAIRS)
    dots = xml.etree.ElementTree.parse(drawing).getroot().findall("%scircle" % SVG)
    assert len(dots) == len(PAIRS) + len(rows)  # the legend's, too


def test_for_people():
    said = bench(*QUICK, "--pairs", "kernel:kernel", "--verbose").stdout
    heading, _, row = said.splitlines()[:3]
    assert heading.split()[:4] == ["cc", "rate", "RTT", "loss"]
    assert row.split()[1:5] == ["40mbit", "10ms", "0%", "kernel:kernel"]
    assert "ff link --rate 40000000bit --delay 5000000ns --queue 50000b --seed 1 tun:wire0 tun:wire1" in said


def test_events_of_the_sender(tmp_path):
    table, drawing = tmp_path / "events.csv", tmp_path / "events.svg"
    bench(*QUICK, "--pairs", "firstflight:kernel", "--events", table, "--svg-events", drawing)
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    times = [float(row["ms"]) for row in rows]
    assert times == sorted(times)
    handshake = next(row for row in rows if row["event"] == "rtt")
    assert float(handshake["ms"]) >= 10  # how much more depends on the machine
    assert int(handshake["srtt_us"]) >= 10_000
    assert max(int(row["in_flight"]) for row in rows) >= 10 * 1400
    assert any(int(row["cwnd"]) >= 10 * 1400 for row in rows)
    assert xml.etree.ElementTree.parse(drawing).getroot().findall("%spolyline" % SVG)


def test_flows_compete_also_one_system_beside_the_other():
    beside = "firstflight:kernel+kernel:kernel"
    said = json.loads(bench("--rate", "40mbit", "--rtt", "10ms", "--seeds", 1, "--duration", "1500ms", "--flows", 2,
                            "--pairs", "kernel:kernel," + beside, "--json").stdout)
    found = results(said["cells"][0])
    assert sorted(flow["pair"] for flow in found[beside]["runs"][0]["flows"]) == ["firstflight:kernel", "kernel:kernel"]
    for result in found.values():
        (run,) = result["runs"]
        rates = [flow["mbit_per_second"] for flow in run["flows"]]
        assert len(rates) == 2 and all(rate > 0 for rate in rates)
        assert sum(rates) == pytest.approx(result["median"], abs=0.01)
        assert result["median"] < 40
        assert result["jain"] == pytest.approx(sum(rates) ** 2 / (2 * sum(rate**2 for rate in rates)), abs=1e-4)
    assert found["kernel:kernel"]["median"] > 20


def test_a_transfer_that_takes_too_long_is_no_result():
    done = bench("--size", "10mb", "--rate", "1mbit", "--seeds", 1, "--timeout", "300ms", "--pairs", "kernel:firstflight",
                 status=1)
    assert "never" in done.stdout
    assert done.stderr.count("\n") == 1 and "kernel:firstflight, seed 1: not done after" in done.stderr


def test_no_path_is_too_short(tmp_path):
    """The ends must not take the other's leaving for a failure, however soon they hear of it."""
    said = json.loads(bench("--rtt", "100us", "--size", "20kb", "--seeds", 5, "--json").stdout)
    assert all(result["failed"] == 0 and result["median"] > 0.00015 for result in said["cells"][0]["results"])


def test_who_lacks_a_congestion_control_says_so():
    for pair, who in [("kernel:firstflight", "the kernel"), ("firstflight:kernel", "firstflight")]:
        done = bench("--cc", "frobnicate", "--pairs", pair, status=2)
        assert done.stdout == "" and done.stderr.count("\n") == 1
        assert "%s has no congestion control 'frobnicate'; " % who in done.stderr


@pytest.mark.parametrize("delay", [0.1, 0.6, 2.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(number, delay):
    running = subprocess.Popen([find_ff(), "bench", "path", "--size", "1gb", "--seeds", "3", "--jobs", "2"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(delay)
    started = descendants(running.pid)
    running.send_signal(number)
    out, err = running.communicate(timeout=20)
    assert running.returncode == -number, err
    assert out == ""
    assert [pid for pid in started if os.path.exists("/proc/%d" % pid)] == []


def test_killed_it_leaves_no_process():
    running = subprocess.Popen([find_ff(), "bench", "path", "--size", "1gb", "--seeds", "1"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(descendants(running.pid)) >= 3, "the link and both ends run")
    started = descendants(running.pid)
    running.kill()
    running.wait()
    wait_until(lambda: not [pid for pid in started if os.path.exists("/proc/%d" % pid)], "its processes end", 5)
