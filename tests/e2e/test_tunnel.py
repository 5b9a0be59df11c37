"""CONNECT: bytes both ways, ends of either side, and what may follow a CONNECT (RFC 9110 9.3.6, 9112 9.8)."""

import threading

import pytest

from support import settings
from support.process import sanitizer
from support.waiting import Stopwatch, stays_true, wait_for

PUBLIC = "93.184.216.34"
MIB = 1 << 20


def echo(peer):
    peer.keep = False
    while data := peer.read_some():
        peer.send(data)


@pytest.fixture
def tunnel(stage):
    """tunnel(script) -> (origin, guise, client), the tunnel open."""
    def make(script=echo, host=PUBLIC, **config):
        origin = stage.origin(script, host="::" if ":" in host else "0.0.0.0")
        guise = stage.guise(settings.forward(**config))
        return origin, guise, connect(stage, guise, f"[{host}]" if ":" in host else host, origin.port)
    return make


def connect(stage, guise, host, port, early=b"", expected=200):
    client = stage.client(guise.forward)
    client.send(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode() + early)
    got = client.read_response("CONNECT")
    assert got.status == expected
    return client


@pytest.mark.parametrize("host", [PUBLIC, "2606:2800:220:1::1"])
def test_bytes_both_ways(tunnel, host):
    origin, guise, client = tunnel(host=host)
    for size in (1, 1000, 100_000):
        data = bytes(n & 0xFF for n in range(size))
        client.send(data)
        assert client.read_exact(size) == data
    client.half_close()
    client.expect_end()
    entry = guise.wait_log()
    assert entry["method"] == "CONNECT" and entry["status"] == 200
    assert entry["target"].endswith(f":{origin.port}")
    assert entry["in"] == entry["out"] == 101_001


def test_by_name(stage):
    names = stage.names()
    names.set("site.example", v4=[PUBLIC])
    origin = stage.origin(echo, host="0.0.0.0")
    guise = stage.guise(settings.forward(resolver=names))
    client = connect(stage, guise, "site.example", origin.port)
    client.send(b"hello")
    assert client.read_exact(5) == b"hello"
    assert origin.peers[0].local[0] == PUBLIC


@pytest.mark.seconds(60)
def test_bulk_both_ways_with_bounded_memory(stage, tunnel):
    total = 256 * MIB
    _, guise, client = tunnel()
    client.keep = False
    before = guise.resident()
    block = bytes(MIB)
    pusher = threading.Thread(target=lambda: ([client.send(block) for _ in range(256)], client.half_close()), daemon=True)
    pusher.start()
    assert client.discard_to_end() == total
    pusher.join(10)
    assert sanitizer() or guise.resident_peak() - before < 4 * MIB


def test_bytes_arrive_unchanged(tunnel):
    _, _, client = tunnel()
    body = b"".join(bytes((n * 31 + k) & 0xFF for k in range(1000)) for n in range(3000))
    pusher = threading.Thread(target=lambda: (client.send(body), client.half_close()), daemon=True)
    pusher.start()
    assert client.read_to_end() == body
    pusher.join(10)


def test_client_half_closes_and_still_reads(tunnel):
    def script(peer):
        data = peer.read_to_end()
        peer.send(b"got " + data + b"x" * 300_000)
    _, _, client = tunnel(script)
    client.send(b"hello")
    client.half_close()
    assert client.read_to_end() == b"got hello" + b"x" * 300_000


def test_server_half_closes_and_still_reads(tunnel):
    done = threading.Event()
    seen = []

    def script(peer):
        peer.send(b"bye")
        peer.half_close()
        seen.append(peer.read_to_end())
        done.set()
    _, _, client = tunnel(script)
    assert client.read_to_end() == b"bye"
    client.send(b"still " * 50_000)
    client.half_close()
    assert done.wait(10) and seen == [b"still " * 50_000]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_leaves(tunnel, how):
    origin, guise, client = tunnel(lambda peer: peer.wait_end())
    origin.wait_peers(1)
    client.half_close() if how == "close" else client.reset()
    wait_for(origin.peers[0].ended.is_set, "the server's end to be closed")
    assert guise.wait_log()


def test_server_resets(tunnel):
    def script(peer):
        peer.read_exact(1)
        peer.reset()
    _, _, client = tunnel(script)
    client.send(b"x")
    client.expect_end()


def test_idle_tunnel_is_closed(tunnel):
    origin, guise, client = tunnel(timeouts={"tunnel": "400ms"})
    watch = Stopwatch()
    client.expect_end()
    assert 0.2 < watch.seconds < 4
    wait_for(origin.peers[0].ended.is_set, "the server's end to be closed")
    assert guise.wait_log()


def test_tunnel_that_is_busy_one_way_is_not_idle(tunnel):
    def script(peer):
        peer.send_split(*[b"x"] * 20, pause=0.06)
        peer.half_close()
        peer.wait_end()
    _, _, client = tunnel(script, timeouts={"tunnel": "500ms"})
    assert client.read_exact(20) == b"x" * 20


def test_slow_reader_holds_the_sender(tunnel):
    """Back-pressure goes through: a sender is stopped when nobody reads."""
    sent = [0]

    def script(peer):
        while sent[0] < 512 * MIB:
            sent[0] += peer.sock.send(bytes(65536))
    _, guise, client = tunnel(script)
    before = guise.resident()
    assert client.read_exact(1)
    last = -1
    while last != sent[0]:
        last = sent[0]
        stays_true(lambda: True, 0.3)
    assert sent[0] < 64 * MIB
    assert sanitizer() or guise.resident() - before < 2 * MIB


# what follows a CONNECT

def test_early_bytes_arrive_after_the_connection(stage):
    origin = stage.origin(echo, host="0.0.0.0")
    guise = stage.guise(settings.forward())
    client = connect(stage, guise, PUBLIC, origin.port, early=b"early ")
    client.send(b"late")
    assert client.read_exact(10) == b"early late"


def test_early_bytes_wait_for_a_slow_connection(stage):
    """Nothing of them is lost, and nothing is sent anywhere before the server is there."""
    names = stage.names()
    names.set("slow.example", v4=[PUBLIC], delay=0.5)
    origin = stage.origin(echo, host="0.0.0.0")
    guise = stage.guise(settings.forward(resolver=names))
    data = bytes(n & 0xFF for n in range(50_000))
    client = connect(stage, guise, "slow.example", origin.port, early=data)
    assert client.read_exact(len(data)) == data


def test_early_bytes_are_bounded(stage):
    hole = stage.blackhole()
    guise = stage.guise(settings.forward(settings.LOOPBACK, timeouts={"connect": "3s"}))
    before = guise.resident()
    client = stage.client(guise.forward)
    client.send(f"CONNECT {hole.address} HTTP/1.1\r\nHost: {hole.address}\r\n\r\n".encode())
    client.sock.settimeout(0.5)
    sent = 0
    try:
        while sent < 100 * MIB:
            sent += client.sock.send(bytes(MIB))
    except OSError:
        pass
    assert sent < 32 * MIB
    assert sanitizer() or guise.resident() - before < 2 * MIB


def test_early_bytes_of_a_refused_connect_are_thrown_away(stage):
    """RFC 9112 9.8 and the optimistic-upgrade RFC: they must not be taken for the next request."""
    origin = stage.origin(host="0.0.0.0")
    guise = stage.guise(settings.forward())
    smuggled = f"GET http://{PUBLIC}:{origin.port}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for target, status in (("127.0.0.1:80", 403), (f"{PUBLIC}:1", 502)):
        client = connect(stage, guise, *target.split(":"), early=smuggled, expected=status)
        client.expect_end()
    assert not origin.peers


@pytest.mark.parametrize("target, status", [("127.0.0.1:80", 403), (f"{PUBLIC}:1", 502)])
def test_refused_connect_closes(stage, target, status):
    guise = stage.guise(settings.forward())
    client = stage.client(guise.forward)
    got = client.ask(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
    assert got.status == status and got.fields.get("Connection") == "close"
    client.expect_end()


@pytest.mark.parametrize("target", ["site.example", "site.example:", "site.example:0", "site.example:65536", "site.example:x",
                                    ":80", "http://site.example:80", "site.example:80/", "u@site.example:80", "/", "*",
                                    "[::1:80", "::1:80", "site.example:80:80", "a b:80", "site.example:-1", "[]:80"])
def test_bad_connect_targets(stage, target):
    guise = stage.guise(settings.forward())
    client = stage.client(guise.forward)
    client.send(f"CONNECT {target} HTTP/1.1\r\nHost: site.example\r\n\r\n".encode())
    assert client.read_response("CONNECT").status == 400
    client.expect_end()


def test_connect_after_requests_on_the_same_connection(stage):
    origin = stage.origin(host="0.0.0.0")
    server = stage.origin(echo, host="0.0.0.0")
    guise = stage.guise(settings.forward())
    client = stage.client(guise.forward)
    assert client.ask(f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    assert client.ask(f"CONNECT {PUBLIC}:{server.port} HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    client.send(b"hello")
    assert client.read_exact(5) == b"hello"


def test_http10_connect(stage):
    server = stage.origin(echo, host="0.0.0.0")
    guise = stage.guise(settings.forward())
    client = stage.client(guise.forward)
    assert client.ask(f"CONNECT {PUBLIC}:{server.port} HTTP/1.0\r\n\r\n").status == 200
    client.send(b"hello")
    assert client.read_exact(5) == b"hello"


def test_server_that_speaks_first(tunnel):
    """Like a mail server: its greeting comes after the 2xx, not before and not inside it."""
    _, _, client = tunnel(lambda peer: (peer.send(b"220 hello\r\n"), peer.wait_end()))
    assert client.read_exact(11) == b"220 hello\r\n"


def test_tls_through_a_tunnel(stage, tmp_path):
    """Real TLS, end to end: Guise sees none of it."""
    import ssl
    import subprocess

    from support.servers import program
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run([program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
                    str(certificate), "-days", "1", "-subj", "/CN=site.example", "-addext",
                    "subjectAltName=DNS:site.example"], check=True, capture_output=True, timeout=15)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def script(peer):
        with context.wrap_socket(peer.sock, server_side=True) as secure:
            secure.recv(4096)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    names = stage.names()
    names.set("site.example", v4=[PUBLIC])
    origin = stage.origin(script, host="0.0.0.0")
    guise = stage.guise(settings.forward(resolver=names))
    from support.servers import Curl
    done = Curl("-x", f"http://127.0.0.1:{guise.forward[1]}", "--cacert", str(certificate),
                f"https://site.example:{origin.port}/")
    assert done.text == "hello", done


def test_many_tunnels_leave_nothing_behind(stage):
    server = stage.origin(echo, host="0.0.0.0")
    guise = stage.guise(settings.forward())
    connect(stage, guise, PUBLIC, server.port).close()
    wait_for(server.wait_peers(1)[0].ended.is_set, "the first tunnel's end")
    base = guise.open_files()
    for n in range(100):
        client = connect(stage, guise, PUBLIC, server.port)
        client.send(b"x")
        assert client.read_exact(1) == b"x"
        client.reset() if n % 2 else client.close()
    wait_for(lambda: guise.open_files() <= base + 2, "file descriptors to be given back")


def test_drain_cuts_tunnels_at_its_deadline(tunnel):
    _, guise, client = tunnel(lambda peer: peer.wait_end(), timeouts={"drain": "500ms"})
    watch = Stopwatch()
    guise.stop()
    assert watch.seconds < 5
    client.expect_end()
