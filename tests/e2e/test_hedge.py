"""Hedging: a second try beside a slow one, on another server; the first answer is the client's, the other try is cancelled."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import http2, settings
from support.client import Client
from support.frames import Code
from support.origin import response
from support.waiting import stays_true, wait_for

PLENTY = {"percent": 100, "per_second": 1000, "burst": 1000}
HEDGED = {"hedge": {"percentile": 95, "minimum": "30ms"}, "retry_budget": PLENTY}


def named(name, freeze=None):
    """A script: answers with its name, unless `freeze` is set: then it reads the request, and waits for the end."""
    def script(peer):
        while (asked := peer.read_request()) is not None:
            if freeze and freeze.is_set():
                peer.wait_end()
                return
            body = b"" if asked.method == "HEAD" else f"{name}:{asked.target}".encode()
            peer.send(response(200, body))
    return script


def warm(client, count=200):
    """So many answers, that what is usual is known."""
    for _ in range(count):
        assert client.get("/warm").status == 200


def test_one_server_is_frozen(stage):
    """SIGSTOP: the kernel takes connections and requests, and nobody answers. No request fails, and none waits for timeouts.response."""
    servers = [stage.nginx('location /x/ { return 200 "good $request_uri\\n"; }') for _ in range(3)]
    guise = stage.guise(settings.reverse(*servers, upstream=HEDGED, timeouts={"response": "15s"}))
    client = stage.client(guise.reverse)
    for _ in range(200):
        assert client.get("/x/warm").status == 200

    def run(number):
        mine = Client(guise.reverse)
        good = 0
        for count in range(50):
            answer = mine.get(f"/x/{number}-{count}")
            good += answer.status == 200 and answer.body == f"good /x/{number}-{count}\n".encode()
        mine.close()
        return good

    frozen = servers[1].process
    wait_for(lambda: len(guise.log_entries()) == 200, "all that was before in the access log")
    mark = 200
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(run, range(8))) == 400
        wait_for(lambda: len(guise.log_entries()) >= mark + 400, "400 lines in the access log")
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    entries = guise.log_entries()[mark:]
    hedged = [entry for entry in entries if entry.get("hedged")]
    assert len(hedged) >= 100, "a third of them went to the frozen one at first"
    assert all(entry["status"] == 200 and entry["error"] is None for entry in entries)
    assert servers[1].address not in {entry["server"] for entry in entries}, "who answered is named"
    # Unfrozen, it serves again.
    for _ in range(30):
        assert client.get("/x/after").status == 200
    guise.wait_log(lambda entry: entry["target"] == "/x/after" and entry["server"] == servers[1].address)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_the_loser_is_cancelled(stage, method):
    slow = threading.Event()
    origins = [stage.origin(named("a", slow)), stage.origin(named("b"))]
    guise = stage.guise(settings.reverse(*origins, upstream=HEDGED))
    client = stage.client(guise.reverse)
    warm(client)
    slow.set()
    for _ in range(2):  # one of them goes to the slow one first
        assert client.get("/slow", method=method).status == 200
    entry = guise.wait_log(lambda entry: entry.get("hedged"))
    assert entry["server"] == origins[1].address and entry["target"] == "/slow"
    waiting = [peer for peer in origins[0].peers if peer.requests and peer.requests[-1].target == "/slow"]
    assert waiting
    for peer in waiting:
        assert peer.ended.wait(10), "its connection ends"
        assert not peer.buffer, "nothing follows the request"
    assert sum(asked.target == "/slow" for asked in origins[1].requests) == 2, "each request once"


def test_the_loser_is_cancelled_over_http2(stage):
    """A stream is reset, and its connection goes on."""
    slow, reset = threading.Event(), threading.Event()

    def quick(connection, stream):
        connection.answer(stream, 200, [("x-by", "quick")], b"ok")

    def hesitant(connection, stream):
        if not slow.is_set():
            http2.ok(connection, stream)
            return
        connection.until(lambda: stream.reset is not None, "RST_STREAM")
        if stream.reset == Code.CANCEL:
            reset.set()

    origins = [stage.origin(http2.serving(hesitant)), stage.origin(http2.serving(quick))]
    guise = stage.guise(settings.reverse(*origins, upstream=dict(HEDGED, http="2")))
    client = stage.client(guise.reverse)
    warm(client)
    slow.set()
    for _ in range(2):
        assert client.get("/slow").fields.get("x-by") == "quick"
    assert reset.wait(10)
    slow.clear()
    warm(client, 4)
    assert len(origins[0].peers) == 1


def test_unsafe_methods_are_not_hedged(stage):
    gate = threading.Event()

    def slow_post(peer):
        while (asked := peer.read_request()) is not None:
            if asked.method == "POST":
                gate.wait(10)
            peer.send(response(200, b"once"))

    origins = [stage.origin(slow_post), stage.origin(slow_post)]
    guise = stage.guise(settings.reverse(*origins, upstream=HEDGED))
    client = stage.client(guise.reverse)
    warm(client)
    client.send(b"POST /order HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")

    def orders():
        return sum(asked.method == "POST" for origin in origins for asked in origin.requests)

    wait_for(lambda: orders() == 1, "the order")
    assert stays_true(lambda: orders() == 1, 0.3), "ten times as long as a hedge would wait"
    gate.set()
    assert client.read_response("POST").status == 200
    assert orders() == 1


def test_large_answers_of_the_hedge(stage):
    """Bytes, and a reader that is slow, through the bridge."""
    size = 32 * 1024 * 1024
    block = os.urandom(1 << 16)
    slow = threading.Event()

    def large(peer):
        while peer.read_request() is not None:
            if slow.is_set():
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                for _ in range(size // len(block)):
                    peer.send(block)
            else:
                peer.send(response(200, b"small"))

    origins = [stage.origin(named("a", slow)), stage.origin(large)]
    guise = stage.guise(settings.reverse(*origins, upstream=HEDGED))
    client = stage.client(guise.reverse)
    warm(client)
    slow.set()
    before = guise.resident()
    guise.reset_peak()
    for _ in range(2):
        reader = stage.client(guise.reverse, receive_buffer=65536)
        reader.keep = False
        reader.send(b"GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n")
        wait_for(lambda: any(asked.target == "/large" for asked in origins[1].requests), "the request")
        answer = reader.read_response("GET")
        assert answer.status == 200 and answer.body == block * (size // len(block))
        reader.close()
    assert guise.resident_peak() < before + 16 * 1024 * 1024
    guise.wait_log(lambda entry: entry.get("hedged") and entry["out"] == size and entry["error"] is None)
