"""Interception: a client that knows of no proxy, a router with Guise and nftables, and a server, each in a namespace of its own."""

import os
import ssl

import pytest

from support import settings, tls
from support.certificates import Authority
from support.origin import echoing_request, response
from support.servers import program
from support.waiting import stays_true

PUBLIC = {4: "93.184.216.34", 6: "2606:2800:220:1::1"}
OTHER = {4: "93.184.216.99", 6: "2606:2800:220:1::99"}
LISTEN = 3129

REDIRECT = """
table inet guise {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        iifname "lan" fib daddr type != local meta l4proto tcp redirect to :3129
    }
}
"""

TPROXY = """
table inet guise {
    chain prerouting {
        type filter hook prerouting priority mangle;
        meta l4proto tcp socket transparent 1 meta mark set 1 accept
        iifname "lan" fib daddr type != local meta l4proto tcp tproxy to :3129 meta mark set 1 accept
    }
}
"""


class Site:
    """client (10.1.0.2) -- lan, router, wan -- server (the public addresses)."""

    def __init__(self, stage):
        self.stage = stage
        self.client, self.router, self.server = stage.network(), stage.network(), stage.network()
        self.client.wire(self.router, "eth0", "lan", ["10.1.0.2/24", "fd01::2/64"], ["10.1.0.1/24", "fd01::1/64"])
        self.router.wire(self.server, "wan", "eth0", ["10.3.0.1/24", "fd03::1/64"], ["10.3.0.2/24", "fd03::2/64"])
        for family in (4, 6):
            flag = f"-{family}"
            self.client.ip(flag, "route", "add", "default", "via", "10.1.0.1" if family == 4 else "fd01::1")
            self.router.ip(flag, "route", "add", "default", "via", "10.3.0.2" if family == 4 else "fd03::2")
            for address in (PUBLIC[family], OTHER[family]):
                self.server.ip("address", "add", address, "dev", "lo")
        self.names = self.server.inside(stage.names, host="10.3.0.2")
        self.names.set("site.example", v4=[PUBLIC[4]], v6=[PUBLIC[6]])
        self.names.set("other.example", v4=[OTHER[4]], v6=[OTHER[6]])
        self.guise = None

    def intercept(self, mode, *rules, wrapper=(), ready=True, top=None, **listener):
        """Starts Guise and sends it what comes from the client."""
        if mode == "tproxy":
            for flag, everything in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
                self.router.ip(flag, "rule", "add", "fwmark", "1", "lookup", "100")
                self.router.ip(flag, "route", "add", "local", everything, "dev", "lo", "table", "100")
        self.router.nft(TPROXY if mode == "tproxy" else REDIRECT)
        config = settings.forward(*rules, resolver=self.names, listener=dict(
            {"listen": f":{LISTEN}", "open": True, "intercept": mode}, **listener), **(top or {}))
        config["log"] = {"addresses": "full"}
        self.guise = self.stage.guise(config, wrapper=(*self.router.wrapper, *wrapper), ready=ready)
        return self

    def origin(self, script=None, address=PUBLIC[4], port=0):
        return self.server.inside(self.stage.origin, script, host=address, port=port)

    def curl(self, *arguments, check=False):
        """curl at the client, without any setting of a proxy."""
        environment = [f"--unset={name}" for name in os.environ if name.lower().endswith("_proxy")]
        return self.client.run("env", *environment, program("curl"), "-sS", "--max-time", "10", *arguments, check=check)

    def fetch(self, url, address, *arguments):
        """The URL, of whose host the client believes that it is there."""
        host, _, port = url.split("/")[2].partition(":")
        where = f"[{address}]" if ":" in address else address
        return self.curl("--resolve", f"{host}:{port}:{where}", *arguments, url)

    def connect(self, address):
        return self.client.inside(self.stage.client, address)

    def line(self, predicate):
        return self.guise.wait_log(predicate)


@pytest.fixture
def site(stage):
    return Site(stage)


def secured(leaf, script):
    """The script over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)

    def run(peer):
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        script(peer)
    return run


def ended(client):
    """Whether the connection ends without a word."""
    try:
        return client.read_some() == b""
    except ConnectionResetError:
        return True


BOTH_WAYS = pytest.mark.parametrize("mode", ["redirect", "tproxy"])
BOTH_FAMILIES = pytest.mark.parametrize("family", [4, 6])


@BOTH_WAYS
@BOTH_FAMILIES
def test_plain_http(site, mode, family):
    origin = site.origin(echoing_request, PUBLIC[family])
    site.intercept(mode)
    got = site.fetch(f"http://site.example:{origin.port}/a?b", PUBLIC[family])
    assert got.returncode == 0, got.stderr
    assert f"GET /a?b HTTP/1.1\nHost: site.example:{origin.port}\n" in got.stdout + "\n"
    assert origin.peers[0].remote[0] == ("10.3.0.1" if family == 4 else "fd03::1")
    line = site.line(lambda entry: "site.example" in entry["target"])
    assert line["target"] == f"http://site.example:{origin.port}/a?*"
    assert (line["status"], line["verdict"]) == (200, "allow")
    assert line["client"] == ("10.1.0.2" if family == 4 else "fd01::2")


@BOTH_WAYS
@BOTH_FAMILIES
def test_tls_by_name(site, stage, mode, family):
    authority = Authority(stage.directory)
    origin = site.origin(secured(authority.leaf("site.example"), echoing_request), PUBLIC[family])
    site.intercept(mode)
    got = site.fetch(f"https://site.example:{origin.port}/secret", PUBLIC[family], "--cacert", authority.file)
    assert got.returncode == 0, got.stderr
    assert "GET /secret HTTP/1.1\n" in got.stdout
    line = site.line(lambda entry: entry["method"] == "CONNECT")
    assert line["target"] == f"site.example:{origin.port}"
    assert (line["status"], line["verdict"]) == (200, "allow")
    assert "secret" not in site.guise.stdout.text


@BOTH_WAYS
@BOTH_FAMILIES
def test_other_protocols_go_where_they_went(site, mode, family):
    """A server that speaks first, then a client that does; the proxy has no name for it, and asks nobody for one."""
    def greeting(peer):
        peer.send(b"220 hello\r\n")
        peer.send(peer.read_some())
        peer.wait_end()
    origin = site.origin(greeting, PUBLIC[family])
    site.intercept(mode)
    client = site.connect((PUBLIC[family], origin.port))
    assert client.read_some() == b"220 hello\r\n"
    client.send(b"EHLO me\r\n")
    assert client.read_some() == b"EHLO me\r\n"
    client.close()
    where = f"{PUBLIC[4]}:{origin.port}" if family == 4 else f"[{PUBLIC[6]}]:{origin.port}"
    assert site.line(lambda entry: entry["target"] == where)["verdict"] == "allow"
    assert not site.names.queries


def test_many_requests_on_a_connection(site):
    origin = site.origin(echoing_request)
    site.intercept("redirect")
    client = site.connect((PUBLIC[4], origin.port))
    for number in range(3):
        got = client.ask(f"GET /{number} HTTP/1.1\r\nHost: site.example:{origin.port}\r\n\r\n")
        assert got.status == 200 and f"GET /{number} ".encode() in got.body
    assert len(origin.peers) == 1


@BOTH_WAYS
def test_much_both_ways(site, stage, mode):
    body = os.urandom(3 << 20)
    authority = Authority(stage.directory)

    def back(peer):
        while (got := peer.read_request()) is not None:
            peer.send(response(200, got.body))
    origin = site.origin(secured(authority.leaf("site.example"), back))
    site.intercept(mode)
    path = stage.path("body")
    path.write_bytes(body)
    out = stage.path("out")
    got = site.fetch(f"https://site.example:{origin.port}/", PUBLIC[4], "--cacert", authority.file,
                     "--data-binary", f"@{path}", "-H", "Expect:", "-o", str(out))
    assert got.returncode == 0, got.stderr
    assert out.read_bytes() == body
    line = site.line(lambda entry: entry["method"] == "CONNECT")
    assert line["in"] > len(body) and line["out"] > len(body)


# rules, and who lies

RULES = [{"name": "no-site", "deny": {"domains": ["site.example"]}}]


@BOTH_WAYS
def test_rules_by_name(site, mode):
    origin = site.origin()
    site.intercept(mode, *RULES)
    got = site.fetch(f"http://site.example:{origin.port}/", PUBLIC[4], "-i")
    assert "HTTP/1.1 403" in got.stdout
    got = site.fetch(f"https://site.example:{origin.port}/", PUBLIC[4])
    assert got.returncode == 35 and "alert access denied" in got.stderr, got.stderr
    assert not origin.peers
    for method in ("GET", "CONNECT"):
        line = site.line(lambda entry, method=method: entry["method"] == method)
        assert (line["verdict"], line["rule"], line["status"]) == ("deny", "no-site", 403)


def test_rules_by_scheme(site, stage):
    """TLS that was intercepted is `https`, what is neither TLS nor HTTP is `tunnel`."""
    authority = Authority(stage.directory)
    origin = site.origin(secured(authority.leaf("site.example"), echoing_request))
    site.intercept("redirect", {"allow": {"schemes": ["https"]}})
    got = site.fetch(f"https://site.example:{origin.port}/", PUBLIC[4], "--cacert", authority.file)
    assert got.returncode == 0, got.stderr
    client = site.connect((PUBLIC[4], origin.port))
    client.send(b"\0\0\0\0")
    assert ended(client)
    assert site.line(lambda entry: entry["target"].startswith(PUBLIC[4]))["verdict"] == "deny"
    assert "403" in site.fetch(f"http://site.example:{origin.port}/", PUBLIC[4], "-i").stdout


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_false_name_leads_to_its_owner(site, stage, scheme):
    """The client goes to one address and says the name of another: it is served from where the name leads."""
    authority = Authority(stage.directory)

    def script(peer):
        peer.send(response(200, peer.local[0].encode())) if peer.read_request() else None
    if scheme == "https":
        script = secured(authority.leaf("other.example"), script)
    one = site.origin(script)
    two = site.origin(script, OTHER[4], one.port)
    site.intercept("redirect", {"allow": {"domains": ["other.example"]}})
    got = site.fetch(f"{scheme}://other.example:{one.port}/", PUBLIC[4], "--cacert", authority.file)
    assert got.stdout == OTHER[4], got.stderr
    assert not one.peers and two.peers


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_false_name_is_refused_where_addresses_count(site, stage, scheme):
    authority = Authority(stage.directory)
    script = echoing_request if scheme == "http" else secured(authority.leaf("site.example"), echoing_request)
    one = site.origin(script)
    two = site.origin(script, OTHER[4], one.port)
    site.intercept("redirect", intercept_destination="original")
    got = site.fetch(f"{scheme}://site.example:{one.port}/", PUBLIC[4], "--cacert", authority.file)
    assert "GET / " in got.stdout, got.stderr
    got = site.fetch(f"{scheme}://site.example:{one.port}/", OTHER[4], "-i", "--cacert", authority.file)
    assert "421" in got.stdout if scheme == "http" else got.returncode == 35, got
    assert len(one.peers) == 1 and not two.peers
    line = site.line(lambda entry: f"site.example is not {OTHER[4]}" in (entry["error"] or ""))
    assert line["status"] == 421


def test_addresses_that_are_not_public(site):
    """Nothing is opened by interception that a rule has not opened."""
    origin = site.origin(address="10.3.0.2")
    site.names.set("inside.example", v4=["10.3.0.2"])
    site.intercept("redirect")
    got = site.fetch(f"http://inside.example:{origin.port}/", PUBLIC[4], "-i")
    assert "HTTP/1.1 403" in got.stdout
    client = site.connect(("10.3.0.2", origin.port))
    client.send(b"\0\0\0\0")
    assert ended(client)
    assert not origin.peers


def test_host_with_another_port(site):
    origin = site.origin()
    site.intercept("redirect")
    client = site.connect((PUBLIC[4], origin.port))
    got = client.ask("GET / HTTP/1.1\r\nHost: site.example:1\r\n\r\n")
    assert got.status == 400 and b"another port" in got.body
    assert not origin.peers


def test_users_by_network(site):
    """Nobody can be asked for a password who knows of no proxy; networks tell who it is."""
    origin = site.origin()
    site.intercept("redirect", {"allow": {"users": ["ann"]}}, users={"networks": {"ann": ["10.1.0.0/24"]}})
    assert "200" in site.fetch(f"http://site.example:{origin.port}/", PUBLIC[4], "-i").stdout
    assert site.line(lambda entry: True)["user"] == "ann"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_through_a_parent(site, stage, scheme):
    """The last hop looks the name up, and the client's bytes go through as they came."""
    authority = Authority(stage.directory)
    script = echoing_request if scheme == "http" else secured(authority.leaf("site.example"), echoing_request)
    origin = site.origin(script)
    parent = stage.guise(settings.forward(resolver=site.names, listener={"listen": "10.3.0.2:3128", "open": True}),
                         wrapper=site.server.wrapper)
    site.intercept("redirect", {"allow": {}, "proxy": ["up"]}, top={"parents": {"up": "http://10.3.0.2:3128"}})
    got = site.fetch(f"{scheme}://site.example:{origin.port}/x", PUBLIC[4], "--cacert", authority.file)
    assert "GET /x HTTP/1.1" in got.stdout, got.stderr
    assert f"site.example:{origin.port}" in parent.wait_log()["target"]
    assert site.line(lambda entry: True)["parent"] == "up"


# who is not on the way to anywhere

@BOTH_WAYS
@BOTH_FAMILIES
def test_a_connection_to_the_port_itself(site, mode, family):
    site.intercept(mode)
    own = ("10.1.0.1" if family == 4 else "fd01::1", LISTEN)
    client = site.connect(own)
    got = client.ask("GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n")
    assert got.status == 400 and b"leads nowhere" in got.body
    client = site.connect(own)
    client.send(tls.client_hello())
    assert client.read_some()[:1] == b"\x15"
    client = site.connect(own)
    client.send(b"\5\1\0")
    assert ended(client)
    assert stays_true(lambda: site.guise.open_files() < 200, 0.2)


def test_silence_on_a_port_of_http(site):
    """No tunnel is opened for who says nothing there: it would be one that nobody has looked into."""
    origin = site.origin(port=443)
    site.intercept("redirect")
    client = site.connect((PUBLIC[4], 443))
    assert stays_true(lambda: not origin.peers, 1.5)
    client.close()


def test_a_server_that_is_not_there(site):
    site.intercept("redirect")
    got = site.fetch("https://site.example:444/", PUBLIC[4])
    assert got.returncode == 35 and "alert" in got.stderr
    assert "502" in site.fetch("http://site.example:81/", PUBLIC[4], "-i").stdout
    assert "502" in site.fetch("http://nobody.example:81/", PUBLIC[4], "-i").stdout


# rights, and mistakes

def test_tproxy_without_the_right(site):
    site.intercept("tproxy", ready=False, wrapper=(
        program("setpriv"), "--bounding-set", "-net_admin,-net_raw", "--inh-caps", "-net_admin,-net_raw"))
    assert site.guise.wait_exit() != 0
    text = site.guise.stderr.text
    assert '"tproxy" needs the right to take others\' connections (root, CAP_NET_ADMIN or CAP_NET_RAW)' in text
    assert "guise.yaml:" in text


@pytest.mark.parametrize("listener, text", [
    ({"tls": {"certificates": ["x.pem"]}}, '"tls" does not go with "intercept"'),
    ({"proxy_protocol": ["127.0.0.1"]}, '"proxy_protocol" does not go with "intercept"'),
    ({"pac": True}, '"pac" does not go with "intercept"'),
    ({"http2": "clear"}, '"http2: clear" does not go with "intercept"'),
    ({"listen": "unix:/tmp/guise-intercept.sock"}, "nothing is redirected to a unix socket"),
    ({"users": {"file": "users.htpasswd"}}, '"users" of a listener that intercepts has "networks" alone'),
    ({"intercept": "off", "intercept_destination": "name"}, '"intercept_destination" goes with'),
])
def test_mistakes(stage, listener, text):
    config = settings.forward(listener=dict({"listen": "127.0.0.1:0", "intercept": "redirect"}, **listener))
    guise = stage.guise(config, ready=False)
    assert guise.wait_exit() != 0
    assert text in guise.stderr.text, guise.stderr.text
