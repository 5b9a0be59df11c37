"""Reverse: which route a request takes, and what routes do by themselves."""

import pytest

from support import settings
from support.origin import answering, echoing_request, response


def respond(name, **match):
    return dict(match, respond={"status": 200, "body": name})


TABLE = [
    respond("exact host", host="exact.test"),
    respond("one of two hosts", host=["one.test", "two.test"]),
    respond("wildcard host", host="*.wild.test"),
    respond("exact path", host="path.test", path="/exact"),
    respond("under a path", host="path.test", path="/under/"),
    respond("prefix", host="path.test", path="/pre*"),
    respond("pattern", host="path.test", path="~^/p[0-9]+$"),
    respond("method", host="method.test", method="DELETE"),
    respond("one of two methods", host="method.test", method=["PUT", "PATCH"]),
    respond("exact field", host="field.test", fields={"X-Env": "canary"}),
    respond("pattern in a field", host="field.test", fields={"X-Debug": "~^[0-9]$"}),
    respond("two fields", host="field.test", fields={"X-A": "1", "X-B": "2"}),
    respond("field is there", host="field.test", fields={"X-Any": "*"}),
    respond("shadowed", host="exact.test"),
    respond("default", path="/default"),
]

CASES = [
    ("exact.test", "/", "exact host"),
    ("EXACT.Test", "/", "exact host"),
    ("exact.test:8080", "/", "exact host"),
    ("sub.exact.test", "/", None),
    ("one.test", "/", "one of two hosts"),
    ("two.test", "/", "one of two hosts"),
    ("a.wild.test", "/", "wildcard host"),
    ("a.b.wild.test", "/", "wildcard host"),
    ("wild.test", "/", None),
    ("xwild.test", "/", None),
    ("path.test", "/exact", "exact path"),
    ("path.test", "/exact?a=b", "exact path"),
    ("path.test", "/exact/", None),
    ("path.test", "/exactly", None),
    ("path.test", "/Exact", None),
    ("path.test", "/under/", "under a path"),
    ("path.test", "/under/a/b", "under a path"),
    ("path.test", "/underx", None),
    ("path.test", "/prefix", "prefix"),
    ("path.test", "/pre", "prefix"),
    ("path.test", "/p123", "pattern"),
    ("path.test", "/p123?q", "pattern"),
    ("path.test", "/p123x", None),
    ("other.test", "/default", "default"),
    ("other.test", "/other", None),
]


@pytest.fixture(scope="module")
def guise(shared_stage):
    return shared_stage.guise(settings.routes(*TABLE))


@pytest.mark.parametrize("host, target, name", CASES)
def test_host_and_path(stage, guise, host, target, name):
    got = stage.client(guise.reverse).get(target, host=host)
    if name is None:
        assert got.status == 404
    else:
        assert (got.status, got.body.decode()) == (200, name)


@pytest.mark.parametrize("target", [
    "/under/../exact", "/%65xact", "/under/%2e%2e/exact", "//exact", "///exact", "/./exact", "/%2fexact", "/under/..//exact"])
def test_spellings_of_a_path_do_not_slip_past(stage, guise, target):
    """What some server would read as the same path meets the same route."""
    got = stage.client(guise.reverse).get(target, host="path.test")
    assert (got.status, got.body) == (200, b"exact path")


@pytest.mark.parametrize("target", ["/under//../exact", "/%2f../exact", "/../exact", "/under/../../exact"])
def test_paths_that_servers_read_differently_are_refused(stage, guise, target):
    assert stage.client(guise.reverse).get(target, host="path.test").status == 400


@pytest.mark.parametrize("method, name", [
    ("DELETE", "method"), ("PUT", "one of two methods"), ("PATCH", "one of two methods"), ("GET", None),
    ("delete", None)])
def test_method(stage, guise, method, name):
    got = stage.client(guise.reverse).get("/", host="method.test", method=method)
    assert (got.status, got.body.decode() if got.status == 200 else None) == (200 if name else 404, name)


@pytest.mark.parametrize("fields, name", [
    ("X-Env: canary\r\n", "exact field"), ("x-env: canary\r\n", "exact field"), ("X-Env: canaryx\r\n", None),
    ("X-Debug: 7\r\n", "pattern in a field"), ("X-Debug: 77\r\n", None), ("X-A: 1\r\n", None),
    ("X-A: 1\r\nX-B: 2\r\n", "two fields"), ("X-Any: whatever\r\n", "field is there"), ("", None)])
def test_fields(stage, guise, fields, name):
    got = stage.client(guise.reverse).get("/", host="field.test", fields=fields)
    assert (got.status, got.body.decode() if got.status == 200 else None) == (200 if name else 404, name)


def test_absolute_form_replaces_host(stage, guise):
    got = stage.client(guise.reverse).ask(b"GET http://exact.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n")
    assert got.body == b"exact host"


def test_no_route_is_a_404_of_our_own(stage, guise):
    client = stage.client(guise.reverse)
    got = client.get("/nowhere", host="other.test")
    assert got.status == 404 and got.fields.get("Proxy-Status", "").startswith("guise")
    assert client.get("/default", host="other.test").status == 200  # and the connection lives on


def test_respond_with_type_and_fields(stage):
    guise = stage.guise(settings.routes({
        "respond": {"status": 201, "body": "<p>", "type": "text/html", "fields": {"X-A": "b"}}}))
    client = stage.client(guise.reverse)
    got = client.get()
    assert (got.status, got.body, got.fields.get("Content-Type"), got.fields.get("X-A")) == (201, b"<p>", "text/html", "b")
    got = client.get(method="HEAD")
    assert got.status == 201 and got.fields.get("Content-Length") == "3"
    assert got.fields.has("Date")


def test_respond_reads_the_request_body(stage):
    guise = stage.guise(settings.routes({"respond": {"status": 200, "body": "ok"}}))
    client = stage.client(guise.reverse)
    assert client.ask(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello").status == 200
    assert client.ask(b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").status == 200
    assert client.get().status == 200


@pytest.mark.parametrize("status", [204, 304])
def test_respond_without_body(stage, status):
    guise = stage.guise(settings.routes({"respond": {"status": status}}))
    client = stage.client(guise.reverse)
    for _ in range(2):
        got = client.get()
        assert got.status == status and got.body == b""


@pytest.mark.parametrize("status", [None, 301, 302, 303, 307, 308])
def test_redirect(stage, status):
    route = {"redirect": "https://{host}{uri}"}
    if status:
        route["redirect_status"] = status
    guise = stage.guise(settings.routes(route))
    got = stage.client(guise.reverse).get("/a/b?c=d", host="a.test")
    assert got.status == (status or 308)
    assert got.fields.get("Location") == "https://a.test/a/b?c=d"


def test_redirect_template_cannot_split_a_response(stage):
    guise = stage.guise(settings.routes({"redirect": "https://b.test{path}?{query}&m={method}&{{"}))
    got = stage.client(guise.reverse).get("/a%0d%0aX-Evil:%20yes?q=%0d%0a")
    assert got.fields.get("Location") == "https://b.test/a%0d%0aX-Evil:%20yes?q=%0d%0a&m=GET&{"
    assert not got.fields.has("X-Evil")


@pytest.mark.parametrize("rewrite, target, sent", [
    ({"from": "/api/", "to": "/v2/"}, "/api/x?y", "/v2/x?y"),
    ({"from": "/api/", "to": "/"}, "/api/", "/"),
    ({"from": "/api/", "to": "/v2/"}, "/other/api/", "/other/api/"),
    ({"from": "~^/u/([a-z]+)/(\\d+)$", "to": "/users/$2/$1"}, "/u/ann/7?q=1", "/users/7/ann?q=1"),
    ({"from": "~^/u/([a-z]+)/(\\d+)$", "to": "/users/$2/$1"}, "/u/ann/x", "/u/ann/x"),
])
def test_rewrite(stage, rewrite, target, sent):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, route={"rewrite": rewrite}))
    assert stage.client(guise.reverse).get(target).status == 200
    assert origin.requests[0].target == sent


@pytest.mark.parametrize("value, expected", [
    (None, "a.test:123"), ("preserve", "a.test:123"), ("server", "SERVER"), ("fixed.test", "fixed.test")])
def test_host_towards_the_server(stage, value, expected):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, route={"set_host": value} if value else {}))
    assert stage.client(guise.reverse).get(host="a.test:123").status == 200
    assert origin.requests[0].fields.all("Host") == [origin.address if expected == "SERVER" else expected]


def test_absolute_form_goes_on_as_origin_form(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    stage.client(guise.reverse).ask(b"GET http://b.test/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert origin.requests[0].target == "/x?y"
    assert origin.requests[0].fields.all("Host") == ["b.test"]


def test_absolute_form_without_path(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.ask(b"GET http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n")
    client.ask(b"GET http://a.test?q HTTP/1.1\r\nHost: a.test\r\n\r\n")
    client.ask(b"OPTIONS http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert [request.target for request in origin.requests] == ["/", "/?q", "*"]


def test_request_fields_are_edited(stage):
    origin = stage.origin(echoing_request)
    guise = stage.guise(settings.reverse(origin, route={"request": {
        "set": {"X-Set": "{client}|{method}|{path}|{query}|{scheme}|{host}|{name}|{{"},
        "add": {"X-Add": "two"}, "remove": ["X-Gone", "Cookie"]}}))
    client = stage.client(guise.reverse)
    client.get("/p?q", fields="X-Set: old\r\nX-Set: older\r\nX-Add: one\r\nx-gone: a\r\nX-GONE: b\r\nCookie: c\r\n")
    fields = origin.requests[0].fields
    assert fields.all("X-Set") == ["127.0.0.1|GET|/p|q|http|a.test|guise|{"]
    assert fields.all("X-Add") == ["one", "two"]
    assert not fields.has("X-Gone") and not fields.has("Cookie")


def test_response_fields_are_edited(stage):
    origin = stage.origin(answering(response(200, b"ok", [("Server", "x/1"), ("X-Set", "old"), ("X-Add", "one")])))
    guise = stage.guise(settings.reverse(origin, route={"response": {
        "set": {"X-Set": "new"}, "add": {"X-Add": "two"}, "remove": ["server"]}}))
    fields = stage.client(guise.reverse).get().fields
    assert fields.all("X-Set") == ["new"] and fields.all("X-Add") == ["one", "two"]
    assert not fields.has("Server")


def test_several_groups(stage):
    first, second = stage.origin(answering(response(200, b"1"))), stage.origin(answering(response(200, b"2")))
    guise = stage.guise(settings.routes({"path": "/1/", "to": "one"}, {"to": "two"},
                                        upstreams={"one": [first], "two": [second]}))
    client = stage.client(guise.reverse)
    assert [client.get(target).body for target in ("/1/", "/", "/1/x", "/2/")] == [b"1", b"2", b"1", b"2"]


def test_access_log_tells_the_exchange(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.get("/x?secret")
    client.ask(b"POST /y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello")
    first = guise.wait_log(lambda entry: entry["method"] == "GET")
    second = guise.wait_log(lambda entry: entry["method"] == "POST")
    assert first["face"] == "reverse" and first["client"] == "127.0.0.1" and first["host"] == "a.test"
    assert first["target"].startswith("/x") and first["protocol"] == "HTTP/1.1" and first["status"] == 200
    assert first["server"] == origin.address and first["route"] == 0 and first["error"] is None
    assert (first["in"], first["out"], first["reused"]) == (0, 2, False)
    assert (second["in"], second["out"], second["reused"]) == (5, 2, True)
    assert first["ms"] >= 0 and first["time"].endswith("Z")


def test_access_log_in_a_file_and_combined(stage, tmp_path):
    path = tmp_path / "access.log"
    guise = stage.guise(dict(settings.routes({"respond": {"body": "ok"}}), log={"access": str(path), "format": "combined"}))
    stage.client(guise.reverse).get("/x", fields='User-Agent: a"b\\c\r\nReferer: http://r.test/\r\n')
    stage.clients[-1].close()
    guise.stop()
    line = path.read_text(encoding="utf-8")
    assert line.startswith("127.0.0.1 - - [") and '"GET /x HTTP/1.1" 200 2 "http://r.test/"' in line
    assert 'a"b' not in line.replace('\\"', "").replace("\\x22", ""), "the quote must be escaped"
    assert line.count("\n") == 1


@pytest.mark.parametrize("how, client", [("full", "127.0.0.1"), ("truncated", "127.0.0.0"), ("none", None)])
def test_addresses_in_the_log(stage, how, client):
    guise = stage.guise(dict(settings.routes({"respond": {"body": "ok"}}), log={"addresses": how}))
    stage.client(guise.reverse).get()
    entry = guise.wait_log()
    if client is None:
        assert "127.0.0.1" not in str(entry.get("client"))
    else:
        assert entry["client"].split("/")[0] == client


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_methods_that_a_reverse_proxy_refuses(stage, method):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    target = "a.test:80" if method == "CONNECT" else "/"
    got = stage.client(guise.reverse).ask(f"{method} {target} HTTP/1.1\r\nHost: a.test:80\r\n\r\n")
    assert got.status == 405
    assert not origin.requests
