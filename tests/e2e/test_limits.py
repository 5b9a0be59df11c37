"""Every limit and every timeout has its key, its status, and an end that does not take others along."""

import threading

import pytest

from support import settings
from support.client import chunked, request
from support.origin import OK, answering, response
from support.process import sanitizer
from support.waiting import Stopwatch, wait_for
from support.wire import Closed, Truncated


def limited(stage, script=None, limits=None, timeouts=None, **more):
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin, limits=limits or {}, timeouts=timeouts or {}, **more))
    return origin, guise, stage.client(guise.reverse)


def check_refused(client, origin, data, status):
    client.send(data)
    got = client.read_response()
    assert got.status == status
    assert got.error_type()
    client.expect_end()
    assert not origin.requests


# sizes of heads

@pytest.mark.parametrize("size, refused", [(7900, False), (8400, True), (40_000, True)])
def test_request_line(stage, size, refused):
    origin, _, client = limited(stage)
    data = request(target="/" + "a" * size)
    if refused:
        check_refused(client, origin, data, 414)
    else:
        assert client.ask(data).status == 200


def test_request_line_without_end(stage):
    origin, _, client = limited(stage)
    check_refused(client, origin, b"GET /" + b"a" * 100_000, 414)


@pytest.mark.parametrize("size, refused", [(8000, False), (8400, True), (40_000, True)])
def test_field_line(stage, size, refused):
    origin, _, client = limited(stage)
    data = request(fields=[("X-A", "a" * size)])
    if refused:
        check_refused(client, origin, data, 431)
    else:
        assert client.ask(data).status == 200


def test_field_line_without_end(stage):
    origin, _, client = limited(stage)
    check_refused(client, origin, b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: " + b"a" * 100_000, 431)


@pytest.mark.parametrize("count, refused", [(99, False), (100, True), (5000, True)])
def test_number_of_fields(stage, count, refused):
    origin, _, client = limited(stage)
    data = request(fields=[("X-A", "a")] * count)  # and Host
    if refused:
        check_refused(client, origin, data, 431)
    else:
        assert client.ask(data).status == 200


@pytest.mark.parametrize("count, refused", [(4, False), (5, True), (50, True)])
def test_whole_head(stage, count, refused):
    origin, _, client = limited(stage)
    data = request(fields=[("X-A", "a" * 7000)] * count)
    if refused:
        check_refused(client, origin, data, 431)
    else:
        assert client.ask(data).status == 200


def test_keys_of_the_head_limits(stage):
    limits = {"request_line": 100, "field_line": 100, "fields": 3, "head": 200}
    origin, guise, client = limited(stage, limits=limits)
    assert client.get("/x").status == 200
    origin.requests.clear()
    check_refused(stage.client(guise.reverse), origin, request(target="/" + "a" * 100), 414)
    check_refused(stage.client(guise.reverse), origin, request(fields=[("X-A", "a" * 100)]), 431)
    check_refused(stage.client(guise.reverse), origin, request(fields=[("X-A", "a")] * 3), 431)
    check_refused(stage.client(guise.reverse), origin, request("GET", "/" + "a" * 70, fields=[("A", "a" * 70)] * 2), 431)


def test_trailers_count_as_a_head(stage):
    origin, _, client = limited(stage)
    client.send(request("POST", fields=[("Transfer-Encoding", "chunked")]) + b"0\r\n" + b"X-A: a\r\n" * 5000 + b"\r\n")
    assert client.read_response().status in (400, 431)
    client.expect_end()
    assert not origin.requests


def test_chunk_extensions_are_bounded(stage):
    origin, _, client = limited(stage)
    try:
        client.send(request("POST", fields=[("Transfer-Encoding", "chunked")]) + b"1;" + b"a" * 10_000_000)
    except OSError:
        pass
    try:
        assert client.read_response().status in (400, 413, 431)
    except (AssertionError, OSError):
        pass
    assert not origin.requests


def test_endless_small_chunks_with_extensions_are_an_attack(stage):
    """One byte of body for kilobytes of extensions: bounded work, not for ever (each is inside the limit of a line)."""
    origin, guise, client = limited(stage)
    chunk = b"1;" + b"a" * 4000 + b"\r\nx\r\n"
    try:
        client.send(request("POST", fields=[("Transfer-Encoding", "chunked")]) + chunk * 1000 + b"0\r\n\r\n")
        got = client.read_response()
        assert got.status in (200, 400, 413, 431)
    except OSError:
        pass
    assert stage.client(guise.reverse).get().status == 200


# sizes of bodies

def test_body_by_its_length(stage):
    origin, guise, client = limited(stage, limits={"body": "10 KiB"})
    assert client.ask(request("POST", body=b"a" * 10_240)).status == 200
    origin.requests.clear()
    client.send(request("POST", fields=[("Content-Length", 10_241)]))
    assert client.read_response().status == 413
    client.expect_end()
    assert not origin.requests
    assert guise.wait_log(lambda entry: entry["status"] == 413)["error"]


def test_body_that_is_chunked(stage):
    origin, _, client = limited(stage, limits={"body": "10 KiB"})
    assert client.ask(request("POST", fields=[("Transfer-Encoding", "chunked")]) + chunked(b"a" * 10_000)).status == 200
    origin.requests.clear()
    client.send(request("POST", fields=[("Transfer-Encoding", "chunked")]) + chunked(b"a" * 8000, b"b" * 8000))
    assert client.read_response().status == 413
    client.expect_end()
    assert not origin.requests


def test_huge_upload_sees_its_413(stage):
    """The client is still sending: the answer arrives all the same, it is not lost in a reset."""
    _, guise, client = limited(stage, limits={"body": "1 MiB"})
    body = b"a" * 4_000_000

    def push():
        try:
            client.send(request("POST", body=body))
        except OSError:
            pass
    pusher = threading.Thread(target=push, daemon=True)
    pusher.start()
    assert client.read_response().status == 413
    pusher.join(10)


def test_limit_of_a_route(stage):
    origin = stage.origin()
    guise = stage.guise(settings.routes({"path": "/small", "to": "web", "limits": {"body": 10}}, {"to": "web"},
                                        upstreams={"web": [origin]}))
    assert stage.client(guise.reverse).ask(request("POST", "/large", body=b"a" * 11)).status == 200
    assert stage.client(guise.reverse).ask(request("POST", "/small", body=b"a" * 10)).status == 200
    assert stage.client(guise.reverse).ask(request("POST", "/small", body=b"a" * 11)).status == 413


# numbers

def test_requests_per_connection(stage):
    origin, _, client = limited(stage, limits={"requests_per_connection": 3})
    assert not client.get().fields.has("Connection")
    assert client.get().status == 200
    assert client.get().fields.get("Connection") == "close"
    client.expect_end()
    assert len(origin.requests) == 3


def test_connections_of_one_address(stage):
    _, guise, first = limited(stage, limits={"connections_per_address": 2})
    second, third = stage.client(guise.reverse), stage.client(guise.reverse)
    assert first.get().status == 200 and second.get().status == 200
    check_turned_away(third)
    other = stage.client(guise.reverse, source="127.0.0.9")
    assert other.get().status == 200
    first.close()
    check_let_in(stage, guise)


def test_connections_in_all(stage):
    _, guise, first = limited(stage, limits={"connections": 2})
    second = stage.client(guise.reverse, source="127.0.0.2")
    assert first.get().status == 200 and second.get().status == 200
    check_turned_away(stage.client(guise.reverse, source="127.0.0.3"))
    first.close()
    check_let_in(stage, guise)


def check_turned_away(client):
    """Closed at once, left waiting, or told 503; in any case not served."""
    try:
        client.sock.settimeout(2)
        client.send(request())
        assert client.read_response().status == 503
    except (OSError, AssertionError):
        pass  # left waiting, or closed
    finally:
        client.close()


def check_let_in(stage, guise):
    """Room is made as soon as one leaves."""
    def served():
        client = stage.client(guise.reverse)
        try:
            return client.get().status == 200
        except (OSError, AssertionError):
            return False
        finally:
            client.close()
    wait_for(served, "room for a new connection")


@pytest.mark.skipif("sanitizer()", reason="a sanitizer's memory is not the program's")
def test_memory_pressure_refuses_new_work_and_recovers(stage):
    """Uploads that nobody takes fill the process's memory: 503 for what is new, no crash, and all is well afterwards."""
    gate = threading.Event()

    def script(peer):
        try:
            peer.read_request_head()
        except Closed:
            return  # turned away after the connection was made
        if peer.number < 200:
            gate.wait(15)
            return
        peer.send(OK)
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin, limits={"memory": "8 MiB", "flow": "256 KiB"}))
    hogs = [stage.client(guise.reverse) for _ in range(120)]
    for hog in hogs:
        hog.sock.settimeout(0)
        try:
            hog.sock.send(request("POST", fields=[("Content-Length", 100_000_000)]))
            for _ in range(64):
                hog.sock.send(bytes(65536))
        except OSError:
            pass  # no room for more, or turned away already

    def refused():
        with_client = stage.client(guise.reverse, timeout=2)
        try:
            return with_client.get().status == 503
        except (OSError, AssertionError):
            return False
        finally:
            with_client.close()
    # Either the sum of all windows stays under the limit (then nothing needs refusing) or new work is refused.
    try:
        wait_for(refused, "a 503", 4)
    except AssertionError:
        pass
    assert guise.resident() < 64 << 20
    for hog in hogs:
        hog.reset()
    gate.set()

    def served():
        client = stage.client(guise.reverse, timeout=2)
        try:
            return client.get().status in (200, 502)
        except (OSError, AssertionError):
            return False
        finally:
            client.close()
    wait_for(served, "service after the pressure")


# times

def test_header_timeout(stage):
    origin, guise, client = limited(stage, timeouts={"header": "300ms"})
    watch = Stopwatch()
    client.send(b"GET / HTTP/1.1\r\nHost: a.te")
    got = client.read_response()
    assert got.status == 408 and watch.seconds < 3
    client.expect_end()
    assert guise.wait_log()["status"] == 408


def test_header_timeout_is_for_the_whole_head(stage):
    """A byte now and then does not extend it."""
    _, _, client = limited(stage, timeouts={"header": "400ms"})
    watch = Stopwatch()
    try:
        client.send(b"GET / HTTP/1.1\r\nX-A: ")
        client.send_split(*[b"a"] * 100, pause=0.05)
    except OSError:
        pass
    try:
        assert client.read_response().status == 408
    except OSError:
        pass
    assert watch.seconds < 6


def test_header_timeout_of_a_second_request(stage):
    _, _, client = limited(stage, timeouts={"header": "300ms"})
    assert client.get().status == 200
    client.send(b"GET / HT")
    assert client.read_response().status == 408
    client.expect_end()


def test_idle_timeout_is_silent(stage):
    _, _, client = limited(stage, timeouts={"idle": "300ms"})
    assert client.get().status == 200
    watch = Stopwatch()
    client.expect_end()
    assert 0.2 < watch.seconds < 3


def test_idle_timeout_before_the_first_request(stage):
    _, _, client = limited(stage, timeouts={"idle": "300ms", "header": "300ms"})
    watch = Stopwatch()
    rest = client.read_to_end()
    assert rest == b"" or b" 408 " in rest
    assert watch.seconds < 3


def test_body_timeout(stage):
    origin, _, client = limited(stage, timeouts={"body": "300ms"})
    watch = Stopwatch()
    client.send(request("POST", fields=[("Content-Length", 10)]) + b"hello")
    got = client.read_response()
    assert got.status == 408 and watch.seconds < 3
    client.expect_end()
    wait_for(lambda: origin.peers and origin.peers[0].ended.is_set(), "the origin's connection to be closed")
    assert not origin.requests


def test_body_timeout_is_between_two_reads(stage):
    origin, _, client = limited(stage, timeouts={"body": "500ms"})
    client.send(request("POST", fields=[("Content-Length", 10)]))
    client.send_split(*[b"x"] * 10, pause=0.1)
    assert client.read_response().status == 200
    assert len(origin.requests[0].body) == 10


def test_client_that_takes_nothing_is_cut(stage):
    def script(peer):
        peer.read_request()
        peer.send(response(200, bytes(20_000_000)))
        peer.wait_end()
    origin, guise, _ = limited(stage, script, timeouts={"body": "500ms"})
    client = stage.client(guise.reverse, receive_buffer=4096)
    client.send(request())
    origin.wait_requests(1)
    wait_for(origin.peers[0].ended.is_set, "the exchange to be cut")
    assert guise.wait_log()["error"]
    with pytest.raises((Truncated, ConnectionError)):
        client.read_response()


def test_slow_client_is_not_cut_while_it_takes_something(stage):
    def script(peer):
        peer.read_request()
        peer.send(response(200, bytes(3_000_000)))
        peer.wait_end()
    _, guise, _ = limited(stage, script, timeouts={"body": "700ms"})
    client = stage.client(guise.reverse, receive_buffer=65536)
    client.send(request())
    count, pause = 0, threading.Event()
    while count < 3_000_000:
        count += len(client.sock.recv(100_000))
        pause.wait(0.03)
    assert count >= 3_000_000


@pytest.mark.parametrize("started", [False, True])
def test_total_timeout(stage, started):
    def script(peer):
        peer.read_request()
        if started:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            peer.send_split(*[b"x"] * 200, pause=0.05)
        peer.wait_end()
    origin, _, client = limited(stage, script, timeouts={"total": "500ms"})
    watch = Stopwatch()
    if started:
        with pytest.raises((Truncated, ConnectionError)):
            client.get()
    else:
        assert client.get().status == 504
    assert watch.seconds < 4
    wait_for(origin.peers[0].ended.is_set, "the origin's connection to be closed")


def test_timeouts_do_not_hit_the_quick(stage):
    """All timeouts short, and a thousand requests pass."""
    times = {key: "2s" for key in ("header", "idle", "body", "total", "connect", "response", "pool")}
    _, _, client = limited(stage, timeouts=times)
    for _ in range(1000):
        assert client.get().status == 200


def test_idle_is_not_counted_while_the_server_works(stage):
    gate = threading.Event()
    script_answers = answering(OK)

    def script(peer):
        peer.read_request()
        gate.wait(1.0)
        peer.send(OK)
        script_answers(peer)
    _, _, client = limited(stage, script, timeouts={"idle": "200ms", "header": "200ms", "body": "200ms"})
    assert client.get().status == 200
