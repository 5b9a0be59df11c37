"""Passive detection: servers that fail while they work are left out, for what is their fault and nothing else, and come back."""

import threading
import time

import pytest

from support import settings
from support.origin import OK, answering, response
from support.process import slowness
from support.waiting import wait_for

pytestmark = pytest.mark.seconds(60)

DEAD = "127.0.0.1:1"  # nothing listens there


def group(*servers, timeouts=None, **upstream):
    upstream.setdefault("balance", "round_robin")
    return settings.reverse(*servers, upstream=upstream, workers=2, timeouts=dict({"response": "10s"}, **(timeouts or {})))


def left_out(guise, address, text=""):
    return guise.stderr.wait(lambda line: f"server {address} is left out for " in line and text in line,
                             f"{address} to be left out")


def expect_nobody_left_out(stage, guise, origins):
    """All have their shares."""
    asked = [len(origin.requests) for origin in origins]
    assert set(many(stage, guise, 40)) == {200}
    assert all(len(origin.requests) - before >= 15 for origin, before in zip(origins, asked))
    assert "is left out" not in guise.stderr.text


def many(stage, guise, count, connections=8):
    """Requests over connections to both workers; the statuses."""
    clients = [stage.client(guise.reverse) for _ in range(connections)]
    return [clients[number % connections].get().status for number in range(count)]


def slow_answers(seconds):
    def script(peer):
        while peer.read_request() is not None:
            time.sleep(seconds)
            peer.send(OK)
    return script


def test_a_dead_server_is_left_out(stage):
    origin = stage.origin()
    guise = stage.guise(group(origin, DEAD, retries=1, outliers={"connects": 3, "eject": "1500ms", "interval": "200ms"}))
    assert set(many(stage, guise, 40)) == {200}
    left_out(guise, DEAD, "left out for 1500 ms: 3 failures to connect in a row")
    wait_for(lambda: len(guise.log_entries()) >= 40, "the lines of all requests")
    assert sum(entry.get("tries", 1) > 1 for entry in guise.log_entries()) <= 5
    guise.stderr.wait(lambda line: f"server {DEAD} takes requests again" in line, "its return")
    many(stage, guise, 40)
    left_out(guise, DEAD, "left out for 3000 ms")  # longer the second time


def test_one_that_comes_back_well(stage):
    origin, other = stage.origin(), stage.origin()
    port = other.port
    other.refuse()
    guise = stage.guise(group(origin, other, retries=1, outliers={"connects": 2, "eject": "500ms"}))
    assert set(many(stage, guise, 20)) == {200}
    left_out(guise, other.address)
    again = stage.origin(port=port)
    client = stage.client(guise.reverse)
    wait_for(lambda: client.get().status == 200 and len(again.requests) > 3, "it to be asked again")


def test_errors_in_a_row(stage):
    origin, bad = stage.origin(), stage.origin(answering(response(500)))
    guise = stage.guise(group(origin, bad, retries=0, outliers={"errors": 5, "eject": "30s"}))
    statuses = many(stage, guise, 60)
    assert 5 <= statuses.count(500) <= 5 + 2  # what was under way on the other worker
    left_out(guise, bad.address, "5 answers with a status of 500 or more in a row")


def test_error_rate(stage):
    """One in two fails: never many in a row."""
    origin, bad = stage.origin(), stage.origin(answering(*[response(500), OK] * 500))
    guise = stage.guise(group(origin, bad, retries=0, outliers={
        "error_rate": 30, "requests": 20, "interval": "300ms", "eject": "30s"}))
    client = stage.client(guise.reverse)

    def ask():
        client.get()
        return "is left out" in guise.stderr.text
    wait_for(ask, "the one that fails half the time to be left out", interval=0.001)
    left_out(guise, bad.address, "failures and errors")
    asked = len(bad.requests)
    assert set(many(stage, guise, 40)) == {200}
    assert len(bad.requests) <= asked + 1


def test_latency(stage):
    quick, quick_too, slow = stage.origin(), stage.origin(), stage.origin(slow_answers(0.05))
    guise = stage.guise(group(quick, quick_too, slow, retries=0, outliers={
        "latency": 500, "requests": 5, "interval": "500ms", "eject": "30s"}))
    client = stage.client(guise.reverse)

    def ask():
        client.get()
        return "is left out" in guise.stderr.text
    wait_for(ask, "the slow one to be left out", interval=0.001, timeout=10 * slowness())
    left_out(guise, slow.address, "latency")


def test_the_last_one_stays(stage):
    origins = [stage.origin(answering(response(500))) for _ in range(2)]
    guise = stage.guise(group(*origins, retries=0, outliers={"errors": 1, "eject": "30s", "share": 100}))
    assert set(many(stage, guise, 40)) == {500}
    guise.stderr.wait(lambda line: "is left out" in line, "one of them to be left out")
    asked = [len(origin.requests) for origin in origins]
    assert set(many(stage, guise, 40)) == {500}
    assert sorted(len(origin.requests) - before for origin, before in zip(origins, asked)) == [0, 40]


def test_late_servers_count(stage):
    origin, frozen = stage.origin(), stage.origin(lambda peer: peer.wait_end())
    guise = stage.guise(group(origin, frozen, retries=0, timeouts={"response": "200ms"},
                              outliers={"failures": 3, "eject": "30s"}))
    statuses = many(stage, guise, 20, connections=1)
    assert statuses.count(504) == 3 and statuses.count(200) == 17
    left_out(guise, frozen.address, "3 requests without an answer in a row")


def test_clients_that_go_are_not_its_fault(stage):
    gate = threading.Event()

    def script(peer):
        while peer.read_request() is not None:
            gate.wait(30)
            peer.send(OK)
    origins = [stage.origin(script), stage.origin(script)]
    guise = stage.guise(group(*origins, retries=0, outliers={"connects": 1, "failures": 1, "errors": 1}))
    for _ in range(20):
        client = stage.client(guise.reverse)
        client.send(b"GET /gone HTTP/1.1\r\nHost: a.test\r\n\r\n")
        before = sum(len(origin.requests) for origin in origins)
        wait_for(lambda seen=before: sum(len(origin.requests) for origin in origins) > 0, "it to be asked")
        client.reset()
    wait_for(lambda: sum(entry["target"] == "/gone" for entry in guise.log_entries()) == 20, "all lines in the log")
    gate.set()
    expect_nobody_left_out(stage, guise, origins)


def test_slow_clients_are_not_its_fault(stage):
    """A body that does not come in time; the servers wait for it."""
    origins = [stage.origin(), stage.origin()]
    guise = stage.guise(group(*origins, retries=0, timeouts={"body": "300ms"}, outliers={"connects": 1, "failures": 1, "errors": 1}))
    for _ in range(4):
        client = stage.client(guise.reverse)
        client.send(b"PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nhalf")
        assert client.read_response("PUT").status == 408
    expect_nobody_left_out(stage, guise, origins)


def test_idle_connections_that_end_are_not_its_fault(stage):
    """The server closes after each answer without having said so; the next request finds out."""
    def script(peer):
        if peer.read_request() is not None:
            peer.send(OK)
    origins = [stage.origin(script), stage.origin(script)]
    guise = stage.guise(group(*origins, retries=0, outliers={"connects": 1, "failures": 1, "errors": 1}))
    client = stage.client(guise.reverse)
    for _ in range(40):
        assert client.get().status == 200
    expect_nobody_left_out(stage, guise, origins)
