"""Tcp listeners: bytes handed on as they come, to one group or by the name in the ClientHello, which is not decrypted."""

import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from support import settings
from support.origin import OK, answering
from support.process import sanitizer
from support.servers import Curl, program
from support.waiting import Stopwatch, stays_true, wait_for
from support.wire import Truncated

MIB = 1 << 20


def echo(peer):
    peer.keep = False
    while data := peer.read_some():
        peer.send(data)


def collect(peer):
    peer.read_to_end()


@pytest.fixture
def plain(stage):
    """plain(script) -> (origin, guise, client), the client connected to a listener with one group of one server."""
    def make(script=echo, **config):
        origin = stage.origin(script)
        guise = stage.guise(settings.tcp(origin, **config))
        return origin, guise, stage.client(guise.tcp)
    return make


# any protocol

def test_bytes_both_ways(plain):
    origin, guise, client = plain()
    for size in (1, 1000, 100_000):
        data = bytes(n & 0xFF for n in range(size))
        client.send(data)
        assert client.read_exact(size) == data
    client.half_close()
    client.expect_end()
    entry = guise.wait_log()
    assert entry["face"] == "tcp" and entry["client"] == "127.0.0.1" and entry["target"] == ""
    assert entry["listener"] == f"127.0.0.1:{guise.tcp[1]}" and entry["server"] == origin.address
    assert entry["in"] == entry["out"] == 101_001
    assert entry["error"] is None
    assert not {"method", "status", "protocol", "host", "route", "reused"} & set(entry)


def test_combined_log(plain):
    _, guise, client = plain(log={"format": "combined"})
    client.send(b"x")
    assert client.read_exact(1) == b"x"
    client.half_close()
    client.expect_end()
    line = guise.stdout.wait(lambda line: True, "a line of the log")
    assert line.startswith("127.0.0.1 - - [") and line.endswith('] "- - -" 0 1 "-" "-"')


def test_server_that_speaks_first(plain):
    _, _, client = plain(lambda peer: (peer.send(b"220 hello\r\n"), peer.wait_end()))
    assert client.read_exact(11) == b"220 hello\r\n"


def test_http_through_it(plain):
    """A real protocol, whose requests nobody here reads: Host and all the rest arrive as they were sent."""
    origin, guise, client = plain(answering(OK))
    done = Curl("-H", "X-Forwarded-For: 203.0.113.9", f"http://127.0.0.1:{guise.tcp[1]}/a//b", "-o", "/dev/null", "-w", "%{http_code}")
    assert done.text == "200", done
    request = origin.wait_requests(1)[0]
    assert request.target == "/a//b"
    assert request.fields.get("X-Forwarded-For") == "203.0.113.9" and not request.fields.has("Via")
    client.close()


def test_client_half_closes_and_still_reads(plain):
    def script(peer):
        data = peer.read_to_end()
        peer.send(b"got " + data + b"x" * 300_000)
    _, _, client = plain(script)
    client.send(b"hello")
    client.half_close()
    assert client.read_to_end() == b"got hello" + b"x" * 300_000


def test_server_half_closes_and_still_reads(plain):
    done = threading.Event()
    seen = []

    def script(peer):
        peer.send(b"bye")
        peer.half_close()
        seen.append(peer.read_to_end())
        done.set()
    _, _, client = plain(script)
    assert client.read_to_end() == b"bye"
    client.send(b"still " * 50_000)
    client.half_close()
    assert done.wait(10) and seen == [b"still " * 50_000]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_leaves(plain, how):
    origin, guise, client = plain(lambda peer: peer.wait_end())
    origin.wait_peers(1)
    client.half_close() if how == "close" else client.reset()
    wait_for(origin.peers[0].ended.is_set, "the server's end to be closed")
    entry = guise.wait_log()
    assert (entry["error"] is None) == (how == "close")


def test_server_resets(plain):
    def script(peer):
        peer.read_exact(1)
        peer.reset()
    _, guise, client = plain(script)
    client.send(b"x")
    client.expect_end()
    assert guise.wait_log()["error"] == "the server reset the connection: Connection reset by peer"


def test_idle_connection_is_closed(plain):
    origin, guise, client = plain(timeouts={"tunnel": "400ms"})
    watch = Stopwatch()
    client.expect_end()
    assert 0.2 < watch.seconds < 4
    wait_for(origin.peers[0].ended.is_set, "the server's end to be closed")
    assert guise.wait_log()["error"] == "the tunnel was idle for too long"


def test_total_time_does_not_end_it(plain):
    """timeouts.total is of exchanges that have an end of their own; it only bounds the search for a server."""
    _, _, client = plain(timeouts={"total": "300ms"})
    client.send(b"a")
    assert client.read_exact(1) == b"a"
    assert stays_true(lambda: True, 0.6)
    client.send(b"b")
    assert client.read_exact(1) == b"b"


def pipes(guise):
    names = []
    for name in os.listdir(f"/proc/{guise.pid}/fd"):
        try:
            names.append(os.readlink(f"/proc/{guise.pid}/fd/{name}"))
        except OSError:
            pass
    return sum(name.startswith("pipe:") for name in names)


@pytest.mark.seconds(60)
def test_bulk_goes_by_the_kernel(plain):
    """What is long is spliced: a pipe for each direction while there is something in it, bounded memory, and nothing lost or changed."""
    total = 256 * MIB
    origin, guise, client = plain()
    origin.wait_peers(1)
    client.keep = False
    before, idle = guise.resident(), pipes(guise)
    block = os.urandom(MIB)
    most = [0]

    def push():
        for _ in range(total // MIB):
            client.send(block)
            most[0] = max(most[0], pipes(guise))
        client.half_close()
    pusher = threading.Thread(target=push, daemon=True)
    pusher.start()
    for _ in range(total // MIB):
        assert client.read_exact(MIB) == block
    client.expect_end()
    pusher.join(10)
    assert most[0] - idle in (2, 4)
    entry = guise.wait_log()
    assert entry["in"] == entry["out"] == total and entry["error"] is None
    assert sanitizer() or guise.resident_peak() - before < 4 * MIB


def test_slow_reader_holds_the_sender(plain):
    sent = [0]

    def script(peer):
        while sent[0] < 512 * MIB:
            sent[0] += peer.sock.send(bytes(65536))
    _, guise, client = plain(script)
    before = guise.resident()
    assert client.read_exact(1)
    last = -1
    while last != sent[0]:
        last = sent[0]
        stays_true(lambda: True, 0.3)
    assert sent[0] < 64 * MIB
    assert sanitizer() or guise.resident() - before < 2 * MIB


# the group

def test_servers_take_turns(stage):
    origins = [stage.origin(lambda peer, name=name: (peer.send(name), peer.wait_end())) for name in (b"a", b"b", b"c")]
    guise = stage.guise(settings.tcp(*origins))
    seen = [stage.client(guise.tcp).read_exact(1) for _ in range(9)]
    assert sorted(seen) == [b"a"] * 3 + [b"b"] * 3 + [b"c"] * 3


def test_refused_goes_to_the_next(stage):
    """Whatever the client has sent by then goes to the server that takes the connection."""
    gone, there = stage.origin(), stage.origin(echo)
    gone.refuse()
    guise = stage.guise(settings.tcp(gone, there))
    for _ in range(4):
        client = stage.client(guise.tcp)
        client.send(b"hello")
        assert client.read_exact(5) == b"hello"
        client.half_close()
        client.expect_end()
    assert len(there.peers) == 4
    assert guise.wait_log()["server"] == there.address


def test_silent_server_goes_to_the_next(stage):
    there = stage.origin(echo)
    guise = stage.guise(settings.tcp(stage.blackhole(), there, timeouts={"connect": "300ms"}))
    for _ in range(2):
        client = stage.client(guise.tcp)
        client.send(b"hello")
        assert client.read_exact(5) == b"hello"


def test_no_server(stage):
    gone = stage.origin()
    gone.refuse()
    guise = stage.guise(settings.tcp(gone))
    try:
        client = stage.client(guise.tcp)
        client.send(b"hello")
        client.expect_end()
    except ConnectionError:
        pass  # the end may be quicker than the client is
    entry = guise.wait_log()
    assert entry["error"] == "the server refused the connection: Connection refused"
    assert entry["server"] == gone.address and entry["out"] == 0


def test_unix_sockets_on_both_sides(stage, tmp_path):
    origin = stage.origin(echo, path=str(tmp_path / "origin.sock"))
    guise = stage.guise(settings.tcp(origin, listener={"listen": f"unix:{tmp_path}/guise.sock"}))
    client = stage.client(guise.tcp)
    client.send(b"hello")
    assert client.read_exact(5) == b"hello"
    client.half_close()
    client.expect_end()
    assert guise.wait_log()["client"] == "unix"


def test_early_bytes_are_bounded(stage):
    """While a server is looked for, no more than a flow's worth is taken from the client."""
    guise = stage.guise(settings.tcp(stage.blackhole(), timeouts={"connect": "3s"}))
    before = guise.resident()
    client = stage.client(guise.tcp)
    client.sock.settimeout(0.5)
    sent = 0
    try:
        while sent < 100 * MIB:
            sent += client.sock.send(bytes(MIB))
    except OSError:
        pass
    assert sent < 32 * MIB
    assert sanitizer() or guise.resident() - before < 2 * MIB


def test_limits_hold_here_too(stage):
    origin = stage.origin(echo)
    guise = stage.guise(settings.tcp(origin, limits={"connections_per_address": 2}))
    clients = [stage.client(guise.tcp) for _ in range(2)]
    for client in clients:
        client.send(b"x")
        assert client.read_exact(1) == b"x"
    third = stage.client(guise.tcp)
    third.expect_end()
    clients[0].half_close()
    clients[0].expect_end()
    guise.wait_log()
    fourth = stage.client(guise.tcp)
    fourth.send(b"y")
    assert fourth.read_exact(1) == b"y"


def test_many_connections_leave_nothing_behind(stage):
    origin = stage.origin(echo)
    guise = stage.guise(settings.tcp(origin))
    stage.client(guise.tcp).close()
    wait_for(origin.wait_peers(1)[0].ended.is_set, "the first connection's end")
    base = guise.open_files()
    for n in range(100):
        client = stage.client(guise.tcp)
        client.send(b"x")
        assert client.read_exact(1) == b"x"
        client.reset() if n % 2 else client.close()
    wait_for(lambda: guise.open_files() <= base + 2, "file descriptors to be given back")


# the end

def test_drain_waits_for_connections(plain):
    _, guise, client = plain(timeouts={"drain": "8s"})
    client.send(b"x")
    assert client.read_exact(1) == b"x"
    guise.signal(signal.SIGTERM)
    wait_for(lambda: refused(guise.tcp), "new connections to be refused")
    client.send(b"y")
    assert client.read_exact(1) == b"y"
    client.half_close()
    client.expect_end()
    guise.wait_exit(5)


def refused(address):
    try:
        socket.create_connection(address, 1).close()
        return False
    except OSError:
        return True


def test_drain_cuts_at_its_deadline(plain):
    _, guise, client = plain(lambda peer: peer.wait_end(), timeouts={"drain": "500ms"})
    client.send(b"x")
    watch = Stopwatch()
    guise.stop()
    assert watch.seconds < 5
    client.expect_end()
    assert guise.wait_log()["error"] == "shutting down"


# by name

@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """certificates(name) -> (certificate, key): made once, signed by themselves."""
    directory = tmp_path_factory.mktemp("certificates")
    made = {}

    def make(name):
        if name not in made:
            key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
            subprocess.run([program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", f"/CN={name}",
                            "-addext", f"subjectAltName=DNS:{name},DNS:*.{name}"],
                           check=True, capture_output=True, timeout=15)
            made[name] = certificate, key
        return made[name]
    return make


def tls_server(certificate, key, greeting):
    """A script: TLS with this certificate, then the greeting, then echo."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def script(peer):
        with context.wrap_socket(peer.sock, server_side=True) as secure:
            secure.sendall(greeting)
            while data := secure.recv(4096):
                secure.sendall(data)
    return script


class Hello:
    """A TLS client whose first bytes can be cut in any way: its own side in memory, the socket by hand."""

    def __init__(self, client, name, ca=None, alpn=()):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if ca:
            context.load_verify_locations(ca)
        else:
            context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self.client = client
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.first = self.outgoing.read()
        self.sent = False

    def send(self, *segments, pause=0.0):
        """The ClientHello, or what a test makes of it, each segment by itself."""
        self.client.send_split(*(segments or [self.first]), pause=pause)
        self.sent = True

    def records(self, size):
        """The ClientHello in records of so many bytes each."""
        message = self.first[5:]
        pieces = [message[at:at + size] for at in range(0, len(message), size)]
        return [b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces]

    def _step(self, action):
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                self.client.send(self.outgoing.read())
                data = self.client.read_some()
                self.incoming.write(data) if data else self.incoming.write_eof()
                self.client.buffer.clear()
            finally:
                if self.outgoing.pending:
                    self.client.send(self.outgoing.read())

    def read(self):
        """Finishes the handshake; the first bytes of the server."""
        if not self.sent:
            self.send()
        self._step(self.tls.do_handshake)
        return self._step(lambda: self.tls.read(4096))

    def names(self):
        """For whom the server's certificate is; only of a server that was verified."""
        return {value for _, value in self.tls.getpeercert()["subjectAltName"]}


@pytest.fixture
def shops(stage, certificates):
    """Two TLS servers and one that speaks no TLS, behind one listener: (guise, origins by name)."""
    def make(*table, **top):
        origins = {
            "shop": stage.origin(tls_server(*certificates("shop.example"), b"the shop")),
            "blog": stage.origin(tls_server(*certificates("blog.example"), b"the blog")),
            "other": stage.origin(lambda peer: (peer.send(b"other"), peer.wait_end())),
        }
        return stage.guise(settings.tcp_routes(*table, upstreams={name: [origin] for name, origin in origins.items()}, **top)), origins
    return make


SHOPS = ({"sni": ["shop.example", "*.shop.example"], "to": "shop"}, {"sni": "blog.example", "to": "blog"})
DEFAULT = {"to": "other"}


@pytest.mark.parametrize("asked, name, greeting", [
    ("shop.example", "shop.example", b"the shop"),
    ("SHOP.example", "shop.example", b"the shop"),
    ("www.shop.example", "shop.example", b"the shop"),
    ("a.b.shop.example", "shop.example", b"the shop"),
    ("blog.example", "blog.example", b"the blog"),
])
def test_each_name_its_server(stage, shops, certificates, asked, name, greeting):
    guise, _ = shops(*SHOPS)
    hello = Hello(stage.client(guise.tcp), asked, ca=certificates(name)[0])
    assert hello.read() == greeting
    assert name in hello.names()
    hello.client.close()
    entry = guise.wait_log()
    assert entry["target"] == asked.lower() and entry["route"] == (0 if name == "shop.example" else 1)


def test_curl_through_it(stage, certificates):
    """A program that checks what it is shown: HTTP/1.1 in TLS, end to end."""
    certificate, key = certificates("shop.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def script(peer):
        with context.wrap_socket(peer.sock, server_side=True) as secure:
            secure.recv(4096)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    guise = stage.guise(settings.tcp_routes(SHOPS[0], upstreams={"shop": [stage.origin(script)]}))
    done = Curl("--cacert", str(certificate), "--resolve", f"www.shop.example:{guise.tcp[1]}:127.0.0.1",
                f"https://www.shop.example:{guise.tcp[1]}/")
    assert done.text == "hello", done


@pytest.mark.parametrize("cut", ["bytes", "halves", "records of 1", "records of 50", "records of 50 in bytes"])
def test_hello_in_pieces(stage, shops, certificates, cut):
    guise, _ = shops(*SHOPS)
    hello = Hello(stage.client(guise.tcp), "blog.example", ca=certificates("blog.example")[0])
    first = hello.first
    if cut == "bytes":
        hello.send(*(first[at:at + 1] for at in range(len(first))), pause=0.0005)
    elif cut == "halves":
        hello.send(first[:200], first[200:], pause=0.1)
    elif cut == "records of 1":
        hello.send(b"".join(hello.records(1)))
    elif cut == "records of 50":
        hello.send(*hello.records(50), pause=0.002)
    else:
        whole = b"".join(hello.records(50))
        hello.send(*(whole[at:at + 1] for at in range(len(whole))), pause=0.0005)
    assert hello.read() == b"the blog"
    assert "blog.example" in hello.names()


def test_hello_arrives_as_it_was_sent(stage):
    """Nothing of it is rewritten, records included."""
    origin = stage.origin(collect)
    guise = stage.guise(settings.tcp_routes({"sni": "a.example", "to": "web"}, upstreams={"web": [origin]}))
    hello = Hello(stage.client(guise.tcp), "a.example", alpn=("h2", "http/1.1"))
    whole = b"".join(hello.records(7)) + b"and more"
    hello.client.send(whole)
    hello.client.half_close()
    hello.client.expect_end()
    assert bytes(origin.peers[0].received) == whole


def test_large_hello(stage):
    """Far over one record, as post-quantum keys and long session tickets may make it."""
    origin = stage.origin(collect)
    guise = stage.guise(settings.tcp_routes({"sni": "a.example", "to": "web"}, upstreams={"web": [origin]}))
    first = Hello(None, "a.example").first
    padding = 60_000
    message = bytearray(first[5:])
    message += b"\xfd\xe8" + padding.to_bytes(2, "big") + bytes(padding)
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + int.from_bytes(message[at:at + 2], "big")
    at += 1 + message[at]
    message[at:at + 2] = (len(message) - at - 2).to_bytes(2, "big")
    message[1:4] = (len(message) - 4).to_bytes(3, "big")
    records = b"".join(b"\x16\x03\x01" + len(message[n:n + 16000]).to_bytes(2, "big") + message[n:n + 16000]
                       for n in range(0, len(message), 16000))
    client = stage.client(guise.tcp)
    client.send_split(*(records[n:n + 1400] for n in range(0, len(records), 1400)))
    client.half_close()
    client.expect_end()
    assert bytes(origin.peers[0].received) == records


@pytest.mark.parametrize("name", [None, "unknown.example", "notshop.example"])
def test_whatever_else_goes_to_the_default(stage, shops, name):
    guise, origins = shops(*SHOPS, DEFAULT)
    hello = Hello(stage.client(guise.tcp), name)
    hello.send()
    assert hello.client.read_exact(5) == b"other"
    hello.client.half_close()
    hello.client.expect_end()
    assert bytes(origins["other"].peers[0].received) == hello.first
    entry = guise.wait_log()
    assert entry["target"] == (name or "") and entry["route"] == 2


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", b"x", b"\x16\x02", b"\x15\x03\x01\x00\x02\x02\x28",
                                  b"\x16\x03\x01\x00\x00", b"SSH-2.0-test\r\n"])
def test_no_tls_goes_to_the_default(stage, shops, data):
    guise, origins = shops(*SHOPS, DEFAULT)
    client = stage.client(guise.tcp)
    client.send(data)
    assert client.read_exact(5) == b"other"
    client.half_close()
    client.expect_end()
    assert bytes(origins["other"].peers[0].received) == data


@pytest.mark.parametrize("name, text", [("unknown.example", "no route takes this name"),
                                        (None, "no route takes a connection without a name")])
def test_no_route(stage, shops, name, text):
    guise, origins = shops(*SHOPS)
    hello = Hello(stage.client(guise.tcp), name)
    hello.send()
    hello.client.expect_end()
    entry = guise.wait_log()
    assert entry["error"] == text and entry["target"] == (name or "")
    assert not any(origin.peers for origin in origins.values())


def test_no_tls_and_no_default(stage, shops):
    guise, origins = shops(*SHOPS)
    client = stage.client(guise.tcp)
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    client.expect_end()
    assert guise.wait_log()["error"] == "no route takes a connection without a name"
    assert not any(origin.peers for origin in origins.values())


def test_first_route_decides(stage, shops, certificates):
    guise, _ = shops({"sni": "*.shop.example", "to": "blog"}, {"sni": ["www.shop.example", ".shop.example"], "to": "shop"})
    for asked, greeting in (("www.shop.example", b"the blog"), ("shop.example", b"the shop")):
        assert Hello(stage.client(guise.tcp), asked).read() == greeting


@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_hello_that_does_not_come(stage, shops, first):
    guise, origins = shops(*SHOPS, DEFAULT, timeouts={"handshake": "400ms"})
    client = stage.client(guise.tcp)
    client.send(first)
    watch = Stopwatch()
    client.expect_end()
    assert 0.2 < watch.seconds < 4
    assert guise.wait_log()["error"] == "no ClientHello came in time"
    assert not any(origin.peers for origin in origins.values())


def test_hello_that_ends_early(stage, shops):
    guise, origins = shops(*SHOPS, DEFAULT)
    hello = Hello(stage.client(guise.tcp), "shop.example")
    hello.client.send(hello.first[:-1])
    hello.client.half_close()
    hello.client.expect_end()
    assert guise.wait_log()["error"] == "the connection ended inside a ClientHello"
    assert not any(origin.peers for origin in origins.values())


def test_who_says_nothing_and_leaves_is_not_logged(stage, shops):
    guise, _ = shops(*SHOPS)
    for how in ("close", "reset"):
        client = stage.client(guise.tcp)
        client.reset() if how == "reset" else client.close()
    hello = Hello(stage.client(guise.tcp), "shop.example")
    assert hello.read() == b"the shop"
    hello.client.close()
    guise.wait_log()
    assert len(guise.log_entries()) == 1


@pytest.mark.seconds(60)
def test_hello_in_slow_drips_costs_little(stage, shops):
    """64 KiB that never become a ClientHello, in the records and segments that cost most: one record for each byte, each in a segment."""
    guise, origins = shops(*SHOPS, timeouts={"handshake": "30s"})
    client = stage.client(guise.tcp)
    start = b"\x01\x00\xff\xf0\x03\x03"
    before = guise.cpu_seconds()
    records = b"".join(b"\x16\x03\x01\x00\x01" + (start[n:n + 1] or b"x") for n in range(10_900))
    for at in range(0, len(records), 6):
        client.send(records[at:at + 6])
    client.send(b"\x16\x03\x01\x00\x01x" * 100)
    client.expect_end()
    spent = guise.cpu_seconds() - before
    assert sanitizer() or spent < 1.0
    assert guise.wait_log()["error"] == "no route takes a connection without a name"
    assert not any(origin.peers for origin in origins.values())


def test_drain_closes_who_has_said_nothing(stage, shops):
    guise, _ = shops(*SHOPS, timeouts={"drain": "10s"})
    silent = stage.client(guise.tcp)
    hello = Hello(stage.client(guise.tcp), "shop.example")
    assert hello.read() == b"the shop"
    guise.signal(signal.SIGTERM)
    silent.expect_end()
    hello.client.close()
    guise.wait_exit(5)


# TLS with the servers: the client speaks in clear, its bytes go on in TLS

@pytest.mark.parametrize("header", ["off", "v2"])
def test_tls_towards_the_server(stage, certificates, header):
    certificate, key = certificates("db.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    seen = {}
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.sni_callback = lambda sock, name, _: seen.update(name=name)

    def script(peer):
        if header != "off":
            seen["header"] = peer.sock.recv(28, socket.MSG_WAITALL)
        with context.wrap_socket(peer.sock, server_side=True) as secure:
            seen["alpn"] = secure.selected_alpn_protocol()
            while data := secure.recv(65536):
                secure.sendall(data)
            secure.unwrap()
    origin = stage.origin(script)
    guise = stage.guise(settings.tcp(origin, upstream={"proxy_protocol": header,
                                                       "tls": {"ca": str(certificate), "name": "db.example"}}))
    client = stage.client(guise.tcp)
    data = os.urandom(300_000)
    pusher = threading.Thread(target=lambda: (client.send(data), client.half_close()), daemon=True)
    pusher.start()
    assert client.read_to_end() == data
    pusher.join(10)
    assert seen["name"] == "db.example" and seen["alpn"] is None
    assert header == "off" or seen["header"][:12] == b"\r\n\r\n\0\r\nQUIT\n"
    entry = guise.wait_log()
    assert entry["in"] == entry["out"] == len(data) and entry["error"] is None


def test_server_with_another_certificate(stage, certificates):
    origin = stage.origin(tls_server(*certificates("blog.example"), b"the blog"))
    guise = stage.guise(settings.tcp(origin, upstream={"tls": {"ca": str(certificates("db.example")[0]), "name": "db.example"}}))
    client = stage.client(guise.tcp)
    client.send(b"secret")
    client.expect_end()
    entry = guise.wait_log()
    assert "certificate" in entry["error"] and entry["out"] == 0


def test_server_that_ends_without_a_close_notify(stage, certificates):
    """RFC 8446 6.1: that may be an attacker's doing, so the client must not take it for a good end."""
    certificate, key = certificates("db.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def script(peer):
        with context.wrap_socket(peer.sock, server_side=True) as secure:
            secure.sendall(b"not all")
            secure.recv(1)
    guise = stage.guise(settings.tcp(stage.origin(script), upstream={"tls": {"ca": str(certificate), "name": "db.example"}}))
    client = stage.client(guise.tcp)
    assert client.read_exact(7) == b"not all"
    client.send(b"x")
    with pytest.raises(Truncated):
        client.read_to_end()
    assert guise.wait_log()["error"] is not None
