"""The masks of the forward proxy: what an origin learns of the client and of the proxy."""

import re

import pytest

from support import http2, settings
from support.origin import answering, response
from support.process import run

PUBLIC = "93.184.216.34"
OWN = ("Via: 1.1 before\r\nX-Forwarded-For: 198.51.100.7\r\nForwarded: for=198.51.100.7\r\nProxy-Connection: keep-alive\r\n"
       "Proxy-Authorization: Basic eDp5\r\nX-Forwarded-Host: inner.example\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 198.51.100.7\r\n")


def seen(stage, mask, fields="", reply=None, source="127.0.0.77"):
    origin = stage.origin(answering(reply or response(200, b"ok")), host="0.0.0.0")
    guise = stage.guise(settings.forward(listener={"mask": mask} if mask else {}, name="masked"))
    client = stage.client(guise.forward, source=source)
    got = client.ask(f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.1\r\nHost: x\r\nX-Own: 1\r\n{fields}\r\n")
    assert got.status == 200
    return origin.requests[0], got


@pytest.mark.parametrize("mask", ["elite", None])
@pytest.mark.parametrize("fields", ["", OWN])
def test_elite_shows_neither_proxy_nor_client(stage, mask, fields):
    request, _ = seen(stage, mask, fields)
    for name in ("Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP",
                 "Proxy-Connection", "Proxy-Authorization", "Proxy-Status", "Keep-Alive", "Max-Forwards"):
        assert not request.fields.has(name), name
    everything = str(request.fields).lower()
    assert "127.0.0.77" not in everything and "198.51.100.7" not in everything
    assert "masked" not in everything and "guise" not in everything
    assert request.fields.has("X-Own")


@pytest.mark.parametrize("fields", ["", OWN])
def test_anonymous_shows_the_proxy_only(stage, fields):
    request, _ = seen(stage, "anonymous", fields)
    assert re.fullmatch(r"(.*, )?1\.1 masked-[0-9a-f]{8}", request.fields.get("Via"))
    everything = str(request.fields)
    assert "127.0.0.77" not in everything and "198.51.100.7" not in everything
    assert not request.fields.has("Proxy-Authorization") and not request.fields.has("Proxy-Connection")


def test_transparent_tells_both(stage):
    request, _ = seen(stage, "transparent")
    assert re.fullmatch(r"1\.1 masked-[0-9a-f]{8}", request.fields.get("Via"))
    told = f"{request.fields.get('X-Forwarded-For')} {request.fields.get('Forwarded')}"
    assert "127.0.0.77" in told


def test_version_in_via_is_that_of_the_message(stage):
    origin = stage.origin(host="0.0.0.0")
    guise = stage.guise(settings.forward(listener={"mask": "anonymous"}))
    stage.client(guise.forward).ask(f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.0\r\n\r\n")
    assert re.fullmatch(r"1\.0 guise-[0-9a-f]{8}", origin.requests[0].fields.get("Via"))


def test_fields_of_the_client_are_its_own(stage):
    """No mask adds, drops or reorders what describes the browser."""
    request, _ = seen(stage, "elite", "User-Agent: b/1\r\nAccept: */*\r\nCookie: a=b\r\nReferer: http://r.example/\r\nDNT: 1\r\n")
    assert [name for name in request.fields.names() if name not in ("host", "connection")] == [
        "x-own", "user-agent", "accept", "cookie", "referer", "dnt"]


@pytest.mark.parametrize("mask", ["elite", "anonymous", "transparent"])
def test_error_never_names_the_hidden(stage, mask):
    guise = stage.guise(settings.forward(listener={"mask": mask}))
    got = stage.client(guise.forward, source="127.0.0.77").ask(b"GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "127.0.0.77" not in str(got.fields) + got.body.decode()


def test_server_learns_nothing_from_pooled_connections(stage):
    """Two clients, one origin: each request carries its own fields only."""
    origin = stage.origin(host="0.0.0.0")
    guise = stage.guise(settings.forward())
    for number in range(4):
        client = stage.client(guise.forward, source=f"127.0.0.{number + 10}")
        client.ask(f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.1\r\nHost: x\r\nX-Client-{number}: 1\r\n\r\n")
        client.close()
    for number, request in enumerate(origin.requests):
        assert [name for name in request.fields.names() if name.startswith("x-client")] == [f"x-client-{number}"]


# ---- the keys of a mask, for clients of HTTP/1.1 and of HTTP/2 ----

ADDRESS = "198.51.100.77"  # a client beyond loopback
TELLING = [("x-client-ip", ADDRESS), ("x_forwarded_for", ADDRESS), ("True-Client-IP", "1"), ("x-up-calling-line-id", "49170"),
           ("CF-Connecting-IPv6", "1"), ("proxy-authorization", "Basic eDp5"), ("x-msisdn", "49170"), ("cdn-loop", "x")]


class Asked:
    """What became of a request with these fields, and of the answer."""

    def __init__(self, stage, mask, version, fields=(), reply=None, path="/", trailers=None, source=ADDRESS):
        origin = stage.origin(answering(reply or response(200, b"ok")), host="0.0.0.0")
        listener = {"mask": mask} if version == 1 else {"mask": mask, "http2": "clear"}
        self.guise = stage.guise(settings.forward(listener=listener, name="masked", log={"format": "json"}))
        host = f"{PUBLIC}:{origin.port}"
        if version == 1:
            self._ask_h1(stage, host, path, fields, trailers, source)
        else:
            self._ask_h2(stage, host, path, fields, trailers, source)
        self.request = origin.requests[0]
        self.names = [name for name in self.request.fields.names()
                      if name not in ("host", "connection", "transfer-encoding", "te", "trailer")]

    def _ask_h1(self, stage, host, path, fields, trailers, source):
        client = stage.client(self.guise.forward, source=source)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        method, framing, body = "GET", "", ""
        if trailers:
            method, framing = "POST", "Transfer-Encoding: chunked\r\n"
            body = "2\r\nhi\r\n0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in trailers) + "\r\n"
        client.send(f"{method} http://{host}{path} HTTP/1.1\r\nHost: x\r\n{framing}{lines}\r\n{body}".encode())
        answer = client.read_response(method)
        self.status, self.answer, self.interim = answer.status, answer.fields, [head.fields for head in answer.interim]

    def _ask_h2(self, stage, host, path, fields, trailers, source):
        client = http2.Client(self.guise.forward, source=source)
        stage.clients.append(client)
        fields = [(name.lower(), value) for name, value in fields]
        stream = client.ask("POST" if trailers else "GET", path, fields=fields, authority=host, scheme="http",
                            body=b"hi" if trailers else None, trailers=trailers)
        self.status, self.answer, self.interim = stream.status, stream.head, stream.interim


versions = pytest.mark.parametrize("version", [1, 2])


@versions
@pytest.mark.parametrize("mask", ["elite", "anonymous"])
def test_whatever_tells_is_dropped(stage, mask, version):
    asked = Asked(stage, mask, version, [("X-Mine", "1"), *TELLING, ("Authorization", "Bearer x")])
    assert asked.status == 200
    assert asked.names == ["x-mine", "authorization", *(["via"] if mask == "anonymous" else [])]
    assert ADDRESS not in str(asked.request.fields)


@versions
@pytest.mark.parametrize("mask", ["elite", "anonymous", "transparent"])
def test_values_with_the_clients_address(stage, mask, version):
    """Whatever the field's name; what merely looks like one passes, and so does everybody else's."""
    kept = [("User-Agent", "Mozilla/5.0 Chrome/126.0.0.0"), ("X-Near", ADDRESS + "1"), ("X-Other", "198.51.100.7")]
    told = [("X-Own", f"it is {ADDRESS}."), ("Cookie", f"ip=%5B::ffff:{ADDRESS}%5D"), ("X-Hex", "[::FFFF:c633:644d]:80")]
    asked = Asked(stage, mask, version, told + kept)
    expected = told + kept if mask == "transparent" else kept
    assert [name for name in asked.names if name not in ("via", "forwarded", "x-forwarded-for")] == [
        name.lower() for name, _ in expected]
    if mask == "elite":
        assert "c633" not in str(asked.request.fields).lower() and ADDRESS + "1" in str(asked.request.fields)


def test_folded_lines_are_refused(stage):
    """No address hides in a field's second line (RFC 9112 5.2)."""
    origin = stage.origin(host="0.0.0.0")
    guise = stage.guise(settings.forward())
    got = stage.client(guise.forward, source=ADDRESS).ask(
        f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.1\r\nHost: x\r\nX-Own: 1\r\n {ADDRESS}\r\n\r\n")
    assert got.status == 400 and not origin.requests


@versions
def test_the_target_is_not_edited(stage, version):
    """It is the client's to choose; the log says that it tells."""
    asked = Asked(stage, "elite", version, path=f"/?me={ADDRESS}")
    assert asked.request.target == f"/?me={ADDRESS}"
    assert asked.guise.wait_log()["tells_address"] is True
    asked = Asked(stage, "elite", version, path="/?me=198.51.100.7")
    assert "tells_address" not in asked.guise.wait_log()


def test_clients_on_loopback_have_no_address_to_hide(stage):
    asked = Asked(stage, "elite", 1, [("X-Own", "127.0.0.77")], source="127.0.0.77")
    assert asked.names == ["x-own"]


@versions
def test_keep_and_drop(stage, version):
    mask = {"keep": ["X-Forwarded-Proto", "CF-*"], "drop": ["X-Corp-*", "Pragma"]}
    asked = Asked(stage, mask, version, [("x-forwarded-proto", "https"), ("cf-ray", "1"), ("x-corp-id", "7"), ("x_corp_x", "7"),
                                         ("pragma", "no-cache"), ("x-forwarded-for", "1"), ("x-corporate", "1")])
    assert asked.names == ["x-forwarded-proto", "cf-ray", "x-corporate"]


@versions
def test_allowlist(stage, version):
    mask = {"unknown": "allowlist", "keep": ["X-Version"]}
    usual = [("accept", "*/*"), ("cookie", "a=b"), ("authorization", "Bearer x"), ("sec-fetch-site", "none"),
             ("x-requested-with", "XMLHttpRequest"), ("if-none-match", '"x"'), ("range", "bytes=0-1"), ("x-version", "1")]
    asked = Asked(stage, mask, version, [("x-unknown", "1"), *usual, ("via", "1.1 x"), ("x-machine-name", "pc7")])
    assert sorted(asked.names) == sorted(name for name, _ in usual)


@versions
def test_steps_of_requests(stage, version):
    mask = {"user_agent": "Mozilla/5.0", "accept_language": "en", "referer": "origin", "cookies": False, "dnt": True, "gpc": True}
    asked = Asked(stage, mask, version, [("user-agent", "secret/7"), ("accept-language", "de-CH"), ("cookie", "a=b"),
                                         ("referer", "https://u:p@b.test:8443/private?x")])
    fields = asked.request.fields
    assert {name: fields.all(name) for name in asked.names} == {
        "user-agent": ["Mozilla/5.0"], "accept-language": ["en"], "referer": ["https://b.test:8443/"], "dnt": ["1"], "sec-gpc": ["1"]}


@versions
def test_one_order_and_spelling(stage, version):
    fields = [("x-b", "1"), ("ACCEPT", "*/*"), ("cookie", "a=b"), ("X-a", "1"), ("user-AGENT", "b")]
    asked = Asked(stage, {"order": True}, version, fields)
    names = [name for name, _ in asked.request.fields if name.lower() in asked.names]
    assert names == ["Accept", "Cookie", "User-Agent", "X-A", "X-B"]


@versions
def test_steps_of_responses(stage, version):
    """Also in interim responses, and in trailers."""
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSet-Cookie: a=b\r\nAlt-Svc: h3\r\nProxy-Authenticate: Basic\r\n\r\n"
    final = response(200, b"ok", [("Set-Cookie", "a=b"), ("Alt-Svc", 'h3=":443"'), ("Proxy-Authenticate", "Basic"), ("X-Mine", "1")])
    asked = Asked(stage, {"cookies": False, "alt_svc": False}, version, reply=hint + final)
    assert asked.answer.get("X-Mine") == "1"
    for fields in (*asked.interim, asked.answer):
        assert not any(fields.has(name) for name in ("Set-Cookie", "Alt-Svc", "Proxy-Authenticate", "Via"))
    assert [fields.get("Link") for fields in asked.interim] == ["</a>"]
    asked = Asked(stage, "elite", version, reply=hint + final)
    for fields in (*asked.interim, asked.answer):
        assert fields.has("Set-Cookie") and fields.has("Alt-Svc") and not fields.has("Proxy-Authenticate")


@versions
@pytest.mark.parametrize("mask", ["elite", "anonymous"])
def test_trailers(stage, mask, version):
    trailers = [("x-sum", "1"), ("x-client-ip", "1"), ("x-own", ADDRESS)]
    asked = Asked(stage, mask, version, trailers=trailers)
    assert [name.lower() for name, _ in asked.request.trailers] == ["x-sum"]


def test_elite_does_not_loop(stage):
    """Without Via the proxy does not know its own requests; its listeners are no targets."""
    guise = stage.guise(settings.forward({"allow": {}}, listener={"listen": ["127.0.0.1:0", "127.0.0.2:0"], "mask": "elite"}))
    for host, port in guise.addresses("forward"):
        for target in (f"{host}:{port}", f"[::ffff:{host}]:{port}", f"localhost:{guise.forward[1]}"):
            got = stage.client(guise.forward).ask(f"GET http://{target}/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert got.status == 403, target
            got = stage.client(guise.forward).ask(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
            assert got.status == 403, target


def test_a_listener_that_a_rule_opens_is_asked_once(stage):
    """Such a request comes as one to a server, which no forward listener takes: it goes no second time round."""
    guise = stage.guise(settings.forward(settings.LOOPBACK, listener={"mask": "elite"}, log={"format": "json"}))
    target = f"127.0.0.1:{guise.forward[1]}"
    got = stage.client(guise.forward).ask(f"GET http://{target}/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert got.status == 400
    guise.wait_log(lambda entry: entry["target"].startswith("http://"))
    assert len(guise.log_entries()) == 2


@pytest.mark.parametrize("listen, parent, wrong", [
    ("127.0.0.1:3128", "http://127.0.0.1:3128", True),
    (":3128", "socks5://127.0.0.1:3128", True),
    ("[::1]:3128", "http://[::1]:3128", True),
    ("127.0.0.1:3128", "http://127.0.0.1:3129", False),
    ("127.0.0.1:3128", "http://127.0.0.2:3128", False),
])
def test_a_listener_is_no_parent_of_its_own(stage, listen, parent, wrong):
    path = settings.write(stage.path("guise.yaml"), settings.forward(
        {"allow": {}, "proxy": ["home"]}, listener={"listen": listen, "open": True}, parents={"home": parent}))
    status, *output = run("check", "-c", str(path))
    assert status == int(wrong) and ("requests would come back" in "".join(output)) == wrong


WRONG = {
    "keep: [Proxy-Authorization]": ["Proxy-Authorization", "cannot be kept"],
    "keep: ['proxy-*']": ["cannot be kept"],
    "keep: [X Y]": ["not a field name"],
    "drop: ['*']": ["every field"],
    "drop: ['X*Y']": ["at the end only"],
    "drop: [Host]": ["Host cannot be dropped"],
    "drop: [Content-Length]": ["frames the message"],
    "kind: anonymous, drop: [Via]": ["cannot be dropped", "elite"],
    "kind: transparent, drop: [X-Forwarded-For]": ["cannot be dropped"],
    "drop: [X-A], keep: [x_a]": ['"X-A" is in "keep" too'],
    "cookies: false, keep: [Cookie]": ["cookies: false"],
    "user_agent: x, drop: [User-Agent]": ["user_agent"],
    "user_agent: ''": ["drop"],
    "unknown: allow": ["allowlist"],
    "referer: same-origin": ["same_origin"],
}


@pytest.mark.parametrize("keys", WRONG)
def test_contradictions_are_refused_with_their_place(stage, keys):
    path = stage.path("guise.yaml")
    path.write_text(f"forward:\n  - listen: 127.0.0.1:0\n    mask: {{{keys}}}\n", encoding="utf-8")
    status, *output = run("check", "-c", str(path))
    text = "".join(output)
    assert status == 1 and f"{path.name}:3:" in text
    assert any(word in text for word in WRONG[keys]), text
