"""A client that is let out to named hosts, with secrets that it never holds: who is given one, over what, who sees it; and what the log says afterwards."""

import os
import ssl

import pytest

from support import association, settings
from support.certificates import Authority
from support.client import open_socket
from support.origin import echoing_request, response
from support.process import run
from support.waiting import wait_for

API, ELSEWHERE, PLAIN = "93.184.216.34", "93.184.216.35", "93.184.216.36"
TOKEN = "tok-4f9a61c0d7e2"


def secured(leaf, script):
    """A script behind TLS; who does not shake hands is no request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)

    def wrapped(peer):
        try:
            peer.sock = context.wrap_socket(peer.sock, server_side=True)
        except (ssl.SSLError, OSError):
            return
        script(peer)
    return wrapped


class World:
    """An API over TLS and in clear, another host on the same port, a CA, names; and Guise that lets an agent out to some of it."""

    def __init__(self, stage):
        self.stage = stage
        self.authority = Authority(stage.directory)
        self.names = stage.names()
        for name, address in (("api.example", API), ("elsewhere.example", ELSEWHERE), ("plain.example", PLAIN),
                              ("alias.example", API), ("api.example.evil.example", ELSEWHERE)):
            self.names.set(name, v4=[address])
        leaf = self.authority.leaf("api.example", "elsewhere.example", "alias.example", "api.example.evil.example")
        self.api = stage.origin(secured(leaf, echoing_request), host=API, port=443)
        self.api_clear = stage.origin(echoing_request, host=API, port=80)
        self.elsewhere = stage.origin(secured(leaf, echoing_request), host=ELSEWHERE, port=443)
        self.elsewhere_clear = stage.origin(echoing_request, host=ELSEWHERE, port=80)
        self.plain = stage.origin(echoing_request, host=PLAIN, port=80)
        self.token = stage.path("token")
        self.write(TOKEN)

    def write(self, text):
        fresh = f"{self.token}.new"
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.replace(fresh, self.token)

    def config(self, secret=None, rules=None, **top):
        secrets = {"api": dict({"hosts": ["api.example"], "value": f"file:{self.token}", "prefix": "Bearer "},
                               **(secret or {}))}
        rules = rules or [{"name": "agent", "allow": {"domains": [".example"]}, "secrets": ["api"]}]
        listener = {"trust": self.authority.file}
        return settings.forward(*rules, resolver=self.names, secrets=secrets, listener=listener, **top)

    def guise(self, *arguments, **options):
        return self.stage.guise(self.config(*arguments, **options))

    def ask(self, guise, url, method="GET", fields=()):
        client = self.stage.client(guise.forward)
        host = url.split("/")[2]
        lines = [f"{method} {url} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields)]
        client.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        return client.read_response(method)


@pytest.fixture
def world(stage):
    return World(stage)


def seen(origin):
    """Of the last request that an origin got: its fields, as text."""
    return "\n".join(f"{name}: {value}" for name, value in origin.requests[-1].fields)


# who is given it

def test_a_named_host_over_tls_gets_it(world):
    guise = world.guise()
    assert world.ask(guise, "https://api.example/v1").status == 200
    assert f"Authorization: Bearer {TOKEN}" in seen(world.api)


@pytest.mark.parametrize("url, origin", [
    ("https://elsewhere.example/", "elsewhere"),
    ("https://alias.example/", "api"),  # the same server by another name
    ("https://api.example.evil.example/", "elsewhere"),
    ("http://plain.example/", "plain"),
    ("http://elsewhere.example/", "elsewhere_clear"),
])
def test_nobody_else_does(world, url, origin):
    guise = world.guise()
    world.ask(guise, url)
    assert getattr(world, origin).requests
    assert TOKEN not in seen(getattr(world, origin))


def test_another_port_of_the_host_does_not(world):
    leaf = world.authority.leaf("api.example")
    other = world.stage.origin(secured(leaf, echoing_request), host=API)
    guise = world.guise()
    assert world.ask(guise, f"https://api.example:{other.port}/").status == 200
    assert TOKEN not in seen(other)
    named = world.guise(secret={"hosts": [f"api.example:{other.port}"]})
    assert world.ask(named, f"https://api.example:{other.port}/").status == 200
    assert TOKEN in seen(other)
    world.ask(named, "https://api.example/")
    assert TOKEN not in seen(world.api)


def test_host_field_and_target_that_differ(world):
    """The target counts (RFC 9112 3.2.2), and it alone goes out."""
    guise = world.guise()
    client = world.stage.client(guise.forward)
    client.send(b"GET https://elsewhere.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n")
    status = client.read_response().status
    assert status in (200, 400)
    assert not world.elsewhere.requests or TOKEN not in seen(world.elsewhere)
    assert not world.api.requests


def test_not_in_clear(world):
    guise = world.guise()
    assert world.ask(guise, "http://api.example/").status == 200
    assert TOKEN not in seen(world.api_clear)


def test_in_clear_where_that_is_said(world):
    guise = world.guise(secret={"clear": True})
    world.ask(guise, "http://api.example/")
    assert f"Authorization: Bearer {TOKEN}" in seen(world.api_clear)


@pytest.mark.parametrize("url", ["http://api.example/v1", "http://api.example:80/v1", "http://API.example./v1"])
def test_asked_for_in_clear_it_leaves_over_tls(world, url):
    guise = world.guise(secret={"tls": True})
    got = world.ask(guise, url)
    assert got.status == 200, got.body
    assert f"Authorization: Bearer {TOKEN}" in seen(world.api)
    assert not world.api_clear.peers
    assert world.api.requests[-1].target == "/v1"
    assert world.api.requests[-1].fields.get("host").lower().rstrip(".") == "api.example"
    # Other hosts stay as they are.
    world.ask(guise, "http://plain.example/")
    assert TOKEN not in seen(world.plain)


def test_the_rules_are_asked_about_what_leaves(world):
    rules = [{"name": "clear-only", "allow": {"domains": ["api.example"], "ports": [80]}, "secrets": ["api"]},
             {"name": "no-more", "deny": {}}]
    guise = world.guise(secret={"tls": True}, rules=rules)
    assert world.ask(guise, "http://api.example/").status == 403
    assert not world.api.peers and not world.api_clear.peers


def test_known_too_late_for_tls_it_does_not_leave_in_clear(world):
    """Its rule is known only with the address, by a connection that has to be made as well as by one that is there already."""
    rules = [{"deny": {"methods": ["POST"], "addresses": [ELSEWHERE]}},
             {"allow": {"domains": ["api.example"], "methods": ["POST"]}, "secrets": ["api"]}, {"allow": {}}]
    guise = world.guise(secret={"tls": True}, rules=rules)
    client = world.stage.client(guise.forward)

    def ask(method):
        return client.ask(f"{method} http://api.example/ HTTP/1.1\r\nHost: api.example\r\nContent-Length: 0\r\n\r\n")
    answers = [ask(method) for method in ("POST", "GET", "POST", "GET")]
    assert [answer.status for answer in answers] == [403, 200, 403, 200]
    assert b"over TLS alone" in answers[0].body
    assert [request.method for request in world.api_clear.requests] == ["GET", "GET"]


def test_only_by_a_rule_that_names_it(world):
    rules = [{"name": "with", "allow": {"domains": ["api.example"], "methods": ["POST"]}, "secrets": ["api"]},
             {"name": "without", "allow": {"domains": ["api.example"]}}]
    guise = world.guise(rules=rules)
    world.ask(guise, "https://api.example/")
    assert TOKEN not in seen(world.api)
    world.ask(guise, "https://api.example/", "POST", [("Content-Length", "0")])
    assert TOKEN in seen(world.api)


def test_an_origin_without_a_good_certificate_gets_nothing(world):
    stranger = Authority(world.stage.directory, "Stranger")
    leaf = stranger.leaf("api.example")
    world.names.set("api.example", v4=["93.184.216.40"])
    impostor = world.stage.origin(secured(leaf, echoing_request), host="93.184.216.40", port=443)
    got = world.ask(world.guise(secret={"tls": True}), "http://api.example/")
    assert got.status == 502
    assert not impostor.requests


# what the client sends, and what it sees

@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_what_the_client_sends_in_that_field_is_dropped(world, name):
    guise = world.guise()
    world.ask(guise, "https://api.example/", fields=[(name, "Bearer mine"), (name, "Basic eDp5"), ("X-Other", "stays")])
    text = seen(world.api)
    assert "mine" not in text and "eDp5" not in text and text.lower().count("authorization:") == 1
    assert "X-Other: stays" in text
    # To whom no secret is given, the client's own goes.
    world.ask(guise, "https://elsewhere.example/", fields=[(name, "Bearer mine")])
    assert "Bearer mine" in seen(world.elsewhere)


def test_other_spellings_of_the_field_are_dropped(world):
    guise = world.guise(secret={"field": "X-Api-Key", "prefix": ""})
    world.ask(guise, "https://api.example/", fields=[("X_Api_Key", "mine"), ("x-api_key", "mine"), ("X-Api-Keys", "stays")])
    text = seen(world.api)
    assert "mine" not in text and f"X-Api-Key: {TOKEN}" in text and "X-Api-Keys: stays" in text


def test_it_is_not_shown_by_trace(world):
    guise = world.guise()
    assert world.ask(guise, "https://api.example/", "TRACE").status == 405
    assert not world.api.requests
    assert TOKEN not in world.ask(guise, "https://api.example/", "TRACE", [("Max-Forwards", "0")]).body.decode()


def test_answers_that_have_it_in_a_field_lose_that(stage):
    world = World(stage)
    fields = [("X-Echo", f"you sent Bearer {TOKEN}"), ("Location", f"https://x.example/?t={TOKEN}"), ("X-Fine", "yes")]

    def script(peer):
        while peer.read_request() is not None:
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </" + TOKEN.encode() + b">\r\n\r\n")
            peer.send(response(302, b"", fields=fields))
    leaf = world.authority.leaf("echo.example")
    stage.origin(secured(leaf, script), host="93.184.216.41", port=443)
    world.names.set("echo.example", v4=["93.184.216.41"])
    guise = world.guise(secret={"hosts": ["echo.example"]})
    client = stage.client(guise.forward)
    client.send(b"GET https://echo.example/ HTTP/1.1\r\nHost: echo.example\r\n\r\n")
    text = b""
    while b"X-Fine" not in text or not text.endswith(b"\r\n\r\n"):
        text += client.read_until(b"\r\n\r\n")
    assert TOKEN.encode() not in text and b" 302 " in text


def test_a_redirect_elsewhere_does_not_take_it_along(world):
    """Each request is judged anew: the client follows, and asks another host."""
    guise = world.guise()
    client = world.stage.client(guise.forward)
    for host in ("api.example", "elsewhere.example", "api.example"):
        client.send(f"GET https://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert client.read_response().status == 200
    assert TOKEN in seen(world.api) and TOKEN not in seen(world.elsewhere)


def test_a_tunnel_is_the_clients_own(world):
    guise = world.guise()
    client = world.stage.client(guise.forward)
    client.send(b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n")
    assert client.read_response("CONNECT").status == 200
    context = ssl.create_default_context(cafile=world.authority.file)
    client.sock = context.wrap_socket(client.sock, server_hostname="api.example")
    client.send(b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")
    assert TOKEN.encode() not in client.read_response().body
    assert TOKEN not in seen(world.api)


# the value

def test_a_changed_file_counts_without_a_restart(world):
    guise = world.guise()
    world.ask(guise, "https://api.example/")
    assert TOKEN in seen(world.api)
    world.write("tok-new")

    def is_new():
        world.ask(guise, "https://api.example/")
        return "Bearer tok-new" in seen(world.api)
    wait_for(is_new, "the new value")
    world.write("two\nlines")
    guise.stderr.wait(lambda line: "more than one line" in line, "a complaint")
    assert is_new()
    os.unlink(world.token)
    guise.stderr.wait(lambda line: "is not there" in line, "a complaint")
    assert is_new()


@pytest.mark.parametrize("secret, words", [
    ({"value": "file:/nonexistent/token"}, "No such file"),
    ({"value": ""}, "it is empty"),
    ({"value": "a\nb"}, "more than one line"),
    ({"hosts": ["*.example"]}, "without patterns"),
    ({"hosts": ["user@api.example"]}, "expected a name"),
    ({"field": "Host"}, "cannot carry a secret"),
    ({"field": "a b"}, "name of a field"),
    ({"prefix": "x\r\n"}, "control bytes"),
])
def test_mistakes_are_told(stage, world, secret, words):
    path = settings.write(stage.path("guise.yaml"), world.config(secret=secret))
    status, output, errors = run("check", "-c", str(path))
    assert status != 0 and words in errors, errors
    assert TOKEN not in output + errors


def test_a_rule_that_names_none(stage, world):
    rules = [{"allow": {}, "secrets": ["apy"]}]
    path = settings.write(stage.path("guise.yaml"), world.config(rules=rules))
    status, _, errors = run("check", "-c", str(path))
    assert status != 0 and "apy" in errors and "api" in errors, errors


# what is written down

def test_it_is_in_no_log(world):
    guise = world.guise(log={"level": "debug"})
    world.ask(guise, "https://api.example/")
    world.ask(guise, "https://api.example/", "TRACE")
    guise.wait_log(lambda entry: entry["method"] == "TRACE")
    assert TOKEN not in guise.stdout.text + guise.stderr.text


def test_audit_lines(world):
    rules = [{"name": "no-post", "deny": {"methods": ["POST"], "domains": ["elsewhere.example"]}},
             {"name": "agent", "allow": {"domains": [".example"]}, "secrets": ["api"]}]
    guise = world.guise(rules=rules)

    def entry(url, *more):
        got = world.ask(guise, url, *more)
        line = guise.wait_log(lambda entry: entry["status"] == got.status, start=entry.start)
        entry.start = len(guise.stdout.lines)
        return got, line
    entry.start = 0

    got, line = entry("https://api.example/v1?key=1")
    assert (line["verdict"], line["rule"], line["secrets"]) == ("allow", "agent", ["api"])
    assert (line["host"], line["target"], line["method"]) == ("api.example", "https://api.example/v1?*", "GET")
    assert line["in"] == 0 and line["out"] == len(got.body)
    got, line = entry("https://elsewhere.example/", "POST", [("Content-Length", "0")])
    assert (got.status, line["verdict"], line["rule"]) == (403, "deny", "no-post")
    assert "secrets" not in line and "server" not in line
    got, line = entry("http://192.168.1.1/")
    assert (got.status, line["verdict"], line["rule"]) == (403, "deny", "default")
    got, line = entry("http://nowhere.example/")
    assert (got.status, line["verdict"]) == (502, "allow")
    client = world.stage.client(guise.forward)
    client.send(b"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n")
    client.read_response()
    line = guise.wait_log(lambda entry: entry["status"] == 400)
    assert line["verdict"] == "none" and "rule" not in line


def test_audit_lines_of_tunnels_count_both_ways(world):
    guise = world.guise()
    client = world.stage.client(guise.forward)
    client.send(b"CONNECT plain.example:80 HTTP/1.1\r\nHost: plain.example:80\r\n\r\n")
    assert client.read_response("CONNECT").status == 200
    request = b"GET /x HTTP/1.1\r\nHost: plain.example\r\nConnection: close\r\n\r\n"
    client.send(request)
    client.read_response()
    client.close()
    line = guise.wait_log(lambda entry: entry["method"] == "CONNECT")
    assert line["verdict"] == "allow" and line["rule"] == "agent"
    assert line["in"] == len(request) and line["out"] > 20


def test_failed_logins_leave_a_line(world):
    """By HTTP and by SOCKS; the password, and the name that proved nothing, stand nowhere."""
    users = world.stage.path("users")
    users.write_text("ann:$6$abcdefgh$" + "x" * 86 + "\n", encoding="ascii")
    config = world.config()
    config["forward"][0]["users"] = str(users)
    guise = world.stage.guise(config)
    got = world.ask(guise, "https://api.example/", fields=[("Proxy-Authorization", "Basic YW5uOndyb25nLW9uZQ==")])
    assert got.status == 407
    line = guise.wait_log()
    assert (line["verdict"], line["status"]) == ("login", 407) and "user" not in line
    with open_socket(guise.forward) as sock:
        sock.sendall(b"\x05\x01\x02\x01\x03ann\x09wrong-one")
        while sock.recv(100):
            pass
    line = guise.wait_log(lambda entry: entry["protocol"] == "SOCKS5")
    assert line["verdict"] == "login" and "user" not in line
    assert "wrong-one" not in guise.stdout.text + guise.stderr.text


def test_lines_of_socks_and_datagrams(world):
    guise = world.guise()
    with open_socket(guise.forward) as sock:
        sock.sendall(b"\x05\x01\0\x05\x01\0" + association.place("192.168.1.1", 80))
        while sock.recv(100):
            pass
    line = guise.wait_log(lambda entry: entry["protocol"] == "SOCKS5")
    assert (line["verdict"], line["rule"], line["target"]) == ("deny", "default", "192.168.1.1:80")
    client = association.Association(guise.forward)
    client.close()
    line = guise.wait_log(lambda entry: entry["method"] == "UDP")
    assert line["protocol"] == "SOCKS5" and {"in", "out", "verdict"} <= set(line)


def test_combined_lines_have_the_user_in_the_third_place(world):
    config = world.config(log={"format": "combined"})
    config["forward"][0]["users"] = {"networks": {"robot": ["127.0.0.0/8"]}}
    guise = world.stage.guise(config)
    world.ask(guise, "https://api.example/")
    line = guise.stdout.wait(lambda line: "GET https://api.example/" in line, "a line")
    assert line.split()[:3] == ["127.0.0.0", "-", "robot"]
    assert TOKEN not in line


def test_the_user_stands_in_the_line(world):
    config = world.config()
    config["forward"][0]["users"] = {"networks": {"robot": ["127.0.0.0/8"]}}
    guise = world.stage.guise(config)
    world.ask(guise, "https://api.example/")
    assert guise.wait_log()["user"] == "robot"
