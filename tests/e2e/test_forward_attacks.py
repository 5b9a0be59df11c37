"""What clients, origins, parents and name servers try against the forward face, and none of it may come to anything."""

import pytest

from support import settings
from support.association import SUCCEEDED, Association, Datagrams
from support.origin import OK, answering
from support.process import sanitizer
from support.waiting import wait_for

PUBLIC, OTHER = "93.184.216.34", "93.184.216.35"


class World:
    """An origin on every address, a name server and Guise."""

    def __init__(self, stage):
        self.stage = stage
        self.names = stage.names()
        self.names.set("site.example", v4=[PUBLIC])
        self.origin = stage.origin(answering(OK), host="0.0.0.0")
        self.guise = None

    def start(self, *rules, **more):
        self.guise = self.stage.guise(settings.forward(*rules, resolver=self.names, **more))
        return self.guise

    def ask(self, client, method="GET", host="site.example", fields=""):
        place = f"{host}:{self.origin.port}"
        return client.ask(f"{method} http://{place}/ HTTP/1.1\r\nHost: {place}\r\n{fields}\r\n")


@pytest.fixture
def world(stage):
    return World(stage)


# connections that wait, and rules that only the address decides on

def test_an_idle_connection_is_of_no_use_to_a_rule_with_a_parent(world, stage):
    """The same client and target, but what it asks now goes by another rule, which is known only with the address."""
    parent = stage.origin(answering(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
    world.start({"allow": {"methods": ["DELETE"], "addresses": [PUBLIC]}, "proxy": "up"},
                {"allow": {"addresses": [PUBLIC]}}, parents={"up": f"http://{parent.address}"})
    client = stage.client(world.guise.forward)
    assert world.ask(client).status == 200
    assert world.ask(client).status == 200
    assert len(world.origin.peers) == 1
    assert world.ask(client, "DELETE").status == 403
    assert [request.target for request in parent.requests] == [f"{PUBLIC}:{world.origin.port}"]
    assert [request.method for peer in world.origin.peers for request in peer.requests] == ["GET", "GET"]


def test_an_idle_connection_is_of_no_use_to_a_rule_with_an_exit(world, stage):
    world.start({"allow": {"methods": ["DELETE"], "addresses": [PUBLIC]}, "exit": "other"},
                {"allow": {"addresses": [PUBLIC]}}, exits={"other": ["127.0.7.1"]})
    client = stage.client(world.guise.forward)
    for method in ("GET", "DELETE", "GET", "DELETE"):
        assert world.ask(client, method).status == 200
    for peer in world.origin.peers:
        sources = {"DELETE" if peer.remote[0] == "127.0.7.1" else "GET"}
        assert {request.method for request in peer.requests} == sources


def test_a_name_that_moves_after_its_connection_broke_goes_by_the_new_address(world, stage):
    """What was direct for the old address goes through the parent for the new one, though the request was on a kept connection first."""
    world.names.set("site.example", v4=lambda number: [PUBLIC if number == 0 else OTHER], ttl=0)
    parent = stage.origin(answering(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))

    def once(peer):
        peer.read_request()
        peer.send(OK)
        peer.read_request()  # and ends without a word
    world.origin.script = once
    world.start({"allow": {"addresses": [PUBLIC]}}, {"allow": {"addresses": [OTHER]}, "proxy": "up"},
                parents={"up": f"http://{parent.address}"})
    client = stage.client(world.guise.forward)
    assert world.ask(client).status == 200
    # What is known of the name is forgotten after a second; until then the old address is the right one.
    wait_for(lambda: world.ask(client).status == 403, "the name has moved")
    assert [request.target for request in parent.requests] == [f"{OTHER}:{world.origin.port}"]
    assert {peer.local[0] for peer in world.origin.peers} == {PUBLIC}


# datagrams

@pytest.mark.seconds(60)
def test_datagrams_that_are_refused_cost_no_memory(stage):
    """By an allowance that somebody else has used up."""
    echo, quiet = Datagrams(PUBLIC), Datagrams(PUBLIC)
    stage.daemons.extend([echo, quiet])
    guise = stage.guise(settings.forward(
        {"allow": {"ports": [echo.port]}}, {"allow": {"ports": [quiet.port]}, "allowance": "one"},
        allowances={"one": {"by": "address", "connections": 1}}))
    holder, flood = Association(guise.forward), Association(guise.forward)
    stage.clients.extend([holder, flood])
    assert (holder.code, flood.code) == (SUCCEEDED, SUCCEEDED)
    assert holder.ask(b"mine", PUBLIC, quiet.port)[0] == b":mine"

    def send(count):
        for _ in range(count // 32):
            for _ in range(32):
                flood.send(b"x", PUBLIC, quiet.port)
            assert flood.ask(b"here", PUBLIC, echo.port)[0] == b":here"
    send(2048)
    before = 0 if sanitizer() else guise.private_bytes()
    send(32768)
    assert sanitizer() or guise.private_bytes() < before + 1024 * 1024
    holder.close()
    wait_for(lambda: any(entry["method"] == "UDP" for entry in guise.log_entries()), "the first association is over")
    assert flood.ask(b"now", PUBLIC, quiet.port)[0] == b":now"
