"""TLS of listeners: certificates by name, versions, sessions, what is told of the connection, and what is refused."""

import base64
import os
import ssl
import threading

import pytest

from support import settings
from support.certificates import Authority
from support.client import request
from support.origin import OK, answering, echoing_request, response
from support.servers import Curl
from support.tls import SClient, TLSClient, client_hello, listener, refused
from support.waiting import Stopwatch, wait_for
from support.wire import Truncated

HELLO = {"respond": {"body": "hello\n"}}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.leaf("a.test", "*.wild.test", "127.0.0.1")


@pytest.fixture
def serve(stage, leaf):
    """serve(*leaves, routes, **keys of tls) -> guise; without leaves the usual one."""
    def make(*leaves, table=(HELLO,), upstreams=None, more=None, top=None, **keys):
        tls = listener(*(leaves or (leaf,)), **keys)
        config = settings.routes(*table, upstreams=upstreams, tls=tls, **(more or {}))
        return stage.guise(dict(config, **(top or {})))
    return make


@pytest.fixture
def connect(stage):
    """connect(guise, **of TLSClient) -> a client that is closed at the end."""
    def make(guise, **options):
        client = TLSClient(guise.reverse, **options)
        stage.clients.append(client)
        return client
    return make


# ordinary use

def test_curl_speaks_http2_and_http1(serve, authority, leaf):
    guise = serve()
    port = guise.reverse[1]
    resolve = ["--resolve", f"a.test:{port}:127.0.0.1", "--cacert", authority.file]
    for option, version in (("--http2", "HTTP/2"), ("--http1.1", "HTTP/1.1")):
        mark = guise.log_mark()
        got = Curl(option, "-w", " %{http_version}", *resolve, f"https://a.test:{port}/")
        assert got.text == "hello\n " + version.split("/")[1]
        entry = guise.wait_log(start=mark)
        assert (entry["protocol"], entry["tls"], entry["error"]) == (version, "TLSv1.3", None)


def test_in_clear_nothing_is_said_of_tls(stage):
    guise = stage.guise(settings.routes(HELLO))
    got = stage.client(guise.reverse).get()
    assert got.status == 200 and not got.fields.has("Strict-Transport-Security")
    assert "tls" not in guise.wait_log()


def test_scheme_follows(stage, serve, connect):
    origin = stage.origin(echoing_request)
    guise = serve(table=[{"path": "/old", "redirect": "{scheme}://{host}/new"},
                         {"to": "web", "request": {"set": {"X-Scheme": "{scheme}"}}}], upstreams={"web": [origin]})
    client = connect(guise)
    assert client.get("/old").fields.get("Location") == "https://a.test/new"
    seen = client.get("/").body.decode()
    assert "X-Forwarded-Proto: https" in seen and "proto=https" in seen and "X-Scheme: https" in seen
    assert client.ask(request(target="https://a.test/x")).status == 200
    assert client.ask(request(target="http://a.test/x")).status == 421  # RFC 9110 7.4


def test_banner_suggests_what_works(serve):
    guise = serve()
    assert f"guise: reverse proxy on 127.0.0.1:{guise.reverse[1]} with TLS" in guise.stderr.text
    line = next(line for line in guise.stderr.text.splitlines() if "curl" in line)
    assert Curl(*line.split()[1:]).text.endswith("hello\n")


@pytest.mark.parametrize("size", [1, 20_000, 3_000_000])
def test_bodies_both_ways(stage, serve, connect, size):
    def script(peer):
        while (asked := peer.read_request()) is not None:
            peer.send(response(200, asked.body))
    guise = serve(table=[{"to": "web"}], upstreams={"web": [stage.origin(script)]})
    body = os.urandom(size)
    client = connect(guise)
    assert client.ask(request("POST", body=body)).body == body
    assert client.ask(request("POST", body=body)).body == body


def test_client_hello_in_single_bytes(serve, stage):
    guise = serve()
    client = stage.client(guise.reverse)
    client.send_bytewise(client_hello())
    assert client.read_exact(1) == b"\x16"


# certificates by name

def test_certificate_by_name(serve, connect, authority):
    first, exact = authority.leaf("first.test"), authority.leaf("shop.wild.test")
    wild = authority.leaf("*.wild.test", "plain.test")
    guise = serve(first, wild, exact)
    for name, shown in (("first.test", first), ("shop.wild.test", exact), ("other.wild.test", wild),
                        ("plain.test", wild), ("PLAIN.test", wild), ("wild.test", first),
                        ("a.b.wild.test", first), ("unknown.test", first), (None, first)):
        assert connect(guise, name=name).der == shown.der, name


def test_rsa_and_ecdsa_side_by_side(serve, authority):
    guise = serve(authority.leaf("a.test", kind="rsa"), authority.leaf("a.test"))
    assert SClient(guise.reverse, "-sigalgs", "RSA-PSS+SHA256").key_type.startswith("RSA")
    assert SClient(guise.reverse, "-sigalgs", "ECDSA+SHA256").key_type == "ECDSA"
    old = ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
    assert SClient(guise.reverse, *old).key_type.startswith("RSA")
    assert SClient(guise.reverse, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256").key_type == "ECDSA"
    assert SClient(guise.reverse).key_type == "ECDSA"


def test_key_in_the_file_of_the_certificate(serve, connect, authority):
    joined = authority.leaf("a.test", joined=True)
    os.unlink(joined.key)
    guise = serve(table=[HELLO], certificates=[joined.certificate])
    assert connect(guise, authority=authority).get().status == 200


def test_strict_sni_shows_no_certificate(serve, connect, authority):
    guise = serve(strict_sni=True)
    assert connect(guise, authority=authority).get().status == 200
    for name in (None, "unknown.test"):
        for version in ("-tls1_2", "-tls1_3"):
            got = SClient(guise.reverse, version, name=name)
            assert got.certificates == 0 and got.version is None
    assert refused(lambda: connect(guise, name=None))


def test_misdirected(serve, connect, authority):
    other = authority.leaf("b.test", "c.test")
    guise = serve(authority.leaf("a.test"), other, hsts="1d")
    client = connect(guise, name="a.test")
    assert client.get(host="a.test").status == 200
    got = client.get(host="b.test")
    assert got.status == 421 and got.fields.get("Strict-Transport-Security")  # RFC 9110 15.5.20
    assert "not for that host" in guise.wait_log(lambda entry: entry["status"] == 421)["error"]
    client = connect(guise, name="b.test")
    for host, status in (("b.test", 200), ("C.test.", 200), ("c.test:443", 200), ("a.test", 421)):
        assert client.get(host=host).status == status
    # A host that no certificate is for is served under the default one, and under no other.
    assert client.get(host="unknown.test").status == 421
    assert connect(guise, name="unknown.test").get(host="unknown.test").status == 200


def test_misdirected_over_http2(serve, authority):
    guise = serve(authority.leaf("a.test"), authority.leaf("b.test"))
    port = guise.reverse[1]
    got = Curl("-k", "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "-H", "Host: b.test",
               "--resolve", f"a.test:{port}:127.0.0.1", f"https://a.test:{port}/")
    assert got.text == "421 2"


# versions and protocols

def test_versions(serve):
    guise = serve()
    assert SClient(guise.reverse).version == "TLSv1.3"
    assert SClient(guise.reverse, "-tls1_2").version == "TLSv1.2"
    for option in ("-tls1", "-tls1_1"):
        assert SClient(guise.reverse, option, "-cipher", "ALL:@SECLEVEL=0").version is None


def test_minimum_version(serve, connect):
    guise = serve(minimum="1.3")
    assert connect(guise).get().status == 200
    assert refused(lambda: connect(guise, maximum=ssl.TLSVersion.TLSv1_2))


@pytest.mark.parametrize("http2, offered, chosen", [
    ("tls", "h2,http/1.1", "h2"), ("tls", "http/1.1,h2", "h2"), ("tls", "h2", "h2"), ("tls", "http/1.1", "http/1.1"),
    ("off", "h2,http/1.1", "http/1.1"), ("off", "h2", None), ("tls", "http/1.0,spdy/1", None),
])
def test_alpn(serve, http2, offered, chosen):
    guise = serve(more={"http2": http2})
    got = SClient(guise.reverse, "-alpn", offered)
    assert got.alpn == chosen
    assert (got.version is None) == (chosen is None)  # RFC 7301 3.2: nothing in common ends the handshake


def test_without_alpn_it_is_http1(serve, connect):
    client = connect(serve())
    assert client.sock.selected_alpn_protocol() is None
    assert client.get().status == 200


# sessions

@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_resume_on_every_worker(serve, tmp_path, version):
    guise = serve(top={"workers": 4})
    file = str(tmp_path / "session")
    ask = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    first = SClient(guise.reverse, version, "-sess_out", file, "-ign_eof", request=ask)
    assert not first.reused and first.text.count("hello") == 1
    for _ in range(12):
        again = SClient(guise.reverse, version, "-sess_in", file, "-ign_eof", request=ask)
        assert again.reused and "hello" in again.text
    assert not SClient(guise.reverse, version, "-sess_in", file, name="x.wild.test").reused  # RFC 6066 3


def test_sessions_can_be_off(serve, tmp_path):
    guise = serve(tickets=False)
    file = str(tmp_path / "session")
    ask = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    SClient(guise.reverse, "-tls1_2", "-sess_out", file, request=ask)
    assert not SClient(guise.reverse, "-tls1_2", "-sess_in", file, request=ask).reused


def test_early_data_is_off(serve, tmp_path):
    guise = serve()
    file = str(tmp_path / "session")
    ask = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    assert "Max Early Data: 0" in SClient(guise.reverse, "-sess_out", file, "-ign_eof", request=ask).text


# OCSP

def test_ocsp_response_is_stapled(serve, authority):
    stapled = authority.leaf("a.test")
    authority.staple(stapled)
    guise = serve(stapled, authority.leaf("b.test"))
    assert "OCSP Response Status: successful" in SClient(guise.reverse, "-status").text
    assert "OCSP response: no response sent" in SClient(guise.reverse, "-status", name="b.test").text


def test_stale_ocsp_response_is_not_stapled(serve, authority):
    stapled = authority.leaf("a.test")
    authority.staple(stapled, begins=-20, ends=-10)
    guise = serve(stapled)
    assert "OCSP response: no response sent" in SClient(guise.reverse, "-status").text
    assert "stale" in guise.stderr.text


# certificates of clients

@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("clients"), "Clients Authority")


@pytest.mark.parametrize("verify", ["optional", "required"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates(stage, serve, connect, clients, authority, verify, version):
    origin = stage.origin(echoing_request)
    guise = serve(table=[{"to": "web"}], upstreams={"web": [origin]},
                  clients={"verify": verify, "ca": clients.file, "pass": True})
    me = clients.leaf("me", client=True)
    spoof = "Client-Cert: :Zm9v:\r\nClient-Cert-Chain: :Zm9v:\r\n"
    text = connect(guise, leaf=me, maximum=version).get(fields=spoof).body.decode()
    assert f"Client-Cert: :{base64.b64encode(me.der).decode()}:" in text.splitlines()  # RFC 9440 2.1
    assert "Zm9v" not in text and "Client-Cert-Chain" not in text
    assert refused(lambda: connect(guise, leaf=authority.leaf("stranger", client=True), maximum=version))
    assert refused(lambda: connect(guise, leaf=clients.leaf("old", client=True, begins=-20, ends=-10), maximum=version))
    if verify == "required":
        assert refused(lambda: connect(guise, maximum=version))
    else:
        assert "Client-Cert" not in connect(guise, maximum=version).get().body.decode()


def test_resumed_session_still_has_its_client(stage, serve, clients, tmp_path):
    origin = stage.origin(echoing_request)
    guise = serve(table=[{"to": "web"}], upstreams={"web": [origin]}, top={"workers": 2},
                  clients={"verify": "required", "ca": clients.file, "pass": True})
    me = clients.leaf("me", client=True)
    file, ask = str(tmp_path / "session"), "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    SClient(guise.reverse, "-cert", me.certificate, "-key", me.key, "-sess_out", file, "-ign_eof", request=ask)
    for _ in range(4):
        again = SClient(guise.reverse, "-sess_in", file, "-ign_eof", request=ask)
        assert again.reused and base64.b64encode(me.der).decode() in again.text


def test_client_cert_of_a_client_is_dropped(stage, serve, connect):
    """RFC 9440 4: nobody but the proxy says who a client is; also where no certificates are asked for, and in clear."""
    origin = stage.origin(echoing_request)
    spoof = "client-cert: :Zm9v:\r\nClient-Cert-Chain: :Zm9v:\r\n"
    guise = serve(table=[{"to": "web"}], upstreams={"web": [origin]})
    assert "Zm9v" not in connect(guise).get(fields=spoof).body.decode()
    clear = stage.guise(settings.reverse(origin))
    assert "Zm9v" not in stage.client(clear.reverse).get(fields=spoof).body.decode()
    believed = stage.guise(settings.reverse(origin, listener={"trusted": ["127.0.0.1"]}))
    assert "client-cert: :Zm9v:" in stage.client(believed.reverse).get(fields=spoof).body.decode()


# Strict-Transport-Security (RFC 6797)

def test_hsts_on_every_response(stage, serve, connect):
    origin = stage.origin(answering(response(200, b"x", [("Strict-Transport-Security", "max-age=1")])))
    guise = serve(table=[{"path": "/dead", "to": "dead"}, {"path": "/moved", "redirect": "https://b.test/"},
                         {"path": "/hello", **HELLO}, {"path": "/web", "to": "web"}],
                  upstreams={"web": [origin], "dead": ["127.0.0.1:1"]},
                  hsts={"max_age": "365d", "subdomains": True, "preload": True})
    client = connect(guise)
    for path, status in (("/web", 200), ("/hello", 200), ("/moved", 308), ("/dead", 503), ("/none", 404)):
        got = client.get(path)
        assert got.status == status
        assert got.fields.all("Strict-Transport-Security") == ["max-age=31536000; includeSubDomains; preload"]
    assert connect(guise).get(method="TRACE").fields.has("Strict-Transport-Security")
    bad = connect(guise).ask(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
    assert bad.status == 400 and bad.fields.has("Strict-Transport-Security")
    # RFC 6797 7.2: never in clear.
    assert not stage.client(guise.reverse).get("/hello").fields.has("Strict-Transport-Security")


def test_hsts_short_form_and_none(serve, connect):
    assert connect(serve(hsts="1h")).get().fields.get("Strict-Transport-Security") == "max-age=3600"
    assert not connect(serve()).get().fields.has("Strict-Transport-Security")


# handshakes that lead nowhere

def test_slow_handshake_is_given_up(serve, stage):
    guise = serve(top={"timeouts": {"handshake": "500ms", "idle": "1m"}})
    for data in (b"", b"\x16", client_hello()[:100], client_hello()):
        client, watch = stage.client(guise.reverse), Stopwatch()
        client.send(data)
        try:
            client.read_to_end()
        except Truncated:
            pass
        assert 0.4 < watch.seconds < 5
    guise.stderr.wait(lambda line: "closed 1 connection whose TLS handshake failed" in line, "a line about it")


def test_handshakes_in_progress_are_bounded(serve, stage, connect):
    guise = serve(top={"limits": {"handshakes": 8}})
    hello = client_hello()[:100]
    waiting = [stage.client(guise.reverse) for _ in range(8)]
    for client in waiting:
        client.send(hello)
    assert all(client.is_open(0.05) for client in waiting)
    late = [stage.client(guise.reverse) for _ in range(4)]
    for client in late:
        client.send(hello)
    # The oldest ones make room.
    wait_for(lambda: [client.is_open(0.02) for client in waiting] == [False] * 4 + [True] * 4, "four to be given up")
    assert connect(guise).get().status == 200
    assert all(client.is_open(0.02) for client in late)


def test_failed_handshakes_are_counted(serve, stage):
    guise = serve(minimum="1.3")
    for _ in range(3):
        assert SClient(guise.reverse, "-tls1_2").version is None
    line = guise.stderr.wait(lambda text: "whose TLS handshake failed" in text, "a line about it")
    assert "closed 1 connection " in line and "127.0.0.1" in line
    guise.stop()
    assert "closed 2 connections whose TLS handshake failed" in guise.stderr.text


# the forward face

def test_forward_proxy_over_tls(stage, authority, leaf):
    origin = stage.origin(answering(OK))
    guise = stage.guise(settings.forward(settings.LOOPBACK, listener={"tls": listener(leaf)}))
    proxy = ["--proxy-cacert", authority.file, "-x", f"https://127.0.0.1:{guise.forward[1]}"]
    assert Curl(*proxy, f"http://{origin.address}/").text == "ok"
    assert Curl(*proxy, "--proxytunnel", f"http://{origin.address}/").text == "ok"
    entries = [guise.wait_log(lambda entry, method=method: entry["method"] == method) for method in ("GET", "CONNECT")]
    assert all(entry["tls"] == "TLSv1.3" for entry in entries)
    secure = stage.guise(settings.routes(HELLO, tls=listener(leaf)))
    got = Curl(*proxy, "--cacert", authority.file, f"https://127.0.0.1:{secure.reverse[1]}/")
    assert got.text == "hello\n"


def test_forward_proxy_serves_any_host(stage, leaf):
    """421 is for those who answer for hosts (RFC 9110 15.5.20)."""
    origin = stage.origin(answering(OK))
    guise = stage.guise(settings.forward(settings.LOOPBACK, listener={"tls": listener(leaf)}))
    client = TLSClient(guise.forward, name="a.test")
    stage.clients.append(client)
    assert client.ask(request(target=f"http://{origin.address}/", host=origin.address)).status == 200


# the end

def test_drain_lets_requests_end(stage, serve, connect):
    gate = threading.Event()

    def script(peer):
        peer.read_request()
        gate.wait(10)
        peer.send(OK)
    origin = stage.origin(script)
    guise = serve(table=[{"to": "web"}], upstreams={"web": [origin]})
    busy, idle, fresh = connect(guise), connect(guise), stage.client(guise.reverse)
    busy.send(request())
    wait_for(lambda: origin.heads, "the request")
    guise.signal(15)
    idle.expect_end()
    fresh.expect_end()
    gate.set()
    assert busy.read_response().body == b"ok"
    assert guise.wait_exit() == 0
