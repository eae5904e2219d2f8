"""Other people's programs in `ff run`, as clients and as servers, with the results that they have without."""

import json
import re
import subprocess
import textwrap

import pytest

import harness
from harness import wait_until
from test_run import CLIENT, SERVER, Outside, plain_nginx

SIZE = 5 << 20


@pytest.fixture
def outside(lab):
    return Outside(lab)


def same(outside, *program):
    """Its output, which is the same in `ff run` and without."""
    without = outside.host.run(*program).stdout
    assert outside.run(*program).stdout == without
    return without


def start_inside(outside, publication, *program):
    """A server in `ff run`; once somebody listens on its port inside, for until then clients are refused."""
    running = outside.host.start(*outside.ff("-p", publication, "--", *program))
    port = int(publication.split(":")[-1])

    def listens():
        assert running.running(), running.describe()
        inside = [pid for pid in harness.descendants(running.pid)]
        return any(subprocess.run(["nsenter", "-t", str(pid), "-n", "ss", "-Hltn", "sport = :%d" % port],
                                  capture_output=True, text=True, check=False).stdout for pid in inside[-1:])

    wait_until(listens, running.describe)
    return running


def test_clients_of_http(outside):
    site = outside.lab.site()
    digest = harness.random_file(site / "large", SIZE)
    outside.server.nginx([SERVER], site)
    url = harness.url(SERVER, "/large")
    code = "import hashlib, urllib.request; print(hashlib.sha256(urllib.request.urlopen('%s').read()).hexdigest())" % url
    assert same(outside, "python3", "-c", code) == digest + "\n"
    for program in ["curl -sS " + url, "wget -q -O - " + url]:
        assert same(outside, "sh", "-c", program + " | sha256sum") == digest + "  -\n"
    assert same(outside, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", harness.url(SERVER, "/none")) == "404"


def test_pythons_http_server(outside):
    site = outside.lab.site()
    digest = harness.random_file(site / "large", SIZE)
    start_inside(outside, "8080:80", "python3", "-m", "http.server", "80", "--directory", site)
    code = ("import hashlib, urllib.request as r\n"
            "for path in ['', 'large']: print(hashlib.sha256(r.urlopen('%s' + path).read()).hexdigest())" %
            harness.url(CLIENT, port=8080))
    said = outside.server.run("python3", "-c", code).stdout.split()
    assert said == [harness.sha256(site / "index.html"), digest]


def assert_wrk_is_content(said):
    assert "Socket errors" not in said and "Non-2xx" not in said, said
    assert int(re.search(r"(\d+) requests in", said)[1]) > 500, said


def test_wrk_and_nginx(outside):
    outside.server.nginx([SERVER], outside.lab.site())
    inside = start_inside(outside, "8080:80", "nginx", "-c", plain_nginx(outside.lab, outside.lab.site()), "-e", "stderr")
    words = ["wrk", "-t", "2", "-c", "50", "-d", "1"]
    for extra in [[], ["-H", "Connection: close"]]:
        assert_wrk_is_content(outside.run(*words, *extra, harness.url(SERVER)).stdout)
        assert_wrk_is_content(outside.server.run(*words, *extra, harness.url(CLIENT, port=8080)).stdout)
    assert inside.running(), inside.describe()


def test_redis(outside):
    def redis(*options):
        return ["redis-server", "--save", "", "--protected-mode", "no", "--dir", outside.lab.directory("redis"), *options]

    outside.server.start(*redis("--bind", SERVER))
    outside.listens(outside.server, 6379)
    start_inside(outside, "6380:6379", *redis())
    benchmark = ["redis-benchmark", "-n", "3000", "-c", "30", "-d", "100", "-t", "set,get,lpush,mset", "--csv"]
    for client, where in [(outside.run, ["-h", SERVER]), (outside.server.run, ["-h", CLIENT, "-p", "6380"])]:
        rows = [line.split(",")[0] for line in client(*benchmark, *where).stdout.splitlines()]
        assert rows == ['"test"', '"SET"', '"GET"', '"LPUSH"', '"MSET (10 keys)"']
        assert client("redis-cli", *where, "set", "key", "x" * 100000).stdout == "OK\n"
        assert client("redis-cli", *where, "get", "key").stdout == "x" * 100000 + "\n"
        assert client("redis-cli", *where, "llen", "mylist").stdout == "3000\n"


@pytest.mark.parametrize("options", [["-P", "8"], ["-P", "8", "-R"], ["-P", "8", "--bidir"]], ids=" ".join)
def test_iperf3_both_ways(outside, options):
    outside.server.start("iperf3", "-s")
    outside.listens(outside.server, 5201)
    start_inside(outside, "5301:5201", "iperf3", "-s")
    words = ["iperf3", "--json", "-t", "1", *options]
    for said in [outside.run(*words, "-c", SERVER), outside.server.run(*words, "-c", CLIENT, "-p", "5301")]:
        end = json.loads(said.stdout)["end"]
        ways = [end["sum_received"]] + ([end["sum_received_bidir_reverse"]] if "--bidir" in options else [])
        assert len(end["streams"]) == int(options[1]) * len(ways)
        assert all(way["bytes"] > 1 << 20 for way in ways), end


def test_ssh(outside):
    directory = outside.lab.directory("ssh")
    for name in ["host", "user"]:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    (directory / "known").write_text("%s %s" % (SERVER, (directory / "host.pub").read_text()))
    (directory / "sshd_config").write_text(
        "HostKey {0}/host\nPidFile none\nAuthorizedKeysFile {0}/user.pub\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nListenAddress {1}:22\n".format(directory, SERVER))
    # It wants to change into /run/sshd, which is there only while the machine's own sshd is.
    outside.server.start("unshare", "-m", "sh", "-c",
                         "mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec /usr/sbin/sshd -D -e -f \"$0\"",
                         directory / "sshd_config")
    outside.listens(outside.server, 22)
    digest = harness.random_file(directory / "large", SIZE)
    ssh = ("ssh -F none -i {0}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={0}/known -o StrictHostKeyChecking=yes "
           "-o BatchMode=yes root@{1} ").format(directory, SERVER)
    assert same(outside, "sh", "-c", ssh + "'echo out; exit 7' || echo $?") == "out\n7\n"
    assert same(outside, "sh", "-c", ssh + "sha256sum < %s/large" % directory) == digest + "  -\n"
    assert same(outside, "sh", "-c", ssh + "cat %s/large | sha256sum" % directory) == digest + "  -\n"


def test_a_static_program(outside):
    """Nothing could be slipped between it and the kernel."""
    directory = outside.lab.directory("static")
    (directory / "visit.c").write_text(textwrap.dedent("""\
        #include <netdb.h>
        #include <stdio.h>
        #include <sys/socket.h>
        #include <unistd.h>
        int main(int argc, char** argv) {
          struct addrinfo* found;
          if (argc != 3 || getaddrinfo(argv[1], argv[2], &(struct addrinfo){.ai_socktype = SOCK_STREAM}, &found)) return 2;
          int connection = socket(found->ai_family, SOCK_STREAM, 0);
          if (connect(connection, found->ai_addr, found->ai_addrlen)) return perror("connect"), 1;
          dprintf(connection, "GET / HTTP/1.0\\r\\n\\r\\n");
          char answer[4096];
          long size, all = 0;
          while ((size = read(connection, answer, sizeof answer)) > 0) all += write(1, answer, size);
          return size < 0 || all == 0;
        }
        """))
    visit = directory / "visit"
    subprocess.run(["musl-gcc", "-static", "-O1", "-o", visit, visit.with_suffix(".c")], check=True)
    assert "refused" in outside.run(visit, SERVER, "9", status=1).stderr
    outside.server.nginx([SERVER], outside.lab.site())
    without_date = lambda said: re.sub("Date: .*", "", said.stdout)
    said = without_date(outside.run(visit, SERVER, "80"))
    assert said == without_date(outside.host.run(visit, SERVER, "80"))
    assert said.startswith("HTTP/1.1 200 OK\n") and said.endswith("\n\nhello\n")
