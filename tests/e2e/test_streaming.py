"""Bodies stream: memory is bounded by the flow, whatever the sizes and speeds."""

import threading
import time

import pytest

from support import settings
from support.client import request
from support.origin import OK
from support.process import sanitizer
from support.waiting import stays_true, wait_for

MIB = 1 << 20
BLOCK = memoryview(bytes(MIB))
BOUND = 4 * MIB  # for one exchange, everything counted


class Sender:
    """A script: sends `total` bytes and counts what the kernel took."""

    def __init__(self, total, framing="length"):
        self.total, self.sent, self.framing = total, 0, framing

    def __call__(self, peer):
        peer.read_request()
        if self.framing == "length":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.total)
        else:
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while self.sent < self.total:
            if self.framing == "chunked":
                peer.send(b"%x\r\n" % MIB)
            self.push(peer, BLOCK)
            if self.framing == "chunked":
                peer.send(b"\r\n")
        if self.framing == "chunked":
            peer.send(b"0\r\n\r\n")
        peer.wait_end()

    def push(self, peer, data):
        """sendall that counts on the way."""
        at = 0
        while at < len(data):
            count = peer.sock.send(data[at:at + 65536])
            at += count
            self.sent += count


class Sink:
    """A script: reads a request body and counts it without keeping it."""

    def __init__(self, gate=None):
        self.gate, self.count = gate, 0

    def __call__(self, peer):
        head = peer.read_request_head()
        total = int(head.fields.get("Content-Length"))
        if self.gate:
            self.gate.wait(30)
        self.count, peer.buffer, peer.keep = len(peer.buffer), bytearray(), False
        while self.count < total:
            data = peer.sock.recv(1 << 18)
            if not data:
                return
            self.count += len(data)
        peer.send(OK)
        peer.wait_end()


def grown(guise, before):
    """Growth of the peak, where it means something."""
    return 0 if sanitizer() else guise.resident_peak() - before


def settled(counter):
    """Wait until a counter stops moving, and return it."""
    last = -1
    while last != counter():
        last = counter()
        stays_true(lambda: True, 0.3)
    return last


@pytest.mark.seconds(90)
def test_a_gibibyte_through_a_slow_reader(stage):
    sender = Sender(1024 * MIB)
    origin = stage.origin(sender)
    guise = stage.guise(settings.reverse(origin))
    stage.client(guise.reverse, receive_buffer=65536).close()
    before = guise.resident()
    client = stage.client(guise.reverse, receive_buffer=65536)
    client.keep = False
    client.send(request())
    assert client.read_response_head().status == 200
    taken = settled(lambda: sender.sent)
    assert taken < 32 * MIB, "the origin's bytes pile up somewhere"
    assert grown(guise, before) < BOUND
    count = len(client.buffer)
    client.buffer = bytearray()
    while count < 1024 * MIB:
        data = client.sock.recv(1 << 18)
        assert data, f"ended after {count} bytes"
        count += len(data)
    assert count == 1024 * MIB
    assert grown(guise, before) < BOUND


def test_many_slow_readers_cost_their_flows(stage):
    """50 readers that take nothing: the flow's bound each (64 KiB), one receive over it, and the exchange itself."""
    origin = stage.origin(lambda peer: Sender(64 * MIB)(peer))
    guise = stage.guise(settings.reverse(origin))
    stage.client(guise.reverse).close()
    before = guise.resident()
    clients = [stage.client(guise.reverse, receive_buffer=4096) for _ in range(50)]
    for client in clients:
        client.send(request())
    origin.wait_requests(50)
    stays_true(lambda: True, 1.0)
    assert grown(guise, before) < 50 * 88 * 1024 + MIB


@pytest.mark.seconds(60)
def test_large_upload_to_a_slow_server(stage):
    gate = threading.Event()
    sink = Sink(gate)
    origin = stage.origin(sink)
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse, timeout=40)
    total, sent = 256 * MIB, [0]
    before = guise.resident()

    def push():
        client.send(request("POST", fields=[("Content-Length", total)]))
        while sent[0] < total:
            sent[0] += client.sock.send(BLOCK[:min(MIB, total - sent[0])])
    pusher = threading.Thread(target=push, daemon=True)
    pusher.start()
    wait_for(lambda: origin.heads, "the head at the origin")
    assert settled(lambda: sent[0]) < 32 * MIB, "the client's bytes pile up somewhere"
    assert grown(guise, before) < BOUND
    gate.set()
    assert client.read_response().body == b"ok"
    pusher.join(10)
    assert sink.count == total
    assert grown(guise, before) < BOUND


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_download(stage, framing):
    origin = stage.origin(Sender(128 * MIB, framing))
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.keep = False
    client.send(request(version="HTTP/1.0"))
    assert client.read_response_head().status == 200
    if framing == "chunked":
        assert client.discard_to_end() == 128 * MIB
    else:
        count = len(client.buffer)
        while count < 128 * MIB:
            count += len(client.sock.recv(1 << 18))
        assert count == 128 * MIB


def test_slow_upload_reaches_the_server_as_it_comes(stage):
    """Bytes are not held back until the body is whole."""
    origin = stage.origin(Sink())
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.send(request("POST", fields=[("Content-Length", 20)]))
    sink = origin.script
    for count in range(1, 20):
        client.send(b"x")
        wait_for(lambda expected=count: sink.count >= expected, f"byte {count} at the origin")
    client.send(b"x")
    assert client.read_response().body == b"ok"


def test_slow_download_reaches_the_client_as_it_comes(stage):
    steps = [threading.Event() for _ in range(10)]

    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for step in steps:
            peer.send(b"1\r\nx\r\n")
            step.wait(10)
        peer.send(b"0\r\n\r\n")
        peer.wait_end()
    guise = stage.guise(settings.reverse(stage.origin(script)))
    client = stage.client(guise.reverse)
    client.send(request())
    client.read_response_head()
    for step in steps:
        assert client.read_until(b"\r\n") == b"1\r\n" and client.read_exact(3) == b"x\r\n"
        step.set()
    assert client.read_exact(5) == b"0\r\n\r\n"


def test_both_directions_at_once(stage):
    """An echo of 64 MiB while the upload runs: neither side waits for the other to end."""
    def script(peer):
        peer.read_request_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        left, peer.keep = 64 * MIB, False
        data = bytes(peer.buffer)
        while True:
            peer.send(data)
            left -= len(data)
            if not left:
                break
            data = peer.sock.recv(1 << 18)
            if not data:
                return
        peer.wait_end()
    guise = stage.guise(settings.reverse(stage.origin(script)))
    client = stage.client(guise.reverse)
    client.keep = False
    pusher = threading.Thread(target=lambda: (client.send(request("POST", fields=[("Content-Length", 64 * MIB)])),
                                              [client.send(BLOCK) for _ in range(64)]), daemon=True)
    pusher.start()
    client.read_response_head()
    count = len(client.buffer)
    while count < 64 * MIB:
        data = client.sock.recv(1 << 18)
        assert data
        count += len(data)
    pusher.join(10)
    assert count == 64 * MIB


def test_bytes_arrive_unchanged_at_odd_sizes(stage):
    """Chunks of every size from 1 to 400 bytes, read in odd pieces."""
    body = bytes((n * 7) & 0xFF for n in range(80_200))

    def script(peer):
        peer.read_request()
        at = 0
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for size in range(1, 401):
            peer.send(b"%x\r\n%s\r\n" % (size, body[at:at + size]))
            at += size
        peer.send(b"0\r\n\r\n")
        peer.wait_end()
    guise = stage.guise(settings.reverse(stage.origin(script)))
    client = stage.client(guise.reverse, receive_buffer=2048)
    client.send(request())
    time.sleep(0.05)  # so that the reader is behind
    assert client.read_response().body == body
