"""HTTP/2 as RFC 9113 words it: each rule that names an error code, or a MUST of a server or an intermediary.

A case is bytes on a fresh connection (or functions that wait for something in between), and what has to follow: a connection error, a
stream error, a refusal of the message alone, or an answer. Whatever it was, good requests are served afterwards: on the same connection
where that has to go on, else on a new one.
"""

import struct

import pytest

from support import http2, settings
from support.frames import (ACK, END_HEADERS, END_STREAM, MOST, PADDED, PREFACE, SETTINGS_ACK, WITH_PRIORITY, Code,
                            Kind, Setting, block, continuation, data, frame, goaway, headers, integer, literal, ping,
                            priority, priority_update, request_block, request_fields, rst_stream, string,
                            window_update)
from support.frames import settings as settings_frame
from support.origin import OK, response
from support.waiting import wait_for
from support.wire import Closed

BIG = 200_000


def serve(peer):
    """The origin: the path says how it answers."""
    while (head := peer.read_request_head_or_none()) is not None:
        path = head.target.split("?")[0]
        if path == "/hold":
            peer.wait_end()
            return
        if path == "/stall":
            wait_for(lambda: peer.origin.stopping, "the end of the test", 60, 0.05)
            return
        peer.read_body(head, until_close=False)
        peer.origin.note(head)
        if path == "/big":
            peer.send(response(200, bytes(BIG)))
        elif path == "/echo":
            peer.send(response(200, b"" if head.method == "HEAD" else head.body))
        else:
            peer.send(OK if head.method != "HEAD" else response(200, fields=[("Content-Length", "2")], length=False))


@pytest.fixture(scope="module")
def origin(shared_stage):
    return shared_stage.origin(serve)


@pytest.fixture(scope="module")
def guise(shared_stage, origin):
    return shared_stage.guise(settings.reverse(origin, listener={"http2": "clear"}))


@pytest.fixture
def connect(guise):
    """connect() -> a client whose SETTINGS are settled."""
    made = []

    def make(*arguments, settle=True, **named):
        client = http2.Client(guise.reverse, *arguments, **named)
        made.append(client)
        return client.settled() if settle else client
    yield make
    for client in made:
        client.close()


# what has to follow

def serves(client, number=2001):
    """The connection goes on: a good request is answered."""
    stream = client.open(number)
    client.send(headers(number, request_block()))
    client.finish(stream)
    assert stream.status == 200 and stream.body == b"ok", client


class ConnectionError_:
    """GOAWAY with one of these codes, and the end."""

    def __init__(self, *codes):
        self.codes = codes

    def check(self, client):
        client.expect_goaway(*self.codes)


class StreamError:
    """RST_STREAM with one of these codes; the connection goes on, unless it may end as well."""

    def __init__(self, stream, *codes, connection=False):
        self.stream, self.codes, self.connection = stream, codes, connection

    def check(self, client):
        stream = client.streams[self.stream]
        try:
            client.until(lambda: stream.reset is not None or client.goaways, "a stream error")
        except Closed:
            raise AssertionError(f"closed: {client}") from None
        if client.goaways:
            assert self.connection, f"a connection error where a stream error is due: {client}"
            client.expect_goaway(*self.codes)
            return
        assert stream.reset in self.codes, client
        if self.connection:
            client.quiet(0.05)  # GOAWAY may follow
        if client.goaways:
            client.expect_goaway(*self.codes)
        else:
            serves(client)


class Malformed:
    """A malformed message (RFC 9113 8.1.1): a stream error PROTOCOL_ERROR, or 400 and the end of the stream."""

    def __init__(self, stream=1, statuses=(400,), seen=False):
        self.stream, self.statuses = stream, statuses
        self.seen = seen  # the server may have got a whole request before the fault showed

    def check(self, client):
        stream = client.finish(client.streams[self.stream])
        assert not client.goaways, f"one bad message ended the connection: {client}"
        if stream.head:
            assert stream.status in self.statuses and stream.reset in (None, Code.NO_ERROR, Code.PROTOCOL_ERROR), client
        else:
            assert stream.reset == Code.PROTOCOL_ERROR, client
        serves(client)


class Answered:
    """Nothing is wrong: the answer comes, and the connection goes on."""

    def __init__(self, stream=1, status=200, body=None):
        self.stream, self.status, self.body = stream, status, body

    def check(self, client):
        if self.stream:
            stream = client.finish(client.streams[self.stream])
            assert stream.status == self.status and stream.reset in (None, Code.NO_ERROR), client
            assert self.body is None or stream.body == self.body, client
        serves(client)
        assert not client.goaways


PROTOCOL = ConnectionError_(Code.PROTOCOL_ERROR)
SIZE = ConnectionError_(Code.FRAME_SIZE_ERROR)
COMPRESSION = ConnectionError_(Code.COMPRESSION_ERROR)
FLOW = ConnectionError_(Code.FLOW_CONTROL_ERROR)
GOES_ON = Answered(None)
GOOD = Answered()
BAD = Malformed()
LATE = Malformed(seen=True)


def either(stream, *codes):
    """A stream error, or the same as a connection error (RFC 9113 5.4.1 leaves it to the endpoint)."""
    return StreamError(stream, *codes, connection=True)


# steps

def finished(number=1):
    """Waits for the answer on a stream."""
    return lambda client: client.finish(client.streams[number])


def open_streams(client, piece):
    """Account of the streams that these bytes open."""
    at = 0
    while isinstance(piece, bytes) and at + 9 <= len(piece):
        size, kind, number = int.from_bytes(piece[at:at + 3], "big"), piece[at + 3], \
            int.from_bytes(piece[at + 5:at + 9], "big") & MOST
        if kind in (Kind.HEADERS, Kind.DATA, Kind.PRIORITY, Kind.WINDOW_UPDATE, Kind.CONTINUATION) and number:
            if number not in client.streams:
                client.open(number)
        at += 9 + size


def run(client, steps):
    for step in steps if isinstance(steps, tuple) else (steps,):
        if callable(step):
            step(client)
        else:
            open_streams(client, step)
            client.send(step)


def get(number=1, path="/", fields=(), end=True, **named):
    return headers(number, request_block("GET", path, fields=fields, **named), end)


def post(number=1, path="/echo", fields=(), **named):
    """The head of a request that goes on."""
    return headers(number, request_block("POST", path, fields=fields, **named), False)


HELD = get(1, "/hold")
REQUEST = request_block()
HALF = len(REQUEST) // 2
PRIORITY_PART = struct.pack(">IB", 0, 15)


def huffman(text):
    """A field whose value is these bytes, said to be in Huffman's code."""
    return REQUEST + b"\x00" + string("x-a") + bytes([0x80 | len(text)]) + text


FRAMES = {
    # 4.1: what has no meaning is ignored
    "4.1 unknown type": (frame(0x5A, 0xFF, 0, b"whatever"), GOES_ON),
    "4.1 unknown type on a stream": (HELD + frame(0x5A, 0, 1, b"whatever") + rst_stream(1), GOES_ON),
    "4.1 undefined flags": (frame(Kind.PING, 0x16, 0, bytes(8)), GOES_ON),
    "4.1 undefined flags of HEADERS": (headers(1, REQUEST, flags=0x82), GOOD),
    "4.1 reserved bit": (frame(Kind.HEADERS, END_STREAM | END_HEADERS, 1 | 1 << 31, REQUEST), GOOD),
    # 4.2
    "4.2 DATA over the largest frame": (post() + data(1, bytes(16385), True),
                                        either(1, Code.FRAME_SIZE_ERROR)),
    "4.2 HEADERS over the largest frame": (headers(1, REQUEST + block(("x-a", "v" * 16384))), SIZE),
    "4.2 SETTINGS over the largest frame": (settings_frame(*[(99, 1)] * 2731), SIZE),
    "4.2 unknown type over the largest frame": (frame(0x5A, 0, 0, bytes(16385)), SIZE),
    "4.2 DATA of the largest frame": (post() + data(1, bytes(16384), True), GOOD),
    # 4.3
    "4.3 block that is cut short": (headers(1, REQUEST[:-3]), COMPRESSION),
    "4.3 PRIORITY inside a block": (headers(1, REQUEST[:HALF], done=False) + priority(1)
                                    + continuation(1, REQUEST[HALF:]), PROTOCOL),
    "4.3 HEADERS of another stream inside a block": (headers(1, REQUEST[:HALF], done=False) + get(3), PROTOCOL),
    "4.3 DATA inside a block": (headers(1, REQUEST[:HALF], False, False) + data(1, b"x"), PROTOCOL),
    "4.3 PING inside a block": (headers(1, REQUEST[:HALF], done=False) + ping(), PROTOCOL),
    "4.3 SETTINGS inside a block": (headers(1, REQUEST[:HALF], done=False) + settings_frame(), PROTOCOL),
    # 5.1 idle
    "5.1 idle: DATA": (data(1, b"x", True), either(1, Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)),
    "5.1 idle: RST_STREAM": (rst_stream(1), PROTOCOL),
    "5.1 idle: WINDOW_UPDATE": (window_update(1, 100), PROTOCOL),
    "5.1 idle: CONTINUATION": (continuation(1, REQUEST), PROTOCOL),
    "5.1 idle: DATA above the last stream": ((get(1), finished(), data(5, b"x")),
                                             either(5, Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)),
    "5.1 idle: RST_STREAM above the last stream": ((get(1), finished(), rst_stream(5)), PROTOCOL),
    "5.1 idle: WINDOW_UPDATE on a stream of ours": (window_update(2, 100), PROTOCOL),
    "5.1 idle: RST_STREAM on a stream of ours": (rst_stream(2), PROTOCOL),
    "5.1 idle: PRIORITY": (priority(1), GOES_ON),
    "5.1 idle: PRIORITY, then HEADERS": (priority(3) + get(1), GOOD),
    # 5.1 half-closed (remote)
    "5.1 half-closed: DATA": (HELD + data(1, b"x", True), either(1, Code.STREAM_CLOSED)),
    "5.1 half-closed: HEADERS": (HELD + get(1, "/hold"), either(1, Code.STREAM_CLOSED)),
    "5.1 half-closed: CONTINUATION": (HELD + continuation(1, REQUEST),
                                      ConnectionError_(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)),
    "5.1 half-closed: WINDOW_UPDATE": (get(1) + window_update(1, 100), GOOD),
    "5.1 half-closed: PRIORITY": (get(1) + priority(1), GOOD),
    "5.1 half-closed: RST_STREAM": (HELD + rst_stream(1), GOES_ON),
    # 5.1 closed
    "5.1 closed by RST_STREAM: DATA": (HELD + rst_stream(1) + data(1, b"x"), either(1, Code.STREAM_CLOSED)),
    "5.1 closed by RST_STREAM: HEADERS": (HELD + rst_stream(1) + get(1),
                                          either(1, Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)),
    "5.1 closed by RST_STREAM: CONTINUATION": (HELD + rst_stream(1) + continuation(1, REQUEST),
                                               ConnectionError_(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)),
    "5.1 closed: DATA": ((get(), finished(), data(1, b"x", True)), either(1, Code.STREAM_CLOSED)),
    "5.1 closed: HEADERS": ((get(), finished(), get()), either(1, Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)),
    "5.1 closed: CONTINUATION": ((get(), finished(), continuation(1, REQUEST)),
                                 ConnectionError_(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)),
    "5.1 closed: PRIORITY": ((get(), finished(), priority(1)), GOES_ON),
    "5.1 closed: WINDOW_UPDATE": ((get(), finished(), window_update(1, 100)), GOES_ON),
    "5.1 closed: RST_STREAM": ((get(), finished(), rst_stream(1)), GOES_ON),
    # 5.1.1
    "5.1.1 even stream": (get(2), PROTOCOL),
    "5.1.1 lower stream": ((get(5), finished(5), get(3)), ConnectionError_(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)),
    "5.1.1 streams left out": (get(7), Answered(7)),
    # 5.3: of no consequence
    "5.3.1 HEADERS that depend on themselves": (headers(1, struct.pack(">IB", 1, 15) + REQUEST, flags=WITH_PRIORITY),
                                                either(1, Code.PROTOCOL_ERROR)),
    "5.3 weight and dependency": (headers(1, struct.pack(">IB", 3 | 1 << 31, 255) + REQUEST, flags=WITH_PRIORITY),
                                  GOOD),
    "5.3 exclusive dependency": (get(1) + priority(3, 1, 0, True), GOOD),
    # 5.5
    "5.5 extension": (HELD + frame(0xF0, 0xFF, 1, bytes(100)) + rst_stream(1), GOES_ON),
    "5.5 extension inside a block": (headers(1, REQUEST[:HALF], done=False) + frame(0xF0, 0, 1, bytes(8))
                                     + continuation(1, REQUEST[HALF:]), PROTOCOL),
    "5.5 unknown setting": (settings_frame((0xF0F0, 1)), GOES_ON),
    # 6.1 DATA
    "6.1 on stream 0": (data(0, b"x"), PROTOCOL),
    "6.1 padding as long as the frame": (post() + frame(Kind.DATA, PADDED | END_STREAM, 1, b"\x06hello"), PROTOCOL),
    "6.1 padding longer than the frame": (post() + frame(Kind.DATA, PADDED | END_STREAM, 1, b"\xffhello"), PROTOCOL),
    "6.1 padded without a length": (post() + frame(Kind.DATA, PADDED | END_STREAM, 1),
                                    ConnectionError_(Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR)),
    "6.1 padded": (post() + data(1, b"hello", True, padding=200), Answered(body=b"hello")),
    "6.1 nothing but padding": (post() + data(1, b"", False, padding=255) + data(1, b"hello", True),
                                Answered(body=b"hello")),
    "6.1 several": (post() + data(1, b"hel") + data(1) + data(1, b"lo") + data(1, end=True), Answered(body=b"hello")),
    # 6.2 HEADERS
    "6.2 on stream 0": (headers(0, REQUEST), PROTOCOL),
    "6.2 padding longer than the frame": (headers(1, b"\xff" + REQUEST, flags=PADDED), PROTOCOL),
    "6.2 padded without a length": (headers(1, b"", flags=PADDED),
                                    ConnectionError_(Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR)),
    "6.2 priority that is cut short": (headers(1, b"\0\0\0", flags=WITH_PRIORITY),
                                       ConnectionError_(Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR)),
    "6.2 padding over the priority": (headers(1, b"\x03" + PRIORITY_PART + b"\0\0", flags=PADDED | WITH_PRIORITY),
                                      ConnectionError_(Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR)),
    "6.2 padded": (headers(1, b"\x08" + REQUEST + bytes(8), flags=PADDED), GOOD),
    "6.2 padded, with priority": (headers(1, b"\x08" + PRIORITY_PART + REQUEST + bytes(8), flags=PADDED | WITH_PRIORITY),
                                  GOOD),
    # 6.3 PRIORITY
    "6.3 on stream 0": (priority(0), PROTOCOL),
    "6.3 too short": (HELD + frame(Kind.PRIORITY, 0, 1, bytes(4)), either(1, Code.FRAME_SIZE_ERROR)),
    "6.3 too long": (HELD + frame(Kind.PRIORITY, 0, 1, bytes(6)), either(1, Code.FRAME_SIZE_ERROR)),
    # 6.4 RST_STREAM
    "6.4 on stream 0": (rst_stream(0), PROTOCOL),
    "6.4 too short": (HELD + frame(Kind.RST_STREAM, 0, 1, bytes(3)), SIZE),
    "6.4 too long": (HELD + frame(Kind.RST_STREAM, 0, 1, bytes(5)), SIZE),
    # 6.5 SETTINGS
    "6.5 ACK with a payload": (frame(Kind.SETTINGS, ACK, 0, bytes(6)), SIZE),
    "6.5 on a stream": (frame(Kind.SETTINGS, 0, 1, bytes(6)), PROTOCOL),
    "6.5 length of 5": (frame(Kind.SETTINGS, 0, 0, bytes(5)), SIZE),
    "6.5 length of 7": (frame(Kind.SETTINGS, 0, 0, bytes(7)), SIZE),
    "6.5 ACK on a stream": (frame(Kind.SETTINGS, ACK, 1), PROTOCOL),
    "6.5.2 ENABLE_PUSH of 2": (settings_frame((Setting.ENABLE_PUSH, 2)), PROTOCOL),
    "6.5.2 ENABLE_PUSH of 1": (settings_frame((Setting.ENABLE_PUSH, 1)), GOES_ON),
    "6.5.2 INITIAL_WINDOW_SIZE too large": (settings_frame((Setting.INITIAL_WINDOW_SIZE, MOST + 1)), FLOW),
    "6.5.2 MAX_FRAME_SIZE too small": (settings_frame((Setting.MAX_FRAME_SIZE, 16383)), PROTOCOL),
    "6.5.2 MAX_FRAME_SIZE too large": (settings_frame((Setting.MAX_FRAME_SIZE, 1 << 24)), PROTOCOL),
    "6.5.2 MAX_FRAME_SIZE largest": (settings_frame((Setting.MAX_FRAME_SIZE, (1 << 24) - 1)), GOES_ON),
    "6.5.2 HEADER_TABLE_SIZE of 0": (settings_frame((Setting.HEADER_TABLE_SIZE, 0)) + get(), GOOD),
    "6.5.2 HEADER_TABLE_SIZE largest": (settings_frame((Setting.HEADER_TABLE_SIZE, 0xFFFFFFFF)) + get(), GOOD),
    "6.5.2 MAX_HEADER_LIST_SIZE of 0": (settings_frame((Setting.MAX_HEADER_LIST_SIZE, 0)), GOES_ON),
    "6.5.2 ENABLE_CONNECT_PROTOCOL of a client": (settings_frame((Setting.ENABLE_CONNECT_PROTOCOL, 1)), GOES_ON),
    "9218 2.1 NO_RFC7540_PRIORITIES of 2": (settings_frame((Setting.NO_RFC7540_PRIORITIES, 2)), PROTOCOL),
    # 6.6 and 8.4 PUSH_PROMISE
    "8.4 PUSH_PROMISE of a client": (get(1) + frame(Kind.PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + REQUEST),
                                     PROTOCOL),
    "6.6 PUSH_PROMISE on stream 0": (frame(Kind.PUSH_PROMISE, END_HEADERS, 0, struct.pack(">I", 2) + REQUEST), PROTOCOL),
    # 6.7 PING
    "6.7 on a stream": (frame(Kind.PING, 0, 1, bytes(8)), PROTOCOL),
    "6.7 too short": (frame(Kind.PING, 0, 0, bytes(7)), SIZE),
    "6.7 too long": (frame(Kind.PING, 0, 0, bytes(9)), SIZE),
    # 6.8 GOAWAY
    "6.8 on a stream": (frame(Kind.GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "6.8 too short": (frame(Kind.GOAWAY, 0, 0, bytes(7)), SIZE),
    # 6.9 WINDOW_UPDATE
    "6.9 of 0 on the connection": (window_update(0, 0), PROTOCOL),
    "6.9 of 0 on a stream": (HELD + window_update(1, 0), either(1, Code.PROTOCOL_ERROR)),
    "6.9 reserved bit": (window_update(0, 1 << 31 | 100), GOES_ON),
    "6.9 reserved bit and 0": (window_update(0, 1 << 31), PROTOCOL),
    "6.9 too short": (frame(Kind.WINDOW_UPDATE, 0, 0, bytes(3)), SIZE),
    "6.9 too long": (frame(Kind.WINDOW_UPDATE, 0, 0, bytes(5)), SIZE),
    "6.9 too short on a stream": (HELD + frame(Kind.WINDOW_UPDATE, 0, 1, bytes(3)), SIZE),
    "6.9.1 overflow on the connection": (window_update(0, MOST) + window_update(0, MOST), FLOW),
    "6.9.1 overflow on the connection by one": (window_update(0, MOST - 65535 + 1), FLOW),
    "6.9.1 the most on the connection": (window_update(0, MOST - 65535), GOES_ON),
    "6.9.1 overflow on a stream": (HELD + window_update(1, MOST), either(1, Code.FLOW_CONTROL_ERROR)),
    "6.9.2 overflow by SETTINGS": (HELD + window_update(1, MOST - 65535)
                                   + settings_frame((Setting.INITIAL_WINDOW_SIZE, 65536)), FLOW),
    # 6.10 CONTINUATION
    "6.10 several": (headers(1, REQUEST[:5], done=False) + continuation(1, REQUEST[5:9], False)
                     + continuation(1, b"", False) + continuation(1, REQUEST[9:]), GOOD),
    "6.10 single bytes": (headers(1, REQUEST[:1], done=False)
                          + b"".join(continuation(1, REQUEST[at:at + 1], False) for at in range(1, 5))
                          + continuation(1, REQUEST[5:]), GOOD),
    "6.10 on stream 0": (headers(1, REQUEST[:HALF], done=False) + continuation(0, REQUEST[HALF:]), PROTOCOL),
    "6.10 on another stream": (headers(1, REQUEST[:HALF], done=False) + continuation(3, REQUEST[HALF:]), PROTOCOL),
    "6.10 after HEADERS that are done": (headers(1, REQUEST, False) + continuation(1, b""), PROTOCOL),
    "6.10 after CONTINUATION that is done": (headers(1, REQUEST[:HALF], False, False) + continuation(1, REQUEST[HALF:])
                                             + continuation(1, b""), PROTOCOL),
    "6.10 after DATA": (post() + data(1, b"x") + continuation(1, b""), PROTOCOL),
    "6.10 alone": (continuation(0, b""), PROTOCOL),
    # 7: codes that nobody knows
    "7 RST_STREAM with an unknown code": (HELD + rst_stream(1, 0xFFFFFFFF), GOES_ON),
    # 9218 7.1 PRIORITY_UPDATE
    "9218 7.1 on a stream": (HELD + priority_update(1, b"u=1", on=1), PROTOCOL),
    "9218 7.1 of stream 0": (priority_update(0, b"u=1"), PROTOCOL),
    "9218 7.1 too short": (frame(Kind.PRIORITY_UPDATE, 0, 0, bytes(3)),
                           ConnectionError_(Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR)),
    "9218 7.1 that does not parse": (HELD + priority_update(1, b"u=((") + rst_stream(1), GOES_ON),
    "9218 7.1 of an idle stream": (priority_update(1, b"u=1, i") + get(1), GOOD),
    "9218 7.1 of a closed stream": ((get(1), finished(), priority_update(1, b"u=1")), GOES_ON),
}

COMPRESSED = {
    "2.3.3 index that is not there": (headers(1, REQUEST + integer(70, 7, 0x80)), COMPRESSION),
    "2.3.3 name index that is not there": (headers(1, REQUEST + integer(70, 6, 0x40) + string("v")), COMPRESSION),
    "2.3.3 name index that is not there, not indexed": (headers(1, REQUEST + integer(70, 4) + string("v")), COMPRESSION),
    "6.1 index 0": (headers(1, REQUEST + b"\x80"), COMPRESSION),
    "4.2 size update at the end": (headers(1, REQUEST + b"\x20"), COMPRESSION),
    "4.2 size update in the middle": (headers(1, REQUEST[:7] + b"\x20" + REQUEST[7:]), COMPRESSION),
    "4.2 size update at the beginning": (headers(1, b"\x20" + REQUEST), GOOD),
    "4.2 two size updates": (headers(1, b"\x20\x3f\xe1\x1f" + REQUEST), GOOD),
    "6.3 size update over the setting": (headers(1, integer(1 << 24, 5, 0x20) + REQUEST), COMPRESSION),
    "5.1 integer without end": (headers(1, REQUEST + b"\xff" * 20 + b"\x7f"), COMPRESSION),
    "5.1 length over 32 bits": (headers(1, REQUEST + b"\x00\x7f" + b"\xff" * 8 + b"\x01"), COMPRESSION),
    "5.1 length over the block": (headers(1, REQUEST + b"\x00" + integer(1000, 7) + b"x"), COMPRESSION),
    "5.1 integer in more octets than needed": (headers(1, b"\x3f\x80\x80\x00" + REQUEST), GOOD),
    "5.2 padding longer than 7 bits": (headers(1, huffman(b"\x07\xff")), COMPRESSION),
    "5.2 padding of zeros": (headers(1, huffman(b"\x00")), COMPRESSION),
    "5.2 end of string symbol": (headers(1, huffman(b"\x07\xff\xff\xff\xff")), COMPRESSION),
    "5.2 Huffman": (headers(1, huffman(b"\x07")), GOOD),
    "6.2.1 literals with indexing": (headers(1, literal(":method", "GET", 0x40) + literal(":scheme", "http", 0x40)
                                             + literal(":authority", "a.test", 0x40) + literal(":path", "/", 0x40)), GOOD),
    "6.2.3 literals never indexed": (headers(1, b"".join(literal(*pair, 0x10) for pair in request_fields())), GOOD),
    "6.1 indexed": (headers(1, b"\x82\x86\x84\x41" + string("a.test")), GOOD),
    "4.3 the table is kept": ((headers(1, REQUEST + literal("x-a", "v", 0x40)), finished(),
                               headers(3, REQUEST + b"\xbe")), Answered(3)),
    "4.3 the table is kept over a malformed request": (
        (headers(1, block((":method", "GET")) + literal("X-A", "v", 0x40)), finished(),
         headers(3, b"\x82\x86\x84" + literal(":authority", "a.test", 0x40)), finished(3),
         headers(5, b"\x82\x86\x84\xbe")), Answered(5)),
    "4.3 the table is emptied": ((headers(1, REQUEST + literal("x-a", "v", 0x40)), finished(),
                                  headers(3, b"\x20" + REQUEST + b"\xbe")), COMPRESSION),
}


def fields(*extra, **named):
    """A request with these fields more."""
    return headers(1, request_block(fields=extra, **named))


def pseudo(*pairs):
    """A request of these fields alone."""
    return headers(1, block(*pairs))


def body(head, *parts):
    """A request with these fields, and DATA."""
    return post(fields=head) + b"".join(data(1, part) for part in parts) + data(1, end=True)


def trailers(*pairs, end=True):
    return post() + data(1, b"hello") + headers(1, block(*pairs), end)


METHOD, SCHEME, AUTHORITY, PATH = request_fields()[0], request_fields()[1], request_fields()[2], request_fields()[3]

MESSAGES = {
    # 8.1
    "8.1 a second HEADERS without END_STREAM": (post() + data(1, b"x") + headers(1, block(("x-a", "v")), False), BAD),
    "8.1 a second head": (post() + headers(1, REQUEST), BAD),
    "8.1 trailers": (trailers(("x-a", "v")), Answered(body=b"hello")),
    "8.1 trailers without content": (post() + headers(1, block(("x-a", "v"))), Answered(body=b"")),
    "8.1 empty trailers": (post() + data(1, b"hello") + headers(1, b""), Answered(body=b"hello")),
    # 8.1.1
    "8.1.1 content-length too high": (body([("content-length", "6")], b"hello"), BAD),
    "8.1.1 content-length too low": (body([("content-length", "4")], b"hello"), LATE),
    "8.1.1 content-length too high, several DATA": (body([("content-length", "9")], b"hel", b"lo"), BAD),
    "8.1.1 content-length too low, several DATA": (body([("content-length", "3")], b"hel", b"lo"), LATE),
    "8.1.1 content-length without content": (fields(("content-length", "5"), method="POST"), BAD),
    "8.1.1 content-length of 0 and content": (body([("content-length", "0")], b"x"), LATE),
    "8.1.1 content-length too high, then trailers": (post(fields=[("content-length", "6")]) + data(1, b"hello")
                                                     + headers(1, block(("x-a", "v"))), BAD),
    "8.1.1 content-length exact": (body([("content-length", "5")], b"hel", b"lo"), Answered(body=b"hello")),
    "8.1.1 content-length exact, padded": (post(fields=[("content-length", "5")]) + data(1, b"hello", True, 50),
                                           Answered(body=b"hello")),
    "8.1.1 two content-lengths": (body([("content-length", "5"), ("content-length", "6")], b"hello"), BAD),
    "8.1.1 content-length of letters": (body([("content-length", "five")], b"hello"), BAD),
    "8.1.1 content-length with sign": (body([("content-length", "+5")], b"hello"), BAD),
    "8.1.1 content-length empty": (body([("content-length", "")], b"hello"), BAD),
    "8.1.1 content-length over 64 bits": (body([("content-length", "18446744073709551621")], b"hello"), BAD),
    # 8.2.1
    "8.2.1 upper case": (fields(("X-A", "v")), BAD),
    "8.2.1 upper case inside": (fields(("x-aB", "v")), BAD),
    "8.2.1 upper case in trailers": (trailers(("X-A", "v")), BAD),
    "8.2.1 empty name": (fields(("", "v")), BAD),
    "8.2.1 space in a name": (fields(("x a", "v")), BAD),
    "8.2.1 space after a name": (fields(("x-a ", "v")), BAD),
    "8.2.1 tab in a name": (fields(("x\ta", "v")), BAD),
    "8.2.1 CR in a name": (fields(("x\ra", "v")), BAD),
    "8.2.1 LF in a name": (fields(("x\na", "v")), BAD),
    "8.2.1 NUL in a name": (fields(("x\0a", "v")), BAD),
    "8.2.1 control in a name": (fields(("x\x01a", "v")), BAD),
    "8.2.1 delete in a name": (fields(("x\x7fa", "v")), BAD),
    "8.2.1 high byte in a name": (fields((b"x\xe9a", "v")), BAD),
    "8.2.1 colon in a name": (fields(("x:a", "v")), BAD),
    "8.2.1 colon after a name": (fields(("x-a:", "v")), BAD),
    "8.2.1 parenthesis in a name": (fields(("x(a", "v")), BAD),
    "8.2.1 CR in a value": (fields(("x-a", "v\rw")), BAD),
    "8.2.1 LF in a value": (fields(("x-a", "v\nw")), BAD),
    "8.2.1 CR LF in a value": (fields(("x-a", "v\r\nx-b: w")), BAD),
    "8.2.1 NUL in a value": (fields(("x-a", "v\0w")), BAD),
    "8.2.1 LF before a value": (fields(("x-a", "\nv")), BAD),
    "8.2.1 CR after a value": (fields(("x-a", "v\r")), BAD),
    "8.2.1 space before a value": (fields(("x-a", " v")), BAD),
    "8.2.1 space after a value": (fields(("x-a", "v ")), BAD),
    "8.2.1 tab before a value": (fields(("x-a", "\tv")), BAD),
    "8.2.1 tab after a value": (fields(("x-a", "v\t")), BAD),
    "8.2.1 LF in the value of a trailer": (trailers(("x-a", "v\nw")), BAD),
    "8.2.1 high byte in a value": (fields(("x-a", b"v\xe9")), GOOD),
    "8.2.1 empty value": (fields(("x-a", "")), GOOD),
    "8.2.1 space in a value": (fields(("x-a", "v w\tx")), GOOD),
    # 8.2.2
    "8.2.2 connection": (fields(("connection", "close")), BAD),
    "8.2.2 connection: keep-alive": (fields(("connection", "keep-alive")), BAD),
    "8.2.2 proxy-connection": (fields(("proxy-connection", "keep-alive")), BAD),
    "8.2.2 keep-alive": (fields(("keep-alive", "timeout=5")), BAD),
    "8.2.2 transfer-encoding": (body([("transfer-encoding", "chunked")], b"hello"), BAD),
    "8.2.2 transfer-encoding: identity": (fields(("transfer-encoding", "identity")), BAD),
    "8.2.2 upgrade": (fields(("upgrade", "websocket")), BAD),
    "8.2.2 te": (fields(("te", "gzip")), BAD),
    "8.2.2 te with more": (fields(("te", "trailers, gzip")), BAD),
    "8.2.2 te: trailers": (fields(("te", "trailers")), GOOD),
    # 8.2.3
    "8.2.3 cookies in crumbs": (fields(("cookie", "a=1"), ("cookie", "b=2")), GOOD),
    # 8.3
    "8.3 unknown": (pseudo(METHOD, SCHEME, AUTHORITY, PATH, (":other", "v")), BAD),
    "8.3 empty pseudo-name": (pseudo(METHOD, SCHEME, AUTHORITY, PATH, (":", "v")), BAD),
    "8.3 of a response": (pseudo(METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")), BAD),
    "8.3 after a field": (pseudo(METHOD, SCHEME, AUTHORITY, ("x-a", "v"), PATH), BAD),
    "8.3 method after a field": (pseudo(("x-a", "v"), METHOD, SCHEME, AUTHORITY, PATH), BAD),
    "8.3 in trailers": (trailers((":path", "/x")), BAD),
    "8.3 :status in trailers": (trailers((":status", "200")), BAD),
    "8.3 upper case": (pseudo(METHOD, SCHEME, AUTHORITY, (":Path", "/")), BAD),
    # 8.3.1
    "8.3.1 no :method": (pseudo(SCHEME, AUTHORITY, PATH), BAD),
    "8.3.1 no :scheme": (pseudo(METHOD, AUTHORITY, PATH), BAD),
    "8.3.1 no :path": (pseudo(METHOD, SCHEME, AUTHORITY), BAD),
    "8.3.1 nothing at all": (headers(1, b""), BAD),
    "8.3.1 neither :authority nor host": (pseudo(METHOD, SCHEME, PATH), BAD),
    "8.3.1 :method twice": (pseudo(METHOD, METHOD, SCHEME, AUTHORITY, PATH), BAD),
    "8.3.1 :scheme twice": (pseudo(METHOD, SCHEME, SCHEME, AUTHORITY, PATH), BAD),
    "8.3.1 :path twice": (pseudo(METHOD, SCHEME, AUTHORITY, PATH, PATH), BAD),
    "8.3.1 :authority twice": (pseudo(METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH), BAD),
    "8.3.1 two different paths": (pseudo(METHOD, SCHEME, AUTHORITY, PATH, (":path", "/x")), BAD),
    "8.3.1 empty :path": (fields(path=""), BAD),
    "8.3.1 empty :method": (fields(method=""), BAD),
    "8.3.1 empty :scheme": (fields(scheme=""), BAD),
    "8.3.1 empty :authority": (fields(authority=""), BAD),
    "8.3.1 :path without slash": (fields(path="x"), BAD),
    "8.3.1 :path of a query": (fields(path="?x"), BAD),
    "8.3.1 :path that is absolute": (fields(path="http://b.test/x"), BAD),
    "8.3.1 :path with a fragment": (fields(path="/x#y"), BAD),
    "8.3.1 :path with a space": (fields(path="/x y"), BAD),
    "8.3.1 :path with CR LF": (fields(path="/x HTTP/1.1\r\nx-b: c"), BAD),
    "8.3.1 :path with NUL": (fields(path="/x\0"), BAD),
    "8.3.1 :path with a high byte": (fields(path=b"/\xe9"), BAD),
    "8.3.1 asterisk with GET": (fields(path="*"), BAD),
    "8.3.1 asterisk with OPTIONS": (fields(method="OPTIONS", path="*"), GOOD),
    "8.3.1 :method that is no token": (fields(method="G T"), BAD),
    "8.3.1 :method with LF": (fields(method="GET\n"), BAD),
    "8.3.1 :scheme that is none": (fields(scheme="ht tp"), BAD),
    "8.3.1 :scheme with LF": (fields(scheme="http\nx"), BAD),
    "8.3.1 userinfo": (fields(authority="u@a.test"), BAD),
    "8.3.1 user and password": (fields(authority="u:p@a.test"), BAD),
    "8.3.1 :authority with a path": (fields(authority="a.test/x"), BAD),
    "8.3.1 :authority with a space": (fields(authority="a b"), BAD),
    "8.3.1 :authority with port too large": (fields(authority="a.test:65536"), BAD),
    "8.3.1 host that differs": (fields(("host", "b.test")), BAD),
    "8.3.1 host twice": (fields(("host", "a.test"), ("host", "b.test")), BAD),
    "8.3.1 host that is the same": (fields(("host", "a.test")), GOOD),
    "8.3.1 host alone": (fields(("host", "a.test"), authority=None), GOOD),
    "8.3.1 host alone, twice": (fields(("host", "a.test"), ("host", "a.test"), authority=None), BAD),
    "8.3.1 host alone, with a space": (fields(("host", "a b"), authority=None), BAD),
    "8.3.1 order of pseudo-fields": (pseudo(PATH, AUTHORITY, SCHEME, METHOD), GOOD),
    # 8.5
    "8.5 CONNECT with :path": (fields(method="CONNECT", scheme=None), BAD),
    "8.5 CONNECT with :scheme": (fields(method="CONNECT", path=None), BAD),
    "8.5 CONNECT with both": (fields(method="CONNECT"), BAD),
    "8.5 CONNECT without :authority": (pseudo((":method", "CONNECT")), BAD),
    "8.5 CONNECT here": (pseudo((":method", "CONNECT"), (":authority", "a.test:80")), Answered(status=405)),
    # RFC 8441 4
    "8441 4 :protocol with GET": (pseudo(METHOD, SCHEME, AUTHORITY, PATH, (":protocol", "websocket")), BAD),
    "8441 4 :protocol without :path": (pseudo((":method", "CONNECT"), (":protocol", "websocket"), SCHEME, AUTHORITY), BAD),
    "8441 4 :protocol twice": (pseudo((":method", "CONNECT"), (":protocol", "websocket"), (":protocol", "websocket"),
                                      SCHEME, AUTHORITY, PATH), BAD),
}


@pytest.mark.parametrize("steps, expected", FRAMES.values(), ids=FRAMES.keys())
def test_frames(connect, steps, expected):
    client = connect()
    run(client, steps)
    expected.check(client)
    serves(connect())


@pytest.mark.parametrize("steps, expected", COMPRESSED.values(), ids=COMPRESSED.keys())
def test_compression(connect, steps, expected):
    """RFC 7541."""
    client = connect()
    run(client, steps)
    expected.check(client)
    serves(connect())


@pytest.mark.parametrize("steps, expected", MESSAGES.values(), ids=MESSAGES.keys())
def test_messages(connect, origin, steps, expected):
    """What is malformed is refused, and is no whole request at the server."""
    client = connect()
    before = len(origin.requests)
    run(client, steps)
    expected.check(client)
    got = origin.requests[before:]
    wanted = 2 if isinstance(expected, Answered) and expected.status == 200 else 1
    assert len(got) == wanted or getattr(expected, "seen", False), [request.target for request in got]


# 3.4

GARBAGE = {
    "another last word": PREFACE[:-6] + b"XX\r\n\r\n" + settings_frame(),
    "half": PREFACE[:16] + bytes(16),
    "frames alone": settings_frame() + headers(1, REQUEST),
    "twice": PREFACE + PREFACE,
    "no SETTINGS, but HEADERS": PREFACE + headers(1, REQUEST),
    "no SETTINGS, but PING": PREFACE + ping(),
    "no SETTINGS, but an ACK": PREFACE + SETTINGS_ACK,
    "garbage": PREFACE + b"\xff" * 64,
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
def test_preface_that_is_wrong(connect, guise, stage, sent):
    """A connection error PROTOCOL_ERROR, of which GOAWAY may be left out; what is not HTTP/2 at all may be answered as HTTP/1."""
    client = stage.client(guise.reverse)
    client.send(sent)
    client.half_close()
    got = client.read_to_end()
    if got.startswith(b"HTTP/1.1 "):
        assert got[9:12] in (b"400", b"405", b"505") and not sent.startswith(PREFACE)
    else:
        codes = goaways(got)
        assert set(codes) <= {Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR}, got
    serves(connect())


def goaways(got):
    """The codes of all GOAWAY in these frames, among which there may be no answer."""
    codes, at = [], 0
    while at < len(got):
        size = int.from_bytes(got[at:at + 3], "big")
        assert got[at + 3] in (Kind.SETTINGS, Kind.WINDOW_UPDATE, Kind.GOAWAY), got
        if got[at + 3] == Kind.GOAWAY:
            codes.append(int.from_bytes(got[at + 13:at + 17], "big"))
        at += 9 + size
    return codes


def test_preface_that_comes_slowly(connect):
    client = connect(greet=False, settle=False)
    for octet in PREFACE + settings_frame() + headers(1, REQUEST):
        client.send(bytes([octet]))
    client.finish(client.open(1))
    assert client.streams[1].status == 200


def test_requests_need_not_wait_for_settings(connect):
    """RFC 9113 3.4: a client may send at once."""
    client = connect(greet=False, settle=False)
    stream = client.open(1)
    client.send(PREFACE, settings_frame(), headers(1, REQUEST))
    assert client.finish(stream).status == 200
    client.until(lambda: client.acks == 1, "ACK of SETTINGS")


def test_http1_beside_http2(connect, guise, stage):
    assert stage.client(guise.reverse).get().status == 200
    serves(connect())


def test_frames_cut_at_every_byte(connect):
    sent = post(1) + data(1, b"hello", padding=3) + headers(1, block(("x-a", "v"))) + get(3) + ping()
    for at in range(1, len(sent)):
        client = connect()
        one, three = client.open(1), client.open(3)
        client.send(sent[:at])
        client.send(sent[at:])
        client.finish(one)
        client.finish(three)
        client.until(lambda: client.pongs == 1, "PING")
        assert one.body == b"hello" and three.body == b"ok"
        client.close()


# 5.1

def test_frames_on_a_stream_that_was_reset_by_us_are_ignored(connect):
    """RFC 9113 5.1: they may have been on their way."""
    client = connect()
    run(client, post(fields=[("X", "v")]))
    assert client.finish(client.streams[1]).reset is not None or client.streams[1].status == 400
    client.send(data(1, b"late"), window_update(1, 10), headers(1, block(("x-a", "v"))))
    client.quiet()
    assert not client.goaways
    serves(client)


def test_streams_below_a_new_one_are_closed(connect):
    """RFC 9113 5.1.1: the first use of a stream closes all idle ones below it."""
    client = connect()
    run(client, (get(5), finished(5), data(3, b"x")))
    either(3, Code.STREAM_CLOSED, Code.PROTOCOL_ERROR).check(client)


def test_the_highest_stream(connect):
    """RFC 9113 5.1.1: after it there is no other."""
    client = connect()
    run(client, (get(MOST), finished(MOST)))
    assert client.streams[MOST].status == 200
    run(client, get(1))
    client.expect_goaway(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED, Code.NO_ERROR)


def test_streams_over_the_limit_are_refused(shared_stage, connect, origin):
    """RFC 9113 5.1.2: told by SETTINGS; one more is a stream error before they are acknowledged, and nothing worse than an error later."""
    guise = shared_stage.guise(settings.reverse(origin, listener={"http2": "clear"}, limits={"streams": 5}))
    client = http2.Client(guise.reverse)
    client.auto = False
    client.settled()
    assert client.peer[Setting.MAX_CONCURRENT_STREAMS] == 5
    held = [client.request(path="/hold") for _ in range(5)]
    over = client.finish(client.request())
    assert over.reset in (Code.REFUSED_STREAM, Code.PROTOCOL_ERROR) and not over.heads
    assert not client.goaways and not any(stream.over for stream in held)
    client.send(rst_stream(held[0].id))
    held[0].reset = Code.CANCEL
    assert client.get().status == 200
    client.send(SETTINGS_ACK)
    for _ in range(10):
        client.request(path="/hold")
    client.until(lambda: client.goaways or any(stream.reset is not None for stream in client.streams.values()
                                               if stream.id > 17), "an error")
    assert client.goaway_code in (None, Code.PROTOCOL_ERROR, Code.REFUSED_STREAM)
    client.close()
    other = http2.Client(guise.reverse)
    assert other.get().status == 200
    other.close()


# 5.4.1 and 6.8

def test_goaway_tells_the_last_stream(connect):
    client = connect()
    client.get()
    client.get()
    client.send(ping(b"short"))
    client.expect_goaway(Code.FRAME_SIZE_ERROR)
    assert client.goaways[-1][0] == 3


@pytest.mark.parametrize("code", [Code.NO_ERROR, Code.CANCEL, 0xFFFFFFFF])
def test_goaway_of_a_client_lets_streams_end(connect, code):
    """RFC 9113 6.8, 7: whatever the code, what runs goes on."""
    client = connect()
    stream = client.request("POST", "/echo", end=False)
    client.send(goaway(0, code, b"goodbye"))
    client.send_data(stream, b"hello", True)
    assert client.finish(stream).body == b"hello"
    client.read_until_end()
    assert client.goaway_code in (None, Code.NO_ERROR)


# 6.5.3, 6.7

def test_settings_are_acknowledged_once_each(connect):
    client = connect()
    before = client.acks
    client.send(settings_frame(), settings_frame((Setting.HEADER_TABLE_SIZE, 100)), settings_frame((99, 99)))
    client.until(lambda: client.acks == before + 3, "three ACK")
    client.quiet(0.1)
    assert client.acks == before + 3


def next_ping(client):
    while (got := client.read_frame()).kind != Kind.PING:
        pass
    return got


def test_ping_is_answered_with_its_data(connect):
    client = connect()
    client.send(ping(b"\x00\x01abcd\xfe\xff"))
    got = next_ping(client)
    assert (got.flags, got.payload) == (ACK, b"\x00\x01abcd\xfe\xff")


def test_ack_of_ping_is_not_answered(connect):
    client = connect()
    client.send(ping(b"unasked!", ACK), ping(b"question"))
    assert next_ping(client).payload == b"question"


def test_settings_that_we_are_told(connect):
    """What a server may not announce, and what extended CONNECT and RFC 9218 need."""
    client = connect()
    assert Setting.ENABLE_PUSH not in client.peer or client.peer[Setting.ENABLE_PUSH] == 0
    assert client.peer.get(Setting.ENABLE_CONNECT_PROTOCOL) == 1
    assert client.peer.get(Setting.MAX_CONCURRENT_STREAMS) == 100
    assert client.peer.get(Setting.NO_RFC7540_PRIORITIES, 1) == 1


# 6.9: windows

def test_window_of_a_stream_is_kept(connect):
    client = connect({Setting.INITIAL_WINDOW_SIZE: 1}, credit=False)
    stream = client.request(path="/big")
    client.until(lambda: stream.count == 1, "one byte")
    client.quiet(0.1)
    assert stream.count == 1
    for size in (1, 10, 1000):
        before = stream.count
        stream.receive_window += size
        client.send(window_update(stream.id, size))
        client.until(lambda: stream.count == before + size, "as much as the window")  # pylint: disable=cell-var-from-loop


def test_window_of_the_connection_is_kept(connect):
    client = connect({Setting.INITIAL_WINDOW_SIZE: 1 << 20}, credit=False)
    first, second = client.request(path="/big"), client.request(path="/big")
    client.until(lambda: first.count + second.count == 65535, "the window of the connection")
    client.quiet(0.1)
    client.credit = True
    client.receive_window += 1 << 20
    client.send(window_update(0, 1 << 20))
    assert len(client.finish(first).body) == len(client.finish(second).body) == BIG


def test_the_last_of_several_values_counts(connect):
    """RFC 9113 6.5.3."""
    client = connect(credit=False)
    client.send(settings_frame((Setting.INITIAL_WINDOW_SIZE, 100), (Setting.INITIAL_WINDOW_SIZE, 7)))
    client.own[Setting.INITIAL_WINDOW_SIZE] = 7
    client.until(lambda: client.acks == 2, "ACK")
    stream = client.request(path="/big")
    client.until(lambda: stream.count == 7, "7 bytes")
    client.quiet(0.1)
    assert stream.count == 7


def test_window_that_becomes_negative(connect):
    """RFC 9113 6.9.2: a smaller initial window takes from streams that are open."""
    client = connect({Setting.INITIAL_WINDOW_SIZE: 30}, credit=False)
    stream = client.request(path="/big")
    client.until(lambda: stream.count == 30, "30 bytes")
    client.send(settings_frame((Setting.INITIAL_WINDOW_SIZE, 10)))
    client.until(lambda: client.acks == 2, "ACK")
    client.send(window_update(stream.id, 20))  # from -20 to 0
    client.quiet(0.1)
    assert stream.count == 30
    stream.receive_window = 5
    client.send(window_update(stream.id, 5))
    client.until(lambda: stream.count == 35, "5 bytes more")


def test_window_grows_with_settings(connect):
    client = connect({Setting.INITIAL_WINDOW_SIZE: 0}, credit=False)
    stream = client.request(path="/big")
    client.answer(stream)
    client.quiet(0.1)
    assert stream.count == 0 and not stream.ended
    stream.receive_window = 50_000
    client.send(settings_frame((Setting.INITIAL_WINDOW_SIZE, 50_000)))
    client.until(lambda: stream.count == 50_000, "50,000 bytes")


def test_end_of_stream_needs_no_window(connect):
    client = connect({Setting.INITIAL_WINDOW_SIZE: 0}, credit=False)
    assert client.finish(client.request("HEAD", "/")).status == 200
    assert client.finish(client.request("POST", "/echo", body=b"")).status == 200


def fill(client, stream):
    """Sends as much as the peer takes, until its window stays shut."""
    while True:
        room = min(client.send_window, stream.send_window, 16384)
        if room > 0:
            client.send_window -= room
            stream.send_window -= room
            client.send(data(stream.id, bytes(room)))
            client.poll()
            continue
        client.quiet(0.3)
        if min(client.send_window, stream.send_window) <= 0:
            return


def test_more_than_the_window_is_refused(connect):
    """RFC 9113 6.9.1, for a server that takes nothing."""
    client = connect()
    stream = client.request("POST", "/stall", end=False)
    fill(client, stream)
    client.send(data(stream.id, b"x"))
    either(stream.id, Code.FLOW_CONTROL_ERROR).check(client)


def test_padding_counts_in_the_window(connect):
    """RFC 9113 6.9.1: it fills the window; and is given back."""
    client = connect()
    stream = client.request("POST", "/echo", end=False)
    for _ in range(2000):  # half a megabyte of padding
        client.until(lambda: min(client.send_window, stream.send_window) >= 256, "window")
        client.send_window -= 256
        stream.send_window -= 256
        client.send(data(stream.id, b"x", padding=254))
        client.poll()
    client.send_data(stream, b"", True)
    assert client.finish(stream).body == b"x" * 2000


def test_what_is_not_taken_gives_its_window_back(connect):
    """DATA of streams that were refused or reset still counts for the connection, and is given back (RFC 9113 6.9)."""
    client = connect()
    for _ in range(40):
        stream = client.open()
        client.send(headers(stream.id, request_block("POST", "/hold"), False))
        client.until(lambda: client.send_window >= 16384, "window of the connection")
        client.send_window -= 16384
        client.send(data(stream.id, bytes(16384)), rst_stream(stream.id))
        stream.reset = Code.CANCEL
    serves(client)


# 8.1

def test_answers_are_as_the_rules_ask(connect):
    client = connect()
    stream = client.get()
    assert [name for name, _ in stream.head][0] == ":status"
    assert stream.field("content-length") == "2"
    assert client.ask("HEAD", "/").field("content-length") == "2"


def test_early_refusal_of_a_long_request(connect):
    """RFC 9113 8.1: a complete answer, then RST_STREAM with NO_ERROR, for what nobody will read."""
    client = connect()
    stream = client.request("CONNECT", authority="a.test:80", end=False)
    client.finish(stream)
    assert stream.status == 405 and not client.goaways
    serves(client)


def test_request_head_over_the_limit(connect):
    """431, and the connection goes on (RFC 6585 5)."""
    client = connect()
    for extra in ([("x-a", "v" * 9000)], [(f"x-{number}", "v" * 4000) for number in range(10)],
                  [(f"x-{number}", "v") for number in range(150)]):
        stream = client.get(fields=extra)
        assert stream.status == 431 or stream.reset in (Code.PROTOCOL_ERROR, Code.ENHANCE_YOUR_CALM)
        assert not client.goaways
    serves(client)


def test_target_over_the_limit(connect):
    client = connect()
    stream = client.get("/" + "x" * 9000)
    assert stream.status == 414
    serves(client)


def test_cases_can_fail(connect):
    """The table's own judges refuse what they should."""
    for steps, expected in ((get(), PROTOCOL), (get(), BAD), (get(2), Answered(2)), (HELD, either(1, Code.CANCEL))):
        client = connect(timeout=0.5)
        run(client, steps)
        with pytest.raises(AssertionError):
            expected.check(client)
