"""gRPC passes: its own library on both sides, and its frames by hand: unary and streaming calls, early trailers, statuses, resets."""

import concurrent.futures
import itertools
import struct
import threading
import time

import pytest

from support import http2, settings
from support.frames import Code, rst_stream
from support.process import slowness
from support.waiting import Stopwatch, wait_for

CALL = [("te", "trailers"), ("content-type", "application/grpc"), ("grpc-encoding", "identity"), ("grpc-timeout", "10S")]
ANSWER = [("content-type", "application/grpc")]


def message(payload):
    """A length-prefixed message of gRPC."""
    return struct.pack(">BI", 0, len(payload)) + payload


def messages(stream):
    """The whole messages that came so far."""
    found, at = [], 0
    while at + 5 <= len(stream.body):
        size, = struct.unpack_from(">I", stream.body, at + 1)
        if at + 5 + size > len(stream.body):
            break
        found.append(bytes(stream.body[at + 5:at + 5 + size]))
        at += 5 + size
    return found


@pytest.fixture
def raw(stage):
    """raw(script, **config) -> (origin, guise, client): a server of HTTP/2 by hand."""
    def make(script, **config):
        origin = stage.origin(http2.scripted(script))
        guise = stage.guise(settings.reverse(origin, upstream={"http": "2"}, listener={"http2": "clear"}, **config))
        client = http2.Client(guise.reverse).settled()
        stage.clients.append(client)
        return origin, guise, client
    return make


def call(client, path="/echo.Echo/Unary", body=None, end=True):
    return client.request("POST", path, CALL, body, end)


# frames by hand

def test_unary_call(raw):
    def script(connection):
        while (stream := connection.next_request()) is not None:
            assert stream.head.get("te") == "trailers" and stream.head.get("content-type") == "application/grpc"
            assert stream.head.get("grpc-timeout") == "10S"
            connection.answer(stream, 200, ANSWER, message(b"re: " + messages(stream)[0]),
                              trailers=[("grpc-status", "0"), ("grpc-message", "fine")])
    _, _, client = raw(script)
    for number in range(20):
        stream = client.finish(call(client, body=message(b"%d" % number)))
        assert messages(stream) == [b"re: %d" % number]
        assert list(stream.trailers) == [("grpc-status", "0"), ("grpc-message", "fine")]


def test_trailers_only(raw):
    """A call that fails at once: HEADERS with END_STREAM, which have the status."""
    def script(connection):
        while (stream := connection.next_request()) is not None:
            connection.answer(stream, 200, [*ANSWER, ("grpc-status", "12"), ("grpc-message", "unknown%20method")])
    _, _, client = raw(script)
    stream = client.finish(call(client, body=message(b"x")))
    assert stream.status == 200 and stream.field("grpc-status") == "12" and stream.count == 0
    assert stream.field("grpc-message") == "unknown%20method"


def test_trailers_before_the_request_is_complete(raw):
    """The server ends the call while the client still sends: all of its answer arrives, the client is told to stop."""
    def script(connection):
        while (stream := connection.next_request(whole=False)) is not None:
            connection.until(lambda: len(messages(stream)) == 2, "two messages")  # pylint: disable=cell-var-from-loop
            connection.answer(stream, 200, ANSWER, message(b"enough"), trailers=[("grpc-status", "8")])
            if not stream.over:
                connection.send(rst_stream(stream.id, Code.NO_ERROR))
                stream.reset = Code.NO_ERROR
    _, _, client = raw(script)
    for _ in range(3):
        stream = call(client, body=message(b"1"), end=False)
        client.send_data(stream, message(b"2"))
        client.finish(stream)
        assert messages(stream) == [b"enough"] and stream.trailers.get("grpc-status") == "8" and stream.ended
        client.until(lambda: stream.reset is not None, "RST_STREAM")  # pylint: disable=cell-var-from-loop
        assert stream.reset == Code.NO_ERROR
        assert client.finish(call(client, body=message(b"1") + message(b"2"))).trailers.get("grpc-status") == "8"


def echo_messages(connection):
    """Each message back as it comes, until the client ends; the streams of a connection beside each other."""
    done, ended = {}, set()
    while not connection.ended:
        for number, stream in list(connection.streams.items()):
            if number in ended or stream.reset is not None:
                continue
            if number not in done:
                connection.send_fields(stream, [(":status", "200"), *ANSWER])
                done[number] = 0
            complete = stream.ended  # now: while messages are sent, more may come
            for text in messages(stream)[done[number]:]:
                connection.send_data(stream, message(text))
                done[number] += 1
            if complete:
                ended.add(number)
                connection.send_fields(stream, [("grpc-status", "0"), ("x-count", str(done[number]))], True)
        connection.poll()
        connection.quiet(0.002)


def test_bidirectional_streaming(raw):
    """Each message crosses at once; the head of the answer comes before the request has ended."""
    _, _, client = raw(echo_messages)
    stream = call(client, "/echo.Echo/Chat", end=False)
    client.answer(stream)
    assert stream.status == 200
    watch = Stopwatch()
    for number in range(50):
        client.send_data(stream, message(b"%d" % number))
        client.until(lambda: len(messages(stream)) == number + 1, "the echo")  # pylint: disable=cell-var-from-loop
    assert watch.seconds < 5 * slowness()
    client.send_data(stream, b"", True)
    client.finish(stream)
    assert list(stream.trailers) == [("grpc-status", "0"), ("x-count", "50")]


def test_many_calls_beside_each_other(raw):
    origin, _, client = raw(echo_messages)
    streams = [call(client, "/echo.Echo/Chat", end=False) for _ in range(50)]
    for number, stream in itertools.product(range(5), streams):
        client.send_data(stream, message(b"%d of %d" % (number, stream.id)))
    for stream in streams:
        client.send_data(stream, b"", True)
    for stream in streams:
        client.finish(stream)
        assert messages(stream) == [b"%d of %d" % (number, stream.id) for number in range(5)]
        assert stream.trailers.get("grpc-status") == "0"
    assert len(origin.peers) == 1


def test_messages_in_pieces(raw):
    """A message over many DATA frames, and many messages in one."""
    _, _, client = raw(echo_messages)
    stream = call(client, "/echo.Echo/Chat", end=False)
    whole = message(b"a" * 100) + message(b"") + message(b"b" * 3000)
    for at in range(0, len(whole), 37):
        client.send_data(stream, whole[at:at + 37])
    client.send_data(stream, b"", True)
    client.finish(stream)
    assert messages(stream) == [b"a" * 100, b"", b"b" * 3000]


def test_large_messages(raw):
    _, _, client = raw(echo_messages)
    stream = call(client, "/echo.Echo/Chat", end=False)
    sender = message(bytes(2_000_000))
    client.send_data(stream, sender, True)
    client.finish(stream, 20)
    assert messages(stream) == [bytes(2_000_000)]


@pytest.mark.parametrize("code", [Code.CANCEL, Code.INTERNAL_ERROR, Code.NO_ERROR])
def test_reset_of_the_client_in_the_middle(raw, code):
    """The server is told, and the connection goes on for other calls."""
    seen = []

    def script(connection):
        first = connection.next_request(whole=False)
        connection.send_fields(first, [(":status", "200"), *ANSWER])
        connection.send_data(first, message(b"1"))
        connection.until(lambda: first.reset is not None, "RST_STREAM")
        seen.append(first.reset)
        while (stream := connection.next_request()) is not None:
            connection.answer(stream, 200, ANSWER, message(b"ok"), trailers=[("grpc-status", "0")])
    origin, _, client = raw(script)
    stream = call(client, "/echo.Echo/Chat", message(b"x"), end=False)
    client.until(lambda: messages(stream) == [b"1"], "a message")
    client.send(rst_stream(stream.id, code))
    stream.reset = code
    assert client.finish(call(client, body=message(b"x"))).trailers.get("grpc-status") == "0"
    assert seen == [Code.CANCEL] and len(origin.peers) == 1


@pytest.mark.parametrize("code", [Code.CANCEL, Code.INTERNAL_ERROR, Code.ENHANCE_YOUR_CALM])
def test_reset_of_the_server_in_the_middle(raw, code):
    """The client sees a reset, not an end; other calls on both connections go on."""
    def script(connection):
        while (stream := connection.next_request(whole=False)) is not None:
            connection.send_fields(stream, [(":status", "200"), *ANSWER])
            connection.send_data(stream, message(b"half"))
            if stream.head.get(":path") == "/echo.Echo/Break":
                connection.send(rst_stream(stream.id, code))
                stream.reset = code
            else:
                connection.send_fields(stream, [("grpc-status", "0")], True)
    origin, _, client = raw(script)
    stream = call(client, "/echo.Echo/Break", message(b"x"), end=False)
    client.finish(stream)
    assert stream.reset not in (None, Code.NO_ERROR) and not stream.ended and stream.trailers is None
    assert client.finish(call(client, body=message(b"x"))).trailers.get("grpc-status") == "0"
    assert len(origin.peers) == 1


def test_status_in_trailers_of_any_kind(raw):
    """Binary metadata, several of a name, and none at all."""
    sets = [[("grpc-status", "0"), ("x-bin", "AAEC"), ("x-a", "1"), ("x-a", "2")], [("grpc-status", "13"), ("grpc-message", "")],
            [("grpc-status", "0"), ("grpc-status-details-bin", "CgA=" * 500)]]
    left = list(sets)

    def script(connection):
        while (stream := connection.next_request()) is not None:
            connection.answer(stream, 200, ANSWER, message(b""), trailers=left.pop(0))
    _, _, client = raw(script)
    for expected in sets:
        assert list(client.finish(call(client, body=message(b""))).trailers) == expected


def test_server_that_is_down_is_an_answer(stage):
    """A client of gRPC maps the status 503 to UNAVAILABLE itself."""
    guise = stage.guise(settings.reverse("127.0.0.1:1", upstream={"http": "2"}, listener={"http2": "clear"}))
    client = http2.Client(guise.reverse)
    stream = client.finish(call(client, body=message(b"x")))
    assert stream.status == 503 and stream.ended
    client.close()


def test_call_to_a_server_of_http1(stage):
    """Trailers cross to HTTP/1 and back, where a server has them."""
    def script(peer):
        while (got := peer.read_request()) is not None:
            assert got.body == message(b"x")
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/grpc\r\n\r\n"
                      b"7\r\n" + message(b"ok") + b"\r\n0\r\ngrpc-status: 0\r\n\r\n")
    guise = stage.guise(settings.reverse(stage.origin(script), listener={"http2": "clear"}))
    client = http2.Client(guise.reverse)
    stream = client.finish(call(client, body=message(b"x")))
    assert messages(stream) == [b"ok"] and list(stream.trailers) == [("grpc-status", "0")]
    client.close()


def test_an_idle_call_is_no_stalled_one(raw):
    """A call that waits for the server's next message, with the limits of ordinary requests short: a server push of minutes is what gRPC does."""
    def script(connection):
        while (stream := connection.next_request(whole=False)) is not None:
            connection.send_fields(stream, [(":status", "200"), *ANSWER])
            connection.quiet(1.2)
            connection.send_data(stream, message(b"late"))
            connection.send_fields(stream, [("grpc-status", "0")], True)
    _, _, client = raw(script, timeouts={"idle": "300ms", "header": "300ms"})
    stream = call(client, "/echo.Echo/Watch", message(b"x"), end=False)
    client.finish(stream)
    assert messages(stream) == [b"late"] and stream.trailers.get("grpc-status") == "0"


# the library of Debian, on both sides

class Library:
    """An echo service of grpcio without generated code."""

    def __init__(self, grpc):
        self.grpc = grpc
        self.cancelled = threading.Event()
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Wait": grpc.unary_stream_rpc_method_handler(self.wait),
        }
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(20))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", handlers),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def unary(self, text, context):
        context.set_trailing_metadata((("x-trailing", "yes"), ("x-data-bin", b"\0\1")))
        return b"re: " + text

    def count(self, text, _):
        for number in range(int(text)):
            yield b"%d" % number

    def sum(self, texts, _):
        return b"%d" % sum(int(text) for text in texts)

    def chat(self, texts, _):
        for text in texts:
            yield b"re: " + text

    def fail(self, _, context):
        context.abort(self.grpc.StatusCode.FAILED_PRECONDITION, "not \u00e9 now")

    def wait(self, _, context):
        context.add_callback(self.cancelled.set)
        yield b"begun"
        self.cancelled.wait(10)


@pytest.fixture
def library(stage):
    """(service, channel, guise): a channel of grpcio to Guise, Guise to a server of grpcio."""
    grpc = pytest.importorskip("grpc")
    service = Library(grpc)
    guise = stage.guise(settings.reverse(f"127.0.0.1:{service.port}", upstream={"http": "2"}, listener={"http2": "clear"}))
    channel = grpc.insecure_channel(f"127.0.0.1:{guise.reverse[1]}", options=[("grpc.enable_http_proxy", 0)])
    yield service, channel, guise
    channel.close()
    service.server.stop(0).wait(5)


def test_library_unary(library):
    _, channel, _ = library
    unary = channel.unary_unary("/echo.Echo/Unary")
    for size in (0, 1, 10_000, 1_000_000):
        answer, done = unary.with_call(bytes(size), timeout=10)
        assert answer == b"re: " + bytes(size)
        trailing = dict(done.trailing_metadata())
        assert trailing["x-trailing"] == "yes" and trailing["x-data-bin"] == b"\0\1"


def test_library_streaming(library):
    _, channel, _ = library
    assert list(channel.unary_stream("/echo.Echo/Count")(b"500", timeout=10)) == [b"%d" % number for number in range(500)]
    assert channel.stream_unary("/echo.Echo/Sum")((b"%d" % number for number in range(500)), timeout=10) == b"124750"


def test_library_bidirectional(library):
    """One message at a time, each answered before the next is sent."""
    _, channel, _ = library
    answered = threading.Semaphore(1)

    def ask():
        for number in range(50):
            assert answered.acquire(timeout=5)
            yield b"%d" % number
    got = []
    for text in channel.stream_stream("/echo.Echo/Chat")(ask(), timeout=15):
        got.append(text)
        answered.release()
    assert got == [b"re: %d" % number for number in range(50)]


def test_library_many_at_a_time(library):
    _, channel, guise = library
    unary = channel.unary_unary("/echo.Echo/Unary")
    calls = [unary.future(b"%d" % number, timeout=15) for number in range(300)]
    assert [one.result() for one in calls] == [b"re: %d" % number for number in range(300)]
    assert {entry["protocol"] for entry in guise.log_entries()} == {"HTTP/2"}


def test_library_errors(library):
    service, channel, _ = library
    codes = service.grpc.StatusCode
    for path, code, details in (("/echo.Echo/Fail", codes.FAILED_PRECONDITION, "not \u00e9 now"),
                                ("/echo.Echo/None", codes.UNIMPLEMENTED, None)):
        with pytest.raises(service.grpc.RpcError) as raised:
            channel.unary_unary(path)(b"", timeout=10)
        assert raised.value.code() == code and (details is None or raised.value.details() == details)


def test_library_cancel(library):
    service, channel, _ = library
    answers = channel.unary_stream("/echo.Echo/Wait")(b"", timeout=10)
    assert next(answers) == b"begun"
    answers.cancel()
    assert service.cancelled.wait(5)


def test_library_deadline(library):
    service, channel, _ = library
    at = time.monotonic()
    with pytest.raises(service.grpc.RpcError) as raised:
        list(channel.unary_stream("/echo.Echo/Wait")(b"", timeout=0.5))
    assert raised.value.code() == service.grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - at < 5
    assert service.cancelled.wait(5)


def test_library_when_the_server_goes(library):
    """A call that runs fails as one that the connection was lost under, the next one as unavailable."""
    service, channel, guise = library
    answers = channel.unary_stream("/echo.Echo/Wait")(b"", timeout=10)
    assert next(answers) == b"begun"
    service.server.stop(0).wait(5)
    with pytest.raises(service.grpc.RpcError):
        list(answers)
    with pytest.raises(service.grpc.RpcError) as raised:
        channel.unary_unary("/echo.Echo/Unary")(b"", timeout=5)
    assert raised.value.code() == service.grpc.StatusCode.UNAVAILABLE
    wait_for(lambda: len(guise.log_entries()) == 2, "two lines in the log")
