"""Canaries: requests are split between groups by weight, by a key of the request, by field or cookie."""

import collections
import os

import pytest

from support import settings
from support.origin import answering, response
from support.process import ROOT

REQUESTS = 10000


def deviation(share, draws=REQUESTS):
    """Five standard deviations of a count: what chance alone exceeds once in 1,700,000 runs."""
    return 5 * (draws * share * (1 - share)) ** 0.5


def config(stage, route, groups=("web", "canary"), workers=1, **listener):
    origins = {name: stage.origin(answering(response(200, name.encode()))) for name in groups}
    made = settings.routes(route, upstreams={name: [origin] for name, origin in origins.items()}, **listener)
    return dict(made, workers=workers)


def ask(clients, count, **request):
    """How often each group answered."""
    return collections.Counter(clients[i % len(clients)].get(**request).body.decode() for i in range(count))


@pytest.mark.seconds(60)
def test_shares_by_lot(stage):
    weights = {"web": 90, "canary": 8, "shadow": 2, "off": 0}
    route = {"to": [{"group": name, "weight": weight} for name, weight in weights.items()]}
    guise = stage.guise(config(stage, route, weights, workers=2))
    counts = ask([stage.client(guise.reverse) for _ in range(4)], REQUESTS)
    for name, weight in weights.items():
        share = weight / 100
        assert abs(counts[name] - share * REQUESTS) <= min(deviation(share), REQUESTS * 0.02), counts
    assert counts["off"] == 0


@pytest.mark.seconds(60)
def test_a_cookie_keeps_its_side(stage):
    """On any connection and worker; and the cookie is looked at as the client sent it."""
    route = {"to": [{"group": "web", "weight": 7}, {"group": "canary", "weight": 3}], "split_by": "cookie:uid",
             "request": {"remove": ["Cookie"]}}
    guise = stage.guise(config(stage, route, workers=2))
    clients = [stage.client(guise.reverse) for _ in range(8)]
    sides = []
    for uid in range(1000):
        counts = ask(clients[uid % 4::4], 2, fields=f"Cookie: a=b; uid={uid}\r\n")
        assert len(counts) == 1, uid
        sides += counts
    assert abs(sides.count("canary") - 300) <= deviation(0.3, 1000)
    # Who has none goes by lot.
    counts = ask(clients, 400)
    assert abs(counts["canary"] - 120) <= deviation(0.3, 400)


def test_weights_that_change_move_few(stage):
    """Of 400 clients, five in a hundred become canaries; nobody comes back from there."""
    sides = []
    for canary in (10, 15):
        route = {"to": [{"group": "web", "weight": 100 - canary}, {"group": "canary", "weight": canary}],
                 "split_by": "field:X-User"}
        guise = stage.guise(config(stage, route))
        client = stage.client(guise.reverse)
        sides.append([client.get(fields=f"X-User: {user}\r\n").body for user in range(400)])
    moves = collections.Counter(zip(*sides))
    assert moves[(b"canary", b"web")] == 0
    assert 0 < moves[(b"web", b"canary")] <= 20 + deviation(0.05, 400)


@pytest.mark.parametrize("key, first, second", [
    ("path", {"target": "/{}?a=1"}, {"target": "/{}?a=2"}),
    ("query:user", {"target": "/a?x=1&user={}"}, {"target": "/b?user={}&y=2"}),
    ("field:X-User", {"target": "/", "fields": "X-User: {}\r\n"}, {"target": "/b", "fields": "x-user: {}\r\nX-B: 2\r\n"}),
])
def test_keys(stage, key, first, second):
    """As the client sent them: not as the route makes them."""
    route = {"to": ["web", "canary"], "split_by": key, "rewrite": {"from": "~^.*$", "to": "/same"},
             "request": {"remove": ["X-User"]}}
    guise = stage.guise(config(stage, route))
    client = stage.client(guise.reverse)
    sides = set()
    for number in range(64):
        once, again = ({name: text.format(number) for name, text in how.items()} for how in (first, second))
        answer = client.get(**once).body
        assert client.get(**again).body == answer
        sides.add(answer)
    assert sides == {b"web", b"canary"}


def test_by_field_or_cookie(stage):
    origins = {name: stage.origin(answering(response(200, name.encode()))) for name in ("web", "canary")}
    guise = stage.guise(settings.routes({"cookies": {"beta": "1"}, "to": "canary"}, {"fields": {"X-Try": "~^new"}, "to": "canary"},
                                        {"to": "web"}, upstreams={name: [origin] for name, origin in origins.items()}))
    client = stage.client(guise.reverse)
    assert client.get().body == b"web"
    assert client.get(fields="Cookie: a=b; beta=1\r\n").body == b"canary"
    assert client.get(fields="Cookie: beta=0\r\n").body == b"web"
    assert client.get(fields="X-Try: newest\r\n").body == b"canary"
    # The canary's server is told what the client sent.
    assert origins["canary"].requests[0].fields.get("Cookie") == "a=b; beta=1"


def test_connections_are_split_too(stage):
    origins = [stage.origin(lambda peer, name=name: (peer.send(name), peer.wait_end())) for name in (b"a", b"b")]
    made = settings.tcp(listener={"to": [{"group": "first", "weight": 3}, {"group": "second", "weight": 1}]})
    made["upstreams"] = {"first": [origins[0].address], "second": [origins[1].address]}
    guise = stage.guise(made)
    sides = []
    for _ in range(400):
        client = stage.client(guise.tcp)
        sides.append(client.sock.recv(1))
        client.close()
    assert abs(sides.count(b"b") - 100) <= deviation(0.25, 400)


def test_connections_stay_by_address(stage):
    origins = [stage.origin(lambda peer, name=name: (peer.send(name), peer.wait_end())) for name in (b"a", b"b")]
    made = settings.tcp(listener={"to": ["first", "second"], "split_by": "client"})
    made["upstreams"] = {"first": [origins[0].address], "second": [origins[1].address]}
    guise = stage.guise(made)

    def side(source):
        client = stage.client(guise.tcp, source=source)
        got = client.sock.recv(1)
        client.close()
        return got
    sides = set()
    for number in range(1, 33):
        one = side(f"127.0.9.{number}")
        assert side(f"127.0.9.{number}") == one
        sides.add(one)
    assert sides == {b"a", b"b"}


def test_canary_example_runs(stage, curl, tmp_path):
    stage.guise_command("run", "-c", os.path.join(ROOT, "examples", "canary.yaml"))
    url, jar = "http://127.0.0.1:8080/", str(tmp_path / "jar")
    assert curl("-b", "beta=1", url).text == "new version\n"
    assert curl("-H", "X-Try: new", url).text == "new version\n"
    # By lot 5 in 100 are canaries; a visitor with a `uid` is not decided on again.
    uid = next(uid for uid in range(1000) if curl("-b", f"uid={uid}", url).text.startswith("old"))
    answers = {curl("-c", jar, "-b", jar, "-H", f"Cookie: uid={uid}", url).text}
    with open(jar, encoding="utf-8") as file:
        value = file.read().split()[-1]
    answers |= {curl("-b", f"uid={uid}; lb={value}", url).text for _ in range(10)}
    assert len(answers) == 1 and answers.pop().startswith("old version")
