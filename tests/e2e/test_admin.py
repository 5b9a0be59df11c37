"""The operator's interface: what it shows, the orders it takes, and whom it does not listen to."""

import collections
import json
import os
import pathlib
import re
import shlex
import stat
import threading

import pytest

from support import settings
from support.client import Client, chunked
from support.operator import Operator
from support.origin import OK, answering, response
from support.process import ROOT, run
from support.waiting import wait_for
from support.wire import WireError

WEB = "/upstreams/web"


def configured(*origins, **keys):
    return settings.reverse(*origins, admin="127.0.0.1:0", **keys)


def named(stage, count):
    """Servers that say who they are."""
    return [stage.origin(answering(response(200, str(number).encode()))) for number in range(count)]


def started(stage, *origins, **keys):
    guise = stage.guise(configured(*origins, **keys))
    return guise, Operator(guise.admin)


def field(answer, name):
    return next((value for key, value in answer.fields if key.lower() == name.lower()), None)


@pytest.fixture(scope="module", name="quiet")
def quiet_fixture(shared_stage):
    """One that nobody gives orders to."""
    origin = shared_stage.origin()
    guise = shared_stage.guise(configured(origin))
    return guise, Operator(guise.admin), origin


# what it shows

def test_index_lists_what_there_is(quiet):
    _, operator, _ = quiet
    listed = {(item["method"], item["path"]) for item in operator.get("/")["resources"]}
    assert ("GET", "/upstreams") in listed and ("POST", "/upstreams/{*}/servers/{*}") in listed


def test_groups_and_servers(stage):
    origins = named(stage, 2)
    servers = [origins[0].address, {"address": origins[1].address, "weight": 7, "backup": True, "max_connections": 5}]
    guise, operator = started(stage, *servers, upstream={"limits": {"requests": 50}}, workers=2)
    client = stage.client(guise.reverse)
    for _ in range(10):
        client.get()
    groups = operator.get("/upstreams")["upstreams"]
    assert [group["name"] for group in groups] == ["web"]
    assert operator.get(WEB) == operator.get("/upstreams")["upstreams"][0]
    first, second = groups[0]["servers"]
    assert first == operator.server("web", origins[0].address)
    assert first["requests"] == first["answers"] == 10 and first["failures"] == first["errors"] == 0
    assert 0 < first["mean_latency_us"] < 5_000_000 and first["in_flight"] == 0
    assert (first["tier"], first["weight"], first["state"], first["well"]) == (0, 1, "ready", True)
    assert (second["tier"], second["weight"], second["max_connections"], second["requests"]) == (1, 7, 5, 0)
    assert second["mean_latency_us"] is None
    assert groups[0]["limits"]["requests"] == {"now": 0, "most": 50}
    assert groups[0]["limits"]["retries"] is None


def test_failures_are_counted(stage):
    broken = stage.origin(answering(response(503)))
    guise, operator = started(stage, broken)
    client = stage.client(guise.reverse)
    for _ in range(3):
        assert client.get().status == 503
    server = operator.server("web", broken.address)
    assert (server["answers"], server["errors"]) == (3, 3)


def test_in_flight_is_seen(stage):
    release = threading.Event()

    def script(peer):
        if peer.read_request() is not None:
            release.wait(10)
            peer.send(OK)

    origin = stage.origin(script)
    guise, operator = started(stage, origin, workers=2)
    client = stage.client(guise.reverse)
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    wait_for(lambda: operator.server("web", origin.address)["in_flight"] == 1, "the request at its server")
    release.set()
    assert client.read_response("GET").status == 200
    wait_for(lambda: operator.server("web", origin.address)["in_flight"] == 0, "its end")


@pytest.mark.parametrize("target", ["/", "/upstreams", WEB])
def test_head_is_get_without_content(quiet, target):
    _, operator, _ = quiet
    whole, head = operator.ask("GET", target), operator.ask("HEAD", target)
    assert (head.status, head.body) == (200, b"")
    assert field(head, "Content-Length") == str(len(whole.body))
    assert field(whole, "Content-Type") == "application/json"
    assert field(whole, "Cache-Control") == "no-store"
    assert field(whole, "Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("target", ["/nope", "/upstreams/", "/upstreams/nope", f"{WEB}/servers/127.0.0.1:1", f"{WEB}/servers",
                                    f"{WEB}//x", "/upstreams/%zz", "/upstreams/web%00", "/../upstreams"])
def test_what_is_not_there_is_404(quiet, target):
    _, operator, _ = quiet
    answer = operator.ask("GET", target)
    assert answer.status == 404 and json.loads(answer.body)["status"] == 404


def test_names_are_decoded(quiet):
    _, operator, origin = quiet
    assert operator.get("/upstreams/w%65b")["name"] == "web"
    assert operator.get(f"{WEB}/servers/{origin.address.replace(':', '%3A')}")["server"] == origin.address


@pytest.mark.parametrize("method,target,allow", [
    ("DELETE", "/", "GET, HEAD"),
    ("OPTIONS", "/upstreams", "GET, HEAD"),
    ("PUT", f"{WEB}/servers/x", "GET, HEAD, POST"),
    ("POST", "/explain", "GET, HEAD"),
])
def test_other_methods_are_405(quiet, method, target, allow):
    _, operator, _ = quiet
    answer = operator.ask(method, target)
    assert (answer.status, field(answer, "Allow")) == (405, allow)


# who may ask

@pytest.mark.parametrize("host,status", [
    ("localhost", 200), ("localhost:80", 200), ("LOCALHOST", 200), ("127.0.0.1", 200), ("127.8.9.1:1234", 200), ("[::1]:9900", 200),
    ("evil.test", 403), ("localhost.evil.test", 403), ("127.0.0.1.evil.test", 403), ("10.0.0.1", 403), ("[::2]", 403),
    ("128.0.0.1", 403),
])
def test_host_has_to_be_ours(quiet, host, status):
    guise, _, _ = quiet
    answer = Operator(guise.admin, host).ask("GET", "/upstreams")
    assert answer.status == status
    assert status == 200 or b"web" not in answer.body


def test_absolute_targets_are_judged_the_same(quiet):
    _, operator, _ = quiet
    assert operator.ask("GET", "http://evil.test/upstreams").status == 403


@pytest.mark.parametrize("fields,status", [
    ((), 200),
    ((("Sec-Fetch-Site", "same-origin"), ("Origin", "http://localhost")), 200),
    ((("Sec-Fetch-Site", "none"),), 200),
    ((("Sec-Fetch-Site", "cross-site"),), 403),
    ((("Sec-Fetch-Site", "same-site"),), 403),
    ((("Origin", "http://evil.test"),), 403),
    ((("Origin", "null"),), 403),
    ((("Origin", "https://localhost"),), 403),
    ((("Origin", "http://localhost:1"),), 403),
    ((("Content-Type", "text/plain"),), 415),
    ((("Content-Type", "application/x-www-form-urlencoded"),), 415),
    ((("Content-Type", "multipart/form-data; boundary=x"),), 415),
    ((("Content-Type", "application/json; charset=utf-8"),), 200),
])
def test_pages_from_elsewhere_give_no_orders(quiet, fields, status):
    _, operator, origin = quiet
    order = {"state": "ready" if status == 200 else "maintenance"}
    assert operator.ask("POST", f"{WEB}/servers/{origin.address}", order, fields).status == status
    assert operator.server("web", origin.address)["state"] == "ready"


def test_unix_socket_is_for_our_user_alone(stage):
    path = str(stage.directory / "admin.sock")
    stage.guise(settings.reverse(stage.origin(), admin=f"unix:{path}"))
    mode = os.stat(path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    assert Operator(path, host="any.name.test").get(WEB)["name"] == "web"


def test_unix_socket_of_traffic_keeps_its_mode(stage):
    origin, path = stage.origin(), str(stage.directory / "web.sock")
    before = os.umask(0o022)
    try:
        stage.guise(settings.reverse(origin, listener={"listen": f"unix:{path}"}, admin="127.0.0.1:0"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o755


@pytest.mark.parametrize("listen", ["0.0.0.0:9900", ":9900", "[::]:9900", "192.0.2.1:9900", "[2001:db8::1]:9900",
                                    "[::ffff:10.0.0.1]:9900"])
def test_other_addresses_are_refused(stage, listen):
    path = stage.path("guise.yaml")
    path.write_text(f'reverse: [{{listen: "127.0.0.1:0", routes: [{{respond: {{}}}}]}}]\nadmin:\n  listen: "{listen}"\n')
    status, _, errors = run("check", "-c", str(path))
    assert status == 1
    assert f"{path}:3:11: " in errors and "admin" in errors and "loopback" in errors


@pytest.mark.parametrize("listen", ["127.0.0.1:9900", "127.9.9.9:9900", "[::1]:9900", "unix:/tmp/x.sock", "[::ffff:127.0.0.1]:9900"])
def test_own_addresses_are_taken(stage, listen):
    path = stage.path("guise.yaml")
    path.write_text(f'reverse: [{{listen: "127.0.0.1:0", routes: [{{respond: {{}}}}]}}]\nadmin: ["{listen}"]\n')
    assert run("check", "-c", str(path))[0] == 0


def test_it_is_nothing_by_itself(stage):
    path = stage.path("guise.yaml")
    path.write_text("admin: 127.0.0.1:9900\n")
    status, _, errors = run("check", "-c", str(path))
    assert status == 1 and "nothing to do" in errors


def test_there_is_none_by_default(stage):
    assert stage.guise(settings.reverse(stage.origin())).admin is None


def test_forward_face_does_not_lead_to_it(stage):
    guise = stage.guise(settings.forward({"allow": {}}, admin="127.0.0.1:0"))
    host, port = guise.admin
    answer = stage.client(guise.forward).ask(f"GET http://{host}:{port}/upstreams HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")
    assert answer.status == 403 and b"upstreams" not in answer.body


def test_operators_get_in_when_clients_do_not(stage):
    origin = stage.origin()
    guise, operator = started(stage, origin, limits={"connections": 2})
    clients = [stage.client(guise.reverse) for _ in range(2)]
    for client in clients:
        assert client.get().status == 200
    waiting = stage.client(guise.reverse)
    waiting.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    for _ in range(5):
        assert operator.server("web", origin.address)["answers"] == 2
    clients[0].close()
    assert waiting.read_response("GET").status == 200


def test_operators_are_few(stage):
    """Connections that ask nothing do not take all descriptors; those that ended make room."""
    guise, operator = started(stage, stage.origin())
    idle = [stage.client(guise.admin) for _ in range(16)]
    assert operator_is_refused(operator)
    for client in idle:
        client.close()
    wait_for(lambda: not operator_is_refused(operator), "room")


def operator_is_refused(operator):
    try:
        return operator.ask("GET", "/").status != 200
    except (OSError, WireError):
        return True


# orders

@pytest.mark.parametrize("body,name", [
    (b"", None), (b"{", None), (b"[]", None), (b'"drain"', None), (b"{}", None), (b"\xff\xfe", None), (b"[" * 5000, None),
    (b'{"state": "ready", "state": "drain"}', None),
    ({"state": "drian"}, "state"), ({"state": 1}, "state"), ({"state": None}, "state"),
    ({"weight": 0}, "weight"), ({"weight": 257}, "weight"), ({"weight": "3"}, "weight"), ({"weight": 1.5}, "weight"),
    ({"weight": -1}, "weight"), ({"weight": 10**30}, None), ({"wieght": 3}, "wieght"), ({"state": "drain", "x": 1}, "x"),
])
def test_wrong_orders_change_nothing(quiet, body, name):
    _, operator, origin = quiet
    before = operator.server("web", origin.address)
    answer = operator.ask("POST", f"{WEB}/servers/{origin.address}", body)
    assert answer.status == 400, answer.body
    assert json.loads(answer.body).get("field") == name
    assert operator.server("web", origin.address) == before


@pytest.mark.parametrize("is_chunked", [False, True])
def test_long_bodies_are_413(quiet, is_chunked):
    guise, operator, origin = quiet
    target = f"{WEB}/servers/{origin.address}"
    if is_chunked:
        head = (f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                "Transfer-Encoding: chunked\r\n\r\n")
        client = Client(guise.admin)
        answer = client.ask(head.encode() + chunked(*[b" " * 4096] * 5))
        client.close()
    else:
        answer = operator.ask("POST", target, b" " * 20000)
    assert answer.status == 413


@pytest.mark.parametrize("target", ["/upstreams/nope/servers/x", f"{WEB}/servers/127.0.0.1:1"])
def test_orders_for_what_is_not_there(quiet, target):
    _, operator, _ = quiet
    assert operator.ask("POST", target, {"state": "drain"}).status == 404


def test_body_in_pieces(quiet):
    guise, operator, origin = quiet
    body = b'{"weight": 5, "state": "ready"}'
    client = Client(guise.admin)
    client.send(f"POST {WEB}/servers/{origin.address} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                "Transfer-Encoding: chunked\r\n\r\n".encode())
    for byte in body:
        client.send(b"1\r\n" + bytes([byte]) + b"\r\n")
    client.send(b"0\r\n\r\n")
    assert client.read_response("POST").status == 200
    client.close()
    assert operator.server("web", origin.address)["weight"] == 5
    operator.order("web", origin.address, weight=None)
    assert operator.server("web", origin.address)["weight"] == 1


def spread(stage, guise, requests=60, connections=6):
    """Who answers how often."""
    counts = collections.Counter()
    for _ in range(connections):
        client = stage.client(guise.reverse)
        for _ in range(requests // connections):
            counts[int(client.get().body)] += 1
        client.close()
    return counts


@pytest.mark.parametrize("state", ["drain", "maintenance"])
def test_out_of_use_and_back(stage, state):
    origins = named(stage, 3)
    guise, operator = started(stage, *origins, workers=2)
    assert set(spread(stage, guise)) == {0, 1, 2}
    told = operator.order("web", origins[1].address, state=state)
    assert told["state"] == state and not told["well"]
    assert set(spread(stage, guise)) == {0, 2}
    operator.order("web", origins[1].address, state="ready")
    assert set(spread(stage, guise)) == {0, 1, 2}


@pytest.mark.parametrize("state", ["drain", "maintenance"])
def test_what_runs_goes_on(stage, state):
    release = threading.Event()

    def slow(peer):
        while peer.read_request() is not None:
            release.wait(10)
            peer.send(response(200, b"slow"))

    origin, other = stage.origin(slow), stage.origin(answering(response(200, b"other")))
    guise, operator = started(stage, origin, {"address": other.address, "backup": True})
    running = stage.client(guise.reverse)
    running.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    wait_for(lambda: operator.server("web", origin.address)["in_flight"] == 1, "the request at its server")
    operator.order("web", origin.address, state=state)
    for _ in range(5):
        assert stage.client(guise.reverse).get().body == b"other"
    release.set()
    assert running.read_response("GET").body == b"slow"


def test_all_out_of_use_is_503_at_once(stage):
    origin = stage.origin()
    guise, operator = started(stage, origin)
    operator.order("web", origin.address, state="maintenance")
    answer = stage.client(guise.reverse).get()
    assert answer.status == 503 and field(answer, "Retry-After")
    operator.order("web", origin.address, state="ready")
    assert stage.client(guise.reverse).get().status == 200


def test_weights_change_shares(stage):
    origins = named(stage, 2)
    guise, operator = started(stage, *origins)
    client = stage.client(guise.reverse)
    operator.order("web", origins[0].address, weight=9)
    counts = collections.Counter(int(client.get().body) for _ in range(1000))
    assert abs(counts[0] - 900) <= 10
    assert operator.server("web", origins[0].address)["configured_weight"] == 1
    operator.order("web", origins[0].address, weight=None)
    counts = collections.Counter(int(client.get().body) for _ in range(1000))
    assert abs(counts[0] - 500) <= 10


def test_orders_are_logged(stage):
    origin = stage.origin()
    guise, operator = started(stage, origin)
    operator.order("web", origin.address, state="drain", weight=3)
    guise.stderr.wait(lambda line: f"server {origin.address}: drain" in line, "a line that says so")
    guise.stderr.wait(lambda line: f"admin: POST {WEB}/servers/" in line and line.endswith(": 200"), "the line of the request")


@pytest.mark.seconds(40)
def test_orders_under_load(stage):
    """Requests on two workers while three operators give orders and look: no error reaches a client."""
    origins = named(stage, 4)
    guise, operator = started(stage, *origins, workers=2, upstream={"balance": "least_conn"})
    over, statuses, problems = threading.Event(), collections.Counter(), []

    def load():
        try:
            client = stage.client(guise.reverse)
            while not over.is_set():
                statuses[client.get().status] += 1
        except Exception as problem:  # pylint: disable=broad-except
            problems.append(problem)

    def orders(number):
        try:
            for turn in range(30):
                state = ("drain", "ready", "maintenance", "ready")[turn % 4]
                operator.order("web", origins[number].address, state=state, weight=turn % 7 + 1)
                operator.get("/upstreams")
                operator.explain(f"http://a.test:{guise.reverse[1]}/")
        except Exception as problem:  # pylint: disable=broad-except
            problems.append(problem)

    loads = [threading.Thread(target=load) for _ in range(8)]
    operators = [threading.Thread(target=orders, args=(number,)) for number in range(3)]
    for thread in loads + operators:
        thread.start()
    for thread in operators:
        thread.join()
    over.set()
    for thread in loads:
        thread.join()
    assert not problems
    assert set(statuses) == {200} and statuses[200] > 100
    total = sum(server["requests"] for server in operator.get(WEB)["servers"])
    assert total == statuses[200]


# the documentation

def test_commands_of_the_page(stage, curl):
    """Each command of docs/admin.md, at the addresses that it is at here."""
    page = (pathlib.Path(ROOT) / "docs" / "admin.md").read_text(encoding="utf-8")
    commands = [line for block in re.findall(r"```sh\n(.*?)```", page, re.S) for line in block.splitlines()]
    assert len(commands) >= 3
    origins = named(stage, 2)
    guise, _ = started(stage, *origins)
    for command in commands:
        command = command.replace("127.0.0.1:9900", f"127.0.0.1:{guise.admin[1]}")
        command = command.replace("127.0.0.1:3000", origins[0].address)
        words = shlex.split(command)
        assert words[0] == "curl"
        answer = curl(*words[1:])
        assert json.loads(answer.text)["server" if "/servers/" in words[-1] else "name"], command
