"""Much data, both ways, on good links and bad ones: it arrives whole, and every packet is well-formed.

FF_FULL=1 makes every transfer 200 MB.
"""

import pytest

import harness
from harness import FIRSTFLIGHT, KERNEL, full, random_file, sha256, url

MB = 1_000_000
CLEAN = 200 * MB
CAPTURED = 200 * MB if full() else 10 * MB
IMPAIRED = 200 * MB if full() else 4 * MB
PATIENCE = 3000.0 if full() else 240.0

IMPAIRMENTS = "--delay 1ms --loss 2% --reorder 2% --duplicate 1% --corrupt 1% --seed 7".split()
OFFLOADS = pytest.mark.parametrize("offload", [[], ["--no-offload"]], ids=["offloads", "no-offloads"])


@pytest.fixture
def big(lab):
    """Makes a directory that holds `big`, so large; says it and the SHA-256."""

    def make(size):
        root = lab.directory("www")
        return root, random_file(root / "big", size)

    return make


def download_by_firstflight(lab, wiring, family, digest, *options):
    """The kernel sends, firstflight receives."""
    target = lab.tmp_path / "received"
    wiring.get("--output", target, "--timeout", "%ds" % PATIENCE, *options, url(KERNEL[family], "/big"), limit=PATIENCE)
    assert sha256(target) == digest


def download_by_the_kernel(lab, wiring, family, digest):
    """firstflight sends, the kernel receives."""
    target = lab.tmp_path / "received"
    wiring.kernel.curl(FIRSTFLIGHT[family], "/big", extra=["--output", target], limit=PATIENCE)
    assert sha256(target) == digest


@OFFLOADS
def test_kernel_to_firstflight(lab, big, family, offload):
    root, digest = big(CLEAN)
    wiring = lab.direct()
    wiring.kernel.nginx([KERNEL[family]], root)
    download_by_firstflight(lab, wiring, family, digest, *offload)


@OFFLOADS
def test_firstflight_to_kernel(lab, big, family, offload):
    root, digest = big(CLEAN)
    wiring = lab.direct()
    wiring.serve(root, *offload)
    download_by_the_kernel(lab, wiring, family, digest)


@OFFLOADS
def test_every_packet_is_well_formed(lab, big, family, offload):
    root, digest = big(CAPTURED)
    wiring = lab.direct()
    wiring.kernel.nginx([KERNEL[family]], root)
    capture = lab.tmp_path / "capture.pcapng"
    download_by_firstflight(lab, wiring, family, digest, "--pcap", capture, *offload)
    assert harness.packet_count(capture) > CAPTURED / 1500
    assert harness.faults(capture) == ""
    server = wiring.serve(root, "--pcap", capture, *offload)
    download_by_the_kernel(lab, wiring, family, digest)
    server.end()
    assert harness.packet_count(capture) > CAPTURED / 1500
    assert harness.faults(capture) == ""


@OFFLOADS
def test_kernel_to_firstflight_on_a_bad_link(lab, big, family, offload):
    root, digest = big(IMPAIRED)
    wiring = lab.linked(*IMPAIRMENTS)
    wiring.kernel.nginx([KERNEL[family]], root)
    capture = lab.tmp_path / "capture.pcapng"
    download_by_firstflight(lab, wiring, family, digest, "--pcap", capture, *offload)
    received, sent = harness.faulty_packets(capture)
    assert received > 0  # the link has corrupted some
    assert sent == 0


@OFFLOADS
def test_firstflight_to_kernel_on_a_bad_link(lab, big, family, offload):
    root, digest = big(IMPAIRED)
    wiring = lab.linked(*IMPAIRMENTS)
    capture = lab.tmp_path / "capture.pcapng"
    server = wiring.serve(root, "--pcap", capture, *offload)
    download_by_the_kernel(lab, wiring, family, digest)
    server.end()
    assert harness.faulty_packets(capture)[1] == 0
    wiring.link.end()
    counts = wiring.link.err
    for what in ["lost", "reordered", "duplicated", "corrupted"]:
        assert "%s 0," % what not in counts, counts
