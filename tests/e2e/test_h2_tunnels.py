"""Tunnels over HTTP/2: CONNECT through a forward listener (RFC 9113 8.5), and WebSocket between HTTP/2 and HTTP/1 (RFC 8441)."""

import signal
import subprocess
import threading
import time

import pytest

from support import http2, settings, websocket
from support.frames import Code, Setting, data, rst_stream, window_update
from support.origin import OK, response
from support.process import sanitizer, slowness
from support.servers import ENVIRONMENT, program
from support.waiting import stays_true, wait_for
from support.wire import Truncated

PUBLIC = "93.184.216.34"
MIB = 1 << 20
BLOCK = bytes(range(256)) * 4096


def echo(peer):
    peer.keep = False
    while some := peer.read_some():
        peer.send(some)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return http2.certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def proxy(stage, certificate):
    """proxy(script, **config) -> (origin, guise, client): HTTPS to the forward proxy itself, HTTP/2 by ALPN."""
    def make(script=echo, **config):
        origin = stage.origin(script, host="0.0.0.0")
        tls = {"certificates": [{"certificate": certificate[0], "key": certificate[1]}]}
        guise = stage.guise(settings.forward(listener={"tls": tls}, **config))
        client = http2.Client(guise.forward, tls=http2.client_context("h2", "http/1.1")).settled()
        stage.clients.append(client)
        return origin, guise, client
    return make


def connect(client, port, host=PUBLIC):
    stream = client.request("CONNECT", authority=f"{host}:{port}", end=False)
    client.answer(stream)
    return stream


def talk(client, stream, text):
    before = stream.count
    client.send_data(stream, text)
    client.until(lambda: stream.over or stream.count >= before + len(text), "the echo")
    assert bytes(stream.body[before:]) == text


# CONNECT

def test_bytes_both_ways(proxy):
    origin, guise, client = proxy()
    stream = connect(client, origin.port)
    assert stream.status == 200 and not stream.head.has("content-length") and not stream.ended
    for size in (1, 1000, 300_000):
        talk(client, stream, BLOCK[:size])
    client.send_data(stream, b"", True)
    client.finish(stream)
    assert stream.ended and stream.reset is None
    entry = guise.wait_log()
    assert entry["method"] == "CONNECT" and entry["status"] == 200 and entry["protocol"] == "HTTP/2"
    assert entry["in"] == entry["out"] == 301_001


def test_many_tunnels_in_one_connection(proxy):
    origin, guise, client = proxy()
    streams = [connect(client, origin.port) for _ in range(60)]
    assert all(stream.status == 200 for stream in streams)
    for number, stream in enumerate(streams):
        talk(client, stream, b"tunnel %d" % number)
    for stream in streams:
        client.send_data(stream, b"", True)
    for stream in streams:
        assert client.finish(stream).ended
    wait_for(lambda: len(guise.log_entries()) == 60, "60 lines in the log")
    assert len(origin.peers) == 60 and not client.goaways


def test_first_bytes_with_the_request(proxy):
    """They wait for the tunnel."""
    origin, _, client = proxy()
    stream = client.request("CONNECT", authority=f"{PUBLIC}:{origin.port}", end=False)
    client.send_data(stream, b"early")
    client.until(lambda: stream.count == 5, "the echo")
    assert stream.body == b"early"


def test_server_that_speaks_first(proxy):
    def script(peer):
        peer.send(b"220 hello\r\n")
        peer.wait_end()
    origin, _, client = proxy(script)
    stream = connect(client, origin.port)
    client.until(lambda: stream.body == b"220 hello\r\n", "the greeting")


def test_server_that_closes(proxy):
    """END_STREAM follows the last byte."""
    def script(peer):
        peer.send(b"all of it")
        peer.half_close()
        peer.wait_end()
    origin, _, client = proxy(script)
    stream = connect(client, origin.port)
    client.until(lambda: stream.ended, "the end")
    assert stream.body == b"all of it"
    client.send_data(stream, b"", True)
    assert origin.peers[0].ended.wait(5)


def test_client_that_half_closes(proxy):
    """END_STREAM is a FIN; the other direction goes on."""
    def script(peer):
        assert peer.read_to_end() == b"question"
        peer.send(b"answer")
    origin, _, client = proxy(script)
    stream = connect(client, origin.port)
    client.send_data(stream, b"question", True)
    assert client.finish(stream).body == b"answer" and stream.ended


def test_reset_of_the_client_ends_its_tunnel_alone(proxy):
    origin, _, client = proxy()
    one, two = connect(client, origin.port), connect(client, origin.port)
    talk(client, one, b"one")
    talk(client, two, b"two")
    client.send(rst_stream(one.id))
    one.reset = Code.CANCEL
    wait_for(lambda: sum(peer.ended.is_set() for peer in origin.peers) == 1, "the end of one tunnel")
    talk(client, two, b"still there")


def test_reset_of_the_server_is_a_reset(proxy):
    """RFC 9113 8.5: CONNECT_ERROR."""
    def script(peer):
        peer.read_some()
        peer.reset()
    origin, _, client = proxy(script)
    stream = connect(client, origin.port)
    client.send_data(stream, b"go")
    client.finish(stream)
    assert stream.reset in (Code.CONNECT_ERROR, Code.CANCEL, Code.INTERNAL_ERROR) and not stream.ended
    assert not client.goaways


def test_refused_tunnels_are_answered(proxy):
    _, guise, client = proxy()
    stream = client.ask("CONNECT", authority=f"{PUBLIC}:1")
    assert stream.status == 502 and "connection_refused" in stream.field("proxy-status")
    stream = client.ask("CONNECT", authority="127.0.0.1:22")
    assert stream.status == 403
    assert not client.goaways
    wait_for(lambda: len(guise.log_entries()) == 2, "two lines in the log")


@pytest.mark.parametrize("authority", ["a.test", "a.test:", ":443", "a.test:0", "a.test:65536", "u@a.test:443", "a b:443",
                                       "a.test:443/x", "[::1:443", ""])
def test_targets_that_are_none(proxy, authority):
    _, _, client = proxy()
    stream = client.ask("CONNECT", authority=authority)
    assert stream.status == 400 or stream.reset == Code.PROTOCOL_ERROR
    assert not client.goaways


@pytest.mark.seconds(60)
def test_a_slow_tunnel_holds_up_nobody(proxy):
    """One tunnel is not read, another moves 20 MiB; memory stays."""
    def script(peer):
        peer.keep = False
        first = peer.read_some()
        if first == b"flood":
            while True:
                peer.send(BLOCK)
        peer.send(first)
        echo(peer)
    origin, guise, client = proxy(script)
    talk(client, connect(client, origin.port), b"warm")
    before = guise.resident_peak()
    client.credit = False
    stalled = []
    for _ in range(10):
        stream = connect(client, origin.port)
        client.send_data(stream, b"flood")
        stalled.append(stream)
    client.until(lambda: all(stream.count > 0 for stream in stalled[:3]) or client.receive_window == 0, "the flood")
    client.receive_window += MIB
    client.send(window_update(0, MIB))
    client.until(lambda: all(stream.receive_window == 0 for stream in stalled), "shut windows")
    client.credit = True
    fast = connect(client, origin.port)
    for _ in range(20):
        talk(client, fast, BLOCK)
        del fast.body[:]
        fast.count = 0
    assert sanitizer() or guise.resident_peak() - before < 12 * MIB


def test_plain_requests_beside_tunnels(proxy):
    """The scheme says what is asked for; the forward proxy asks for http."""
    def script(peer):
        while (got := peer.read_request()) is not None:
            peer.send(response(200, f"{got.target} {got.fields.get('Host')}".encode()))
    origin, _, client = proxy(script)
    stream = client.get("/x?y", authority=f"{PUBLIC}:{origin.port}", scheme="http")
    assert stream.status == 200 and stream.body.decode() == f"/x?y {PUBLIC}:{origin.port}"
    assert "via" not in [name.lower() for name, _ in origin.requests[0].fields]


def test_authority_that_is_not_public(proxy):
    origin, _, client = proxy(lambda peer: peer.wait_end())
    assert client.get(authority=f"127.0.0.1:{origin.port}", scheme="http").status == 403


def test_idle_tunnels_end(proxy):
    origin, guise, client = proxy(timeouts={"tunnel": "500ms"})
    stream = connect(client, origin.port)
    talk(client, stream, b"hello")
    client.finish(stream, 5 * slowness())
    assert stream.over and not client.goaways
    assert guise.wait_log()["method"] == "CONNECT" and origin.peers[0].ended.wait(5)


def test_tunnels_at_shutdown(proxy):
    """They go on until the drain is over."""
    origin, guise, client = proxy(timeouts={"drain": "1500ms"})
    stream = connect(client, origin.port)
    talk(client, stream, b"before")
    guise.signal(signal.SIGTERM)
    client.until(lambda: client.goaways, "GOAWAY")
    talk(client, stream, b"after")
    client.send_data(stream, b"", True)
    assert client.finish(stream).ended
    client.read_until_end()
    assert guise.wait_exit() == 0


def test_curl_to_an_https_proxy(proxy, curl):
    """curl of Debian 12 speaks HTTP/1.1 to an HTTPS proxy: beside HTTP/2 on the same listener."""
    def script(peer):
        while (got := peer.read_request()) is not None:
            peer.send(response(200, got.target.encode()))
    origin, guise, _ = proxy(script)
    place = f"https://127.0.0.1:{guise.forward[1]}"
    assert curl("--proxy-insecure", "--proxy", place, f"http://{PUBLIC}:{origin.port}/x").text == "/x"
    assert curl("--proxy-insecure", "-p", "--proxy", place, f"http://{PUBLIC}:{origin.port}/x").text == "/x"


@pytest.mark.seconds(60)
def test_chromium_with_an_https_proxy(proxy, tmp_path):
    """A browser: everything through HTTP/2 to the proxy, tunnels for https, and requests for http."""
    browser = program("chromium")

    def page(peer):
        while (got := peer.read_request()) is not None:
            if got.target == "/":
                parts = "".join(f"<script src='/part/{number}'></script>" for number in range(20))
                peer.send(response(200, f"<body><p id=a></p>{parts}</body>".encode(), [("Content-Type", "text/html")]))
            else:
                peer.send(response(200, b"document.getElementById('a').append('x')", [("Content-Type", "text/javascript")]))
    origin, guise, _ = proxy(page)
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                           "--ignore-certificate-errors", f"--user-data-dir={tmp_path}/profile",
                           f"--proxy-server=https://127.0.0.1:{guise.forward[1]}", "--dump-dom",
                           f"http://{PUBLIC}:{origin.port}/"], env=dict(ENVIRONMENT, HOME=str(tmp_path)), capture_output=True,
                          timeout=50, check=False)
    assert done.stdout.count(b"x" * 20) == 1, done.stdout + done.stderr[-2000:]
    entries = [entry for entry in guise.log_entries() if "/part/" in entry["target"]]
    assert len(entries) == 20 and {entry["protocol"] for entry in entries} == {"HTTP/2"}


# WebSocket (RFC 8441)

SOCKET = [("sec-websocket-version", "13"), ("origin", "http://a.test")]


def open_websocket(client, path="/", fields=()):
    stream = client.request("CONNECT", path, [*SOCKET, *fields], end=False, extra=[(":protocol", "websocket")])
    client.answer(stream)
    return stream


class StreamWire:
    """Just enough of a wire for websocket.read_frame."""

    def __init__(self, client, stream):
        self.client, self.stream = client, stream

    def read_exact(self, count):
        self.client.until(lambda: len(self.stream.body) >= count, f"{count} bytes")
        taken = bytes(self.stream.body[:count])
        del self.stream.body[:count]
        return taken


@pytest.fixture
def gateway(stage):
    """gateway(script, **config) -> (origin, guise, client): HTTP/2 in clear to a server of HTTP/1."""
    def make(script=websocket.echo_server, **config):
        origin = stage.origin(script)
        guise = stage.guise(settings.reverse(origin, listener={"http2": "clear"}, **config))
        client = http2.Client(guise.reverse).settled()
        stage.clients.append(client)
        return origin, guise, client
    return make


def test_websocket_to_a_server_of_http1(gateway):
    origin, guise, client = gateway()
    assert client.peer.get(Setting.ENABLE_CONNECT_PROTOCOL) == 1
    stream = open_websocket(client, "/chat", [("sec-websocket-protocol", "x")])
    assert stream.status == 200 and not stream.ended
    wire = StreamWire(client, stream)
    for size in (0, 1, 125, 126, 65535, 65536, 500_000):
        client.send_data(stream, websocket.frame(bytes(size)))
        assert websocket.read_frame(wire) == (websocket.BINARY, bytes(size))
    client.send_data(stream, websocket.frame(b"", websocket.CLOSE))
    assert websocket.read_frame(wire)[0] == websocket.CLOSE
    client.send_data(stream, b"", True)
    client.finish(stream)
    sent = origin.heads[0]
    assert (sent.method, sent.target) == ("GET", "/chat")
    assert sent.fields.get("Upgrade").lower() == "websocket" and "upgrade" in sent.fields.get("Connection").lower()
    assert len(sent.fields.get("Sec-WebSocket-Key")) == 24 and sent.fields.get("Sec-WebSocket-Protocol") == "x"
    assert guise.wait_log()["status"] in (101, 200)


def test_many_websockets_in_one_connection(gateway):
    origin, _, client = gateway()
    streams = [open_websocket(client) for _ in range(40)]
    for number, stream in enumerate(streams):
        client.send_data(stream, websocket.frame(b"%d" % number))
    for number, stream in enumerate(streams):
        assert websocket.read_frame(StreamWire(client, stream))[1] == b"%d" % number
    keys = {head.fields.get("Sec-WebSocket-Key") for head in origin.heads}
    assert len(keys) == 40


def test_websocket_that_is_refused(gateway):
    """What the server says instead of 101 is the answer."""
    def script(peer):
        while peer.read_request() is not None:
            peer.send(response(403, b"no"))
    _, _, client = gateway(script)
    stream = open_websocket(client)
    client.finish(stream)
    assert (stream.status, stream.body) == (403, b"no")
    assert client.get().status == 403


def test_websocket_with_a_wrong_accept(gateway):
    """The server answers 101 to another key: it does not know what it does (RFC 6455 4.1)."""
    def script(peer):
        peer.read_request_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n")
        peer.wait_end()
    _, _, client = gateway(script)
    stream = open_websocket(client)
    assert stream.status == 502 or stream.reset is not None


def test_other_protocols_are_refused(gateway):
    """RFC 9220, 8441: one that is not known is 501 (RFC 9220 3), and reaches nobody."""
    origin, _, client = gateway(lambda peer: peer.send(OK))
    stream = client.request("CONNECT", "/", extra=[(":protocol", "connect-udp")], end=False)
    client.finish(stream)
    assert stream.status in (400, 405, 501) or stream.reset == Code.PROTOCOL_ERROR
    assert not origin.heads and not client.goaways


def test_client_that_resets_its_websocket(gateway):
    origin, _, client = gateway()
    stream = open_websocket(client)
    client.send(rst_stream(stream.id))
    assert origin.peers[0].ended.wait(5)


def test_server_that_drops_its_websocket(gateway):
    def script(peer):
        head = peer.read_request_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  + f"Sec-WebSocket-Accept: {websocket.accept(head.fields.get('Sec-WebSocket-Key'))}\r\n\r\n".encode()
                  + websocket.frame(b"bye", mask=False))
    _, _, client = gateway(script)
    stream = open_websocket(client)
    client.finish(stream)
    assert stream.status == 200 and stream.body == websocket.frame(b"bye", mask=False)


# from HTTP/1 to a server of HTTP/2

def inner_echo(connection):
    """Echoes the bytes of each extended CONNECT."""
    done, ended = {}, set()
    while not connection.ended:
        connection.poll()
        connection.quiet(0.005)
        for number, stream in list(connection.streams.items()):
            if number in ended or stream.reset is not None:
                continue
            if number not in done:
                assert stream.head.get(":protocol") == "websocket" and stream.head.get(":method") == "CONNECT"
                assert not stream.head.has("upgrade") and not stream.head.has("connection")
                assert stream.head.get("sec-websocket-version") == "13"
                connection.send_fields(stream, [(":status", "200"), ("x-inner", "yes")])
                done[number] = 0
            some = bytes(stream.body[done[number]:])
            done[number] += len(some)
            if some:
                connection.send_data(stream, some)
            if stream.ended:
                ended.add(number)
                connection.send(data(number, b"", True))


ENABLED = {Setting.ENABLE_CONNECT_PROTOCOL: 1}


def test_websocket_of_http1_to_a_server_of_http2(stage):
    origin = stage.origin(http2.scripted(inner_echo, ENABLED))
    guise = stage.guise(settings.reverse(origin, upstream={"http": "2"}))
    clients = []
    for number in range(5):
        client = stage.client(guise.reverse)
        sent = websocket.handshake("/chat")
        client.send(sent)
        got = client.read_response()
        assert got.status == 101 and got.fields.get("Upgrade").lower() == "websocket"
        key = sent.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
        assert got.fields.get("Sec-WebSocket-Accept") == websocket.accept(key)
        client.send(websocket.frame(b"hello %d" % number))
        clients.append(client)
    for number, client in enumerate(clients):
        assert websocket.read_frame(client) == (websocket.BINARY, b"hello %d" % number)
    assert len(origin.peers) == 1


def test_websocket_to_a_server_without_extended_connect(stage):
    """It is not asked in a way that it does not know; the client has an error, or an answer without the upgrade."""
    def script(connection):
        while (stream := connection.next_request(whole=False)) is not None:
            assert not stream.head.has(":protocol")
            http2.ok(connection, stream)
    origin = stage.origin(http2.scripted(script))
    guise = stage.guise(settings.reverse(origin, upstream={"http": "2"}))
    client = stage.client(guise.reverse)
    client.send(websocket.handshake())
    got = client.read_response()
    assert got.status != 101


def test_websocket_that_a_server_of_http2_refuses(stage):
    def script(connection):
        while (stream := connection.next_request(whole=False)) is not None:
            connection.answer(stream, 403, [("content-length", "2")], b"no")
    guise = stage.guise(settings.reverse(stage.origin(http2.scripted(script, ENABLED)), upstream={"http": "2"}))
    client = stage.client(guise.reverse)
    client.send(websocket.handshake())
    got = client.read_response()
    assert (got.status, got.body) == (403, b"no")


def test_websocket_from_http2_to_http2(stage):
    origin = stage.origin(http2.scripted(inner_echo, ENABLED))
    guise = stage.guise(settings.reverse(origin, upstream={"http": "2"}, listener={"http2": "clear"}))
    client = http2.Client(guise.reverse).settled()
    stream = open_websocket(client)
    assert stream.status == 200 and stream.field("x-inner") == "yes"
    talk(client, stream, BLOCK[:100_000])
    client.send_data(stream, b"", True)
    assert client.finish(stream).ended
    client.close()


def test_websocket_that_is_closed_in_the_middle(stage):
    """RST_STREAM of the server is no orderly end for the client of HTTP/1."""
    def script(connection):
        stream = connection.next_request(whole=False)
        connection.send_fields(stream, [(":status", "200")])
        connection.until(lambda: stream.count > 0, "a frame")
        connection.send(rst_stream(stream.id, Code.CANCEL))
        connection.read_until_end()
    guise = stage.guise(settings.reverse(stage.origin(http2.scripted(script, ENABLED)), upstream={"http": "2"}))
    client = stage.client(guise.reverse)
    client.send(websocket.handshake())
    assert client.read_response().status == 101
    client.send(websocket.frame(b"x"))
    try:
        assert client.read_to_end() == b""
    except Truncated:
        pass


def test_ordinary_upgrade_beside_http2(gateway, stage):
    """WebSocket of HTTP/1 on the same listener."""
    _, guise, client = gateway()
    plain = stage.client(guise.reverse)
    plain.send(websocket.handshake())
    assert plain.read_response().status == 101
    plain.send(websocket.frame(b"hello"))
    assert websocket.read_frame(plain)[1] == b"hello"
    assert client.peer


def test_connect_without_protocol_is_no_websocket(gateway):
    _, _, client = gateway()
    assert client.ask("CONNECT", authority="a.test:80").status == 405


def test_early_frames_of_a_websocket_wait(gateway):
    """Frames that come with the request are no content of it."""
    gate = threading.Event()

    def script(peer):
        head = peer.read_request_head()
        gate.wait(10)
        assert not peer.buffer and stays_true(lambda: True, 0.1)
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  + f"Sec-WebSocket-Accept: {websocket.accept(head.fields.get('Sec-WebSocket-Key'))}\r\n\r\n".encode())
        kind, text = websocket.read_frame(peer)
        peer.send(websocket.frame(text, kind, mask=False))
        peer.wait_end()
    _, _, client = gateway(script)
    stream = client.request("CONNECT", "/", SOCKET, end=False, extra=[(":protocol", "websocket")])
    client.send_data(stream, websocket.frame(b"early"))
    gate.set()
    assert client.answer(stream).status == 200
    assert websocket.read_frame(StreamWire(client, stream))[1] == b"early"


def test_frames_of_a_refused_websocket_are_no_request(gateway):
    """What the client sent early goes nowhere when the server says no."""
    def script(peer):
        while (got := peer.read_request()) is not None:
            assert got.body == b""
            peer.send(response(403, b"no"))
    origin, _, client = gateway(script)
    stream = client.request("CONNECT", "/", SOCKET, end=False, extra=[(":protocol", "websocket")])
    client.send_data(stream, b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n")
    client.finish(stream)
    assert stream.status == 403
    time.sleep(0.1)  # nothing more may come: there is no event to wait for
    assert b"smuggled" not in b"".join(bytes(peer.received) for peer in origin.peers)
    assert client.ask("POST", body=b"").status == 403
