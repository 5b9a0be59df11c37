"""Forward: HTTP in absolute-form, its errors, loops, and what an origin gets to see."""

import json
import threading

from urllib.parse import urlsplit

import pytest

from support import namespace, settings, websocket
from support.client import Client, chunked
from support.origin import OK, answering, echoing_request, once, response
from support.waiting import Stopwatch

PUBLIC = "93.184.216.34"
PUBLIC6 = "2606:2800:220:1::1"


@pytest.fixture
def world(stage):
    """An origin that answers on every address, a name server, and a forward proxy: world(script) -> (origin, guise, client)."""
    def make(script=None, rules=(), **config):
        names = stage.names()
        names.set("site.example", v4=[PUBLIC])
        origin = stage.origin(script, host="0.0.0.0")
        guise = stage.guise(settings.forward(*rules, resolver=names, **config))
        return origin, guise, stage.client(guise.forward)
    return make


def ask(client, url, method="GET", fields="", body=b"", host=None):
    authority = host or urlsplit(url).netloc
    return client.ask(f"{method} {url} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n".encode("latin-1") + body)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "X-ODD"])
def test_any_method(world, method):
    origin, _, client = world(answering(response(200, b"" if method == "HEAD" else b"ok")))
    got = ask(client, f"http://site.example:{origin.port}/a?b=c", method)
    assert got.status == 200
    sent = origin.requests[0]
    assert (sent.method, sent.target, sent.fields.all("Host")) == (method, "/a?b=c", [f"site.example:{origin.port}"])


def test_bodies_both_ways(world):
    def script(peer):
        while (got := peer.read_request()) is not None:
            peer.send(response(200, got.body))
    origin, _, client = world(script)
    url = f"http://site.example:{origin.port}/"
    body = bytes(range(256)) * 1000
    assert ask(client, url, "POST", f"Content-Length: {len(body)}\r\n", body).body == body
    assert ask(client, url, "POST", "Transfer-Encoding: chunked\r\n", chunked(body, b"x")).body == body + b"x"
    assert len(origin.peers) == 1


@pytest.mark.parametrize("target, sent", [
    ("http://site.example:{port}", "/"), ("http://site.example:{port}?q", "/?q"), ("http://site.example:{port}/", "/"),
    ("HTTP://SITE.EXAMPLE:{port}/X", "/X"), ("http://site.example:{port}//a//b", "//a//b"),
    ("http://site.example:{port}/a%2Fb/../c", None)])
def test_target_towards_the_origin(world, target, sent):
    origin, _, client = world()
    assert ask(client, target.format(port=origin.port)).status == 200
    assert sent is None or origin.requests[0].target == sent


def test_options_of_a_whole_server(world):
    origin, _, client = world()
    ask(client, f"http://site.example:{origin.port}", "OPTIONS")
    assert origin.requests[0].target == "*"


def test_host_follows_the_target(world):
    """RFC 9112 3.2.2: the received Host is replaced by the authority of the target."""
    origin, _, client = world()
    assert ask(client, f"http://site.example:{origin.port}/", host="evil.example").status == 200
    assert origin.requests[0].fields.all("Host") == [f"site.example:{origin.port}"]


def test_default_port_is_80(stage):
    names = stage.names()
    names.set("site.example", v4=[PUBLIC])
    origin = stage.origin(host="0.0.0.0", port=80)
    guise = stage.guise(settings.forward(resolver=names))
    assert ask(stage.client(guise.forward), "http://site.example/").status == 200
    assert origin.requests[0].fields.all("Host") == ["site.example"]


def test_literal_addresses(stage):
    first, second = stage.origin(host="0.0.0.0"), stage.origin(host="::")
    guise = stage.guise(settings.forward())
    client = stage.client(guise.forward)
    assert ask(client, f"http://{PUBLIC}:{first.port}/").status == 200
    assert ask(client, f"http://[{PUBLIC6}]:{second.port}/").status == 200
    assert first.peers[0].local[0] == PUBLIC and second.peers[0].local[0] == PUBLIC6


def test_connection_to_the_origin_is_kept(world):
    origin, _, client = world()
    for _ in range(5):
        assert ask(client, f"http://site.example:{origin.port}/").status == 200
    assert len(origin.peers) == 1


def test_several_origins_on_one_client_connection(stage):
    names = stage.names()
    origins = [stage.origin(answering(response(200, b"%d" % n)), host="0.0.0.0") for n in range(3)]
    for n in range(3):
        names.set(f"s{n}.example", v4=[f"93.184.216.{n + 1}"])
    guise = stage.guise(settings.forward(resolver=names))
    client = stage.client(guise.forward)
    for n in (0, 1, 2, 1, 0):
        assert ask(client, f"http://s{n}.example:{origins[n].port}/").body == b"%d" % n


def test_connection_of_one_name_is_not_used_for_another(stage):
    """Same address, two names: what an origin learns of one is not mixed with the other."""
    names = stage.names()
    names.set("a.example", v4=[PUBLIC])
    names.set("b.example", v4=[PUBLIC])
    origin = stage.origin(echoing_request, host="0.0.0.0")
    guise = stage.guise(settings.forward(resolver=names))
    client = stage.client(guise.forward)
    assert b"Host: a.example" in ask(client, f"http://a.example:{origin.port}/").body
    assert b"Host: b.example" in ask(client, f"http://b.example:{origin.port}/").body


def test_hop_by_hop_fields_end_here(world):
    origin, _, client = world()
    ask(client, f"http://site.example:{origin.port}/", fields="Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
        "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nTE: gzip\r\nX-End: 1\r\n")
    sent = origin.requests[0].fields
    for name in ("X-Hop", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE"):
        assert not sent.has(name), name
    assert sent.has("X-End")


def test_ignored_upgrade_keeps_its_connection(world):
    origin, _, client = world()
    for _ in range(3):
        got = ask(client, f"http://site.example:{origin.port}/", fields="Connection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
        assert got.status == 200
    assert len(origin.peers) == 1


def test_websocket_in_absolute_form(world):
    origin, _, client = world(websocket.echo_server)
    client.send(websocket.handshake(f"http://site.example:{origin.port}/", f"site.example:{origin.port}"))
    assert client.read_response().status == 101
    client.send(websocket.frame(b"hello"))
    assert websocket.read_frame(client)[1] == b"hello"


# refusals and their words

def test_origin_form_is_refused_with_a_hint(world):
    _, _, client = world()
    got = client.get("/x")
    assert got.status == 400
    assert "proxy" in got.body.decode().lower()


@pytest.mark.parametrize("url", ["ftp://site.example/", "ws://site.example/", "gopher://site.example/", "file:///etc/passwd",
                                 "site.example/", "javascript:x"])
def test_other_schemes_are_refused(world, url):
    origin, _, client = world()
    client.send(f"GET {url} HTTP/1.1\r\nHost: site.example\r\n\r\n".encode())
    assert client.read_response().status in (400, 501)
    assert not origin.peers


def test_error_body_is_json_by_default(world):
    _, _, client = world()
    got = ask(client, "http://127.0.0.1:1/")
    body = json.loads(got.body)
    assert got.fields.get("Content-Type").startswith("application/problem+json")
    assert body["status"] == got.status == 403
    assert body["title"] == "Forbidden" and body["error"] == got.error_type() and body["detail"]


def test_error_body_is_html_for_browsers(world):
    _, _, client = world()
    got = ask(client, "http://127.0.0.1:1/?<script>alert(1)</script>" .replace("<", "%3c").replace(">", "%3e"),
              fields="Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n")
    assert got.fields.get("Content-Type").startswith("text/html")
    assert got.body.lower().startswith(b"<!doctype html") and b"403" in got.body
    assert b"<script" not in got.body.lower()


def test_error_body_is_plain_for_connect(world):
    _, _, client = world()
    got = client.ask(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nAccept: text/html\r\n\r\n")
    assert got.status == 403 and got.fields.get("Content-Type").startswith("text/plain")


def test_error_to_head_has_no_body(world):
    origin, _, client = world()
    assert ask(client, "http://127.0.0.1:1/", "HEAD").status == 403
    assert ask(client, f"http://site.example:{origin.port}/").status == 200


def test_proxy_status_names_the_proxy_and_the_error(world):
    _, _, client = world(name="masked")
    got = ask(client, "http://none.example/")
    assert got.status == 502
    assert got.fields.get("Proxy-Status").startswith("masked;")
    assert got.error_type() == "dns_error"


@pytest.mark.parametrize("prepare, status, error", [
    ("refused", 502, "connection_refused"), ("silent name", 504, "dns_timeout"), ("no name", 502, "dns_error"),
    ("server failure", 502, "dns_error"), ("no address", 502, "dns_error")])
def test_errors_on_the_way(stage, prepare, status, error):
    names = stage.names()
    names.set("site.example", v4=[PUBLIC])
    names.set("silent.example", silent=True)
    names.set("failing.example", status=2)
    names.set("empty.example")
    guise = stage.guise(settings.forward(resolver=names, **{"timeouts": {"connect": "5s"}}))
    host = {"refused": "site.example", "silent name": "silent.example", "no name": "none.example",
            "server failure": "failing.example", "no address": "empty.example"}[prepare]
    got = ask(stage.client(guise.forward, timeout=18), f"http://{host}:1/")
    assert (got.status, got.error_type()) == (status, error)
    assert guise.wait_log()["error"]


def test_refused_request_keeps_its_connection(world):
    origin, _, client = world()
    for _ in range(3):
        assert ask(client, "http://127.0.0.1:1/").status == 403
    assert ask(client, f"http://site.example:{origin.port}/").status == 200


def test_refused_request_with_a_body_does_not_slip(world):
    """The body of a refused request is never read as the next request."""
    origin, _, client = world()
    body = f"GET http://site.example:{origin.port}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    got = ask(client, "http://127.0.0.1:1/", "POST", f"Content-Length: {len(body)}\r\n", body)
    assert got.status == 403
    try:
        assert ask(client, f"http://site.example:{origin.port}/next").status == 200
    except (AssertionError, OSError):
        pass
    assert "/smuggled" not in [sent.target for sent in origin.requests]


@pytest.mark.parametrize("rules, url, allowed", [
    ([{"deny": {"domains": ["bad.example"]}}], "http://bad.example", False),
    ([{"deny": {"domains": ["bad.example"]}}], "http://BAD.example", False),
    ([{"deny": {"domains": ["bad.example"]}}], "http://bad.example.", False),
    ([{"deny": {"domains": ["bad.example"]}}], "http://good.example", True),
    ([{"deny": {"domains": ["bad.example"]}}], "http://sub.bad.example", True),
    ([{"deny": {"domains": ["*.bad.example"]}}], "http://sub.bad.example", False),
    ([{"deny": {"domains": ["*.bad.example"]}}], "http://a.b.bad.example", False),
    ([{"allow": {"domains": ["good.example"]}}], "http://good.example", True),
    ([{"allow": {"domains": ["good.example"]}}], "http://bad.example", False),
    ([{"deny": {"addresses": ["93.184.216.0/24"]}}], "http://good.example", False),
    ([{"deny": {"addresses": ["93.184.217.0/24"]}}], "http://good.example", True),
    ([{"deny": {"methods": ["GET"]}}], "http://good.example", False),
    ([{"deny": {"methods": ["POST"]}}], "http://good.example", True),
    ([{"deny": {"sources": ["127.0.0.0/8"]}}], "http://good.example", False),
    ([{"deny": {"sources": ["10.0.0.0/8"]}}], "http://good.example", True),
    ([{"deny": {"ports": ["1-65535"]}}], "http://good.example", False),
    ([{"allow": {"ports": [1]}}], "http://good.example", False),
    ([{"allow": {"domains": ["good.example"]}}, {"deny": {}}], "http://good.example", True),
    ([{"deny": {"domains": ["good.example"]}}, {"allow": {"ports": ["1-65535"]}}], "http://good.example", False),
])
def test_rules(stage, rules, url, allowed):
    names = stage.names()
    for name in ("good.example", "bad.example", "sub.bad.example", "a.b.bad.example"):
        names.set(name, v4=[PUBLIC])
    origin = stage.origin(host="0.0.0.0")
    guise = stage.guise(settings.forward(*rules, resolver=names))
    got = ask(stage.client(guise.forward), f"{url}:{origin.port}/")
    assert got.status == (200 if allowed else 403)
    assert allowed or not origin.peers


def test_sources_that_may_use_a_listener(stage):
    origin = stage.origin(host="0.0.0.0")
    guise = stage.guise(settings.forward(listener={"listen": "0.0.0.0:0", "sources": ["127.0.0.5/32"]}))
    port = guise.forward[1]
    url = f"http://{PUBLIC}:{origin.port}/"
    assert ask(stage.client(("127.0.0.1", port), source="127.0.0.5"), url).status == 200
    assert ask(stage.client(("127.0.0.1", port), source="127.0.0.6"), url).status == 403
    got = stage.client(("127.0.0.1", port), source="127.0.0.6").ask(f"CONNECT {PUBLIC}:{origin.port} HTTP/1.1\r\nHost: x\r\n\r\n")
    assert got.status == 403
    assert len(origin.requests) == 1


# loops

@pytest.mark.parametrize("mask", ["anonymous", "transparent"])
def test_own_via_is_a_loop(world, mask):
    origin, _, client = world(listener={"mask": mask})
    url = f"http://site.example:{origin.port}/"
    assert ask(client, url).status == 200
    own = origin.requests[0].fields.all("Via")[0].split(", ")[-1]
    got = ask(client, url, fields=f"Via: 1.0 other, {own}\r\n")
    assert got.status == 502 and got.error_type() == "proxy_loop_detected"
    assert len(origin.requests) == 1


def test_via_of_others_is_no_loop(world):
    origin, _, client = world(listener={"mask": "anonymous"})
    got = ask(client, f"http://site.example:{origin.port}/", fields="Via: 1.0 other, 1.1 guise2 (guise)\r\n")
    assert got.status == 200
    via = origin.requests[0].fields.get("Via")
    assert via.startswith("1.0 other, 1.1 guise2 (guise), 1.1 ")


@pytest.mark.parametrize("mask", ["elite", "anonymous"])
@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_own_listener_is_refused(stage, mask, method):
    """On a public address, so that it is not the guard that refuses."""
    names = stage.names()
    names.set("self.example", v4=[PUBLIC])
    guise = stage.guise(settings.forward(resolver=names, listener={"listen": f"{PUBLIC}:0", "open": True, "mask": mask}))
    port = guise.forward[1]
    for host in (PUBLIC, "self.example"):
        target = f"{host}:{port}" if method == "CONNECT" else f"http://{host}:{port}/"
        client = stage.client(guise.forward)
        got = client.ask(f"{method} {target} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")
        assert got.status == 403, host


@pytest.mark.parametrize("mask", ["elite", "anonymous"])
@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_own_listener_on_every_address_is_refused(stage, mask, method):
    """The usual case: it listens on all addresses, and a client names the machine's public one."""
    with namespace.own_address("93.184.216.200") as own:
        guise = stage.guise(settings.forward(listener={"listen": "0.0.0.0:0", "open": True, "mask": mask}))
        port = guise.forward[1]
        target = f"{own}:{port}" if method == "CONNECT" else f"http://{own}:{port}/"
        got = stage.client(("127.0.0.1", port)).ask(f"{method} {target} HTTP/1.1\r\nHost: {own}:{port}\r\n\r\n")
        assert got.status == 403


def test_own_upstream_server_is_refused_to_the_forward_side(stage):
    origin = stage.origin(host="0.0.0.0")
    config = settings.forward()
    config.update(reverse=[{"listen": "127.0.0.1:0", "routes": [{"to": "web"}]}],
                  upstreams={"web": [f"{PUBLIC}:{origin.port}"]})
    guise = stage.guise(config)
    assert stage.client(guise.reverse).get().status == 200
    assert ask(stage.client(guise.forward), f"http://{PUBLIC}:{origin.port}/").status == 403


# TRACE, Max-Forwards

def test_trace_with_nothing_left_is_answered_here(world):
    origin, _, client = world()
    got = ask(client, f"http://site.example:{origin.port}/x", "TRACE",
              "Max-Forwards: 0\r\nX-A: b\r\nCookie: secret\r\nAuthorization: Basic secret\r\nProxy-Authorization: secret\r\n")
    assert got.status == 200 and got.fields.get("Content-Type").startswith("message/http")
    assert b"TRACE http://site.example" in got.body and b"X-A: b" in got.body
    assert b"secret" not in got.body
    assert not origin.peers


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS"])
def test_max_forwards_counts_down(world, method):
    origin, _, client = world()
    assert ask(client, f"http://site.example:{origin.port}/x", method, "Max-Forwards: 5\r\n").status == 200
    assert origin.requests[0].fields.get("Max-Forwards") == "4"


# the way curl and a browser use it

def test_curl_through_nginx(stage, curl):
    nginx = stage.nginx()
    body = bytes(range(256)) * 4000
    with open(f"{nginx.files}/big", "wb") as file:
        file.write(body)
    guise = stage.guise(settings.forward(settings.LOOPBACK))
    proxy = f"http://127.0.0.1:{guise.forward[1]}"
    assert curl("-x", proxy, f"http://{nginx.address}/big").body == body
    assert curl("-p", "-x", proxy, f"http://{nginx.address}/big").body == body
    assert curl("-x", proxy, "-T", f"{nginx.files}/big", "-o", "/dev/null", "-w", "%{http_code}",
                f"http://{nginx.address}/put").text == "405"


def test_access_log_leaves_the_query_out(world):
    origin, guise, client = world()
    ask(client, f"http://site.example:{origin.port}/path?secret=1")
    entry = guise.wait_log()
    assert entry["face"] == "forward" and entry["status"] == 200
    assert entry["target"] == f"http://site.example:{origin.port}/path?*"
    assert "127.0.0.1" != entry["client"], "addresses of a forward proxy's clients are truncated by default"


def test_http10_client(world):
    origin, _, client = world(once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello")))
    got = client.ask(f"GET http://site.example:{origin.port}/ HTTP/1.0\r\n\r\n")
    assert got.body == b"hello"
    origin, _, client = world(answering(OK))
    assert client.ask(f"GET http://site.example:{origin.port}/ HTTP/1.0\r\n\r\n").body == b"ok"


def test_connect_timeout(stage):
    guise = stage.guise(settings.forward(settings.LOOPBACK, timeouts={"connect": "300ms"}))
    watch = Stopwatch()
    got = ask(stage.client(guise.forward), f"http://{stage.blackhole().address}/")
    assert (got.status, got.error_type()) == (504, "connection_timeout")
    assert watch.seconds < 3


@pytest.mark.parametrize("reply", [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 other\r\nServer: s/1\r\n\r\nok",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nX-A: b\r\n\r\nno"])
def test_answers_of_origins_pass_unchanged(world, reply):
    origin, _, client = world(answering(reply.encode()))
    got = ask(client, f"http://site.example:{origin.port}/")
    assert got.status in (200, 404)
    for name in ("Server", "X-A"):
        assert got.fields.has(name) == (name in reply)


def test_two_clients_at_once_are_not_mixed(world):
    """The slow one's answer does not come to the quick one, whatever is pooled."""
    def script(peer):
        while (got := peer.read_request()) is not None:
            if got.target == "/slow":
                peer.origin.gate.wait(10)
            peer.send(response(200, got.target.encode()))
    origin, guise, slow = world(script)
    origin.gate = threading.Event()
    slow.send(f"GET http://site.example:{origin.port}/slow HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    origin.wait_requests(1)
    quick = Client(guise.forward)
    for number in range(20):
        assert ask(quick, f"http://site.example:{origin.port}/{number}").body == b"/%d" % number
    quick.close()
    origin.gate.set()
    assert slow.read_response().body == b"/slow"
