"""TCP segments as bytes, written and read by code of the tests' own: neither the kernel's nor firstflight's."""

import dataclasses
import ipaddress
import struct

TCP = 6
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
_LETTERS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK, "U": URG, "E": ECE, "C": CWR}


@dataclasses.dataclass
class Segment:
    """With absolute numbers. Options by name: mss, wscale, sack_ok, sack, ts, fast_open; others by their kind."""
    source: str
    destination: str
    source_port: int
    destination_port: int
    flags: str = ""
    seq: int = 0
    ack: int = 0
    window: int = 65535
    urgent: int = 0
    options: dict = dataclasses.field(default_factory=dict)
    data: bytes = b""

    @property
    def length(self):
        """In sequence numbers."""
        return len(self.data) + ("S" in self.flags) + ("F" in self.flags)


def flag_letters(bits):
    return "".join(letter for letter, bit in _LETTERS.items() if bits & bit)


def _sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def _pseudo_header(source, destination, length):
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return addresses + (struct.pack("!BBH", 0, TCP, length) if len(addresses) == 8 else
                        struct.pack("!IHBB", length, 0, 0, TCP))


def _emit_options(options):
    out = b""
    for name, value in options.items():
        if name == "mss":
            out += struct.pack("!BBH", 2, 4, value)
        elif name == "wscale":
            out += struct.pack("!BBB", 3, 3, value)
        elif name == "sack_ok":
            out += struct.pack("!BB", 4, 2)
        elif name == "sack":
            out += struct.pack("!BB", 5, 2 + 8 * len(value)) + b"".join(struct.pack("!II", *edges) for edges in value)
        elif name == "ts":
            out += struct.pack("!BBII", 8, 10, *value)
        elif name == "fast_open":
            out += struct.pack("!BB", 34, 2 + len(value)) + value
        else:
            raise ValueError("no option is called %r" % name)
    return out + b"\1" * (-len(out) % 4)


def _parse_options(data):
    options = {}
    while data and data[0] != 0:
        if data[0] == 1:
            data = data[1:]
            continue
        kind, size = data[0], data[1]
        body, data = data[2:size], data[size:]
        if kind == 2:
            options["mss"] = struct.unpack("!H", body)[0]
        elif kind == 3:
            options["wscale"] = body[0]
        elif kind == 4:
            options["sack_ok"] = True
        elif kind == 5:
            options["sack"] = [struct.unpack("!II", body[i:i + 8]) for i in range(0, len(body), 8)]
        elif kind == 8:
            options["ts"] = struct.unpack("!II", body)
        elif kind == 34:
            options["fast_open"] = body
        else:
            options[kind] = body
    return options


def emit(segment):
    """The packet, IP header first."""
    options = _emit_options(segment.options)
    bits = sum(_LETTERS[letter] for letter in segment.flags)
    header = struct.pack("!HHIIBBHHH", segment.source_port, segment.destination_port, segment.seq % 2**32,
                         segment.ack % 2**32, (20 + len(options)) // 4 << 4, bits, segment.window, 0, segment.urgent)
    tcp = header + options + segment.data
    checksum = 0xffff ^ _sum(_pseudo_header(segment.source, segment.destination, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", checksum) + tcp[18:]
    source, destination = ipaddress.ip_address(segment.source), ipaddress.ip_address(segment.destination)
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(tcp), TCP, 64) + source.packed + destination.packed + tcp
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, TCP, 0) + source.packed + destination.packed
    return ip[:10] + struct.pack("!H", 0xffff ^ _sum(ip)) + ip[12:] + tcp


def parse(packet):
    """The segment, or None when the packet is something else. A wrong checksum is an AssertionError."""
    if packet[0] >> 4 == 4:
        size, fragment, protocol = (packet[0] & 15) * 4, struct.unpack("!H", packet[6:8])[0] & 0x3fff, packet[9]
        source, destination = packet[12:16], packet[16:20]
        assert _sum(packet[:size]) == 0xffff, "wrong IP header checksum: %s" % packet.hex()
        if fragment:
            return None
        tcp = packet[size:struct.unpack("!H", packet[2:4])[0]]
    else:
        protocol, source, destination = packet[6], packet[8:24], packet[24:40]
        tcp = packet[40:40 + struct.unpack("!H", packet[4:6])[0]]
    if protocol != TCP:
        return None
    source, destination = str(ipaddress.ip_address(source)), str(ipaddress.ip_address(destination))
    assert _sum(_pseudo_header(source, destination, len(tcp)) + tcp) == 0xffff, "wrong checksum: %s" % packet.hex()
    source_port, destination_port, seq, ack, offset, bits, window = struct.unpack("!HHIIBBH", tcp[:16])
    urgent = struct.unpack("!H", tcp[18:20])[0]
    size = (offset >> 4) * 4
    return Segment(source, destination, source_port, destination_port, flag_letters(bits), seq, ack, window, urgent,
                   _parse_options(tcp[20:size]), tcp[size:])
