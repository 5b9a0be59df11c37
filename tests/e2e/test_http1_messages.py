"""HTTP/1.1 in both roles: what passes, what is changed on the way, and what is not (RFC 9110, 9112)."""

import threading

import pytest

from support import settings
from support.client import chunked, request
from support.origin import OK, answering, once, response
from support.waiting import wait_for


@pytest.fixture
def pair(stage):
    """An origin with a script, and Guise before it: pair(script) -> (origin, guise, client)."""
    def make(script=None, **config):
        origin = stage.origin(script)
        guise = stage.guise(settings.reverse(origin, **config))
        return origin, guise, stage.client(guise.reverse)
    return make


# bodies and their framing

@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "X-ODD"])
def test_any_method(pair, method):
    origin, _, client = pair(answering(response(200, b"" if method == "HEAD" else b"ok")))
    assert client.get("/x", method=method).status == 200
    assert origin.requests[0].method == method


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 1_000_000])
def test_bodies_of_any_size_both_ways(pair, size):
    body = bytes(n & 0xFF for n in range(256)) * (size // 256 + 1)
    body = body[:size]

    def script(peer):
        while (got := peer.read_request()) is not None:
            peer.send(response(200, got.body))
    origin, _, client = pair(script)
    for _ in range(2):
        assert client.ask(request("POST", body=body, fields=[("Content-Length", size)])).body == body
        half = size // 2
        pieces = [piece for piece in (body[:half], body[half:]) if piece]
        assert client.ask(request("POST", fields=[("Transfer-Encoding", "chunked")]) + chunked(*pieces)).body == body
    assert [len(got.body) for got in origin.requests] == [size] * 4
    assert len(origin.peers) == 1


def test_get_with_a_body(pair):
    origin, _, client = pair()
    assert client.ask(request("GET", body=b"hello")).status == 200
    assert origin.requests[0].body == b"hello"
    assert client.get().status == 200


def test_no_length_is_invented(pair):
    origin, _, client = pair()
    client.get()
    assert not origin.requests[0].fields.has("Content-Length")
    assert not origin.requests[0].fields.has("Transfer-Encoding")


def test_post_with_zero_length_keeps_it(pair):
    origin, _, client = pair()
    client.ask(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
    assert origin.requests[0].fields.all("Content-Length") == ["0"]


def test_chunk_extensions_are_dropped_and_trailers_pass(pair):
    reply = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
             b'5;a="b;c"\r\nhello\r\n0;z\r\nX-T: t\r\n\r\n')
    origin, _, client = pair(answering(reply))
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n"
                b'\r\n5;x=y;q="\\""\r\nhello\r\n0;last\r\nX-T: s\r\nX-U: u\r\n\r\n')
    got = client.read_response()
    assert got.body == b"hello" and got.trailers == [("X-T", "t")]
    assert origin.requests[0].body == b"hello"
    assert origin.requests[0].trailers == [("X-T", "s"), ("X-U", "u")]
    assert b'"b' not in client.received and b"last" not in origin.peers[0].received


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host", "Connection", "Authorization"])
def test_trailers_never_become_framing(pair, name):
    """A trailer that would frame or route the message is refused or dropped (RFC 9110 6.5.1)."""
    origin, _, client = pair()
    client.send(request("POST", fields=[("Transfer-Encoding", "chunked")])
                + b"5\r\nhello\r\n0\r\n" + name.encode() + b": 3\r\nX-T: t\r\n\r\n")
    got = client.read_response()
    assert got.status in (200, 400)
    if got.status == 200 and name in ("Content-Length", "Transfer-Encoding", "Host"):
        assert not origin.requests[0].trailers.has(name)
        assert "3" not in origin.requests[0].fields.all(name)


def test_head_has_no_body_but_its_fields(pair):
    origin, _, client = pair(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nX-A: b\r\n\r\n"))
    got = client.get(method="HEAD")
    assert got.fields.get("Content-Length") == "12345" and got.fields.get("X-A") == "b"
    assert client.get(method="HEAD").status == 200
    assert len(origin.peers) == 1


def test_head_answered_with_a_body_by_a_broken_server(pair):
    """The body of such an answer must not become the next response."""
    _, _, client = pair(answering(response(200, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")))
    assert client.get(method="HEAD").status == 200
    assert client.get(method="HEAD").status in (200, 502)
    got = client.get(method="HEAD")
    assert got.body == b""


@pytest.mark.parametrize("reply", [
    b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"])
def test_statuses_without_body(pair, reply):
    _, _, client = pair(answering(reply))
    assert client.get().status in (204, 304, 502)
    assert client.get().status in (204, 304, 502)


# HTTP/1.0

def test_http10_client_gets_an_end_by_close(pair):
    origin, _, client = pair(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hel", b"lo")))
    got = client.ask(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
    assert got.body == b"hello" and got.framing == "close"
    assert origin.requests[0].version == "HTTP/1.1"


def test_http10_client_with_length_is_closed_too(pair):
    _, _, client = pair()
    assert client.ask(b"GET / HTTP/1.0\r\n\r\n").body == b"ok"
    client.expect_end()


def test_http10_client_may_keep_its_connection(pair):
    _, _, client = pair()
    got = client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert got.body == b"ok"
    if got.fields.get("Connection", "").lower() == "keep-alive":
        assert client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").body == b"ok"
    else:
        client.expect_end()


def test_http10_client_gets_no_interim(pair):
    _, _, client = pair(answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK))
    got = client.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert got.status == 200 and not got.interim


@pytest.mark.parametrize("reply, kept", [
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
    (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", True)])
def test_http10_server(stage, reply, kept):
    origin = stage.origin(answering(reply) if kept else once(reply))
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    for _ in range(3):
        got = client.get()
        assert got.body == b"ok" and got.version == "HTTP/1.1"
    assert len(origin.peers) == 3 or kept


def test_version_of_the_answer_is_ours(pair):
    _, _, client = pair(answering(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert client.get().version == "HTTP/1.1"


# connections

def test_connection_close_of_the_client(pair):
    origin, _, client = pair()
    got = client.get(fields="Connection: close\r\n")
    assert got.fields.get("Connection") == "close"
    client.expect_end()
    assert origin.requests[0].fields.get("Connection") != "close" or len(origin.peers) == 1


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close", "x,close ,y"])
def test_close_in_any_spelling(pair, value):
    _, _, client = pair()
    client.get(fields=f"Connection: {value}\r\n")
    client.expect_end()


def test_hop_by_hop_fields_end_here(pair):
    origin, _, client = pair(answering(response(200, b"ok", [
        ("Connection", "X-Hop, keep-alive"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "x"),
        ("X-End", "1"), ("Upgrade", "h2c")])))
    got = client.get(fields="Connection: X-Hop , x-other,Keep-Alive\r\nX-Hop: 1\r\nX-OTHER: 2\r\nKeep-Alive: timeout=5\r\n"
                            "Proxy-Connection: keep-alive\r\nX-End: 1\r\nTE: gzip\r\nProxy-Authorization: Basic eA==\r\n")
    sent = origin.requests[0].fields
    for name in ("X-Hop", "X-Other", "Keep-Alive", "Proxy-Connection", "TE"):
        assert not sent.has(name), name
    assert sent.has("X-End")
    for name in ("X-Hop", "Keep-Alive", "Proxy-Connection"):
        assert not got.fields.has(name), name
    assert got.fields.has("X-End")


@pytest.mark.parametrize("nominated", ["Host", "Content-Length", "Transfer-Encoding", "X-Forwarded-For", "Forwarded"])
def test_connection_cannot_remove_what_matters(pair, nominated):
    """A client must not strip by nomination what framing or what servers rely on."""
    origin, _, client = pair()
    client.send(request("POST", fields=[("Connection", nominated)], body=b"hello"))
    got = client.read_response()
    assert got.status in (200, 400)
    if got.status == 200:
        sent = origin.requests[0]
        assert sent.body == b"hello" and sent.fields.has("Host")
        assert sent.fields.has("X-Forwarded-For") and sent.fields.has("Forwarded")


@pytest.mark.parametrize("value, passes", [("trailers", True), ("gzip, trailers;q=0.5", None), ("gzip", False)])
def test_te_is_ours(pair, value, passes):
    origin, _, client = pair()
    client.get(fields=f"TE: {value}\r\nConnection: TE\r\n")
    sent = origin.requests[0].fields
    assert "gzip" not in sent.get("TE", "")
    if passes:
        assert sent.get("TE") == "trailers"
    if sent.has("TE"):
        assert "te" in sent.get("Connection", "").lower()


def test_fields_pass_in_order_and_unchanged(pair):
    fields = "Accept: a\r\nX-B: 1\r\nAccept: b\r\nX-Bytes: \xe9\xff\r\nCookie: a=b; c=d\r\nX-Empty:\r\nX-B: 2\r\n"
    reply = [("X-R", "1"), ("Set-Cookie", "a=b"), ("X-R", "2"), ("Set-Cookie", "c=d"), ("X-Bytes", "\xe9")]
    origin, _, client = pair(answering(response(200, b"ok", reply)))
    client.send(("GET / HTTP/1.1\r\nHost: a.test\r\n" + fields + "\r\n").encode("latin-1"))
    got = client.read_response()
    sent = origin.requests[0].fields
    assert sent.all("Accept") in (["a", "b"], ["a, b"]) and sent.all("X-B") in (["1", "2"], ["1, 2"])
    assert sent.get("X-Bytes") == "\xe9\xff" and sent.get("Cookie") == "a=b; c=d" and sent.all("X-Empty") == [""]
    assert got.fields.all("Set-Cookie") == ["a=b", "c=d"] and got.fields.all("X-R") in (["1", "2"], ["1, 2"])
    assert got.fields.get("X-Bytes") == "\xe9"


def test_date_is_added_where_missing_and_kept_where_not(stage):
    first = stage.origin(answering(response(200, b"ok", [("Date", "Thu, 01 Jan 1970 00:00:00 GMT")])))
    guise = stage.guise(settings.reverse(first))
    assert stage.client(guise.reverse).get().fields.all("Date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]
    second = stage.origin()
    guise = stage.guise(settings.reverse(second))
    assert len(stage.client(guise.reverse).get().fields.all("Date")) == 1


# pipelining

def test_pipelined_requests_are_answered_in_order(pair):
    def script(peer):
        while (got := peer.read_request()) is not None:
            peer.send(response(200, got.target.encode()))
    origin, _, client = pair(script)
    client.send(b"".join(request(target=f"/{n}") for n in range(100)))
    assert [client.read_response().body for _ in range(100)] == [b"/%d" % n for n in range(100)]
    assert len(origin.requests) == 100


def test_pipelined_requests_with_bodies_and_slow_servers(stage):
    """The first is slow, the second quick: order is kept all the same."""
    gate = threading.Event()

    def slow(peer):
        while peer.read_request() is not None:
            gate.wait(10)
            peer.send(response(200, b"slow"))
    first, second = stage.origin(slow), stage.origin(answering(response(200, b"quick")))
    guise = stage.guise(settings.routes({"path": "/slow", "to": "slow"}, {"to": "quick"},
                                        upstreams={"slow": [first], "quick": [second]}))
    client = stage.client(guise.reverse)
    client.send(request("POST", "/slow", body=b"a" * 1000) + request("POST", "/quick", body=b"b" * 10)
                + request("GET", "/none"))
    first.wait_requests(1)
    gate.set()
    assert [client.read_response().body for _ in range(3)] == [b"slow", b"quick", b"quick"]


def test_pipelining_ends_at_close(pair):
    origin, _, client = pair()
    client.send(request(target="/1", fields=[("Connection", "close")]) + request(target="/2"))
    assert client.read_response().status == 200
    client.expect_end()
    assert [got.target for got in origin.requests] == ["/1"]


def test_half_closed_client_gets_its_answers(pair):
    _, _, client = pair()
    client.send(request(target="/1") + request(target="/2"))
    client.half_close()
    assert client.read_response().body == b"ok" and client.read_response().body == b"ok"
    client.expect_end()


def test_half_closed_client_of_a_slow_server(pair):
    gate = threading.Event()
    origin, _, client = pair(lambda peer: (peer.read_request(), gate.wait(10), peer.send(OK)))
    client.send(request())
    client.half_close()
    origin.wait_requests(1)
    gate.set()
    assert client.read_response().body == b"ok"


def test_client_that_half_closes_inside_a_body(pair):
    origin, guise, client = pair()
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello")
    client.half_close()
    rest = client.read_to_end()
    assert rest == b"" or rest.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408"))
    assert not origin.requests
    assert guise.wait_log()["error"]


# interim responses and Expect

def test_early_hints_pass_at_once(pair):
    gate = threading.Event()

    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        gate.wait(10)
        peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
    _, _, client = pair(script)
    client.send(request())
    hint = client.read_response_head()
    assert hint.status == 103 and hint.fields.get("Link") == "</a>"
    gate.set()
    got = client.read_response()
    assert [one.status for one in got.interim] == [102] and got.body == b"ok"


EXPECT = [("Expect", "100-continue"), ("Content-Length", "5")]


def test_continue_comes_from_the_server(pair):
    def script(peer):
        peer.read_request_head()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert peer.read_exact(5) == b"hello"
        peer.send(OK)
        peer.wait_end()
    origin, _, client = pair(script)
    client.send(request("POST", fields=EXPECT))
    assert client.read_response_head().status == 100
    client.send(b"hello")
    assert client.read_response().body == b"ok"
    assert origin.heads[0].fields.get("Expect") == "100-continue"


def test_server_that_never_says_continue(pair):
    """The client does not wait for ever; what it sends reaches the server, and the answer the client."""
    origin, _, client = pair()
    client.send(request("POST", fields=EXPECT))
    wait_for(lambda: origin.heads, "the head at the origin")
    client.send(b"hello")
    assert client.read_response().body == b"ok"
    assert origin.requests[0].body == b"hello"
    assert client.get().body == b"ok"


def test_final_answer_instead_of_continue(pair):
    """413 before the body: it comes at once, and the connection cannot be mixed up afterwards."""
    def script(peer):
        peer.read_request_head()
        peer.send(response(413, b"no", [("Connection", "close")]))
        peer.half_close()
        peer.wait_end()
    origin, _, client = pair(script)
    client.send(request("POST", fields=EXPECT))
    got = client.read_response()
    assert got.status == 413 and not got.interim
    if got.fields.get("Connection") == "close":
        client.expect_end()
    else:
        client.send(b"hello")
        client.send(request(target="/next"))
        assert client.read_response().status in (200, 413)


def test_expect_with_the_body_already_there(pair):
    origin, _, client = pair()
    got = client.ask(request("POST", fields=EXPECT) + b"hello")
    assert got.status == 200 and origin.requests[0].body == b"hello"
    assert client.get().status == 200


def test_expect_without_a_body(pair):
    _, _, client = pair()
    assert client.get(fields="Expect: 100-continue\r\n").status == 200
    assert client.get().status == 200


def test_expect_of_http10_is_ignored(pair):
    origin, _, client = pair()
    client.send(b"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
    got = client.read_response()
    assert got.status == 200 and not got.interim


def test_unknown_expectation_is_refused(pair):
    origin, _, client = pair()
    got = client.get(fields="Expect: a-pony\r\n")
    assert got.status == 417
    assert not origin.requests


def test_curl_with_expect(pair, curl, tmp_path):
    origin, guise, _ = pair()
    path = tmp_path / "body"
    path.write_bytes(b"x" * 2_000_000)
    done = curl("-H", "Expect: 100-continue", "-T", str(path), f"http://127.0.0.1:{guise.reverse[1]}/")
    assert done.text == "ok" and len(origin.requests[0].body) == 2_000_000


# answers before the request has been read

def test_early_answer_with_close(pair):
    """The server answers 413 to a large upload and closes: the client sees the 413, not a reset."""
    def script(peer):
        peer.read_request_head()
        peer.send(response(413, b"too large", [("Connection", "close")]))
        peer.half_close()
        peer.wait_end()
    _, _, client = pair(script)
    client.send(request("POST", fields=[("Content-Length", 50_000_000)]) + b"x" * 100_000)
    got = client.read_response()
    assert got.status == 413 and got.body == b"too large"


def test_early_answer_and_the_body_still_goes_on(pair):
    """A server may answer early and go on reading: the connection may stay, its framing may not slip."""
    def script(peer):
        while (head := peer.read_request_head_or_none()) is not None:
            peer.send(response(200, b"early"))
            peer.read_body(head, until_close=False)
    origin, _, client = pair(script)
    client.send(request("POST", fields=[("Content-Length", 5)]))
    assert client.read_response().body == b"early"
    try:
        client.send(b"hello" + request(target="/next"))
        assert client.read_response().body == b"early"
    except (AssertionError, OSError) as error:
        assert "clos" in str(error) or isinstance(error, OSError), error


def test_reset_after_an_early_answer(pair):
    """An answer, then a reset while the upload runs: a truncated answer or the answer, never a hang."""
    def script(peer):
        peer.read_request_head()
        peer.send(response(413, b"no"))
        peer.reset()
    _, guise, client = pair(script)
    try:
        client.send(request("POST", fields=[("Content-Length", 10_000_000)]))
        for _ in range(100):
            client.send(b"x" * 100_000)
    except OSError:
        pass
    try:
        assert client.read_response().status in (413, 502)
    except (AssertionError, OSError):
        pass
    assert guise.wait_log()


# Max-Forwards, OPTIONS, TRACE

def test_options_with_max_forwards(pair):
    origin, _, client = pair()
    assert client.get("*", method="OPTIONS", fields="Max-Forwards: 3\r\n").status == 200
    assert origin.requests[0].target == "*" and origin.requests[0].fields.get("Max-Forwards") == "2"
    got = client.get("*", method="OPTIONS", fields="Max-Forwards: 0\r\n")
    assert got.status in (200, 204) and len(origin.requests) == 1


def test_max_forwards_of_other_methods_is_left_alone(pair):
    origin, _, client = pair()
    client.get(fields="Max-Forwards: 0\r\n")
    assert origin.requests[0].fields.get("Max-Forwards") == "0"


@pytest.mark.parametrize("value", ["x", "-1", "99999999999999999999", "", "1, 2"])
def test_odd_max_forwards(pair, value):
    origin, _, client = pair()
    assert client.get("*", method="OPTIONS", fields=f"Max-Forwards: {value}\r\n").status in (200, 204, 400)
    for got in origin.requests:
        assert got.fields.get("Max-Forwards") in (value, "2147483646", "99999999999999999998")


def test_requests_through_nginx(stage, curl):
    """A real server behind, a real client before: ranges, conditions, large files, keep-alive."""
    nginx = stage.nginx()
    body = bytes(range(256)) * 40_000
    with open(f"{nginx.files}/big", "wb") as file:
        file.write(body)
    guise = stage.guise(settings.reverse(nginx.address))
    url = f"http://127.0.0.1:{guise.reverse[1]}"
    assert curl(f"{url}/big").body == body
    assert curl("-r", "1000-1999", f"{url}/big").body == body[1000:2000]
    head = curl("-I", f"{url}/big").text
    assert "200" in head and str(len(body)) in head
    etag = next(text.split(": ", 1)[1].strip() for text in head.splitlines() if text.lower().startswith("etag"))
    assert " 304 " in curl("-i", "-H", f"If-None-Match: {etag}", f"{url}/big").text
    assert curl("-w", "%{http_code} %{num_connects}\n", "-o", "/dev/null", f"{url}/big", "-o", "/dev/null",
                f"{url}/missing").text == "200 1\n404 0\n"
