"""What makes servers indistinguishable: sealed entity tags with the conditional requests of curl and nginx, Date, order, errors."""

import os
import re
import time
from email.utils import parsedate_to_datetime

import pytest

from support import http2, settings
from support.origin import answering, response
from support.process import run
from support.servers import Curl

KEY = "0123456789abcdef, and more of it"
OPAQUE = re.compile(r'(W/)?"[A-Za-z0-9_-]{86,278}"')
HTTP1, HTTP2 = "--http1.1", "--http2-prior-knowledge"
VERSIONS = pytest.mark.parametrize("version", [HTTP1, HTTP2], ids=["h1", "h2"])
BODY = "0123456789" * 10


def same(*servers, route=None, **options):
    """A reverse listener that speaks HTTP/1 and HTTP/2, with these options of `same`."""
    return settings.reverse(*servers, route=route, listener={"http2": "clear", "mask": {"same": options}})


class Answer:
    """What curl was answered."""

    def __init__(self, guise, version, target, *arguments):
        host, port = guise.reverse
        self.curl = Curl("-i", version, *arguments, f"http://{host}:{port}{target}")
        assert self.curl.status == 0, self.curl
        head, _, self.body = self.curl.body.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.names = [line.partition(":")[0] for line in lines[1:]]
        self.fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}

    @property
    def tag(self):
        return self.fields.get("etag")


@pytest.fixture
def nginx(stage):
    server = stage.nginx()
    with open(os.path.join(server.files, "page.txt"), "w", encoding="ascii") as file:
        file.write(BODY)
    os.utime(os.path.join(server.files, "page.txt"), (1600000000, 1600000000))
    return server


NGINX_TAG = f'"{1600000000:x}-{len(BODY):x}"'
LATER, EARLIER = "Mon, 01 Jan 2035 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:00 GMT"


@VERSIONS
def test_nginx_and_curl_go_on_with_their_conditions(stage, nginx, version):
    guise = stage.guise(same(nginx, etags=True, key=KEY))

    def ask(*fields, method=None):
        arguments = [part for field in fields for part in ("-H", field)]
        return Answer(guise, version, "/page.txt", *(["-I"] if method == "HEAD" else []), *arguments)

    plain = ask()
    tag = plain.tag
    assert plain.status == 200 and plain.body.decode() == BODY
    assert OPAQUE.fullmatch(tag) and tag != NGINX_TAG and f"{1600000000:x}" not in tag
    assert ask(method="HEAD").tag == tag

    # If-None-Match
    got = ask(f"If-None-Match: {tag}")
    assert (got.status, got.tag, got.body) == (304, tag, b"")
    assert ask(f'If-None-Match: "other", W/{tag}').status == 304
    assert ask(f"If-None-Match: {tag}", method="HEAD").status == 304
    assert ask("If-None-Match: *").status == 304
    assert ask(f"If-None-Match: {NGINX_TAG}").status == 200  # not ours: nobody who guesses a server's tag learns whether it is right
    assert ask(f"If-None-Match: {NGINX_TAG}", f"If-Modified-Since: {LATER}").status == 200
    assert ask(f"If-Modified-Since: {plain.fields['last-modified']}").status == 304

    # If-Match
    assert ask(f"If-Match: {tag}").status == 200
    assert ask(f'If-Match: "other", {tag}').status == 200
    assert ask("If-Match: *").status == 200
    assert ask(f"If-Match: {NGINX_TAG}").status == 412
    assert ask('If-Match: "other"').status == 412
    assert ask('If-Match: "other"', f"If-Unmodified-Since: {LATER}").status == 412

    # ranges
    got = ask("Range: bytes=10-19")
    assert (got.status, got.tag, got.body.decode()) == (206, tag, BODY[10:20])
    got = ask("Range: bytes=10-19", f"If-Range: {tag}")
    assert (got.status, got.tag, got.body.decode()) == (206, tag, BODY[10:20])
    for other in ('"other"', NGINX_TAG):
        got = ask("Range: bytes=10-19", f"If-Range: {other}")
        assert (got.status, got.tag, got.body.decode()) == (200, tag, BODY)
    got = ask("Range: bytes=10-19", f"If-Range: {plain.fields['last-modified']}")
    assert (got.status, got.body.decode()) == (206, BODY[10:20])
    assert ask("Range: bytes=1000-").status == 416


@VERSIONS
def test_curl_keeps_its_own_tags(stage, nginx, tmp_path, version):
    guise = stage.guise(same(nginx, etags=True))
    host, port = guise.reverse
    url, kept = f"http://{host}:{port}/page.txt", str(tmp_path / "tag")
    first = Curl(version, "--etag-save", kept, "-o", str(tmp_path / "page"), "-w", "%{http_code}", url)
    assert first.text == "200"
    again = Curl(version, "--etag-compare", kept, "-o", str(tmp_path / "again"), "-w", "%{http_code}", url)
    assert again.text == "304"
    with open(os.path.join(nginx.files, "page.txt"), "a", encoding="ascii") as file:
        file.write("more")
    changed = Curl(version, "--etag-compare", kept, "-o", str(tmp_path / "again"), "-w", "%{http_code}", url)
    assert changed.text == "200" and (tmp_path / "again").read_text() == BODY + "more"


def test_nodes_that_share_a_key_agree(stage, nginx, tmp_path):
    (tmp_path / "etag.key").write_text(KEY, encoding="ascii")
    config = dict(same(nginx, etags=True, key=KEY), workers=2)
    first, second = stage.guise(config), stage.guise(same(nginx, etags=True, key=f"file:{tmp_path}/etag.key"))
    other, random = stage.guise(same(nginx, etags=True, key=KEY + "!")), stage.guise(same(nginx, etags=True))
    tag = Answer(first, HTTP1, "/page.txt").tag
    for _ in range(8):  # whichever of the workers has it
        assert Answer(first, HTTP1, "/page.txt").tag == tag
    assert Answer(second, HTTP1, "/page.txt").tag == tag
    assert Answer(second, HTTP1, "/page.txt", "-H", f"If-None-Match: {tag}").status == 304
    for stranger in (other, random):
        assert Answer(stranger, HTTP1, "/page.txt").tag != tag
        assert Answer(stranger, HTTP1, "/page.txt", "-H", f"If-None-Match: {tag}").status == 200
        assert Answer(stranger, HTTP1, "/page.txt", "-H", f"If-Match: {tag}").status == 412
    said = [line for line in random.stderr.text.splitlines() if "etags" in line]
    assert len(said) == 1 and "key" in said[0]
    assert "etags" not in first.stderr.text and "etags" not in other.stderr.text


def test_what_still_tells_twins_apart(stage):
    """Two nginx with the same file: the tags are opaque, and as equal or different as the servers' own are (docs/sameness.md)."""
    twins = [stage.nginx(), stage.nginx()]
    for age, twin in enumerate(twins):
        for name, moment in (("alike.txt", 1600000000), ("unlike.txt", 1600000000 + age)):
            path = os.path.join(twin.files, name)
            with open(path, "w", encoding="ascii") as file:
                file.write(BODY)
            os.utime(path, (moment, moment))
    guise = stage.guise(same(*twins, etags=True, key=KEY))
    alike = [Answer(guise, HTTP1, "/alike.txt") for _ in range(6)]
    unlike = [Answer(guise, HTTP1, "/unlike.txt") for _ in range(6)]
    assert len({answer.tag for answer in alike}) == 1 and len({answer.tag for answer in unlike}) == 2
    assert len({answer.fields["last-modified"] for answer in unlike}) == 2


SEEN = [  # the client's field, with A and B for sealed tags of "a" and "b"; what the server is sent of it, and of the one beside it
    (("If-None-Match", "A"), ['"a"']),
    (("If-None-Match", "W/A"), ['W/"a"']),
    (("If-None-Match", "A, B"), ['"a", "b"']),
    (("If-None-Match", ' "x" ,, A ,"y",'), ['"a"']),
    (("If-None-Match", '"x"'), []),
    (("If-None-Match", "x"), []),
    (("If-None-Match", '"'), []),
    (("If-None-Match", "*"), ["*"]),
    (("If-Match", "A"), ['"a"']),
    (("If-Match", '"x", A'), ['"a"']),
    (("If-Match", '"x"'), ['W/"guise:no-such-tag"']),
    (("If-Match", "*"), ["*"]),
    (("If-Range", "A"), ['"a"']),
    (("If-Range", "W/A"), ['W/"a"']),
    (("If-Range", '"x"'), []),
    (("If-Range", "A B"), []),
    (("If-Range", EARLIER), [EARLIER]),
]


@pytest.fixture(scope="module")
def sealing(shared_stage):
    """(guise, origin, tags): /a and /b have the tags "a" and "b"."""
    def script(peer):
        while (request := peer.read_request()) is not None:
            name = request.target[1:]
            peer.send(response(200, b"ok", fields=[("ETag", f'"{name}"')]))
    origin = shared_stage.origin(script)
    guise = shared_stage.guise(same(origin, etags=True, key=KEY))
    return guise, origin, {name.upper(): Answer(guise, HTTP1, f"/{name}").tag for name in ("a", "b")}


@pytest.mark.parametrize("field, seen", SEEN)
@VERSIONS
def test_conditions_are_opened_for_the_server(sealing, version, field, seen):
    guise, origin, tags = sealing
    value = re.sub(r"\b[AB]\b", lambda found: tags[found.group()], field[1]) if field[1] != EARLIER else EARLIER
    Answer(guise, version, "/a", "-H", f"{field[0]}: {value}", "-H", "Range: bytes=0-0", "-H", f"If-Modified-Since: {EARLIER}")
    sent = origin.requests[-1].fields
    assert sent.all(field[0]) == seen
    # RFC 9110 13.1.5: without a tag that can match, Range does not count; 13.1.3: nor does If-Modified-Since beside If-None-Match.
    assert sent.has("Range") == (field[0] != "If-Range" or bool(seen))
    assert sent.has("If-Modified-Since") == (field[0] != "If-None-Match" or bool(seen))


@pytest.mark.parametrize("tags, shown", [
    (['"a"'], True), (['W/"a"'], True), (['""'], True), (['"a b"'], True), (['"' + "x" * 191 + '"'], True),
    (['"' + "x" * 192 + '"'], False), (["a"], False), (['"a'], False), (['w/"a"'], False), (['"a", "b"'], False),
    (['"a"', '"b"'], False), (['"a"', '"a"'], False),
])
def test_tags_are_sealed_or_dropped(stage, tags, shown):
    origin = stage.origin(answering(response(200, b"ok", fields=[("ETag", tag) for tag in tags])))
    guise = stage.guise(same(origin, etags=True, key=KEY))
    got = Answer(guise, HTTP1, "/").tag
    if not shown:
        assert got is None
        return
    assert OPAQUE.fullmatch(got) and got.startswith("W/") == tags[0].startswith("W/")
    Answer(guise, HTTP1, "/", "-H", f"If-None-Match: {got}")
    assert origin.requests[-1].fields.all("If-None-Match") == tags


def test_tags_in_trailers_are_sealed(stage):
    late = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: ETag\r\n\r\n2\r\nok\r\n0\r\nETag: "late"\r\n\r\n'
    guise = stage.guise(same(stage.origin(answering(late)), etags=True, key=KEY))
    got = stage.client(guise.reverse).ask("GET / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
    assert got.body == b"ok" and len(got.trailers.all("ETag")) == 1 and OPAQUE.fullmatch(got.trailers.get("ETag"))


@VERSIONS
def test_date_is_by_our_clock(stage, version):
    origin = stage.origin(answering(response(200, b"ok", fields=[("Date", EARLIER)])))
    ours, theirs = stage.guise(same(origin, date=True)), stage.guise(same(origin))
    assert Answer(theirs, version, "/").fields["date"] == EARLIER
    moment = parsedate_to_datetime(Answer(ours, version, "/").fields["date"]).timestamp()
    assert abs(moment - time.time()) < 5


def test_order_and_spelling_are_the_same(stage):
    one = [("x-two", "2"), ("Content-Type", "text/plain"), ("X-ONE", "1"), ("Set-Cookie", "b=1"), ("Set-Cookie", "a=2"), ("etag", '"a"'),
           ("www-Authenticate", "Basic")]
    other = [("WWW-AUTHENTICATE", "Basic"), ("Set-Cookie", "b=1"), ("X-One", "1"), ("ETAG", '"a"'), ("SET-cookie", "a=2"),
             ("content-type", "text/plain"), ("X-Two", "2")]
    origin = stage.origin(answering(response(200, b"ok", fields=one), response(200, b"ok", fields=other)))
    guise = stage.guise(same(origin, order=True))
    first, second = Answer(guise, HTTP1, "/"), Answer(guise, HTTP1, "/")
    assert first.names == second.names
    assert [name for name in first.names if name in ("ETag", "Set-Cookie", "WWW-Authenticate", "X-One", "X-Two")] == \
        ["ETag", "Set-Cookie", "Set-Cookie", "WWW-Authenticate", "X-One", "X-Two"]
    assert first.curl.text.index("b=1") < first.curl.text.index("a=2")
    assert Answer(guise, HTTP2, "/").names == [name.lower() for name in first.names]


# errors

TELLING = [("Server", "telling/1.2"), ("X-Trace", "node-7"), ("Retry-After", "7"), ("WWW-Authenticate", "Basic realm=x"), ("ETag", '"e"'),
           ("Content-Language", "de"), ("Set-Cookie", "s=1"), ("Access-Control-Allow-Origin", "*"), ("Content-Type", "text/x-debug")]
TRACE = b"Traceback on node-7: /srv/app.py line 3"


def erring(status, body=TRACE):
    return answering(response(status, body, fields=TELLING))


@pytest.mark.parametrize("errors, status, replaced", [
    ("5xx", 500, True), ("5xx", 503, True), ("5xx", 404, False), ("all", 404, True), ("all", 401, True), ("all", 200, False),
    ("all", 304, False), (False, 500, False)])
@VERSIONS
def test_content_of_errors_is_ours(stage, version, errors, status, replaced):
    body = b"" if status == 304 else TRACE
    origin = stage.origin(answering(response(status, body, fields=TELLING, length=status != 304)))
    guise = stage.guise(same(origin, errors=errors))
    got = Answer(guise, version, "/")
    assert got.status == status and got.fields["retry-after"] == "7" and got.fields["www-authenticate"] == "Basic realm=x"
    if not replaced:
        assert got.body == body
        return
    assert b"node-7" not in got.curl.body and "etag" not in got.fields and "content-language" not in got.fields
    assert got.fields["content-type"] == "application/problem+json" and got.fields["cache-control"] == "no-store"
    assert got.fields["set-cookie"] == "s=1" and got.fields["access-control-allow-origin"] == "*"
    assert int(got.fields["content-length"]) == len(got.body) and f'"status":{status}'.encode() in got.body
    page = Answer(guise, version, "/", "-H", "Accept: text/html")
    assert page.fields["content-type"].startswith("text/html") and b"<h1>%d " % status in page.body
    head = Answer(guise, version, "/", "-I")
    assert head.status == status and head.body == b"" and head.fields["content-length"] == got.fields["content-length"]
    assert len(origin.peers) == 1  # what the server said was read to its end: its connection serves on


def test_errors_of_any_length_are_answered(stage):
    """What is too long, does not end, or breaks is given up; the client has the same answer."""
    def script(peer):
        while (request := peer.read_request()) is not None:
            head = b"HTTP/1.1 503 Busy\r\n"
            if request.target == "/long":
                peer.send(head + b"Content-Length: 600000\r\n\r\n" + b"x" * 600000)
            elif request.target == "/slow":
                peer.send(head + b"Content-Length: 10\r\n\r\nx")
            elif request.target == "/broken":
                peer.send(head + b"Content-Length: 10\r\n\r\nx")
                return
            elif request.target == "/garbage":
                peer.send(head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
            else:
                peer.send(head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    origin = stage.origin(script)
    guise = stage.guise(same(origin, errors="5xx"))
    client = stage.client(guise.reverse)
    bodies = {client.get(target).body for target in ("/chunked", "/long", "/chunked", "/broken", "/garbage", "/slow", "/chunked")}
    assert bodies == {b'{"status":503,"title":"Service Unavailable"}\n'}
    assert len(origin.requests) == 7  # and none was asked again
    guise.wait_log(lambda entry: entry["target"] == "/slow" and entry["status"] == 503 and entry["error"] is None)


@VERSIONS
def test_servers_of_http2(stage, version):
    """Tags and errors, with the streams of one connection; one that does not end is reset, and the others go on."""
    def script(connection, stream):
        path = stream.head.get(":path")
        if path == "/tag":
            connection.answer(stream, 200, [("etag", '"plain"')], b"ok")
        elif path == "/endless":
            connection.answer(stream, 503, [], b"x", end=False)
        else:
            connection.answer(stream, 503, [("retry-after", "3")], TRACE)
    origin = stage.origin(http2.serving(script))
    guise = stage.guise(dict(same(origin, etags=True, key=KEY, errors="5xx"), upstreams={"web": {"servers": [origin.address], "http": "2"}}))
    tag = Answer(guise, version, "/tag").tag
    assert OPAQUE.fullmatch(tag) and Answer(guise, version, "/tag", "-H", f"If-None-Match: {tag}").tag == tag
    streams = origin.peers[0].http2.streams
    assert streams[max(streams)].head.get("if-none-match") == '"plain"'
    for path in ("/error", "/endless", "/error"):
        got = Answer(guise, version, path)
        assert (got.status, got.body) == (503, b'{"status":503,"title":"Service Unavailable"}\n')
    assert got.fields["retry-after"] == "3" and len(origin.peers) == 1


def test_clients_that_go_while_an_error_is_read(stage):
    def script(peer):
        while peer.read_request() is not None:
            peer.send(b"HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nx")
    origin = stage.origin(script)
    guise = stage.guise(same(origin, errors="5xx"))
    for _ in range(3):
        client = stage.client(guise.reverse)
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        origin.wait_requests(len(origin.requests) or 1)
        client.close()
    assert Answer(guise, HTTP1, "/").status == 500


# mistakes

@pytest.mark.parametrize("options, words", [
    ({"etags": True, "key": "short"}, ["16 bytes"]), ({"errors": "4xx"}, ["errors", "all"]), ({"etag": True}, ["etags"]),
])
def test_mistakes_are_told(stage, options, words):
    path = settings.write(stage.path("guise.yaml"), same("127.0.0.1:1", **options))
    status, _, errors = run("check", "-c", str(path))
    assert status == 2 or status == 1
    for word in words:
        assert word in errors


def test_a_key_without_tags_is_wondered_at(stage):
    path = settings.write(stage.path("guise.yaml"), same("127.0.0.1:1", key=KEY))
    status, out, errors = run("check", "-c", str(path))
    assert status == 0 and "etags" in out + errors
