"""Leak guard: names and addresses of servers leave in no head, no trailer and, where asked for, no content, over both versions on both sides."""

import base64
import gzip
import threading
import zlib

import pytest

from support import http2, settings
from support.client import chunked
from support.origin import response
from support.process import run
from support.waiting import wait_for
from support.wire import Fields, Truncated

INSIDE = "app.internal"
SITE = "shop.example"
HTML = [("Content-Type", "text/html; charset=utf-8")]


def build(stage, script, leaks=None, version="1", servers=None, route=None, **top):
    """A reverse listener whose server is called app.internal and has the address 127.0.0.1."""
    origin = stage.origin(http2.serving(script) if version == "2" else script)
    names = stage.names()
    names.set(INSIDE, v4=["127.0.0.1"])
    config = settings.reverse(*(servers or [f"{INSIDE}:{origin.port}"]), upstream={"http": version},
                              listener={"http2": "clear", "mask": {"leaks": leaks or {}}},
                              route=dict({"host": SITE}, **(route or {})), **top)
    config["resolver"] = {"servers": [names.address], "hosts": False}
    guise = stage.guise(config)
    guise.origin = origin
    return guise


def always(fields=(), body=b"", status=200, length=True, interim=None, trailers=None):
    """A server's script: all requests are answered alike."""
    def script(peer):
        while (request := peer.read_request()) is not None:
            data = b"" if request.method == "HEAD" else body
            head = response(status, data, fields, length=length and request.method != "HEAD")
            if request.method == "HEAD":
                head = response(status, b"", [*fields, ("Content-Length", str(len(body)))], length=False)
            if trailers is not None:
                head = response(status, b"", [*fields, ("Transfer-Encoding", "chunked")], length=False) + chunked(body, trailers=trailers)
            if interim:
                head = b"HTTP/1.1 103 Early Hints\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in interim) \
                    + b"\r\n" + head
            peer.send(head)
    return script


def always2(fields=(), body=b"", status=200, interim=None, trailers=None):
    """The same over HTTP/2."""
    def lower(pairs):
        return [(name.lower(), value) for name, value in pairs]

    def script(connection, stream):
        if interim:
            connection.send_fields(stream, [(":status", "103"), *lower(interim)])
        connection.answer(stream, status, lower(fields), body, trailers=lower(trailers) if trailers else None)
    return script


class Answer:
    def __init__(self, status, fields, body, interim=(), trailers=()):
        self.status = status
        self.fields = Fields(fields)
        self.body = body
        self.interim = [Fields(one) for one in interim]
        self.trailers = Fields(trailers or [])


def ask(stage, guise, version="1", method="GET", fields=(), path="/"):
    if version == "2":
        client = http2.Client(guise.reverse).settled()
        stage.clients.append(client)
        stream = client.ask(method, path, authority=SITE, fields=[("te", "trailers"), *((name.lower(), value) for name, value in fields)])
        return Answer(stream.status, stream.head, bytes(stream.body), stream.interim, stream.trailers)
    text = "".join(f"{name}: {value}\r\n" for name, value in fields)
    got = stage.client(guise.reverse).get(path, host=SITE, method=method, fields=text + "TE: trailers\r\nConnection: TE\r\n")
    return Answer(got.status, got.fields, got.body, [one.fields for one in got.interim], got.trailers)


def told(guise, text):
    """Waits for a line in the log that tells of a leak."""
    return guise.stderr.wait(lambda line: ": leak: " in line and text in line.lower(), f"a leak: {text}")


def broken_by_leak(guise):
    return guise.wait_log()["error"] == "the response says what is to stay inside"


both_sides = pytest.mark.parametrize("client, upstream", [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")])

TALK = [("X-Tell", f"http://{INSIDE}:8080/a and APP.internal"), ("X-At", "127.0.0.1"), ("X-Plain", "127.0.0.12 myapp.internal"),
        ("X-Project", "falcon 7"), ("X-127.0.0.1", "yes"), ("X-Next", f"/login?to=http%3A%2F%2F{INSIDE}%2Fx")]


@both_sides
def test_heads_and_trailers(stage, client, upstream):
    """By default what can be told in public words is, and the rest goes; interim heads and trailers too."""
    make = always2 if upstream == "2" else always
    guise = build(stage, make(TALK, b"ok", interim=TALK, trailers=TALK), {"words": ["falcon"]}, upstream)
    got = ask(stage, guise, client)
    assert got.interim and got.trailers.names()
    for place in (got.fields, got.trailers, *got.interim):
        assert place.get("X-Tell") == f"http://{SITE}/a and {SITE}"
        assert place.get("X-At") == SITE
        assert place.get("X-Plain") == "127.0.0.12 myapp.internal"
        assert place.get("X-Next") == f"/login?to=http%3A%2F%2F{SITE}%2Fx"
        assert not place.has("X-Project") and not place.has("X-127.0.0.1")
    assert got.status == 200 and got.body == b"ok"
    assert "route 0, server 127.0.0.1:" in told(guise, 'x-tell says "app.internal": rewritten')
    told(guise, 'says "falcon": removed')
    assert guise.wait_log()["leaks"] >= 5


def test_an_entity_tag_is_not_made_another(stage):
    """Conditions on one that the server never gave would never hold: If-Match would refuse all changes."""
    guise = build(stage, always([("ETag", '"127.0.0.1-5f"'), ("X-Tell", "127.0.0.1-5f")], b"ok"))
    got = ask(stage, guise)
    assert not got.fields.has("ETag") and got.fields.get("X-Tell") == f"{SITE}-5f"
    told(guise, 'etag says "127.0.0.1": removed')


@pytest.mark.parametrize("policy, value", [("off", f"at {INSIDE}"), ("report", f"at {INSIDE}"), ("remove", None), ("rewrite", f"at {SITE}")])
def test_policies_of_heads(stage, policy, value):
    guise = build(stage, always([("X-Tell", f"at {INSIDE}")], b"ok"), {"heads": policy})
    got = ask(stage, guise)
    assert got.fields.get("X-Tell") == value
    assert guise.wait_log().get("leaks", 0) == (policy != "off")


@both_sides
def test_a_head_is_blocked(stage, client, upstream):
    make = always2 if upstream == "2" else always
    guise = build(stage, make([("X-Tell", f"at {INSIDE}")], b"secret"), {"heads": "block"}, upstream)
    got = ask(stage, guise, client)
    assert got.status == 502 and b"secret" not in got.body and not got.fields.has("X-Tell")
    assert broken_by_leak(guise)


@both_sides
def test_trailers_are_blocked(stage, client, upstream):
    """The head is out: the response is broken off."""
    make = always2 if upstream == "2" else always
    guise = build(stage, make((), b"good", trailers=[("X-Tell", INSIDE)]), {"heads": "block"}, upstream)
    if client == "2":
        browser = http2.Client(guise.reverse).settled()
        stage.clients.append(browser)
        stream = browser.request(authority=SITE)
        browser.until(lambda: stream.over, "the end of the stream")
        assert stream.reset is not None and not stream.trailers
    else:
        with pytest.raises(Truncated):
            ask(stage, guise)
    assert broken_by_leak(guise)


def test_no_public_name_no_rewriting(stage):
    """What the client says is its host is nobody's word: the field goes."""
    guise = build(stage, always([("X-Tell", f"at {INSIDE}"), ("Content-Type", "text/html")], f"a {INSIDE} b".encode()),
                  {"body": "rewrite"}, route={"host": []})
    got = ask(stage, guise)
    assert not got.fields.has("X-Tell") and got.body == b"a  b"


PAGE = (f'<a href="http://{INSIDE}:8080/x">x</a> at 127.0.0.1, not 127.0.0.12 or my{INSIDE}; '
        f'{{"u":"https:\\/\\/{INSIDE}\\/"}} falcon <b>{INSIDE}</b>').encode()
CLEAN = (f'<a href="http://{SITE}/x">x</a> at {SITE}, not 127.0.0.12 or my{INSIDE}; '
         f'{{"u":"http:\\/\\/{SITE}\\/"}}  <b>{SITE}</b>').encode()
VALIDATORS = [("ETag", '"v1"'), ("Accept-Ranges", "bytes"), ("Digest", "md5=x"), ("Content-Digest", "sha-256=:x:"),
              ("Repr-Digest", "sha-256=:x:"), ("Content-MD5", "x"), ("Last-Modified", "Sat, 01 Jan 2022 00:00:00 GMT")]


@both_sides
@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate", "raw"])
def test_content_is_rewritten(stage, client, upstream, coding):
    """Decoded where it must be; what is said of the server's bytes goes."""
    raw = zlib.compressobj(wbits=-15)
    body = {"identity": PAGE, "gzip": gzip.compress(PAGE), "deflate": zlib.compress(PAGE),
            "raw": raw.compress(PAGE) + raw.flush()}[coding]
    fields = HTML + VALIDATORS
    if coding != "identity":
        fields = fields + [("Content-Encoding", {"gzip": "x-gzip", "raw": "deflate"}.get(coding, coding))]
    make = always2 if upstream == "2" else always
    guise = build(stage, make(fields, body), {"body": "rewrite", "words": ["falcon"]}, upstream)
    got = ask(stage, guise, client, fields=[("Accept-Encoding", "gzip, br;q=0.9, deflate;q=0.5"), ("Range", "bytes=0-3"), ("If-Range", '"v1"')])
    assert got.status == 200 and got.body == CLEAN
    assert got.fields.get("ETag") == 'W/"v1"' and got.fields.has("Last-Modified")
    for name in ("Accept-Ranges", "Digest", "Content-Digest", "Repr-Digest", "Content-MD5", "Content-Encoding"):
        assert not got.fields.has(name), name
    if upstream == "1":
        asked = guise.origin.requests[0].fields
        assert asked.get("Accept-Encoding") == "gzip, deflate;q=0.5"
        assert not asked.has("Range") and not asked.has("If-Range")


def test_digests_in_trailers(stage):
    trailers = [("Repr-Digest", "sha-256=:x:"), ("X-Sum", "1")]
    assert ask(stage, build(stage, always(HTML, PAGE, trailers=trailers), {"body": "rewrite"})).trailers.names() == ["x-sum"]
    assert ask(stage, build(stage, always(HTML, PAGE, trailers=trailers))).trailers.names() == ["repr-digest", "x-sum"]


def test_split_at_each_place(stage):
    """However a name is cut into chunks, also of a compressed body, it is found."""
    page = f"<p>{INSIDE}, 127.0.0.1:80".encode()
    packed = gzip.compress(page)

    def script(peer):
        while (request := peer.read_request()) is not None:
            kind, at = request.target.strip("/").split("/")
            body = packed if kind == "gzip" else page
            parts = [part for part in (body[:int(at)], body[int(at):]) if part]
            if kind == "bytes":
                parts = [bytes([one]) for one in body]
            coding = [("Content-Encoding", "gzip")] if kind == "gzip" else []
            peer.send(response(200, b"", [*HTML, *coding, ("Transfer-Encoding", "chunked")], length=False))
            peer.send(chunked(*parts))
    guise = build(stage, script, {"body": "rewrite"})
    client = stage.client(guise.reverse)
    wanted = f"<p>{SITE}, {SITE}".encode()
    for kind, count in (("plain", len(page)), ("gzip", len(packed)), ("bytes", 1)):
        for at in range(count):
            assert client.get(f"/{kind}/{at}", host=SITE).body == wanted, (kind, at)


@pytest.mark.parametrize("policy, body, error", [
    ("report", PAGE, False), ("remove", PAGE, False), ("rewrite", CLEAN, False), ("block", None, True)])
def test_policies_of_content(stage, policy, body, error):
    guise = build(stage, always(HTML, b"x" * 100000 + b" " + PAGE), {"body": policy, "words": ["falcon"]})
    if error:
        with pytest.raises(Truncated) as broken:
            ask(stage, guise)
        assert broken.value.partial.body.startswith(b"xxx") and INSIDE.encode() not in broken.value.partial.body
        assert broken_by_leak(guise)
    else:
        got = ask(stage, guise)
        if policy == "remove":
            assert INSIDE.encode() not in got.body.replace(f"my{INSIDE}".encode(), b"") and SITE.encode() not in got.body
        else:
            assert got.body == b"x" * 100000 + b" " + body
        assert got.fields.has("Content-Length") == (policy == "report")
    told(guise, "content says")


@pytest.mark.parametrize("status, fields", [(404, HTML), (200, HTML + [("Cache-Control", "public, no-transform")])])
def test_what_may_not_be_edited_is_reported(stage, status, fields):
    """Only a 200 is edited, and nothing that asks not to be; where it must not pass, it is broken off."""
    script = always(fields + VALIDATORS, PAGE, status)
    got = ask(stage, build(stage, script, {"body": "rewrite"}))
    assert got.status == status and got.body == PAGE and got.fields.get("ETag") == '"v1"' and got.fields.has("Accept-Ranges")
    assert got.fields.get("Content-Length") == str(len(PAGE))
    with pytest.raises(Truncated):
        ask(stage, build(stage, script, {"body": "block"}))


def test_blocked_in_gzip(stage):
    """Passed on as it is, unless something is in it."""
    fields = HTML + [("Content-Encoding", "gzip")]
    good = gzip.compress(b"nothing to see" * 1000)
    assert gzip.decompress(ask(stage, build(stage, always(fields, good), {"body": "block"})).body) == b"nothing to see" * 1000
    guise = build(stage, always(fields, gzip.compress(b"nothing to see" * 1000 + PAGE)), {"body": "block"})
    with pytest.raises(Truncated):
        ask(stage, guise)


def test_codings_that_cannot_be_read(stage):
    fields = HTML + [("Content-Encoding", "br")]
    guise = build(stage, always(fields, PAGE), {"body": "rewrite"})
    got = ask(stage, guise)
    assert got.body == PAGE and got.fields.get("Content-Encoding") == "br"
    told(guise, "only gzip and deflate are known")
    assert ask(stage, build(stage, always(fields, PAGE), {"body": "block"})).status == 502
    # it says gzip, and is not; it ends too early
    for body in (PAGE, gzip.compress(PAGE)[:-9]):
        with pytest.raises(Truncated):
            ask(stage, build(stage, always(HTML + [("Content-Encoding", "gzip")], body), {"body": "rewrite"}))


def test_types(stage):
    """Pictures are left alone; which types are looked at can be said."""
    picture = always([("Content-Type", "image/png"), *VALIDATORS], PAGE)
    got = ask(stage, build(stage, picture, {"body": "rewrite"}))
    assert got.body == PAGE and got.fields.get("ETag") == '"v1"' and got.fields.get("Content-Length") == str(len(PAGE))
    assert ask(stage, build(stage, picture, {"body": "rewrite", "types": ["image/*"], "words": ["falcon"]})).body == CLEAN


@both_sides
def test_head_and_conditional_answers_agree(stage, client, upstream):
    if upstream == "2":
        def script(connection, stream):
            status = 304 if stream.field("if-none-match") else 200
            body = PAGE if status == 200 and stream.field(":method") == "GET" else None
            connection.answer(stream, status, [(name.lower(), value) for name, value in HTML + VALIDATORS], body)
    else:
        def script(peer):
            while (request := peer.read_request()) is not None:
                if request.fields.has("If-None-Match"):
                    peer.send(response(304, b"", HTML + VALIDATORS, length=False))
                else:
                    data = b"" if request.method == "HEAD" else PAGE
                    peer.send(response(200, b"", [*HTML, *VALIDATORS, ("Content-Length", str(len(PAGE)))], length=False) + data)
    guise = build(stage, script, {"body": "rewrite", "words": ["falcon"]}, upstream)
    got = ask(stage, guise, client)
    head = ask(stage, guise, client, method="HEAD")
    assert got.body == CLEAN and head.body == b"" and head.status == 200
    for name in ("ETag", "Accept-Ranges", "Digest", "Last-Modified", "Content-Type"):
        assert head.fields.get(name) == got.fields.get(name), name
    assert head.fields.get("Content-Length") in (None, str(len(CLEAN)))
    fresh = ask(stage, guise, client, fields=[("If-None-Match", got.fields.get("ETag"))])
    assert fresh.status == 304 and fresh.fields.get("ETag") == got.fields.get("ETag")


def test_encoded_addresses(stage):
    """In percent-encoding and base64, where that is switched on."""
    def script(peer):
        port = peer.origin.port
        text = f"127%2E0.0.1 {base64.b64encode(b'x=127.0.0.1:%d' % port).decode()}".encode()
        fields = [*HTML, ("X-Percent", "/?u=%31%32%37.0.0.1"), ("X-Base", base64.b64encode(b"at 127.0.0.1").decode())]
        while peer.read_request() is not None:
            peer.send(response(200, text, fields))
    origin = stage.origin(script)
    for encoded in (True, False):
        config = settings.reverse(origin, listener={"mask": {"leaks": {"encoded": encoded, "body": "rewrite"}}}, route={"host": SITE})
        got = ask(stage, stage.guise(config))
        assert got.fields.get("X-Percent") == (f"/?u={SITE}" if encoded else "/?u=%31%32%37.0.0.1")
        assert got.fields.has("X-Base") != encoded
        assert (b"127%2E" in got.body) != encoded
        assert (b"MjcuMC4wLjE" in got.body) != encoded


def test_networks(stage):
    leaks = {"networks": ["10.0.0.0/8", "fd00::/8"], "body": "rewrite"}
    fields = HTML + [("X-Peer", "10.20.30.40"), ("X-Six", "[FD00:0::1]:80"), ("X-Other", "11.0.0.1 q=0.5 2001:db8::1 12:34:56")]
    got = ask(stage, build(stage, always(fields, b"<10.1.2.3> fd00:0:0::2;11.0.0.1"), leaks))
    assert not got.fields.has("X-Peer") and not got.fields.has("X-Six")
    assert got.fields.get("X-Other") == "11.0.0.1 q=0.5 2001:db8::1 12:34:56"
    assert got.body == b"<> ;11.0.0.1"


def test_addresses_of_the_other_servers_of_the_group(stage):
    """Whoever answers knows where the others are; the configuration does not."""
    fields = HTML + [("X-Peer", "peer=127.0.0.13"), ("Cache-Control", 'private="127.0.0.13"'), ("X-Mapped", "[::ffff:127.0.0.13]:80"), ("Location", "http://127.0.0.13:8080/next"),
                     ("X-Other", "127.0.0.14 1.2.3.4")]
    origin = stage.origin(always(fields, b"<127.0.0.13>127.0.0.14"), host="127.0.0.12")
    names = stage.names()
    names.set("one.internal", v4=["127.0.0.12"])
    names.set("two.internal", v4=["127.0.0.13"])
    config = settings.reverse(f"one.internal:{origin.port}", {"address": f"two.internal:{origin.port}", "backup": True},
                              listener={"mask": {"leaks": {"body": "rewrite"}}}, route={"host": SITE})
    config["resolver"] = {"servers": [names.address], "hosts": False}
    guise = stage.guise(config)
    wait_for(lambda: names.count("two.internal"), "the other name to be asked for")
    wait_for(lambda: ask(stage, guise).fields.get("X-Peer") == f"peer={SITE}", "the other server to be there")
    got = ask(stage, guise)
    assert got.fields.get("X-Mapped") == SITE and "127.0.0.13" not in got.fields.get("Cache-Control")
    assert got.fields.get("Location") == f"http://{SITE}/next"
    assert got.fields.get("X-Other") == "127.0.0.14 1.2.3.4"
    assert got.body == f"<{SITE}>127.0.0.14".encode()


@pytest.mark.parametrize("client", ["1", "2"])
def test_much_content_in_little_memory(stage, client):
    """Nothing is buffered whole, whatever a body becomes, and whoever reads it slowly or not."""
    page = b"".join(b"<td>%d</td>" % (i * i) + (INSIDE.encode() if i % 50 == 0 else b"") for i in range(1 << 19))
    packed = gzip.compress(page, 1)

    def script(peer):
        while peer.read_request() is not None:
            peer.send(response(200, packed, HTML + [("Content-Encoding", "gzip")]))
    guise = build(stage, script, {"body": "rewrite"})
    ask(stage, guise, client)
    guise.reset_peak()
    before = guise.resident()
    got = ask(stage, guise, client)
    assert len(page) > 8 << 20 and got.body == page.replace(INSIDE.encode(), SITE.encode())
    assert guise.resident_peak() - before < 8 << 20


@pytest.mark.parametrize("policy", ["report", "rewrite"])
def test_a_bomb(stage, policy):
    """What becomes a thousand times as much is not looked at to its end."""
    packer = zlib.compressobj(wbits=31)
    packed = b"".join([packer.compress(bytes(1 << 20)) for _ in range(64)] + [packer.flush()])
    guise = build(stage, always(HTML + [("Content-Encoding", "gzip")], packed), {"body": policy})
    if policy == "report":
        assert ask(stage, guise).body == packed
    else:
        with pytest.raises(Truncated) as broken:
            ask(stage, guise)
        assert len(broken.value.partial.body) < 8 << 20
    told(guise, "becomes too much")


def test_events_are_not_held_back(stage):
    """A line that has ended is nobody's beginning."""
    def script(peer):
        while peer.read_request() is not None:
            peer.send(response(200, b"", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")], length=False))
            for _ in range(3):
                event = f"data: from {INSIDE}\n\n".encode()
                peer.send(b"%x\r\n%s\r\n" % (len(event), event))
                peer.gate.wait(10)
                peer.gate.clear()
            peer.send(b"0\r\n\r\n")
    gate = threading.Event()

    def gated(peer):
        peer.gate = gate
        script(peer)
    guise = build(stage, gated, {"body": "rewrite"})
    client = stage.client(guise.reverse)
    client.send(f"GET / HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode())
    client.read_response_head()
    for _ in range(3):
        seen = b""
        while b"\n\n" not in seen:
            size = int(client.read_line(), 16)
            seen += client.read_exact(size)
            client.read_exact(2)
        assert seen == f"data: from {SITE}\n\n".encode()
        gate.set()


def test_the_log_is_bounded(stage):
    guise = build(stage, always([("X-Tell", INSIDE)] * 10, b"ok"))
    for _ in range(10):
        ask(stage, guise)
    told(guise, INSIDE)
    guise.wait_log(lambda entry: len(guise.log_entries()) == 10)
    assert sum(entry["leaks"] for entry in guise.log_entries()) == 100
    assert sum(": leak: " in line for line in guise.stderr.text.splitlines()) <= 40


@pytest.mark.parametrize("leaks, complaint", [
    ({"words": ["ab"]}, "at least three bytes"), ({"words": ["x" * 300]}, "at most 256 bytes"), ({"networks": ["10.0.0.1/8"]}, "not a network"),
    ({"networks": ["0.0.0.0/0"]}, "all addresses would be secret"), ({"types": ["html"]}, "not a media type"), ({"types": ["*/*"]}, "one \"*\""),
    ({"heads": "rewire"}, "rewrite"), ({"body": "true"}, "body"), ({"window": "1 KiB"}, "8 KiB"), ({"word": ["abc"]}, "words")])
def test_what_is_refused(tmp_path, leaks, complaint):
    path = settings.write(tmp_path / "guise.yaml", settings.reverse("127.0.0.1:1", listener={"mask": {"leaks": leaks}}))
    status, _, errors = run("check", "-c", str(path))
    assert status != 0 and complaint in errors and "guise.yaml:" in errors
