"""What Guise costs: bytes for an idle connection, system calls for a request."""

import re
import resource
import signal
import subprocess

import pytest

from support import settings
from support.client import request
from support.origin import OK
from support.process import LineReader, sanitizer
from support.servers import ENVIRONMENT, program
from support.waiting import WaitTimeout, stays_true, wait_for

IDLE_CONNECTIONS = 5000
IDLE_BYTES = 512
REQUESTS = 1000


@pytest.mark.seconds(60)
@pytest.mark.skipif("sanitizer()", reason="a sanitizer's shadow memory is not the program's")
def test_idle_connections_are_cheap(stage):
    """5,000 keep-alive connections that have each been served: under 512 bytes of process memory each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * IDLE_CONNECTIONS:
        pytest.skip(f"the limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    origin = stage.origin()
    config = settings.reverse(origin, limits={"connections_per_address": 20_000}, timeouts={"idle": "5m"})
    guise = stage.guise(config)
    data = request()
    warm = stage.client(guise.reverse)
    for _ in range(8000):  # what is touched once is touched: the ring of the log, pools, arenas
        assert warm.ask(data).status == 200
    before = guise.private_bytes()
    for _ in range(IDLE_CONNECTIONS):
        client = stage.client(guise.reverse)
        client.keep = False
        assert client.ask(data).status == 200
    each = (guise.private_bytes() - before) / IDLE_CONNECTIONS
    print(f"{each:.0f} bytes for each idle connection")
    assert each < IDLE_BYTES


SYSTEM_CALL = re.compile(r"(?:\[pid +\d+\] )?(\w+)\(")


def count_system_calls(guise, work, prepare=None):
    """{name: calls} of all threads while work() runs, by strace. prepare() makes every thread that matters show itself."""
    arguments = [program("strace"), "-f", "-s", "0"]
    for thread in guise.threads():
        arguments += ["-p", str(thread)]
    tracer = subprocess.Popen(arguments, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE)
    lines = LineReader(tracer.stderr)
    try:
        try:
            lines.wait(lambda line: "attached" in line, "strace to attach")
        except WaitTimeout:
            pytest.skip(f"strace may not attach here: {lines.text}")
        wait_for(lambda: traced(guise) == len(guise.threads()), "strace on every thread")
        if prepare:
            wait_for(lambda: prepare() or "recvfrom(" in lines.text, "strace to see the worker")
        start = len(lines.lines)
        work()
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        lines.join()
    counts = {}
    for line in lines.lines[start:]:
        found = SYSTEM_CALL.match(line)
        if found:
            counts[found.group(1)] = counts.get(found.group(1), 0) + 1
    return counts


def traced(guise):
    """How many threads have a tracer."""
    count = 0
    for thread in guise.threads():
        with open(f"/proc/{guise.pid}/task/{thread}/status", encoding="ascii") as file:
            count += bool(re.search(r"^TracerPid:\t[1-9]", file.read(), re.M))
    return count


def switches(guise):
    """How often the threads have gone to sleep so far."""
    count = 0
    for thread in guise.threads():
        with open(f"/proc/{guise.pid}/task/{thread}/status", encoding="ascii") as file:
            count += int(re.search(r"^voluntary_ctxt_switches:\t(\d+)", file.read(), re.M).group(1))
    return count


def sleeping(guise):
    """A predicate: no thread has woken since."""
    before = switches(guise)
    return lambda: switches(guise) == before


DATA_CALLS = ("read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg")
SHARED_CALLS = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "restart_syscall")


@pytest.mark.skipif("sanitizer()", reason="a sanitizer makes system calls of its own")
@pytest.mark.parametrize("face", ["reverse", "forward"])
def test_four_data_system_calls_for_a_request(stage, face):
    """Receive, send, receive, send, and the epoll_wait that is shared: nothing else in the steady state."""
    def script(peer):
        peer.keep = False
        while peer.read_until(b"\r\n\r\n"):
            peer.send(OK)
    origin = stage.origin(script)
    if face == "reverse":
        guise = stage.guise(dict(settings.reverse(origin), log={"access": "off"}))
        client, data = stage.client(guise.reverse), request()
    else:
        guise = stage.guise(dict(settings.forward(settings.LOOPBACK), log={"access": "off"}))
        client = stage.client(guise.forward)
        data = request(target=f"http://{origin.address}/", host=origin.address)

    def work(count=REQUESTS):
        for _ in range(count):
            assert client.ask(data).status == 200
    work(20)
    wait_for(lambda: stays_true(sleeping(guise), 0.3), "the threads to fall asleep")
    counts = count_system_calls(guise, work, prepare=lambda: work(1))
    print(counts)
    calls = sum(counts.get(name, 0) for name in DATA_CALLS)
    assert 4 * REQUESTS <= calls <= 4.02 * REQUESTS + 10, counts
    assert sum(counts.get(name, 0) for name in SHARED_CALLS) <= 2.02 * REQUESTS + 30, counts
    others = {name: count for name, count in counts.items() if name not in DATA_CALLS + SHARED_CALLS}
    assert sum(others.values()) <= 0.01 * REQUESTS + 20, others


@pytest.mark.skipif("sanitizer()", reason="a sanitizer's time is not the program's")
def test_nothing_runs_when_nothing_happens(stage):
    """An idle Guise with idle connections uses no processor time to speak of."""
    guise = stage.guise(settings.reverse(stage.origin()))
    for _ in range(50):
        stage.client(guise.reverse).get()
    wait_for(lambda: stays_true(sleeping(guise), 0.3), "the threads to fall asleep")
    counts = count_system_calls(guise, lambda: stays_true(lambda: True, 2))
    assert sum(counts.values()) < 30, counts
