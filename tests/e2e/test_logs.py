"""Logs: docs/logs.md with each of its lines, in both formats; clients' addresses wherever they are logged; queries and credentials, which are not."""

import base64
import json
import pathlib
import re
import threading

import pytest

from support import http2, settings
from support.association import Association, Datagrams
from support.certificates import Authority
from support.client import open_socket
from support.frames import PREFACE, SETTINGS_ACK, frame
from support.origin import answering, response
from support.process import ROOT
from support.servers import Curl
from support.tls import listener
from support.waiting import wait_for
from test_users import htpasswd

OK = response(200, b"ok")
HERE = settings.LOOPBACK
CLIENT, NEIGHBOUR = "10.66.77.88", "10.66.77.0"  # all addresses are local here; this one is nowhere else
PAGE = pathlib.Path(ROOT, "docs", "logs.md").read_text(encoding="utf-8")
SECRET = "s3cretw0rd"


def examples(kind):
    """The lines of the blocks of this kind."""
    return [line for block in re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines()]


# the page

def normal(text):
    """What differs between two runs is put alike."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", text)
    text = re.sub(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\]", "[TIME]", text)
    text = re.sub(r'"ms":[\d.]+', '"ms":N', text)
    text = re.sub(r'"(in|out|sent|received)":\d{2,}', r'"\1":N', text)
    text = re.sub(r'"reused":\w+', '"reused":B', text)
    text = re.sub(r"curl/[\d.]+", "curl", text)
    return re.sub(r"(127\.0\.0\.\d+):\d+", r"\1:PORT", text)


def slow_or_not(slow):
    """Answers; /slow/now only when another one was asked before."""
    def script(peer):
        while (asked := peer.read_request()) is not None:
            if asked.target == "/slow/now" and not slow.is_set():
                slow.set()
                peer.wait_end()
                return
            peer.send(OK)
    return script


def telling(peer):
    """Answers; to /leak with where it is."""
    while (asked := peer.read_request()) is not None:
        fields = [("X-Note", f"see {peer.origin.address}/debug")] if asked.target == "/leak" else []
        peer.send(response(200, b"ok", fields=fields))


class Scene:
    """A Guise that has it all, with what it logs in one format."""

    def __init__(self, stage, log):
        directory = stage.path("scene")
        directory.mkdir()
        (directory / "users").write_text(htpasswd("ann", SECRET, "-B") + "\n", encoding="ascii")
        self.origin, parent = stage.origin(telling), stage.origin(answering(OK))
        self.echo, slow = Datagrams(), threading.Event()
        stage.daemons.append(self.echo)
        pair = [stage.origin(slow_or_not(slow)) for _ in range(2)]
        gone = stage.origin()
        gone.refuse()
        local = {"addresses": ["127.0.0.0/8"]}
        to_origin = dict(local, ports=[self.origin.port])
        self.guise = stage.guise({
            "workers": 1, "log": log,
            "reverse": [{"listen": "127.0.0.1:0", "tls": listener(Authority(directory).leaf("shop.example")), "routes": [
                {"host": "shop.example", "path": "/retry", "to": "retried"}, {"host": "shop.example", "path": "/slow/", "to": "hedged"},
                {"host": "shop.example", "to": "web"}]}],
            "forward": [
                {"listen": "127.0.0.1:0", "users": {"file": str(directory / "users")}, "rules": [
                    {"name": "no-mail", "deny": {"ports": [25]}},
                    {"name": "api", "allow": to_origin, "secrets": ["token"], "exit": "out"},
                    {"name": "office", "allow": {"addresses": ["127.0.0.3"]}, "proxy": "office"},
                    {"name": "local", "allow": local}]},
                {"listen": "127.0.0.1:0", "socks": True, "rules": [{"name": "no-dns", "deny": {"ports": [53]}}, {"name": "local", "allow": local}]}],
            "tcp": [{"listen": "127.0.0.1:0", "to": "web"}],
            "upstreams": {"web": [self.origin.address],
                          "retried": {"servers": [gone.address, self.origin.address], "balance": "round_robin"},
                          "hedged": {"servers": [one.address for one in pair], "hedge": {"percentile": 95, "minimum": "30ms"},
                                     "retry_budget": {"percent": 100, "per_second": 1000, "burst": 1000}}},
            "exits": {"out": ["127.0.0.1"]},
            "parents": {"office": [f"http://{parent.address}"]},
            "secrets": {"token": {"hosts": [self.origin.address], "clear": True, "value": SECRET}},
        })
        self.proxy = [f"http://ann:{SECRET}@127.0.0.1:{port}" for _, port in self.guise.addresses("forward")]

    def reverse(self, target, *options, host="shop.example"):
        port = self.guise.reverse[1]
        got = Curl("-k", "--resolve", f"{host}:{port}:127.0.0.1", "-H", f"Host: {host}", *options, f"https://{host}:{port}{target}")
        assert got.status == 0, got

    def forward(self, target, *options):
        got = Curl("-x", self.proxy[0], *options, f"http://{self.origin.address}{target}")
        assert got.status == 0, got

    def page(self):
        self.reverse("/page?q=coffee", "--http1.1", "-A", "curl", "-e", "https://search.example/find?q=coffee")

    def retry(self):
        while not any(entry.get("tries") == 2 for entry in self.guise.log_entries()):
            self.reverse("/retry", "--http1.1")

    def hedge(self):
        self.reverse("/slow/[1-200]", "--http1.1")  # what is usual has to be known
        self.reverse("/slow/now", "--http1.1")

    def leak(self):
        self.reverse("/leak", "--http1.1")

    def nowhere(self):
        self.reverse("/", "--http2", host="other.example")

    def api(self):
        self.forward("/v1/chat?user=ann", "-d", "{}", "-A", "curl")

    def office(self):
        Curl("-x", self.proxy[0], "http://127.0.0.3/plan")

    def mail(self):
        Curl("-x", self.proxy[0], "http://mail.example:25/")

    def login(self):
        Curl("-x", self.proxy[0].replace(SECRET, "wrong"), f"http://{self.origin.address}/")

    def tunnel(self):
        self.forward("/", "-p")

    def tells(self):
        with open_socket(self.guise.addresses("forward")[1], source=CLIENT) as sock:
            sock.sendall(f"GET http://{self.origin.address}/ip?me={CLIENT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            while sock.recv(65536):
                pass

    def udp(self):
        association = Association(self.guise.addresses("forward")[1])
        association.ask(b"question", "127.0.0.1", self.echo.port)
        association.send(b"question", "127.0.0.1", 53)
        association.ask(b"question", "127.0.0.1", self.echo.port)
        association.close()

    def tcp(self):
        with open_socket(self.guise.tcp) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            data = b""
            while not data.endswith(b"ok"):
                data += sock.recv(65536)


JSON = ("page", "retry", "hedge", "leak", "nowhere", "api", "office", "mail", "login", "tunnel", "tells", "udp", "tcp")
COMBINED = ("page", "api", "login", "tcp")


def test_the_page_has_all_scenes():
    assert (len(examples("json")), len(examples("text"))) == (len(JSON), len(COMBINED))


@pytest.fixture(name="scenes", scope="module")
def _scenes(shared_stage):
    return {name: Scene(shared_stage, {"format": name}) for name in ("json", "combined")}


@pytest.mark.parametrize("kind, number, name", [("json", *pair) for pair in enumerate(JSON)] +
                         [("combined", *pair) for pair in enumerate(COMBINED)])
def test_lines_of_the_page(scenes, kind, number, name):
    """What the page shows is what is logged."""
    scene, example = scenes[kind], normal(examples("json" if kind == "json" else "text")[number])
    mark = scene.guise.log_mark()
    getattr(scene, name)()
    wait_for(lambda: example in [normal(line) for line in scene.guise.stdout.lines[mark:]],
             f"{example}\nand not\n" + "\n".join(normal(line) for line in scene.guise.stdout.lines[mark:]))


def test_members_of_the_page():
    """The table has each member that the program writes, and each is in a line of the page."""
    source = pathlib.Path(ROOT, "src", "proxy", "access_log.c").read_text(encoding="utf-8")
    members = set(re.findall(r'SPAN\("[{,]*(?:\\"udp\\":\{)?\\"(\w+)\\":', source)) | {"udp"}
    table = set(re.findall(r"^\| `(\w+)` \|", PAGE[PAGE.index("## json"):PAGE.index("## combined")], re.M))
    nested = set(re.findall(r"`udp\.(\w+)`", PAGE))
    assert table | nested == members
    shown = set()
    for line in examples("json"):
        entry = json.loads(line)
        shown |= set(entry) | set(entry.get("udp", {}))
    assert shown == members


# clients

@pytest.fixture(name="everywhere")
def _everywhere(stage, tmp_path):
    """everywhere(addresses) -> (guise, leaf): a listener of each kind."""
    def make(**log):
        origin = stage.origin(answering(OK))
        (tmp_path / "users").write_text(htpasswd("ann", SECRET, "-B") + "\n", encoding="ascii")
        local = [{"name": "no-dns", "deny": {"ports": [53]}}, {"allow": {"addresses": ["127.0.0.0/8"]}}]
        return origin, stage.guise({
            "workers": 1, "log": dict({"level": "debug"}, **log),
            "limits": {"connections_per_address": 100},
            "forward": [{"listen": "127.0.0.1:0", "socks": True, "rules": local},
                        {"listen": "127.0.0.1:0", "users": {"file": str(tmp_path / "users")}, "rules": local}],
            "reverse": [{"listen": "127.0.0.1:0", "http2": "clear", "trusted": ["127.0.0.1"], "routes": [{"path": "/own", "respond": {"status": 204}}, {"to": "web"}]},
                        {"listen": "127.0.0.1:0", "tls": listener(Authority(tmp_path).leaf("a.test")), "routes": [{"to": "web"}]},
                        {"listen": "127.0.0.1:0", "proxy_protocol": [f"{CLIENT}/32"], "routes": [{"to": "web"}]}],
            "tcp": [{"listen": "127.0.0.1:0", "to": "web"}],
            "admin": {"listen": "127.0.0.1:0"},
            "upstreams": {"web": [origin.address]},
        })
    return make


def tell(address, data, until=None, source=CLIENT):
    """Sends as the client, and reads until it has that, or the end."""
    got = b""
    with open_socket(("127.0.0.1", address[1]), source=source) as sock:
        sock.sendall(data)
        try:
            while until is None or until not in got:
                more = sock.recv(65536)
                if not more:
                    break
                got += more
        except ConnectionResetError:
            pass
    return got


def be_everywhere(guise, origin):
    """The client does whatever makes a line; how many lines name it in the access log, and in the error log."""
    plain, users = guise.addresses("forward")
    http, tls, proxied = guise.addresses("reverse")
    port = origin.port
    one = b"GET %s HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    tell(http, one % b"/")
    tell(http, one % b"/own")
    tell(http, b"GET / HT\r\n\r\n")
    tell(("", http[1]), one.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: " + CLIENT.encode() + b"\r\n\r\n") % b"/", source="127.0.0.1")
    tell(plain, f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    tell(plain, b"GET http://127.0.0.1:53/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    tell(plain, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + one % b"/", b"ok")
    tell(plain, b"\x05\x01\x00\x05\x01\x00\x01\x7f\0\0\1" + port.to_bytes(2, "big") + one % b"/", b"ok")
    association = Association(("127.0.0.1", plain[1]), source=CLIENT)
    association.close()
    for _ in range(3):
        tell(users, b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Authorization: Basic YW5uOndyb25n\r\n\r\n")
    tell(guise.tcp, one % b"/", b"ok")
    # what never becomes a request
    tell(tls, b"\x80garbage")
    tell(proxied, b"garbage without a header\r\n")
    pings = b"".join(frame(6, 0, 0, b"12345678") for _ in range(4000))
    tell(http, PREFACE + frame(4, 0, 0, b"") + SETTINGS_ACK + pings)
    return 12, 3


@pytest.mark.parametrize("addresses, shown", [("full", CLIENT), ("truncated", NEIGHBOUR), ("hash", None), ("none", "-")])
def test_addresses_wherever_they_are(everywhere, addresses, shown):
    origin, guise = everywhere(addresses=addresses)
    exchanges, others = be_everywhere(guise, origin)
    wait_for(lambda: len(guise.log_entries()) >= exchanges, "a line for each exchange")
    named = re.compile(r"(?:, from|h2: [a-z ]+ from) (\S+?):")
    wait_for(lambda: len(named.findall(guise.stderr.text)) >= others, f"a line for each of the others in {guise.stderr.text}")
    clients = [entry["client"] for entry in guise.log_entries()] + named.findall(guise.stderr.text)
    if shown is None:
        shown = clients[0]
        assert re.fullmatch("[0-9a-f]{16}", shown)
    assert set(clients) == {shown}
    assert (CLIENT in guise.stdout.text + guise.stderr.text) == (addresses == "full")


def test_addresses_by_default(everywhere):
    origin, guise = everywhere()
    be_everywhere(guise, origin)
    wait_for(lambda: len(guise.log_entries()) >= 12, "a line for each exchange")
    shown = {(entry["face"], entry["client"]) for entry in guise.log_entries()}
    assert shown == {("forward", NEIGHBOUR), ("reverse", CLIENT), ("tcp", CLIENT)}


def test_operators_are_named_by_the_same_rule(everywhere):
    for addresses, shown in (("none", "-"), ("auto", "127.0.0.1")):
        _, guise = everywhere(addresses=addresses)
        tell(guise.admin, b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", source="127.0.0.1")
        guise.stderr.wait(lambda line, shown=shown: f"admin: GET /status from {shown}: " in line, "the operator's line")


def test_hashes_last_for_a_while(stage):
    """All workers call a client the same until the key changes; then nobody can tell who it was."""
    origin = stage.origin(answering(OK))
    config = dict(settings.reverse(origin, log={"addresses": "hash", "hash_rotation": "1s"}), workers=4)
    guise, other = stage.guise(config), stage.guise(dict(config, log={"addresses": "hash"}))
    one = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"

    def name_at(where, source=CLIENT):
        mark = where.log_mark()
        tell(where.reverse, one, source=source)
        return where.wait_log(start=mark)["client"]

    kept = {name_at(other) for _ in range(12)}
    assert len(kept) == 1 and name_at(other, "10.66.77.89") not in kept
    first = name_at(guise)
    assert first not in kept
    wait_for(lambda: name_at(guise) != first, "another key")
    assert {name_at(other) for _ in range(4)} == kept


# queries and credentials

def ask_with_secrets(guise, origin):
    """Whatever a client may hold that is nobody's to read, in each place that is logged."""
    forward, reverse = guise.forward, guise.reverse
    basic = "Basic " + base64.b64encode(f"{SECRET}:{SECRET}".encode()).decode()
    fields = (f"Authorization: {basic}\r\nProxy-Authorization: {basic}\r\nCookie: s={SECRET}\r\nX-Api-Key: {SECRET}\r\n"
              f"Referer: https://{SECRET}:{SECRET}@a.test/from?token={SECRET}\r\nConnection: close\r\n\r\n")
    for target in (f"/page?token={SECRET}", f"/?{SECRET}", f"/page?a=b?{SECRET}", f"http://a.test/page?{SECRET}",
                   f"http://{SECRET}:{SECRET}@a.test/", f"/bad#{SECRET}", f"http://{SECRET}@a.test?{SECRET}@b.test"):
        tell(reverse, f"GET {target} HTTP/1.1\r\nHost: a.test\r\n{fields}".encode(), source="127.0.0.1")
    for target in (f"http://{origin.address}/page?{SECRET}", f"http://{SECRET}:{SECRET}@{origin.address}/", f"http://{SECRET}:{SECRET}@{origin.address}?{SECRET}"):
        tell(forward, f"GET {target} HTTP/1.1\r\nHost: x\r\n{fields}".encode(), source="127.0.0.1")
    tell(forward, f"CONNECT {SECRET}:{SECRET}@{origin.address} HTTP/1.1\r\nHost: x\r\n{fields}".encode(), source="127.0.0.1")
    client = http2.Client(guise.reverse)
    assert client.get(f"/page?{SECRET}", fields=[("authorization", basic), ("referer", f"https://a.test/?{SECRET}")]).status == 200
    client.close()
    return 12


@pytest.mark.parametrize("form", ["json", "combined"])
@pytest.mark.parametrize("queries", ["auto", "redacted", "full"])
def test_queries_and_credentials(stage, form, queries):
    origin = stage.origin(answering(OK))
    mirror = stage.origin()
    mirror.refuse()
    guise = stage.guise({
        "workers": 1, "log": {"format": form, "queries": queries, "level": "debug"},
        "forward": [{"listen": "127.0.0.1:0", "rules": [HERE]}],
        "reverse": [{"listen": "127.0.0.1:0", "http2": "clear", "routes": [{"to": "web", "mirror": {"to": "gone"}}]}],
        "upstreams": {"web": [origin.address], "gone": {"servers": [mirror.address], "retries": 0}},
    })
    count = ask_with_secrets(guise, origin)
    wait_for(lambda: len(guise.stdout.lines) >= count, "a line for each")
    guise.stderr.wait(lambda line: "mirror of" in line, "what became of a mirror's request")
    text = guise.stdout.text
    if queries == "full":
        assert f"/page?token={SECRET}" in text and f":{SECRET}@" not in text and f"{SECRET}:" not in text
    else:
        assert SECRET not in text and "/page?*" in text
    if form == "combined":
        assert ('"https://*@a.test/from?*"' in text) == (queries != "full")
    assert SECRET not in guise.stderr.text and "c3Nj" not in text + guise.stderr.text
    for line in guise.stdout.lines if form == "json" else ():
        json.loads(line)
