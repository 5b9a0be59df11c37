"""guise explain: what it says is what happens to the same request."""

import json
import pathlib
import random
import re
import shlex

import pytest

from support import settings
from support.operator import Operator
from support.origin import answering, echoing_request, response
from support.process import ROOT, run
from support.waiting import wait_for

FRAMING = {"host", "connection", "content-length", "transfer-encoding"}
TAG = re.compile(r"guise-[0-9a-f]{8}")


def explain(path, *arguments):
    """What the configuration alone says, as a dict."""
    status, out, errors = run("explain", "-c", str(path), "--json", *arguments)
    assert status == 0, errors
    return json.loads(out)


def plain(fields):
    """Fields without framing; the tag in Via is another one in each process."""
    return [(name.lower(), TAG.sub("guise-TAG", value)) for name, value in fields if name.lower() not in FRAMING]


def echoed(answer):
    """(path, host, other fields) as the origin got them."""
    lines = answer.body.decode("latin-1").split("\n")
    fields = [tuple(line.split(": ", 1)) for line in lines[1:]]
    host = next(value for name, value in fields if name.lower() == "host")
    return lines[0].split(" ")[1], host, plain(fields)


def state(explanation):
    """What does not depend on the process."""
    kept = json.loads(TAG.sub("guise-TAG", json.dumps(explanation)))
    for key in ("listener", "group", "pick", "route", "nearly"):
        kept.pop(key, None)
    return kept


# the property

def everything(origins):
    """A configuration with something of each kind."""
    first, second, third, fourth = (origin.address for origin in origins)
    routes = [
        {"host": "fixed.test", "to": "one", "set_host": "inside.test", "rewrite": {"from": "/api/", "to": "/v1/"}},
        {"host": ["*.wild.test", "wild.test"], "path": "~^/item/([0-9]+)$", "to": "one", "rewrite": {"from": "~^/item/(.*)$", "to": "/i/$1"}},
        {"path": "/upload", "method": ["POST", "PUT"], "to": "one", "request": {"set": {"X-Who": "{client}"}, "remove": ["X-Drop"]}},
        {"path": "/old/*", "redirect": "https://new.test{uri}", "redirect_status": 301},
        {"path": "/teapot", "respond": {"status": 418, "body": "short", "fields": {"X-Pot": "1"}}},
        {"fields": {"X-Canary": "*"}, "to": [{"group": "one", "weight": 1}, {"group": "hashed", "weight": 1}], "split_by": "field:X-Canary"},
        {"cookies": {"beta": "1"}, "to": "hashed"},
        {"path": "/small", "limits": {"body": "1 KiB"}, "to": "one"},
        {"host": "hashed.test", "to": "hashed", "set_host": "server"},
        {"host": "tiers.test", "to": "tiers", "request": {"add": {"X-More": "{host}{path}"}}},
        {"path": ["/static/*", "/favicon.ico"], "to": "one"},
    ]
    return {
        "workers": 1,
        "reverse": [{"listen": "127.0.0.1:0", "routes": routes, "trusted": ["127.0.0.2"]}],
        "upstreams": {
            "one": [first],
            "hashed": {"servers": [first, second, {"address": third, "weight": 3}], "balance": "hash", "hash": "cookie:uid"},
            "tiers": {"servers": [second, third, {"address": fourth, "backup": True}]},
        },
        "admin": "127.0.0.1:0",
    }


HOSTS = ["fixed.test", "a.wild.test", "wild.test", "hashed.test", "tiers.test", "other.test", "FIXED.test"]
PATHS = ["/", "/api/users?x=1", "/api/%2e%2e/secret", "/item/42", "/item/x", "/upload", "/old/page?q", "/teapot", "/small",
         "/static/a%20b.css", "/favicon.ico", "//static//x", "/static/../old/x", "/%zz", "/a?b=c#d"]
METHODS = ["GET", "GET", "GET", "POST", "HEAD", "PUT", "OPTIONS", "TRACE"]
FIELDS = [("X-Canary", "left"), ("X-Canary", "right"), ("Cookie", "uid=7"), ("Cookie", "uid=8; beta=1"), ("Cookie", "beta=2"), ("X-Drop", "me"),
          ("X-Forwarded-For", "9.9.9.9"), ("Via", "1.0 other"), ("X-More", "mine"), ("Connection", "X-Drop"), ("Max-Forwards", "0"),
          ("Proxy-Authorization", "Basic x"), ("Forwarded", "for=1.2.3.4"), ("X-Real-IP", "9.9.9.9"), ("Te", "trailers")]


def draw(rng):
    fields = rng.sample(FIELDS, rng.randrange(4))
    return rng.choice(METHODS), rng.choice(HOSTS), rng.choice(PATHS), fields, rng.choice(["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.3"])


def check_request(stage, guise, told, method, host, path, fields, source):
    """The same request in reality: the same route, path, fields, servers; the same refusal or answer."""
    mark = guise.log_mark()
    client = stage.client(guise.reverse, source=source)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    answer = client.ask(f"{method} {path.split('#')[0]} HTTP/1.1\r\nHost: {host}:{guise.reverse[1]}\r\n{lines}\r\n")
    client.close()
    entry = guise.wait_log(start=mark)
    assert entry.get("route") == (told["route"] or {}).get("index")
    if told["outcome"] == "refused":
        assert answer.status == told["error"]["status"]
        return
    if told["outcome"] == "answered":
        assert answer.status == told["answer"]["status"]
        got = {(name.lower(), value) for name, value in answer.fields}
        assert {(name.lower(), value) for name, value in told["answer"]["fields"]} <= got
        assert method == "HEAD" or len(answer.body) == told["answer"]["body_bytes"]
        return
    assert answer.status == 200
    may = [server["server"] for server in told["servers"] if server["may"]]
    assert entry["server"] in may
    assert told["pick"]["server"] in (None, entry["server"])
    if method == "HEAD":
        return
    sent_path, sent_host, sent = echoed(answer)
    assert sent_path == told["sent"]["path"]
    expected = told["sent"]["host"]
    if expected is None:
        expected = next(server["host"] for server in told["servers"] if server["server"] == entry["server"])
    assert sent_host == expected
    assert sent == plain(told["sent"]["fields"])


@pytest.mark.seconds(60)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_told_is_what_happens(stage, seed):
    origins = [stage.origin(echoing_request) for _ in range(4)]
    configuration = everything(origins)
    guise = stage.guise(configuration)
    file = settings.write(stage.path("explained.yaml"), configuration)
    operator, rng, ends = Operator(guise.admin), random.Random(seed), set()
    for turn in range(60):
        method, host, path, fields, source = draw(rng)
        url = f"http://{host}:{guise.reverse[1]}{path}"
        told = operator.explain(url, method=method, client=source, headers=fields)
        ends.add(told["outcome"])
        try:
            check_request(stage, guise, told, method, host, path, fields, source)
        except AssertionError as problem:
            raise AssertionError(f"turn {turn}: {method} {url} {fields} from {source}: {told}") from problem
        if turn % 6 == 0:
            options = [word for name, value in fields for word in ("--header", f"{name}: {value}")]
            alone = explain(file, "--method", method, "--client", source, *options, url)
            assert state(alone) == state(told)
            assert (alone["route"] or {}).get("index") == (told["route"] or {}).get("index")
            assert alone.get("pick") == told.get("pick")
    assert ends == {"refused", "answered", "goes_on"}


def test_conditions_that_are_said_to_hold_do(stage):
    """A route that is told has no condition that does not hold; one that nearly matched has exactly one."""
    origins = [stage.origin(echoing_request) for _ in range(4)]
    guise = stage.guise(everything(origins))
    operator, rng = Operator(guise.admin), random.Random(7)
    near = 0
    for _ in range(200):
        method, host, path, fields, source = draw(rng)
        told = operator.explain(f"http://{host}:{guise.reverse[1]}{path}", method=method, client=source, headers=fields)
        for condition in (told.get("route") or {}).get("conditions", ()):
            assert condition["holds"], told
        for route in told.get("nearly", ()):
            assert len(route["failed"]) == 1 and not route["failed"][0]["holds"], told
            near += 1
    assert near > 50


# what a running one knows better

def test_state_of_servers_is_the_real_one(stage):
    origins = [stage.origin(echoing_request) for _ in range(3)]
    guise = stage.guise(settings.reverse(*origins, admin="127.0.0.1:0"))
    operator, url = Operator(guise.admin), f"http://a.test:{guise.reverse[1]}/"
    assert operator.explain(url)["pick"]["server"] is None
    operator.order("web", origins[0].address, state="drain")
    operator.order("web", origins[1].address, state="maintenance")
    told = operator.explain(url)
    assert [server["may"] for server in told["servers"]] == [False, False, True]
    assert "drains" in told["servers"][0]["why_not"] and "maintenance" in told["servers"][1]["why_not"]
    assert told["pick"]["server"] == origins[2].address
    operator.order("web", origins[2].address, state="maintenance")
    told = operator.explain(url)
    assert told["pick"]["result"] == "none" and stage.client(guise.reverse).get().status == 503
    status, out, _ = run("explain", "--admin", f"127.0.0.1:{guise.admin[1]}", url)
    assert status == 0 and "in maintenance, by order" in out and "503" in out


def test_a_full_server_is_said_to_be(stage):
    hold = []

    def script(peer):
        if peer.read_request() is not None:
            hold.append(peer)
            peer.read_request()

    origin = stage.origin(script)
    guise = stage.guise(settings.reverse({"address": origin.address, "max_connections": 1}, admin="127.0.0.1:0"))
    client = stage.client(guise.reverse)
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    operator = Operator(guise.admin)
    wait_for(lambda: operator.server("web", origin.address)["in_flight"] == 1, "the request at its server")
    told = operator.explain(f"http://a.test:{guise.reverse[1]}/")
    assert told["pick"]["result"] == "full" and "as many requests" in told["servers"][0]["why_not"]


def test_sticky_cookies_are_read(stage):
    origins = [stage.origin(answering(response(200, b"x"))) for _ in range(4)]
    guise = stage.guise(settings.reverse(*origins, upstream={"sticky": {"cookie": "lb"}}, admin="127.0.0.1:0"))
    operator = Operator(guise.admin)
    for _ in range(4):
        mark = guise.log_mark()
        answer = stage.client(guise.reverse).get()
        cookie = next(value for name, value in answer.fields if name.lower() == "set-cookie").split(";")[0]
        told = operator.explain(f"http://a.test:{guise.reverse[1]}/", headers=[("Cookie", cookie)])
        assert told["pick"]["server"] == guise.wait_log(start=mark)["server"]
        assert "lb" in told["pick"]["why"] and ["Cookie", cookie] in told["removed"]
        operator.order("web", told["pick"]["server"], state="drain")
        assert operator.explain(f"http://a.test:{guise.reverse[1]}/", headers=[("Cookie", cookie)])["pick"] == told["pick"]
        operator.order("web", told["pick"]["server"], state="ready")


def test_a_lot_is_called_one(stage):
    one, two = stage.origin(), stage.origin()
    configuration = settings.routes({"to": [{"group": "one", "weight": 1}, {"group": "two", "weight": 3}]},
                                    upstreams={"one": [one], "two": [two]})
    told = explain(settings.write(stage.path("guise.yaml"), configuration), "http://a.test:8080/")
    assert told["split"] == {"by_lot": True, "groups": [{"name": "one", "weight": 1}, {"name": "two", "weight": 3}]}
    assert told["group"]["name"] in ("one", "two")


# forward, tcp

FORWARD = {
    "workers": 1,
    "forward": [{
        "listen": "127.0.0.1:0",
        "mask": "anonymous",
        "rules": [{"deny": {"domains": ["bad.test"]}}, {"deny": {"methods": ["PUT"]}}, {"allow": {"addresses": ["127.0.0.1/32"]}},
                  {"allow": {"ports": ["80", "443"]}}],
    }],
}


@pytest.mark.parametrize("url,method,verdict,by,index,guard,status", [
    ("http://bad.test/", "GET", "deny", "rule", 0, None, 403),
    ("http://good.test/", "PUT", "deny", "rule", 1, None, 403),
    ("http://10.1.2.3/", "GET", "allow", "rule", 3, False, 403),
    ("https://10.1.2.3/", "GET", "allow", "rule", 3, False, 403),
    ("http://10.1.2.3:81/", "GET", "deny", "default", None, False, 403),
    ("https://bad.test/", "GET", "deny", "rule", 0, None, 403),
])
def test_forward_refusals(stage, url, method, verdict, by, index, guard, status):
    guise = stage.guise(dict(FORWARD, admin="127.0.0.1:0"))
    told = Operator(guise.admin).explain(url, method=method)  # there are forward listeners alone
    assert told["outcome"] == "refused" and told["error"]["status"] == status
    assert (told["rules"]["verdict"], told["rules"]["by"], told["rules"].get("index")) == (verdict, by, index)
    assert told["guard"] is None if guard is None else told["guard"]["allow"] == guard
    host = url.split("/")[2]
    line = f"CONNECT {host}:443" if url.startswith("https") else f"{method} {url}"
    answer = stage.client(guise.forward).ask(f"{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
                                             if method == "PUT" else f"{line} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert answer.status == status


@pytest.mark.parametrize("mask", ["transparent", "anonymous", "elite", {
    "keep": ["X-Forwarded-For"], "drop": ["X-Mine"], "unknown": "allowlist", "user_agent": "plain", "order": True, "gpc": True}])
def test_forward_fields(stage, mask):
    origin = stage.origin(echoing_request)
    configuration = json.loads(json.dumps(FORWARD))
    configuration["forward"][0]["mask"] = mask
    guise = stage.guise(dict(configuration, admin="127.0.0.1:0"))
    fields = [("Via", "1.0 other"), ("X-Forwarded-For", "9.9.9.9"), ("Proxy-Authorization", "Basic x"), ("X-Mine", "1")]
    url = f"http://{origin.address}/path?x=1"
    told = Operator(guise.admin).explain(url, via="forward", headers=fields)
    assert told["outcome"] == "goes_on" and told["guard"]["allow"] and told["rules"]["index"] == 2
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    answer = stage.client(guise.forward).ask(f"GET {url} HTTP/1.1\r\nHost: {origin.address}\r\n{lines}\r\n")
    path, host, sent = echoed(answer)
    assert (path, host, sent) == (told["sent"]["path"], told["sent"]["host"], plain(told["sent"]["fields"]))


def test_tunnels_are_not_looked_into(stage):
    told = explain(settings.write(stage.path("guise.yaml"), FORWARD), "https://good.test/secret")
    assert told["outcome"] == "goes_on" and told["sent"] is None and told["received"]["method"] == "CONNECT"
    assert told["rules"]["verdict"] == "allow" and told["guard"] is None
    assert "secret" not in json.dumps({key: value for key, value in told.items() if key != "url"})


def test_forward_beside_reverse_has_to_be_asked_for(stage):
    configuration = dict(FORWARD, **settings.routes({"respond": {}}))
    file = settings.write(stage.path("guise.yaml"), configuration)
    assert explain(file, "http://a.test/")["listener"]["name"] == "reverse[0]"
    assert explain(file, "--via", "forward", "http://a.test/")["listener"]["name"] == "forward[0]"


def test_tcp_by_name(stage):
    configuration = settings.tcp_routes({"sni": "shop.test", "to": "shop"}, {"to": "rest"},
                                        upstreams={"shop": ["127.0.0.1:1"], "rest": ["127.0.0.1:2"]})
    file = settings.write(stage.path("guise.yaml"), configuration)
    told = explain(file, "https://shop.test/")
    assert (told["route"]["index"], told["group"]["name"], told["pick"]["server"]) == (0, "shop", "127.0.0.1:1")
    assert explain(file, "https://else.test/")["group"]["name"] == "rest"
    assert explain(file, "http://shop.test/")["group"]["name"] == "rest"  # no name without TLS


# which listener

LISTENERS = {
    "workers": 1,
    "reverse": [
        {"listen": "127.0.0.1:8080", "routes": [{"respond": {"status": 201}}]},
        {"listen": ["127.0.0.2:8080", "127.0.0.2:8081"], "routes": [{"respond": {"status": 202}}]},
        {"listen": "unix:/tmp/never.sock", "routes": [{"respond": {"status": 203}}]},
    ],
}


@pytest.mark.parametrize("arguments,status,others", [
    (["http://127.0.0.1:8080/"], 201, 0),
    (["http://127.0.0.2:8080/"], 202, 0),
    (["http://a.test:8080/"], 201, 1),
    (["http://a.test:8081/"], 202, 0),
    (["--listener", "reverse[1]", "http://a.test/"], 202, 0),
    (["--listener", "127.0.0.2:8080", "http://a.test/"], 202, 0),
    (["--listener", "unix:/tmp/never.sock", "http://a.test/"], 203, 0),
])
def test_listener_by_url(stage, arguments, status, others):
    told = explain(settings.write(stage.path("guise.yaml"), LISTENERS), *arguments)
    assert told["answer"]["status"] == status
    assert len(told["listener"]["others"]) == others or arguments[0] == "--listener"


@pytest.mark.parametrize("arguments,said", [
    (["http://a.test/"], "port 80"),
    (["https://127.0.0.1:8080/"], "https"),
    (["http://127.0.0.3:8080/"], "127.0.0.1:8080"),
    (["a.test:8080"], "did you mean http://a.test:8080?"),
    (["ftp://a.test/"], "ftp"),
    (["http://user@a.test:8080/"], "user"),
    (["http://a.test:99999/"], "a.test:99999"),
    (["http:///x"], "http:///x"),
    (["--listener", "reverse[9]", "http://a.test/"], "reverse[1]"),
    (["--via", "forward", "http://a.test:8080/"], "forward"),
    (["--client", "nobody", "http://a.test:8080/"], "nobody"),
    (["--method", "GE T", "http://a.test:8080/"], "GE T"),
    (["--header", "Bad Name: x", "http://a.test:8080/"], "Bad Name"),
    (["--header", "X: a\r\nY: b", "http://a.test:8080/"], "field"),
])
def test_questions_without_an_answer(stage, arguments, said):
    file = settings.write(stage.path("guise.yaml"), LISTENERS)
    status, out, errors = run("explain", "-c", str(file), *arguments)
    assert status == 1 and not out
    assert said in errors


def test_wrong_configuration_is_said_as_check_says_it(stage):
    file = stage.path("guise.yaml")
    file.write_text("reverse: [{listen: ':0', routes: [{to: web}]}]\n")
    status, _, errors = run("explain", "-c", str(file), "http://a.test/")
    assert status == 1 and f"{file}:1:" in errors and "web" in errors


def test_nothing_is_bound_or_asked(stage):
    """Ports that are taken, names that nobody knows: all the same without a network."""
    holder = stage.guise(settings.routes({"respond": {}}))
    port = holder.reverse[1]
    configuration = settings.reverse("app.invalid:80", "srv:_http._tcp.app.invalid", listener={"listen": f"127.0.0.1:{port}"})
    told = explain(settings.write(stage.path("guise.yaml"), configuration), f"http://a.test:{port}/")
    assert told["outcome"] == "goes_on"
    assert "srv:_http._tcp.app.invalid" in told["not_looked_up"]


def test_admin_that_is_not_there():
    status, out, errors = run("explain", "--admin", "127.0.0.1:1", "http://a.test/")
    assert status == 1 and not out and "cannot connect to 127.0.0.1:1" in errors


def test_admin_that_is_something_else(stage):
    origin = stage.origin(answering(b"SSH-2.0-something\r\n\r\n"))
    status, _, errors = run("explain", "--admin", origin.address, "http://a.test/")
    assert status == 1 and "not the interface of a Guise" in errors


@pytest.mark.parametrize("query", ["", "?", "?method=GET", "?url=http%3A%2F%2Fa.test%2F&nope=1", "?url=%zz", "?url=http://a.test/&via=x"])
def test_wrong_queries_are_400(stage, query):
    guise = stage.guise(settings.routes({"respond": {}}) | {"admin": "127.0.0.1:0"})
    answer = Operator(guise.admin).ask("GET", "/explain" + query)
    assert answer.status == 400 and json.loads(answer.body)["error"]


def test_no_escape_reaches_the_terminal(stage):
    file = settings.write(stage.path("guise.yaml"), settings.routes({"respond": {"body": "x", "fields": {"X-A": "\u009bred"}}}))
    status, out, _ = run("explain", "-c", str(file), "--listener", "reverse[0]", "http://a.test/")
    assert status == 0 and "\x1b" not in out


# the documentation

def documented():
    page = (pathlib.Path(ROOT) / "docs" / "explain.md").read_text(encoding="utf-8")
    configuration = re.search(r"```yaml\n(.*?)```", page, re.S).group(1)
    commands = re.findall(r"```console\n\$ (guise explain [^\n]*)\n(.*?)```", page, re.S)
    return configuration, commands


def test_examples_of_the_page(stage):
    """Each command of docs/explain.md prints what stands there."""
    configuration, commands = documented()
    assert len(commands) >= 3
    (stage.directory / "guise.yaml").write_text(configuration, encoding="utf-8")
    for command, expected in commands:
        status, out, errors = run(*shlex.split(command)[1:], cwd=stage.directory)
        assert status == (1 if expected.startswith("guise explain: ") else 0), errors
        assert TAG.sub("guise-TAG", out or errors) == TAG.sub("guise-TAG", expected), command
