"""Active checks of servers: what they ask, what they take for an answer, and what follows for requests."""

import json
import signal
import socket
import ssl
import time

import pytest

from support import http2, settings
from support.certificates import Authority
from support.client import request
from support.origin import OK, answering, response
from support.process import slowness
from support.servers import free_port
from support.waiting import stays_true, wait_for

INTERVAL = 0.2 * slowness()
HEALTH = {"path": "/healthz", "interval": f"{int(INTERVAL * 1000)}ms", "timeout": f"{int(INTERVAL * 500)}ms",
          "rise": 2, "fall": 2}


class Service:
    """A server whose answer to checks can be changed while it runs; other requests are answered with its name."""

    def __init__(self, stage, name="a", start=None, **options):
        self.reply = OK
        self.name = name.encode()
        self.checks = []
        self.times = []
        self.served = 0
        self.running = self.most = 0
        self.start = start
        self.origin = stage.origin(self.script, **options)
        self.address = self.origin.address
        self.port = self.origin.port

    def script(self, peer):
        if self.start:
            self.start(peer)
        while (request := peer.read_request()) is not None:
            if request.target != "/healthz":
                self.served += 1
                peer.send(response(200, self.name))
                continue
            self.times.append(time.monotonic())
            self.checks.append(request)
            if self.reply is None:
                peer.wait_end()
                return
            for part in self.reply if isinstance(self.reply, list) else [self.reply]:
                peer.send(part)

    def wait_checks(self, more):
        wanted = len(self.checks) + more
        wait_for(lambda: len(self.checks) >= wanted, f"{more} more checks of {self.name}")


def secured(leaf, alpn=("http/1.1",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)
    if alpn:
        context.set_alpn_protocols(list(alpn))

    def start(peer):
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
    return start


def speaks_http2(state, start=None):
    """A script of HTTP/2: /healthz is answered with state["status"] and state["body"], in pieces."""
    def script(peer):
        if start:
            start(peer)
        connection = http2.Server(peer.sock)
        connection.greet()
        connection.read_preface()
        while (stream := connection.next_request()) is not None:
            state["heads"].append(stream.head)
            connection.answer(stream, state["status"], [], state["body"])
    return script


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("servers"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.leaf("api.test", "127.0.0.1")


def run(stage, *services, health=None, top=None, **upstream):
    """Guise before these servers; without passive detection, so that it is checks alone that are seen."""
    upstream.setdefault("outliers", {"connects": "off", "failures": "off"})
    return stage.guise(settings.reverse(*services, upstream=dict(upstream, health=dict(HEALTH, **(health or {}))),
                                        **(top or {})))


def wait_word(guise, word, address, start=0):
    """The line of the log that says that this server has changed."""
    return guise.stderr.wait(lambda line: f"server {address} is {word}" in line, f"{address} {word}", start=start)


def mark(guise):
    return len(guise.stderr.lines)


def get(stage, guise):
    return stage.client(guise.reverse).get()


# what is asked

def test_what_a_check_looks_like(stage):
    service = Service(stage)
    guise = run(stage, service)
    wait_word(guise, "up", service.address)
    service.wait_checks(2)
    check = service.checks[0]
    assert (check.method, check.target) == ("GET", "/healthz")
    assert dict(check.fields) == {"Host": service.address, "User-Agent": "guise-health"}
    # A connection for each.
    assert all(len(peer.requests) <= 1 for peer in service.origin.peers)
    service.origin.peers[0].ended.wait(5)


def test_host(stage):
    service = Service(stage)
    run(stage, service, health={"host": "api.example:8443"})
    service.wait_checks(1)
    assert dict(service.checks[0].fields)["Host"] == "api.example:8443"


def test_unix_socket(stage, tmp_path):
    service = Service(stage, path=str(tmp_path / "s"))
    guise = run(stage, service)
    wait_word(guise, "up", service.address)
    assert dict(service.checks[0].fields)["Host"] == "localhost"


def test_other_port(stage):
    """The port that is checked answers for the one that serves."""
    service, other = Service(stage), Service(stage)
    guise = run(stage, service, health={"port": other.port})
    wait_word(guise, "up", service.address)
    assert dict(other.checks[0].fields)["Host"] == other.address and not service.checks
    other.reply = response(500)
    wait_word(guise, "down", service.address)
    assert get(stage, guise).status == 503 and service.served == 0


def test_name_of_a_server(stage):
    """A name that is resolved at each connect is checked under that name."""
    names = stage.names()
    names.set("api.test", v4=["127.0.0.1"])
    service = Service(stage)
    server = {"address": f"api.test:{service.port}", "resolve": "one"}
    guise = run(stage, server, top={"resolver": {"servers": [names.address], "hosts": False}})
    wait_word(guise, "up", f"api.test:{service.port}")
    assert dict(service.checks[0].fields)["Host"] == f"api.test:{service.port}"


# what is an answer

@pytest.mark.parametrize("reply,word,why", [
    (response(204, length=False), "up", ""),
    (response(302, fields=[("Location", "/")]), "up", ""),
    (response(404), "down", "404, not in status"),
    (response(503), "down", "503, not in status"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "down", "took too long"),
    (b"HTTP/1.1 200 OK\r\nContent Length: 5\r\n\r\nok", "down", "malformed"),
    (None, "down", "no answer in time"),
])
def test_answers(stage, reply, word, why):
    service = Service(stage)
    service.reply = reply
    guise = run(stage, service)
    assert why in wait_word(guise, word, service.address)


def test_statuses(stage):
    service = Service(stage)
    service.reply = response(404)
    guise = run(stage, service, health={"status": ["404", "5xx"]})
    wait_word(guise, "up", service.address)
    service.reply = OK
    assert "200, not in status" in wait_word(guise, "down", service.address)


@pytest.mark.parametrize("before,good", [(0, True), (64 * 1024 - 5, True), (64 * 1024 - 4, False), (200 * 1024, False)])
def test_content(stage, before, good):
    """`body` is found in the first 64 KiB, and not behind."""
    service = Service(stage)
    service.reply = response(200, b"-" * before + b"ready" + b"-" * 10)
    guise = run(stage, service, health={"body": "ready"})
    line = wait_word(guise, "up" if good else "down", service.address)
    assert good or 'does not hold "ready"' in line


def test_content_in_pieces(stage):
    """Also where it is cut into pieces, with false beginnings before it."""
    service = Service(stage)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in b"arearearearready") + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    service.reply = [head] + [chunks[i:i + 1] for i in range(len(chunks))]
    guise = run(stage, service, health={"body": "rearready"})
    wait_word(guise, "up", service.address)
    service.reply = [head, chunks.replace(b"\ny\r\n", b"\nx\r\n")]
    wait_word(guise, "down", service.address)


def test_truncated_answer(stage):
    """An answer that breaks off is none."""
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nready")
    origin = stage.origin(script)
    guise = run(stage, origin, health={"body": "ready"})
    assert "too early" in wait_word(guise, "down", origin.address)


# how it is asked

@pytest.mark.parametrize("tls", [False, True])
def test_http2(stage, authority, leaf, tls):
    state = {"status": 200, "body": b"x" * 1000 + b"ready", "heads": []}
    origin = stage.origin(speaks_http2(state, secured(leaf, ["h2"]) if tls else None))
    upstream = {"tls": {"ca": authority.file}} if tls else {"http": 2}
    guise = run(stage, origin, health={"body": "ready"}, **upstream)
    wait_word(guise, "up", origin.address)
    head = dict(state["heads"][0])
    assert head[":path"] == "/healthz" and head[":authority"] == origin.address and head["user-agent"] == "guise-health"
    assert head[":scheme"] == ("https" if tls else "http")
    state["status"] = 500
    assert "500, not in status" in wait_word(guise, "down", origin.address)
    state["status"] = 200
    wait_word(guise, "up", origin.address, mark(guise))
    wait_for(lambda: sum(not peer.ended.is_set() for peer in origin.peers) <= 1, "each connection to be closed")


def test_https(stage, authority, leaf):
    service = Service(stage, start=secured(leaf))
    guise = run(stage, service, tls={"ca": authority.file})
    wait_word(guise, "up", service.address)
    assert get(stage, guise).body == b"a"


def test_certificate_that_nobody_believes(stage, leaf, tmp_path):
    other = Authority(tmp_path, "Stranger")
    service = Service(stage, start=secured(leaf))
    guise = run(stage, service, tls={"ca": other.file})
    assert "certificate" in wait_word(guise, "down", service.address)


def test_tcp(stage):
    """A connection is enough, even over TLS; nothing is said."""
    origin = stage.origin(lambda peer: peer.wait_end())
    guise = run(stage, origin, health={"kind": "tcp"}, tls={"verify": False})
    wait_word(guise, "up", origin.address)
    peer = origin.wait_peers(1)[0]
    assert peer.ended.wait(5) and peer.received == b""
    origin.refuse()
    assert "refused" in wait_word(guise, "down", origin.address)


def test_tls(stage, leaf):
    """A handshake with whoever is there, where the group itself has no TLS."""
    def script(peer):
        start(peer)
        peer.wait_end()
    start = secured(leaf, None)
    origin = stage.origin(script)
    guise = run(stage, origin, health={"kind": "tls"})
    wait_word(guise, "up", origin.address)
    assert origin.wait_peers(1)[0].received == b""


def test_tls_with_a_server_that_has_none(stage):
    origin = stage.origin(lambda peer: (peer.send(b"220 hello\r\n"), peer.wait_end()))
    guise = run(stage, origin, health={"kind": "tls"})
    assert "TLS handshake" in wait_word(guise, "down", origin.address)


def test_tls_verified(stage, authority, leaf, tmp_path):
    """Where the group has TLS, a handshake means a certificate that is believed; and a whole handshake each time."""
    resumed = []

    def script(peer):
        secured(leaf, None)(peer)
        resumed.append(peer.sock.session_reused)
        peer.wait_end()
    origin = stage.origin(script)
    guise = run(stage, origin, health={"kind": "tls"}, tls={"ca": authority.file})
    wait_word(guise, "up", origin.address)
    wait_for(lambda: len(resumed) >= 3, "three handshakes")
    assert not any(resumed)
    guise = run(stage, origin, health={"kind": "tls"}, tls={"ca": Authority(tmp_path, "Stranger").file})
    assert "certificate" in wait_word(guise, "down", origin.address)


@pytest.mark.parametrize("version,header", [("v1", b"PROXY UNKNOWN\r\n"),
                                            ("v2", b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")])
@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_proxy_header(stage, version, header, kind):
    """A check is nobody's connection but ours (PROXY protocol 2.1, 2.2)."""
    starts = []

    def script(peer):
        starts.append(peer.read_exact(len(header)))
        if kind == "http":
            answering(OK)(peer)
        else:
            peer.wait_end()
            starts.append(bytes(peer.received[len(header):]))
    origin = stage.origin(script)
    guise = run(stage, origin, health={"kind": kind}, proxy_protocol=version)
    wait_word(guise, "up", origin.address)
    wait_for(lambda: len(starts) > (kind == "tcp"), "the header, and what follows")
    assert starts[0] == header and (kind == "http" or starts[1] == b"")


# what follows

def test_connect_timeout(stage):
    hole = stage.blackhole()
    guise = run(stage, hole)
    assert "connect timeout" in wait_word(guise, "down", hole.address)


def test_down_and_back(stage):
    """Checks take a server out and bring it back, within two intervals; requests never meet it meanwhile."""
    good, bad = Service(stage, "good"), Service(stage, "bad")
    guise = run(stage, good, bad)
    wait_word(guise, "up", bad.address)
    assert {get(stage, guise).body for _ in range(8)} == {b"good", b"bad"}
    bad.reply = response(500)
    start = mark(guise)
    wait_word(guise, "down", bad.address)
    served = bad.served
    assert {get(stage, guise).body for _ in range(20)} == {b"good"} and bad.served == served
    bad.wait_checks(1)
    bad.reply = OK
    back = time.monotonic()
    wait_word(guise, "up", bad.address, start)
    assert time.monotonic() - back < 2 * INTERVAL + 0.1 * slowness()
    assert {get(stage, guise).body for _ in range(8)} == {b"good", b"bad"}


def test_one_failed_check_is_not_enough(stage):
    service = Service(stage)
    guise = run(stage, service, health={"fall": 3})
    wait_word(guise, "up", service.address)
    for _ in range(3):
        service.reply = response(500)
        seen = len(service.checks)
        wait_for(lambda: len(service.checks) > seen, "a check")
        service.reply = OK
        service.wait_checks(1)
    assert not any("is down" in line for line in guise.stderr.lines)


def test_all_down(stage):
    """503 at once, with a reason and a time to come back; and by itself all is well again."""
    services = [Service(stage, name) for name in "ab"]
    guise = run(stage, *services)
    for service in services:
        service.reply = response(500)
    for service in services:
        wait_word(guise, "down", service.address)
    start = time.monotonic()
    got = get(stage, guise)
    assert time.monotonic() - start < INTERVAL
    assert got.status == 503 and "destination_unavailable" in got.fields.get("Proxy-Status")
    assert got.fields.get("Retry-After")
    assert sum(service.served for service in services) == 0
    before = mark(guise)
    for service in services:
        service.reply = OK
    for service in services:
        wait_word(guise, "up", service.address, before)
    assert get(stage, guise).status == 200


def test_request_that_waits_for_a_server_that_goes_down(stage):
    """Its answer has not begun: another server is asked at once, not after a timeout."""
    frozen, good = Service(stage, "frozen"), Service(stage, "good")
    guise = run(stage, {"address": frozen.address}, {"address": good.address, "backup": True}, retries=1)
    wait_word(guise, "up", frozen.address)
    frozen.origin.script = lambda peer: peer.wait_end()
    start = time.monotonic()
    got = get(stage, guise)
    assert got.status == 200 and got.body == b"good"
    assert time.monotonic() - start < 4 * INTERVAL + slowness()


@pytest.mark.parametrize("workers", [1, 4])
def test_once_for_the_process(stage, workers):
    """One check in each interval, whatever the number of workers, and never two at a time."""
    service = Service(stage)
    guise = run(stage, service, health={"jitter": 0}, top={"workers": workers})
    wait_word(guise, "up", service.address)
    service.wait_checks(8)
    gaps = [later - earlier for earlier, later in zip(service.times, service.times[1:])]
    assert sum(gaps) / len(gaps) >= INTERVAL * 0.95, gaps


def test_two_groups_check_for_themselves(stage):
    """The same address in two groups is two servers: each group asks its own question."""
    service = Service(stage)
    config = settings.reverse(service, upstream={"health": HEALTH})
    config["upstreams"]["other"] = {"servers": [service.address], "health": dict(HEALTH, status=["500"])}
    guise = stage.guise(config)
    guise.stderr.wait(lambda line: f"web: server {service.address} is up" in line, "web up")
    guise.stderr.wait(lambda line: f"other: server {service.address} is down: 200, not in status" in line, "other down")
    assert get(stage, guise).status == 200


def test_many_servers(stage):
    """More than are checked at a time, and all of them slow: each has its turn."""
    hole, service, files = stage.blackhole(host="0.0.0.0"), Service(stage), []
    addresses = [f"127.0.{i // 250}.{i % 250 + 1}:{hole.port}" for i in range(300)]
    guise = run(stage, *addresses, service, health={"kind": "tcp"})
    before = guise.open_files()
    wait_word(guise, "up", service.address)

    def all_down():
        files.append(guise.open_files())
        return sum("is down: connect timeout" in line for line in list(guise.stderr.lines)) == len(addresses)
    wait_for(all_down, "all of them to be down")
    assert get(stage, guise).body == b"a"

    def checked_at_once():
        files.append(guise.open_files())
        return max(files) - min(before, *files)
    wait_for(lambda: checked_at_once() > 100, "a moment in which many are checked")
    assert checked_at_once() < 128 + 20


@pytest.mark.parametrize("reply", [None, [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\no"]])
def test_stop_while_a_check_is_running(stage, reply):
    """Guise ends in good order, whatever the checks are doing (the fixture looks at its memory and its status)."""
    service, hole = Service(stage), stage.blackhole()
    service.reply = reply
    guise = run(stage, service, hole, health={"timeout": "30s"}, top={"workers": 2})
    service.wait_checks(1)
    guise.stop()
    assert guise.finished


def test_checks_go_on_while_exchanges_drain(stage):
    service = Service(stage)
    guise = run(stage, service, top={"timeouts": {"drain": "10s"}})
    wait_word(guise, "up", service.address)
    with socket.create_connection(guise.reverse) as client:
        client.sendall(b"POST /healthz2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        wait_for(lambda: any(head.method == "POST" for head in service.origin.heads), "the request at the server")
        guise.signal(signal.SIGTERM)
        guise.stderr.wait(lambda line: "draining" in line, "draining")
        service.wait_checks(2)
        client.sendall(b"x")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert guise.wait_exit() == 0


def test_server_that_is_killed(stage):
    """Nginx gone and back, on the same port."""
    nginx = stage.nginx("location /healthz { return 200 ready; } location / { return 200 nginx; }")
    service = Service(stage)
    guise = run(stage, nginx, service, health={"body": "ready"})
    service.reply = response(200, b"ready")
    wait_word(guise, "up", nginx.address)
    nginx.process.send_signal(signal.SIGSTOP)
    try:
        wait_word(guise, "down", nginx.address)
        assert {get(stage, guise).body for _ in range(8)} == {b"a"}
        start = mark(guise)
    finally:
        nginx.process.send_signal(signal.SIGCONT)
    wait_word(guise, "up", nginx.address, start)
    wait_for(lambda: get(stage, guise).body == b"nginx", "requests at nginx again")
    start = mark(guise)
    nginx.kill()
    assert "refused" in wait_word(guise, "down", nginx.address, start)


def test_nothing_is_checked_without_health(stage):
    service = Service(stage)
    guise = stage.guise(settings.reverse(service))
    assert get(stage, guise).status == 200
    assert stays_true(lambda: len(service.origin.peers) <= 1, 3 * INTERVAL)


def test_maintenance(stage):
    """A server in maintenance is left alone by checks as well; a server that drains is not."""
    service, other = Service(stage), Service(stage, "other")
    port = free_port()
    guise = run(stage, service, other, top={"admin": {"listen": f"127.0.0.1:{port}"}})
    wait_word(guise, "up", service.address)

    def order(state):
        body = json.dumps({"state": state}).encode()
        got = stage.client(("127.0.0.1", port)).ask(request(
            "POST", f"/upstreams/web/servers/{service.address}", [("Content-Type", "application/json")], body,
            host=f"127.0.0.1:{port}"))
        assert got.status == 200, got.body
    order("drain")
    service.wait_checks(2)
    order("maintenance")
    service.reply = response(500)
    wait_for(lambda: len(other.checks) > 0, "other checks")
    other.wait_checks(1)  # one that was under way has ended
    seen = len(service.checks)
    other.wait_checks(4)
    assert len(service.checks) == seen
    start = mark(guise)
    order("ready")
    wait_word(guise, "down", service.address, start)


def test_slow_start_after_a_failure(stage):
    """A server that comes back has a small share at first."""
    steady, fresh = Service(stage, "steady"), Service(stage, "fresh")
    guise = run(stage, steady, fresh, slow_start="60s")
    wait_word(guise, "up", fresh.address)
    wait_word(guise, "up", steady.address)
    fresh.reply = response(500)
    wait_word(guise, "down", fresh.address)
    start = mark(guise)
    fresh.reply = OK
    wait_word(guise, "up", fresh.address, start)
    bodies = [get(stage, guise).body for _ in range(60)]
    assert bodies.count(b"fresh") < 10


def test_unused_port_is_down_from_the_start(stage):
    dead = f"127.0.0.1:{free_port()}"
    service = Service(stage)
    guise = run(stage, dead, service)
    assert "refused" in wait_word(guise, "down", dead)
    assert {get(stage, guise).body for _ in range(8)} == {b"a"}
