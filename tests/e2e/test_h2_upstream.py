"""HTTP/2 towards servers: many exchanges on one connection, bounds on streams, GOAWAY and refusals without a lost request."""

import threading
import time

import pytest

from support import http2, settings
from support.client import request
from support.frames import Code, Setting, block, data, goaway, headers, ping, rst_stream
from support.frames import settings as settings_frame
from support.process import sanitizer, slowness
from support.waiting import Stopwatch, stays_true, wait_for
from support.wire import Closed, Truncated

MIB = 1 << 20
BLOCK = bytes(range(256)) * 4096


@pytest.fixture
def pair(stage):
    """pair(script, **config) -> (origin, guise): a server of HTTP/2 in clear behind a reverse listener of both versions."""
    def make(script, own_settings=None, upstream=None, **config):
        origin = stage.origin(script if own_settings is None else http2.scripted(script, own_settings))
        guise = stage.guise(settings.reverse(origin, upstream=dict({"http": "2"}, **(upstream or {})),
                                             listener={"http2": "clear"}, **config))
        return origin, guise
    return make


def echo(connection, stream):
    connection.answer(stream, 200, [("x-path", stream.head.get(":path"))], bytes(stream.body))


def test_request_and_answer(pair, stage):
    _, guise = pair(http2.serving(echo))
    got = stage.client(guise.reverse).ask(request("POST", "/a?b", body=b"hello"))
    assert (got.status, got.body, got.fields.get("x-path")) == (200, b"hello", "/a?b")


def test_one_connection_for_all(pair, stage):
    """Fifty clients at a time, one connection to the server."""
    gate = threading.Event()

    def script(connection):
        taken = []
        while len(taken) < 50:
            taken.append(connection.next_request())
        gate.set()
        for stream in reversed(taken):
            echo(connection, stream)
        connection.read_until_end()
    origin, guise = pair(http2.scripted(script))
    clients = [stage.client(guise.reverse) for _ in range(50)]
    for number, client in enumerate(clients):
        client.send(request("POST", f"/{number}", body=b"%d" % number))
    assert gate.wait(10)
    for number, client in enumerate(clients):
        got = client.read_response()
        assert got.body == b"%d" % number and got.fields.get("x-path") == f"/{number}"
    assert len(origin.peers) == 1


def test_bound_on_streams(pair, stage):
    """`streams` of the group: what is more waits, or has another connection."""
    most = []

    def script(connection):
        while True:
            stream = connection.next_request()
            if stream is None:
                return
            connection.quiet(0.1)
            most.append(sum(not one.data == "answered" for one in connection.streams.values()))
            echo(connection, stream)
            stream.data = "answered"
    _, guise = pair(http2.scripted(script), upstream={"streams": 3})
    clients = [stage.client(guise.reverse) for _ in range(12)]
    for client in clients:
        client.send(request())
    assert all(client.read_response().status == 200 for client in clients)
    assert max(most) <= 3


def test_bound_of_the_server(pair, stage):
    """SETTINGS_MAX_CONCURRENT_STREAMS: its reader refuses what is over it."""
    _, guise = pair(serve_slowly, {Setting.MAX_CONCURRENT_STREAMS: 2})
    first = stage.client(guise.reverse)
    assert first.get().status == 200  # the server's SETTINGS are known now
    clients = [stage.client(guise.reverse) for _ in range(10)]
    for client in clients:
        client.send(request())
    assert all(client.read_response().status == 200 for client in clients)


def serve_slowly(connection):
    while (stream := connection.next_request()) is not None:
        connection.quiet(0.05)
        echo(connection, stream)


def test_a_server_that_allows_no_stream_for_now(pair, stage):
    """SETTINGS may take the streams away, and give them back."""
    def script(connection):
        if connection.next_request() is None:
            return
        connection.send(settings_frame((Setting.MAX_CONCURRENT_STREAMS, 0)))
        first = next(iter(connection.streams.values()))
        echo(connection, first)
        connection.quiet(0.3)
        assert len(connection.streams) == 1
        connection.send(settings_frame((Setting.MAX_CONCURRENT_STREAMS, 10)))
        while (stream := connection.next_request()) is not None:
            echo(connection, stream)
    origin, guise = pair(http2.scripted(script))
    assert stage.client(guise.reverse).get().status == 200
    time.sleep(0.05)  # for the SETTINGS on their way
    client = stage.client(guise.reverse)
    client.send(request())
    wait_for(lambda: len(origin.peers) == 2 or client.is_open(0.05), "another connection, or patience")
    got = client.read_response()
    assert got.status in (200, 502, 503)


# nothing is lost

@pytest.mark.parametrize("method, body", [("GET", b""), ("DELETE", b""), ("POST", b"hello")])
def test_goaway_before_a_request_was_seen(pair, stage, method, body):
    """What is above the last stream goes to another connection, whatever its method (RFC 9113 6.8)."""
    left = []

    def script(connection):
        if not left:
            left.append(1)
            connection.next_request()
            connection.send(goaway(0))
            connection.read_until_end()
            return
        while (stream := connection.next_request()) is not None:
            echo(connection, stream)
    origin, guise = pair(http2.scripted(script))
    got = stage.client(guise.reverse).ask(request(method, "/x", body=body))
    assert (got.status, got.body) == (200, body) and len(origin.peers) == 2


def test_goaway_lets_streams_end(pair, stage):
    """What is at or below the last stream is answered on the old connection, what comes next goes to a new one."""
    second = threading.Event()

    def script(connection):
        stream = connection.next_request()
        if connection.highest == 1 and not second.is_set():
            connection.send(goaway(1))
            assert second.wait(10)
        echo(connection, stream)
        while (stream := connection.next_request()) is not None:
            echo(connection, stream)
    origin, guise = pair(http2.scripted(script))
    slow = stage.client(guise.reverse)
    slow.send(request("POST", "/slow", body=b"slow"))
    wait_for(lambda: origin.peers and getattr(origin.peers[0], "http2", None) and origin.peers[0].http2.highest, "the request")
    time.sleep(0.1)  # for the GOAWAY on its way
    second.set()
    fast = stage.client(guise.reverse).ask(request("POST", "/fast", body=b"fast"))
    assert fast.body == b"fast" and slow.read_response().body == b"slow"


def test_two_goaways(pair, stage):
    """The warning with the highest stream, then the real one: new requests go elsewhere after the first."""
    def script(connection):
        stream = connection.next_request()
        if stream is None:
            return
        connection.send(goaway(0x7FFFFFFF))
        connection.quiet(0.1)
        connection.send(goaway(connection.highest))
        echo(connection, stream)
        connection.read_until_end()
    origin, guise = pair(http2.scripted(script))
    client = stage.client(guise.reverse)
    for number in range(5):
        got = client.ask(request("POST", f"/{number}", body=b"hello"))
        assert got.body == b"hello"
    assert len(origin.peers) == 5


@pytest.mark.parametrize("method, body", [("GET", b""), ("DELETE", b""), ("POST", b"hello")])
def test_refused_stream_is_tried_again(pair, stage, method, body):
    """REFUSED_STREAM proves that nothing was processed (RFC 9113 8.7)."""
    refused = []

    def script(connection):
        while (stream := connection.next_request()) is not None:
            if not refused:
                refused.append(stream.id)
                connection.send(rst_stream(stream.id, Code.REFUSED_STREAM))
            else:
                echo(connection, stream)
    _, guise = pair(http2.scripted(script))
    got = stage.client(guise.reverse).ask(request(method, "/x", body=body))
    assert (got.status, got.body) == (200, body)


def test_server_that_refuses_for_ever(pair, stage):
    counts = []

    def script(connection):
        while (stream := connection.next_request()) is not None:
            counts.append(1)
            connection.send(rst_stream(stream.id, Code.REFUSED_STREAM))
    _, guise = pair(http2.scripted(script))
    got = stage.client(guise.reverse).get()
    assert got.status in (502, 503) and len(counts) < 20


@pytest.mark.parametrize("code", [Code.INTERNAL_ERROR, Code.CANCEL, Code.PROTOCOL_ERROR, Code.ENHANCE_YOUR_CALM])
def test_reset_of_a_request_that_may_have_been_processed(pair, stage, code):
    """A POST is not sent twice."""
    counts = []

    def script(connection):
        while (stream := connection.next_request()) is not None:
            counts.append(stream.head.get(":method"))
            connection.send(rst_stream(stream.id, code))
    _, guise = pair(http2.scripted(script))
    assert stage.client(guise.reverse).ask(request("POST", body=b"x")).status == 502
    assert counts == ["POST"]


def test_connection_that_ends_under_its_streams(pair, stage):
    """All of them fail, the next request has a new connection."""
    def script(connection):
        if len(origin.peers) == 1:
            for _ in range(5):
                connection.next_request()
            return
        while (stream := connection.next_request()) is not None:
            echo(connection, stream)
    origin, guise = pair(http2.scripted(script), upstream={"retries": 0})
    clients = [stage.client(guise.reverse) for _ in range(5)]
    for client in clients:
        client.send(request("POST", body=b"x"))
    assert [client.read_response().status for client in clients] == [502] * 5
    assert stage.client(guise.reverse).ask(request("POST", body=b"x")).status == 200


def test_idle_connection_that_the_server_closed(pair, stage):
    """The next request is not lost to it."""
    def script(connection):
        stream = connection.next_request()
        if stream is not None:
            echo(connection, stream)
    origin, guise = pair(http2.scripted(script))
    for number in range(5):
        got = stage.client(guise.reverse).ask(request("POST", f"/{number}", body=b"x"))
        assert got.status == 200
        wait_for(lambda: origin.peers[-1].ended.is_set(), "the end of the connection")
    assert len(origin.peers) == 5


def test_idle_connections_end_by_the_timeout(pair, stage):
    origin, guise = pair(http2.serving(echo), timeouts={"pool": "300ms"})
    assert stage.client(guise.reverse).get().status == 200
    assert origin.peers[0].ended.wait(5 * slowness())


# one slow exchange, and the others

@pytest.mark.seconds(60)
def test_a_slow_reader_holds_up_nobody(pair, stage):
    """A client that takes nothing of a large answer: others on the same connection to the server go on, and memory stays."""
    pending = []

    def script(connection):
        while True:
            connection.poll()
            stream = next((one for one in connection.streams.values() if one.ended and one.data is None), None)
            if stream:
                stream.data = "taken"
                if stream.head.get(":path") == "/big":
                    connection.send_fields(stream, [(":status", "200"), ("content-length", str(100 * MIB))])
                    pending.append(stream)
                else:
                    echo(connection, stream)
            moved = False
            for one in pending:
                room = min(connection.send_window, one.send_window, 16384)
                if room > 0 and one.reset is None:
                    connection.send_window -= room
                    one.send_window -= room
                    connection.send(data(one.id, bytes(room)))
                    moved = True
            if connection.ended:
                return
            if not moved and not stream:
                connection.quiet(0.005)
    _, guise = pair(http2.scripted(script))
    assert stage.client(guise.reverse).get("/").status == 200
    before = guise.resident_peak()
    slow = [stage.client(guise.reverse, receive_buffer=4096) for _ in range(20)]
    for client in slow:
        client.send(request("GET", "/big"))
    wait_for(lambda: len(pending) == 20, "20 large answers")
    assert stays_true(lambda: True, 0.5)
    client = stage.client(guise.reverse)
    watch = Stopwatch()
    for _ in range(20):
        assert client.ask(request("POST", body=b"hello")).body == b"hello"
    assert watch.seconds < 5 * slowness()
    assert sanitizer() or guise.resident_peak() - before < 20 * MIB


def test_large_bodies_both_ways(pair, stage):
    _, guise = pair(http2.serving(echo))
    client = stage.client(guise.reverse)
    body = BLOCK * 3
    sender = threading.Thread(target=client.send, args=(request("POST", body=body),), daemon=True)
    sender.start()
    assert client.read_response().body == body
    sender.join(10)


def test_a_server_with_small_windows(pair, stage):
    _, guise = pair(serve_slowly, {Setting.INITIAL_WINDOW_SIZE: 100})
    assert stage.client(guise.reverse).ask(request("POST", body=BLOCK[:20_000])).body == BLOCK[:20_000]


def test_early_answer_while_uploading(pair, stage):
    """The server answers before the content has come, and resets with NO_ERROR (RFC 9113 8.1): the client has the answer."""
    def script(connection):
        while (stream := connection.next_request(whole=False)) is not None:
            connection.answer(stream, 413, [("content-length", "2")], b"no")
            connection.send(rst_stream(stream.id, Code.NO_ERROR))
            stream.reset = Code.NO_ERROR
    _, guise = pair(http2.scripted(script))
    client = http2.Client(guise.reverse)
    stream = client.request("POST", end=False)
    client.send_data(stream, b"x" * 1000)
    client.finish(stream)
    assert (stream.status, stream.body) == (413, b"no")
    plain = stage.client(guise.reverse)
    plain.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nxxx")
    assert plain.read_response().status == 413
    client.close()


def test_interim_responses_pass(pair, stage):
    def script(connection):
        while (stream := connection.next_request()) is not None:
            connection.send_fields(stream, [(":status", "103"), ("link", "</a>")])
            connection.send_fields(stream, [(":status", "103"), ("link", "</b>")])
            echo(connection, stream)
    _, guise = pair(http2.scripted(script))
    got = stage.client(guise.reverse).get()
    assert [one.status for one in got.interim] == [103, 103] and got.status == 200


def test_continue_passes(pair, stage):
    def script(connection):
        stream = connection.next_request(whole=False)
        assert stream.head.get("expect") == "100-continue"
        connection.send_fields(stream, [(":status", "100")])
        connection.until(lambda: stream.ended, "the content")
        echo(connection, stream)
        connection.read_until_end()
    _, guise = pair(http2.scripted(script))
    client = stage.client(guise.reverse)
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert client.read_response_head().status == 100
    client.send(b"hello")
    assert client.read_response().body == b"hello"


def test_head_and_statuses_without_content(pair, stage):
    def script(connection):
        while (stream := connection.next_request()) is not None:
            connection.answer(stream, int(stream.head.get(":path")[1:]), [("content-length", "5")]
                              if stream.head.get(":method") == "HEAD" else [])
    _, guise = pair(http2.scripted(script))
    client = stage.client(guise.reverse)
    assert client.ask(request("HEAD", "/200")).fields.get("content-length") == "5"
    assert client.ask(request("GET", "/204")).status == 204
    assert client.ask(request("GET", "/304")).status == 304
    assert client.ask(request("GET", "/200")).body == b""


def test_client_that_goes_away_resets_its_stream_alone(pair, stage):
    """CANCEL, and the connection stays for the others."""
    seen = []

    def script(connection):
        first = connection.next_request()
        connection.until(lambda: first.reset is not None, "RST_STREAM")
        seen.append(first.reset)
        while (stream := connection.next_request()) is not None:
            echo(connection, stream)
    origin, guise = pair(http2.scripted(script))
    client = stage.client(guise.reverse)
    client.send(request("GET", "/hold"))
    wait_for(lambda: origin.peers and getattr(origin.peers[0], "http2", None) and origin.peers[0].http2.highest, "the request")
    client.reset()
    wait_for(lambda: seen, "RST_STREAM")
    assert seen == [Code.CANCEL]
    assert stage.client(guise.reverse).get().status == 200 and len(origin.peers) == 1


def test_server_that_answers_nothing(pair, stage):
    """504, and the stream is reset; the connection goes on."""
    def script(connection):
        first = connection.next_request()
        connection.until(lambda: first.reset is not None, "RST_STREAM")
        while (stream := connection.next_request()) is not None:
            echo(connection, stream)
    origin, guise = pair(http2.scripted(script), timeouts={"response": "400ms"}, upstream={"retries": 0})
    assert stage.client(guise.reverse).get().status == 504
    assert stage.client(guise.reverse).get().status == 200 and len(origin.peers) == 1


def test_server_that_stops_in_the_middle(pair, stage):
    def script(connection):
        while (stream := connection.next_request()) is not None:
            connection.answer(stream, 200, [("content-length", "10")], b"half", end=False)
    _, guise = pair(http2.scripted(script), timeouts={"response": "400ms"})
    with pytest.raises((Truncated, Closed, ConnectionError)):
        stage.client(guise.reverse).get()
    client = http2.Client(guise.reverse)
    assert client.get().reset not in (None, Code.NO_ERROR)
    client.close()


def test_ping_of_a_server_is_answered(pair, stage):
    def script(connection):
        stream = connection.next_request()
        connection.send(ping())
        connection.until(lambda: connection.pongs == 1, "PING ACK")
        echo(connection, stream)
        connection.read_until_end()
    _, guise = pair(http2.scripted(script))
    assert stage.client(guise.reverse).get().status == 200


def test_a_server_of_http1_where_http2_was_configured(stage):
    def script(peer):
        peer.read_some()
        peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    guise = stage.guise(settings.reverse(stage.origin(script), upstream={"http": "2"}))
    assert stage.client(guise.reverse).get().status == 502


def test_shutdown_leaves_servers_in_good_order(pair, stage):
    """GOAWAY, or at least an end between frames, which the reader checks."""
    origin, guise = pair(http2.serving(echo))
    assert stage.client(guise.reverse).get().status == 200
    guise.stop()
    assert origin.peers[0].ended.wait(5)


# TLS and ALPN

@pytest.mark.parametrize("version, protocols, expected", [
    ("auto", ("h2", "http/1.1"), "h2"), ("auto", ("http/1.1",), "http/1.1"), ("2", ("h2",), "h2")])
def test_version_by_alpn(stage, tmp_path, version, protocols, expected):
    pem, key = http2.certificate(tmp_path)
    context = http2.server_context(pem, key, *protocols)
    spoken = []

    def script(peer):
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        spoken.append(peer.sock.selected_alpn_protocol())
        if spoken[-1] == "h2":
            connection = http2.Server(peer.sock)
            connection.greet()
            connection.read_preface()
            while (stream := connection.next_request()) is not None:
                echo(connection, stream)
        else:
            while peer.read_request() is not None:
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin, upstream={"tls": {"ca": pem, "name": "a.test"}, "http": version}))
    client = stage.client(guise.reverse)
    for _ in range(5):
        assert client.ask(request("POST", body=b"hello")).body == b"hello"
    assert spoken == [expected]


def test_window_updates_come_when_the_client_has_taken_the_bytes(pair, stage):
    """The server may send a window and no more until the client has read."""
    sent = []

    def script(connection):
        stream = connection.next_request()
        connection.send_fields(stream, [(":status", "200"), ("content-length", str(50 * MIB))])
        while connection.ended is False and sum(sent) < 50 * MIB:
            room = min(connection.send_window, stream.send_window, 16384)
            if room <= 0:
                connection.quiet(0.05)
                continue
            connection.send_window -= room
            stream.send_window -= room
            connection.send(data(stream.id, bytes(room)))
            sent.append(room)
            connection.poll()
    _, guise = pair(http2.scripted(script))
    client = http2.Client(guise.reverse, {Setting.INITIAL_WINDOW_SIZE: 1000}, credit=False)
    stream = client.request()
    client.until(lambda: stream.count == 1000, "the first window")
    client.quiet(0.5)
    assert sum(sent) < MIB
    client.close()


def test_trailers_and_no_content(pair):
    """Both ways, without DATA."""
    def script(connection):
        while (stream := connection.next_request()) is not None:
            assert list(stream.trailers) == [("x-in", "1")]
            connection.send(headers(stream.id, block((":status", "200")), False), headers(stream.id, block(("x-out", "2"))))
    _, guise = pair(http2.scripted(script))
    client = http2.Client(guise.reverse)
    stream = client.ask("POST", trailers=[("x-in", "1")])
    assert list(stream.trailers) == [("x-out", "2")] and stream.count == 0
    client.close()


def test_windows_of_the_connection_are_given_back(pair, stage):
    """Answers that are thrown away count for the connection: its window has to come back all the same."""
    def script(connection):
        while (stream := connection.next_request()) is not None:
            if stream.head.get(":path") != "/drop":
                echo(connection, stream)
                continue
            connection.send_fields(stream, [(":status", "200")])
            for _ in range(3):
                connection.until(lambda: connection.send_window >= 16384, "window of the connection")
                connection.send_window -= 16384
                connection.send(data(stream.id, bytes(16384)))
            connection.until(lambda: stream.reset is not None, "RST_STREAM")  # pylint: disable=cell-var-from-loop
            assert connection.send_window > 0
    _, guise = pair(http2.scripted(script))
    client = http2.Client(guise.reverse)
    for _ in range(40):
        stream = client.request(path="/drop")
        client.answer(stream)
        client.send(rst_stream(stream.id))
        stream.reset = Code.CANCEL
    assert client.ask("POST", body=b"hello").body == b"hello"
    client.close()
