"""What the scripts of bench/ share: the peers, their configurations, their processes, a small client.

Every process is started here, is pinned to its cores, dies with the script (PR_SET_PDEATHSIG) and is ended
by its own process id. Everything listens on 127.0.0.1.
"""

import contextlib
import ctypes
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORES = CORES[-1:]
LOAD_CORES = CORES[:-1] or CORES
# What any idle or lasting connection needs, and the same for every proxy that has such a limit.
MANY_CONNECTIONS = 20000
MANY_REQUESTS = 100000000
POOL = 128  # idle connections kept to the origin: more than the load ever needs at a time

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


# ---------------------------------------------------------------------------------------------------------------
# The peers. Each function returns the command that runs a proxy on `port` in front of the origin on `origin`
# (reverse) or for any target of 127.0.0.1 (forward), in the foreground, with its files in `directory`.


def write(directory, name, text):
    """Writes a configuration and returns its path."""
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def floor_command(bench, directory, port, origin, face):
    """The bare relay. It picks its port itself, see Bench.start."""
    return [bench.built("bench-relay"), f"127.0.0.1:{origin}"]


def guise_command(bench, directory, port, origin, face):
    """Guise with its defaults; limits that the load would meet are lifted, as for the peers."""
    text = f"""\
workers: 1
limits:
  connections: {MANY_CONNECTIONS}
  connections_per_address: {MANY_CONNECTIONS}
  requests_per_connection: {MANY_REQUESTS}
log: {{access: off, level: warning}}
"""
    if face == "reverse":
        text += f"""\
reverse:
  - listen: 127.0.0.1:{port}
    routes:
      - to: origin
upstreams:
  origin:
    servers: ["127.0.0.1:{origin}"]
    keepalive: {POOL}
"""
    else:
        text += f"""\
forward:
  - listen: 127.0.0.1:{port}
    rules:
      - allow: {{addresses: [127.0.0.0/8]}}
"""
    return [bench.guise, "run", "-c", write(directory, "guise.yaml", text)]


def nginx_command(bench, directory, port, origin, face):
    """nginx with one worker, a pool to the origin and no logs; buffering and the rest as by default."""
    user = "user root;\n" if os.getuid() == 0 else ""
    text = f"""\
{user}daemon off;
worker_processes 1;
worker_rlimit_nofile {MANY_CONNECTIONS};
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log crit;
events {{ worker_connections {MANY_CONNECTIONS}; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests {MANY_REQUESTS};
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive {POOL};
        keepalive_requests {MANY_REQUESTS};
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
    config = write(directory, "nginx.conf", text)
    return [find("nginx"), "-e", f"{directory}/nginx-error.log", "-p", directory, "-c", config]


def haproxy_command(bench, directory, port, origin, face):
    """HAProxy with one thread and no logs; http-reuse always, since the default opens more connections."""
    text = f"""\
global
    nbthread 1
    maxconn {MANY_CONNECTIONS // 2 - 500}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend front
    bind 127.0.0.1:{port} backlog 4096
    default_backend back
backend back
    server origin 127.0.0.1:{origin}
"""
    return [find("haproxy"), "-db", "-f", write(directory, "haproxy.cfg", text)]


def tinyproxy_command(bench, directory, port, origin, face):
    """Tinyproxy; it closes every connection after one request, by design."""
    text = f"""\
Port {port}
Listen 127.0.0.1
Timeout 600
MaxClients {MANY_CONNECTIONS // 2}
LogFile "{directory}/tinyproxy.log"
LogLevel Critical
"""
    return [find("tinyproxy"), "-d", "-c", write(directory, "tinyproxy.conf", text)]


def squid_command(bench, directory, port, origin, face):
    """Squid without its cache and its logs, one process."""
    user = ""
    if os.getuid() == 0:  # it refuses to work as root
        user = "cache_effective_user nobody\n"
        os.chmod(bench.directory, 0o755)
        os.chmod(directory, 0o777)
    text = f"""\
{user}http_port 127.0.0.1:{port}
acl local src 127.0.0.0/8
http_access allow local
cache deny all
access_log none
cache_log {directory}/squid-cache.log
pid_filename {directory}/squid.pid
coredump_dir {directory}
shutdown_lifetime 0 seconds
max_filedescriptors {MANY_CONNECTIONS}
pinger_enable off
"""
    name = f"guisebench{os.getpid()}x{bench.starts}"  # its shared memory is named after it
    return [find("squid"), "-N", "-f", write(directory, "squid.conf", text), "-n", name]


def find(program):
    """The path of an installed program, or None; Debian keeps servers in /usr/sbin, which users may lack."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


COMMANDS = {
    "floor": floor_command,
    "guise": guise_command,
    "nginx": nginx_command,
    "haproxy": haproxy_command,
    "tinyproxy": tinyproxy_command,
    "squid": squid_command,
}


class Bench:
    """The directories, the built programs and the running origin of one run of a script."""

    def __init__(self, args):
        guise = args.guise or os.environ.get("GUISE_BINARY")
        build = args.build or os.path.dirname(guise or os.path.join(ROOT, "build", "guise"))
        self.build = os.path.abspath(build)
        self.guise = os.path.abspath(guise or os.path.join(build, "guise"))
        self.directory = tempfile.mkdtemp(prefix="guise-bench-")
        self.origin = None
        self.origin_port = 0
        self.starts = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.origin:
            self.origin.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def built(self, program):
        """The path of a program of this directory."""
        return os.path.join(self.build, program)

    def make(self):
        """Builds the relay and the origin, where they are older than their source."""
        done = subprocess.run(
            ["make", "-s", "-C", HERE, f"BUILD={self.build}"], stdout=sys.stderr, check=False, timeout=120
        )
        if done.returncode:
            raise BenchError("the relay and the origin cannot be built")

    def installed(self, proxy):
        """Whether a proxy can be run here."""
        if proxy == "floor":
            return True
        return os.access(self.guise, os.X_OK) if proxy == "guise" else find(proxy) is not None

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

    def start(self, proxy, face="reverse", wrap=(), seconds=10):
        """Starts a proxy on its core, under the tool `wrap`; returns its process and port once it answers."""
        self.starts += 1
        directory = os.path.join(self.directory, f"{self.starts}-{proxy}")
        os.mkdir(directory)
        port = 0 if proxy == "floor" else free_port()
        command = [*wrap, *COMMANDS[proxy](self, directory, port, self.origin_port, face)]
        if proxy == "floor":
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
    parser.add_argument("--build", help="where the relay and the origin are built (beside guise, or build)")


def terminate_as_interrupt():
    """Makes SIGTERM and SIGHUP end the script as ^C does, so that with blocks clean up."""

    def stop(*_):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


# ---------------------------------------------------------------------------------------------------------------
# A small client of our own, for exact numbers of requests.


class Client:
    """Keep-alive connections that ask for /small, all at once, and take the answers."""

    REQUEST = b"GET /small HTTP/1.1\r\nHost: bench.test\r\n\r\n"
    BODY = 13

    def __init__(self, port, connections):
        self.sockets = []
        for _ in range(connections):
            self.sockets.append(socket.create_connection(("127.0.0.1", port), 60))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.sockets:
            each.close()

    def ask(self, each):
        """Sends one request."""
        each.sendall(self.REQUEST)

    def take(self, each):
        """Takes one answer; BenchError when it is not the whole one of the origin."""
        got = b""
        while True:
            head, gap, body = got.partition(b"\r\n\r\n")
            if gap and len(body) >= self.BODY:
                break
            more = each.recv(65536)
            if not more:
                raise BenchError(f"connection closed in the answer: {got!r}")
            got += more
        if not head.startswith(b"HTTP/1.1 200") or len(body) != self.BODY:
            raise BenchError(f"unexpected answer: {got!r}")

    def run(self, requests):
        """Makes `requests` requests, spread over the connections."""
        left = requests
        while left > 0:
            turn = self.sockets[: min(left, len(self.sockets))]
            for each in turn:
                self.ask(each)
            for each in turn:
                self.take(each)
            left -= len(turn)


def pull(port, target, seconds, tunnels, connect):
    """Takes bytes through `tunnels` connections for some time: {"bytes", "errors"}.

    `connect` is whether each begins with a CONNECT to `target`. /1m is asked for again and again; what arrives is
    dropped in the kernel (MSG_TRUNC), so that this end costs little.
    """
    request = f"GET /1m HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
    ready = selectors.DefaultSelector()
    size = None
    for _ in range(tunnels):
        each = socket.create_connection(("127.0.0.1", port), 10)
        if connect:
            each.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                more = each.recv(1)
                if not more:
                    return {"bytes": 0, "errors": f"tunnel refused: {head!r}"}
                head += more
            if head.split(b" ")[1:2] != [b"200"]:
                return {"bytes": 0, "errors": f"tunnel refused: {head!r}"}
        if size is None:
            size = answer_size(each, request)
        each.sendall(request)
        ready.register(each, selectors.EVENT_READ, [size])
    total = 0
    buffer = bytearray(1 << 20)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in ready.select(1):
            got = key.fileobj.recv_into(buffer, 0, socket.MSG_TRUNC)
            if not got:
                return {"bytes": total, "errors": "tunnel closed"}
            total += got
            key.data[0] -= got
            if key.data[0] == 0:
                key.data[0] = size
                key.fileobj.sendall(request)
    return {"bytes": total, "errors": ""}


def answer_size(each, request):
    """The length of the whole answer to a request, head and body."""
    each.sendall(request)
    got = b""
    while b"\r\n\r\n" not in got:
        more = each.recv(65536)
        if not more:
            raise BenchError("the origin does not answer through the tunnel")
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields[b"content-length"])
    left = length - len(body)
    while left > 0:
        left -= len(each.recv(min(left, 65536)))
    return len(head) + 4 + length
