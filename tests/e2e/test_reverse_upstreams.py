"""Reverse: servers, their connections, and what happens when they fail."""

import threading

import pytest

from support import settings
from support.origin import OK, answering, response
from support.waiting import Stopwatch, wait_for
from support.wire import Truncated

DEAD = "127.0.0.1:1"  # nothing listens there


@pytest.mark.parametrize("keep", [True, False])
def test_weights_share_as_told(stage, keep):
    origins = [stage.origin() for _ in range(3)]
    servers = [{"address": origin.address, "weight": weight} for origin, weight in zip(origins, (9, 3, 1))]
    guise = stage.guise(settings.reverse(*servers))
    if keep:
        client = stage.client(guise.reverse)
        for _ in range(1300):
            client.get()
    else:
        for _ in range(130):
            client = stage.client(guise.reverse)
            client.get(fields="Connection: close\r\n")
            client.close()
    scale = 100 if keep else 10
    for origin, weight in zip(origins, (9, 3, 1)):
        assert abs(len(origin.requests) - weight * scale) <= 3


def test_shares_are_smooth(stage):
    """A server with a large weight does not get its share in one go."""
    heavy, light = stage.origin(answering(response(200, b"h"))), stage.origin(answering(response(200, b"l")))
    guise = stage.guise(settings.reverse({"address": heavy.address, "weight": 4}, {"address": light.address, "weight": 1}))
    client = stage.client(guise.reverse)
    order = b"".join(client.get().body for _ in range(20))
    assert order.count(b"l") == 4 and b"h" * 9 not in order


def test_connections_are_kept_and_reused(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    for _ in range(20):
        client = stage.client(guise.reverse)
        for _ in range(5):
            client.get()
        client.close()
    assert len(origin.requests) == 100
    assert len(origin.peers) <= 2


def test_no_keepalive_when_zero(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, upstream={"keepalive": 0}))
    client = stage.client(guise.reverse)
    for _ in range(3):
        client.get()
    assert len(origin.peers) == 3


def test_idle_connections_are_bounded(stage):
    gate = threading.Barrier(9)

    def script(peer):
        while peer.read_request() is not None:
            gate.wait(10)
            peer.send(OK)
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin, upstream={"keepalive": 2}))
    clients = [stage.client(guise.reverse) for _ in range(9)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    for client in clients:
        assert client.read_response().status == 200
    wait_for(lambda: sum(peer.ended.is_set() for peer in origin.peers) >= 7, "all but two connections to be closed")
    assert sum(peer.ended.is_set() for peer in origin.peers) == 7


def test_idle_connection_is_closed_in_time(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, upstream={"timeouts": {"pool": "300ms"}}))
    stage.client(guise.reverse).get()
    watch = Stopwatch()
    wait_for(origin.peers[0].ended.is_set, "the idle connection to be closed", 5)
    assert watch.seconds < 3


def test_connection_close_of_the_server_is_respected(stage):
    origin = stage.origin(answering(response(200, b"ok", [("Connection", "close")])))
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    for _ in range(3):
        got = client.get()
        assert got.body == b"ok" and got.fields.get("Connection") != "close"
    assert len(origin.peers) == 3


def test_reused_connection_that_died_is_replaced(stage):
    """The server closes after each response without saying so: the client never notices."""
    def script(peer):
        peer.read_request()
        peer.send(OK)
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    for _ in range(50):
        assert client.get().body == b"ok"


def test_reused_connection_that_dies_at_the_request_is_replaced(stage):
    """Worse: it dies only when the next request comes (a race that keep-alive always has)."""
    def script(peer):
        peer.read_request()
        peer.send(OK)
        if peer.read_request() is not None:
            peer.reset()
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    for _ in range(20):
        assert client.get().body == b"ok"


def test_fresh_connection_that_dies_at_the_request_is_a_502(stage):
    """A POST on a fresh connection may have been processed: it is not sent twice."""
    origin = stage.origin(lambda peer: peer.read_request())
    guise = stage.guise(settings.reverse(origin))
    got = stage.client(guise.reverse).ask(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx")
    assert got.status == 502
    assert len(origin.requests) == 1


def test_post_that_was_taken_is_not_sent_twice(stage):
    """RFC 9110 9.2.2: a server read the whole POST on a reused connection and died; it may have acted on it."""
    def script(peer):
        peer.read_request()
        peer.send(OK)
        if peer.read_request() is not None:
            peer.reset()
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    assert client.get().status == 200
    got = client.ask(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx")
    assert [one.method for one in origin.requests].count("POST") == 1
    assert got.status == 502


def test_another_server_when_one_refuses(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(DEAD, origin))
    client = stage.client(guise.reverse)
    for _ in range(20):
        assert client.get().body == b"ok"
        assert client.ask(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx").body == b"ok"


def test_no_retry_when_none_is_wanted(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(DEAD, origin, upstream={"retries": 0}))
    client = stage.client(guise.reverse)
    assert {client.get().status for _ in range(6)} == {200, 503}


def test_all_servers_down(stage):
    guise = stage.guise(settings.reverse(DEAD, "127.0.0.1:2"))
    client = stage.client(guise.reverse)
    got = client.get()
    assert got.status == 503 and got.fields.get("Retry-After")
    assert got.error_type() == "destination_unavailable"
    assert guise.wait_log()["error"] == "the server refused the connection: Connection refused"
    assert client.get().status == 503  # the client's connection lives on


def test_connect_timeout(stage):
    guise = stage.guise(settings.reverse(stage.blackhole().address, upstream={"timeouts": {"connect": "300ms"}, "retries": 0}))
    watch = Stopwatch()
    got = stage.client(guise.reverse).get()
    assert got.status == 504 and got.error_type() == "connection_timeout"
    assert watch.seconds < 3


def test_connect_timeout_goes_to_another_server(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(stage.blackhole().address, origin, upstream={"timeouts": {"connect": "300ms"}}))
    client = stage.client(guise.reverse)
    assert client.get().status == 200 and client.get().status == 200


def test_response_timeout(stage):
    origin = stage.origin(lambda peer: (peer.read_request(), peer.wait_end()))
    guise = stage.guise(settings.reverse(origin, upstream={"timeouts": {"response": "300ms"}}))
    watch = Stopwatch()
    got = stage.client(guise.reverse).get()
    assert got.status == 504 and got.error_type() in ("http_response_timeout", "connection_read_timeout")
    assert watch.seconds < 3
    wait_for(origin.peers[0].ended.is_set, "the origin's connection to be closed")


def test_response_that_stalls_in_the_middle(stage):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        peer.wait_end()
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin, timeouts={"response": "300ms"}))
    with pytest.raises((Truncated, ConnectionError)):
        stage.client(guise.reverse).get()
    assert guise.wait_log()["error"]


def test_slow_but_steady_response_is_not_timed_out(stage):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
        peer.send_split(*[b"x"] * 20, pause=0.05)
        peer.wait_end()
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin, timeouts={"response": "400ms"}))
    assert stage.client(guise.reverse).get().body == b"x" * 20


def test_unix_socket_servers(stage, tmp_path):
    origin = stage.origin(path=str(tmp_path / "origin.sock"))
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    assert client.get().body == b"ok" and client.get().body == b"ok"
    assert len(origin.peers) == 1


def test_unix_socket_that_is_not_there(stage, tmp_path):
    guise = stage.guise(settings.reverse(f"unix:{tmp_path}/none.sock"))
    assert stage.client(guise.reverse).get().status in (502, 503)


def test_ipv6_server(stage):
    origin = stage.origin(host="::1")
    guise = stage.guise(settings.reverse(origin))
    assert stage.client(guise.reverse).get().body == b"ok"


def test_server_by_name(stage):
    names, origin = stage.names(), stage.origin()
    names.set("web.test", v4=["127.0.0.1"])
    guise = stage.guise(settings.reverse(f"web.test:{origin.port}", resolver={"servers": [names.address], "hosts": False}))
    assert stage.client(guise.reverse).get().body == b"ok"


def test_server_name_that_does_not_exist(stage):
    names = stage.names()
    guise = stage.guise(settings.reverse("none.test:80", resolver={"servers": [names.address], "hosts": False}))
    got = stage.client(guise.reverse).get()
    assert got.status in (502, 503) and got.error_type() in ("dns_error", "destination_not_found", "destination_unavailable")


def test_server_that_dies_before_the_head(stage):
    origin = stage.origin(lambda peer: (peer.read_request(), peer.reset()))
    guise = stage.guise(settings.reverse(origin))
    got = stage.client(guise.reverse).get()
    assert got.status == 502
    assert len(origin.requests) <= 2


@pytest.mark.parametrize("head, how", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "close"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "reset"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "close"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "reset"),
    (b"HTTP/1.1 200 OK\r\n\r\nhello", "reset"),
])
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_server_that_dies_in_the_body(stage, head, how, version):
    """What the client gets can never be taken for a complete response."""
    seen = threading.Event()

    def script(peer):
        peer.read_request()
        peer.send(head)
        seen.wait(10)  # the client has the head: from here on there is no 502 any more
        if how == "reset":
            peer.reset()
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.send(f"GET / {version}\r\nHost: a.test\r\n\r\n".encode())
    with pytest.raises((Truncated, ConnectionError)):
        start = client.read_response_head()
        seen.set()
        client.read_body(start, until_close=True)
    entry = guise.wait_log()
    assert entry["status"] == 200 and entry["error"]


def test_until_close_body_arrives_whole(stage):
    origin = stage.origin(lambda peer: (peer.read_request(), peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)))
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    for _ in range(3):
        got = client.get()
        assert got.body == b"x" * 100_000 and got.framing == "chunked"
    got = stage.client(guise.reverse).ask(b"GET / HTTP/1.0\r\n\r\n")
    assert got.body == b"x" * 100_000


def test_client_that_leaves_ends_the_request_upstream(stage):
    origin = stage.origin(lambda peer: (peer.read_request(), peer.wait_end()))
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    origin.wait_requests(1)
    client.reset()
    wait_for(origin.peers[0].ended.is_set, "the origin's connection to be closed")
    assert guise.wait_log()["error"]
