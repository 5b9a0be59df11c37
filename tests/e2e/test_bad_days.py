"""Bad days: killed servers, resets in any state, floods, clients that vanish, drains, a log that nobody reads."""

import os
import random
import resource
import signal
import socket
import threading
import time

import pytest

from support import settings
from support.client import Client, request
from support.origin import OK, response
from support.process import slowness
from support.servers import Daemon, program
from support.waiting import Stopwatch, stays_true, wait_for
from support.wire import Closed, Truncated


def settle(guise, base, what="file descriptors to be given back", slack=2):
    wait_for(lambda: guise.open_files() <= base + slack, what, 10)


class Load(threading.Thread):
    """A client that asks again and again, and tells what it met."""

    def __init__(self, address, body, seconds=60):
        super().__init__(daemon=True)
        self.address, self.body = address, body
        self.end = time.monotonic() + seconds
        self.counts, self.wrong, self.stopped = {}, [], threading.Event()

    def note(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def run(self):
        client = None
        while not self.stopped.is_set() and time.monotonic() < self.end:
            try:
                client = client or Client(self.address)
                client.keep = False
                got = client.get()
                self.note(got.status)
                if got.status == 200 and got.body != self.body:
                    self.wrong.append(got.body[:100])
                if got.fields.get("Connection") == "close":
                    client.close()
                    client = None
            except (Truncated, OSError):
                self.note("cut")
                client.close() if client else None
                client = None
            except AssertionError as error:
                self.wrong.append(str(error))
                client.close()
                client = None
        if client:
            client.close()


def test_server_killed_under_load(stage):
    """nginx dies (kill -9) and comes back: errors are 502 to 504 or cuts, never a wrong body, and service returns."""
    body = bytes(range(256)) * 200
    nginx = stage.nginx()
    with open(f"{nginx.files}/x", "wb") as file:
        file.write(body)
    guise = stage.guise(settings.reverse(nginx.address, route={"rewrite": {"from": "/", "to": "/x"}}))
    loads = [Load(guise.reverse, body) for _ in range(4)]
    for load in loads:
        load.start()
    wait_for(lambda: all(load.counts.get(200, 0) > 50 for load in loads), "load")
    nginx.kill()
    wait_for(lambda: all(load.counts.get(502, 0) + load.counts.get(503, 0) > 5 for load in loads), "errors", 10)
    again = Daemon([program("nginx"), "-p", nginx.prefix, "-c", f"{nginx.prefix}/nginx.conf"], f"{nginx.prefix}/out2.log")
    stage.daemons.append(again)
    again.wait_port(nginx.port)
    before = [load.counts.get(200, 0) for load in loads]
    wait_for(lambda: all(load.counts.get(200, 0) > 50 + count for load, count in zip(loads, before)), "service again")
    for load in loads:
        load.stopped.set()
    for load in loads:
        load.join(10)
        assert not load.wrong
        assert set(load.counts) <= {200, 502, 503, 504, "cut"}


STATES = ["connected", "half a head", "head", "half a body", "waiting", "half a response", "after the response", "tunnel"]


# A client that closes while it waits looks like one that half-closes and still wants its answer: no case of its own.
@pytest.mark.parametrize("state, how", [(state, how) for state in STATES for how in ("reset", "close")
                                        if (state, how) != ("waiting", "close")])
def test_client_vanishes_in_any_state(stage, state, how):
    def script(peer):
        head = peer.read_request_head_or_none()
        if head is None:
            return
        if head.target == "/upgrade":
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        elif head.target == "/half":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + bytes(1_000_000))
        elif head.target == "/whole":
            peer.send(OK)
        peer.wait_end()
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin, upstream={"keepalive": 0}))
    base = guise.open_files()
    for _ in range(10):
        client = stage.client(guise.reverse)
        if state == "half a head":
            client.send(b"GET / HTTP/1.1\r\nHo")
        elif state == "head":
            client.send(request("POST", fields=[("Content-Length", 100)]))
        elif state == "half a body":
            client.send(request("POST", fields=[("Content-Length", 100)]) + b"x" * 50)
            origin.wait_peers(1)
        elif state == "waiting":
            count = len(origin.heads)
            client.send(request())
            wait_for(lambda seen=count: len(origin.heads) > seen, "the request at the origin")
        elif state == "half a response":
            client.send(request(target="/half"))
            client.read_response_head()
        elif state == "after the response":
            assert client.get("/whole").status == 200
        elif state == "tunnel":
            client.ask(b"GET /upgrade HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        client.reset() if how == "reset" else client.close()
    settle(guise, base)
    wait_for(lambda: all(peer.ended.is_set() for peer in origin.peers), "the origin's connections to be closed")
    assert stage.client(guise.reverse).get("/whole").status == 200


@pytest.mark.parametrize("when", ["accepted", "half a request", "request", "half a head", "head", "half a body"])
def test_server_resets_in_any_state(stage, when):
    def script(peer):
        if when == "accepted":
            peer.reset()
            return
        if when == "half a request":
            peer.read_exact(10)
            peer.reset()
            return
        head = peer.read_request_head_or_none()
        if head is None:
            return
        if when == "half a head":
            peer.send(b"HTTP/1.1 200 OK\r\nCont")
        elif when == "head":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        elif when == "half a body":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)
        peer.reset()
    guise = stage.guise(settings.reverse(stage.origin(script)))
    base = guise.open_files()
    for method in ("GET", "POST") * 5:
        client = stage.client(guise.reverse)
        try:
            got = client.ask(request(method, body=b"x" * 1000 if method == "POST" else b""))
            assert got.status in (502, 503)
        except (Truncated, ConnectionError):
            assert when in ("head", "half a body", "half a head")
        client.close()
    settle(guise, base)


def test_flood_of_slow_connections_does_not_stop_others(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, timeouts={"header": "2s"}))
    base = guise.open_files()
    slow = []
    for _ in range(500):
        client = Client(guise.reverse)
        client.send(b"GET / HTTP/1.1\r\nHost: a.te")
        slow.append(client)
    watch = Stopwatch()
    client = stage.client(guise.reverse)
    for _ in range(100):
        assert client.get().status == 200
    assert watch.seconds < 2 * slowness()
    client.close()
    settle(guise, base + 2, "the slow ones to be timed out")
    for one in slow:
        one.close()


def test_flood_of_connections_that_come_and_go(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    stage.client(guise.reverse).get()
    base = guise.open_files()
    for n in range(2000):
        client = Client(guise.reverse)
        if n % 3:
            client.reset()
        else:
            client.close()
    assert stage.client(guise.reverse).get().status == 200
    stage.clients[-1].close()
    settle(guise, base)


def test_dead_connections_in_the_queue_do_not_count_against_the_living(stage):
    """What came and went while Guise could not look is taken in portions, each given back before the next."""
    guise = stage.guise(settings.reverse(stage.origin(), limits={"connections_per_address": 200}))
    os.kill(guise.pid, signal.SIGSTOP)
    try:
        for _ in range(1000):
            Client(guise.reverse).close()
        client = stage.client(guise.reverse)
    finally:
        os.kill(guise.pid, signal.SIGCONT)
    assert client.get().status == 200


def test_running_out_of_file_descriptors(stage):
    """Accepting stops and goes on; nothing spins, nothing crashes."""
    guise = stage.guise(settings.reverse(stage.origin()))
    soft, hard = resource.prlimit(guise.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(guise.pid, resource.RLIMIT_NOFILE, (guise.open_files() + 20, hard))
    crowd = [Client(guise.reverse) for _ in range(120)]
    cpu, watch = guise.cpu_seconds(), Stopwatch()
    stays_true(lambda: True, 1.0)
    assert guise.cpu_seconds() - cpu < 0.6 * watch.seconds, "it spins"
    for client in crowd:
        client.close()
    resource.prlimit(guise.pid, resource.RLIMIT_NOFILE, (soft, hard))

    def served():
        client = Client(guise.reverse, timeout=2)
        try:
            return client.get().status == 200
        except (OSError, AssertionError):
            return False
        finally:
            client.close()
    wait_for(served, "service after the crowd")


def test_random_abuse(stage):
    """Random bytes, random cuts, random ends, for some seconds: no crash, no leak of descriptors (and no sanitizer report)."""
    dice = random.Random(20260102)
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    base = guise.open_files()
    pieces = [b"GET / HTTP/1.1\r\n", b"Host: a.test\r\n", b"\r\n", b"POST /x HTTP/1.1\r\n", b"Content-Length: 5\r\n", b"hello",
              b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"\0\xff\n", b"Expect: 100-continue\r\n",
              b"Connection: upgrade\r\nUpgrade: x\r\n", b" ", b":", b"HTTP/1.0\r\n", b"\r", b"\n", bytes(5000)]
    for _ in range(600):
        client = Client(guise.reverse, timeout=0.05)
        try:
            for _ in range(dice.randrange(1, 9)):
                client.send(dice.choice(pieces))
            end = dice.randrange(4)
            if end == 0:
                client.half_close()
            if end <= 1:
                client.read_some()
        except (OSError, AssertionError):
            pass
        client.reset() if dice.random() < 0.5 else client.close()
    settle(guise, base + 2)
    assert stage.client(guise.reverse).get().status == 200


# drain

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_lets_the_running_response_finish(stage, number):
    gate, seen = threading.Event(), threading.Event()

    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        seen.set()
        gate.wait(10)
        peer.send(b"world")
        peer.wait_end()
    guise = stage.guise(settings.reverse(stage.origin(script), timeouts={"drain": "10s"}))
    busy, idle = stage.client(guise.reverse), stage.client(guise.reverse)
    busy.send(request())
    assert busy.read_response_head().status == 200
    seen.wait(10)
    guise.signal(number)
    idle.expect_end()
    wait_for(lambda: not connects(guise.reverse), "new connections to be refused")
    assert guise.process.poll() is None
    gate.set()
    assert busy.read_exact(10) == b"helloworld"
    assert guise.wait_exit() == 0


def test_drain_answers_the_request_in_flight_and_closes(stage):
    gate = threading.Event()
    origin = stage.origin(lambda peer: (peer.read_request(), gate.wait(10), peer.send(OK), peer.wait_end()))
    guise = stage.guise(settings.reverse(origin, timeouts={"drain": "10s"}))
    client = stage.client(guise.reverse)
    client.send(request())
    origin.wait_requests(1)
    guise.signal(signal.SIGTERM)
    wait_for(lambda: not connects(guise.reverse), "the listener to be closed")
    gate.set()
    got = client.read_response()
    assert got.status == 200 and got.fields.get("Connection") == "close"
    client.expect_end()
    assert guise.wait_exit() == 0


def test_drain_ends_at_its_deadline(stage):
    origin = stage.origin(lambda peer: (peer.read_request(), peer.wait_end()))
    guise = stage.guise(settings.reverse(origin, timeouts={"drain": "500ms"}))
    client = stage.client(guise.reverse)
    client.send(request())
    origin.wait_requests(1)
    watch = Stopwatch()
    guise.signal(signal.SIGTERM)
    assert guise.wait_exit() == 0
    assert 0.3 < watch.seconds < 5
    with pytest.raises((AssertionError, OSError)):
        assert client.read_response().status == 200


def test_second_signal_ends_it_at_once(stage):
    origin = stage.origin(lambda peer: (peer.read_request(), peer.wait_end()))
    guise = stage.guise(settings.reverse(origin, timeouts={"drain": "60s"}))
    client = stage.client(guise.reverse)
    client.send(request())
    origin.wait_requests(1)
    guise.signal(signal.SIGTERM)
    idle_is_refused = Stopwatch()
    wait_for(lambda: not connects(guise.reverse), "the listener to be closed")
    guise.signal(signal.SIGTERM)
    guise.wait_exit()
    assert idle_is_refused.seconds < 15


def connects(address):
    try:
        Client(address).close()
        return True
    except OSError:
        return False


# logs

def test_a_log_that_nobody_reads_blocks_nothing(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin), read_stdout=False)
    client = stage.client(guise.reverse)
    for _ in range(3000):  # some 200 bytes each: many times what a pipe holds
        assert client.get().status == 200
    client.close()
    guise.stop()


def test_a_log_whose_reader_went_away(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin), read_stdout=False)
    guise.process.stdout.close()
    client = stage.client(guise.reverse)
    for _ in range(100):
        assert client.get().status == 200


# several workers

def test_every_worker_serves(stage):
    origin = stage.origin()
    config = settings.reverse(origin)
    config["workers"] = 4
    guise = stage.guise(config)
    for _ in range(200):
        client = Client(guise.reverse)
        assert client.get().status == 200
        client.close()
    assert len(guise.threads()) >= 5


def test_load_on_several_workers(stage):
    """Concurrent clients, bodies of their own, several workers: nobody gets another's answer."""
    def script(peer):
        while (got := peer.read_request()) is not None:
            peer.send(response(200, got.target.encode() + got.body))
    origin = stage.origin(script)
    config = settings.reverse(origin)
    config["workers"] = 2
    guise = stage.guise(config)
    wrong = []

    def work(number):
        client = Client(guise.reverse)
        for turn in range(100):
            body = f"{number}-{turn}".encode() * (turn + 1)
            if client.ask(request("POST", f"/{number}/{turn}", body=body)).body != f"/{number}/{turn}".encode() + body:
                wrong.append((number, turn))
        client.close()
    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(18 * slowness())
        assert not worker.is_alive()
    assert not wrong


def test_port_is_free_again_after_the_end(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.get()
    guise.stop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(guise.reverse)


def test_errors_of_the_origin_side_are_counted_once_in_the_log(stage):
    guise = stage.guise(settings.reverse("127.0.0.1:1"))
    client = stage.client(guise.reverse)
    for _ in range(5):
        client.get()
    wait_for(lambda: len(guise.log_entries()) == 5, "five entries")
    assert stays_true(lambda: len(guise.log_entries()) == 5, 0.2)
    assert all(entry["error"] for entry in guise.log_entries())


@pytest.mark.parametrize("workers", [1, 2])
def test_drain_under_load_cuts_nobody(stage, workers):
    """SIGTERM while clients keep asking: every answer that began is whole, and the end comes soon."""
    def script(peer):
        peer.keep = False
        while (got := peer.read_request()) is not None:
            peer.send(response(200, got.target.encode() * 1000))
    origin = stage.origin(script)
    config = settings.reverse(origin, timeouts={"drain": "10s"})
    config["workers"] = workers
    guise = stage.guise(config)
    cut, served = [], []

    def work():
        client = Client(guise.reverse)
        client.keep = False
        try:
            while True:
                got = client.get("/x")
                served.append(got.body == b"/x" * 1000)
                if got.fields.get("Connection") == "close":
                    return
        except Truncated as error:
            cut.append(error)
        except (Closed, OSError):
            pass  # an idle connection may be closed between two requests
        finally:
            client.close()
    clients = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for client in clients:
        client.start()
    wait_for(lambda: len(served) > 200, "load")
    watch = Stopwatch()
    guise.stop()
    assert watch.seconds < 5 * slowness()
    for client in clients:
        client.join(10)
    assert all(served) and not cut
