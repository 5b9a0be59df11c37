"""bench/ works: a smoke run, its figures and its way of saying that something is wrong."""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SBIN = os.environ.get("PATH", "") + ":/usr/sbin"


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program, path=SBIN)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def bench(script, *arguments):
    return subprocess.run([sys.executable, ROOT / "bench" / script, *map(str, arguments)],
                          capture_output=True, text=True, timeout=120, check=False)


def processes_mentioning(text):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                if text.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


@needs("wrk", "nginx", "cc", "make")
def test_quick_run_measures_the_floor_and_nginx(tmp_path):
    out = tmp_path / "results.json"
    done = bench("run", "small", "--quick", "--proxies", "floor,nginx", "--build", tmp_path, "--json", out)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text())
    assert report["faults"] == []
    results = report["cases"]["small"]["results"]
    assert set(results) == {"floor", "nginx"}
    for proxy, figures in results.items():
        assert figures["min"] <= figures["cost"] <= figures["max"], proxy
        assert figures["requests"] > 0 and figures["cost"] > 0 and figures["own"] > 0, proxy
    assert results["floor"]["to_floor"] == 1
    assert results["nginx"]["own_to_floor"] > 1, "a proxy that parses costs more than a relay"
    assert "x floor" in done.stdout and "nginx" in done.stdout


@needs("wrk", "cc", "make")
def test_errors_make_a_run_invalid(tmp_path):
    broken = tmp_path / "guise"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    done = bench("run", "small", "--quick", "--proxies", "guise", "--build", tmp_path, "--guise", broken)
    assert done.returncode == 1
    assert "INVALID small, guise, round 1" in done.stdout and "status 3" in done.stdout


def test_a_proxy_that_is_asked_for_must_be_there(tmp_path):
    done = bench("run", "small", "--quick", "--proxies", "guise", "--build", tmp_path)
    assert done.returncode == 1
    assert "not installed: guise" in done.stderr or "wrk is not installed" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@needs("wrk", "cc", "make")
def test_an_interrupted_run_leaves_no_process(tmp_path, number):
    command = [sys.executable, ROOT / "bench/run", "small", "--proxies", "floor", "--build", tmp_path]
    # A background job of a script ignores SIGINT, and would hand that on.
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as run:
        end = time.monotonic() + 60
        while not processes_mentioning(f"{tmp_path}/bench-relay") and time.monotonic() < end:
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.02)
        run.send_signal(number)
        _, errors = run.communicate(timeout=20)
    assert run.returncode == 130, errors
    assert processes_mentioning(f"{tmp_path}/bench-") == []


@needs("strace", "cc", "make")
def test_system_calls_of_the_relay_are_four(tmp_path):
    done = bench("syscalls", "floor", "--requests", 200, "--build", tmp_path)
    if "ptrace" in done.stderr and done.returncode:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    assert "sendto 2.00" in done.stdout and "recvfrom 2.00" in done.stdout and "4.00 and" in done.stdout


def test_a_case_that_is_asked_for_must_find_its_tool(tmp_path):
    """Without h2load the case h2 is left out; not so when it was named."""
    for name in ("cc", "make", "wrk", "mkdir", "as", "ld", "sh"):
        where = shutil.which(name)
        (tmp_path / name).symlink_to(where or "/bin/false")
    environment = dict(os.environ, PATH=str(tmp_path))
    done = subprocess.run([sys.executable, ROOT / "bench/run", "h2", "--quick", "--build", tmp_path / "build"],
                          capture_output=True, text=True, timeout=120, check=False, env=environment)
    if shutil.which("h2load", path="/usr/sbin:/usr/local/sbin"):
        pytest.skip("h2load is where servers are")
    assert done.returncode == 1
    assert "h2load is not installed" in done.stderr


@needs("wrk", "h2load", "nginx", "openssl", "cc", "make")
def test_quick_run_with_tls_and_http2(tmp_path):
    out = tmp_path / "results.json"
    done = bench("run", "tls", "h2", "--quick", "--proxies", "nginx", "--build", tmp_path, "--json", out)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = json.loads(out.read_text())["cases"]
    assert set(cases) == {"tls", "h2"}
    for name, case in cases.items():
        assert case["results"]["nginx"]["requests"] > 100, name


@needs("openssl", "cc", "make", "wrk")
def test_quick_run_of_tunnels(tmp_path):
    out = tmp_path / "results.json"
    done = bench("run", "connect", "tunnel", "--quick", "--proxies", "floor,splice", "--build", tmp_path, "--json", out)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = json.loads(out.read_text())["cases"]
    assert set(cases["connect"]["results"]) == {"floor"}
    assert set(cases["tunnel"]["results"]) == {"floor", "splice"}
    assert cases["connect"]["results"]["floor"]["requests"] > 64


@needs("wrk", "cc", "make")
def test_quick_run_of_handshakes_and_idle_connections(tmp_path):
    out = tmp_path / "results.json"
    done = bench("run", "handshake", "resumed", "idle-tls", "--quick", "--proxies", "floor", "--build", tmp_path,
                 "--json", out)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = json.loads(out.read_text())["cases"]
    for name in ("handshake", "resumed"):
        figures = cases[name]["results"]["floor"]
        assert figures["requests"] > 64 and 0 < figures["p50"] <= figures["p99"], name
    assert 4000 < cases["idle-tls"]["results"]["floor"]["cost"] < 30000, "what OpenSSL keeps, without buffers"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The directory of the programs of bench/, with a certificate."""
    if not all(shutil.which(program) for program in ("cc", "make", "openssl")):
        pytest.skip("not installed: cc, make or openssl")
    path = tmp_path_factory.mktemp("bench")
    subprocess.run(["make", "-s", "-C", ROOT / "bench", f"BUILD={path}"], check=True, timeout=120)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=bench.test", "-keyout", path / "key", "-out", path / "certificate"],
                   check=True, timeout=30, capture_output=True)
    return path


@pytest.fixture
def start(built):
    """Starts a program of bench/ and returns the port that it picked."""
    running = []

    def start_one(name, *arguments):
        process = subprocess.Popen([built / name, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
        running.append(process)
        word, port = process.stdout.readline().split()
        assert word == "listening"
        return int(port)

    yield start_one
    for process in running:
        assert process.poll() is None, f"{process.args[0]} has ended"
        process.kill()
        process.communicate()


@pytest.fixture
def tls_relay(built, start):
    """Starts the relay with TLS in front of a port."""
    return lambda port: start("bench-tlsrelay", f"127.0.0.1:{port}", built / "certificate", built / "key")


def handshakes(built, *arguments):
    done = subprocess.run([built / "bench-handshakes", *map(str, arguments)], capture_output=True, text=True,
                          timeout=90, check=False)
    return done, json.loads(done.stdout)


def answer_once(answer):
    """A server of one connection, which answers so and closes; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, listener.accept()[0] as each:
            each.recv(65536)
            each.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def test_handshakes_are_full_or_resumed_as_asked(built, start, tls_relay):
    port = tls_relay(start("bench-origin"))
    done, summary = handshakes(built, "-n", 20, "-c", 4, port)
    assert (done.returncode, summary["requests"], summary["errors"], summary["resumed"]) == (0, 20, 0, 0)
    done, summary = handshakes(built, "-n", 20, "-c", 4, "-r", port)
    assert (done.returncode, summary["requests"], summary["errors"], summary["resumed"]) == (0, 20, 0, 16)
    assert 0 < summary["p50"] <= summary["p99"]


@pytest.mark.parametrize("answer", [
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nxxxxxxxxxxxx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nxxxxxxxxxxxxxx",
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 13\r\n\r\nxxxxxxxxxxxxx",
])
def test_a_wrong_answer_is_an_error(built, tls_relay, answer):
    done, summary = handshakes(built, "-n", 1, "-c", 1, tls_relay(answer_once(answer)))
    assert (done.returncode, summary["requests"], summary["errors"]) == (1, 0, 1)
    assert "answer" in done.stderr


def test_a_refused_tunnel_is_an_error(built, start):
    """An origin is no proxy for SOCKS."""
    port = start("bench-origin")
    done = subprocess.run([built / "bench-tunnels", "-d", "1", "-c", "4", "socks5", str(port), str(port)],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["requests"] == 0 and json.loads(done.stdout)["errors"] > 0
    assert "bench-tunnels: " in done.stderr


def test_a_failed_handshake_is_an_error(built):
    done, summary = handshakes(built, "-n", 1, "-c", 1, answer_once(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert (done.returncode, summary["requests"], summary["errors"]) == (1, 0, 1)
    assert "handshake failed: wrong version number" in done.stderr


def wait_until_no_more_arrives(each):
    """Waits until the buffer of a socket is full, since nobody reads."""
    waiting, before = 0, -1
    while waiting == 0 or waiting != before:
        before = waiting
        time.sleep(0.2)
        waiting = struct.unpack("i", fcntl.ioctl(each, termios.FIONREAD, b"\0" * 4))[0]
    assert waiting < 16 << 20, "the whole answer fits: nothing was held"


def test_the_relay_with_tls_holds_what_a_slow_client_does_not_take(start, tls_relay):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = b"GET /1m HTTP/1.1\r\nHost: bench.test\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    port = tls_relay(start("bench-origin"))
    with socket.create_connection(("127.0.0.1", port), 30) as plain:
        with context.wrap_socket(plain) as client:
            client.sendall(request * 15 + last)
            wait_until_no_more_arrives(client)
            got = b"".join(iter(lambda: client.recv(1 << 20), b""))
    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in got.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"x" * (1 << 20)] * 16


@needs("strace", "openssl", "cc", "make")
def test_system_calls_of_the_relay_with_tls_are_four(tmp_path):
    done = bench("syscalls", "floor", "--case", "tls", "--requests", 200, "--build", tmp_path)
    if "ptrace" in done.stderr and done.returncode:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    counted = {name: float(count) for name, count in
               (word.split()[:2] for word in done.stdout.partition(": ")[2].split(", "))}
    for name in ("read", "write", "recvfrom", "sendto"):
        assert 0.9 < counted[name] < 1.2, done.stdout  # how handshakes are cut into reads varies
