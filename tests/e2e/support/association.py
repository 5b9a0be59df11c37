"""SOCKS as its users speak it where no program at hand does: UDP ASSOCIATE and BIND (RFC 1928), and who is at the other end of them."""

import ipaddress
import socket
import struct
import threading

from support.client import open_socket
from support.waiting import DEFAULT_TIMEOUT

BIND, UDP = 2, 3
SUCCEEDED, FAILED, NOT_ALLOWED, TTL_EXPIRED, COMMAND_UNKNOWN = 0, 1, 2, 6, 7


def place(host, port):
    """ATYP, address and port; what is no address is sent as a name, whatever it is."""
    if isinstance(host, bytes):
        return bytes([3, len(host)]) + host + struct.pack(">H", port)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return place(host.encode("latin-1"), port)
    return bytes([1 if address.version == 4 else 4]) + address.packed + struct.pack(">H", port)


def read_place(data):
    """(host, port, the rest)."""
    size = {1: 4, 4: 16}[data[0]]
    host = str(ipaddress.ip_address(data[1:1 + size]))
    return host, struct.unpack(">H", data[1 + size:3 + size])[0], data[3 + size:]


def exactly(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise EOFError(f"closed after {data!r}")
        data += part
    return data


def greet(sock, user=None, password=None):
    if user is None:
        sock.sendall(b"\x05\x01\x00")
        assert exactly(sock, 2) == b"\x05\x00"
        return
    sock.sendall(b"\x05\x01\x02")
    assert exactly(sock, 2) == b"\x05\x02"
    user, password = user.encode(), password.encode()
    sock.sendall(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
    assert exactly(sock, 2) == b"\x01\x00"


def read_reply(sock):
    """(code, host, port) of SOCKS 5."""
    version, code, zero, kind = exactly(sock, 4)
    assert (version, zero) == (5, 0)
    host, port, _ = read_place(bytes([kind]) + exactly(sock, {1: 4, 4: 16}[kind] + 2))
    return code, host, port


def read_reply4(sock):
    """(code, host, port) of SOCKS 4."""
    zero, code, port, host = struct.unpack(">BBH4s", exactly(sock, 8))
    assert zero == 0
    return code, str(ipaddress.ip_address(host)), port


def ask(address, command, host="0.0.0.0", port=0, source=None, wrap=None, user=None, password=None):
    """A connection that has asked for it; the reply is to be read."""
    sock = open_socket(address, source=source)
    if wrap:
        sock = wrap(sock)
    greet(sock, user, password)
    sock.sendall(bytes([5, command, 0]) + place(host, port))
    return sock


class Association:
    """A UDP association and its client's socket."""

    def __init__(self, address, source=None, port_told=False, **options):
        host = source or ("127.0.0.1" if isinstance(address, str) or ":" not in address[0] else "::1")
        self.udp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((host, 0))
        self.udp.settimeout(DEFAULT_TIMEOUT)
        self.local = self.udp.getsockname()[:2]
        self.control = ask(address, UDP, port=self.local[1] if port_told else 0, source=source, **options)
        self.code, bound, port = read_reply(self.control)
        self.bound = (bound, port)

    def close(self):
        self.udp.close()
        self.control.close()

    stop = close

    def send(self, data, host, port, fragment=0, reserved=b"\0\0", sock=None):
        (sock or self.udp).sendto(reserved + bytes([fragment]) + place(host, port) + data, self.bound)

    def receive(self, timeout=DEFAULT_TIMEOUT):
        """(data, host, port) of the next one."""
        self.udp.settimeout(timeout)
        data, peer = self.udp.recvfrom(65536)
        assert peer[:2] == self.bound and data[:3] == b"\0\0\0"
        host, port, data = read_place(data[3:])
        return data, host, port

    def ask(self, data, host, port):
        self.send(data, host, port)
        return self.receive()

    def is_quiet(self, seconds=0.1):
        try:
            self.receive(seconds)
            return False
        except socket.timeout:
            return True

    def has_ended(self, timeout=DEFAULT_TIMEOUT):
        """The control connection has been closed, in whatever way."""
        self.control.settimeout(timeout)
        try:
            return self.control.recv(1) == b""
        except ConnectionError:
            return True
        except socket.timeout:
            return False


class Datagrams:
    """Somebody at a UDP port, who answers what is said with a colon before it, and remembers (data, host, port)."""

    def __init__(self, host="127.0.0.1", port=0, silent=False):
        self.udp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        if ":" in host:
            self.udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.udp.bind((host, port))
        self.host, self.port = self.udp.getsockname()[:2]
        self.heard = []
        self.silent = silent
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                data, peer = self.udp.recvfrom(65536)
            except OSError:
                return
            if peer[1] == self.port and data == b"stop":
                return
            self.heard.append((data, *peer[:2]))
            if not self.silent:
                try:
                    self.udp.sendto(b":" + data, peer)
                except OSError:
                    pass

    def stop(self):
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        try:
            self.udp.sendto(b"stop", (host, self.port))
            self.thread.join(2)
        except OSError:
            pass
        self.udp.close()


class Relay:
    """A UDP port of our own whose datagrams go through an association to one place: for programs that know no SOCKS."""

    def __init__(self, association, host, port):
        self.association = association
        self.place = (host, port)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.port = self.udp.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                data, peer = self.udp.recvfrom(65536)
                if data == b"stop":
                    return
                answer, host, port = self.association.ask(data, *self.place)
                assert (host, port) == self.place
                self.udp.sendto(answer, peer)
            except OSError:
                return

    def stop(self):
        self.udp.sendto(b"stop", ("127.0.0.1", self.port))
        self.thread.join(2)
        self.udp.close()
