"""Real programs beside Guise: nginx, dnsmasq, curl."""

import os
import shutil
import signal
import socket
import subprocess

import pytest

from support.waiting import wait_for

ENVIRONMENT = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def program(name):
    """The path of a program, or skip the test."""
    path = shutil.which(name, path=ENVIRONMENT["PATH"])
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def free_port(kind=socket.SOCK_STREAM, host="127.0.0.1"):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


def _accepts(port, host):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


class Daemon:
    """A child that is stopped by its own process id."""

    def __init__(self, arguments, log):
        self.log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                            env=ENVIRONMENT)

    def wait_port(self, port, host="127.0.0.1"):
        def ready():
            if self.process.poll() is not None:
                with open(self.log, "rb") as file:
                    raise AssertionError(f"{self.process.args[0]} ended: {file.read().decode()}")
            return _accepts(port, host)
        wait_for(ready, f"{self.process.args[0]} on port {port}")

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


NGINX = """
user root root;
worker_processes 1;
daemon off;
master_process off;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log info;
events {{ worker_connections 1024; }}
http {{
    access_log {prefix}/access.log;
    client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy; fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi;
    default_type text/plain;
    client_max_body_size 0;
    keepalive_requests 1000000;
    proxy_ignore_client_abort on;
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    server {{
        listen 127.0.0.1:{port};
        root {prefix}/files;
{locations}
    }}
}}
"""


class Nginx(Daemon):
    """nginx with its files in `<prefix>/files` and the given location blocks."""

    def __init__(self, prefix, locations=""):
        self.prefix = str(prefix)
        os.makedirs(os.path.join(self.prefix, "files"), exist_ok=True)
        self.files = os.path.join(self.prefix, "files")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        path = os.path.join(self.prefix, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(NGINX.format(prefix=self.prefix, port=self.port, locations=locations))
        super().__init__([program("nginx"), "-p", self.prefix, "-c", path], os.path.join(self.prefix, "out.log"))
        self.wait_port(self.port)


class Dnsmasq(Daemon):
    """dnsmasq that knows these names: {"a.test": ["93.184.216.34", "2606:2800::1"]}."""

    def __init__(self, prefix, names):
        self.port = free_port(socket.SOCK_DGRAM, "127.0.0.54")
        self.address = f"127.0.0.54:{self.port}"
        arguments = [program("dnsmasq"), "--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
                     f"--port={self.port}", "--listen-address=127.0.0.54", "--bind-interfaces",
                     "--local=/#/", "--log-facility=-"]
        for name, addresses in names.items():
            arguments += [f"--host-record={name},{address}" for address in addresses]
        super().__init__(arguments, os.path.join(str(prefix), "dnsmasq.log"))
        self.wait_port(self.port, "127.0.0.54")


class LiveDnsmasq:
    """dnsmasq whose answers change: addresses by a signal, SRV records by a new start on the same port. TTL 1 s."""

    def __init__(self, directory, host="127.0.0.54"):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.host = host
        self.port = free_port(socket.SOCK_DGRAM, host)
        self.address = f"{host}:{self.port}"
        self.hosts = os.path.join(self.directory, "hosts")
        self.services = []
        self.daemon = None
        self._write({})
        self.start()

    def _write(self, names):
        lines = [f"{address} {name}" for name, addresses in names.items() for address in addresses]
        with open(self.hosts, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")

    def start(self):
        arguments = [program("dnsmasq"), "--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
                     f"--addn-hosts={self.hosts}", f"--port={self.port}", f"--listen-address={self.host}",
                     "--bind-interfaces", "--local=/#/", "--local-ttl=1", "--log-facility=-"]
        arguments += [f"--srv-host={service}" for service in self.services]
        self.daemon = Daemon(arguments, os.path.join(self.directory, "dnsmasq.log"))
        self.daemon.wait_port(self.port, self.host)

    def set(self, **names):
        """From now on these names are all there are: a_test=["10.0.0.1"] is "a.test"."""
        self._write({name.replace("_", "."): addresses for name, addresses in names.items()})
        self.daemon.process.send_signal(signal.SIGHUP)

    def set_services(self, *services):
        """From now on these SRV records are all there are: "_http._tcp.test,a.test,8080,priority,weight"."""
        self.services = services
        self.kill()
        self.start()

    def kill(self):
        if self.daemon:
            self.daemon.kill()
        self.daemon = None

    def stop(self):
        self.kill()


class Curl:
    """The result of one curl call."""

    def __init__(self, *arguments, timeout=15, env=None):
        environment = {key: value for key, value in ENVIRONMENT.items() if not key.lower().endswith("_proxy")}
        environment.update(env or {})
        done = subprocess.run([program("curl"), "-sS", "--max-time", str(timeout), *arguments], env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout + 5, check=False)
        self.status = done.returncode
        self.body = done.stdout
        self.text = done.stdout.decode("utf-8", "replace")
        self.errors = done.stderr.decode("utf-8", "replace")

    def __repr__(self):
        return f"<curl {self.status}: {self.body[:200]!r} {self.errors!r}>"
