"""What carries a program's connections: `ff run --via host` and pasta (Debian's passt), beside nothing at all.

nginx in one namespace, the programs in another, a veth pair between them. The carriers take turns at each piece of
work, and the ratios are medians over these turns.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

HOST = "198.18.0.1"
SERVER = "198.18.0.2"
# pasta answers for the gateway itself, which must hence not be the server. Nobody has this address.
GATEWAY = "198.18.0.254"
DEVICE = "ffbench0"
DOWNLOAD = 2_000_000_000
REQUESTS = 10_000
WHO = ("nothing between", "pasta", "ff run")

NGINX = """
daemon off; master_process off; pid {0}/pid; error_log {0}/log; events {{ worker_connections 4096; }}
http {{ {1} access_log off; sendfile on;
       server {{ listen {2}:80 backlog=4096 fastopen=256; root {0}/site; }} }}
"""


def limited(words, seconds=120):
    """Standard output of a command that must end by itself."""
    words = [str(word) for word in words]
    done = subprocess.run(words, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def served(far):
    """nginx in that namespace, with a large file and a small one."""
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as directory:
        site = Path(directory) / "site"
        site.mkdir()
        os.chmod(directory, 0o755)
        (site / "index.html").write_text("hello\n")
        with open(site / "large", "wb") as file:
            file.truncate(DOWNLOAD)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
        configuration = Path(directory) / "nginx.conf"
        configuration.write_text(NGINX.format(directory, temporary, SERVER))
        words = ["ip", "netns", "exec", far, "nginx", "-p", directory, "-c", configuration, "-e", f"{directory}/log"]
        with subprocess.Popen([str(word) for word in words]) as nginx:
            try:
                deadline = time.monotonic() + 10
                while not (Path(directory) / "pid").exists():
                    if nginx.poll() is not None or time.monotonic() > deadline:
                        sys.exit("bench: nginx did not start")
                    time.sleep(0.01)
                yield
            finally:
                nginx.kill()


def prefix(ff, who):
    if who == "ff run":
        return [ff, "run", "--via", "host", "--"]
    if who == "pasta":  # which would become the user nobody, to whom /dev/net/tun may be closed
        return ["pasta", "--runas", "0", "--config-net", "--foreground", "--quiet", "--"]
    return []


def download(carried):
    said = limited([*carried, "curl", "-sS", "-o", "/dev/null", "-w", "%{size_download} %{speed_download}",
                    f"http://{SERVER}/large"])
    size, speed = said.split()
    if int(size) != DOWNLOAD:
        sys.exit(f"bench: the download is {size} bytes long")
    return float(speed) * 8e-9


def requests_in_turn(carried):
    """By one curl; its own time, without what it takes to make a namespace."""
    script = 'TIMEFORMAT=%R; { time curl -sS -f -o /dev/null -H "Connection: close" "$0"; } 2>&1'
    said = limited([*carried, "bash", "-e", "-c", script, f"http://{SERVER}/?[1-{REQUESTS}]"])
    return REQUESTS / float(said)


def requests_at_once(carried):
    said = limited([*carried, "wrk", "-t", "1", "-c", "32", "-d", "2", "-H", "Connection: close", f"http://{SERVER}/"])
    if "Socket errors" in said or "Non-2xx" in said:
        sys.exit(f"bench: requests failed: {said}")
    return float(re.search(r"Requests/sec:\s*([\d.]+)", said)[1])


WORKS = (
    (f"download of {DOWNLOAD // 10**9} GB by curl", "Gbit/s", download),
    (f"{REQUESTS:,} requests by curl, in turn", "requests/s", requests_in_turn),
    ("requests by wrk, 32 at a time", "requests/s", requests_at_once),
)


def measure(ff, namespaces, space, rounds, add):
    """Tells add(work, who, value, unit) each figure; gives the ratios of ff run to pasta by work, a list of them each."""
    far = f"{space}-far"
    with namespaces(space, far):
        for words in (
            f"-n {space} link add {DEVICE} type veth peer name {DEVICE} netns {far}",
            f"-n {space} address add {HOST}/24 dev {DEVICE}",
            f"-n {far} address add {SERVER}/24 dev {DEVICE}",
            f"-n {space} link set {DEVICE} up",
            f"-n {far} link set {DEVICE} up",
            f"-n {space} route add default via {GATEWAY}",
        ):
            limited(["ip", *words.split()])
        ratios = {}
        with served(far):
            inside = ["ip", "netns", "exec", space]
            limited(inside + ["curl", "-sS", "-o", "/dev/null", f"http://{SERVER}/large"])  # into the page cache
            for _ in range(rounds):
                for work, unit, once in WORKS:
                    figures = {}
                    for who in WHO:
                        figures[who] = once(inside + prefix(ff, who))
                        add(work, who, figures[who], unit)
                    ratios.setdefault(work, []).append(figures["ff run"] / figures["pasta"])
    return ratios


def tell(ratios):
    for work, values in ratios.items():
        middle = statistics.median(values)
        print(f"ff run beside pasta, {work}: {middle:.2f} (median of {len(values)} turns, "
              f"{min(values):.2f} to {max(values):.2f})")
