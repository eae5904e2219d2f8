#!/usr/bin/env python3
"""Runs the benchmarks in turns and prints one table of medians and ratios.

What is compared takes turns, so that a change of the machine's speed meets both. A ratio is that of the medians.
"""

import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import carriers

HOST = "198.18.0.1"
STACK = "198.18.0.2"
DEVICE = "ffbench0"


class Results:
    """Every figure that was reported, by what was done and who did it, in the order of their first coming."""

    def __init__(self):
        self.figures = {}
        self.units = {}

    def add(self, line):
        figure = json.loads(line)
        self.add_figure(figure["work"], figure["who"], figure["value"], figure["unit"])

    def add_figure(self, work, who, value, unit):
        self.figures.setdefault((work, who), []).append(value)
        self.units[work] = unit
        progress(f"{work}: {who}: {value:.4g} {unit}")

    def median(self, work, who):
        return statistics.median(self.figures[work, who])


def progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(*command, check=True):
    return subprocess.run([str(word) for word in command], check=check, text=True, stdout=subprocess.PIPE).stdout


# ---- in memory -------------------------------------------------------------------------------------------------------


def in_memory(build, results, options):
    size = "4000000000" if options.long else "1000000000"
    rounds = "9" if options.long else "5"
    with subprocess.Popen(
        [build / "back_to_back", "--bytes", size, "--rounds", rounds], stdout=subprocess.PIPE, text=True
    ) as program:
        for line in program.stdout:
            results.add(line)
    if program.returncode != 0:
        sys.exit("bench: back_to_back failed")


# ---- over TUN and veth -----------------------------------------------------------------------------------------------


@contextmanager
def namespaces(*names):
    """Network namespaces that are gone afterwards, with all that ran or lived in them."""
    made = []
    try:
        for name in names:
            run("ip", "netns", "add", name)
            made.append(name)
            run("ip", "-n", name, "link", "set", "lo", "up")
            for setting in (
                "ipv4.tcp_congestion_control=reno",  # as firstflight; it does not pace, as BBR would
                "ipv4.ip_local_port_range=1024 65535",
                "ipv4.tcp_fastopen=3",
                "ipv4.tcp_fin_timeout=5",
                "ipv4.tcp_tw_reuse=1",
                "ipv4.tcp_max_syn_backlog=8192",
                "ipv4.tcp_rmem=4096 131072 16777216",
                "ipv4.tcp_wmem=4096 131072 16777216",
            ):
                run("ip", "netns", "exec", name, "sysctl", "-q", "-w", f"net.{setting}")
        yield
    finally:
        for name in made:
            for process in run("ip", "netns", "pids", name, check=False).split():
                try:
                    os.kill(int(process), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            run("ip", "netns", "del", name, check=False)


@contextmanager
def server(namespace, *command):
    """A program in a namespace that says "ready" and then runs until the end of the block."""
    words = ["ip", "netns", "exec", namespace, *(str(word) for word in command)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout.readline() != "ready\n":
                sys.exit(f"bench: {Path(command[0]).name} did not start")
            yield
        finally:
            process.kill()


@contextmanager
def tun(build, space, who, plain):
    """A stack behind a TUN device: firstflight, or none at all."""
    options = ["--plain"] if plain else []
    program = "tun_server" if who == "firstflight" else "tun_carrier"
    address = [f"{STACK}/24"] if who == "firstflight" else []
    with namespaces(space), server(space, build / program, DEVICE, *address, *options):
        run("ip", "-n", space, "address", "add", f"{HOST}/24", "dev", DEVICE)
        run("ip", "-n", space, "link", "set", DEVICE, "up")
        yield lambda *arguments: run("ip", "netns", "exec", space, build / "kernel_peer", *arguments)


@contextmanager
def veth(build, space, plain):
    """The kernel on both sides."""
    far = space + "-far"
    with namespaces(space, far):
        run("ip", "-n", space, "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", far)
        for name, address in ((space, HOST), (far, STACK)):
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", DEVICE)
            run("ip", "-n", name, "link", "set", DEVICE, "up")
            if plain:
                run("ip", "netns", "exec", name, "ethtool", "-K", DEVICE, "tso", "off", "gso", "off", "gro", "off")
        with server(far, build / "kernel_peer", "serve"):
            yield lambda *arguments: run("ip", "netns", "exec", space, build / "kernel_peer", *arguments)


def over_devices(build, results, options):
    space = f"ffbench-{os.getpid()}"
    rounds = 5 if options.long else 3
    seconds = "3" if options.long else "1"
    connections = "100000" if options.long else "30000"
    paths = [
        ("bare TUN", lambda plain: tun(build, space, "bare TUN", plain)),
        ("firstflight", lambda plain: tun(build, space, "firstflight", plain)),
        ("kernel over veth", lambda plain: veth(build, space, plain)),
    ]
    for _ in range(rounds):
        for plain in (False, True):
            suffix = "without offloads" if plain else "with offloads"
            for who, path in paths:
                with path(plain) as peer:
                    for direction, word in (("send", "into the stack"), ("receive", "out of the stack")):
                        work = f"bulk {word}, {suffix}"
                        results.add(peer(direction, STACK, "--work", work, "--who", who, "--seconds", seconds))
        for who, path in paths:
            with path(False) as peer:
                common = ("requests", STACK, "--who", who, "--connections", connections)
                results.add(peer(*common, "--work", "requests"))
                if who != "bare TUN":
                    results.add(peer(*common, "--work", "requests, Fast Open", "--fast-open"))


# ---- acknowledgements ------------------------------------------------------------------------------------------------

# Between the smallest window and the largest the cost of an acknowledgement must not grow by more.
MOST_GROWTH = 2
WINDOWS = (100, 1_000, 10_000, 100_000)


def instructions(build, window, *options):
    """For an acknowledgement, by callgrind; at least for those of a whole round trip."""
    count = max(window, 20_000)
    program = [build / "acknowledgements", "--window", window, "--acknowledgements", count, *options]
    # What is to be counted the program says itself.
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--instr-atstart=no", "--collect-atstart=no"]
    done = subprocess.run([str(word) for word in valgrind + program], text=True, capture_output=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or collected is None:
        sys.exit(f"bench: acknowledgements failed: {done.stderr.strip()}")
    progress(f"window of {window:,}: {done.stdout.strip()}")
    return int(collected[1]) / count


def acknowledgements(build):
    rows = []
    for window in WINDOWS:
        rows.append((window, instructions(build, window), instructions(build, window, "--sending")))
    print()
    print("| segments in flight, one in 50 lost | instructions for an ACK | and for what it lets out |")
    print("|-----------------------------------:|------------------------:|-------------------------:|")
    for window, taking, both in rows:
        print(f"| {window:>34,} | {taking:>23,.0f} | {both:>24,.0f} |")
    growth = rows[-1][1] / rows[0][1]
    print(f"| {'the last beside the first':>34} | {growth:>23.2f} | {rows[-1][2] / rows[0][2]:>24.2f} |")
    if growth >= MOST_GROWTH:
        sys.exit(f"bench: an acknowledgement costs {growth:.2f} times as much in a large window: {MOST_GROWTH} is too much")


# ---- the table -------------------------------------------------------------------------------------------------------

# Beside whom the others of a work are put.
BASE = {
    "bulk in memory": "lwIP, 64 KiB window",
    "connect and close in memory": "lwIP, no TIME_WAIT",
}


def table(results):
    rows = [("work", "who", "median", "", "speed")]
    for work, who in sorted(results.figures, key=lambda key: list(results.units).index(key[0])):
        unit = results.units[work]
        median = results.median(work, who)
        base_who = BASE.get(work, "pasta" if (work, "pasta") in results.figures else "bare TUN")
        base_work = work if (work, base_who) in results.figures else work.split(",")[0]
        base = results.median(base_work, base_who)
        speed = base / median if unit.startswith("ns") else median / base
        rows.append((work, who, f"{median:,.4g}" if median < 1000 else f"{median:,.0f}", unit, f"{speed:.2f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if column in (2, 4) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        print("| " + " | ".join(cells) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 1) + (":" if column in (2, 4) else "-")
                                 for column, width in enumerate(widths)) + "|")
    print()
    print(f"Linux {platform.release().split('-')[0]}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("build", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--long", action="store_true", help="more rounds of more work: about 20 minutes")
    parser.add_argument("--only", choices=("memory", "acknowledgements", "devices", "programs"),
                        help="only what goes through memory, what acknowledgements cost, what goes over devices, or what "
                        "carries programs")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))

    build = options.build.resolve() / "bench"
    results = Results()
    if options.only in (None, "memory"):
        in_memory(build, results, options)
    if options.only in (None, "devices"):
        if os.geteuid() == 0 and Path("/dev/net/tun").exists():
            over_devices(build, results, options)
        else:
            progress("what goes over TUN was LEFT OUT: it needs root and /dev/net/tun")
    ratios = {}
    if options.only in (None, "programs"):
        if os.geteuid() == 0 and Path("/dev/net/tun").exists():
            rounds = 15 if options.long else 5
            ratios = carriers.measure(build.parent / "ff", namespaces, f"ffbench-{os.getpid()}", rounds, results.add_figure)
        else:
            progress("what carries programs was LEFT OUT: it needs root and /dev/net/tun")
    if results.figures:
        print()
        table(results)
    carriers.tell(ratios)
    if options.only in (None, "acknowledgements"):
        acknowledgements(build)


if __name__ == "__main__":
    main()
