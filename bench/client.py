"""Clients of our own for bench/: an exact number of requests, idle connections, bytes through tunnels."""

import selectors
import socket
import ssl
import time

from harness import BenchError


def tls_context():
    """What the connections of a client with TLS share: TLS 1.3, the certificate is not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """Keep-alive connections, plain or with TLS 1.3, that ask for /small, all at once, and take the answers."""

    BODY = 13

    def __init__(self, port, connections, tls=False, target="/small"):
        self.sockets = []
        self.request = f"GET {target} HTTP/1.1\r\nHost: bench.test\r\n\r\n".encode()
        context = tls_context() if tls else None
        for _ in range(connections):
            each = socket.create_connection(("127.0.0.1", port), 60)
            self.sockets.append(context.wrap_socket(each) if context else each)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.sockets:
            each.close()

    def ask(self, each):
        """Sends one request."""
        each.sendall(self.request)

    def take(self, each):
        """Takes one answer; BenchError when it is not the whole one of the origin."""
        got = b""
        while True:
            head, gap, body = got.partition(b"\r\n\r\n")
            if gap and len(body) >= self.BODY:
                break
            more = each.recv(65536)
            if not more:
                raise BenchError(f"connection closed in the answer: {got!r}")
            got += more
        if not head.startswith(b"HTTP/1.1 200") or len(body) != self.BODY:
            raise BenchError(f"unexpected answer: {got!r}")

    def run(self, requests):
        """Makes `requests` requests, spread over the connections."""
        left = requests
        while left > 0:
            turn = self.sockets[: min(left, len(self.sockets))]
            for each in turn:
                self.ask(each)
            for each in turn:
                self.take(each)
            left -= len(turn)


def tunnel(port, target):
    """A connection through a proxy that a CONNECT to `target` has opened."""
    each = socket.create_connection(("127.0.0.1", port), 10)
    each.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        more = each.recv(1)
        if not more:
            break
        head += more
    if head.split(b" ")[1:2] != [b"200"]:
        raise BenchError(f"tunnel refused: {head!r}")
    return each


def pull(port, target, seconds, tunnels, connect):
    """Takes bytes through `tunnels` connections for some time: {"bytes", "errors"}.

    `connect` is whether each begins with a CONNECT to `target`. /1m is asked for again and again; what arrives is
    dropped in the kernel (MSG_TRUNC), so that this end costs little.
    """
    request = f"GET /1m HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
    ready = selectors.DefaultSelector()
    size = None
    for _ in range(tunnels):
        each = tunnel(port, target) if connect else socket.create_connection(("127.0.0.1", port), 10)
        if size is None:
            size = answer_size(each, request)
        each.sendall(request)
        ready.register(each, selectors.EVENT_READ, [size])
    total = 0
    buffer = bytearray(1 << 20)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in ready.select(1):
            got = key.fileobj.recv_into(buffer, 0, socket.MSG_TRUNC)
            if not got:
                return {"bytes": total, "errors": "tunnel closed"}
            total += got
            key.data[0] -= got
            if key.data[0] == 0:
                key.data[0] = size
                key.fileobj.sendall(request)
    return {"bytes": total, "errors": ""}


def answer_size(each, request):
    """The length of the whole answer to a request, head and body."""
    each.sendall(request)
    got = b""
    while b"\r\n\r\n" not in got:
        more = each.recv(65536)
        if not more:
            raise BenchError("the origin does not answer through the tunnel")
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields[b"content-length"])
    left = length - len(body)
    while left > 0:
        left -= len(each.recv(min(left, 65536)))
    return len(head) + 4 + length
