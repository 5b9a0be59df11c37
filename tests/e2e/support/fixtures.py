"""The fixtures of the end-to-end and conformance tests."""

import json
import os
import resource
import signal

import pytest

from support import namespace, settings
from support.client import Client
from support.names import NameServer
from support.network import Network
from support.origin import Blackhole, Origin
from support.process import Guise, binary, slowness
from support.servers import Curl, Dnsmasq, Nginx

TEST_SECONDS = 20


class TestTooLong(Exception):
    """A test took longer than it may."""


def pytest_configure(config):
    config.addinivalue_line("markers", f"seconds(n): how long the test may take (default {TEST_SECONDS})")
    namespace.enter()


def pytest_collection_modifyitems(items):
    if items and not os.path.exists(binary()):
        pytest.exit(f"no binary at {binary()}: build it first, or set GUISE_BINARY", returncode=2)
    share, _, shares = os.environ.get("GUISE_TEST_SHARE", "0/1").partition("/")
    items[:] = items[int(share)::int(shares)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A bound on every test."""
    marker = item.get_closest_marker("seconds")
    seconds = (marker.args[0] if marker else TEST_SECONDS) * slowness()

    def expire(_number, _frame):
        raise TestTooLong(f"the test took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Stage:
    """What one test (or one module) started: stopped in an order in which nothing waits for anything."""

    def __init__(self, directory):
        self.directory = directory
        self.clients = []
        self.origins = []
        self.daemons = []
        self.guises = []
        self.count = 0

    def path(self, name):
        self.count += 1
        return self.directory / f"{self.count}-{name}"

    def client(self, address, **options):
        client = Client(address, **options)
        self.clients.append(client)
        return client

    def origin(self, script=None, **options):
        origin = Origin(script, **options)
        self.origins.append(origin)
        return origin

    def blackhole(self, **options):
        hole = Blackhole(**options)
        self.daemons.append(hole)
        return hole

    def names(self, **options):
        server = NameServer(**options)
        self.daemons.append(server)
        return server

    def nginx(self, locations=""):
        directory = self.path("nginx")
        directory.mkdir()
        server = Nginx(directory, locations)
        self.daemons.append(server)
        return server

    def dnsmasq(self, names):
        server = Dnsmasq(self.directory, names)
        self.daemons.append(server)
        return server

    def network(self):
        """Another network namespace."""
        network = Network()
        self.daemons.append(network)
        return network

    def guise(self, config, env=None, read_stdout=True, ready=True, arguments=None, wrapper=()):
        """Start Guise with a configuration (dict or text) and wait until it is ready."""
        if isinstance(config, dict):
            config = json.loads(json.dumps(config))
            config.setdefault("timeouts", {}).setdefault("drain", "3s")
        path = settings.write(self.path("guise.yaml"), config)
        return self.guise_command(*(arguments or ("run", "-c", str(path))), env=env, read_stdout=read_stdout,
                                  ready=ready, wrapper=wrapper)

    def guise_command(self, *arguments, env=None, read_stdout=True, ready=True, wrapper=()):
        """Start Guise with these arguments; `wrapper`: a command in front of it."""
        process = Guise(arguments, cwd=self.directory, env=env, read_stdout=read_stdout, wrapper=wrapper)
        self.guises.append(process)
        return process.wait_ready() if ready else process

    def close(self):
        for client in self.clients:
            client.close()
        for origin in self.origins:
            origin.stop()
        problems = []
        for process in self.guises:
            try:
                process.stop()
            except AssertionError as error:
                process.kill()
                problems.append(str(error))
        for daemon in self.daemons:
            daemon.stop()
        assert not problems, "\n".join(problems)
        for origin in self.origins:
            origin.check()


@pytest.fixture(scope="session", autouse=True)
def descriptors():
    """A session may open 1024 files if it does not ask for more; clients and origins of one test are more at times."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 16384:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(16384, hard), hard))


@pytest.fixture
def stage(tmp_path):
    """Everything that a test starts; cleaned up and checked at its end."""
    made = Stage(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory):
    """The same for a whole module."""
    made = Stage(tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


@pytest.fixture
def curl():
    return Curl
