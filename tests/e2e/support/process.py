"""Guise as a process: start, wait until ready, read its logs, stop, and insist on a clean end."""

import json
import os
import re
import signal
import subprocess
import threading
import time

from support.waiting import DEFAULT_TIMEOUT, WaitTimeout

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer|runtime error: ")
LISTENER = re.compile(r"guise: (forward|reverse|tcp|admin) (?:proxy|interface) on (\S+)")


def binary():
    return os.environ.get("GUISE_BINARY") or os.path.join(ROOT, "build", "guise")


_sanitizer = {}


def sanitizer():
    """"address", "thread", "undefined" or None: what the binary was built with."""
    path = binary()
    if path not in _sanitizer:
        with open(path, "rb") as file:
            data = file.read()
        marks = (("address", b"__asan_init"), ("thread", b"__tsan_init"), ("undefined", b"__ubsan_handle"))
        _sanitizer[path] = next((name for name, mark in marks if mark in data), None)
    return _sanitizer[path]


def slowness():
    """By how much time limits grow under a sanitizer."""
    return {"address": 3, "thread": 5, "undefined": 2}.get(sanitizer(), 1)


def parse_address(text):
    """"127.0.0.1:80" or "[::1]:80" to (host, port); "unix:/path" to the path."""
    if text.startswith("unix:"):
        return text[len("unix:"):]
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class LineReader:
    """Reads a pipe to its end in a thread; lines can be waited for."""

    def __init__(self, stream):
        self.lines = []
        self._condition = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream):
        with stream:
            for raw in stream:
                with self._condition:
                    self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                    self._condition.notify_all()
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    @property
    def text(self):
        with self._condition:
            return "\n".join(self.lines)

    def wait(self, predicate, what, timeout=DEFAULT_TIMEOUT, start=0):
        """The first line from `start` on of which predicate is true."""
        end = time.monotonic() + timeout
        position = start
        with self._condition:
            while True:
                while position < len(self.lines):
                    if predicate(self.lines[position]):
                        return self.lines[position]
                    position += 1
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    state = "the stream ended" if self._ended else f"{timeout} s passed"
                    raise WaitTimeout(f"{state} without {what}; last lines:\n" + "\n".join(self.lines[-15:]))
                self._condition.wait(left)

    def join(self, timeout=5):
        self._thread.join(timeout)


class Guise:
    """A running Guise."""

    def __init__(self, arguments, cwd=None, env=None, read_stdout=True, wrapper=()):
        environment = dict(os.environ)
        environment.setdefault("ASAN_OPTIONS", "abort_on_error=0:detect_leaks=1")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        environment.update(env or {})
        self.process = subprocess.Popen([*wrapper, binary(), *arguments], cwd=cwd, env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        bufsize=0 if not read_stdout else -1)
        self.pid = self.process.pid
        self.stderr = LineReader(self.process.stderr)
        self.stdout = LineReader(self.process.stdout) if read_stdout else None
        self.forward = None
        self.reverse = None
        self.tcp = None
        self.admin = None
        self.listeners = []
        self.finished = False

    def wait_ready(self, timeout=15):
        """Until the banner ends; learns the real addresses of the listeners from it."""
        self.stderr.wait(lambda line: line.strip() == "guise: ready", "guise: ready", timeout * slowness())
        for face, address in LISTENER.findall(self.stderr.text):
            self.listeners.append((face, parse_address(address)))
        self.forward = next((address for face, address in self.listeners if face == "forward"), None)
        self.reverse = next((address for face, address in self.listeners if face == "reverse"), None)
        self.tcp = next((address for face, address in self.listeners if face == "tcp"), None)
        self.admin = next((address for face, address in self.listeners if face == "admin"), None)
        return self

    def addresses(self, face):
        return [address for kind, address in self.listeners if kind == face]

    # logs

    def log_mark(self):
        """A position in the access log, for wait_log(start=...)."""
        return len(self.stdout.lines)

    def wait_log(self, predicate=lambda entry: True, start=0, timeout=DEFAULT_TIMEOUT):
        """The first access log entry of which predicate is true."""
        def matches(line):
            return line.startswith("{") and predicate(json.loads(line))
        return json.loads(self.stdout.wait(matches, "an access log entry as wanted", timeout, start))

    def log_entries(self):
        return [json.loads(line) for line in list(self.stdout.lines) if line.startswith("{")]

    # the process as the kernel sees it

    def _status(self, key):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024
        raise KeyError(key)

    def resident(self):
        """Resident bytes now."""
        return self._status("VmRSS")

    def resident_peak(self):
        return self._status("VmHWM")

    def private_bytes(self):
        """Bytes of memory that are this process's own (PSS of anonymous memory)."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Pss_Anon:"):
                    return int(line.split()[1]) * 1024
        return self.resident()

    def reset_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return [int(name) for name in os.listdir(f"/proc/{self.pid}/task")]

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            parts = file.read().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    # the end

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=15):
        try:
            status = self.process.wait(timeout * slowness())
        except subprocess.TimeoutExpired:
            raise WaitTimeout(f"Guise did not end within {timeout} s; stderr:\n{self.stderr.text}") from None
        self.finished = True
        if self.stdout is None:
            self.process.stdout.close()
        else:
            self.stdout.join()
        self.stderr.join()
        return status

    def check_sanitizers(self):
        assert not SANITIZER_REPORT.search(self.stderr.text), f"sanitizer report:\n{self.stderr.text}"

    def stop(self, timeout=15):
        """SIGTERM, and a clean end."""
        if self.finished:
            return
        self.signal(signal.SIGTERM)
        try:
            status = self.wait_exit(timeout)
        except WaitTimeout:
            self.kill()
            raise
        self.check_sanitizers()
        assert status == 0, f"Guise ended with {status}:\n{self.stderr.text}"

    def kill(self):
        if not self.finished:
            self.process.kill()
            self.wait_exit()


def run(*arguments, cwd=None, env=None, timeout=20):
    """A subcommand that ends by itself: (status, stdout, stderr)."""
    environment = dict(os.environ, **(env or {}))
    done = subprocess.run([binary(), *arguments], cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * slowness(), check=False)
    stdout, stderr = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    assert not SANITIZER_REPORT.search(stderr), f"sanitizer report:\n{stderr}"
    return done.returncode, stdout, stderr
