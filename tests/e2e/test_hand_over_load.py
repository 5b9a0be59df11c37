"""Three servers under steady load, of which one is killed, frozen, made to answer 500, or to close in the middle of each head, and brought back: no
client meets an error, and the server has its share again soon after."""

import signal

import pytest

from support import settings
from support.process import slowness
from support.servers import free_port
from support.waiting import wait_for
from support.wild import CHECK, Load, Server

CLIENTS = 64
RISE = 2

# By checks alone: whatever fails until they have found it is tried elsewhere, and the budget must allow for that.
CHECKS = {
    "health": {"path": CHECK, "interval": "300ms", "timeout": "200ms", "jitter": 0, "rise": RISE, "fall": 2},
    "outliers": {"connects": "off", "failures": "off"},
    "retry_budget": {"burst": 1000000},
}
# By what happens to requests: a few failures in a row, and the server is left out for a moment. Since that is short here, and the server is asked again
# and again while it is frozen, there are more second tries each second than are usual.
SEEN = {
    "outliers": {"errors": 3, "eject": "400ms", "eject_most": "400ms"},
    "timeouts": {"try": "400ms"},
    "retry_budget": {"per_second": 500, "burst": 200},
}
# As it is without a word, but for the time of ejections. What is frozen is found by timeouts.response alone, and is not looked at.
USUAL = {"outliers": {"eject": "400ms", "eject_most": "400ms"}}


class Run:
    def __init__(self, stage, group, down, up):
        self.servers = [Server(free_port(), up, name) for name in ("a", "b", "c")]
        stage.daemons.extend(self.servers)
        for server in self.servers:
            wait_for(server.ready, f"server {server.name}")
        upstream = dict(group, http=up, retries=2, retry_on=["5xx"])
        if slowness() > 1 and "health" in upstream:
            upstream["health"] = dict(upstream["health"], timeout="1s", interval="1s")
        self.guise = stage.guise(settings.reverse(*self.servers, upstream=upstream, listener={"http2": "clear"}, workers=2,
                                                  log={"access": "off"}))
        self.load = Load(self.guise.reverse, down, CLIENTS)
        stage.daemons.append(self.load)
        self.load.start()
        self.checked = "health" in group

    def goes_on(self, more=3):
        """Each client has so many answers more."""
        before = list(self.load.progress)
        wait_for(lambda: all(now >= then + more for now, then in zip(self.load.progress, before)), "answers for every client", 30)

    def has_share(self, *servers):
        before = dict(self.load.served)
        wait_for(lambda: all(self.load.served[server.name] >= before.get(server.name, 0) + 20 for server in servers),
                 "requests at " + ", ".join(server.name for server in servers), 30)

    def no_share(self, server):
        """It is left out: checks have found it, so that the others have all. (By what is seen alone, it is asked now and then.)"""
        def quiet():
            before = self.load.served[server.name]
            self.goes_on()
            return self.load.served[server.name] == before
        wait_for(quiet, f"no requests at {server.name}", 30)

    def trouble(self, server, begin, end):
        begin()
        self.no_share(server)
        self.goes_on(10)
        self.load.watch(server.name)
        end()
        self.has_share(server)
        assert not self.load.errors, self.load.errors[:5]
        if self.checked:
            # So many checks, and one that was under way or came between the last of them and the first request.
            assert self.load.first_checks[server.name] <= RISE + 1
        self.goes_on(5)  # tries that were late at that moment may have had it left out once more
        self.has_share(*self.servers)


@pytest.mark.seconds(60)
@pytest.mark.parametrize("down, up", [("1", "1"), ("2", "2"), ("2", "1"), ("1", "2")])
@pytest.mark.parametrize("group", [CHECKS, SEEN], ids=["checks", "seen"])
def test_one_server_in_trouble(stage, group, down, up):
    run = Run(stage, group, down, up)
    first, second, third = run.servers
    run.has_share(*run.servers)
    run.trouble(first, first.kill, first.start)
    run.trouble(second, lambda: second.signal(signal.SIGSTOP), lambda: second.signal(signal.SIGCONT))
    run.trouble(third, lambda: third.signal(signal.SIGUSR1), lambda: third.signal(signal.SIGHUP))
    run.trouble(first, lambda: first.signal(signal.SIGUSR2), lambda: first.signal(signal.SIGHUP))
    run.load.stop()
    assert not run.load.errors, run.load.errors[:5]
    assert run.load.cut <= 1  # an answer of which a part had gone when its server was killed


@pytest.mark.seconds(60)
@pytest.mark.parametrize("down, up", [("1", "1"), ("2", "2")])
def test_usual_settings(stage, down, up):
    """A server that fails is left out before the usual budget for second tries is used up."""
    run = Run(stage, USUAL, down, up)
    first, second, third = run.servers
    run.has_share(*run.servers)
    run.trouble(first, lambda: first.signal(signal.SIGUSR1), lambda: first.signal(signal.SIGHUP))
    run.trouble(second, lambda: second.signal(signal.SIGUSR2), lambda: second.signal(signal.SIGHUP))
    run.trouble(third, third.kill, third.start)
    run.load.stop()
    assert not run.load.errors, run.load.errors[:5]


@pytest.mark.seconds(60)
def test_all_servers_in_trouble(stage):
    """503 at once for everybody, and everything again by itself."""
    run = Run(stage, CHECKS, "1", "1")
    run.has_share(*run.servers)
    for server in run.servers:
        server.kill()
    wait_for(lambda: len(run.load.errors) > 2 * CLIENTS, "errors", 30)
    run.load.errors.clear()
    wait_for(lambda: len(run.load.errors) > 2 * CLIENTS, "more of them", 30)
    assert {error[0] for error in run.load.errors} == {503}
    client = stage.client(run.guise.reverse)
    got = client.get()
    assert got.status == 503 and got.fields.get("Retry-After") == "1" and got.error_type() == "destination_unavailable"
    for server in run.servers:
        server.start()
    run.has_share(*run.servers)
    run.load.errors.clear()
    run.goes_on(10)
    assert not run.load.errors
    run.load.stop()
