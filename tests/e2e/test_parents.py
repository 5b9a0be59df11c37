"""Parent proxies: real ones of each kind, several in a row, fail-over, and who looks names up."""

import base64
import ssl
import subprocess

import pytest

from support import settings
from support.certificates import Authority
from support.origin import OK, answering, echoing_request
from support.parents import PASSWORD, USER, Dante, Microsocks, Squid, Tinyproxy
from support.process import run
from support.waiting import Stopwatch, wait_for

PUBLIC = "93.184.216.34"
NAMES = {"site.example": PUBLIC}
KINDS = [Squid, Tinyproxy, Dante, Microsocks]


class World:
    """An origin on every address, a name server that notes what it is asked, and Guise in front of parents."""

    def __init__(self, stage):
        self.stage = stage
        self.names = stage.names()
        self.origin = stage.origin(echoing_request, host="0.0.0.0")
        self.count = 0

    def parent(self, kind, **options):
        made = kind(self.stage.path(kind.__name__.lower()), NAMES, **options)
        self.stage.daemons.append(made)
        return made

    def guise(self, table, *proxy, rules=None, **more):
        rules = rules or [{"allow": {}, "proxy": list(proxy)}]
        self.process = self.stage.guise(settings.forward(*rules, resolver=self.names, parents=table, **more))
        return self.process

    def client(self, **options):
        return self.stage.client(self.process.forward, **options)

    def url(self, host="site.example", path="/x?y"):
        return f"http://{host}:{self.origin.port}{path}"

    def get(self, client=None, host="site.example", fields="", path="/x?y"):
        authority = f"{host}:{self.origin.port}"
        return (client or self.client()).ask(
            f"GET {self.url(host, path)} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n".encode())

    def tunnel(self, host="site.example", fields="", port=None):
        client = self.client()
        authority = f"{host}:{port or self.origin.port}"
        return client, client.ask(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n".encode(),
                                  method="CONNECT")

    def through(self, client, host="site.example"):
        """A request inside a tunnel."""
        return client.ask(f"GET /inside HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    @property
    def said(self):
        """The error log."""
        return self.process.stderr.text

    def last_server(self, count):
        """By which way the request went that was the so-manyth."""
        wait_for(lambda: len(self.process.log_entries()) >= count, f"{count} lines in the access log")
        return self.process.log_entries()[count - 1]["server"]

    def server(self):
        """By which way a request goes; it has to be served."""
        self.count += 1
        client = self.client()
        assert self.get(client, path=f"/{self.count}").status == 200
        client.close()
        return self.process.wait_log(lambda entry: entry["target"].endswith(f"/{self.count}"))["server"]


@pytest.fixture
def world(stage):
    return World(stage)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(world, kind):
    parent = world.parent(kind)
    world.guise({"up": [parent.url()]}, "up")
    assert world.get().status == 200
    client, answer = world.tunnel()
    assert answer.status == 200
    assert world.through(client).body.startswith(b"GET /inside HTTP/1.1")
    client.close()
    assert world.names.queries == []
    for count in (1, 2):
        assert world.last_server(count) == f"via up (127.0.0.1:{parent.port})"


@pytest.mark.parametrize("kind", [Squid, Tinyproxy, Microsocks])
@pytest.mark.parametrize("where", ["keys", "url", "file"])
def test_credentials(world, kind, where):
    parent = world.parent(kind, login=True)
    if where == "url":
        entry = {"servers": [parent.url(USER, PASSWORD)]}
    elif where == "keys":
        entry = {"servers": [parent.url()], "user": USER, "password": PASSWORD}
    else:
        secret = world.stage.path("secret")
        secret.write_text(PASSWORD + "\n")
        entry = {"servers": [parent.url()], "user": USER, "password": f"file:{secret}"}
    world.guise({"up": entry}, "up")
    got = world.get()
    assert got.status == 200
    assert b"roxy-" not in got.body, "an origin sees nothing of our credentials"
    client, answer = world.tunnel()
    assert answer.status == 200
    assert b"roxy-" not in world.through(client).body


@pytest.mark.parametrize("kind", [Squid, Tinyproxy, Microsocks])
def test_wrong_credentials(world, kind):
    parent = world.parent(kind, login=True)
    world.guise({"up": {"servers": [parent.url()], "user": USER, "password": "wr0ng-one"}}, "up")
    _, answer = world.tunnel()
    assert answer.status == 502
    got = world.get(fields="Proxy-Authorization: Basic Y2xpZW50OnB3\r\n")
    # Tinyproxy says 401, which could be an origin's.
    assert got.status == (401 if kind is Tinyproxy else 502)
    assert not got.fields.has("Proxy-Authenticate"), "a client is not asked for what is between us and the parent"
    assert world.origin.requests == []
    world.last_server(2)
    assert "wr0ng" not in world.said and "wr0ng" not in world.process.stdout.text


def test_plain_requests_go_in_absolute_form(world, stage):
    seen = stage.origin(answering(OK))
    world.guise({"up": {"servers": [f"http://{seen.address}"], "user": "a", "password": "b"}}, "up")
    client = world.client()
    for host in ("site.example", "other.example"):
        assert world.get(client, host, fields="Proxy-Authorization: Basic eDp5\r\n").status == 200
    assert [request.target for request in seen.requests] == [world.url(), world.url("other.example")]
    for request in seen.requests:
        assert request.fields.all("Proxy-Authorization") == ["Basic YTpi"]
    assert len(seen.peers) == 1, "one connection for both: it is the parent's"
    another = world.stage.client(world.process.forward, source="127.0.0.9")
    assert world.get(another).status == 200
    assert len(seen.peers) == 2, "and not another client's"


def test_each_parent_has_connections_of_its_own(stage, world):
    first, second = stage.origin(answering(OK)), stage.origin(answering(OK))
    world.guise({"a": f"http://{first.address}", "b": f"http://{second.address}"}, rules=[
        {"allow": {"domains": ["a.example"]}, "proxy": "a"}, {"allow": {}, "proxy": "b"}])
    client = world.client()
    for host in ("a.example", "b.example", "a.example", "b.example"):
        assert world.get(client, host).status == 200
    assert (len(first.peers), len(second.peers)) == (1, 1)
    assert (len(first.requests), len(second.requests)) == (2, 2)


def test_each_user_has_connections_of_their_own(world):
    """From the same address, and on the same connection of a client; directly, and through a parent of either kind."""
    users = world.stage.path("users")
    hashed = subprocess.run(["openssl", "passwd", "-6", "-salt", "abcdefgh", "pw"], check=True, timeout=10,
                            stdout=subprocess.PIPE).stdout.decode().strip()
    users.write_text("".join(f"{name}:{hashed}\n" for name in ("ann", "bob")))
    asked, hop = world.stage.origin(answering(OK)), Hop(world)
    world.names.set("direct.example", v4=[PUBLIC])
    world.guise({"up": f"http://{asked.address}", "row": f"socks5://{hop.address}"}, rules=[
        {"allow": {"domains": ["up.example"]}, "proxy": "up"},
        {"allow": {"domains": ["site.example"]}, "proxy": "row"}, {"allow": {}}], listener={"users": str(users)})
    client = world.client()
    for _ in range(2):
        for name in ("ann", "bob"):
            login = base64.b64encode(f"{name}:pw".encode()).decode()
            for host in ("up.example", "direct.example", "site.example"):
                got = world.get(client, host, fields=f"Proxy-Authorization: Basic {login}\r\n")
                assert got.status == 200 and b"roxy-" not in got.body
    assert len(asked.requests) == 4 and len(asked.peers) == 2
    assert len(world.origin.requests) == 8 and len(world.origin.peers) == 4


class Hop:
    """Another Guise that serves as a parent, with a name server of its own."""

    def __init__(self, world, names=True, leaf=None, proxy=None, table=None):
        self.names = world.stage.names()
        if names:
            self.names.set("site.example", v4=[PUBLIC])
            self.names.set("other.example", v4=[PUBLIC])
        listener = {"tls": {"certificates": [leaf.item]}} if leaf else {}
        rules = [{"allow": {"addresses": ["127.0.0.0/8"]}}, {"allow": {}}]
        if proxy:
            rules = [{"allow": {}, "proxy": proxy}]
        self.config = settings.forward(*rules, resolver=self.names, listener=listener, **({"parents": table} if table else {}),
                                       log={"access": str(world.stage.path("hop.log"))})
        self.process = world.stage.guise(self.config)
        self.address = "%s:%d" % tuple(self.process.forward)


@pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5"])
def test_another_guise(world, scheme):
    hop = Hop(world)
    world.guise({"up": f"{scheme}://{hop.address}"}, "up")
    assert world.get().status == 200
    client, answer = world.tunnel()
    assert answer.status == 200 and world.through(client).status == 200
    assert world.names.queries == [], "the name is looked up by the last hop alone"
    assert hop.names.count("site.example") > 0


@pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5"])
def test_literal_targets_are_judged_here(world, scheme):
    hop = Hop(world)
    world.guise({"up": f"{scheme}://{hop.address}"}, "up")
    _, answer = world.tunnel("10.1.2.3")
    assert answer.status == 403
    assert world.get(host="[::ffff:127.0.0.1]").status == 403
    assert world.get(host=PUBLIC).status == 200


def test_https_parent(world, tmp_path):
    authority = Authority(tmp_path)
    hop = Hop(world, leaf=authority.leaf("proxy.test"))
    world.names.set("proxy.test", v4=["127.0.0.1"])
    port = hop.process.forward[1]
    world.guise({"up": {"servers": [f"https://proxy.test:{port}"], "tls": {"ca": authority.file}}}, "up")
    assert world.get().status == 200
    client, answer = world.tunnel()
    assert answer.status == 200 and world.through(client).status == 200
    assert {name for name, _, _ in world.names.queries} == {"proxy.test"}


@pytest.mark.parametrize("fault", ["authority", "name"])
def test_https_parent_has_to_prove_who_it_is(world, tmp_path, fault):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    authority, other = Authority(tmp_path / "1"), Authority(tmp_path / "2")
    hop = Hop(world, leaf=(other if fault == "authority" else authority).leaf("proxy.test" if fault == "authority" else "x.test"))
    world.names.set("proxy.test", v4=["127.0.0.1"])
    port = hop.process.forward[1]
    world.guise({"up": {"servers": [f"https://proxy.test:{port}"], "user": "u", "password": "p",
                        "tls": {"ca": authority.file}}}, "up")
    assert world.get().status == 502
    _, answer = world.tunnel()
    assert answer.status == 502
    assert world.origin.requests == []


@pytest.mark.parametrize("last", [Squid, Dante])
def test_two_in_a_row(world, last):
    first, second = world.parent(Microsocks, login=True), world.parent(last)
    world.guise({"first": {"servers": [first.url(USER, PASSWORD)]},
                 "second": {"servers": [second.url()], "via": "first"}}, "second")
    assert world.get().status == 200
    client, answer = world.tunnel()
    assert answer.status == 200 and world.through(client).status == 200
    assert world.names.queries == []


def test_three_in_a_row(world):
    first, second, third = world.parent(Tinyproxy), world.parent(Dante), Hop(world)
    world.guise({"first": first.url(),
                 "second": {"servers": [second.url()], "via": "first"},
                 "third": {"servers": [f"socks4a://{third.address}"], "via": "second"}}, "third")
    assert world.get().status == 200
    client, answer = world.tunnel()
    assert answer.status == 200 and world.through(client).status == 200
    assert world.names.queries == [] and third.names.count("site.example") > 0


def test_fail_over_and_back(world):
    first, second = world.parent(Tinyproxy), world.parent(Microsocks)
    world.guise({"a": first.url(), "b": second.url()}, "a", "b")
    assert world.server() == f"via a (127.0.0.1:{first.port})"
    first.kill()
    for _ in range(3):
        assert world.server() == f"via b (127.0.0.1:{second.port})"
    assert f"parent a: server http://127.0.0.1:{first.port} is set aside for 1 s" in world.said
    again = world.parent(Tinyproxy, port=first.port)
    wait_for(lambda: world.server() == f"via a (127.0.0.1:{again.port})", "the first one is used again", 15)
    assert "is used again" in world.said


def test_servers_of_one_parent_are_alternatives(world):
    first, second = world.parent(Microsocks), world.parent(Microsocks)
    world.guise({"up": [first.url(), second.url()]}, "up")
    assert world.get().status == 200
    first.kill()
    for _ in range(3):
        _, answer = world.tunnel()
        assert answer.status == 200
    second.kill()
    _, answer = world.tunnel()
    assert answer.status == 502
    assert world.get(world.client()).status == 502


@pytest.mark.seconds(40)
@pytest.mark.parametrize("kind", [Tinyproxy, Microsocks])
def test_frozen(world, kind):
    first, second = world.parent(kind), world.parent(Dante)
    world.guise({"a": first.url(), "b": second.url()}, "a", "b", timeouts={"connect": "500ms"})
    first.freeze()
    clock = Stopwatch()
    for _ in range(6):
        _, answer = world.tunnel()
        assert answer.status == 200
    assert clock.seconds < 6, "it is asked three times in vain at the most"
    wait_for(lambda: "is set aside" in world.said, "it is set aside")
    first.thaw()

    def back():
        client, answer = world.tunnel()
        assert answer.status == 200
        client.close()
        return "is used again" in world.said
    wait_for(back, "it is used again", timeout=20)


def test_direct_as_a_choice(world):
    parent = world.parent(Tinyproxy)
    world.names.set("site.example", v4=[PUBLIC])
    world.guise({"a": parent.url()}, "a", "direct")
    assert world.get().status == 200
    assert world.names.queries == []
    parent.kill()
    assert world.server() == f"{PUBLIC}:{world.origin.port}"
    assert world.names.count("site.example") > 0


def test_direct_first(world):
    """An address that rules or guard refuse is not gone around by a parent."""
    hop = Hop(world)
    world.names.set("inside.example", v4=["10.1.2.3"])
    world.guise({"a": f"http://{hop.address}"}, "direct", "a")
    assert world.get(host="inside.example").status == 403
    assert world.get(host="other.example").status == 200, "one that has no address here may have one there"
    assert hop.names.count("inside.example") == 0 and hop.names.count("other.example") > 0


@pytest.mark.parametrize("scheme", ["socks5", "socks4a", "http"])
def test_the_origin_is_to_blame(world, scheme):
    """A parent that says that the origin refused is well, and nobody else is asked."""
    hop, other = Hop(world), Hop(world)
    world.guise({"a": f"{scheme}://{hop.address}", "b": f"http://{other.address}"}, "a", "b")
    for _ in range(5):
        _, answer = world.tunnel(port=1)
        assert answer.status == 502
    asked = other.names.count("site.example")
    if scheme != "socks4a":  # which has no words for it
        assert asked == 0
        assert "set aside" not in world.said
    _, answer = world.tunnel()
    assert answer.status == 200


def test_what_a_parent_forbids(world):
    """Nobody else is asked: going around it would break its rules."""
    hop, other = Hop(world), Hop(world)
    world.guise({"a": f"http://{hop.address}", "b": f"http://{other.address}"}, "a", "b")
    hop.names.set("inside.example", v4=["10.1.2.3"])
    other.names.set("inside.example", v4=[PUBLIC])
    _, answer = world.tunnel("inside.example")
    assert answer.status == 403
    assert other.names.count("inside.example") == 0


def test_rules_by_address_are_decided_here(world):
    """The name has to be looked up for the rule, and it is the judged address that the parent gets."""
    seen = world.stage.origin(answering(OK))
    world.names.set("site.example", v4=[PUBLIC])
    world.names.set("else.example", v4=["93.184.216.35"])
    world.guise({"a": f"http://{seen.address}"}, rules=[
        {"allow": {"addresses": [PUBLIC]}, "proxy": "a"}, {"allow": {}}])
    client, answer = world.tunnel("else.example")
    assert answer.status == 200
    world.client().send(f"CONNECT site.example:{world.origin.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wait_for(lambda: seen.requests, "the parent is asked")
    assert seen.requests[0].target == f"{PUBLIC}:{world.origin.port}"


def test_what_was_looked_up_is_not_asked_for_by_name(world):
    """A plain request whose rule goes by address: a tunnel to that address, in which an origin sees no credentials of ours."""
    parent = world.parent(Squid, login=True)
    world.names.set("site.example", v4=["93.184.216.77"])
    world.guise({"a": parent.url(USER, PASSWORD)}, rules=[{"allow": {"addresses": ["93.184.216.77"]}, "proxy": "a"}, {"deny": {}}])
    client = world.client()
    for _ in range(2):
        got = world.get(client)
        assert got.status == 200 and got.body.startswith(b"GET /x?y HTTP/1.1")
        assert b"roxy-" not in got.body
    assert {peer.local[0] for peer in world.origin.peers} == {"93.184.216.77"}


def test_the_server_speaks_first(world):
    """What comes with the parent's answer belongs to the tunnel."""
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 fine\r\nContent-Length: 5\r\n\r\nSSH-2.0-x\r\n")
        peer.read_some()
    seen = world.stage.origin(script)
    world.guise({"a": f"http://{seen.address}"}, "a")
    client = world.client()
    client.send(b"CONNECT a.example:22 HTTP/1.1\r\nHost: a.example:22\r\n\r\n")
    wait_for(lambda: seen.requests, "the parent is asked")
    assert client.read_response("CONNECT").status == 200
    assert client.read_exact(11) == b"SSH-2.0-x\r\n"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 204 No\r\nX: 1\n\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 301 x\r\nLocation: /\r\n\r\n", b"\x05\x00" * 20,
    b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 20000 + b"\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
    b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"])
def test_answers_that_make_no_sense(world, answer):
    def script(peer):
        peer.read_request()
        peer.send(answer)
        peer.read_some()
    seen = world.stage.origin(script)
    world.guise({"a": f"http://{seen.address}"}, "a")
    _, got = world.tunnel()
    assert got.status == 502


def test_checks(world):
    first, second = world.parent(Microsocks), world.parent(Tinyproxy)
    target = f"{PUBLIC}:{world.origin.port}"
    world.guise({"a": {"servers": [first.url()], "health": {"interval": "100ms", "timeout": "300ms"}},
                 "b": {"servers": [second.url()], "health": {"interval": "100ms", "timeout": "1s", "target": target}}}, "a", "b")
    wait_for(lambda: world.said.count("is up") >= 2, "both are up")
    first.freeze()
    wait_for(lambda: f"parent a: server socks5://127.0.0.1:{first.port} is down" in world.said, "it is down")
    clock = Stopwatch()
    assert world.server() == f"via b (127.0.0.1:{second.port})"
    assert clock.seconds < 2
    first.thaw()
    wait_for(lambda: world.server().startswith("via a "), "the first one is used again", 10)


@pytest.mark.parametrize("table, proxy, words", [
    ({"a": {"servers": "http://x", "via": "b"}, "b": {"servers": "http://y", "via": "a"}}, "a", "would be reached through itself"),
    ({"a": {"servers": "http://x", "via": "tro"}, "tor": "socks5://y"}, "a", 'there is no parent "tro", did you mean "tor"?'),
    ({"a": "https://x", "b": {"servers": "https://y", "via": "a"}}, "b", "would go within TLS to parent"),
    ({"a": "socks5://user:hush-hush@x:0"}, "a", "a port is a number from 1 to 65535"),
    ({"a": "socks5://user:hush%2@x"}, "a", "two hexadecimal digits"),
    ({"a": {"servers": "socks4a://x", "user": "u", "password": "hush-hush"}}, "a", "socks4a knows no password"),
    ({"a": {"servers": "http://x", "password": "hush-hush"}}, "a", '"password" needs "user"'),
    ({"direct": "http://x"}, "direct", "what rules call no parent at all"),
    ({"a": "http://x"}, "b", "there is no parent proxy"),
    ({"a": []}, "a", "has no server")])
def test_mistakes_are_told(stage, table, proxy, words):
    """With their place, and without what is secret."""
    path = settings.write(stage.path("guise.yaml"), settings.forward({"allow": {}, "proxy": proxy}, parents=table))
    status, out, err = run("check", "-c", str(path))
    assert status != 0
    assert words in err and ".yaml:" in err
    assert "hush" not in out + err


def test_explain_shows_the_row(stage):
    table = {"tor": "socks5://127.0.0.1:9050",
             "office": {"servers": ["http://a.proxy:3128", "http://u:hush@b.proxy"], "via": "tor", "user": "x", "password": "hush"}}
    path = settings.write(stage.path("guise.yaml"), settings.forward({"allow": {}, "proxy": ["office", "direct"]}, parents=table))
    status, out, err = run("explain", "-c", str(path), "http://a.example/")
    assert status == 0
    assert "through office (http://a.proxy:3128, http://b.proxy:3128) via tor (socks5://127.0.0.1:9050)" in out
    assert "then direct" in out
    assert "hush" not in out + err


# ---- https targets ----


def secured(leaf, script):
    """A script over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)

    def start(peer):
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        script(peer)
    return start


@pytest.fixture
def secure(world, tmp_path):
    """An origin that speaks TLS."""
    authority = Authority(tmp_path)
    world.origin = world.stage.origin(secured(authority.leaf("site.example"), echoing_request), host="0.0.0.0")
    world.authority = authority
    return world


def ask_https(world, client=None, host="site.example"):
    authority = f"{host}:{world.origin.port}"
    return (client or world.client()).ask(f"GET https://{authority}/s HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())


def test_https_target(secure):
    secure.names.set("site.example", v4=[PUBLIC])
    secure.guise({}, rules=[{"allow": {}}], listener={"trust": secure.authority.file})
    client = secure.client()
    for _ in range(3):
        got = ask_https(secure, client)
        assert got.status == 200 and got.body.startswith(b"GET /s HTTP/1.1")
    assert len(secure.origin.peers) == 1


def test_https_target_has_to_prove_who_it_is(secure):
    secure.names.set("other.example", v4=[PUBLIC])
    secure.guise({}, rules=[{"allow": {}}], listener={"trust": secure.authority.file})
    assert ask_https(secure, host="other.example").status == 502
    assert secure.origin.requests == []


def test_https_target_by_the_systems_store(secure):
    secure.names.set("site.example", v4=[PUBLIC])
    secure.guise({}, rules=[{"allow": {}}])
    assert ask_https(secure).status == 502


def test_https_target_through_an_https_parent(secure, tmp_path):
    """TLS within TLS is not spoken: the next choice, or the reason."""
    hop = Hop(secure, leaf=secure.authority.leaf("proxy.test"))
    secure.names.set("proxy.test", v4=["127.0.0.1"])
    secure.names.set("site.example", v4=[PUBLIC])
    table = {"a": {"servers": [f"https://proxy.test:{hop.process.forward[1]}"], "tls": {"ca": secure.authority.file}}}
    secure.guise(table, rules=[{"allow": {"domains": ["site.example"]}, "proxy": ["a", "direct"]}, {"allow": {}, "proxy": "a"}],
                 listener={"trust": secure.authority.file})
    assert ask_https(secure).status == 200
    got = ask_https(secure, host="other.example")
    assert got.status == 502 and b"TLS" in got.body


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_https_target_through_a_parent(secure, scheme):
    hop = Hop(secure)
    secure.guise({"a": f"{scheme}://{hop.address}"}, "a", listener={"trust": secure.authority.file})
    client = secure.client()
    for _ in range(2):
        assert ask_https(secure, client).status == 200
    assert secure.names.queries == []
    assert len(secure.origin.peers) == 1
