"""What belongs to Guise itself is no target of the forward face: listeners, the operator's interface, upstream servers however they are found,
parent proxies. All addresses here are public ones, so that nothing else refuses them; and all are local (support/namespace.py), so that whatever came
through would be seen.
"""

import json

import pytest

from support import settings
from support.servers import LiveDnsmasq
from support.waiting import wait_for

PUBLIC, OTHER, THIRD = "93.184.216.34", "93.184.216.35", "93.184.216.36"
PUBLIC6 = "2606:2800:220:1::1"


@pytest.fixture(scope="module")
def origin(shared_stage):
    return shared_stage.origin(host="0.0.0.0")


@pytest.fixture(scope="module")
def origin6(shared_stage, origin):
    return shared_stage.origin(host="::", port=origin.port)


def ask(stage, guise, authority, method="GET"):
    client = stage.client(guise.forward)
    target = authority if method == "CONNECT" else f"http://{authority}/"
    client.send(f"{method} {target} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    response = client.read_response(method)
    client.close()  # conditions are waited for with many of them
    return response


def is_refused(stage, guise, authority):
    """For both ways to ask; one of them alone is a mistake of its own."""
    statuses = {ask(stage, guise, authority, method).status for method in ("GET", "CONNECT")}
    assert len(statuses) == 1, statuses
    return statuses == {403}


def becomes(status, stage, guise, authority):
    """What is waited for: it may change between two ways to ask."""
    return ask(stage, guise, authority).status == status


def config(origin, names=None, rules=(), upstream=None, **top):
    """A forward listener beside a group with these servers."""
    upstream = upstream if upstream is not None else {"servers": [f"{PUBLIC}:{origin.port}"]}
    return settings.forward(*rules, resolver=names, upstreams={"web": upstream}, **top,
                            reverse=[{"listen": "127.0.0.1:0", "routes": [{"to": "web"}]}])


def test_servers_given_by_address(stage, origin, origin6):
    servers = [f"{PUBLIC}:{origin.port}", f"[{PUBLIC6}]:{origin.port}"]
    guise = stage.guise(config(origin, upstream={"servers": servers}))
    for authority in (servers[0], servers[1], f"[::ffff:{PUBLIC}]:{origin.port}"):
        before = len(origin.peers) + len(origin6.peers)
        assert is_refused(stage, guise, authority), authority
        assert len(origin.peers) + len(origin6.peers) == before
    assert not is_refused(stage, guise, f"{OTHER}:{origin.port}")
    entry = guise.wait_log(lambda entry: entry["verdict"] == "guard")
    assert "upstream server" in entry["error"]


@pytest.mark.parametrize("resolve", ["each", "one"])
def test_servers_given_by_name(stage, origin, resolve):
    """By its name; by its address, which nobody has asked for yet; by another name with this address."""
    names = stage.names()
    names.set("web.example", v4=[PUBLIC])
    names.set("alias.example", v4=[PUBLIC])
    names.set("other.example", v4=[OTHER])
    guise = stage.guise(config(origin, names, upstream={
        "servers": [{"address": f"Web.example:{origin.port}", "resolve": resolve}]}))
    for host in ("web.example", PUBLIC, "alias.example"):
        assert is_refused(stage, guise, f"{host}:{origin.port}"), host
    assert not is_refused(stage, guise, f"other.example:{origin.port}")
    assert not origin.peers or {peer.local[0] for peer in origin.peers[-2:]} == {OTHER}


def test_a_name_that_answers_otherwise_each_time(stage, origin):
    """Whatever its addresses are at the moment: the name is the server's."""
    names = stage.names()
    names.set("web.example", ttl=0, v4=lambda number: [f"93.184.217.{number % 250}"])
    guise = stage.guise(config(origin, names, upstream={
        "servers": [{"address": f"web.example:{origin.port}", "resolve": "one"}]}))
    for _ in range(5):
        assert is_refused(stage, guise, f"web.example:{origin.port}")


def test_servers_that_come_and_go(stage, origin):
    """A file's servers, and names among them that are resolved at each connect."""
    names = stage.names()
    names.set("web.example", v4=[THIRD])
    path = stage.path("servers.yaml")

    def write(*servers):
        path.write_text(json.dumps([{"address": server} for server in servers]), encoding="utf-8")

    write(f"{PUBLIC}:{origin.port}")
    guise = stage.guise(config(origin, names, upstream={"file": str(path)}))
    assert is_refused(stage, guise, f"{PUBLIC}:{origin.port}")
    assert not is_refused(stage, guise, f"{OTHER}:{origin.port}")
    write(f"{OTHER}:{origin.port}")
    wait_for(lambda: becomes(403, stage, guise, f"{OTHER}:{origin.port}"), "the new server is known")
    wait_for(lambda: becomes(200, stage, guise, f"{PUBLIC}:{origin.port}"), "the old one is forgotten")


def test_servers_of_a_service(stage, origin):
    server = LiveDnsmasq(stage.path("dnsmasq"))
    stage.daemons.append(server)
    server.set(a_test=[PUBLIC])
    server.set_services(f"_http._tcp.test,a.test,{origin.port},1,1")
    guise = stage.guise(config(origin, server, upstream={"servers": ["srv:_http._tcp.test"]}))
    assert is_refused(stage, guise, f"{PUBLIC}:{origin.port}")
    assert not is_refused(stage, guise, f"{OTHER}:{origin.port}")
    server.set(a_test=[OTHER])
    wait_for(lambda: becomes(403, stage, guise, f"{OTHER}:{origin.port}"), "the new address is known")


def test_parents(stage, origin):
    names = stage.names()
    names.set("parent.example", v4=[PUBLIC])
    parents = {"one": [f"http://{OTHER}:{origin.port}"], "two": [f"socks5://parent.example:{origin.port}"]}
    guise = stage.guise(settings.forward(resolver=names, parents=parents))
    for host in (OTHER, PUBLIC, "parent.example"):
        assert is_refused(stage, guise, f"{host}:{origin.port}"), host
    assert not is_refused(stage, guise, f"{THIRD}:{origin.port}")


def test_listeners_and_the_operators_interface(stage):
    """Those on a public address, and those on every address of the machine."""
    guise = stage.guise(settings.forward(
        admin="127.0.0.1:19901",
        reverse=[{"listen": f"{PUBLIC}:18081", "routes": [{"respond": {"status": 200, "body": "reverse"}}]},
                 {"listen": "0.0.0.0:18082", "routes": [{"respond": {"status": 200, "body": "reverse"}}]}]))
    for authority in ("127.0.0.1:19901", "[::ffff:127.0.0.1]:19901", f"{PUBLIC}:18081", "127.0.0.1:18082"):
        assert is_refused(stage, guise, authority), authority


def test_a_rule_that_names_the_address_opens_it(stage, origin):
    names = stage.names()
    names.set("web.example", v4=[PUBLIC])
    rules = [{"allow": {"addresses": [PUBLIC], "ports": [origin.port]}}, {"allow": {}}]
    guise = stage.guise(config(origin, names, rules=rules, upstream={"servers": [f"web.example:{origin.port}"]}))
    assert not is_refused(stage, guise, f"{PUBLIC}:{origin.port}")
    assert not is_refused(stage, guise, f"web.example:{origin.port}")
