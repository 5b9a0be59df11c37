"""Every malformed response becomes a 502, or, after its head has gone out, visibly incomplete: never a response that
looks complete and is not, never one client's bytes in another's answer."""

import itertools
import threading

import pytest

from support import settings
from support.client import chunked
from support.origin import OK, answering
from support.waiting import wait_for
from support.wire import Truncated

STATUS = b"HTTP/1.1 200 OK\r\n"
CHUNKED = STATUS + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"


def line(text):
    return text + b"\r\nContent-Length: 2\r\n\r\nok"


def field(text):
    return STATUS + text + b"\r\nContent-Length: 2\r\n\r\nok"


def length(*values):
    return STATUS + b"".join(b"Content-Length: " + value + b"\r\n" for value in values) + b"\r\nhello"


def coding(*values, status=STATUS):
    return status + b"".join(b"Transfer-Encoding: " + value + b"\r\n" for value in values) + b"\r\n" + chunked(b"hello")


BAD_GATEWAY = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 2",
    "half a head": STATUS + b"X-A: b\r\nX-",
    "head without its end": STATUS + b"Content-Length: 2\r\n",
    "text without a head": b"hello world, this is not HTTP at all\r\n\r\n",
    "binary": bytes(range(128, 256)) + b"\r\n\r\n",
    "NULs": b"\0" * 64 + b"\r\n\r\n",
    "another protocol": line(b"ICY 200 OK"),
    "lower case version": line(b"http/1.1 200 OK"),
    "version 2.0": line(b"HTTP/2.0 200 OK"),
    "version 0.9": line(b"HTTP/0.9 200 OK"),
    "version without minor": line(b"HTTP/1 200 OK"),
    "two digits minor": line(b"HTTP/1.10 200 OK"),
    "leading space": line(b" HTTP/1.1 200 OK"),
    "leading empty line of LF": b"\n" + line(b"HTTP/1.1 200 OK"),
    "two spaces before the status": line(b"HTTP/1.1  200 OK"),
    "tab before the status": line(b"HTTP/1.1\t200 OK"),
    "no status": line(b"HTTP/1.1 "),
    "status of two digits": line(b"HTTP/1.1 20 OK"),
    "status of four digits": line(b"HTTP/1.1 2000 OK"),
    "status of letters": line(b"HTTP/1.1 abc OK"),
    "status 000": line(b"HTTP/1.1 000 OK"),
    "status 099": line(b"HTTP/1.1 099 OK"),
    "status with sign": line(b"HTTP/1.1 +20 OK"),
    "status with fraction": line(b"HTTP/1.1 200.1 OK"),
    "bare CR in the reason": line(b"HTTP/1.1 200 O\rK"),
    "NUL in the reason": line(b"HTTP/1.1 200 O\0K"),
    "control in the reason": line(b"HTTP/1.1 200 O\x01K"),
    "bare LF after the status line": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
    "folded with a space": field(b"X-A: b\r\n c"),
    "folded with a tab": field(b"X-A: b\r\n\tc"),
    "space before the first field": STATUS + b" X-A: b\r\nContent-Length: 2\r\n\r\nok",
    "bare CR in a value": field(b"X-A: b\rc"),
    "bare LF as line end": field(b"X-A: b\nX-B: c"),
    "bare LF at the end of the head": STATUS + b"Content-Length: 2\r\n\nok",
    "NUL in a value": field(b"X-A: b\0c"),
    "control in a value": field(b"X-A: b\x01c"),
    "delete in a value": field(b"X-A: b\x7fc"),
    "space before the colon": field(b"X-A : b"),
    "empty name": field(b": b"),
    "no colon": field(b"X-A"),
    "space in the name": field(b"X A: b"),
    "NUL in the name": field(b"X\0A: b"),
    "high byte in the name": field(b"X\xe9A: b"),
    "parenthesis in the name": field(b"X(A: b"),
    "lengths different": length(b"5", b"6"),
    "lengths repeated": length(b"5", b"5"),
    "lengths in a list": length(b"5, 5"),
    "length with plus": length(b"+5"),
    "length with minus": length(b"-5"),
    "length in hexadecimal": length(b"0x5"),
    "length of letters": length(b"five"),
    "length empty": length(b""),
    "length with space inside": length(b"1 0"),
    "length of 2 to the 64": length(b"18446744073709551616"),
    "length of a hundred digits": length(b"9" * 100),
    "length and coding": STATUS + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello"),
    "coding and length": STATUS + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunked(b"hello"),
    "coding gzip": coding(b"gzip"),
    "coding gzip then chunked": coding(b"gzip, chunked"),
    "coding chunked then gzip": coding(b"chunked, gzip"),
    "coding chunked twice": coding(b"chunked, chunked"),
    "coding on two lines": coding(b"chunked", b"chunked"),
    "coding unknown": coding(b"x"),
    "coding with control": coding(b"\x0bchunked"),
    "coding with space before the colon": STATUS + b"Transfer-Encoding : chunked\r\n\r\n" + chunked(b"hello"),
    "coding on HTTP/1.0": coding(b"chunked", status=b"HTTP/1.0 200 OK\r\n"),
    "101 that nobody asked for": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello",
    "interim and then nothing": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "interim and then rubbish": b"HTTP/1.1 100 Continue\r\n\r\nrubbish\r\n\r\n",
    "malformed interim": b"HTTP/1.1 103 Early Hints\r\nLink : </a>\r\n\r\n" + OK,
    "head too long": STATUS + b"".join(b"X-%d: %s\r\n" % (n, b"v" * 7000) for n in range(8)) + b"\r\n",
    "line too long": STATUS + b"X-A: " + b"v" * 100_000 + b"\r\n\r\n",
    "too many fields": STATUS + b"".join(b"X-%d: v\r\n" % n for n in range(5000)) + b"\r\n",
    "status line without end": b"HTTP/1.1 200 " + b"O" * 100_000,
}

BROKEN_BODIES = {
    "length too short": STATUS + b"Content-Length: 10\r\n\r\nhello",
    "length of 2 to the 63 less one": STATUS + b"Content-Length: 9223372036854775807\r\n\r\nhello",
    "length of 2 to the 64 less one": STATUS + b"Content-Length: 18446744073709551615\r\n\r\nhello",
    "chunk of 2 to the 63 less one": CHUNKED + b"7fffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "chunk of 2 to the 64 less one": CHUNKED + b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "two chunks of 2 to the 63": CHUNKED + b"5\r\nhello\r\nfffffffffffffffb\r\nhello\r\n0\r\n\r\n",
    "length, no body at all": STATUS + b"Content-Length: 10\r\n\r\n",
    "chunk of letters": CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n",
    "chunk without size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "chunk with minus": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "chunk with 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk with letter after": CHUNKED + b"5g\r\nhello\r\n0\r\n\r\n",
    "chunk with leading space": CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n",
    "chunk of 17 digits": CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk size with bare LF": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "chunk size with bare CR": CHUNKED + b"5\rhello\r\n0\r\n\r\n",
    "chunk data with bare LF": CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "chunk data without end": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "chunk data too long": CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n",
    "chunk data too short": CHUNKED + b"6\r\nhello\r\n0\r\n\r\n",
    "chunk extension with bare LF": CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "chunk extension with NUL": CHUNKED + b"5;a\0\r\nhello\r\n0\r\n\r\n",
    "chunk extension without end": CHUNKED + b"5;" + b"a" * 100_000,
    "last chunk with bare LF": CHUNKED + b"5\r\nhello\r\n0\n\r\n",
    "no last chunk": CHUNKED + b"5\r\nhello\r\n",
    "no end after the last chunk": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "half an end": CHUNKED + b"5\r\nhello\r\n0\r\n\r",
    "end inside a chunk": CHUNKED + b"5\r\nhel",
    "end inside a size": CHUNKED + b"5",
    "no chunk at all": CHUNKED,
    "trailer folded": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "trailer with bare LF": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: b\n\r\n",
    "trailer with space before the colon": CHUNKED + b"5\r\nhello\r\n0\r\nX-A : b\r\n\r\n",
    "trailer with NUL": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: \0\r\n\r\n",
    "trailer without end": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: b\r\n",
    "trailers without measure": CHUNKED + b"0\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n",
}


class Reply:
    """What the shared origin says next: the bytes on every new connection, then the end of the connection."""

    def __init__(self):
        self.data = OK
        self.reset = False

    def __call__(self, peer):
        while peer.read_request() is not None:
            peer.send(self.data)
            if self.data != OK:
                if self.reset:
                    peer.reset()
                else:
                    peer.half_close()
                    peer.wait_end()
                return


@pytest.fixture(scope="module")
def reply():
    return Reply()


@pytest.fixture(scope="module")
def origin(shared_stage, reply):
    return shared_stage.origin(reply)


@pytest.fixture(scope="module")
def guise(shared_stage, origin):
    return shared_stage.guise(settings.reverse(origin))


def new_target(numbers=itertools.count()):
    """A target of the test's own, to know its entry in the log by."""
    return f"/{next(numbers)}"


def check_recovery(stage, guise, reply):
    """The next client gets its own answer."""
    reply.data = OK
    got = stage.client(guise.reverse).get("/after")
    assert got.status == 200 and got.body == b"ok"


@pytest.mark.parametrize("name", BAD_GATEWAY)
def test_bad_gateway(stage, guise, reply, name):
    reply.data, target = BAD_GATEWAY[name], new_target()
    got = stage.client(guise.reverse).get(target)
    assert got.status == 502
    assert got.error_type()
    entry = guise.wait_log(lambda entry: entry["target"] == target)
    assert entry["status"] == 502 and entry["error"]
    check_recovery(stage, guise, reply)


@pytest.mark.parametrize("name", BROKEN_BODIES)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_incomplete_body_shows(stage, guise, reply, name, version):
    """To an HTTP/1.0 client a chunked body goes until the close: there only a reset shows that it is incomplete."""
    reply.data, target = BROKEN_BODIES[name], new_target()
    client = stage.client(guise.reverse)
    try:
        got = client.ask(f"GET {target} {version}\r\nHost: a.test\r\n\r\n")
        assert got.status == 502, f"looks complete: {got}"
    except (Truncated, ConnectionError):
        pass
    assert guise.wait_log(lambda entry: entry["target"] == target)["error"]
    check_recovery(stage, guise, reply)


@pytest.mark.parametrize("name", ["length too short", "no last chunk", "end inside a chunk"])
def test_reset_in_the_body(stage, guise, reply, name):
    reply.data, reply.reset = BROKEN_BODIES[name], True
    try:
        got = stage.client(guise.reverse).get("/x")
        assert got.status == 502
    except (Truncated, ConnectionError):
        pass
    finally:
        reply.reset = False
    check_recovery(stage, guise, reply)


@pytest.mark.parametrize("first", [
    pytest.param(OK + SMUGGLED, id="after a length"),
    pytest.param(CHUNKED + chunked(b"ok") + SMUGGLED, id="after the last chunk"),
    pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n" + SMUGGLED, id="after a 204"),
    pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" + SMUGGLED, id="after a 304"),
    pytest.param(OK + b"x", id="one byte too many"),
])
def test_more_than_the_response_is_never_the_next_response(stage, first):
    """A connection with left-over bytes is closed and not reused."""
    def script(peer):
        peer.read_request()
        peer.send(first)
        while peer.read_request() is not None:
            peer.send(OK)
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    assert client.get("/1").body in (b"ok", b"")
    for _ in range(3):
        assert client.get("/2").body in (b"ok", b"")
    assert len(origin.peers) > 1
    assert [request.target for request in origin.peers[0].requests] == ["/1"]


def test_response_on_an_idle_connection_is_never_used(stage):
    """A server that speaks unasked loses its connection."""
    go, said = threading.Event(), threading.Event()

    def script(peer):
        peer.read_request()
        peer.send(OK)
        if peer.number == 0:
            go.wait(10)
            peer.send(SMUGGLED)
            said.set()
            peer.wait_end()
            return
        while peer.read_request() is not None:
            peer.send(OK)
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    assert client.get("/1").body == b"ok"
    go.set()
    said.wait(10)
    wait_for(origin.peers[0].ended.is_set, "Guise to close the connection that spoke unasked")
    assert client.get("/2").body == b"ok"
    assert len(origin.peers) == 2


@pytest.mark.parametrize("head, method", [
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", id="HEAD"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD", id="HEAD chunked"),
    pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", "GET", id="204"),
    pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", id="304"),
    pytest.param(b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", "GET", id="304 without length"),
])
def test_responses_without_body_keep_both_connections(stage, head, method):
    origin = stage.origin(answering(head))
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    for _ in range(3):
        got = client.get("/x", method=method)
        assert got.status == int(head.split()[1]) and got.body == b""
    assert len(origin.peers) == 1


@pytest.mark.parametrize("data, body", [
    pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello", id="HTTP/1.0 until close"),
    pytest.param(b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello", id="HTTP/1.1 until close"),
    pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"", id="empty until close"),
    pytest.param(b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", b"hello", id="empty reason"),
    pytest.param(b"HTTP/1.1 200 O\xe9\tK!\r\nContent-Length: 5\r\n\r\nhello", b"hello", id="odd reason"),
    pytest.param(b"HTTP/1.1 299 X\r\nContent-Length: 5\r\n\r\nhello", b"hello", id="unknown status"),
    pytest.param(b"HTTP/1.1 200 OK\r\nX:\r\nX-A:\t\xe9\r\nContent-Length:5\r\n\r\nhello", b"hello", id="odd values"),
    pytest.param(CHUNKED + b'5;a;b="c"\r\nhello\r\n000;x\r\nX-T: t\r\n\r\n', b"hello", id="extensions and trailers"),
])
def test_accepted(stage, guise, reply, data, body):
    reply.data = data
    assert stage.client(guise.reverse).get("/x").body == body
    check_recovery(stage, guise, reply)
