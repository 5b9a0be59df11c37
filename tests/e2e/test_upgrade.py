"""Upgrade: WebSocket passes, h2c does not, and what a server ignores keeps its connection (RFC 9110 7.8, RFC 6455)."""

import asyncio
import threading

import pytest

from support import settings, websocket
from support.origin import OK, answering
from support.waiting import wait_for


@pytest.fixture
def echo(stage):
    origin = stage.origin(websocket.echo_server)
    guise = stage.guise(settings.reverse(origin))
    return origin, guise


def open_websocket(stage, address, **options):
    client = stage.client(address)
    client.send(websocket.handshake(**options))
    response = client.read_response()
    assert response.status == 101
    assert response.fields.get("Upgrade").lower() == "websocket"
    assert "upgrade" in response.fields.get("Connection").lower()
    assert response.fields.has("Sec-WebSocket-Accept")
    return client


def test_handshake_and_messages(stage, echo):
    origin, guise = echo
    client = open_websocket(stage, guise.reverse)
    for size in (0, 1, 125, 126, 65535, 65536, 1_000_000):
        data = bytes(size)
        sender = threading.Thread(target=client.send, args=(websocket.frame(data),))
        sender.start()
        assert websocket.read_frame(client) == (websocket.BINARY, data)
        sender.join()
    client.send(websocket.frame(b"", websocket.CLOSE))
    assert websocket.read_frame(client)[0] == websocket.CLOSE
    client.half_close()
    client.expect_end()
    sent = origin.heads[0].fields
    assert sent.get("Upgrade").lower() == "websocket" and "upgrade" in sent.get("Connection").lower()
    entry = guise.wait_log()
    assert entry["status"] == 101 and entry["in"] > 1_000_000 and entry["out"] > 1_000_000


def test_first_frames_together_with_the_heads(stage):
    """The client's first frame in the segment of its request, the server's in that of its 101."""
    def script(peer):
        head = peer.read_request_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  + f"Sec-WebSocket-Accept: {websocket.accept(head.fields.get('Sec-WebSocket-Key'))}\r\n\r\n".encode()
                  + websocket.frame(b"server first", mask=False))
        assert websocket.read_frame(peer) == (websocket.BINARY, b"client first")
        peer.send(websocket.frame(b"seen", mask=False))
        peer.wait_end()
    guise = stage.guise(settings.reverse(stage.origin(script)))
    client = stage.client(guise.reverse)
    client.send(websocket.handshake() + websocket.frame(b"client first"))
    assert client.read_response().status == 101
    assert websocket.read_frame(client)[1] == b"server first"
    assert websocket.read_frame(client)[1] == b"seen"


def test_the_library_of_debian_through_guise(stage):
    websockets = pytest.importorskip("websockets")

    async def talk():
        async def handler(socket, *_):
            async for message in socket:
                await socket.send(message)
        async with websockets.serve(handler, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            guise = stage.guise(settings.reverse(f"127.0.0.1:{port}"))
            url = f"ws://127.0.0.1:{guise.reverse[1]}/"
            async with websockets.connect(url, max_size=None) as socket:
                for message in ("hello", "\u00e9" * 1000, b"x" * 3_000_000):
                    await socket.send(message)
                    assert await socket.recv() == message
    asyncio.run(asyncio.wait_for(talk(), 15))


def test_through_nginx_and_guise(stage):
    origin = stage.origin(websocket.echo_server)
    nginx = stage.nginx(f"""
        location / {{
            proxy_pass http://{origin.address};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}""")
    guise = stage.guise(settings.reverse(nginx.address))
    client = open_websocket(stage, guise.reverse)
    client.send(websocket.frame(b"hello"))
    assert websocket.read_frame(client)[1] == b"hello"


def test_ignored_upgrade_keeps_the_connection(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    for _ in range(3):
        got = client.ask(websocket.handshake(), "GET")
        assert got.status == 200 and got.body == b"ok"
    assert client.get().status == 200
    assert len(origin.peers) == 1


def test_refused_upgrade_keeps_the_connection(stage):
    origin = stage.origin(answering(b"HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                                    b"Content-Length: 2\r\n\r\nno", OK))
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    assert client.get().status == 426
    assert client.get().status == 200


@pytest.mark.parametrize("value", ["h2c", "H2C", "h2c, websocket", "websocket, h2c"])
def test_h2c_is_never_forwarded(stage, value):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    got = client.get(fields=f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {value}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")
    assert got.status == 200
    sent = origin.requests[0].fields
    assert "h2c" not in sent.get("Upgrade", "").lower()
    assert not sent.has("HTTP2-Settings")
    assert "http2-settings" not in sent.get("Connection", "").lower()


def test_upgrade_without_connection_is_not_an_upgrade(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    assert stage.client(guise.reverse).get(fields="Upgrade: websocket\r\n").status == 200
    assert not origin.requests[0].fields.has("Upgrade")


def test_upgrade_of_http10_is_ignored(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    stage.client(guise.reverse).ask(b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert not origin.requests[0].fields.has("Upgrade")


def test_other_protocols_pass(stage):
    def script(peer):
        peer.read_request_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: odd/1\r\n\r\n")
        peer.send(peer.read_exact(5)[::-1])
        peer.half_close()
        peer.wait_end()
    guise = stage.guise(settings.reverse(stage.origin(script)))
    client = stage.client(guise.reverse)
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: odd/1\r\n\r\n")
    assert client.read_response().status == 101
    client.send(b"hello")
    assert client.read_exact(5) == b"olleh"
    client.expect_end()


def test_pipelined_request_behind_an_upgrade_waits(stage):
    """What follows an upgrade request is the new protocol's if 101 comes, a request if not."""
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.send(websocket.handshake() + b"GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert client.read_response().status == 200
    assert client.read_response().status == 200
    assert [got.target for got in origin.requests] == ["/", "/next"]


@pytest.mark.parametrize("who", ["client", "server"])
def test_death_of_one_end_reaches_the_other(stage, who):
    peers = []
    ready = threading.Event()

    def script(peer):
        head = peer.read_request_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  + f"Sec-WebSocket-Accept: {websocket.accept(head.fields.get('Sec-WebSocket-Key'))}\r\n\r\n".encode())
        peers.append(peer)
        ready.set()
        if who == "server":
            peer.read_exact(1)
            peer.reset()
        else:
            peer.wait_end()
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin))
    client = open_websocket(stage, guise.reverse)
    ready.wait(10)
    if who == "server":
        client.send(b"x")
        client.expect_end()
    else:
        client.reset()
        wait_for(peers[0].ended.is_set, "the server's end to be closed")
