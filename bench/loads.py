"""The loads of bench/: wrk, h2load and bench-handshakes, each bounded in time, each answer checked.

All of them offer TLS 1.3 with TLS_AES_128_GCM_SHA256 and X25519 and nothing else, so that every proxy does the same
work. Each function that runs for some time returns a summary with "requests", and "p50" and "p99" in microseconds
where the tool tells them; it raises BenchError when any answer was wrong or missing.
"""

import json
import os
import re
import subprocess

import client
import harness
from harness import BenchError
from peers import find

BODY_BYTES = {"/small": 13, "/64k": 64 << 10, "/1m": 1 << 20}
CLOSES_UNANNOUNCED = ["tinyproxy"]
WRK_ERRORS = ["connect", "read", "write", "status", "timeout"]
CIPHER, GROUP = "TLS_AES_128_GCM_SHA256", "X25519"
H2_CONNECTIONS, H2_STREAMS = 16, 32
H2_NEGOTIATED = ["TLS Protocol: TLSv1.3", f"Cipher: {CIPHER}", "Application protocol: h2"]


def pinned_openssl(bench):
    """A configuration of OpenSSL that pins what a program offers that does not choose itself."""
    path = os.path.join(bench.directory, "openssl.cnf")
    with open(path, "w", encoding="ascii") as file:
        file.write("openssl_conf = load\n[load]\nssl_conf = ssl\n[ssl]\nsystem_default = pinned\n[pinned]\n"
                   f"MinProtocol = TLSv1.3\nCiphersuites = {CIPHER}\nGroups = {GROUP}\n")
    return path


def run_json(command, seconds, environment=None):
    """Runs a tool that prints one line of JSON."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds + 30, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchError(f"{os.path.basename(command[0])} failed: {done.stdout} {done.stderr}")
    return json.loads(lines[-1]), done.stderr.strip()


def wrk(bench, case, proxy, port, seconds, connections):
    """Keep-alive requests by wrk, or with a new connection for each.

    A proxy that closes after each answer without saying so makes wrk count a read error beside the answer.
    """
    command = [find("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s"]
    command += ["-s", os.path.join(harness.HERE, "wrk.lua")]
    environment = dict(os.environ)
    if case.how == "new":
        command += ["-H", "Connection: close"]
    if case.face == "forward":
        environment["BENCH_HOST"] = f"127.0.0.1:{bench.origin_port}"
        environment["BENCH_TARGET"] = f"http://127.0.0.1:{bench.origin_port}{case.path}"
    if case.face == "tls":
        environment["OPENSSL_CONF"] = pinned_openssl(bench)
    command.append(f"{'https' if case.face == 'tls' else 'http'}://127.0.0.1:{port}{case.path}")
    summary, _ = run_json(command, seconds, environment)
    if proxy in CLOSES_UNANNOUNCED:
        summary["read"] = max(0, summary["read"] - summary["requests"])
    wrong = {kind: summary[kind] for kind in WRK_ERRORS if summary[kind]}
    if wrong:
        raise BenchError(f"wrk met errors: {wrong} beside {summary['requests']} answers")
    if not summary["requests"]:
        raise BenchError("wrk got no answer")
    if summary["bytes"] < summary["requests"] * BODY_BYTES[case.path]:
        raise BenchError(f"answers are too short: {summary}")
    return summary


def handshakes(bench, case, port, bound, connections):
    """Connections of one request each by bench-handshakes; `bound` are its options that say how much."""
    command = [bench.built("bench-handshakes"), *bound, "-c", str(connections)]
    if case.how == "resumed":
        command.append("-r")
    summary, said = run_json([*command, str(port)], 60)
    if summary["errors"] or not summary["requests"]:
        raise BenchError(f"{summary['errors']} errors beside {summary['requests']} answers, {said}")
    # The first connection in each place has no ticket yet.
    least = summary["requests"] - connections if case.how == "resumed" else 0
    if summary["resumed"] < least or (case.how != "resumed" and summary["resumed"]):
        raise BenchError(f"{summary['resumed']} of {summary['requests']} handshakes were resumed")
    return summary


def tunnels(bench, case, port, bound, connections):
    """New tunnels of one request each by bench-tunnels; `bound` are its options that say how much."""
    command = [bench.built("bench-tunnels"), *bound, "-c", str(connections), case.how, str(port), str(bench.origin_port)]
    summary, said = run_json(command, 60)
    if summary["errors"] or not summary["requests"]:
        raise BenchError(f"{summary['errors']} errors beside {summary['requests']} answers, {said}")
    return summary


def h2load(port, bound, path):
    """HTTP/2 over TLS by h2load; `bound` are its options that say how much."""
    command = [find("h2load"), "-t1", f"-c{H2_CONNECTIONS}", f"-m{H2_STREAMS}", *bound]
    command += [f"--tls13-ciphers={CIPHER}", f"--groups={GROUP}", f"https://127.0.0.1:{port}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    counts = {kind: int(count) for count, kind in re.findall(r"(\d+) (succeeded|failed|errored|timeout|2xx)",
                                                             done.stdout)}
    data = re.search(r"\((\d+)\) data", done.stdout)
    if done.returncode or not counts.get("succeeded") or not data:
        raise BenchError(f"h2load failed: {done.stdout} {done.stderr}")
    for line in H2_NEGOTIATED:
        if line not in done.stdout.splitlines():
            raise BenchError(f"h2load did not say {line!r}: {done.stdout}")
    requests = counts["succeeded"]
    if counts["failed"] or counts["errored"] or counts["timeout"] or counts["2xx"] < requests:
        raise BenchError(f"h2load met errors: {counts}")
    if int(data[1]) < requests * BODY_BYTES[path]:
        raise BenchError(f"answers are too short: {data[0]} for {requests} requests")
    return {"requests": requests}


def for_seconds(bench, case, proxy, port, seconds, connections):
    """Puts the load of a case on a proxy for some time; its summary."""
    if case.how in ("full", "resumed"):
        return handshakes(bench, case, port, ["-d", str(seconds)], connections)
    if case.how in ("connect", "socks5"):
        return tunnels(bench, case, port, ["-d", str(seconds)], connections)
    if case.how == "h2":
        return h2load(port, ["-D", str(seconds)], case.path)
    return wrk(bench, case, proxy, port, seconds, connections)


def exactly(bench, case, port, requests, connections, then=lambda: None):
    """Puts a number of requests for /small on a proxy; calls `then` with kept connections still open."""
    if case.how in ("full", "resumed"):
        handshakes(bench, case, port, ["-n", str(requests)], connections)
    elif case.how == "h2":
        h2load(port, ["-n", str(requests)], "/small")
    elif case.how in ("connect", "socks5"):
        tunnels(bench, case, port, ["-n", str(requests)], connections)
    else:
        target = f"http://127.0.0.1:{bench.origin_port}/small" if case.face == "forward" else "/small"
        with client.Client(port, connections, case.face == "tls", target) as kept:
            kept.run(requests)
            then()
            return
    then()
