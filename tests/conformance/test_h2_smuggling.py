"""Between HTTP/2 and HTTP/1 nothing is smuggled (RFC 9113 8.1 to 8.3, 10.3, 10.5): what is not allowed reaches nobody, on either side, and
what is allowed arrives as canonical bytes."""

import pytest

from support import http2, settings
from support.client import chunked, request
from support.frames import (END_HEADERS, Code, Kind, Setting, block, continuation, data, frame, headers, literal,
                            request_block, request_fields, rst_stream)
from support.origin import OK, response
from support.wire import Closed, Truncated, WireError

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
LINE = SMUGGLED.decode()


def serve(peer):
    """The origin: answers everything, with trailers where the path asks for some."""
    while (got := peer.read_request()) is not None:
        if got.target == "/trailers":
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ok", trailers=[("X-T", "v")]))
        elif got.method == "HEAD":
            peer.send(response(200, fields=[("Content-Length", "2")], length=False))
        else:
            peer.send(OK)


@pytest.fixture(scope="module")
def origin(shared_stage):
    return shared_stage.origin(serve)


@pytest.fixture(scope="module")
def guise(shared_stage, origin):
    return shared_stage.guise(settings.reverse(origin, listener={"http2": "clear"}))


@pytest.fixture
def client(guise):
    made = http2.Client(guise.reverse).settled()
    yield made
    made.close()


def field(name, value):
    return headers(1, request_block(fields=[(name, value)]))


def pseudo(**changed):
    return headers(1, request_block(**changed))


def late(*pairs):
    """A request whose fields stand in this order."""
    return headers(1, block(*pairs))


def post(fields, *parts, end=True):
    return (headers(1, request_block("POST", fields=fields), False) + b"".join(data(1, part) for part in parts)
            + (data(1, end=True) if end else b""))


METHOD, SCHEME, AUTHORITY, PATH = request_fields()

# None of these may reach a server, not by one byte.
NEVER = {
    "CR LF in a value": field("x-a", "v\r\nsmuggled: 1"),
    "CR LF CR LF in a value": field("x-a", "v\r\n\r\n" + LINE),
    "LF in a value": field("x-a", "v\nsmuggled: 1"),
    "CR in a value": field("x-a", "v\rsmuggled: 1"),
    "NUL in a value": field("x-a", "v\0smuggled"),
    "CR LF at the end of a value": field("x-smuggled", "v\r\n"),
    "LF at the beginning of a value": field("x-smuggled", "\nv"),
    "control in a value": field("x-smuggled", "v\x01w"),
    "delete in a value": field("x-smuggled", "v\x7fw"),
    "space before a value": field("x-smuggled", " v"),
    "tab after a value": field("x-smuggled", "v\t"),
    "CR LF in a name": field("x-a: v\r\nsmuggled", "1"),
    "LF in a name": field("x-a\nsmuggled", "1"),
    "CR in a name": field("x-a\rsmuggled", "1"),
    "NUL in a name": field("x-a\0smuggled", "1"),
    "colon in a name": field("transfer-encoding: chunked\r\nsmuggled", "1"),
    "colon and nothing else in a name": field("smuggled:a", "1"),
    "colon at the end of a name": field("content-length:", "0"),
    "space at the end of a name": field("transfer-encoding ", "chunked"),
    "space in a name": field("x smuggled", "1"),
    "tab in a name": field("x\tsmuggled", "1"),
    "high byte in a name": field(b"x-smuggled\xa0", "1"),
    "empty name": field("", "smuggled"),
    "empty name of a line": field("", ": smuggled"),
    "upper case": field("Smuggled", "1"),
    "upper case Transfer-Encoding": field("Transfer-Encoding", "chunked"),
    "upper case Host": field("Host", "smuggled.test"),
    "upper case in the middle": field("content-lengtH", "0"),
    "transfer-encoding": field("transfer-encoding", "chunked"),
    "transfer-encoding with spaces": field("transfer-encoding", "x, chunked"),
    "transfer-encoding and content": post([("transfer-encoding", "chunked")], b"0\r\n\r\n" + SMUGGLED),
    "transfer-encoding and content-length": post([("transfer-encoding", "chunked"), ("content-length", "5")], b"hello"),
    "connection": field("connection", "close"),
    "connection that names a field": headers(1, request_block(fields=[("connection", "x-a"), ("x-a", "smuggled")])),
    "connection: upgrade": headers(1, request_block(fields=[("connection", "upgrade"), ("upgrade", "smuggled")])),
    "upgrade": field("upgrade", "h2c"),
    "http2-settings": headers(1, request_block(fields=[("upgrade", "h2c"), ("http2-settings", "AAMAAABk")])),
    "proxy-connection": field("proxy-connection", "keep-alive"),
    "keep-alive": field("keep-alive", "timeout=1"),
    "te of something else": field("te", "smuggled"),
    "te of trailers and more": field("te", "trailers, smuggled"),
    "content-length twice": post([("content-length", "5"), ("content-length", "0")], b"hello"),
    "content-length twice the same": post([("content-length", "5"), ("content-length", "5")], b"hello"),
    "content-length in a list": post([("content-length", "5, 5")], b"hello"),
    "content-length with sign": post([("content-length", "+5")], b"hello"),
    "content-length with space": post([("content-length", "5 ")], b"hello"),
    "content-length in hexadecimal": post([("content-length", "0x5")], b"hello"),
    "content-length with CR LF": post([("content-length", "0\r\n\r\n" + LINE)], b"hello"),
    "content-length without content": headers(1, request_block("POST", fields=[("content-length", "40")])),
    "content-length over 64 bits": post([("content-length", "18446744073709551616")], b""),
    ":method with a line": pseudo(method="GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\nGET"),
    ":method with a space": pseudo(method="GET /smuggled"),
    ":method with a tab": pseudo(method="GET\t/smuggled"),
    ":method empty": pseudo(method="", path="/smuggled"),
    ":path with a line": pseudo(path="/ HTTP/1.1\r\nHost: a.test\r\n\r\nGET /smuggled"),
    ":path with a version": pseudo(path="/smuggled HTTP/1.1"),
    ":path with LF": pseudo(path="/\nsmuggled"),
    ":path with a space": pseudo(path="/ smuggled"),
    ":path with a tab": pseudo(path="/\tsmuggled"),
    ":path with NUL": pseudo(path="/\0smuggled"),
    ":path with a fragment": pseudo(path="/#smuggled"),
    ":path with a high byte": pseudo(path=b"/\xff/smuggled"),
    ":path without slash": pseudo(path="smuggled"),
    ":path of an at sign": pseudo(path="@smuggled.test/"),
    ":path of a colon": pseudo(path=":80/smuggled"),
    ":path that is absolute": pseudo(path="http://smuggled.test/"),
    ":path empty": pseudo(path="", authority="smuggled.test"),
    ":path an asterisk": pseudo(path="*", authority="smuggled.test"),
    ":path with a backslash first": pseudo(path="\\smuggled"),
    ":scheme with a line": pseudo(scheme="http://smuggled.test/ HTTP/1.1\r\nx: "),
    ":scheme with a host": pseudo(scheme="http://smuggled.test/?"),
    ":scheme empty": pseudo(scheme="", path="/smuggled"),
    ":authority with a line": pseudo(authority="a.test\r\nsmuggled: 1"),
    ":authority with LF": pseudo(authority="a.test\nsmuggled: 1"),
    ":authority with a path": pseudo(authority="a.test/smuggled"),
    ":authority with a query": pseudo(authority="a.test?smuggled"),
    ":authority with a fragment": pseudo(authority="a.test#smuggled"),
    ":authority with a user": pseudo(authority="smuggled@a.test"),
    ":authority with a space": pseudo(authority="a.test smuggled"),
    ":authority with a comma": pseudo(authority="a.test, smuggled.test"),
    ":authority with a backslash": pseudo(authority="a.test\\smuggled"),
    ":authority with a port of letters": pseudo(authority="a.test:smuggled"),
    ":authority against host": headers(1, request_block(fields=[("host", "smuggled.test")])),
    ":authority against host, and its port": headers(1, request_block(fields=[("host", "a.test:8080")])),
    ":authority against the second host": headers(1, request_block(fields=[("host", "a.test"),
                                                                            ("host", "smuggled.test")])),
    ":authority empty, and host": headers(1, request_block(authority="", fields=[("host", "smuggled.test")])),
    "two hosts": headers(1, request_block(authority=None, fields=[("host", "a.test"), ("host", "smuggled.test")])),
    "host with a line": headers(1, request_block(authority=None, fields=[("host", "a.test\r\nsmuggled: 1")])),
    "neither :authority nor host": headers(1, request_block(authority=None, path="/smuggled")),
    ":path after a field": late(METHOD, SCHEME, AUTHORITY, ("x-a", "v"), (":path", "/smuggled")),
    ":authority after a field": late(METHOD, SCHEME, PATH, ("x-a", "v"), (":authority", "smuggled.test")),
    ":path twice": late(METHOD, SCHEME, AUTHORITY, PATH, (":path", "/smuggled")),
    ":method twice": late(METHOD, (":method", "SMUGGLED"), SCHEME, AUTHORITY, PATH),
    ":authority twice": late(METHOD, SCHEME, AUTHORITY, (":authority", "smuggled.test"), PATH),
    ":scheme twice": late(METHOD, SCHEME, (":scheme", "https"), AUTHORITY, (":path", "/smuggled")),
    "unknown pseudo-field": late(METHOD, SCHEME, AUTHORITY, PATH, (":smuggled", "1")),
    "pseudo-field of a name with CR LF": late(METHOD, SCHEME, AUTHORITY, PATH, (":x\r\nsmuggled", "1")),
    ":status in a request": late(METHOD, SCHEME, AUTHORITY, (":path", "/smuggled"), (":status", "200")),
    ":protocol in a GET": late(METHOD, SCHEME, AUTHORITY, (":path", "/smuggled"), (":protocol", "websocket")),
    "no :path": late(METHOD, SCHEME, (":authority", "smuggled.test")),
    "no :method": late(SCHEME, AUTHORITY, (":path", "/smuggled")),
    "no :scheme": late(METHOD, AUTHORITY, (":path", "/smuggled")),
    "CONNECT": late((":method", "CONNECT"), (":authority", "smuggled.test:80")),
    "CONNECT with a path": late((":method", "CONNECT"), (":authority", "a.test:80"), SCHEME, (":path", "/smuggled")),
    "half a head in CONTINUATION": headers(1, request_block(fields=[("x-a", "v")])[:-3], done=False)
                                   + continuation(1, b"\r\n\n"),
    "TRACE": pseudo(method="TRACE", path="/smuggled"),
}


def marked(origin):
    """A function that returns what the origin received from now on."""
    before = {peer: len(peer.received) for peer in origin.peers}
    return lambda: b"\n".join(bytes(peer.received[before.get(peer, 0):]) for peer in origin.peers)


@pytest.mark.parametrize("sent", NEVER.values(), ids=NEVER.keys())
def test_no_byte_of_it_reaches_a_server(client, origin, guise, sent):
    received = marked(origin)
    stream = client.open(1)
    client.send(sent)
    try:
        client.finish(stream)
        assert stream.status is None or 400 <= stream.status < 500, client
        assert stream.status is not None or stream.reset == Code.PROTOCOL_ERROR, client
    except Closed:
        assert client.goaways, client
    assert received().strip() == b""
    other = http2.Client(guise.reverse)
    assert other.get("/innocent").status == 200
    other.close()
    assert received().strip().startswith(b"GET /innocent ") and b"smuggled" not in received().lower()


# What shows only after the head: the server is never given a whole request out of it, and nothing on its connection after it.
LATER = {
    "content-length too high": post([("content-length", "90")], b"hello"),
    "content-length too high, trailers": post([("content-length", "6")], b"hello", end=False)
                                         + headers(1, block(("x-a", "v"))),
    "trailers that are upper case": post([], b"hello", end=False) + headers(1, block(("Smuggled", "v"))),
    "trailers with CR LF": post([], b"hello", end=False) + headers(1, block(("x-a", "v\r\nsmuggled: 1"))),
    "trailers with CR LF in a name": post([], b"hello", end=False) + headers(1, block(("x-a: v\r\nsmuggled", "1"))),
    "trailers with a pseudo-field": post([], b"hello", end=False) + headers(1, block((":path", "/smuggled"))),
    "trailers with transfer-encoding": post([], b"hello", end=False) + headers(1, block(("transfer-encoding", "smuggled"))),
    "trailers with connection": post([], b"hello", end=False) + headers(1, block(("connection", "smuggled"))),
    "a second head": post([], b"hello", end=False) + headers(1, request_block(path="/smuggled")),
    "a second head without end": post([], b"hello", end=False) + headers(1, block(("smuggled", "v")), False),
    "reset": post([], b"hello", end=False) + rst_stream(1),
    "reset within the length": post([("content-length", "90")], b"hello", end=False) + rst_stream(1),
}


@pytest.mark.parametrize("sent", LATER.values(), ids=LATER.keys())
def test_what_ends_badly_is_no_whole_request(client, origin, guise, sent):
    before, received = len(origin.requests), marked(origin)
    stream = client.open(1)
    client.send(sent)
    if not sent.endswith(rst_stream(1)):
        client.finish(stream)
        assert stream.reset is not None or stream.status == 400
    other = http2.Client(guise.reverse)
    assert other.get("/innocent").status == 200
    other.close()
    assert [got.target for got in origin.requests[before:]] == ["/innocent"]
    assert b"smuggled" not in received().lower()


def test_content_beyond_its_length_is_never_another_request(client, origin, guise):
    before, received = len(origin.requests), marked(origin)
    stream = client.open(1)
    client.send(post([("content-length", "5")], b"hello" + SMUGGLED))
    client.finish(stream)
    assert stream.status == 400 or stream.reset is not None
    other = http2.Client(guise.reverse)
    assert other.get("/innocent").status == 200
    other.close()
    assert all(got.target in ("/", "/innocent") and got.body in (b"", b"hello") for got in origin.requests[before:])
    assert b"smuggled" not in received()


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "POST"])
def test_content_that_looks_like_a_request(stage, method):
    """It stays inside its framing; and where a server may overlook it, its connection carries nothing else."""
    origin = stage.origin(serve)
    guise = stage.guise(settings.reverse(origin, listener={"http2": "clear"}))
    client = http2.Client(guise.reverse)
    assert client.ask(method, "/first", body=SMUGGLED).status == 200
    assert client.get("/second").status == 200
    assert [(got.target, got.body) for got in origin.requests] == [("/first", SMUGGLED), ("/second", b"")]
    assert len(origin.peers) == (1 if method == "POST" else 2)
    client.close()


# What is legal arrives as canonical bytes.

def arrived(client, origin, *arguments, **named):
    """The request as the origin read it."""
    assert client.ask(*arguments, **named).status == 200
    return origin.requests[-1]


def plain(got):
    """Its fields, without what Guise itself has to say."""
    own = ("via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip", "x-request-id")
    return [(name.lower(), value) for name, value in got.fields if name.lower() not in own]


def test_plain_request(client, origin):
    got = arrived(client, origin, "GET", "/a?b=c", [("x-a", "v"), ("accept", "*/*")], authority="site.test:8080")
    assert got.head == b"" and (got.method, got.target, got.version) == ("GET", "/a?b=c", "HTTP/1.1")
    assert plain(got) == [("host", "site.test:8080"), ("x-a", "v"), ("accept", "*/*")]
    assert got.framing == "none"


def test_host_alone_becomes_host(client, origin):
    assert plain(arrived(client, origin, fields=[("host", "site.test")], authority=None)) == [("host", "site.test")]


def test_host_beside_the_same_authority(client, origin):
    assert plain(arrived(client, origin, fields=[("host", "a.test")])) == [("host", "a.test")]


def test_asterisk(client, origin):
    got = arrived(client, origin, "OPTIONS", "*")
    assert (got.method, got.target) == ("OPTIONS", "*")


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_content_of_known_length(client, origin, size):
    got = arrived(client, origin, "POST", fields=[("content-length", str(size))], body=bytes(size))
    assert got.fields.all("content-length") == [str(size)] and not got.fields.has("transfer-encoding")
    assert got.body == bytes(size)


def test_content_of_unknown_length(client, origin):
    got = arrived(client, origin, "POST", body=b"hello")
    assert got.framing == "chunked" and not got.fields.has("content-length") and got.body == b"hello"


def test_no_content(client, origin):
    got = arrived(client, origin, "GET")
    assert not got.fields.has("content-length") and not got.fields.has("transfer-encoding")


def test_trailers(client, origin):
    got = arrived(client, origin, "POST", fields=[("trailer", "x-t")], body=b"hello", trailers=[("x-t", "v")])
    assert got.body == b"hello" and list(got.trailers) == [("x-t", "v")]


def test_trailers_of_a_server(client):
    stream = client.get("/trailers", fields=[("te", "trailers")])
    assert [(name, value) for name, value in stream.trailers] == [("x-t", "v")]


def test_cookie_crumbs_are_joined(client, origin):
    """RFC 9113 8.2.3."""
    got = arrived(client, origin, fields=[("cookie", "a=1"), ("x-a", "v"), ("cookie", "b=2"), ("cookie", "c=3; d=4")])
    assert got.fields.all("cookie") == ["a=1; b=2; c=3; d=4"]


def test_te_trailers_is_no_field_of_the_connection(client, origin):
    """RFC 9110 10.1.4: sent on, it is named in Connection; or it is not sent on."""
    got = arrived(client, origin, fields=[("te", "trailers")])
    assert not got.fields.has("te") or "te" in got.fields.get("connection", "").lower()


@pytest.mark.parametrize("name, value", [
    ("x-a", ""), ("x-a", "v w\tx"), ("x-a", "\xe9\xff"), ("x!#$%&'*+-.^_`|~9", "v"), ("x-a", ":"), ("x-a", "a: b"),
    ("x-a", "%0d%0asmuggled:1"), ("x-a", "chunked"), ("x-transfer-encoding", "chunked"), ("x-a", "v" * 4000)])
def test_odd_but_legal_fields(client, origin, name, value):
    assert plain(arrived(client, origin, fields=[(name, value)]))[1:] == [(name, value)]


def test_fields_that_repeat_keep_their_order(client, origin):
    got = arrived(client, origin, fields=[("x-a", "1"), ("x-b", "2"), ("x-a", "3")])
    assert plain(got)[1:] == [("x-a", "1"), ("x-b", "2"), ("x-a", "3")]


def test_never_indexed_fields(client, origin):
    stream = client.open(1)
    client.send(headers(1, request_block() + literal("authorization", "Basic c2VjcmV0", 0x10)))
    assert client.finish(stream).status == 200
    assert origin.requests[-1].fields.get("authorization") == "Basic c2VjcmV0"


# HTTP/1 to HTTP/2

@pytest.fixture(scope="module")
def inner(shared_stage):
    """A server of HTTP/2 that keeps what it was asked."""
    asked = []

    def handler(connection, stream):
        asked.append(stream)
        connection.answer(stream, 200, [("content-length", "2")], None if stream.head.get(":method") == "HEAD" else b"ok")
    made = shared_stage.origin(http2.serving(handler))
    made.asked = asked
    return made


@pytest.fixture(scope="module")
def outer(shared_stage, inner):
    return shared_stage.guise(settings.reverse(inner, upstream={"http": "2"}, listener={"http2": "clear"}))


def pairs(stream):
    own = ("via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip")
    return [(name, value) for name, value in stream.head if name not in own]


def test_http1_request_as_http2(stage, outer, inner):
    got = stage.client(outer.reverse).ask(
        b"POST /a?b HTTP/1.1\r\nHost: A.test:80\r\nX-Upper: V\r\nConnection: keep-alive, X-Hop\r\nX-Hop: v\r\n"
        b"Keep-Alive: timeout=5\r\nTE: trailers, deflate\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
        + chunked(b"hel", b"lo", trailers=[("X-T", "v")]))
    assert got.status == 200
    stream = inner.asked[-1]
    found = dict(pairs(stream))
    assert (found[":method"], found[":scheme"], found[":path"]) == ("POST", "http", "/a?b")
    assert found[":authority"].lower().startswith("a.test") and "host" not in found
    assert found["x-upper"] == "V" and "x-hop" not in found and found.get("te", "trailers") == "trailers"
    assert stream.body == b"hello" and list(stream.trailers) == [("x-t", "v")]


@pytest.mark.parametrize("fields", [
    [("Connection", "close")], [("Proxy-Connection", "keep-alive")], [("Upgrade", "h2c"), ("Connection", "upgrade")],
    [("TE", "gzip")], [("Keep-Alive", "timeout=1")], [("Expect", "100-continue"), ("Content-Length", "0")]])
def test_fields_of_the_connection_stay_behind(stage, outer, inner, fields):
    """The reader of the server refuses what RFC 9113 8.2.2 forbids."""
    assert stage.client(outer.reverse).ask(request("POST", fields=fields)).status == 200
    assert all(name.lower() not in http2.FORBIDDEN for name, _ in inner.asked[-1].head)


def test_absolute_target_as_http2(stage, outer, inner):
    assert stage.client(outer.reverse).ask(b"GET http://b.test/x HTTP/1.1\r\nHost: b.test\r\n\r\n").status == 200
    found = dict(inner.asked[-1].head)
    assert (found[":authority"], found[":path"]) == ("b.test", "/x")


def test_asterisk_as_http2(stage, outer, inner):
    assert stage.client(outer.reverse).ask(request("OPTIONS", "*")).status == 200
    assert inner.asked[-1].head.get(":path") == "*"


@pytest.mark.parametrize("sent", [
    b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + SMUGGLED,
    b"GET / HTTP/1.1\r\nHost: a.test\r\n:path: /smuggled\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nX: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nX\0: b\r\n\r\n"])
def test_malformed_http1_reaches_no_http2_server(stage, outer, inner, sent):
    before = len(inner.asked)
    client = stage.client(outer.reverse)
    client.send(sent)
    assert client.read_response().status == 400
    client.expect_end()
    assert stage.client(outer.reverse).get().status == 200
    assert len(inner.asked) == before + 1


def test_http2_to_http2(outer, inner):
    """Both codecs, one meaning."""
    client = http2.Client(outer.reverse)
    assert client.ask("POST", "/x", [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")], b"hello",
                      trailers=[("x-t", "v")]).status == 200
    stream = inner.asked[-1]
    assert stream.body == b"hello" and list(stream.trailers) == [("x-t", "v")]
    assert "; ".join(stream.head.all("cookie")) == "a=1; b=2"
    client.close()


# Responses of an HTTP/2 server

GOOD = (":status", "200")


def answer(*fields, end=True, more=b""):
    return lambda number: headers(number, block(*fields), end) + more


def then(*fields, follow):
    """A head, and then what `follow` makes of the stream's number."""
    return lambda number: headers(number, block(*fields), False) + follow(number)


def whole(*fields):
    """A response with two bytes of content."""
    return then(*fields, follow=lambda number: data(number, b"ok", True))


BAD_RESPONSES = {
    "no :status": whole(("content-length", "2")),
    "nothing at all": whole(),
    ":status of two digits": whole((":status", "20")),
    ":status of four digits": whole((":status", "2000")),
    ":status of letters": whole((":status", "abc")),
    ":status empty": whole((":status", "")),
    ":status with sign": whole((":status", "+20")),
    ":status with space": whole((":status", "200 ")),
    ":status with reason": whole((":status", "200 OK")),
    ":status 000": whole((":status", "000")),
    ":status 099": whole((":status", "099")),
    ":status 101": whole((":status", "101")),
    ":status 101 and the end": answer((":status", "101")),
    ":status with a line": whole((":status", "200\r\nsmuggled: 1")),
    ":status twice": whole(GOOD, GOOD),
    ":status after a field": whole(("x-a", "v"), GOOD),
    "pseudo-field of a request": whole(GOOD, (":path", "/smuggled")),
    "unknown pseudo-field": whole(GOOD, (":smuggled", "1")),
    "upper case": whole(GOOD, ("Smuggled", "1")),
    "upper case Content-Length": whole(GOOD, ("Content-Length", "2")),
    "empty name": whole(GOOD, ("", "smuggled")),
    "colon in a name": whole(GOOD, ("smuggled:", "1")),
    "CR LF in a name": whole(GOOD, ("x\r\nsmuggled", "1")),
    "space in a name": whole(GOOD, ("x smuggled", "1")),
    "CR LF in a value": whole(GOOD, ("x-a", "v\r\nsmuggled: 1")),
    "CR LF CR LF in a value": whole(GOOD, ("x-a", "v\r\n\r\nsmuggled")),
    "LF in a value": whole(GOOD, ("x-a", "v\nsmuggled: 1")),
    "CR in a value": whole(GOOD, ("x-a", "v\rsmuggled")),
    "NUL in a value": whole(GOOD, ("x-a", "v\0smuggled")),
    "space before a value": whole(GOOD, ("smuggled", " v")),
    "connection": whole(GOOD, ("connection", "close")),
    "keep-alive": whole(GOOD, ("keep-alive", "smuggled")),
    "proxy-connection": whole(GOOD, ("proxy-connection", "smuggled")),
    "transfer-encoding": whole(GOOD, ("transfer-encoding", "chunked")),
    "upgrade": whole(GOOD, ("upgrade", "smuggled")),
    "content-length twice": whole(GOOD, ("content-length", "2"), ("content-length", "3")),
    "content-length of letters": whole(GOOD, ("content-length", "smuggled")),
    "content-length with sign": whole(GOOD, ("content-length", "+2")),
    "content-length in a list": whole(GOOD, ("content-length", "2, 2")),
    "content-length without content": answer(GOOD, ("content-length", "5")),
    "content-length over 64 bits": whole(GOOD, ("content-length", "18446744073709551618")),
    "interim response with the end": answer((":status", "103")),
    "interim response that is malformed": answer((":status", "103"), ("Smuggled", "1"), end=False),
    "interim response with content": then((":status", "103"), follow=lambda number: data(number, b"smuggled", True)),
    "content before the head": lambda number: data(number, b"smuggled") + headers(number, block(GOOD)),
    "head too long": whole(GOOD, *[(f"x-{number}", "v" * 3000) for number in range(5)]),
    "a pushed stream": lambda number: frame(Kind.PUSH_PROMISE, END_HEADERS, number, b"\0\0\0\x02" + request_block()),
    "a stream of the server's own": lambda number: headers(2, block(GOOD)),
    "a field block that does not decode": lambda number: headers(number, b"\xff\xff\xff\xff\xff\xff\xff"),
    "reset": lambda number: rst_stream(number, Code.INTERNAL_ERROR),
    "reset after an interim response": lambda number: headers(number, block((":status", "103")), False)
                                       + rst_stream(number, Code.INTERNAL_ERROR),
    "garbage": lambda number: b"\0" * 8 + b"\xff" * 60,
    "HTTP/1": lambda number: OK,
}

# The head is good; what follows is not. The head may have gone out, but never a response that looks complete.
CUT = {
    "content-length too high": then(GOOD, ("content-length", "9"), follow=lambda number: data(number, b"ok", True)),
    "content-length too low": then(GOOD, ("content-length", "1"), follow=lambda number: data(number, b"ok", True)),
    "content-length too low, in two": then(GOOD, ("content-length", "2"), follow=lambda number:
                                           data(number, b"ok") + data(number, b"smuggled", True)),
    "content-length too high, trailers": then(GOOD, ("content-length", "3"), follow=lambda number:
                                              data(number, b"ok") + headers(number, block(("x-a", "v")))),
    "pseudo-field in trailers": then(GOOD, follow=lambda number:
                                     data(number, b"ok") + headers(number, block((":status", "200")))),
    "upper case in trailers": then(GOOD, follow=lambda number:
                                   data(number, b"ok") + headers(number, block(("Smuggled", "1")))),
    "CR LF in trailers": then(GOOD, follow=lambda number:
                              data(number, b"ok") + headers(number, block(("x-a", "v\r\nsmuggled: 1")))),
    "transfer-encoding in trailers": then(GOOD, follow=lambda number: data(number, b"ok")
                                          + headers(number, block(("transfer-encoding", "smuggled")))),
    "trailers without the end": then(GOOD, follow=lambda number:
                                     data(number, b"ok") + headers(number, block(("smuggled", "v")), False)),
    "a second head": then(GOOD, follow=lambda number: data(number, b"ok") + headers(number, block((":status", "404")))),
    "reset": then(GOOD, follow=lambda number: data(number, b"ok") + rst_stream(number, Code.INTERNAL_ERROR)),
    "garbage": then(GOOD, follow=lambda number: data(number, b"ok") + b"\0" * 8 + b"\xff" * 60),
    "padding longer than the frame": then(GOOD, follow=lambda number: frame(Kind.DATA, 9, number, b"\xffok")),
}


class Hostile:
    """A script: answers the path /bad with these bytes, anything else well."""

    def __init__(self):
        self.make = None

    def __call__(self, connection):
        while (stream := connection.next_request()) is not None:
            if stream.head.get(":path") != "/bad":
                http2.ok(connection, stream)
                continue
            connection.send(self.make(stream.id))


@pytest.fixture(scope="module")
def hostile(shared_stage):
    script = Hostile()
    origin = shared_stage.origin(http2.scripted(script))
    config = settings.reverse(origin, upstream={"http": "2"}, listener={"http2": "clear"}, limits={"head": "8 KiB"})
    script.guise = shared_stage.guise(config)
    return script


def innocent(stage, guise):
    """A good request after the bad one."""
    assert stage.client(guise.reverse).get("/good").status == 200


@pytest.mark.parametrize("make", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_bad_response_to_http1(stage, hostile, make):
    hostile.make = make
    client = stage.client(hostile.guise.reverse)
    got = client.get("/bad")
    assert got.status == 502 and b"smuggled" not in bytes(client.received).lower()
    innocent(stage, hostile.guise)


@pytest.mark.parametrize("make", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_bad_response_to_http2(stage, hostile, make):
    hostile.make = make
    client = http2.Client(hostile.guise.reverse)
    stream = client.get("/bad")
    assert stream.status == 502 and b"smuggled" not in repr(stream).lower().encode()
    assert client.get("/good").status == 200
    innocent(stage, hostile.guise)
    client.close()


@pytest.mark.parametrize("make", CUT.values(), ids=CUT.keys())
def test_response_that_ends_badly_to_http1(stage, hostile, make):
    hostile.make = make
    client = stage.client(hostile.guise.reverse)
    try:
        assert client.get("/bad").status == 502
    except WireError as error:
        assert isinstance(error, (Truncated, Closed)), error
    except ConnectionError:
        pass
    assert b"smuggled" not in bytes(client.received).lower()
    innocent(stage, hostile.guise)


@pytest.mark.parametrize("make", CUT.values(), ids=CUT.keys())
def test_response_that_ends_badly_to_http2(stage, hostile, make):
    hostile.make = make
    client = http2.Client(hostile.guise.reverse)
    stream = client.get("/bad")
    assert stream.status == 502 or (stream.reset not in (None, Code.NO_ERROR) and not stream.ended), stream
    assert "smuggled" not in repr(stream).lower()
    assert client.get("/good").status == 200
    innocent(stage, hostile.guise)
    client.close()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("status, method", [(200, "HEAD"), (204, "GET"), (304, "GET")])
def test_content_where_none_may_be(stage, hostile, version, status, method):
    """RFC 9110 6.4.1: the client is given none, and nothing of it as another answer."""
    hostile.make = whole((":status", str(status)), ("x-a", "v"))
    if version == 2:
        client = http2.Client(hostile.guise.reverse)
        stream = client.ask(method, "/bad")
        assert stream.count == 0 and (stream.status in (status, 502) or stream.reset is not None)
        assert client.get("/good").body == b"ok"
        client.close()
        return
    client = stage.client(hostile.guise.reverse)
    got = client.ask(request(method, "/bad"), method)
    assert got.status in (status, 502) and (got.body == b"" or got.status == 502)
    try:
        assert client.get("/good").body == b"ok"
    except (Closed, ConnectionError):
        pass  # what is malformed may end it
    innocent(stage, hostile.guise)


def test_settings_of_a_server_that_are_wrong(stage):
    """A connection error of the server's making is a 502, and the next connection is a new one."""
    wrong = [True]

    def script(connection):
        if wrong and wrong.pop():
            connection.next_request()
            connection.send(frame(Kind.SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"))
            connection.read_until_end()
            assert connection.goaway_code == Code.FLOW_CONTROL_ERROR
            return
        while (stream := connection.next_request()) is not None:
            http2.ok(connection, stream)
    origin = stage.origin(http2.scripted(script))
    guise = stage.guise(settings.reverse(origin, upstream={"http": "2", "retries": 0}))
    assert stage.client(guise.reverse).get().status == 502
    assert stage.client(guise.reverse).get().status == 200


def test_server_that_may_not_push(stage):
    """RFC 9113 8.4: we tell that we take no pushed streams."""
    seen = []
    origin = stage.origin(http2.serving(lambda connection, stream: (seen.append(connection.peer),
                                                                     http2.ok(connection, stream))))
    guise = stage.guise(settings.reverse(origin, upstream={"http": "2"}))
    assert stage.client(guise.reverse).get().status == 200
    assert seen[0].get(Setting.ENABLE_PUSH) == 0
