"""Limits of a group, on two workers and under load: the origins count, and never see more than they may."""

import os
import select
import signal
import threading
import time

import pytest

from support import settings
from support.origin import OK, response
from support.process import slowness
from support.waiting import Stopwatch, wait_for
from support.wire import Truncated

pytestmark = pytest.mark.seconds(60)


class Gauge:
    """How many there are, and the most there were."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = self.total = 0

    def __enter__(self):
        with self.lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self.lock:
            self.now -= 1


def working(gauge, seconds=0.0, gate=None, reply=OK):
    """A script that counts requests from the moment at which they are read until just before they are answered."""
    def script(peer):
        while peer.read_request() is not None:
            with gauge:
                if gate:
                    gate.wait(30)
                elif seconds:
                    time.sleep(seconds)
            peer.send(reply)
    return script


def group(*servers, **upstream):
    """Two workers; no group beside it."""
    upstream.setdefault("retries", 0)
    return settings.reverse(*servers, upstream=upstream, workers=2, timeouts={"response": "60s"})


class Load:
    """Clients that ask one request after the other, each on a connection of its own. What they hear is counted."""

    def __init__(self, stage, guise, clients, requests, fresh=False):
        self.statuses = {}
        self.slowest = 0.0
        self.lock = threading.Lock()
        self.stage, self.guise, self.requests, self.fresh = stage, guise, requests, fresh
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        client = None
        for _ in range(self.requests):
            if client is None or self.fresh:
                client = self.stage.client(self.guise.reverse, timeout=60)
            watch = Stopwatch()
            status = client.get().status
            with self.lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1
                self.slowest = max(self.slowest, watch.seconds)

    def is_running(self):
        return any(thread.is_alive() for thread in self.threads)

    def join(self):
        for thread in self.threads:
            thread.join(50)
            assert not thread.is_alive(), "a client still waits"
        return self


def connections_to(*origins):
    """Connections that the kernel has towards these origins, made or being made. Its table may show one twice when others come and go."""
    ports = {f"{origin.port:04X}" for origin in origins}
    found = set()
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in list(file)[1:]:
            words = line.split()
            if words[2].rpartition(":")[2] in ports and words[3] in ("01", "02"):
                found.add((words[1], words[2]))
    return len(found)


def most_connections(guise, load, *origins):
    """The most connections there were while the load ran: the process stands still for each look, since the table is read bit by bit."""
    most = looks = 0
    while looks < 200 and (load.is_running() or looks == 0):
        guise.signal(signal.SIGSTOP)
        try:
            wait_for(lambda: state_of(guise) == "T", "the process to stand still")
            most = max(most, connections_to(*origins))
        finally:
            guise.signal(signal.SIGCONT)
        looks += 1
        time.sleep(0.003)
    return most


def state_of(guise):
    """T: every thread has stopped."""
    states = set()
    for thread in os.listdir(f"/proc/{guise.pid}/task"):
        with open(f"/proc/{guise.pid}/task/{thread}/stat", encoding="ascii") as file:
            states.add(file.read().rpartition(")")[2].split()[0])
    return "".join(sorted(states))


def send(stage, guise, target="/"):
    client = stage.client(guise.reverse, timeout=60)
    client.send(f"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
    return client


def has_heard(client, seconds):
    """Whether there is something to read, within so long."""
    return bool(select.select([client.sock], [], [], seconds)[0])


def refused(got, text):
    assert got.status == 503
    assert int(got.fields.get("Retry-After")) >= 1
    assert got.error_type() == "connection_limit_reached"
    assert text.encode() in got.body


# max_connections and the queue

@pytest.mark.parametrize("fresh", [False, True], ids=["kept", "fresh"])
@pytest.mark.parametrize("balance", ["round_robin", "least_conn", "p2c", "hash"])
def test_never_more_than_max_connections(stage, balance, fresh):
    gauges = [Gauge(), Gauge()]
    origins = [stage.origin(working(gauge, 0.002)) for gauge in gauges]
    servers = [{"address": origin.address, "max_connections": most} for origin, most in zip(origins, (3, 5))]
    guise = stage.guise(group(*servers, balance=balance, limits={"pending": 1000}, timeouts={"queue": "40s"},
                              **({"hash": "path"} if balance == "hash" else {})))
    load = Load(stage, guise, clients=32, requests=15, fresh=fresh).join()
    assert load.statuses == {200: 32 * 15}
    assert gauges[0].most <= 3 and gauges[1].most <= 5
    assert gauges[0].most == 3 or gauges[1].most == 5
    assert gauges[0].total + gauges[1].total == 32 * 15


def test_workers_are_served_alike(stage):
    """One place, and both workers' clients want it all the time: nobody waits for much longer than all others together take."""
    gauge = Gauge()
    origin = stage.origin(working(gauge, 0.002))
    guise = stage.guise(group({"address": origin.address, "max_connections": 1}, limits={"pending": 1000},
                              timeouts={"queue": "40s"}))
    load = Load(stage, guise, clients=24, requests=20).join()
    assert load.statuses == {200: 480} and gauge.most == 1
    assert load.slowest < 4 * slowness()


def test_late(stage):
    gate = threading.Event()
    gauge = Gauge()
    origin = stage.origin(working(gauge, gate=gate))
    guise = stage.guise(group({"address": origin.address, "max_connections": 2}, timeouts={"queue": "700ms"}))
    first = [send(stage, guise) for _ in range(2)]
    wait_for(lambda: gauge.now == 2, "both places to be taken")
    watch = Stopwatch()
    others = [send(stage, guise) for _ in range(6)]
    for client in others:
        refused(client.read_response(), "no server had room in time")
    assert 0.6 < watch.seconds < 3 * slowness()
    gate.set()
    for client in first:
        assert client.read_response().status == 200
    assert gauge.total == 2


def test_too_many_wait(stage):
    gate = threading.Event()
    gauge = Gauge()
    origin = stage.origin(working(gauge, gate=gate))
    guise = stage.guise(group({"address": origin.address, "max_connections": 1}, limits={"pending": 5},
                              timeouts={"queue": "30s"}))
    first = send(stage, guise)
    wait_for(lambda: gauge.now == 1, "the place to be taken")
    watch = Stopwatch()
    clients = [send(stage, guise) for _ in range(12)]
    heard = []
    wait_for(lambda: len(heard.clear() or [heard.append(c) for c in clients if has_heard(c, 0.02)]) == 7, "seven to be refused")
    for client in heard:
        refused(client.read_response(), "too many wait")
    assert watch.seconds < 20
    gate.set()
    for client in [first] + [client for client in clients if client not in heard]:
        assert client.read_response().status == 200
    assert gauge.most == 1


def test_who_hangs_up_is_not_asked_for(stage):
    gate = threading.Event()
    gauge = Gauge()
    origin = stage.origin(working(gauge, gate=gate))
    guise = stage.guise(group({"address": origin.address, "max_connections": 1}, limits={"pending": 8},
                              timeouts={"queue": "30s"}))
    first = send(stage, guise, "/first")
    wait_for(lambda: gauge.now == 1, "the place to be taken")
    gone = [send(stage, guise, "/gone") for _ in range(4)]
    stay = [send(stage, guise, "/stay") for _ in range(4)]
    assert not has_heard(stay[-1], 0.2)
    for client in gone:
        client.reset()
    for _ in range(4):
        guise.wait_log(lambda entry: entry["target"] == "/gone")
    wait_for(lambda: sum(entry["target"] == "/gone" for entry in guise.log_entries()) == 4, "their lines in the log")
    more = [send(stage, guise, "/more") for _ in range(4)]
    assert not has_heard(more[-1], 0.2)
    gate.set()
    for client in [first] + stay + more:
        assert client.read_response().status == 200
    assert sorted({request.target for request in origin.requests}) == ["/first", "/more", "/stay"]
    assert gauge.most == 1


def test_http2_counts_streams(stage):
    """Many requests on one connection are as many as on many."""
    gauge = Gauge()
    origin = stage.origin(working(gauge, 0.005))
    between = stage.guise(settings.reverse(origin, listener={"http2": "clear"}, name="between", workers=2))
    guise = stage.guise(settings.reverse(
        {"address": f"127.0.0.1:{between.reverse[1]}", "max_connections": 3}, workers=2,
        upstream={"http": 2, "retries": 0, "limits": {"pending": 1000}, "timeouts": {"queue": "40s"}}))
    load = Load(stage, guise, clients=16, requests=10).join()
    assert load.statuses == {200: 160}
    assert gauge.most == 3 and len(origin.requests) == 160


# servers that go and come while others wait

def test_all_go_down(stage):
    gate = threading.Event()
    gauge = Gauge()
    origin = stage.origin(working(gauge, gate=gate))
    guise = stage.guise(group({"address": origin.address, "max_connections": 2}, limits={"pending": 100},
                              timeouts={"queue": "50s"},
                              health={"kind": "tcp", "interval": "100ms", "timeout": "100ms", "fall": 2, "rise": 1}))
    first = [send(stage, guise) for _ in range(2)]
    wait_for(lambda: gauge.now == 2, "both places to be taken")
    waiting = [send(stage, guise) for _ in range(50)]
    assert not has_heard(waiting[-1], 0.1)
    watch = Stopwatch()
    origin.refuse()
    for client in waiting:
        got = client.read_response()
        assert got.status == 503 and got.fields.has("Retry-After")
    assert watch.seconds < 5 * slowness()
    gate.set()
    for client in first:
        assert client.read_response().status == 200


def test_another_comes_up(stage):
    gate = threading.Event()
    slow, quick = Gauge(), Gauge()
    origin = stage.origin(working(slow, gate=gate))
    late = stage.origin(working(quick))
    port = late.port
    late.refuse()
    guise = stage.guise(group({"address": origin.address, "max_connections": 1}, {"address": f"127.0.0.1:{port}", "max_connections": 1},
                              limits={"pending": 100}, timeouts={"queue": "50s"},
                              health={"kind": "tcp", "interval": "100ms", "timeout": "100ms", "fall": 1, "rise": 1}))
    guise.stderr.wait(lambda line: f"127.0.0.1:{port}" in line and "down" in line, "the second server to be found down")
    first = send(stage, guise)
    wait_for(lambda: slow.now == 1, "the place to be taken")
    waiting = [send(stage, guise) for _ in range(10)]
    assert not has_heard(waiting[-1], 0.2)
    stage.origin(working(quick), port=port)
    for client in waiting:
        assert client.read_response().status == 200
    assert quick.total == 10 and slow.total == 1
    gate.set()
    assert first.read_response().status == 200


# circuit breakers

def test_requests(stage):
    gate = threading.Event()
    gauge = Gauge()
    origin = stage.origin(working(gauge, gate=gate))
    guise = stage.guise(group(origin, limits={"requests": 4}))
    clients = [send(stage, guise) for _ in range(10)]
    heard = []
    wait_for(lambda: len(heard.clear() or [heard.append(c) for c in clients if has_heard(c, 0.05)]) == 6, "six to be refused")
    for client in heard:
        refused(client.read_response(), "as many requests as they may")
    gate.set()
    for client in clients:
        if client not in heard:
            assert client.read_response().status == 200
    assert gauge.most == 4 and gauge.total == 4
    load = Load(stage, guise, clients=16, requests=20).join()
    assert gauge.most == 4 and load.statuses[200] > 0


def test_retries(stage):
    gate = threading.Event()
    second = Gauge()
    failing = stage.origin(working(Gauge(), reply=response(503)))
    backup = stage.origin(working(second, gate=gate))
    guise = stage.guise(group(failing, {"address": backup.address, "backup": True}, retries=1, retry_on=["503"],
                              limits={"retries": 2}, outliers={"failures": "off"}))
    clients = [send(stage, guise) for _ in range(8)]
    heard = []
    wait_for(lambda: len(heard.clear() or [heard.append(c) for c in clients if has_heard(c, 0.05)]) == 6,
             "those that are not tried again")
    for client in heard:
        assert client.read_response().status == 503
    gate.set()
    for client in clients:
        if client not in heard:
            assert client.read_response().status == 200
    assert second.most == 2 and second.total == 2
    assert send(stage, guise).read_response().status == 200  # and they count no longer


@pytest.mark.parametrize("fresh", [False, True], ids=["kept", "fresh"])
def test_connections(stage, fresh):
    gauges = [Gauge(), Gauge(), Gauge()]
    origins = [stage.origin(working(gauge, 0.002)) for gauge in gauges]
    guise = stage.guise(group(*origins, limits={"connections": 4, "pending": 1000}, timeouts={"queue": "40s"}))
    load = Load(stage, guise, clients=24, requests=40, fresh=fresh)
    most = most_connections(guise, load, *origins)
    load.join()
    assert load.statuses == {200: 24 * 40}
    assert 0 < most <= 4
    assert sum(gauge.total for gauge in gauges) == 24 * 40
    assert load.slowest < 5 * slowness()


def test_one_connection_for_two_workers(stage):
    """It rests on the worker that used it last: when the other one needs it, it is given up there."""
    gauge = Gauge()
    origin = stage.origin(working(gauge))
    guise = stage.guise(group(origin, limits={"connections": 1, "pending": 100}, timeouts={"queue": "10s"}))
    for _ in range(24):
        watch = Stopwatch()
        client = stage.client(guise.reverse)
        assert client.get().status == 200
        client.close()
        assert watch.seconds < 2 * slowness()
    assert len(origin.peers) > 1  # both workers were asked
    load = Load(stage, guise, clients=16, requests=10).join()
    assert load.statuses == {200: 160} and gauge.most == 1


def test_workers_share_a_connection(stage):
    """Both workers' clients want it all the time, and neither worker keeps it for its own."""
    gauge = Gauge()
    origin = stage.origin(working(gauge, 0.005))
    guise = stage.guise(group(origin, limits={"connections": 1, "pending": 100}, timeouts={"queue": "40s"}))
    watch = Stopwatch()
    load = Load(stage, guise, clients=16, requests=20).join()
    assert load.statuses == {200: 320} and gauge.most == 1
    assert load.slowest < watch.seconds / 3


def test_connections_of_tcp(stage):
    def script(peer):
        peer.send(b"hello")
        peer.wait_end()
    origin = stage.origin(script)
    guise = stage.guise(settings.tcp(origin, workers=2, upstream={
        "retries": 0, "limits": {"connections": 3, "pending": 2}, "timeouts": {"queue": "20s"}}))
    clients = [stage.client(guise.tcp) for _ in range(3)]
    for client in clients:
        assert client.read_exact(5) == b"hello"
    waiting = [stage.client(guise.tcp) for _ in range(2)]
    assert not has_heard(waiting[0], 0.2) and not has_heard(waiting[1], 0.2)
    try:
        assert stage.client(guise.tcp).read_to_end() == b""
    except (Truncated, ConnectionResetError):
        pass  # says so too
    assert connections_to(origin) == 3
    for client in clients[:2]:
        client.close()
    for client in waiting:
        assert client.read_exact(5) == b"hello"
    assert len(origin.peers) == 5


def test_connections_cannot_be_had_in_time(stage):
    gate = threading.Event()
    gauge = Gauge()
    origin = stage.origin(working(gauge, gate=gate))
    guise = stage.guise(group(origin, limits={"connections": 2, "pending": 3}, timeouts={"queue": "600ms"}))
    first = [send(stage, guise) for _ in range(2)]
    wait_for(lambda: gauge.now == 2, "both connections to be taken")
    others = [send(stage, guise) for _ in range(5)]
    texts = sorted(client.read_response().body.decode() for client in others)
    assert sum("as many connections as they may" in text for text in texts) == 2
    assert sum("no connection to a server became free in time" in text for text in texts) == 3
    gate.set()
    for client in first:
        assert client.read_response().status == 200


def test_nothing_is_left_counted(stage):
    """Clients that leave in any state, then a load: all places are there again."""
    gauge = Gauge()
    origin = stage.origin(working(gauge, 0.01))
    guise = stage.guise(group({"address": origin.address, "max_connections": 3},
                              limits={"connections": 3, "requests": 40, "pending": 20}, timeouts={"queue": "30s"}))
    for _ in range(10):
        clients = [send(stage, guise) for _ in range(16)]
        for client in clients[::2]:
            client.reset()
        for client in clients[1::2]:
            assert client.read_response().status == 200
    held = threading.Event()
    before = gauge.total
    origin.script = working(gauge, gate=held)
    hold = [send(stage, guise) for _ in range(3)]
    for client in hold:
        assert not has_heard(client, 0.01) or client.read_response().status == 200
    held.set()
    load = Load(stage, guise, clients=16, requests=4).join()
    assert load.statuses == {200: 64} and gauge.total > before
