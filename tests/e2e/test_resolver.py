"""Names: both families, time to live, happy eyeballs (RFC 8305), name servers that misbehave."""

import pytest

from support import settings
from support.origin import once, OK
from support.waiting import Stopwatch, stays_true

PUBLIC, PUBLIC6 = "93.184.216.34", "2606:2800:220:1::1"


@pytest.fixture
def world(stage):
    def make(**resolver):
        names = stage.names()
        origin = stage.origin(once(OK), host="0.0.0.0")
        config = settings.forward(resolver=names)
        config["resolver"].update(resolver)
        return names, origin, stage.guise(config)
    return make


def fetch(stage, guise, name, port, timeout=15):
    client = stage.client(guise.forward, timeout=timeout)
    try:
        return client.ask(f"GET http://{name}:{port}/ HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n")
    finally:
        client.close()


def test_dead_ipv6_and_live_ipv4_is_quick(stage, world):
    names, origin, guise = world()
    stage.blackhole(host=PUBLIC6, port=origin.port)
    names.set("dual.example", v4=[PUBLIC], v6=[PUBLIC6])
    watch = Stopwatch()
    assert fetch(stage, guise, "dual.example", origin.port).status == 200
    assert watch.seconds < 1.5


def test_refused_ipv6_and_live_ipv4(stage, world):
    names, origin, guise = world()
    names.set("dual.example", v4=[PUBLIC], v6=[PUBLIC6, "2606:2800:220:1::2"])
    watch = Stopwatch()
    assert fetch(stage, guise, "dual.example", origin.port).status == 200
    assert watch.seconds < 1.5


def test_live_ipv6_is_preferred(stage, world):
    names, origin, guise = world()
    origin6 = stage.origin(once(OK), host="::", port=origin.port)
    names.set("dual.example", v4=[PUBLIC], v6=[PUBLIC6])
    assert fetch(stage, guise, "dual.example", origin.port).status == 200
    assert len(origin6.requests) == 1 and not origin.requests


def test_one_dead_address_of_several(stage, world):
    names, origin, guise = world()
    stage.blackhole(host="93.184.216.99", port=origin.port + 1)
    live = stage.origin(once(OK), host="93.184.216.35", port=origin.port + 1)
    names.set("many.example", v4=["93.184.216.99", "93.184.216.35"])
    watch = Stopwatch()
    assert fetch(stage, guise, "many.example", live.port).status == 200
    assert watch.seconds < 2


def test_silent_ipv6_answer_does_not_hold_up_ipv4(stage, world):
    names, origin, guise = world()
    names.set("slow6.example", v4=[PUBLIC], v6=[PUBLIC6], delay_v6=3)
    watch = Stopwatch()
    assert fetch(stage, guise, "slow6.example", origin.port).status == 200
    assert watch.seconds < 2


def test_time_to_live_is_honoured(stage, world):
    names, origin, guise = world()
    names.set("kept.example", v4=[PUBLIC], ttl=60)
    names.set("short.example", v4=[PUBLIC], ttl=1)
    for _ in range(5):
        assert fetch(stage, guise, "kept.example", origin.port).status == 200
    assert names.count("kept.example", 1) == 1
    assert fetch(stage, guise, "short.example", origin.port).status == 200
    stays_true(lambda: True, 2.1)
    assert fetch(stage, guise, "short.example", origin.port).status == 200
    assert names.count("short.example", 1) == 2


def test_one_look_up_for_many_at_once(stage, world):
    names, origin, guise = world()
    names.set("slow.example", v4=[PUBLIC], delay=0.3)
    clients = [stage.client(guise.forward) for _ in range(20)]
    for client in clients:
        client.send(f"GET http://slow.example:{origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert [client.read_response().status for client in clients] == [200] * 20
    assert names.count("slow.example", 1) <= 2


@pytest.mark.parametrize("family, other", [("ipv4", 28), ("ipv6", 1)])
def test_family(stage, world, family, other):
    names, origin, guise = world(family=family)
    stage.origin(once(OK), host="::", port=origin.port)
    names.set("dual.example", v4=[PUBLIC], v6=[PUBLIC6])
    assert fetch(stage, guise, "dual.example", origin.port).status == 200
    assert names.count("dual.example", other) == 0


def test_truncated_answer_is_asked_again_over_tcp(stage, world):
    names, origin, guise = world()
    names.set("long.example", v4=[f"93.184.216.{n}" for n in range(1, 120)], truncate=True)
    assert fetch(stage, guise, "long.example", origin.port).status == 200
    assert any(how == "tcp" for _, _, how in names.queries)


def test_silent_name_server_ends_in_time(stage, world):
    names, origin, guise = world(timeout="300ms", attempts=2)
    names.set("silent.example", silent=True)
    watch = Stopwatch()
    got = fetch(stage, guise, "silent.example", origin.port)
    assert (got.status, got.error_type()) == (504, "dns_timeout")
    assert watch.seconds < 5


def test_second_name_server_when_the_first_is_dead(stage):
    names = stage.names()
    names.set("a.example", v4=[PUBLIC])
    origin = stage.origin(once(OK), host="0.0.0.0")
    guise = stage.guise(dict(settings.forward(), resolver={
        "servers": ["127.0.0.1:9", names.address], "hosts": False, "timeout": "500ms"}))
    assert fetch(stage, guise, "a.example", origin.port).status == 200


def test_look_up_does_not_hold_up_others(stage, world):
    names, origin, guise = world()
    names.set("silent.example", silent=True)
    names.set("quick.example", v4=[PUBLIC])
    slow = stage.client(guise.forward)
    slow.send(f"GET http://silent.example:{origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    watch = Stopwatch()
    assert fetch(stage, guise, "quick.example", origin.port).status == 200
    assert watch.seconds < 1


def test_client_that_leaves_during_a_look_up(stage, world):
    names, origin, guise = world()
    names.set("slow.example", v4=[PUBLIC], delay=0.3)
    for _ in range(10):
        client = stage.client(guise.forward)
        client.send(f"GET http://slow.example:{origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        client.reset()
    assert fetch(stage, guise, "slow.example", origin.port).status == 200


@pytest.mark.parametrize("name", ["a" * 64 + ".example", ".".join(["a" * 60] * 5), "a..example", ".example", "-a.example",
                                  "a_b.example", "xn--nxasmq6b.example", "a.example."])
def test_odd_names(stage, world, name):
    names, origin, guise = world()
    names.set("a.example", v4=[PUBLIC])
    assert fetch(stage, guise, name, origin.port).status in (200, 400, 502)


def test_hosts_file_is_read(stage):
    """/etc/hosts knows localhost everywhere; the guard needs its rule all the same."""
    origin = stage.origin(once(OK))
    names = stage.names()
    config = settings.forward(settings.LOOPBACK, resolver=names)
    config["resolver"].update(hosts=True, family="ipv4")
    guise = stage.guise(config)
    assert fetch(stage, guise, "localhost", origin.port).status == 200


def test_dnsmasq(stage):
    server = stage.dnsmasq({"real.example": [PUBLIC, PUBLIC6], "inner.example": ["10.0.0.1"]})
    origin = stage.origin(once(OK), host="0.0.0.0")
    stage.origin(once(OK), host="::", port=origin.port)
    guise = stage.guise(dict(settings.forward(), resolver={"servers": [server.address], "hosts": False}))
    assert fetch(stage, guise, "real.example", origin.port).status == 200
    assert fetch(stage, guise, "inner.example", origin.port).status == 403
    assert fetch(stage, guise, "none.example", origin.port).status == 502
