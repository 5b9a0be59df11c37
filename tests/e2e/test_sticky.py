"""Stickiness: by a cookie that only Guise can read, and by hashes of what a request says."""

import collections
import http.cookies
import threading

import pytest

from support import http2, settings
from support.certificates import Authority
from support.origin import answering, echoing_request, response
from support.tls import TLSClient, listener

SECRET = "sixteen bytes or more"


def origins_of(stage, count):
    """Servers that say who they are."""
    return [stage.origin(answering(response(200, str(number).encode()))) for number in range(count)]


def sticky(*origins, upstream=None, cookie=None, **top):
    keys = dict({"sticky": dict({"cookie": "lb", "secret": SECRET}, **(cookie or {}))}, **(upstream or {}))
    return settings.reverse(*origins, upstream=keys, **dict({"workers": 2}, **top))


def cookie_of(answer):
    lines = [value for name, value in answer.fields if name.lower() == "set-cookie"]
    assert len(lines) <= 1
    return http.cookies.SimpleCookie(lines[0])["lb"] if lines else None


def test_curl_comes_back(stage, curl, tmp_path):
    """A browser's jar, on new connections, to two workers."""
    guise = stage.guise(sticky(*origins_of(stage, 4)))
    url = f"http://127.0.0.1:{guise.reverse[1]}/some/page"
    servers = collections.Counter()
    for visitor in range(6):
        jar = str(tmp_path / f"jar{visitor}")
        bodies = {curl("-c", jar, "-b", jar, url).text for _ in range(6)}
        assert len(bodies) == 1
        servers.update(bodies)
    assert len(servers) > 1


def test_attributes(stage):
    guise = stage.guise(sticky(*origins_of(stage, 2), cookie={"max_age": "1h"}))
    cookie = cookie_of(stage.client(guise.reverse).get(target="/deep/path"))
    assert cookie["path"] == "/" and cookie["httponly"] and cookie["samesite"] == "Lax"
    assert cookie["max-age"] == "3600" and not cookie["secure"] and not cookie["domain"]


def test_secure_over_tls(stage, tmp_path):
    leaf = Authority(tmp_path).leaf("a.test")
    made = sticky(*origins_of(stage, 2))
    made["reverse"][0]["tls"] = listener(leaf)
    client = TLSClient(stage.guise(made).reverse)
    stage.clients.append(client)
    assert cookie_of(client.get())["secure"]


def test_servers_see_the_other_cookies_alone(stage):
    guise = stage.guise(sticky(stage.origin(echoing_request), stage.origin(echoing_request)))
    client = stage.client(guise.reverse)
    value = cookie_of(client.get()).value
    answer = client.get(fields=f"Cookie: a=1; lb={value}; b=2\r\n")
    assert b"\nCookie: a=1; b=2" in answer.body and cookie_of(answer) is None
    assert b"Cookie" not in client.get(fields=f"Cookie: lb={value}\r\n").body


def test_http2_may_split_cookies(stage):
    """RFC 9113 8.2.3: each in a field of its own."""
    made = sticky(stage.origin(echoing_request), stage.origin(echoing_request))
    made["reverse"][0]["http2"] = "clear"
    guise = stage.guise(made)
    client = http2.Client(guise.reverse)
    stage.clients.append(client)
    first = client.get()
    value = http.cookies.SimpleCookie(first.field("set-cookie"))["lb"].value
    again = client.get(fields=[("cookie", "a=1"), ("cookie", f"lb={value}"), ("cookie", "b=2")])
    assert again.field("set-cookie") is None
    body = bytes(again.body)
    assert b"cookie: a=1; b=2" in body and b"lb=" not in body


def test_forged_cookies_count_for_nothing(stage):
    guise = stage.guise(sticky(*origins_of(stage, 3), workers=1))
    client = stage.client(guise.reverse)
    value = cookie_of(client.get()).value
    for forged in ("", "x", value[:-1], value + "A", value[:-1] + ("B" if value[-1] == "A" else "A"), value.upper(), "A" * 48,
                   "%00", "A" * 4000):
        answer = client.get(fields=f"Cookie: lb={forged}\r\n")
        assert answer.status == 200 and cookie_of(answer) is not None, forged
    assert not [line for line in guise.stderr.lines if "sticky" in line.lower() or "cookie" in line.lower()]


def test_restart_with_a_secret_remembers(stage):
    servers = origins_of(stage, 4)
    values = {}
    guise = stage.guise(sticky(*servers))
    for _ in range(8):
        answer = stage.client(guise.reverse).get()
        values[cookie_of(answer).value] = answer.body
    guise.stop()
    guise = stage.guise(sticky(*servers))
    for value, body in values.items():
        answer = stage.client(guise.reverse).get(fields=f"Cookie: lb={value}\r\n")
        assert answer.body == body and cookie_of(answer) is None


def test_restart_without_one_forgets(stage):
    """And the check says so beforehand."""
    servers = origins_of(stage, 2)
    made = sticky(*servers)
    del made["upstreams"]["web"]["sticky"]["secret"]
    guise = stage.guise(made)
    assert "sealed with a secret made at start" in guise.stderr.text
    value = cookie_of(stage.client(guise.reverse).get()).value
    assert cookie_of(stage.client(guise.reverse).get(fields=f"Cookie: lb={value}\r\n")) is None
    guise.stop()
    guise = stage.guise(made)
    assert cookie_of(stage.client(guise.reverse).get(fields=f"Cookie: lb={value}\r\n")) is not None


def test_who_loses_its_server_gets_another_one(stage):
    servers = origins_of(stage, 3)
    guise = stage.guise(sticky(*servers))
    first = stage.client(guise.reverse).get()
    value = cookie_of(first).value
    servers[int(first.body)].stop()
    moved = stage.client(guise.reverse).get(fields=f"Cookie: lb={value}\r\n")
    assert moved.status == 200 and moved.body != first.body
    value = cookie_of(moved).value
    for _ in range(5):
        answer = stage.client(guise.reverse).get(fields=f"Cookie: lb={value}\r\n")
        assert answer.body == moved.body and cookie_of(answer) is None


def test_full_server_lets_its_clients_go(stage):
    """max_connections: one more is served elsewhere, and belongs there from then on."""
    gates = [threading.Event() for _ in range(2)]
    entered = threading.Semaphore(0)

    def slow(number):
        def script(peer):
            while (request := peer.read_request()) is not None:
                if request.target == "/wait":
                    entered.release()
                    gates[number].wait(10)
                peer.send(response(200, str(number).encode()))
        return script
    servers = [{"address": stage.origin(slow(number)).address, "max_connections": 1} for number in range(2)]
    guise = stage.guise(sticky(*servers, workers=1))
    first = stage.client(guise.reverse).get()
    fields = f"Cookie: lb={cookie_of(first).value}\r\n"
    waiting = stage.client(guise.reverse)
    waiting.send(f"GET /wait HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n".encode())
    assert entered.acquire(timeout=10)
    other = stage.client(guise.reverse).get(fields=fields)
    assert other.body != first.body and cookie_of(other) is not None
    for gate in gates:
        gate.set()
    assert waiting.read_response().body == first.body


# ---- by hash ----

KEYS = [
    ("client", lambda number: {"source": f"127.0.8.{number + 1}"}, {}),
    ("path", lambda number: {}, {"target": "/page/{}?random"}),
    ("field:X-User", lambda number: {}, {"fields": "X-User: user{}\r\n"}),
    ("cookie:uid", lambda number: {}, {"fields": "Cookie: a=b; uid=\"{}\"\r\n"}),
    ("query:user", lambda number: {}, {"target": "/?x&user={}"}),
]


@pytest.mark.parametrize("algorithm", ["hash", "maglev"])
@pytest.mark.parametrize("key, connection, request_", KEYS, ids=[key for key, _, _ in KEYS])
@pytest.mark.seconds(60)
def test_same_key_same_server(stage, algorithm, key, connection, request_):
    """Whichever worker and connection; when a server goes, its keys move and no others (maglev: few)."""
    count = 48
    servers = origins_of(stage, 4)
    guise = stage.guise(settings.reverse(*servers, workers=2, upstream={"balance": algorithm, "hash": key}))

    def places(times):
        got = []
        for number in range(count):
            bodies = set()
            for _ in range(times):
                client = stage.client(guise.reverse, **connection(number))
                answer = client.get(**{name: text.format(number) for name, text in request_.items()})
                assert answer.status == 200
                bodies.add(int(answer.body))
                client.close()
            assert len(bodies) == 1, number
            got += bodies
        return got
    before = places(4)
    assert set(before) == {0, 1, 2, 3}
    servers[2].stop()
    # Nothing but failures to connect says that it is gone: each of its requests goes on to another one.
    after = places(2)
    assert 2 not in after
    strays = sum(old != new for old, new in zip(before, after) if old != 2)
    assert strays <= (0 if algorithm == "hash" else count // 4)
