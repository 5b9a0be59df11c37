"""Clients of HTTP/2 that make work and want nothing of it (RFC 9113 10.5): each attack has its own attacker, and each ends in GOAWAY
ENHANCE_YOUR_CALM or a closed connection, soon, with a line in the error log; others notice nothing, and memory stays where it was."""

import contextlib
import re
import select
import threading
import time

import pytest

from support import http2, settings
from support.frames import (ACK, SETTINGS_ACK, Code, Kind, Setting, block, continuation, data, frame, headers, integer,
                            literal, ping, priority, priority_update, request_block, rst_stream, string, window_update)
from support.frames import settings as settings_frame
from support.origin import response
from support.process import sanitizer, slowness
from support.waiting import stays_true, wait_for

MIB = 1 << 20
GROWTH = 16 * MIB  # of the whole process, whatever one attacker does
LATENCY = 1.0  # seconds: an innocent request takes no longer
TAKEN = 24 * MIB  # an attacker has been stopped before so much of it was taken, what waits in the buffers of sockets included
REQUEST = request_block()
CLOSED = re.compile(r"h2: (?P<kind>[a-z ]+) from (?P<address>[0-9a-f.:]+): connection closed")


def serve(peer):
    while (head := peer.read_request_head_or_none()) is not None:
        if head.target == "/hold":
            peer.wait_end()
            return
        peer.keep = False
        peer.read_body(head, until_close=False)
        peer.send(response(200, bytes(MIB) if head.target == "/big" else b"ok"))


class Innocent(threading.Thread):
    """A client that asks all the time on a connection of its own, and notes how long it took."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.client = http2.Client(address)
        self.times, self.failures, self.stopping = [], [], threading.Event()
        self.start()

    def run(self):
        while not self.stopping.wait(0.005):
            at = time.monotonic()
            try:
                stream = self.client.get()
                if stream.status != 200 or stream.body != b"ok":
                    self.failures.append(repr(stream))
            except (AssertionError, OSError) as error:
                self.failures.append(repr(error))
                return
            self.times.append(time.monotonic() - at)

    def stop(self):
        """No request failed, and none took long."""
        self.stopping.set()
        self.join(20)
        self.client.close()
        assert not self.failures, self.failures[:3]
        assert len(self.times) > 3 and max(self.times) < LATENCY * slowness(), sorted(self.times)[-3:]


class Scene:
    """A Guise with an innocent client, and what it costs."""

    def __init__(self, stage, **config):
        self.origin = stage.origin(serve)
        self.guise = stage.guise(settings.reverse(self.origin, listener={"http2": "clear"}, **config))
        self.innocent = Innocent(self.guise.reverse)
        wait_for(lambda: len(self.innocent.times) > 20 or self.innocent.failures, "the innocent client")
        self.before = self.guise.resident_peak()

    def attacker(self, own_settings=None, settle=True, **options):
        client = http2.Client(self.guise.reverse, own_settings, **options)
        client.auto = False
        return client.settled() if settle else client

    def grown(self):
        return 0 if sanitizer() else self.guise.resident_peak() - self.before

    def line(self, kind):
        """The line of the error log."""
        line = self.guise.stderr.wait(CLOSED.search, f"a line about {kind}")
        found = CLOSED.search(line)
        assert re.search(kind, found["kind"]) and found["address"].startswith("127.0.0.1"), line

    def close(self):
        self.innocent.stop()
        assert self.grown() < GROWTH


@pytest.fixture
def scene(stage):
    """scene(**config); at the end the innocent client has to have been served all the time."""
    made = []

    def make(**config):
        made.append(Scene(stage, **config))
        return made[-1]
    yield make
    for one in made:
        one.close()


class Flood:
    """Sends pieces until the connection is closed, reading at the same time; never waits for the other side."""

    def __init__(self, client, read=True):
        self.client, self.read = client, read
        self.taken = 0  # bytes
        self.closed = False
        client.sock.setblocking(False)

    def run(self, pieces, most=TAKEN, seconds=15):
        end = time.monotonic() + seconds * slowness()
        pending = b""
        while not self.closed and self.taken < most and time.monotonic() < end:
            if not pending:
                pending = next(pieces, b"")
                if not pending:
                    break
            self.poll()
            if not self.closed:
                pending = self.push(pending)
        return self

    def push(self, pending):
        _, writable, _ = select.select([], [self.client.sock], [], 0.05)
        if not writable:
            return pending
        try:
            count = self.client.sock.send(pending)
            self.taken += count
            return pending[count:]
        except BlockingIOError:
            return pending
        except OSError:
            self.closed = True
            return pending

    def poll(self, wait=0.0):
        """Reads what is there."""
        while self.read and not self.closed and select.select([self.client.sock], [], [], wait)[0]:
            try:
                got = self.client.sock.recv(1 << 16)
            except OSError:
                got = b""
            if not got:
                self.closed = True
            self.client.buffer += got

    def wait_closed(self, seconds=10):
        """The connection is closed within so much time; what was said before is read."""
        end = time.monotonic() + seconds * slowness()
        self.read = True
        while not self.closed and time.monotonic() < end:
            self.poll(0.1)
        assert self.closed, "the connection is still open"
        return self

    def goaway(self):
        """The code of the GOAWAY that came, or None."""
        code, buffer, at = None, self.client.buffer, 0
        while at + 9 <= len(buffer):
            size = int.from_bytes(buffer[at:at + 3], "big")
            if buffer[at + 3] == Kind.GOAWAY:
                code = int.from_bytes(buffer[at + 13:at + 17], "big")
            at += 9 + size
        return code

    def stopped(self, most=TAKEN):
        """It was stopped, and soon."""
        self.wait_closed()
        assert self.taken < most, f"{self.taken} bytes were taken"
        assert self.goaway() in (None, Code.ENHANCE_YOUR_CALM, Code.PROTOCOL_ERROR), self.goaway()


def repeated(piece, count=500):
    """The same frame again and again."""
    while True:
        yield piece * count


def each_stream(make, count=100, first=1):
    """make(stream), for stream after stream."""
    number = first
    while number + 2 * count < 1 << 31:
        yield b"".join(make(number + 2 * step) for step in range(count))
        number += 2 * count


def attack(scene, pieces, kind, first=b"", own_settings=None, read=True):
    client = scene.attacker(own_settings)
    if first:
        client.send(first)
    Flood(client, read).run(pieces).stopped()
    scene.line(kind)
    client.close()


def asked(scene):
    """Requests that reached the server, without those of the innocent client."""
    return len(scene.origin.heads) - len(scene.innocent.times)


# streams that are opened and thrown away

def test_rapid_reset(scene):
    """CVE-2023-44487: HEADERS and RST_STREAM, stream after stream."""
    one = scene()
    attack(one, each_stream(lambda number: headers(number, REQUEST) + rst_stream(number)), "reset")
    assert asked(one) < 1000


def test_rapid_reset_of_slow_requests(scene):
    one = scene()
    slow = request_block(path="/hold")
    attack(one, each_stream(lambda number: headers(number, slow) + rst_stream(number)), "reset")
    assert asked(one) < 1000


def paced(one, make, streams=20, rounds=300, resets=True):
    """Some streams at a time, the next ones when the last have been reset. Returns the client, closed or not."""
    client = one.attacker()
    number = 1
    for _ in range(rounds):
        try:
            client.send(*[make(number + 2 * step) for step in range(streams)])
        except OSError:
            break
        mine = [client.open(number + 2 * step) for step in range(streams)]
        number += 2 * streams
        try:
            if resets:
                client.until(lambda: all(stream.over for stream in mine), "resets", 5)  # pylint: disable=cell-var-from-loop
            else:
                client.send(ping())
                pongs = client.pongs
                client.until(lambda: client.pongs > pongs, "PING", 5)  # pylint: disable=cell-var-from-loop
        except (http2.Closed, OSError):
            break
        if client.goaways:
            break
    return client


def test_rapid_reset_with_crumbs_of_content(scene):
    """A byte of content now and then does not buy resets."""
    post = request_block("POST", path="/hold")
    one = scene()
    client = paced(one, lambda number: headers(number, post, False) + data(number, b"x") * 6 + rst_stream(number),
                   resets=False)
    assert client.goaways or client.ended, f"{len(client.streams)} streams were reset, and no end"
    one.line("reset")
    client.close()


def test_rapid_reset_in_small_bursts(scene):
    """Slower, so that each request has been sent to the server."""
    one = scene()
    client = paced(one, lambda number: headers(number, REQUEST) + rst_stream(number), 5, 1000, False)
    assert client.goaways or client.ended, f"{len(client.streams)} streams were reset, and no end"
    one.line("reset")
    client.close()


# MadeYouReset, CVE-2025-8671: the server is made to reset what it is asked

MADE = {
    "window of 0": (False, lambda number: window_update(number, 0)),
    "window that overflows": (False, lambda number: window_update(number, 0x7FFFFFFF)),
    "PRIORITY of a wrong length": (False, lambda number: frame(Kind.PRIORITY, 0, number, bytes(4))),
    "DATA after the end": (True, lambda number: data(number, b"x")),
    "HEADERS after the end": (True, lambda number: headers(number, REQUEST)),
    "more content than its length": (False, lambda number: data(number, b"xxxxxxxxxx")),
    "less content than its length": (False, lambda number: data(number, b"x", True)),
    "a second head": (False, lambda number: headers(number, REQUEST)),
    "malformed trailers": (False, lambda number: headers(number, block(("X-A", "v")))),
}


@pytest.mark.parametrize("end, cause", MADE.values(), ids=MADE.keys())
def test_made_you_reset(scene, end, cause):
    one = scene()
    head = request_block("POST", path="/hold", fields=[] if end else [("content-length", "5")])
    client = paced(one, lambda number: headers(number, head, end) + cause(number))
    assert client.goaways or client.ended, f"{len(client.streams)} streams were reset, and no end"
    # Some of it is a connection error by the rules alone: then one was enough.
    if client.goaway_code not in (Code.STREAM_CLOSED, Code.FRAME_SIZE_ERROR, Code.FLOW_CONTROL_ERROR, Code.PROTOCOL_ERROR):
        one.line("stream errors|reset|window")
    client.close()


def test_malformed_requests_one_after_the_other(scene):
    """Each is a stream error; thousands are an attack."""
    bad = request_block(fields=[("Bad", "1")])
    one = scene()
    client = paced(one, lambda number: headers(number, bad))
    assert client.goaways or client.ended, f"{len(client.streams)} streams were reset, and no end"
    one.line("stream errors|reset")
    client.close()


# floods of what is legal

def test_continuation_flood(scene):
    """HEADERS that never end, in CONTINUATION frames without anything in them, or with a field each."""
    for piece in (b"", block(("x-a", "v"))):
        one = scene()
        client = one.attacker()
        client.send(headers(1, REQUEST, done=False))
        Flood(client).run(repeated(continuation(1, piece, False))).stopped()
        one.line("continuation|header")
        client.close()


def test_large_continuation_frames(scene):
    one = scene()
    client = one.attacker()
    client.send(headers(1, REQUEST, done=False))
    Flood(client).run(repeated(continuation(1, block(("x-a", "v" * 16000)), False), 1)).stopped()
    one.line("continuation|header")
    client.close()


def test_settings_flood(scene):
    attack(scene(), repeated(settings_frame((Setting.INITIAL_WINDOW_SIZE, 65535))), "settings")


def test_empty_settings_flood(scene):
    attack(scene(), repeated(settings_frame()), "settings")


def test_settings_flood_of_a_client_that_does_not_read(scene):
    """Each is to be acknowledged, and the acknowledgements go nowhere."""
    attack(scene(), repeated(settings_frame()), "settings", read=False)


def test_ping_flood(scene):
    attack(scene(), repeated(ping()), "ping")


def test_ping_flood_of_a_client_that_does_not_read(scene):
    attack(scene(), repeated(ping()), "ping", read=False)


def test_ping_ack_flood(scene):
    attack(scene(), repeated(ping(flags=ACK)), "ping")


def test_settings_ack_flood(scene):
    """Acknowledgements of nothing: a connection error, or a flood like any other."""
    one = scene()
    client = one.attacker()
    Flood(client).run(repeated(SETTINGS_ACK)).stopped()
    client.close()


def test_empty_data_flood(scene):
    attack(scene(), repeated(data(1)), "empty", first=headers(1, request_block("POST", path="/hold"), False))


def test_data_of_padding_alone(scene):
    attack(scene(), repeated(data(1, padding=0)), "empty", first=headers(1, request_block("POST", path="/hold"), False))


def test_priority_flood(scene):
    attack(scene(), repeated(priority(1, 3)), "priority")


def test_priority_flood_over_idle_streams(scene):
    """Thousands of streams that are named and never opened."""
    attack(scene(), each_stream(lambda number: priority(number, number - 1 if number > 1 else 0)), "priority")


def test_priority_update_flood(scene):
    attack(scene(), repeated(priority_update(1, b"u=1")), "priority", first=headers(1, request_block(path="/hold")))


def test_priority_update_flood_over_idle_streams(scene):
    one = scene()
    client = one.attacker()
    flood = Flood(client).run(each_stream(lambda number: priority_update(number, b"u=1, i")))
    flood.stopped()
    if flood.goaway() != Code.PROTOCOL_ERROR:  # RFC 9218 7.1: for more than may be open
        one.line("priority")
    client.close()


def test_window_update_flood(scene):
    attack(scene(), repeated(window_update(0, 1)), "window")


def test_window_update_flood_of_a_stream(scene):
    attack(scene(), repeated(window_update(1, 1)), "window", first=headers(1, request_block(path="/hold")))


def test_unknown_frames_flood(scene):
    attack(scene(), repeated(frame(0x5A, 0, 0, b"x")), "unknown")


def test_goaway_flood(scene):
    one = scene()
    client = one.attacker()
    flood = Flood(client).run(repeated(frame(Kind.GOAWAY, 0, 0, bytes(8))))
    flood.wait_closed()
    assert flood.taken < TAKEN
    client.close()


def test_rst_stream_flood_of_one_stream(scene):
    attack(scene(), repeated(rst_stream(1)), "reset", first=headers(1, request_block(path="/hold")))


def test_late_frames_flood(scene):
    """DATA and HEADERS on a stream that has long been closed."""
    for late in (data(1, b"x"), headers(1, REQUEST)):
        one = scene()
        client = one.attacker()
        client.get()
        flood = Flood(client).run(repeated(late))
        flood.wait_closed()
        assert flood.taken < TAKEN
        client.close()


def test_streams_over_the_limit(scene):
    """Thousands of requests that are refused, one after the other, while all that may be open are."""
    hold = request_block("POST", path="/hold")
    attack(scene(), each_stream(lambda number: headers(number, hold, False)), "stream")


def test_large_settings_of_the_table(scene):
    """A table of 4 GiB is not made because a client would have it."""
    one = scene()
    client = one.attacker({Setting.HEADER_TABLE_SIZE: 0xFFFFFFFF})
    for _ in range(100):
        assert client.get().status == 200
    assert one.grown() < MIB
    client.close()


# HPACK bombs: few bytes that become many

def bomb(size, times):
    """One long field in the table, and then references of one byte to it."""
    return literal("x-a", "v" * size, 0x40) + b"\xbe" * times


@pytest.mark.parametrize("times", [500, 4000, 16000])
def test_hpack_bomb(scene, times):
    """A block of under 20 KiB that is 64 MiB of fields."""
    one = scene()
    client = one.attacker()
    client.send(headers(1, REQUEST + bomb(3900, 1)))
    references = headers(3, REQUEST + b"\xbe" * (times - len(REQUEST)))[9:]
    Flood(client).run(each_stream(lambda number: headers(number, references), 1, 3)).stopped()
    one.line("header")
    client.close()


def test_huffman_bomb(scene):
    """Huffman's code makes 8 bits of 5: a value of the longest frame, in every frame."""
    packed = bytes(15000)  # 24,000 times "0"
    text = b"\x00" + string("x-a")
    value = integer(len(packed), 7, 0x80) + packed[:-1] + b"\x07"
    one = scene()
    client = one.attacker()
    Flood(client).run(each_stream(lambda number: headers(number, REQUEST + text + value), 1), seconds=4)
    assert one.grown() < GROWTH
    client.close()


def test_table_that_changes_size_all_the_time(scene):
    """Each block empties the table and fills it again."""
    churn = b"\x20\x3f\xe1\x1f" + REQUEST + b"".join(literal(f"x-{number}", "v" * 50, 0x40) for number in range(30))
    one = scene()
    client = one.attacker()
    Flood(client).run(each_stream(lambda number: headers(number, churn), 10), seconds=4)
    assert one.grown() < GROWTH
    client.close()


# windows held shut

@contextlib.contextmanager
def ends(guise, client, seconds):
    """The body: what holds on. Afterwards the connection has none of its streams left within so many seconds."""
    yield
    wait_for(lambda: sum(entry["target"] == "/big" for entry in guise.log_entries()) >= 100 or client.ended,
             "the end of the streams", seconds * slowness())


def test_zero_window_held_open(scene):
    """A hundred answers that nobody takes: they end by the timeout, and cost no more than their windows."""
    one = scene(timeouts={"body": "1s"})
    client = one.attacker({Setting.INITIAL_WINDOW_SIZE: 0})
    with ends(one.guise, client, 10):
        client.send(*[headers(number, request_block(path="/big")) for number in range(1, 200, 2)])
    assert one.grown() < GROWTH
    client.close()


def test_zero_window_of_the_connection_with_pings(scene):
    """PING now and then shows that somebody is there, and keeps nothing open."""
    one = scene(timeouts={"body": "1s"})
    client = one.attacker({Setting.INITIAL_WINDOW_SIZE: 1 << 20}, credit=False)
    with ends(one.guise, client, 10):
        client.send(*[headers(number, request_block(path="/big")) for number in range(1, 200, 2)])
        for _ in range(15):
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                client.send(ping())
    client.close()


def test_tiny_windows(scene):
    """Windows of a byte, renewed byte by byte on a hundred streams: WINDOW_UPDATE is a flood of its own."""
    one = scene()
    client = one.attacker({Setting.INITIAL_WINDOW_SIZE: 1}, credit=False)
    client.send(*[headers(number, request_block(path="/big")) for number in range(1, 200, 2)])

    def crumbs():
        while True:
            yield b"".join(window_update(number, 1) for number in range(1, 200, 2))
    Flood(client).run(crumbs()).stopped()
    one.line("window|tiny")
    client.close()


def test_tiny_window_by_settings(scene):
    """SETTINGS that open and shut the windows of all streams."""
    one = scene()
    client = one.attacker({Setting.INITIAL_WINDOW_SIZE: 0}, credit=False)
    client.send(*[headers(number, request_block(path="/big")) for number in range(1, 200, 2)])
    Flood(client).run(repeated(settings_frame((Setting.INITIAL_WINDOW_SIZE, 1))
                               + settings_frame((Setting.INITIAL_WINDOW_SIZE, 0)))).stopped()
    one.line("settings")
    client.close()


def test_requests_that_do_not_end(scene):
    """As many half-open requests as may be, that send nothing more: they end by the timeout."""
    one = scene(timeouts={"body": "1s"})
    client = one.attacker()
    client.send(*[headers(number, request_block("POST", path="/hold"), False) for number in range(1, 200, 2)])
    wait_for(lambda: len([entry for entry in one.guise.log_entries() if entry["target"] == "/hold"]) >= 100 or client.ended,
             "the end of the requests", 15 * slowness())
    assert one.grown() < GROWTH
    client.close()


def test_many_connections_that_say_nothing(scene):
    """Prefaces without a request, 500 of them: closed by the timeout, and cheap."""
    one = scene(timeouts={"idle": "1s"})
    clients = [one.attacker(settle=False) for _ in range(500)]
    for client in clients:
        client.read_until_end(10 * slowness())
        client.close()
    assert one.grown() < 500 * (64 << 10)


def test_many_heads_that_do_not_end(scene):
    """200 connections, each with a head of which the end never comes."""
    one = scene(timeouts={"header": "1s"})
    clients = [one.attacker(settle=False) for _ in range(200)]
    for client in clients:
        client.send(headers(1, REQUEST[:20], done=False))
    for client in clients:
        client.read_until_end(10 * slowness())
        client.close()
    assert one.grown() < 200 * (96 << 10)


def test_answers_that_are_asked_for_and_not_read(scene):
    """Request after request of a client that reads nothing: what waits for the socket is bounded."""
    one = scene()
    client = one.attacker({Setting.INITIAL_WINDOW_SIZE: 0x7FFFFFFF})
    client.send(window_update(0, 0x7FFFFFFF - 65535))
    Flood(client, read=False).run(each_stream(lambda number: headers(number, REQUEST)), seconds=4)
    assert one.grown() < GROWTH
    client.close()


def test_the_log_is_no_weapon(scene):
    """Attack after attack from one address: a line for each connection, not for each frame."""
    one = scene()
    for _ in range(10):
        client = one.attacker()
        Flood(client).run(repeated(ping())).wait_closed()
        client.close()
    assert stays_true(lambda: len(CLOSED.findall(one.guise.stderr.text)) <= 10, 0.2)
    assert len(CLOSED.findall(one.guise.stderr.text)) == 10


# servers that attack

def flooding(piece, own_settings=None):
    """A server that answers a request by a flood."""
    def script(connection):
        while (stream := connection.next_request()) is not None:
            if stream.head.get(":path") != "/bad":
                http2.ok(connection, stream)
                continue
            for _ in range(2000):
                connection.send(piece(stream.id) * 50)
    return http2.scripted(script, own_settings)


SERVER_FLOODS = {
    "settings": lambda number: settings_frame(),
    "ping": lambda number: ping(),
    "continuation": lambda number: continuation(number, b"", False),
    "empty": lambda number: data(number),
    "interim": lambda number: headers(number, block((":status", "103")), False),
    "window": lambda number: window_update(0, 1),
    "unknown": lambda number: frame(0x5A, 0, 0, b""),
}


@pytest.mark.parametrize("name", SERVER_FLOODS)
def test_server_that_floods(stage, name):
    """Its connection is closed, its request is a 502, and other requests are served."""
    piece = SERVER_FLOODS[name]

    def begin(number):
        if name == "continuation":
            return headers(number, block((":status", "200")), False, False) + piece(number)
        return piece(number)
    script = begin if name != "empty" else lambda number: piece(number)
    bad = stage.origin(flooding(script))
    guise = stage.guise(settings.reverse(bad, upstream={"http": "2", "retries": 0}, timeouts={"response": "30s"}))
    before = guise.resident_peak()
    client = stage.client(guise.reverse)
    client.timeout = 15 * slowness()
    client.sock.settimeout(client.timeout)
    assert client.get("/bad").status == 502
    assert stage.client(guise.reverse).get("/good").status == 200
    assert sanitizer() or guise.resident_peak() - before < GROWTH
