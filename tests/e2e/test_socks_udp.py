"""UDP ASSOCIATE of SOCKS 5 (RFC 1928 7): real exchanges, who is served, what is refused, and when it ends.

Every address is local here: whatever should not have left would be seen by whoever listens on all of them.
"""

import contextlib
import socket
import ssl
import subprocess

import pytest

from support import settings, tls
from support.association import (FAILED, NOT_ALLOWED, SUCCEEDED, UDP, Association, Datagrams, Relay, ask as ask_socks,
                                 read_reply)
from support.certificates import Authority
from support.process import sanitizer
from support.servers import ENVIRONMENT, program
from support.waiting import wait_for
from test_egress_guard import ODD, PUBLIC, PUBLIC4, PUBLIC6, SPECIAL4, SPECIAL6

PUBLIC_V6 = "2606:2800:220:1::1"


@pytest.fixture(name="associate")
def _associate(stage):
    """An association with this Guise that has to succeed."""
    def make(guise, **options):
        association = Association(options.pop("address", guise.forward), **options)
        stage.clients.append(association)
        assert association.code == SUCCEEDED
        return association
    return make


@pytest.fixture(name="datagrams")
def _datagrams(stage):
    def make(*arguments, **options):
        made = Datagrams(*arguments, **options)
        stage.daemons.append(made)
        return made
    return make


def dig(port, name, *options):
    done = subprocess.run([program("dig"), "+short", "+tries=1", "+time=5", "@127.0.0.1", "-p", str(port), name, *options],
                          env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=15, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout.decode().split()


def used(guise):
    """Bytes of its own memory; under a sanitizer that says nothing."""
    return 0 if sanitizer() else guise.private_bytes()


def entry_of(guise, association):
    """The line in the access log, once the client has gone."""
    association.close()
    return guise.wait_log(lambda entry: entry["method"] == "UDP")


# what is there for

def test_dns(stage, associate):
    """A look-up by a real program at a real name server."""
    names = {"a.test": ["93.184.216.34"], "six.test": ["2606:2800::1"]}
    names.update({"many.test": [f"93.184.216.{i}" for i in range(60)]})
    server = stage.dnsmasq(names)
    guise = stage.guise(settings.forward({"allow": {"addresses": ["127.0.0.54"], "ports": [server.port]}}))
    relay = Relay(associate(guise), "127.0.0.54", server.port)
    stage.daemons.append(relay)
    assert dig(relay.port, "a.test", "A") == ["93.184.216.34"]
    assert dig(relay.port, "six.test", "AAAA") == ["2606:2800::1"]
    assert len(dig(relay.port, "many.test", "A", "+bufsize=4096", "+ignore")) > 40


def test_names_are_resolved_here(stage, associate, datagrams):
    names = stage.names()
    names.set("echo.test", v4=[PUBLIC])
    names.set("both.test", v4=[PUBLIC], v6=["::1"])
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward(resolver=names))
    association = associate(guise)
    assert association.ask(b"hello", "echo.test", echo.port) == (b":hello", PUBLIC, echo.port)
    assert association.ask(b"hello", "ECHO.test", echo.port) == (b":hello", PUBLIC, echo.port)
    assert association.ask(b"hello", "echo.test.", echo.port) == (b":hello", PUBLIC, echo.port)
    assert association.ask(b"hello", PUBLIC, echo.port) == (b":hello", PUBLIC, echo.port)
    # One of its addresses may be sent to, and that is the one.
    assert association.ask(b"hello", "both.test", echo.port) == (b":hello", PUBLIC, echo.port)


def test_datagrams_wait_for_their_name(stage, associate, datagrams):
    names = stage.names()
    names.set("slow.test", v4=[PUBLIC], delay=0.3)
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward(resolver=names))
    association = associate(guise)
    for number in range(3):
        association.send(b"%d" % number, "slow.test", echo.port)
    association.send(b"at once", PUBLIC, echo.port)
    assert association.receive()[0] == b":at once"
    assert [association.receive()[0] for _ in range(3)] == [b":0", b":1", b":2"]


@pytest.mark.parametrize("size", [0, 1, 512, 1472, 9000, 65000])
def test_sizes(stage, associate, datagrams, size):
    echo = datagrams(PUBLIC)
    association = associate(stage.guise(settings.forward()))
    data = bytes(i & 0xff for i in range(size))
    assert association.ask(data, PUBLIC, echo.port) == (b":" + data, PUBLIC, echo.port)


def test_ipv6(stage, associate, datagrams):
    """The client, the target, both."""
    echo4, echo6 = datagrams(PUBLIC), datagrams(PUBLIC_V6)
    guise = stage.guise(settings.forward(listener={"listen": ["127.0.0.1:0", "[::1]:0"]}))
    for address in guise.addresses("forward"):
        association = associate(guise, address=address)
        assert association.bound[0] == address[0]
        assert association.ask(b"4", PUBLIC, echo4.port) == (b":4", PUBLIC, echo4.port)
        assert association.ask(b"6", PUBLIC_V6, echo6.port) == (b":6", PUBLIC_V6, echo6.port)


def test_a_wildcard_listener_tells_where_the_client_came_to(stage, associate, datagrams):
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward(listener={"listen": ["0.0.0.0:0", "[::]:0"], "open": True}))
    for (_, port), host, source in zip(guise.addresses("forward"), ("127.0.0.9", "::1"), ("127.0.0.1", "::1")):
        association = associate(guise, address=(host, port), source=source)
        assert association.bound[0] == host
        assert association.ask(b"x", PUBLIC, echo.port)[0] == b":x"


def test_over_tls(stage, associate, datagrams, tmp_path):
    """The control connection is in TLS; datagrams are what they always are."""
    echo = datagrams(PUBLIC)
    leaf = Authority(tmp_path).leaf("a.test")
    guise = stage.guise(settings.forward(listener={"tls": tls.listener(leaf)}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    association = associate(guise, wrap=context.wrap_socket)
    assert association.ask(b"x", PUBLIC, echo.port) == (b":x", PUBLIC, echo.port)
    association.control.close()
    guise.wait_log(lambda entry: entry["method"] == "UDP" and entry["status"] == 200)


def test_other_clients_and_workers(stage, associate, datagrams):
    """Associations do not know of each other."""
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward(workers=2))
    associations = [associate(guise, source=f"127.0.1.{i}") for i in range(1, 17)]
    for round_ in range(3):
        for number, association in enumerate(associations):
            association.send(b"%d %d" % (round_, number), PUBLIC, echo.port)
        for number, association in enumerate(associations):
            assert association.receive()[0] == b":%d %d" % (round_, number)


def test_exits(stage, associate, datagrams):
    """By the rule that allows the target, each target by its own."""
    one, two = datagrams(PUBLIC), datagrams("93.184.216.35")
    guise = stage.guise(settings.forward(
        {"allow": {"addresses": ["93.184.216.35"]}, "exit": "second"}, {"allow": {}, "exit": "first"},
        exits={"first": {"addresses": ["198.18.7.1"]}, "second": {"addresses": ["198.18.7.2"]}}))
    association = associate(guise)
    assert association.ask(b"x", PUBLIC, one.port)[0] == b":x"
    assert association.ask(b"x", "93.184.216.35", two.port)[0] == b":x"
    assert association.ask(b"y", PUBLIC, one.port)[0] == b":y"
    assert {host for _, host, _ in one.heard} == {"198.18.7.1"}
    assert {host for _, host, _ in two.heard} == {"198.18.7.2"}


# who is served

def test_strangers_are_not_served(stage, associate, datagrams):
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward())
    association = associate(guise)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as beside:
        elsewhere.bind(("127.0.0.77", 0))
        beside.bind(association.local[:1] + (0,))
        association.send(b"stranger", PUBLIC, echo.port, sock=elsewhere)
        beside.sendto(b"no datagram of SOCKS", association.bound)
        assert association.ask(b"mine", PUBLIC, echo.port)[0] == b":mine"
        association.send(b"stranger", PUBLIC, echo.port, sock=elsewhere)
        association.send(b"stranger", PUBLIC, echo.port, sock=beside)
        assert association.ask(b"again", PUBLIC, echo.port)[0] == b":again"
    assert [data for data, _, _ in echo.heard] == [b"mine", b"again"]


def test_the_port_that_was_told(stage, associate, datagrams):
    echo = datagrams(PUBLIC)
    association = associate(stage.guise(settings.forward()), port_told=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as beside:
        beside.bind(association.local[:1] + (0,))
        association.send(b"beside", PUBLIC, echo.port, sock=beside)
        assert association.ask(b"mine", PUBLIC, echo.port)[0] == b":mine"
    assert [data for data, _, _ in echo.heard] == [b"mine"]


def test_only_who_was_asked_may_answer(stage, associate, datagrams):
    echo = datagrams(PUBLIC)
    association = associate(stage.guise(settings.forward()))
    assert association.ask(b"hello", PUBLIC, echo.port)[0] == b":hello"
    leaves_by = echo.heard[0][1:]
    for host in (PUBLIC, "93.184.216.35"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((host, 0))
            other.sendto(b"not asked", leaves_by)
    assert association.is_quiet()
    echo.udp.sendto(b"asked", leaves_by)
    assert association.receive() == (b"asked", PUBLIC, echo.port)


def test_a_target_that_is_not_there_hurts_nobody(stage, associate, datagrams):
    """What ICMP says of one target is nothing to the others."""
    echo = datagrams(PUBLIC)
    association = associate(stage.guise(settings.forward()))
    for _ in range(5):
        association.send(b"x", PUBLIC, 9)
        association.send(b"x", "93.184.216.35", 9)
        assert association.ask(b"hello", PUBLIC, echo.port)[0] == b":hello"


# what is refused

def test_fragments_and_other_nonsense(stage, associate, datagrams):
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward())
    association = associate(guise)
    for fragment in (1, 2, 127, 128, 255):
        association.send(b"part", PUBLIC, echo.port, fragment=fragment)
    association.send(b"reserved", PUBLIC, echo.port, reserved=b"\0\1")
    association.send(b"no port", PUBLIC, 0)
    for data in (b"", b"\0", b"\0\0\0", b"\0\0\0\1\1\1\1", b"\0\0\0\2\1\1\1\1\0\35x", b"\0\0\0\3\0\0\35x", b"\0\0\0\3\377a"):
        association.udp.sendto(data, association.bound)
    assert association.ask(b"whole", PUBLIC, echo.port)[0] == b":whole"
    assert [data for data, _, _ in echo.heard] == [b"whole"]
    assert entry_of(guise, association)["udp"] == {"sent": 1, "received": 1, "denied": 0, "dropped": 14}


@pytest.mark.seconds(60)
def test_special_addresses(stage, associate, datagrams):
    """By address, by every spelling as a name, and by what a name resolves to."""
    names = stage.names()
    everywhere = datagrams("0.0.0.0", silent=True)
    everywhere6 = datagrams("::", port=everywhere.port, silent=True)
    guise = stage.guise(settings.forward(resolver=names, limits={"udp_targets": 4096}))
    association = associate(guise)
    count = 0
    for number, host in enumerate(SPECIAL4 + SPECIAL6):
        kind = "v6" if ":" in host else "v4"
        names.set(f"n{number}.test", **{kind: [host]})
        for target in (host, host.encode(), f"n{number}.test".encode()):
            association.send(host.encode(), target, everywhere.port)
            count += 1
        if number % 8 == 7:  # not more at once than the kernel holds for Guise, nor than may wait for names
            association.send(b"8", PUBLIC, everywhere.port)
            wait_for(lambda: everywhere.heard and everywhere.heard.pop()[0] == b"8", "a datagram that is allowed")
            wait_for(lambda: len(names.queries) >= 2 * (number - 7), "the look-ups")
    for host in ODD:
        association.send(b"odd", host.encode(), everywhere.port)
    for host in PUBLIC4 + PUBLIC6:
        association.send(host.encode(), host, everywhere.port)
    wait_for(lambda: len(everywhere.heard) + len(everywhere6.heard) >= len(PUBLIC4) + len(PUBLIC6), "those that are public")
    assert sorted(data.decode() for data, _, _ in everywhere.heard) == sorted(PUBLIC4)
    assert sorted(data.decode() for data, _, _ in everywhere6.heard) == sorted(PUBLIC6)
    entry = entry_of(guise, association)
    assert entry["udp"]["denied"] > count * 0.9
    assert "0.0.0.0" in entry["udp"]["denial"] and "is not public" in entry["udp"]["denial"]


def test_a_rule_opens_an_address(stage, associate, datagrams):
    echo, other = datagrams("10.1.2.3"), datagrams("10.1.2.4")
    association = associate(stage.guise(settings.forward({"allow": {"addresses": ["10.1.2.3"]}})))
    association.send(b"x", "10.1.2.4", other.port)
    assert association.ask(b"x", "10.1.2.3", echo.port)[0] == b":x"
    # The same address in the form of the other family is the same address.
    assert association.ask(b"x", "::ffff:10.1.2.3", echo.port) == (b":x", "10.1.2.3", echo.port)
    assert not other.heard


def test_rules(stage, associate, datagrams):
    names = stage.names()
    for name in ("a.test", "b.test", "c.test"):
        names.set(name, v4=[PUBLIC])
    open_port, shut_port = datagrams(PUBLIC), datagrams(PUBLIC)
    guise = stage.guise(settings.forward(
        {"name": "not-b", "deny": {"domains": ["b.test"]}},
        {"name": "not-that-port", "deny": {"ports": [shut_port.port], "schemes": ["udp"]}},
        {"deny": {"methods": ["CONNECT"]}},
        {"allow": {"domains": ["a.test"], "methods": ["UDP"]}},
        resolver=names))
    association = associate(guise)
    association.send(b"x", "b.test", open_port.port)
    association.send(b"x", "a.test", shut_port.port)
    association.send(b"x", "c.test", open_port.port)
    association.send(b"x", PUBLIC, open_port.port)
    assert association.ask(b"good", "a.test", open_port.port)[0] == b":good"
    assert [data for data, _, _ in open_port.heard] == [b"good"] and not shut_port.heard
    # Nobody is asked about a name that is denied.
    assert not [query for query in names.queries if "b.test" in str(query) or "c.test" in str(query)]
    entry = entry_of(guise, association)
    assert entry["udp"]["denied"] == 4 and entry["udp"]["sent"] == 1
    assert "b.test" in entry["udp"]["denial"] and "not-b" in entry["udp"]["denial"]
    assert (entry["in"], entry["out"], entry["status"], entry["error"]) == (4, 5, 200, None)


def test_who_can_send_nowhere_is_told(stage):
    """There is no association where no rule would let a datagram of it pass."""
    for rules in ([{"deny": {"schemes": ["udp"]}}], [{"allow": {"methods": ["CONNECT"]}}],
                  [{"allow": {"sources": ["10.0.0.0/8"]}}], [{"deny": {"sources": ["127.0.0.0/8"]}}, {"allow": {}}]):
        guise = stage.guise(settings.forward(*rules))
        with contextlib.closing(Association(guise.forward)) as association:
            assert association.code == NOT_ALLOWED
            assert association.has_ended()
    for rules in ([{"deny": {"ports": [9]}}], [{"allow": {"ports": [53]}}, {"deny": {"schemes": ["udp"]}}]):
        guise = stage.guise(settings.forward(*rules))
        with contextlib.closing(Association(guise.forward)) as association:
            assert association.code == SUCCEEDED


def test_parents_take_no_datagrams(stage, associate, datagrams):
    """What a rule sends through parents does not leave without them."""
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward(
        {"allow": {"ports": [echo.port]}, "proxy": ["tor"]}, {"allow": {}, "proxy": ["tor", "direct"]},
        parents={"tor": {"servers": ["socks5://127.0.0.1:9"]}}))
    other = datagrams(PUBLIC)
    association = associate(guise)
    association.send(b"x", PUBLIC, echo.port)
    assert association.ask(b"x", PUBLIC, other.port)[0] == b":x"
    assert not echo.heard
    assert "parents" in entry_of(guise, association)["udp"]["denial"]


def test_no_address_for_a_unix_client(stage, tmp_path):
    path = str(tmp_path / "guise.sock")
    stage.guise(settings.forward(listener={"listen": "unix:" + path}))
    sock = ask_socks(path, UDP)
    with sock:
        assert read_reply(sock)[0] == FAILED


# when it ends

def test_it_ends_with_its_connection(stage, associate, datagrams):
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward())
    before = guise.open_files()
    association = associate(guise)
    assert association.ask(b"x", PUBLIC, echo.port)[0] == b":x"
    assert guise.open_files() > before
    association.control.close()
    guise.wait_log(lambda entry: entry["method"] == "UDP" and entry["error"] is None)
    wait_for(lambda: guise.open_files() <= before, "all of its sockets to be closed")
    association.send(b"late", PUBLIC, echo.port)
    assert association.is_quiet()
    assert len(echo.heard) == 1


def test_idle(stage, associate, datagrams):
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward(timeouts={"udp": "600ms"}))
    association = associate(guise)
    for _ in range(6):
        assert not association.has_ended(0.2)
        assert association.ask(b"x", PUBLIC, echo.port)[0] == b":x"
    assert association.has_ended(5)
    entry = guise.wait_log(lambda entry: entry["method"] == "UDP")
    assert "idle" in entry["error"]


def test_idle_from_the_beginning(stage):
    guise = stage.guise(settings.forward(timeouts={"udp": "100ms"}))
    with contextlib.closing(Association(guise.forward)) as association:
        assert association.code == SUCCEEDED
        assert association.has_ended(5)


def test_what_is_said_on_the_connection_is_nothing(stage, associate, datagrams):
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward())
    association = associate(guise)
    association.control.sendall(b"hello?")
    assert association.ask(b"x", PUBLIC, echo.port)[0] == b":x"
    before = used(guise)
    for _ in range(1000):
        association.control.sendall(b"x" * 1024)
    assert association.ask(b"y", PUBLIC, echo.port)[0] == b":y"
    assert used(guise) < before + 256 * 1024
    entry = entry_of(guise, association)
    assert (entry["in"], entry["out"]) == (2, 4)


@pytest.mark.seconds(60)
def test_a_flood_of_targets_costs_no_memory(stage, associate, datagrams):
    names = stage.names()
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward({"deny": {"domains": ["*.denied.test"]}}, {"allow": {}}, resolver=names))
    association = associate(guise)

    def flood(first, last, *kinds):
        for number in range(first, last):
            for kind in kinds:
                association.send(b"x", *kind(number))
            if number % 32 == 31:
                assert association.ask(b"here", PUBLIC, echo.port)[0] == b":here"

    def address(number):
        return f"93.{number >> 8 & 255}.{number & 255}.1", 1 + number % 65535

    def denied(number):
        return f"n{number}.denied.test", 53

    def unknown(number):
        return f"n{number}.unknown.test", 53
    flood(0, 2048, address, denied)
    before = used(guise)
    flood(2048, 12288, address, denied)
    assert used(guise) < before + 256 * 1024
    # What names cost is the resolver's, which has bounds of its own.
    flood(0, 12288, unknown)
    assert used(guise) < before + 16 * 1024 * 1024
    assert guise.open_files() < 64


def test_a_drain_ends_it(stage, associate, datagrams):
    echo = datagrams(PUBLIC)
    guise = stage.guise(settings.forward(timeouts={"drain": "200ms"}))
    association = associate(guise)
    assert association.ask(b"x", PUBLIC, echo.port)[0] == b":x"
    guise.stop()
    assert association.has_ended()
