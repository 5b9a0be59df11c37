"""What the scripts of bench/ share: how the proxies and the origins run.

Every process is started here, is pinned to its cores, dies with the script (PR_SET_PDEATHSIG) and is ended
by its own process id. Everything listens on 127.0.0.1.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import peers
from peers import find

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORES = CORES[-1:]
LOAD_CORES = CORES[:-1] or CORES

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """The bench cannot go on; the text says why."""


def info(text):
    """Tells the user what goes on, beside the results."""
    print(text, file=sys.stderr, flush=True)


def free_port():
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    """Whether something accepts connections on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, seconds, what):
    """Waits for a condition; BenchError when it does not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {seconds:g} s")
        time.sleep(0.01)


def children_of(pid):
    """A process and its descendants, as process ids."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    found += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return found


class Process:
    """One program with its descendants, pinned to `cores`, its output kept in a file."""

    def __init__(self, name, command, cores, directory, stdout=None):
        self.name = name
        self.log = os.path.join(directory, f"{name}.log")
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=stdout or log,
                stderr=log,
                preexec_fn=lambda: self.prepare(cores),
            )
        self.pid = self.popen.pid

    @staticmethod
    def prepare(cores):
        """Runs in the child, before the program: pins it, and ties its life to this script's."""
        os.sched_setaffinity(0, cores)
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def tail(self):
        """The end of what the program said."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:].strip()

    def check(self):
        """BenchError when the program has ended."""
        if self.popen.poll() is not None:
            raise BenchError(f"{self.name} ended with status {self.popen.returncode}\n{self.tail()}")

    def wait_for_port(self, port, seconds=10):
        """Waits until the program accepts connections."""

        def ready():
            self.check()
            return accepts(port)

        wait_until(ready, seconds, f"{self.name} on port {port}")

    def cpu_seconds(self):
        """User and system time of the process and its descendants so far."""
        total = 0
        for pid in children_of(self.pid):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
            except OSError:
                pass
        return total / TICKS

    def pss_bytes(self):
        """Proportional set size of the process and its descendants."""
        total = 0
        for pid in children_of(self.pid):
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        return total * 1024

    def stop(self, how=signal.SIGTERM, seconds=3):
        """Ends the program and what it started, by their ids."""
        family = children_of(self.pid)
        if self.popen.poll() is None:
            self.popen.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        if self.popen.poll() is None:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.popen.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Bench:
    """The directories, the built programs and the running origin of one run of a script."""

    def __init__(self, args):
        guise = args.guise or os.environ.get("GUISE_BINARY")
        build = args.build or os.path.dirname(guise or os.path.join(ROOT, "build", "guise"))
        self.build = os.path.abspath(build)
        self.guise = os.path.abspath(guise or os.path.join(build, "guise"))
        self.directory = tempfile.mkdtemp(prefix="guise-bench-")
        self.certificate = os.path.join(self.directory, "certificate.pem")
        self.key = os.path.join(self.directory, "key.pem")
        self.certificate_and_key = os.path.join(self.directory, "both.pem")
        self.origin = self.h2_origin = None
        self.origin_port = self.h2_origin_port = 0
        self.starts = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for origin in (self.origin, self.h2_origin):
            if origin:
                origin.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def built(self, program):
        """The path of a program of this directory."""
        return os.path.join(self.build, program)

    def make(self):
        """Builds the relays, the origin and the loads, where they are older than their source."""
        done = subprocess.run(
            ["make", "-s", "-C", HERE, f"BUILD={self.build}"], stdout=sys.stderr, check=False, timeout=120
        )
        if done.returncode:
            raise BenchError("the programs of bench/ cannot be built (OpenSSL's headers are needed: tools/setup bench)")

    def installed(self, proxy):
        """Whether a proxy can be run here."""
        if proxy in peers.RELAYS:
            return True
        if proxy == "guise":
            return os.access(self.guise, os.X_OK)
        return find(peers.PROGRAMS.get(proxy, proxy)) is not None

    def start_printing_port(self, name, command, cores):
        """Starts one of our own programs, which say on their first line which port they picked."""
        process = Process(name, command, cores, self.directory, stdout=subprocess.PIPE)
        word, _, port = process.popen.stdout.readline().decode().partition(" ")
        if word != "listening":
            process.stop()
            raise BenchError(f"{name} does not start: {process.tail()}")
        return process, int(port)

    def start_origin(self):
        """Starts the origin on the cores of the load."""
        self.origin, self.origin_port = self.start_printing_port(
            "origin", [self.built("bench-origin")], LOAD_CORES
        )

    def start_h2_origin(self):
        """Starts the origin that speaks HTTP/2 in clear, nghttpd with a file, on the cores of the load."""
        files = os.path.join(self.directory, "files")
        os.mkdir(files)
        with open(os.path.join(files, "small"), "w", encoding="ascii") as file:
            file.write("x" * 13)
        self.h2_origin_port = free_port()
        command = [find("nghttpd"), "--no-tls", "-a", "127.0.0.1", "-d", files, str(self.h2_origin_port)]
        self.h2_origin = Process("nghttpd", command, LOAD_CORES, self.directory)
        self.h2_origin.wait_for_port(self.h2_origin_port)

    def make_certificate(self):
        """Makes the certificate that all proxies show, ECDSA P-256, signed by itself."""
        command = [find("openssl") or "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-nodes", "-days", "2", "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test"]
        command += ["-keyout", self.key, "-out", self.certificate]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise BenchError(f"openssl makes no certificate: {done.stderr}")
        with open(self.certificate_and_key, "w", encoding="ascii") as both:
            for path in (self.certificate, self.key):
                with open(path, encoding="ascii") as file:
                    both.write(file.read())

    def origin_for(self, face):
        """Makes ready what a face needs besides the proxy; the port of its origin."""
        if face == "tls" and not os.path.exists(self.certificate_and_key):
            self.make_certificate()
        if face != "h2up":
            return self.origin_port
        if not self.h2_origin:
            self.start_h2_origin()
        return self.h2_origin_port

    def start(self, proxy, face="reverse", wrap=(), seconds=10):
        """Starts a proxy on its core, under the tool `wrap`; returns its process and port once it answers."""
        self.starts += 1
        directory = os.path.join(self.directory, f"{self.starts}-{proxy}")
        os.mkdir(directory)
        port = 0 if proxy in peers.RELAYS else free_port()
        command = [*wrap, *peers.COMMANDS[proxy](self, directory, port, self.origin_for(face), face)]
        if proxy in peers.RELAYS:
            return self.start_printing_port(proxy, command, PROXY_CORES)
        process = Process(proxy, command, PROXY_CORES, directory)
        try:
            process.wait_for_port(port, seconds)
        except BaseException:
            process.stop()
            raise
        return process, port

    @contextlib.contextmanager
    def running(self, proxy, face="reverse", wrap=(), seconds=10):
        """A proxy for the time of a with block."""
        process, port = self.start(proxy, face, wrap, seconds)
        try:
            yield process, port
        finally:
            process.stop()


def add_build_arguments(parser):
    """The options that say what is measured and where this directory's own programs are built."""
    parser.add_argument("--guise", help="the guise to measure (GUISE_BINARY, or BUILD/guise)")
    parser.add_argument("--build", help="where the programs of bench/ are built (beside guise, or build)")


def terminate_as_interrupt():
    """Makes SIGTERM and SIGHUP end the script as ^C does, so that with blocks clean up."""

    def stop(*_):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
