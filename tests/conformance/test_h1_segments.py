"""Where a message is cut into segments changes nothing: each valid message is sent byte by byte and cut at every single
point, in both roles (the request to Guise, the response from the origin)."""

import pytest

from support import settings
from support.client import chunked
from support.origin import OK

PAUSE = 0.0004  # so that two segments are two reads; nothing depends on it

REQUESTS = {
    "get": b"GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n\r\n",
    "empty line before": b"\r\nGET /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "absolute": b"GET http://a.test/a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "length": b"POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
               + b'5;x="y"\r\nhello\r\n1\r\n!\r\n0\r\nX-T: t\r\n\r\n',
    "two in a row": b"GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx",
}

RESPONSES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hel", b"lo", trailers=[("X-T", "t")]),
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "no body": b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
}


def segments_of(data):
    """Byte by byte, then every way to cut in two."""
    yield [data[at:at + 1] for at in range(len(data))]
    for cut in range(1, len(data)):
        yield [data[:cut], data[cut:]]


@pytest.mark.seconds(40)
@pytest.mark.parametrize("name", REQUESTS)
def test_request_cut_anywhere(stage, name):
    data, count = REQUESTS[name], 2 if name == "two in a row" else 1
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, limits={"requests_per_connection": 100_000}))
    client = stage.client(guise.reverse)
    seen = set()
    for segments in segments_of(data):
        client.send_split(*segments, pause=PAUSE)
        for _ in range(count):
            assert client.read_response().body == b"ok"
        last = origin.requests[-count:]
        seen.add(tuple((request.method, request.target, request.body, tuple(request.trailers),
                        tuple(request.fields)) for request in last))
    assert len(seen) == 1, "the forwarded request depends on the segments"
    assert len(origin.requests) == count * len(data)
    assert [request.target for request in last] in (["/a?b=c"], ["/a"], ["/1", "/2"])


@pytest.mark.seconds(40)
@pytest.mark.parametrize("name", RESPONSES)
def test_response_cut_anywhere(stage, name):
    data = RESPONSES[name]
    ways = iter(segments_of(data))

    def script(peer):
        while peer.read_request() is not None:
            peer.send_split(*next(ways), pause=PAUSE)
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin, limits={"requests_per_connection": 100_000}))
    client = stage.client(guise.reverse)
    seen = set()
    for _ in range(len(data)):
        got = client.get("/a")
        seen.add((got.status, got.body, tuple(got.trailers), tuple(field for field in got.fields if field[0] != "Date"),
                  len(got.interim)))
    assert len(seen) == 1, f"the response depends on the segments: {seen}"
    assert len(origin.peers) == 1, "the connection was not kept"


def test_both_sides_byte_by_byte(stage):
    origin = stage.origin(lambda peer: (peer.read_request(), peer.send_bytewise(OK)))
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.send_bytewise(REQUESTS["chunked"])
    assert client.read_response().body == b"ok"
    assert origin.requests[0].body == b"hello!"
