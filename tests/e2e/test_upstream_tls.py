"""TLS towards servers: whom Guise believes, what it says of itself, which HTTP is agreed on, and how failures are told."""

import os
import shutil
import signal
import ssl
import threading

import pytest

from support import http2, settings
from support.certificates import Authority, write
from support.client import request
from support.origin import OK, answering, response
from support.process import run, slowness
from support.servers import ENVIRONMENT, Daemon, free_port, program
from support.waiting import Stopwatch, wait_for

BLOCK = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("servers"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """An authority that nobody believes."""
    return Authority(tmp_path_factory.mktemp("strangers"), "Stranger")


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.leaf("api.test", "127.0.0.1", "::1")


def secured(leaf, script=None, *, alpn=("http/1.1",), clients=None, most=None, seen=None):
    """A script over TLS. seen: collects what each handshake settled."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.file)
    if most:
        context.maximum_version = most
    names = {}

    def on_name(sock, name, _context):
        names[sock] = name
    context.sni_callback = on_name

    def start(peer):
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        if seen is not None:
            seen.append({"sni": names.pop(peer.sock, None), "alpn": peer.sock.selected_alpn_protocol(),
                         "reused": peer.sock.session_reused, "version": peer.sock.version(),
                         "client": peer.sock.getpeercert()})
        if peer.sock.selected_alpn_protocol() == "h2":
            connection = peer.http2 = http2.Server(peer.sock)
            connection.greet()
            connection.read_preface()
            while (stream := connection.next_request()) is not None:
                connection.answer(stream, 200, [("x-path", stream.head.get(":path"))], bytes(stream.body))
        else:
            (script or answering(OK))(peer)
    return start


@pytest.fixture
def behind(stage, authority):
    """behind(*origins, tls={...}, **keys of the group) -> guise, which believes `authority` unless told otherwise."""
    def make(*origins, tls=None, top=None, **upstream):
        tls = dict({"ca": authority.file}, **(tls or {}))
        return stage.guise(settings.reverse(*origins, upstream=dict(upstream, tls=tls), **(top or {})))
    return make


def refused(stage, guise, reason, status=502):
    """One request that fails for this reason, which the log says."""
    mark = guise.log_mark()
    got = stage.client(guise.reverse).get()
    entry = guise.wait_log(start=mark)
    assert got.status == status and reason in entry["error"], entry
    return got


# whom it believes

def test_good_certificate(stage, behind, leaf):
    seen = []
    guise = behind(stage.origin(secured(leaf, seen=seen)), tls={"name": "api.test"})
    got = stage.client(guise.reverse).get()
    assert (got.status, guise.wait_log()["error"]) == (200, None)
    assert seen[0]["version"] == "TLSv1.3" and not seen[0]["client"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_certificate_for_an_address(stage, behind, leaf, host):
    """RFC 9110 4.3.5: an address is looked for among the addresses of the certificate, and is no SNI (RFC 6066 3)."""
    seen = []
    guise = behind(stage.origin(secured(leaf, seen=seen), host=host))
    assert stage.client(guise.reverse).get().status == 200
    assert seen[0]["sni"] is None


def test_certificate_for_a_host(stage, behind, leaf):
    """The host in `address` is what the certificate must be for, and what is asked for."""
    names, seen = stage.names(), []
    names.set("api.test", v4=["127.0.0.1"])
    names.set("other.test", v4=["127.0.0.1"])
    origin = stage.origin(secured(leaf, seen=seen))
    resolver = {"resolver": {"servers": [names.address], "hosts": False}}
    guise = behind(f"api.test:{origin.port}", top=resolver)
    assert stage.client(guise.reverse).get().status == 200 and seen[0]["sni"] == "api.test"
    refused(stage, behind(f"other.test:{origin.port}", top=resolver), "mismatch")


def test_unix_socket(stage, behind, leaf, tmp_path):
    origin = stage.origin(secured(leaf), path=str(tmp_path / "s"))
    assert stage.client(behind(origin, tls={"name": "api.test"}).reverse).get().status == 200


def test_wrong_name(stage, behind, leaf):
    got = refused(stage, behind(stage.origin(secured(leaf)), tls={"name": "other.test"}), "mismatch")
    assert b"tls_certificate_error" in got.body or "tls_certificate_error" in (got.fields.get("Proxy-Status") or "")


def test_wrong_authority(stage, behind, stranger):
    refused(stage, behind(stage.origin(secured(stranger.leaf("127.0.0.1")))), "issuer")


def test_system_store(stage, leaf):
    """Without `ca` the system's authorities are asked, of whom ours is none."""
    origin = stage.origin(secured(leaf))
    guise = stage.guise(settings.reverse(origin, upstream={"tls": {}}))
    refused(stage, guise, "issuer")


def test_self_signed(stage, behind, tmp_path):
    pem, key = http2.certificate(tmp_path)
    leaf = type("Leaf", (), {"certificate": pem, "key": key})
    origin = stage.origin(secured(leaf))
    refused(stage, behind(origin), "self-signed")
    assert stage.client(behind(origin, tls={"ca": pem}).reverse).get().status == 200


@pytest.mark.parametrize("begins, ends, reason", [(-30, -1, "expired"), (1, 30, "not yet valid")])
def test_times(stage, behind, authority, begins, ends, reason):
    origin = stage.origin(secured(authority.leaf("127.0.0.1", begins=begins, ends=ends)))
    refused(stage, behind(origin), reason)


def test_certificate_of_a_client(stage, behind, authority):
    """One that is for clients alone is none for a server."""
    refused(stage, behind(stage.origin(secured(authority.leaf("api.test", client=True))), tls={"name": "api.test"}), "purpose")


def test_not_verified(stage, behind, stranger):
    origin = stage.origin(secured(stranger.leaf("x.test", begins=-30, ends=-1)))
    guise = stage.guise(settings.reverse(origin, upstream={"tls": {"verify": False}}))
    assert stage.client(guise.reverse).get().status == 200


def test_another_server_is_tried(stage, behind, leaf, stranger):
    """The server of the bad certificate has seen nothing of the request: whatever the method, another one is asked."""
    bad, good = stage.origin(secured(stranger.leaf("127.0.0.1"))), stage.origin(secured(leaf))
    guise = behind(bad, good)
    client = stage.client(guise.reverse)
    for number in range(6):
        assert client.ask(request("POST", f"/{number}", body=b"x")).status == 200
    assert not bad.requests and bad.peers


# what it says of itself

@pytest.mark.parametrize("tls, expected", [({"name": "api.test"}, "api.test"), ({"name": "api.test", "sni": False}, None)])
def test_sni(stage, behind, leaf, tls, expected):
    seen = []
    guise = behind(stage.origin(secured(leaf, seen=seen)), tls=tls)
    assert stage.client(guise.reverse).get().status == 200 and seen[0]["sni"] == expected


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificate(stage, behind, authority, leaf, version):
    own, seen = authority.leaf("me", client=True), []
    origin = stage.origin(secured(leaf, clients=authority, seen=seen, most=version))
    guise = behind(origin, tls={"certificate": own.certificate, "key": own.key})
    assert stage.client(guise.reverse).get().status == 200
    assert seen[0]["client"]["subject"] == ((("commonName", "me"),),)
    joined = authority.leaf("joined", client=True, joined=True)
    guise = behind(origin, tls={"certificate": joined.certificate})
    assert stage.client(guise.reverse).get().status == 200
    assert seen[1]["client"]["subject"] == ((("commonName", "joined"),),)
    guise = behind(origin)
    got = stage.client(guise.reverse).get()
    assert got.status == 502
    assert "alert" in guise.wait_log()["error"]


def test_sessions_are_resumed(stage, behind, leaf):
    """A connection that is not kept costs the full handshake once."""
    seen = []
    origin = stage.origin(secured(leaf, answering(response(200, b"x", [("Connection", "close")])), seen=seen))
    guise = behind(origin)
    for _ in range(6):
        assert stage.client(guise.reverse).get().status == 200
    assert [one["reused"] for one in seen] == [False] + [True] * 5


def test_versions(stage, behind, leaf):
    origin = stage.origin(secured(leaf, most=ssl.TLSVersion.TLSv1_2))
    assert stage.client(behind(origin).reverse).get().status == 200
    refused(stage, behind(origin, tls={"minimum": "1.3"}), "")


# which HTTP

@pytest.mark.parametrize("http, offered, agreed", [
    ("auto", ("h2", "http/1.1"), "h2"), ("auto", ("http/1.1",), "http/1.1"), ("auto", (), None), ("1", ("h2", "http/1.1"), "http/1.1"),
    ("1", (), None), ("2", ("h2", "http/1.1"), "h2")])
def test_alpn(stage, behind, leaf, http, offered, agreed):
    seen = []
    guise = behind(stage.origin(secured(leaf, alpn=offered, seen=seen)), http=http)
    client = stage.client(guise.reverse)
    for _ in range(3):
        assert client.get().status == 200
    assert [one["alpn"] for one in seen] == [agreed]


def test_http2_or_nothing(stage, behind, leaf):
    guise = behind(stage.origin(secured(leaf, alpn=())), http="2")
    refused(stage, guise, "did not agree to HTTP/2")


def test_many_clients_at_once(stage, behind, leaf):
    """Nobody knows the server yet: the first connection finds out, and is for all."""
    seen = []
    origin = stage.origin(secured(leaf, alpn=("h2", "http/1.1"), seen=seen))
    guise = behind(origin)
    clients = [stage.client(guise.reverse) for _ in range(50)]
    for number, client in enumerate(clients):
        client.send(request("POST", f"/{number}", body=b"%d" % number))
    for number, client in enumerate(clients):
        got = client.read_response()
        assert (got.body, got.fields.get("x-path")) == (b"%d" % number, f"/{number}")
    assert len(origin.peers) == 1


def test_many_clients_at_once_of_a_server_of_http1(stage, behind, leaf):
    """They are not served one after the other."""
    gate = threading.Barrier(20)

    def script(peer):
        peer.read_request()
        gate.wait(15)
        peer.send(OK)
        peer.wait_end()
    origin = stage.origin(secured(leaf, script))
    guise = behind(origin)
    clients = [stage.client(guise.reverse) for _ in range(20)]
    for client in clients:
        client.send(request())
    assert all(client.read_response().status == 200 for client in clients)
    assert len(origin.peers) == 20


def test_server_that_changes_its_mind(stage, behind, leaf):
    """HTTP/2 at first, HTTP/1.1 later, and back: as a server that is updated."""
    seen = []
    scripts = {version: secured(leaf, answering(response(200, b"x", [("Connection", "close")])), alpn=(version,), seen=seen)
               for version in ("h2", "http/1.1")}
    now = ["h2"]
    origin = stage.origin(lambda peer: scripts[now[0]](peer))
    guise = behind(origin, timeouts={"pool": "100ms"})
    for version in ("h2", "http/1.1", "h2", "http/1.1"):
        now[0] = version
        clients = [stage.client(guise.reverse) for _ in range(5)]
        for client in clients:
            client.send(request())
        assert all(client.read_response().status == 200 for client in clients)
        assert seen[-1]["alpn"] == version
        wait_for(lambda: all(peer.ended.is_set() for peer in origin.peers), "the end of idle connections")


def test_websocket_and_requests_to_one_server(stage, behind, leaf):
    """A server of HTTP/2 that knows nothing of RFC 8441 is asked for upgrades in HTTP/1.1."""
    def script(peer):
        head = peer.read_request_head()
        assert head.fields.get("Upgrade") == "websocket"
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello")
        peer.send(peer.read_exact(5))
        peer.wait_end()
    seen = []
    origin = stage.origin(secured(leaf, script, alpn=("h2", "http/1.1"), seen=seen))
    guise = behind(origin)
    assert stage.client(guise.reverse).get().status == 200
    client = stage.client(guise.reverse)
    client.send(b"GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    assert client.read_response_head().status == 101
    client.send(b"howdy")
    assert client.read_exact(10) == b"hellohowdy"
    assert stage.client(guise.reverse).get().status == 200
    assert [one["alpn"] for one in seen] == ["h2", "http/1.1"]


def test_scheme_is_the_clients(stage):
    """RFC 9113 8.3.1: the scheme of the request that is translated, not of the connection that it takes."""
    schemes = []

    def note(connection, stream):
        schemes.append(stream.head.get(":scheme"))
        http2.ok(connection, stream)
    origin = stage.origin(http2.serving(note))
    config = settings.reverse(origin, upstream={"http": "2"}, listener={"trusted": ["127.0.0.1"]})
    guise = stage.guise(config)
    assert stage.client(guise.reverse).get().status == 200
    assert stage.client(guise.reverse).get(fields="X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\n").status == 200
    assert schemes == ["http", "https"]


# bytes and ends

@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
def test_large_bodies(stage, behind, leaf, alpn):
    def echo(peer):
        while (got := peer.read_request()) is not None:
            peer.send(response(200, got.body))
    guise = behind(stage.origin(secured(leaf, echo, alpn=(alpn,))))
    client, body = stage.client(guise.reverse), BLOCK * 3
    sender = threading.Thread(target=client.send, args=(request("POST", body=body),), daemon=True)
    sender.start()
    assert client.read_response().body == body
    sender.join(10)


def test_end_inside_a_body(stage, behind, leaf):
    """A connection that ends without close_notify is cut short, whatever has come (RFC 8446 6.1)."""
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
        peer.sock.shutdown(2)
    guise = behind(stage.origin(secured(leaf, script)))
    client = stage.client(guise.reverse)
    client.send(request())
    assert client.read_response_head().status == 200
    wait_for(lambda: guise.wait_log()["error"], "the error")


def test_idle_connection_that_the_server_closed(stage, behind, leaf):
    """The next request is not lost to it."""
    def script(peer):
        peer.read_request()
        peer.send(OK)
    origin = stage.origin(secured(leaf, script))
    guise = behind(origin)
    client = stage.client(guise.reverse)
    for number in range(5):
        assert client.get().status == 200
        assert origin.peers[number].ended.wait(5)


def test_silent_server(stage, authority):
    """TCP, and then nothing."""
    origin = stage.origin(lambda peer: peer.wait_end())
    guise = stage.guise(settings.reverse(origin, upstream={"tls": {"ca": authority.file}, "timeouts": {"handshake": "400ms"}}))
    watch = Stopwatch()
    refused(stage, guise, "", 504)
    assert 0.3 < watch.seconds < 5 * slowness()


def test_server_in_clear(stage, behind):
    def script(peer):
        peer.send(b"220 hello\r\n")
        peer.wait_end()
    refused(stage, behind(stage.origin(script)), "")


def test_server_that_ends_in_the_handshake(stage, behind):
    refused(stage, behind(stage.origin(lambda peer: peer.read_some())), "")


def test_many_handshakes_at_once(stage, behind, leaf):
    guise = behind(stage.origin(secured(leaf)), http="1")
    clients = [stage.client(guise.reverse) for _ in range(60)]
    for client in clients:
        client.send(request())
    assert all(client.read_response().status == 200 for client in clients)


def test_clients_that_go_while_connecting(stage, behind, leaf):
    """In the middle of handshakes, again and again; the server is as good as before."""
    gate = threading.Event()
    start = secured(leaf, alpn=("h2",))

    def slow(peer):
        gate.wait(10)
        start(peer)
    guise = behind(stage.origin(slow))
    for _ in range(30):
        client = stage.client(guise.reverse)
        client.send(request())
        client.reset()
    gate.set()
    assert stage.client(guise.reverse).get().status == 200


def test_drain(stage, behind, leaf):
    """An exchange ends in peace, its connection after it."""
    gate, begun = threading.Event(), threading.Event()

    def script(peer):
        peer.read_request()
        begun.set()
        gate.wait(10)
        peer.send(OK)
        peer.wait_end()
    guise = behind(stage.origin(secured(leaf, script)))
    client = stage.client(guise.reverse)
    client.send(request())
    assert begun.wait(10)
    guise.signal(signal.SIGTERM)
    gate.set()
    assert client.read_response().status == 200
    assert guise.wait_exit() == 0


def test_tcp_listener(stage, authority, leaf):
    """Raw streams are encrypted too, and offer no protocol of ours."""
    seen = []

    def script(peer):
        peer.send(b"hello " + peer.read_exact(5))
        peer.wait_end()
    origin = stage.origin(secured(leaf, script, alpn=(), seen=seen))
    guise = stage.guise(settings.tcp(origin, upstream={"tls": {"ca": authority.file}}))
    client = stage.client(guise.tcp)
    client.send(b"world")
    assert client.read_exact(11) == b"hello world"
    assert seen[0]["alpn"] is None


def test_server_that_speaks_first(stage, authority, leaf):
    """Nothing of the handshake waits for the client's first bytes."""
    def script(peer):
        peer.send(b"220 ready\r\n")
        peer.wait_end()
    origin = stage.origin(secured(leaf, script, alpn=()))
    guise = stage.guise(settings.tcp(origin, upstream={"tls": {"ca": authority.file}}))
    assert stage.client(guise.tcp).read_exact(11) == b"220 ready\r\n"


# real servers

NGINX = """
user root root; worker_processes 1; daemon off; master_process off; pid {prefix}/pid; error_log {prefix}/error.log info;
events {{ worker_connections 1024; }}
http {{
    log_format seen '$proxy_protocol_addr $server_protocol $ssl_protocol $ssl_session_reused';
    access_log {prefix}/seen.log seen;
    client_body_temp_path {prefix}/b; proxy_temp_path {prefix}/p; fastcgi_temp_path {prefix}/f; uwsgi_temp_path {prefix}/u;
    scgi_temp_path {prefix}/s;
    server {{
        listen 127.0.0.1:{port} {listen};
        ssl_certificate {leaf.certificate}; ssl_certificate_key {leaf.key};
        location / {{ return 200 "$scheme $server_protocol $proxy_protocol_addr"; }}
    }}
}}
"""


class Real(Daemon):
    """A server that others wrote."""

    def __init__(self, arguments, prefix, port, host="127.0.0.1"):
        self.address = f"127.0.0.1:{port}"
        super().__init__(arguments, str(prefix / "out.log"))
        self.wait_port(port, host)


@pytest.fixture
def nginx(stage, leaf, tmp_path):
    def make(listen):
        port = free_port()
        path = tmp_path / "nginx.conf"
        path.write_text(NGINX.format(prefix=tmp_path, port=port, listen=listen, leaf=leaf))
        server = Real([program("nginx"), "-p", str(tmp_path), "-c", str(path)], tmp_path, port)
        stage.daemons.append(server)
        return server
    return make


@pytest.mark.parametrize("listen, keys, expected", [
    ("ssl", {}, b"https HTTP/1.1 "), ("ssl http2", {}, b"https HTTP/2.0 "), ("ssl http2", {"http": "1"}, b"https HTTP/1.1 "),
    ("ssl proxy_protocol", {"proxy_protocol": "v1"}, b"https HTTP/1.1 127.0.0.1"),
    ("ssl http2 proxy_protocol", {"proxy_protocol": "v2"}, b"https HTTP/1.1 127.0.0.1")])
def test_nginx(stage, behind, nginx, listen, keys, expected):
    guise = behind(nginx(listen), **keys)
    client = stage.client(guise.reverse)
    for _ in range(3):
        got = client.get()
        assert (got.status, got.body) == (200, expected)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_in_clear_behind_a_header(stage, nginx, version):
    server = nginx("proxy_protocol")
    guise = stage.guise(settings.reverse(server, upstream={"proxy_protocol": version}))
    client = stage.client(guise.reverse, source="127.0.0.77")
    for _ in range(3):
        assert client.get().body == b"http HTTP/1.1 127.0.0.77"


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("secure", [False, True])
def test_haproxy_behind_a_header(stage, authority, leaf, tmp_path, version, secure):
    if not shutil.which("haproxy", path=ENVIRONMENT["PATH"] + ":/usr/sbin"):
        pytest.skip("haproxy is not installed")
    port, pem = free_port(), tmp_path / "joined.pem"
    with open(leaf.certificate, "rb") as one, open(leaf.key, "rb") as two:
        write(str(pem), one.read() + two.read())
    path = tmp_path / "haproxy.cfg"
    path.write_text(f"""
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend f
    bind 127.0.0.1:{port} accept-proxy {f"ssl crt {pem} alpn http/1.1" if secure else ""}
    http-request return status 200 content-type text/plain lf-string "%[src] %[dst] %[ssl_fc]"
""")
    server = Real([program("haproxy"), "-db", "-f", str(path)], tmp_path, port)
    stage.daemons.append(server)
    tls = {"tls": {"ca": authority.file}} if secure else {}
    guise = stage.guise(settings.reverse(server, upstream=dict(tls, proxy_protocol=version)))
    got = stage.client(guise.reverse, source="127.0.0.77").get()
    assert got.body == b"127.0.0.77 127.0.0.1 %d" % secure


@pytest.mark.parametrize("secure", [False, True])
def test_nghttpd(stage, authority, leaf, tmp_path, secure):
    """The reference implementation of HTTP/2, by ALPN and by prior knowledge."""
    if not shutil.which("nghttpd", path=ENVIRONMENT["PATH"] + ":/usr/sbin"):
        pytest.skip("nghttpd is not installed")
    port = free_port()
    (tmp_path / "big").write_bytes(BLOCK)
    (tmp_path / "small").write_bytes(b"hello")
    options = [str(port), leaf.key, leaf.certificate] if secure else ["--no-tls", str(port)]
    server = Real([program("nghttpd"), "-a", "127.0.0.1", "-d", str(tmp_path), *options], tmp_path, port)
    stage.daemons.append(server)
    keys = {"tls": {"ca": authority.file}} if secure else {"http": "2"}
    guise = stage.guise(settings.reverse(server, upstream=keys))
    clients = [stage.client(guise.reverse) for _ in range(30)]
    for number, client in enumerate(clients):
        client.send(request(target="/big" if number % 3 == 0 else "/small"))
    for number, client in enumerate(clients):
        assert client.read_response().body == (BLOCK if number % 3 == 0 else b"hello")


# what `guise check` says

@pytest.fixture
def check(tmp_path):
    """check(tls, **keys of the group) -> what `guise check` writes."""
    def make(tls, servers=("127.0.0.1:1",), **keys):
        config = settings.reverse(*servers, upstream=dict(keys, tls=tls))
        path = settings.write(tmp_path / "check.yaml", config)
        status, out, err = run("check", "-c", str(path), cwd="/")
        return status, out + err
    return make


def test_check_is_content(check, authority, tmp_path):
    """Paths start from the configuration's directory."""
    own = authority.leaf("me", client=True)
    for source, name in ((authority.file, "ca.pem"), (own.certificate, "me.pem"), (own.key, "me.key")):
        shutil.copy(source, tmp_path / name)
    status, text = check({"ca": "ca.pem", "certificate": "me.pem", "key": "me.key"})
    assert status == 0 and "warning" not in text, text


@pytest.mark.parametrize("key, what", [("ca", "the certificates of"), ("certificate", "the certificate"), ("key", "the private key")])
@pytest.mark.parametrize("content, why", [
    (None, "No such file"), (b"", "empty"), (b"no pem at all", ""),
    (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "")])
def test_check_names_the_file(check, authority, tmp_path, key, what, content, why):
    own = authority.leaf("me", client=True)
    tls = {"ca": authority.file, "certificate": own.certificate, "key": own.key}
    tls[key] = "bad.pem"
    if content is not None:
        (tmp_path / "bad.pem").write_bytes(content)
    status, text = check(tls)
    assert status == 1 and "bad.pem" in text, text
    if why and not (key == "ca" and content == b""):
        assert what in text and why in text, text


def test_check_finds_what_does_not_fit(check, authority, tmp_path):
    own, other = authority.leaf("me", client=True), authority.leaf("other", client=True)
    locked = authority.leaf("locked", client=True, password="secret")
    late = authority.leaf("late", client=True, begins=-9, ends=-2)

    def expect(status, *words, **tls):
        got, text = check(tls)
        assert got == status and all(word in text for word in words), text
    expect(1, os.path.basename(other.key), "not the one", certificate=own.certificate, key=other.key)
    expect(1, os.path.basename(locked.key), "password", certificate=locked.certificate, key=locked.key)
    expect(1, os.path.basename(own.certificate), certificate=own.certificate)  # no key in it
    expect(1, '"key" needs "certificate"', key=own.key)
    expect(0, "warning", "expired", certificate=late.certificate, key=late.key)
    expect(0, "warning", '"ca" does nothing', ca=authority.file, verify=False)
    unreadable = tmp_path / "directory.pem"
    unreadable.mkdir()
    expect(1, "directory.pem", ca=str(unreadable))


def test_check_of_the_group(check):
    status, text = check({}, servers=["unix:/run/x.sock"])
    assert status == 1 and "unix socket" in text and '"name"' in text
    assert check({"name": "api.test"}, servers=["unix:/run/x.sock"])[0] == 0
    assert check({"verify": False}, servers=["unix:/run/x.sock"])[0] == 0
    status, text = check({}, http="2", proxy_protocol="v1")
    assert status == 1 and "proxy_protocol" in text
    assert check({}, http="auto", proxy_protocol="v1")[0] == 0
