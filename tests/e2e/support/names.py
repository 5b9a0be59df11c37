"""A small name server for the tests: scripted, hostile when asked to be.

`names.set("a.test", v4=["93.184.216.34"], v6=[])` gives fixed answers. A function in their place gets the number of the
look-up (from 0) and may change its mind. Behaviours: delay, silent (no answer), truncate (UDP says "ask over TCP"),
nxdomain, and an alias (CNAME).
"""

import socket
import struct
import threading
import time

A, CNAME, AAAA = 1, 5, 28
NXDOMAIN, SERVFAIL = 3, 2


class Name:
    def __init__(self, v4=(), v6=(), ttl=60, delay=0.0, delay_v6=None, silent=False, truncate=False, alias=None,
                 status=0):
        self.answers = {A: v4, AAAA: v6}
        self.ttl = ttl
        self.delays = {A: delay, AAAA: delay if delay_v6 is None else delay_v6}
        self.silent = silent
        self.truncate = truncate
        self.alias = alias
        self.status = status
        self.counts = {A: 0, AAAA: 0}

    def addresses(self, kind):
        answer = self.answers.get(kind, ())
        number = self.counts.get(kind, 0)
        self.counts[kind] = number + 1
        return list(answer(number) if callable(answer) else answer)


def _encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split(".") if label) + b"\0"


def _decode_name(data, at):
    labels = []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1"))
        at += 1 + data[at]
    return ".".join(labels).lower(), at + 1


class NameServer:
    """UDP and TCP on one loopback address."""

    def __init__(self, host="127.0.0.53"):
        self.names = {}
        self.queries = []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((host, 0))
        self.host, self.port = self.udp.getsockname()
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((host, self.port))
        self.tcp.listen(16)
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def set(self, name, **behaviour):
        self.names[name.lower()] = Name(**behaviour)
        return self.names[name.lower()]

    def count(self, name, kind=None):
        """How often a name was asked for."""
        return sum(1 for asked, what, _ in self.queries if asked == name and kind in (None, what))

    def _answer(self, query, over_tcp):
        """(bytes or None, delay) for a query."""
        number, flags, _, _, _, _ = struct.unpack_from(">HHHHHH", query)
        name, at = _decode_name(query, 12)
        kind, _ = struct.unpack_from(">HH", query, at)
        question = query[12:at + 4]
        self.queries.append((name, kind, "tcp" if over_tcp else "udp"))
        entry = self.names.get(name)
        if entry is None:
            return struct.pack(">HHHHHH", number, 0x8180 | NXDOMAIN, 1, 0, 0, 0) + question, 0
        if entry.silent:
            return None, 0
        delay = entry.delays.get(kind, 0)
        if entry.status:
            return struct.pack(">HHHHHH", number, 0x8180 | entry.status, 1, 0, 0, 0) + question, delay
        if entry.truncate and not over_tcp:
            return struct.pack(">HHHHHH", number, 0x8380, 1, 0, 0, 0) + question, delay
        records = self._records(entry, kind)
        head = struct.pack(">HHHHHH", number, 0x8180, 1, len(records), 0, 0)
        return head + question + b"".join(records), delay

    def _records(self, entry, kind):
        owner, records = b"\xc0\x0c", []
        if entry.alias:
            target = _encode_name(entry.alias)
            records.append(owner + struct.pack(">HHIH", CNAME, 1, entry.ttl, len(target)) + target)
            owner = target
            entry = self.names.get(entry.alias, Name())
        family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
        for address in entry.addresses(kind) if family else []:
            data = socket.inet_pton(family, address)
            records.append(owner + struct.pack(">HHIH", kind, 1, entry.ttl, len(data)) + data)
        return records

    def _serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if not query:  # shut down
                return
            answer, delay = self._answer(query, over_tcp=False)
            if answer is None:
                continue
            if delay:
                threading.Timer(delay, self._send_udp, (answer, peer)).start()
            else:
                self._send_udp(answer, peer)

    def _send_udp(self, answer, peer):
        try:
            self.udp.sendto(answer, peer)
        except OSError:
            pass

    def _serve_tcp(self):
        while True:
            try:
                sock, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_stream, args=(sock,), daemon=True).start()

    def _serve_stream(self, sock):
        with sock, sock.makefile("rb") as stream:
            while len(size := stream.read(2)) == 2:
                answer, delay = self._answer(stream.read(struct.unpack(">H", size)[0]), over_tcp=True)
                if answer is None:
                    continue
                time.sleep(delay)
                try:
                    sock.sendall(struct.pack(">H", len(answer)) + answer)
                except OSError:
                    return

    def stop(self):
        for sock in (self.udp, self.tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
