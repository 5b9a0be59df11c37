"""Reverse mask: what servers say of themselves does not reach clients, and what they send still works, over both versions on both sides."""

import pytest

from support import http2, settings
from support.origin import answering, response
from support.wire import Fields

INSIDE = "app.internal"
TALK = [
    ("Server", "Apache/2.4.57 (Debian) mod_php"), ("X-Powered-By", "PHP/8.2.7"), ("X_Powered_By", "PHP"),
    ("X-AspNet-Version", "4.0"), ("X-Generator", "Drupal 10"), ("X-Runtime", "0.0412"), ("Server-Timing", "db;dur=53"),
    ("X-Served-By", "node-17"), ("X-Backend-Server", "10.1.2.3"), ("X-Cache", "HIT from squid-3.internal"), ("X-Cache-Lookup", "HIT"),
    ("Via", "1.1 varnish-2.internal"), ("X-Varnish", "1 2"), ("X-Amz-Cf-Id", "a"), ("X-Envoy-Upstream-Service-Time", "5"),
    ("X-Kong-Upstream-Latency", "4"), ("X-Drupal-Cache", "MISS"), ("X-Accel-Redirect", "/internal/file"), ("X-Sendfile", "/srv/a"),
    ("Proxy-Status", "edge.internal"), ("X-Debug-Token", "1234"), ("X-Upstream", "10.1.2.3:80"), ("Cache-Status", "in.internal; hit"),
    ("X-Forwarded-For", "10.1.2.3"), ("SourceMap", f"http://{INSIDE}/app.js.map"), ("Access-Control-Allow-Origin", f"http://{INSIDE}"),
    ("NEL", f'{{"report_to":"http://{INSIDE}/"}}'), ("Report-To", f'{{"endpoints":[{{"url":"http://{INSIDE}/r"}}]}}'),
]
NEEDED = [
    ("WWW-Authenticate", "Basic realm=\"shop\""), ("Allow", "GET, HEAD"), ("Retry-After", "7"), ("RateLimit-Limit", "10"),
    ("Deprecation", "@1688169599"), ("Sunset", "Sat, 31 Dec 2033 23:59:59 GMT"), ("ETag", '"v1"'), ("X-Request-Id", "abc"),
    ("Vary", "Accept"), ("Cache-Control", "no-cache"), ("Strict-Transport-Security", "max-age=1"), ("X-Total-Count", "12"),
]
GRANTS = [("Content-Security-Policy", f"default-src 'self' http://{INSIDE}; img-src {INSIDE}"),
          ("Alt-Svc", f'h2="{INSIDE}:443", h3=":443"'), ("Timing-Allow-Origin", f"https://x.test, http://{INSIDE}"),
          ("Permissions-Policy", f'camera=(self "https://{INSIDE}")'), ("X-Frame-Options", f"ALLOW-FROM http://{INSIDE}/")]


def references(port):
    return [("Location", f"http://{INSIDE}:{port}/v2/login?next=1#top"), ("Content-Location", f"http://{INSIDE}/v2/item"),
            ("Link", f"<http://{INSIDE}/v2/app.css>; rel=preload, </v2/next>; rel=next"),
            ("Refresh", f"5; url=http://{INSIDE}/v2/again"),
            ("Set-Cookie", f"sid=1; Domain={INSIDE}; Path=/v2/; HttpOnly"), ("Set-Cookie", "plain=2; Path=/v2")]


def server(stage, version, status=200, fields=(), interim=None, trailers=None, reason="Quite Internal"):
    """A server of one version that answers all requests alike; `fields` may be a function of its port."""
    made = {}

    def lines():
        return fields(made["origin"].port) if callable(fields) else list(fields)

    def old(peer):
        while peer.read_request() is not None:
            head = b""
            if interim:
                head = b"HTTP/1.1 103 Hints of Apache\r\n" + b"".join(b"%s: %s\r\n" % (name.encode(), value.encode())
                                                               for name, value in interim) + b"\r\n"
            if trailers:
                tail = b"".join(b"%s: %s\r\n" % (name.encode(), value.encode()) for name, value in trailers)
                head += response(status, b"", [*lines(), ("Transfer-Encoding", "chunked")], reason=reason, length=False)
                peer.send(head + b"2\r\nok\r\n0\r\n" + tail + b"\r\n")
            else:
                peer.send(head + response(status, b"ok", lines(), reason=reason))

    def new(connection, stream):
        def lower(pairs):
            return [(name.lower(), value) for name, value in pairs]
        if interim:
            connection.send_fields(stream, [(":status", "103"), *lower(interim)])
        connection.answer(stream, status, lower(lines()), b"ok", trailers=lower(trailers) if trailers else None)
    made["origin"] = stage.origin(old if version == "1" else http2.serving(new))
    return made["origin"]


class Answer:
    def __init__(self, status, fields, reason="", interim=(), trailers=()):
        self.status = status
        self.fields = Fields(fields)
        self.reason = reason
        self.interim = [Fields(one) for one in interim]
        self.trailers = Fields(trailers or [])

    def all_text(self):
        return repr([self.fields, self.reason, self.interim, self.trailers]).lower()


def asked(stage, guise, version, path="/api/x", host="shop.example", method="GET"):
    if version == "2":
        client = http2.Client(guise.reverse).settled()
        stage.clients.append(client)
        stream = client.ask(method, path, authority=host, fields=[("te", "trailers")])
        return Answer(stream.status, stream.head, interim=stream.interim, trailers=stream.trailers)
    client = stage.client(guise.reverse)
    got = client.get(path, host=host, method=method, fields="TE: trailers\r\nConnection: TE\r\n")
    return Answer(got.status, got.fields, got.reason, [one.fields for one in got.interim], got.trailers)


def masked(stage, origin, mask=None, route=None, version="1", **top):
    names = stage.names()
    names.set(INSIDE, v4=["127.0.0.1"])
    listener = {"http2": "clear"}
    if mask is not None:
        listener["mask"] = mask
    config = settings.reverse(f"{INSIDE}:{origin.port}", listener=listener, upstream={"http": version},
                              route=dict({"host": "shop.example", "path": "/api/", "rewrite": {"from": "/api/", "to": "/v2/"}},
                                         **(route or {})), **top)
    config["resolver"] = {"servers": [names.address], "hosts": False}
    return stage.guise(config)


both_sides = pytest.mark.parametrize("client, upstream", [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")])


@both_sides
def test_what_a_server_says_of_itself(stage, client, upstream):
    """All of it in the final head, an interim one and trailers; and what applications need."""
    origin = server(stage, upstream, 200, TALK + NEEDED, interim=[("Link", f"<http://{INSIDE}/v2/a.css>; rel=preload"), *TALK[:12]],
                    trailers=[*TALK[:12], ("grpc-status", "0"), ("X-Checksum", "1")])
    got = asked(stage, masked(stage, origin, version=upstream), client)
    assert got.status == 200
    for name, value in NEEDED:
        assert got.fields.get(name) == value
    for name, _ in TALK:
        assert not got.fields.has(name), name
    assert got.trailers.get("grpc-status") == "0" and got.trailers.get("x-checksum") == "1"
    assert [one.get("link") for one in got.interim] == ["<http://shop.example/api/a.css>; rel=preload"]
    text = got.all_text()
    for word in ("internal", "apache", "php", "varnish", "10.1.2.3", "node-17", "drupal"):
        assert word not in text
    assert got.reason in ("", "OK")


@both_sides
def test_references_lead_to_the_public_name(stage, client, upstream):
    origin = server(stage, upstream, 302, references)
    got = asked(stage, masked(stage, origin, version=upstream), client, host="shop.example")
    assert got.fields.get("Location") == "http://shop.example/api/login?next=1#top"
    assert got.fields.get("Content-Location") == "http://shop.example/api/item"
    assert got.fields.get("Link") == "<http://shop.example/api/app.css>; rel=preload, </api/next>; rel=next"
    assert got.fields.get("Refresh") == "5; url=http://shop.example/api/again"
    assert got.fields.all("Set-Cookie") == ["sid=1; Domain=shop.example; Path=/api/; HttpOnly", "plain=2; Path=/api"]


def test_the_port_is_the_one_that_clients_use(stage):
    guise = masked(stage, server(stage, "1", 302, references))
    port = guise.reverse[1]
    assert asked(stage, guise, "1", host=f"shop.example:{port}").fields.get("Location") == \
        f"http://shop.example:{port}/api/login?next=1#top"
    # anybody can say any port: it is not repeated
    got = asked(stage, guise, "1", host="shop.example:6666")
    assert got.fields.get("Location") == "/api/login?next=1#top" and "6666" not in got.all_text()


def test_never_a_host_that_nobody_checked(stage):
    origin = server(stage, "1", 302, references)
    guise = masked(stage, origin, route={"host": []})
    got = asked(stage, guise, "1", host="evil.test")
    assert got.fields.get("Location") == "/api/login?next=1#top"
    assert got.fields.all("Set-Cookie")[0] == "sid=1; Path=/api/; HttpOnly"
    assert "evil.test" not in got.all_text() and "internal" not in got.all_text()


def test_a_public_name_of_ones_own(stage):
    origin = server(stage, "1", 302, references)
    got = asked(stage, masked(stage, origin, mask={"public": "https://www.shop.example:8443"}, route={"host": []}), "1", host="x.test")
    assert got.fields.get("Location") == "https://www.shop.example:8443/api/login?next=1#top"
    assert got.fields.all("Set-Cookie")[0] == "sid=1; Domain=www.shop.example; Path=/api/; HttpOnly"


def test_what_a_fixed_host_names_is_inside(stage):
    """What Host says to the server comes back from it."""
    origin = server(stage, "1", 302, [("Location", "https://fixed.corp.test/v2/x")])
    got = asked(stage, masked(stage, origin, route={"set_host": "fixed.corp.test"}), "1")
    assert got.fields.get("Location") == "https://shop.example/api/x"  # the server has no TLS: it asks for the public one


def test_a_trusted_hop_says_the_scheme(stage):
    origin = server(stage, "1", 302, references)
    names = stage.names()
    names.set(INSIDE, v4=["127.0.0.1"])
    config = settings.reverse(f"{INSIDE}:{origin.port}", listener={"trusted": ["127.0.0.1"]}, route={"host": "shop.example"},
                              resolver={"servers": [names.address], "hosts": False})
    guise = stage.guise(config)
    got = stage.client(guise.reverse).get("/", host="shop.example", fields="X-Forwarded-Proto: https\r\n")
    assert got.fields.get("Location") == "https://shop.example/v2/login?next=1#top"


@both_sides
def test_nothing_is_granted_to_a_server_or_in_its_place(stage, client, upstream):
    got = asked(stage, masked(stage, server(stage, upstream, 200, GRANTS), version=upstream), client)
    assert got.fields.get("Content-Security-Policy") == "default-src 'self'; img-src 'none'"
    assert got.fields.get("Alt-Svc") == 'h3=":443"'
    assert got.fields.get("Timing-Allow-Origin") == "https://x.test"
    assert got.fields.get("Permissions-Policy") == "camera=(self )"
    assert got.fields.get("X-Frame-Options") == "DENY"
    assert "shop.example" not in got.all_text() and "internal" not in got.all_text()


def test_keep_drop_and_server(stage):
    origin = server(stage, "1", 200, [*TALK, ("X-Build", "7"), ("X-Shop", "1")])
    guise = masked(stage, origin, mask={"keep": ["X-Runtime", "x-amz-*"], "drop": ["X-Build", "X-S*"], "server": "shop"})
    got = asked(stage, guise, "1")
    assert got.fields.get("X-Runtime") == "0.0412" and got.fields.get("X-Amz-Cf-Id") == "a"
    assert not got.fields.has("X-Build") and not got.fields.has("X-Shop")
    assert got.fields.all("Server") == ["shop"]
    # answers of our own are no different
    assert asked(stage, guise, "1", host="other.test").fields.all("Server") == ["shop"]


def test_false_lets_all_through(stage):
    origin = server(stage, "1", 200, TALK)
    for mask, route in ((False, {}), (None, {"mask": False}), ({"server": "shop"}, {"mask": {"enabled": False}})):
        got = asked(stage, masked(stage, origin, mask=mask, route=route), "1")
        assert got.reason == "Quite Internal"
        for name, value in TALK:
            assert value in got.fields.all(name)


def test_what_the_route_sets_stays(stage):
    origin = server(stage, "1", 200, TALK)
    got = asked(stage, masked(stage, origin, route={"response": {"set": {"Server": "mine", "X-Powered-By": "coffee"}}}), "1")
    assert got.fields.all("Server") == ["mine"] and got.fields.all("X-Powered-By") == ["coffee"]


def test_the_log_says_once_how_a_field_would_pass(stage):
    guise = masked(stage, server(stage, "1", 200, [("X-Powered-By", "PHP"), ("X-Runtime", "1"), ("X-Fine", "1")]))
    for _ in range(3):
        asked(stage, guise, "1")
    guise.stderr.wait(lambda line: '"X-Runtime"' in line, "the second of the two")
    lines = [line for line in guise.stderr.lines if "is dropped" in line]
    assert len(lines) == 2 and "X-Fine" not in "".join(lines)
    assert "server 127.0.0.1:" in lines[0] or INSIDE in lines[0]
    assert '"mask: {keep: [X-Powered-By]}" it would pass' in lines[0]


def test_made_up_names_do_not_fill_the_log(stage):
    """A server that sends a new name each time, all of which are dropped."""
    def script(peer):
        count = 0
        while peer.read_request() is not None:
            peer.send(response(200, b"ok", [(f"X-Debug-{count + number}", "1") for number in range(40)]))
            count += 40
    guise = masked(stage, stage.origin(script))
    for _ in range(10):
        assert "debug" not in asked(stage, guise, "1").all_text()
    guise.stderr.wait(lambda line: "is dropped" in line, "some of them")
    assert len([line for line in guise.stderr.lines if "is dropped" in line]) <= 128


def test_trace_is_never_echoed(stage):
    origin = stage.origin(answering(response(200, b"never", [])))
    guise = masked(stage, origin, route={"path": []})
    for fields in ("", "Max-Forwards: 0\r\n", "Max-Forwards: 3\r\n"):
        got = stage.client(guise.reverse).get("/", host="shop.example", method="TRACE", fields=fields + "X-Secret: 1\r\n")
        assert got.status == 405 and b"Secret" not in got.body
    assert not origin.requests


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_own_errors_name_nothing_inside(stage, accept):
    """Down, silent, talking nonsense: what went wrong, and not with whom."""
    origin = stage.origin(answering(b"nonsense from app.internal\r\n\r\n"))
    hole = stage.blackhole()
    names = stage.names()
    names.set(INSIDE, v4=["127.0.0.1"])
    names.set("closed.internal", v4=["127.0.0.9"])
    config = settings.routes({"path": "/bad", "to": "bad"}, {"path": "/closed", "to": "closed"}, {"path": "/gone", "to": "gone"},
                             {"path": "/slow", "to": "slow"},
                             upstreams={"bad": [f"{INSIDE}:{origin.port}"], "closed": ["closed.internal:9"],
                                        "gone": ["gone.internal:80"], "slow": [hole.address]})
    config["resolver"] = {"servers": [names.address], "hosts": False}
    config["timeouts"] = {"connect": "300ms"}
    config["name"] = "edge"
    guise = stage.guise(config)
    for path in ("/bad", "/closed", "/gone", "/slow", "/nowhere"):
        got = stage.client(guise.reverse).get(path, host="shop.example", fields=f"Accept: {accept}\r\n")
        assert got.status in (404, 502, 503, 504)
        text = (got.head + got.body).decode("latin-1").lower()
        for word in ("internal\"", ".internal", "127.0.0.", str(origin.port), "nonsense", "guise"):
            assert word not in text, (path, word, text)
        assert got.fields.get("Proxy-Status").startswith("edge; error=")


@pytest.mark.parametrize("mask, words", [
    ({"drop": ["*"]}, '"*" alone would be every field'),
    ({"keep": ["X Y"]}, "not a field name"),
    ({"drop": ["X-A"], "keep": ["x-a"]}, 'in both "keep" and "drop"'),
    ({"server": "a\nb"}, "no control characters"),
    ({"server": "a", "keep": ["Server"]}, '"server" says something else'),
    ({"public": "https://shop.example/shop"}, "without a path"),
    ({"public": "gopher://shop.example"}, "the scheme is http or https"),
    ({"publik": "shop.example"}, 'did you mean "public"'),
    ("elite", "true or false"),
])
def test_wrong_settings(stage, mask, words):
    config = settings.routes({"respond": {"status": 204}}, mask=mask)
    guise = stage.guise(config, ready=False)
    assert guise.wait_exit() != 0
    assert words in guise.stderr.text and "guise.yaml:" in guise.stderr.text
