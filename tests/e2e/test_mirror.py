"""Mirrors: a second group hears a share of the requests, and the first one's clients notice nothing of it."""

import hashlib
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.client import Client, chunked, request
from support.origin import OK, answering, response
from support.waiting import wait_for

DEAD = "127.0.0.1:1"  # nothing listens there


def config(main, shadow, mirror=None, **top):
    servers = {"main": main, "shadow": shadow}
    upstreams = {name: {"servers": [getattr(server, "address", server)]} for name, server in servers.items()}
    upstreams["shadow"]["timeouts"] = {"connect": "1s", "response": "2s"}
    route = {"to": "main", "mirror": dict({"to": "shadow"}, **(mirror or {}))}
    return dict({"workers": 1, "reverse": [{"listen": "127.0.0.1:0", "routes": [route]}], "upstreams": upstreams}, **top)


def key_of(asked):
    return asked.fields.get("X-Key")


def by_key(origin):
    return {key_of(asked): asked for asked in origin.requests}


def echoing(peer):
    """A script: the answer is made of what was asked, so that no client can be given another one's."""
    while (asked := peer.read_request()) is not None:
        peer.send(response(200, f"{key_of(asked)}:{hashlib.sha256(asked.body).hexdigest()}".encode()))


def bodies(count, seed):
    """(key, bytes of a request, body): by length and in chunks."""
    chance = random.Random(seed)
    for number in range(count):
        body = chance.randbytes(chance.choice([0, 1, 100, 5000, 60000]))
        key = f"k{number}"
        if chance.random() < 0.5:
            yield key, request("POST", "/", [("X-Key", key)], body), body
        else:
            cuts = sorted(chance.sample(range(len(body) + 1), min(3, len(body))))
            parts = [body[a:b] for a, b in zip([0] + cuts, cuts + [len(body)]) if a < b]
            framed = [("X-Key", key), ("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")]
            yield key, request("POST", "/", framed) + chunked(*parts, trailers=[("X-Sum", key)]), body


def load(address, asked, threads=8):
    """Sends all of it on a few connections; every answer has to be the one to its request."""
    queue, lock, answers = list(asked), threading.Lock(), []

    def run(_number):
        client = Client(address)
        while True:
            with lock:
                if not queue:
                    break
                key, raw, body = queue.pop()
            answer = client.ask(raw)
            answers.append(answer.body == f"{key}:{hashlib.sha256(body).hexdigest()}".encode() and answer.status == 200)
        client.close()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(threads)))
    return answers


def logged(stage, guise):
    """The access log up to now."""
    stage.client(guise.reverse).get("/last")
    guise.wait_log(lambda entry: entry["target"] == "/last")
    return [entry for entry in guise.log_entries() if entry["target"] != "/last"]


def test_both_get_the_same(stage):
    main, shadow = stage.origin(echoing), stage.origin(answering(response(500, b"not for clients")))
    guise = stage.guise(config(main, shadow))
    asked = list(bodies(300, seed=1))
    answers = load(guise.reverse, asked)
    assert len(answers) == 300 and all(answers)
    shadow.wait_requests(300)
    seen, mirrored = by_key(main), by_key(shadow)
    for key, _, body in asked:
        assert seen[key].body == body and mirrored[key].body == body, key
        for what in ("framing", "target", "method", "trailers"):
            assert getattr(seen[key], what) == getattr(mirrored[key], what), (key, what)
        # Host names the same site, as routes do without set_host.
        assert sorted(seen[key].fields) == sorted(mirrored[key].fields), key
    assert len(logged(stage, guise)) == 300, "a mirror has no line of its own in the access log"


def test_share(stage):
    main, shadow = stage.origin(), stage.origin()
    guise = stage.guise(config(main, shadow, mirror={"percent": 20}))
    client = stage.client(guise.reverse)
    for _ in range(2000):
        client.get()
    assert len(main.requests) == 2000
    wait_for(lambda: 320 <= len(shadow.requests) <= 480, "a fifth of them, within four and a half standard deviations")


def never_reads(peer):
    peer.ended.wait(60)


def reads_and_is_silent(peer):
    peer.keep = False
    peer.wait_end()


def resets(peer):
    peer.read_request_head()
    peer.reset()


def answers_half(peer):
    while peer.read_request() is not None:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf")


def endless(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        peer.send(b"4000\r\n" + bytes(0x4000) + b"\r\n")


def nonsense(peer):
    peer.read_request()
    peer.send(b"\x00\x01\x02 what\r\n\r\n" * 100)


SHADOWS = {
    "refuses": None,
    "never accepts": "blackhole",
    "never reads": never_reads,
    "is silent": reads_and_is_silent,
    "resets": resets,
    "answers half": answers_half,
    "answers without end": endless,
    "talks nonsense": nonsense,
}


@pytest.mark.parametrize("kind", SHADOWS)
def test_whatever_the_mirror_does(stage, kind):
    main = stage.origin(echoing)
    script = SHADOWS[kind]
    shadow = DEAD if script is None else stage.blackhole() if script == "blackhole" else stage.origin(script)
    guise = stage.guise(config(main, shadow))
    load(guise.reverse, bodies(1, seed=0))
    asked = list(bodies(400, seed=2))
    answers = load(guise.reverse, asked)
    assert len(answers) == 400 and all(answers)
    assert len(main.requests) == 401, "each once"
    seen = by_key(main)
    assert all(seen[key].body == body for key, _, body in asked)
    entries = [entry for entry in logged(stage, guise) if entry["status"] == 200 and entry["error"] is None]
    assert len(entries) == 401
    # What is left of mirrors goes by itself: to the first group one connection or a few are kept.
    wait_for(lambda: guise.open_files() < 60, "mirrors to be given up")


def test_large_upload_beside_one_that_does_not_read(stage):
    size = 48 * 1024 * 1024
    piece = os.urandom(1024 * 1024)
    got = {}

    def main_script(peer):
        peer.keep = False
        peer.read_request_head()
        digest, count = hashlib.sha256(), 0
        while count < size:
            part = peer.read_some()
            digest.update(part)
            count += len(part)
        got["digest"], got["count"] = digest.hexdigest(), count
        peer.send(OK)

    main, shadow = stage.origin(main_script), stage.origin(never_reads)
    guise = stage.guise(config(main, shadow))
    before = guise.resident()
    guise.reset_peak()
    client = stage.client(guise.reverse)
    client.send(f"PUT /large HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}\r\n\r\n".encode())
    digest = hashlib.sha256()
    for _ in range(size // len(piece)):
        client.send(piece)
        digest.update(piece)
    assert client.read_response("PUT").status == 200
    assert got == {"digest": digest.hexdigest(), "count": size}
    assert guise.resident_peak() < before + 24 * 1024 * 1024
    assert len(shadow.peers) == 1


def test_a_client_that_breaks_off(stage):
    """The mirror is not to take a part of a request for the whole."""
    main, shadow = stage.origin(), stage.origin()
    guise = stage.guise(config(main, shadow))
    client = stage.client(guise.reverse)
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    wait_for(lambda: shadow.received() and b"hello" in bytes(shadow.peers[0].received), "the mirror to hear of it")
    client.reset()
    assert shadow.peers[0].ended.wait(10)
    assert not shadow.requests
    assert b"0\r\n\r\n" not in bytes(shadow.peers[0].received)


def test_upgrades_have_no_mirror(stage):
    def switch(peer):
        peer.read_request_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nwelcome")
        peer.wait_end()

    main, shadow = stage.origin(switch), stage.origin()
    guise = stage.guise(config(main, shadow))
    client = stage.client(guise.reverse)
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    wait_for(lambda: client.read_some() and b"welcome" in bytes(client.received), "the server's welcome")
    plain = stage.client(guise.reverse)
    plain.send(b"GET /plain HTTP/1.1\r\nHost: a.test\r\n\r\n")
    shadow.wait_requests(1)
    assert [asked.target for asked in shadow.requests] == ["/plain"]
