"""Exits: by which of its addresses and interfaces connections leave the machine, as the other end sees it."""

import ipaddress

import pytest

from support import settings
from support.origin import OK, once, response
from support.waiting import wait_for

LAST = response(200, b"ok", [("Connection", "close")])  # no connection is kept whose address may go meanwhile
PUBLIC = "93.184.216.34"
PUBLIC6 = "2606:2800:220:1::1"
POOL = ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"]


@pytest.fixture
def world(stage):
    """world(exits, rules, ...) -> guise; world.origin and world.origin6 answer one request for each connection."""
    class World:
        """What a test of exits needs."""

        def __init__(self):
            self.names = stage.names()
            self.names.set("site.example", v4=[PUBLIC])
            self.names.set("six.example", v6=[PUBLIC6])
            self.names.set("both.example", v4=[PUBLIC], v6=[PUBLIC6])
            self.origin = stage.origin(once(OK), host="0.0.0.0")
            self.origin6 = stage.origin(once(OK), host="::", port=self.origin.port)
            self.guise = None

        def start(self, exits, *rules, **options):
            self.guise = stage.guise(settings.forward(*rules, resolver=self.names, exits=exits, **options))
            return self

        def url(self, host="site.example"):
            return f"http://{host}:{self.origin.port}/"

        def ask(self, host="site.example", source=None, method="GET"):
            client = stage.client(self.guise.forward, source=source)
            got = client.ask(f"{method} {self.url(host)} HTTP/1.1\r\nHost: {host}:{self.origin.port}\r\n\r\n")
            client.close()
            return got

        def seen(self, origin=None):
            """The addresses that connections came from."""
            return [peer.remote[0] for peer in (origin or self.origin).peers]
    return World()


def exits_by(**exit):
    return {"out": exit}


def test_the_origin_and_the_log_see_the_address(world):
    world.start(exits_by(addresses=[POOL[0], "2001:db8::7"]), listener={"exit": "out"})
    assert world.ask().status == 200
    assert world.ask("six.example").status == 200
    assert world.seen() == [POOL[0]]
    assert world.seen(world.origin6) == ["2001:db8::7"]
    line = world.guise.wait_log(lambda entry: "site.example" in entry["target"])
    assert (line["exit"], line["source"]) == ("out", POOL[0])
    line = world.guise.wait_log(lambda entry: "six.example" in entry["target"])
    assert (line["exit"], line["source"]) == ("out", "2001:db8::7")


def test_tunnels_too(world, stage):
    world.start(exits_by(addresses=POOL[:1]), listener={"exit": "out"})
    client = stage.client(world.guise.forward)
    assert client.ask(f"CONNECT site.example:{world.origin.port} HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.read_response("GET").status == 200
    client.close()
    assert world.seen() == [POOL[0]]
    line = world.guise.wait_log(lambda entry: entry["method"] == "CONNECT")
    assert (line["exit"], line["source"]) == ("out", POOL[0])


def test_by_rule(world):
    world.names.set("other.example", v4=[PUBLIC])
    world.start({"one": POOL[:1], "two": POOL[1:2]},
                {"allow": {"domains": ["site.example"]}, "exit": "one"}, {"allow": {}},
                listener={"exit": "two"})
    assert world.ask("site.example").status == 200
    assert world.ask("other.example").status == 200
    assert world.seen() == [POOL[0], POOL[1]]


def test_without_an_exit_the_system_chooses(world):
    world.start(exits_by(addresses=POOL))
    assert world.ask().status == 200
    assert world.seen()[0] not in POOL
    assert "exit" not in world.guise.wait_log(lambda entry: True)


@pytest.mark.parametrize("workers", [1, 3])
def test_each_client_has_its_own_and_keeps_it(world, workers):
    world.start(exits_by(addresses=POOL), listener={"exit": "out"}, workers=workers)
    clients = [f"127.0.1.{number}" for number in range(1, 17)]
    for source in clients * 3:
        assert world.ask(source=source).status == 200
    seen = world.seen()
    first, second, third = seen[:16], seen[16:32], seen[32:]
    assert first == second == third
    assert set(first) == set(POOL)


def test_users_have_theirs_wherever_they_come_from(world, stage):
    networks = {f"user{number}": [f"127.0.1.{number}", f"127.0.2.{number}"] for number in range(1, 17)}
    world.start(exits_by(addresses=POOL), listener={"exit": "out", "users": {"networks": networks}})
    for net in (1, 2):
        for number in range(1, 17):
            assert world.ask(source=f"127.0.{net}.{number}").status == 200
    seen = world.seen()
    assert seen[:16] == seen[16:]
    assert len(set(seen)) > 1
    assert stage.client(world.guise.forward, source="127.0.3.1").ask(
        f"GET {world.url()} HTTP/1.1\r\nHost: x\r\n\r\n").status in (403, 407)


def test_rotation(world):
    world.start(exits_by(addresses=POOL, choose="rotate"), listener={"exit": "out"})
    for _ in range(8):
        assert world.ask().status == 200
    seen = world.seen()
    assert set(seen[:4]) == set(POOL) and seen[:4] == seen[4:]


def test_rotation_is_sticky(world):
    world.start(exits_by(addresses=POOL, choose="rotate", sticky="1h"), listener={"exit": "out"}, workers=2)
    for source in ["127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4", "127.0.1.5", "127.0.1.6"] * 3:
        assert world.ask(source=source).status == 200
    seen = world.seen()
    # An hour ends now for one of six clients once in ten minutes: that moves it on by one, and no other.
    changed = [index for index in range(6) if len({seen[index], seen[index + 6], seen[index + 12]}) > 1]
    assert len(changed) <= 1
    assert len(set(seen)) > 1


def test_at_random(world):
    world.start(exits_by(addresses=POOL[:2], choose="random"), listener={"exit": "out"})
    for _ in range(40):
        assert world.ask().status == 200
    assert set(world.seen()) == set(POOL[:2])


def test_a_fresh_address_for_each_connection(world):
    """The prefix is on no interface."""
    world.start(exits_by(prefix="2001:db8:77::/64"), listener={"exit": "out"})
    for _ in range(20):
        assert world.ask("six.example").status == 200
    seen = world.seen(world.origin6)
    network = ipaddress.ip_network("2001:db8:77::/64")
    assert len(set(seen)) == 20
    assert all(ipaddress.ip_address(address) in network for address in seen)
    assert network.network_address not in [ipaddress.ip_address(address) for address in seen]
    line = world.guise.wait_log(lambda entry: entry["source"] == seen[19])
    assert line["exit"] == "out"


def test_a_fresh_address_lasts_as_long_as_the_connection(world, stage):
    world.origin6.script = lambda peer: [peer.read_request() and peer.send(OK) for _ in range(3)]
    world.start(exits_by(prefix="2001:db8:77::/64"), listener={"exit": "out"})
    client = stage.client(world.guise.forward)
    for _ in range(3):
        assert client.ask(f"GET {world.url('six.example')} HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    assert len(world.origin6.peers) == 1


def test_a_family_without_an_address_is_not_tried(world):
    world.start(exits_by(addresses=POOL[:1]), listener={"exit": "out"})
    assert world.ask("both.example").status == 200
    assert (len(world.origin.peers), len(world.origin6.peers)) == (1, 0)
    got = world.ask("six.example")
    assert got.status == 503 and b"no address of the target's family" in got.body
    assert not world.origin6.peers
    line = world.guise.wait_log(lambda entry: "six.example" in entry["target"])
    assert "no address of the target's family" in line["error"]


def test_one_family(world):
    world.start({"four": {"family": "ipv4"}, "six": {"family": "ipv6"}},
                {"allow": {"sources": ["127.0.1.4"]}, "exit": "four"}, {"allow": {}, "exit": "six"})
    assert world.ask("both.example", source="127.0.1.4").status == 200
    assert (len(world.origin.peers), len(world.origin6.peers)) == (1, 0)
    assert world.ask("both.example", source="127.0.1.6").status == 200
    assert (len(world.origin.peers), len(world.origin6.peers)) == (1, 1)
    assert world.ask("six.example", source="127.0.1.4").status == 503
    assert world.ask("site.example", source="127.0.1.6").status == 503


def test_users_share_no_connection(world):
    """Both by the same client: connections are by user, and each user's by its own address."""
    world.origin.script = lambda peer: [peer.read_request() and peer.send(OK) for _ in range(4)]
    rules = [{"allow": {"users": ["ann"]}, "exit": "one"}, {"allow": {"users": ["bob"]}, "exit": "two"}]
    world.start({"one": POOL[:1], "two": POOL[1:2]}, *rules,
                listener={"users": {"networks": {"ann": ["127.0.1.1"], "bob": ["127.0.1.2"]}}})
    for source in ("127.0.1.1", "127.0.1.2", "127.0.1.1", "127.0.1.2"):
        assert world.ask(source=source).status == 200
    assert world.seen() == POOL[:2]
    assert [len(peer.requests) for peer in world.origin.peers] == [2, 2]
    assert len({peer.remote for peer in world.origin.peers}) == 2


def test_exits_share_no_connection(world):
    """One client, one target, two exits by method: what one left open the other does not use."""
    world.origin.script = lambda peer: [peer.read_request() and peer.send(OK) for _ in range(4)]
    world.start({"one": POOL[:1], "two": POOL[1:2]},
                {"allow": {"methods": ["GET"]}, "exit": "one"}, {"allow": {}, "exit": "two"})
    for method in ("GET", "GET", "DELETE", "GET", "DELETE"):
        assert world.ask(method=method).status == 200
    assert world.seen() == POOL[:2]
    assert [len(peer.requests) for peer in world.origin.peers] == [3, 2]
    world.guise.wait_log(lambda entry: len(world.guise.log_entries()) == 5)
    for entry in world.guise.log_entries():
        assert (entry["exit"], entry["source"]) == (("one", POOL[0]) if entry["method"] == "GET" else ("two", POOL[1]))


# interfaces, and addresses that come and go: in namespaces of their own

@pytest.fixture
def wired(stage):
    """Guise's namespace with two wires, one and two, to an origin's; both ways lead to the same address there."""
    class Wired:
        """Two machines."""

        def __init__(self):
            self.here, self.there = stage.network(), stage.network()
            self.here.wire(self.there, "one", "eth1", ["10.7.1.1/24"], ["10.7.1.2/24"])
            self.here.wire(self.there, "two", "eth2", ["10.7.2.1/24"], ["10.7.2.2/24"])
            self.there.ip("address", "add", f"{PUBLIC}/32", "dev", "lo")
            self.here.ip("route", "add", f"{PUBLIC}/32", "via", "10.7.1.2")
            self.here.ip("route", "add", f"{PUBLIC}/32", "via", "10.7.2.2", "metric", "100")
            self.origin = self.there.inside(stage.origin, once(LAST), host=PUBLIC)
            self.guise = None

        def start(self, **exit):
            self.guise = stage.guise(settings.forward(exits={"out": exit}, listener={"exit": "out"}),
                                     wrapper=self.here.wrapper)
            return self.guise

        def ask(self, host=PUBLIC):
            client = self.here.inside(stage.client, self.guise.forward)
            got = client.ask(f"GET http://{host}:{self.origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n")
            client.close()
            return got

        def seen(self):
            return [peer.remote[0] for peer in self.origin.peers]
    return Wired()


@pytest.mark.parametrize("interface, source", [("one", "10.7.1.1"), ("two", "10.7.2.1")])
def test_by_an_interface(wired, interface, source):
    wired.start(interface=interface)
    assert wired.ask().status == 200
    assert wired.seen() == [source]
    line = wired.guise.wait_log()
    assert (line["exit"], line["source"]) == ("out", source)


def test_an_interface_that_is_not_there(wired):
    wired.start(interface="three")
    wired.guise.stderr.wait(lambda line: 'exit "out": nothing can leave by interface three now' in line, "a warning")
    got = wired.ask()
    assert got.status == 503 and b"interface of the exit is not there" in got.body
    assert not wired.origin.peers
    wired.here.wire(wired.there, "three", "eth3", ["10.7.3.1/24"], ["10.7.3.2/24"])
    wired.here.ip("route", "add", f"{PUBLIC}/32", "via", "10.7.3.2", "metric", "200")
    assert wired.ask().status == 200
    assert wired.seen() == ["10.7.3.1"]


def test_an_address_that_goes_is_passed_over(wired):
    wired.here.ip("address", "add", "10.7.1.9/24", "dev", "one")
    wired.start(addresses=["10.7.1.1", "10.7.1.9"], choose="rotate")
    for _ in range(2):
        assert wired.ask().status == 200
    assert set(wired.seen()) == {"10.7.1.1", "10.7.1.9"}
    wired.here.ip("address", "del", "10.7.1.9/24", "dev", "one")
    for _ in range(4):
        assert wired.ask().status == 200
    assert set(wired.seen()[2:]) == {"10.7.1.1"}
    text = 'exit "out": cannot leave by 10.7.1.9: this machine does not have the address'
    wired.guise.stderr.wait(lambda line: text in line, "a warning")
    assert wired.guise.stderr.text.count(text) == 1


def test_nothing_leaves_by_another_address(wired):
    """The exit's only address goes: what it would have said is not said by another one, and it is used again when it is back."""
    wired.here.ip("address", "add", "10.7.1.9/24", "dev", "one")
    wired.start(addresses=["10.7.1.9"])
    assert wired.ask().status == 200
    wired.here.ip("address", "del", "10.7.1.9/24", "dev", "one")
    for _ in range(3):
        got = wired.ask()
        assert got.status == 503 and b"no address that this machine has now" in got.body
    assert wired.seen() == ["10.7.1.9"]
    line = wired.guise.wait_log(lambda entry: entry["status"] == 503)
    assert "no address that this machine has now" in line["error"]
    wired.here.ip("address", "add", "10.7.1.9/24", "dev", "one")
    wait_for(lambda: wired.ask().status == 200, "the address in use again")
    assert wired.seen()[1:] == ["10.7.1.9"]


def test_what_does_not_work_is_said_at_start(wired):
    wired.start(addresses=["10.7.1.1", "203.0.113.9"])
    text = 'exit "out": nothing can leave by 203.0.113.9 now: this machine does not have the address'
    wired.guise.stderr.wait(lambda line: text in line, "a warning")


def test_a_prefix_that_is_routed_here(wired, stage):
    """As a provider does it: the network is routed to this machine, and on none of its interfaces."""
    wired.there.ip("address", "add", f"{PUBLIC6}/128", "dev", "lo", "nodad")
    wired.there.ip("address", "add", "fd00:7::2/64", "dev", "eth1", "nodad")
    wired.here.ip("address", "add", "fd00:7::1/64", "dev", "one", "nodad")
    wired.here.ip("-6", "route", "add", f"{PUBLIC6}/128", "via", "fd00:7::2")
    wired.here.ip("-6", "route", "add", "local", "2001:db8:77::/64", "dev", "lo")
    wired.there.ip("-6", "route", "add", "2001:db8:77::/64", "via", "fd00:7::1")
    wired.start(prefix="2001:db8:77::/64")
    wired.origin = wired.there.inside(stage.origin, once(LAST), host=PUBLIC6)
    for _ in range(2):
        assert wired.ask(f"[{PUBLIC6}]").status == 200
    seen = wired.seen()
    assert len(set(seen)) == 2 and all(address.startswith("2001:db8:77:") for address in seen)


# what is wrong in a configuration

@pytest.mark.parametrize("exit_, text", [
    ({"addresses": ["192.0.2.0/24"]}, "not an address"),
    ({"addresses": ["0.0.0.0"]}, "unspecified address"),
    ({"addresses": ["192.0.2.1", "192.0.2.1"]}, "is there twice"),
    ({"prefix": "192.0.2.0/24"}, "need a network of IPv6"),
    ({"prefix": "2001:db8::/124"}, "at most 120 bits"),
    ({"prefix": "2001:db8::1/64"}, "bits after the prefix zero"),
    ({"prefix": "2001:db8::/64", "addresses": ["2001:db8::1"]}, "one or the other"),
    ({"interface": "a/b"}, "no space"),
    ({"interface": "sixteen_letters_"}, "1 to 15 characters"),
    ({"addresses": ["192.0.2.1"], "sticky": "1h"}, "kept for ever"),
    ({"interface": "lo", "choose": "random"}, '"choose" is about "addresses"'),
    ({"addresses": ["192.0.2.1"], "family": "ipv6"}, "leaves addresses"),
    ({}, "says nothing"),
])
def test_mistakes(stage, exit_, text):
    guise = stage.guise(settings.forward(exits={"out": exit_}, listener={"exit": "out"}), ready=False)
    guise.wait_exit()
    assert text in guise.stderr.text
    assert "guise.yaml:" in guise.stderr.text


def test_an_exit_that_is_not_there(stage):
    guise = stage.guise(settings.forward(exits={"pool": ["192.0.2.1"]}, listener={"exit": "poool"}), ready=False)
    guise.wait_exit()
    assert 'there is no exit "poool" in "exits": did you mean "pool"?' in guise.stderr.text
