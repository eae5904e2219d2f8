#!/usr/bin/env python3
"""An application on the kernel's sockets that does what it is told: one JSON object a line, one line of answer each.

No call waits: what cannot be done now is EAGAIN, and whoever asks may ask again. socket_agent.cpp says the same
language on firstflight's sockets; what a call is good for stands in side_by_side.py.
"""

import errno
import fcntl
import json
import socket
import struct
import subprocess
import sys

STATES = ["", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
          "LAST_ACK", "LISTEN", "CLOSING", "SYN_RECV"]
SIOCATMARK = 0x8905
# Those that are set before the socket is bound or connected, and those of SOL_TCP.
SOCKET_OPTIONS = {"SO_OOBINLINE": socket.SO_OOBINLINE, "SO_REUSEADDR": socket.SO_REUSEADDR, "SO_REUSEPORT": socket.SO_REUSEPORT,
                  "SO_KEEPALIVE": socket.SO_KEEPALIVE}
TCP_OPTIONS = {"TCP_NODELAY": socket.TCP_NODELAY, "TCP_KEEPIDLE": socket.TCP_KEEPIDLE,
               "TCP_KEEPINTVL": socket.TCP_KEEPINTVL, "TCP_KEEPCNT": socket.TCP_KEEPCNT,
               "TCP_USER_TIMEOUT": socket.TCP_USER_TIMEOUT, "TCP_LINGER2": socket.TCP_LINGER2,
               "TCP_DEFER_ACCEPT": socket.TCP_DEFER_ACCEPT, "TCP_SYNCNT": socket.TCP_SYNCNT,
               "TCP_FASTOPEN": socket.TCP_FASTOPEN}


class Agent:

    def __init__(self):
        self.sockets = {}

    def _set(self, made, name, value):
        if name == "SO_LINGER":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, value))
        elif name == "IPV6_V6ONLY":
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, value)
        elif name in SOCKET_OPTIONS:
            made.setsockopt(socket.SOL_SOCKET, SOCKET_OPTIONS[name], value)
        else:
            made.setsockopt(socket.IPPROTO_TCP, TCP_OPTIONS[name], value)

    def _make(self, address, options, kind=socket.SOCK_STREAM):
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        made.setblocking(False)
        for name, value in options.items():
            self._set(made, name, value)
        return made

    def bind(self, name, address, port, options, protocol):
        made = self._make(address, options, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM)
        try:
            made.bind((address, port))
        except OSError:
            made.close()
            raise
        self.sockets[name] = made

    def listen_on(self, name, backlog):
        self.sockets[name].listen(backlog)

    def connect_from(self, name, address, port):
        try:
            self.sockets[name].connect((address, port))
        except BlockingIOError:
            pass

    def listen(self, name, address, port, backlog, options):
        made = self._make(address, options)
        try:
            made.bind((address, port))
            made.listen(backlog)
        except OSError:
            made.close()
            raise
        self.sockets[name] = made

    def connect(self, name, address, port, local_port, options):
        made = self._make(address, options)
        try:
            if local_port:
                made.bind(("::" if ":" in address else "0.0.0.0", local_port))
            made.connect((address, port))
        except BlockingIOError:
            pass
        except OSError:
            made.close()
            raise
        self.sockets[name] = made

    def accept(self, listener, name):
        self.sockets[name] = self.sockets[listener].accept()[0]
        self.sockets[name].setblocking(False)

    def send(self, name, text, flags=()):
        bits = sum(getattr(socket, flag) for flag in flags)
        return self.sockets[name].send(text.encode(), socket.MSG_NOSIGNAL | bits)

    def recv(self, name, size):
        return self.sockets[name].recv(size).decode()

    def recv_urgent(self, name):
        return self.sockets[name].recv(1, socket.MSG_OOB).decode()

    def at_mark(self, name):
        return struct.unpack("i", fcntl.ioctl(self.sockets[name], SIOCATMARK, bytes(4)))[0] != 0

    def shutdown(self, name, how):
        self.sockets[name].shutdown({"read": socket.SHUT_RD, "write": socket.SHUT_WR, "both": socket.SHUT_RDWR}[how])

    def close(self, name):
        self.sockets.pop(name).close()

    def set(self, name, option, value):
        self._set(self.sockets[name], option, value)

    def state(self, name):
        return STATES[self.sockets[name].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]

    def sysctl(self, setting, value):
        with open("/proc/sys/" + setting.replace(".", "/"), "w") as file:
            file.write(value)

    def counters(self):
        values = {}
        for path in ["/proc/net/snmp", "/proc/net/netstat"]:
            with open(path) as file:
                lines = file.read().splitlines()
            for names, numbers in zip(lines[::2], lines[1::2]):
                group = names.split(":")[0]
                values.update({group + name: int(number)
                               for name, number in zip(names.split()[1:], numbers.split()[1:])})
        return values

    def metrics(self, address):
        # The kernel tells seconds.
        told = subprocess.run(["ip", "-j", "tcp_metrics", "show"], capture_output=True, text=True, check=True)
        [known] = [path for path in json.loads(told.stdout) if path["dst"] == address]
        return [known.get("cwnd", 0), known.get("ssthresh", 0), known.get("reordering", 0),
                round(known.get("rtt", 0) * 10), round(known.get("rttvar", 0) * 10)]

    def answer(self, call):
        try:
            return {"value": getattr(self, call.pop("call"))(**call)}
        except OSError as error:
            return {"errno": errno.errorcode[error.errno]}


def main():
    agent = Agent()
    for line in sys.stdin:
        print(json.dumps(agent.answer(json.loads(line))), flush=True)


main()
