"""Before the first request: PROXY headers, plain HTTP on a port that speaks TLS, garbage, HTTP/2 by prior knowledge."""

import socket
import struct

import pytest

from support import settings
from support.certificates import Authority
from support.client import Client, request
from support.origin import echoing_request
from support.servers import Curl
from support.tls import TLSClient, client_hello, listener
from support.waiting import Stopwatch, stays_true, wait_for
from support.wire import Closed, Truncated

HELLO = {"respond": {"body": "hello\n"}}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source="192.0.2.7", port=1234, family="TCP4", destination="198.51.100.1"):
    return f"PROXY {family} {source} {destination} {port} 443\r\n".encode()


def v2(source="192.0.2.7", port=1234, command=0x21, tlvs=b""):
    if ":" in source:
        kind, data = 0x21, socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "::1")
    else:
        kind, data = 0x11, socket.inet_aton(source) + socket.inet_aton("198.51.100.1")
    data += struct.pack(">HH", port, 443) + tlvs
    return SIGNATURE + bytes([command, kind]) + struct.pack(">H", len(data)) + data


LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates")).leaf("a.test")


@pytest.fixture
def proxied(stage):
    """A listener whose clients from 127.0.0.2 come through a load balancer; the origin shows what it is told."""
    return stage.guise(settings.reverse(stage.origin(echoing_request), listener={"proxy_protocol": ["127.0.0.2"]}))


def expect_quiet_end(client):
    try:
        assert client.read_to_end() == b""
    except Truncated as error:
        assert error.partial == b""


# PROXY protocol

@pytest.mark.parametrize("header, source", [
    (v1(), "192.0.2.7"), (v1("2001:db8::7", family="TCP6", destination="::1"), "2001:db8::7"), (v2(), "192.0.2.7"),
    (v2("2001:db8::7"), "2001:db8::7"), (v2(tlvs=b"\x04\x00\x40" + b"x" * 64), "192.0.2.7"),
    (v2("::ffff:192.0.2.7"), "192.0.2.7"), (b"PROXY UNKNOWN\r\n", "127.0.0.2"), (LOCAL, "127.0.0.2"),
], ids=["v1", "v1-ipv6", "v2", "v2-ipv6", "v2-tlv", "v2-mapped", "v1-unknown", "v2-local"])
def test_client_is_whom_the_header_names(stage, proxied, header, source):
    client = stage.client(proxied.reverse, source="127.0.0.2")
    client.send(header + request())
    got = client.read_response().body.decode()
    assert f"X-Forwarded-For: {source}" in got.splitlines()
    assert proxied.wait_log()["client"] == source
    assert client.get().status == 200


@pytest.mark.parametrize("header", [v1(), v2(tlvs=b"\x04\x00\x02ab")], ids=["v1", "v2"])
def test_header_in_pieces(stage, proxied, header):
    data = header + request()
    for cut in range(1, len(header) + 2):
        client = stage.client(proxied.reverse, source="127.0.0.2")
        client.send_split(data[:cut], data[cut:], pause=0.002)
        assert b"X-Forwarded-For: 192.0.2.7" in client.read_response().body
        client.close()
    client = stage.client(proxied.reverse, source="127.0.0.2")
    client.send_bytewise(data)
    assert b"X-Forwarded-For: 192.0.2.7" in client.read_response().body


@pytest.mark.parametrize("data", [
    request(), b"PROXY TCP4 192.0.2.7\r\n", b"PROXY TCP4 192.0.2.7 198.51.100.1 1 99999\r\n", b"PROXY " + b"x" * 200,
    b"\r\n\r\n\0\r\nQUIX\n", SIGNATURE + b"\x31\x11\x00\x0c" + b"x" * 12, SIGNATURE + b"\x21\x11\x00\x04abcd",
    SIGNATURE + b"\x21\x11\xff\xff", client_hello(),
], ids=["none", "v1-short", "v1-port", "v1-long", "signature", "version", "v2-short", "v2-long", "tls"])
def test_bad_headers_close_quietly_and_are_counted(stage, proxied, data):
    client = stage.client(proxied.reverse, source="127.0.0.2")
    client.send(data)
    expect_quiet_end(client)
    line = proxied.stderr.wait(lambda text: "without a valid PROXY protocol header" in text, "a line about it")
    assert "closed 1 connection " in line and "127.0.0.2" in line
    assert not proxied.log_entries()


def test_complaints_are_counted_together(stage, proxied):
    for _ in range(20):
        client = stage.client(proxied.reverse, source="127.0.0.2")
        client.send(b"hello\r\n")
        expect_quiet_end(client)
    proxied.stop()
    lines = [line for line in proxied.stderr.text.splitlines() if "PROXY protocol header" in line]
    assert len(lines) == 2
    assert "closed 1 connection " in lines[0] and "closed 19 connections " in lines[1]


@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_others_may_send_no_header(stage, proxied, header):
    client = stage.client(proxied.reverse)
    client.send(header + request())
    assert client.read_response().status == 400
    client.expect_end()
    assert stage.client(proxied.reverse).get().status == 200


def test_header_that_never_comes(stage):
    guise = stage.guise(settings.routes(HELLO, proxy_protocol=["127.0.0.2"]) | {"timeouts": {"handshake": "400ms"}})
    for data in (b"", b"PROXY TCP4"):
        client, watch = stage.client(guise.reverse, source="127.0.0.2"), Stopwatch()
        client.send(data)
        expect_quiet_end(client)
        assert 0.3 < watch.seconds < 5
    guise.stderr.wait(lambda line: "that took too long to begin" in line, "a line about it")


def test_connection_that_ends_inside_a_header(stage, proxied):
    client = stage.client(proxied.reverse, source="127.0.0.2")
    client.send(b"PROXY TCP4")
    client.half_close()
    expect_quiet_end(client)
    proxied.stderr.wait(lambda line: "ends too early" in line, "a line about it")


def test_peers_on_a_unix_socket(stage, tmp_path):
    path = str(tmp_path / "guise.sock")
    guise = stage.guise(settings.reverse(stage.origin(echoing_request),
                                         listener={"listen": f"unix:{path}", "proxy_protocol": ["unix:"]}))
    client = stage.client(guise.reverse)
    client.send(v2() + request())
    assert b"X-Forwarded-For: 192.0.2.7" in client.read_response().body


def test_header_before_tls(stage, leaf):
    guise = stage.guise(settings.routes(HELLO, tls=listener(leaf), proxy_protocol=["127.0.0.2"]))
    for header in (v1(), v2()):
        mark = guise.log_mark()
        client = TLSClient(guise.reverse, source="127.0.0.2", before=header)
        stage.clients.append(client)
        assert client.get().status == 200
        assert guise.wait_log(start=mark)["client"] == "192.0.2.7"
    # In one segment with the ClientHello, and in single bytes.
    client = stage.client(guise.reverse, source="127.0.0.2")
    client.send(v2() + client_hello())
    assert client.read_exact(1) == b"\x16"
    client = stage.client(guise.reverse, source="127.0.0.2")
    client.send_bytewise(v1() + client_hello())
    assert client.read_exact(1) == b"\x16"
    # A header from somebody else is no TLS.
    client = stage.client(guise.reverse)
    client.send(v1() + client_hello())
    expect_quiet_end(client)


def test_header_before_a_forward_proxy(stage):
    """`sources` are about the client, not about the load balancer."""
    origin = stage.origin(echoing_request)
    face = {"proxy_protocol": ["127.0.0.2"], "sources": ["192.0.2.0/24"]}
    guise = stage.guise(settings.forward(settings.LOOPBACK, listener=face))
    for header, status in ((v1(), 200), (v1("203.0.113.1"), 403)):
        client = stage.client(guise.forward, source="127.0.0.2")
        client.send(header + request(target=f"http://{origin.address}/", host=origin.address))
        assert client.read_response().status == status


def test_header_before_a_stream(stage):
    origin = stage.origin(lambda peer: peer.send(peer.read_some()))
    guise = stage.guise(settings.tcp(origin, listener={"proxy_protocol": ["127.0.0.2"]}))
    client = stage.client(guise.tcp, source="127.0.0.2")
    client.send(v1() + b"ping")
    assert client.read_exact(4) == b"ping"
    client.close()
    assert guise.wait_log()["client"] == "192.0.2.7"


def test_connections_are_counted_for_the_client(stage):
    guise = stage.guise(settings.routes(HELLO, proxy_protocol=["127.0.0.2"])
                        | {"limits": {"connections_per_address": 2}})

    def come(header):
        client = stage.client(guise.reverse, source="127.0.0.2")
        client.send(header + request())
        return client
    first, second = come(v1()), come(v2(port=5))
    assert first.read_response().status == second.read_response().status == 200
    expect_quiet_end(come(v1()))
    others = [come(v1(f"192.0.2.{last}")) for last in range(10, 20)]  # all of one peer
    assert all(client.read_response().status == 200 for client in others)
    first.close()

    def let_in():
        client = come(v1())
        try:
            return client.read_response().status == 200
        except (Closed, Truncated, ConnectionError):
            return False
        finally:
            client.close()
    wait_for(let_in, "room for another connection of the client")
    # A peer that sends no header yet counts for nobody.
    waiting = [stage.client(guise.reverse, source="127.0.0.2") for _ in range(5)]
    assert stays_true(lambda: all(client.is_open(0.01) for client in waiting), 0.2)


# a port that speaks TLS

@pytest.fixture
def secure(stage, leaf):
    return stage.guise(settings.routes(HELLO, tls=listener(leaf, hsts="1d")))


@pytest.mark.parametrize("data", [
    request(), request("POST", body=b"x" * 100_000), request(target="http://a.test/"), b"GET / HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", b"GET nonsense\r\n\r\n", PREFACE,
    b"get / HTTP/1.1\r\nHost: a.test\r\n\r\n",
], ids=["get", "post", "absolute", "http10", "options", "nonsense", "h2", "lower"])
def test_plain_http_is_told_so(stage, secure, data):
    client = stage.client(secure.reverse)
    client.send(data)
    got = client.read_response()
    assert got.status == 400 and b"plain HTTP was sent to a port that speaks TLS: use https" in got.body
    assert not got.fields.has("Strict-Transport-Security")  # RFC 6797 7.2
    client.expect_end()
    entry = secure.wait_log()
    assert entry["status"] == 400 and "speaks TLS" in entry["error"] and "tls" not in entry


def test_plain_http_in_single_bytes(stage, secure):
    client = stage.client(secure.reverse)
    client.send_bytewise(request())
    assert client.read_response().status == 400


def test_browser_is_told_in_html(secure):
    got = Curl("-i", "-H", "Accept: text/html", f"http://127.0.0.1:{secure.reverse[1]}/")
    assert "400 Bad Request" in got.text and "<p>plain HTTP was sent" in got.text


@pytest.mark.parametrize("data", [
    b"\x80\x2e\x01\x03\x01", b"\0" * 100, b"SSH-2.0-OpenSSH_9\r\n", b"\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28",
    b"A" * 30, b"\xff" * 100_000, v1(), v2(),
], ids=["ssl2", "zeros", "ssh", "lines", "alert", "letters", "much", "proxy1", "proxy2"])
def test_garbage_is_closed_quietly_and_counted(stage, secure, data):
    client = stage.client(secure.reverse)
    client.send(data)
    expect_quiet_end(client)
    line = secure.stderr.wait(lambda text: "that spoke neither TLS nor HTTP" in text, "a line about it")
    assert "closed 1 connection " in line
    assert not secure.log_entries()


def test_garbage_that_begins_like_tls(stage, secure):
    for data in (b"\x16" + b"\0" * 50, b"\x16\x03\x01\xff\xff" + b"x" * 70_000, b"\x16\x03\x01\x00\x05hello"):
        client = stage.client(secure.reverse)
        try:
            client.send(data)
            client.read_to_end()  # an alert, perhaps
        except (Truncated, ConnectionError):
            pass
    secure.stderr.wait(lambda text: "whose TLS handshake failed" in text, "a line about it")
    assert TLSClient(secure.reverse).get().status == 200


def test_clients_that_only_look(stage, secure):
    """A connection that is opened and closed is no news: health checks do it all day."""
    for _ in range(5):
        Client(secure.reverse).close()
    assert TLSClient(secure.reverse).get().status == 200
    secure.stop()
    assert "closed" not in secure.stderr.text


# HTTP/2 in clear

@pytest.fixture
def clear(stage):
    return stage.guise(settings.routes(HELLO, http2="clear"))


def test_prior_knowledge(clear):
    got = Curl("--http2-prior-knowledge", "-w", "%{http_version}", f"http://127.0.0.1:{clear.reverse[1]}/")
    assert got.text == "hello\n2"
    entry = clear.wait_log()
    assert entry["protocol"] == "HTTP/2" and "tls" not in entry


def test_preface_in_single_bytes(stage, clear):
    client = stage.client(clear.reverse)
    client.send_bytewise(PREFACE + b"\0\0\0\4\0\0\0\0\0")
    assert client.read_exact(9)[3] == 4  # SETTINGS


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PRI", "P", "PROPFIND", "PR"])
def test_http1_beside_it(stage, clear, method):
    for split in (False, True):
        client = stage.client(clear.reverse)
        data = request(method)
        client.send_bytewise(data) if split else client.send(data)
        got = client.read_response(method)
        assert got.version == "HTTP/1.1" and got.status == 200
        assert client.get().status == 200


def test_preface_that_stops(stage):
    guise = stage.guise(settings.routes(HELLO, http2="clear") | {"timeouts": {"header": "400ms", "idle": "1m"}})
    client, watch = stage.client(guise.reverse), Stopwatch()
    client.send(PREFACE[:10])
    expect_quiet_end(client)
    assert 0.3 < watch.seconds < 5


def test_without_the_key_there_is_no_http2_in_clear(stage):
    guise = stage.guise(settings.routes(HELLO))
    client = stage.client(guise.reverse)
    client.send(PREFACE)
    assert client.read_response().status in (400, 505)


def test_header_before_the_preface(stage):
    guise = stage.guise(settings.routes(HELLO, http2="clear", proxy_protocol=["127.0.0.2"]))
    client = stage.client(guise.reverse, source="127.0.0.2")
    client.send_bytewise(v1() + PREFACE + b"\0\0\0\4\0\0\0\0\0")
    assert client.read_exact(9)[3] == 4
    client = stage.client(guise.reverse, source="127.0.0.2")
    client.send(v1() + request())
    assert client.read_response().status == 200


def test_drain_closes_what_has_sent_nothing(stage, leaf):
    guise = stage.guise(settings.routes(HELLO, tls=listener(leaf), proxy_protocol=["127.0.0.2"]))
    waiting = [stage.client(guise.reverse, source=source) for source in ("127.0.0.1", "127.0.0.2")]
    begun = stage.client(guise.reverse)
    begun.send(client_hello()[:50])
    assert all(client.is_open(0.05) for client in waiting)
    watch = Stopwatch()
    guise.signal(15)
    for client in waiting:
        expect_quiet_end(client)
    assert watch.seconds < 2
    begun.close()
    assert guise.wait_exit() == 0
