"""bench/ works: a smoke run, its figures and its way of saying that something is wrong."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
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
