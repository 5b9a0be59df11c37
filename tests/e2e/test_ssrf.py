"""What must not be reached through the forward proxy, by whatever protocol and in whatever spelling: special ranges x spellings x protocols.

One Guise for all cases. Every address is local here (support/namespace.py) and somebody listens on all of them, over TCP and UDP: what came through would be
seen. A public address is asked for beside them in each protocol, so that a protocol that lets nothing pass is noticed as well.
"""

import ipaddress
import itertools
import socket
import struct

import pytest

from support import association, http2, settings
from support.client import open_socket
from support.origin import OK
from test_egress_guard import MAPPED, ODD, PUBLIC, SPECIAL4, SPECIAL6

PUBLIC6 = "2606:2800:220:1::1"

# One or more of each range; the whole list is asked for in all protocols.
INNER4 = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1", "172.16.0.1", "100.64.0.1", "0.0.0.0", "255.255.255.255",
          "224.0.0.1", "198.18.0.1", "240.0.0.1", "192.0.2.1"]


def embedded(address):
    """The IPv6 forms that carry an IPv4 address somewhere: each may lead to it where a translator or a tunnel is at work."""
    four = ipaddress.IPv4Address(address)
    number = int(four)
    forms = [(0xFFFF << 32) | number,  # mapped
             number,  # compatible
             (0xFFFF << 48) | number,  # translated
             (0x0064FF9B << 96) | number,  # NAT64
             (0x0064FF9B0001 << 80) | number,  # NAT64, local
             (0x2002 << 112) | number << 80 | 1,  # 6to4
             (0x20010000 << 96) | (number ^ 0xFFFFFFFF),  # Teredo
             (0x26062800 << 96) | (0x00005EFE << 32) | number,  # ISATAP under a public prefix
             (0x26062800 << 96) | (0x02005EFE << 32) | number]
    return [str(ipaddress.IPv6Address(form)) for form in forms]


ADDRESSES = list(dict.fromkeys(SPECIAL4 + SPECIAL6 + [form for address in INNER4 for form in embedded(address)]))


def spellings(address):
    """What programs take for this IPv4 address, or may."""
    parts = [int(part) for part in address.split(".")]
    number = int(ipaddress.IPv4Address(address))
    yield from (str(number), hex(number), oct(number).replace("0o", "0"), f"0{number:o}", f"0X{number:X}", f"{number:#010x}")
    bases = (str, hex, lambda value: f"0{value:o}", lambda value: f"{value:03d}", lambda value: f"0x{value:08x}")
    for base in bases[1:]:
        yield ".".join(base(part) for part in parts)
    for mix in itertools.islice(itertools.product(bases, repeat=4), 1, 625, 7):
        yield ".".join(base(part) for base, part in zip(mix, parts))
    yield f"{parts[0]}.{number & 0xFFFFFF}"
    yield f"{parts[0]}.{parts[1]}.{number & 0xFFFF}"
    yield f"{parts[0]:#x}.{number & 0xFFFFFF:#x}"
    for dots in (".", ".."):
        yield address + dots
    for dot in ("%2e", "%2E", "\u3002", "\uff0e", "\uff61", "%E3%80%82", "%ef%bc%8e"):
        yield dot.join(str(part) for part in parts)
    wide = "".join(chr(ord(sign) + 0xFEE0) if sign.isdigit() else sign for sign in address)
    yield wide
    yield "".join(f"%{byte:02X}" for byte in wide.encode())
    yield "".join(f"%{ord(sign):02x}" for sign in address)
    yield f"{address}%00.public.example"
    yield f"{address}\u00ad"
    yield f"[{address}]"
    yield f"[::ffff:{parts[0]:#x}.{parts[1]}.{parts[2]}.{parts[3]}]"
    yield f"[::ffff:{address}%25lo]"


SPELLINGS = [text for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0") for text in spellings(address)
             if text != address]

TRICKS = """
public.example@127.0.0.1 127.0.0.1@public.example a:b@127.0.0.1 public.example#@127.0.0.1 public.example?@127.0.0.1
public.example\\@127.0.0.1 public.example%40127.0.0.1 public.example%2f@127.0.0.1 public.example/@127.0.0.1
public.example%23@127.0.0.1 127.0.0.1%23.public.example 127.0.0.1%2f.public.example public.example:80@127.0.0.1
127.0.0.1;public.example 127.0.0.1,public.example 127.0.0.1%20 127.0.0.1%09 127.0.0.1%0d%0aHost:public.example
""".split()

LOCALHOST = ["localhost", "LOCALHOST", "LocalHost", "localhost.", "a.localhost", "a.b.LocalHost.", "127.0.0.1.localhost"]


def answering_or_deaf(peer):
    """Answers a request; what comes through a tunnel is only read."""
    peer.keep = False
    while some := peer.read_some():
        if some.startswith(b"GET "):
            peer.send(OK)


class World:
    """Guise, somebody on every address, and ways to ask."""

    def __init__(self, stage, directory):
        self.names = stage.names()
        self.names.set("public.example", v4=[PUBLIC])
        self.origins = [stage.origin(answering_or_deaf, host="0.0.0.0")]
        self.port = self.origins[0].port
        self.origins.append(stage.origin(answering_or_deaf, host="::", port=self.port))
        self.datagrams = [association.Datagrams(host, self.port) for host in ("0.0.0.0", "::")]
        self.sign = association.Datagrams(PUBLIC)
        stage.daemons += [*self.datagrams, self.sign]
        self.guise = stage.guise(settings.forward(resolver=self.names))
        certificate, key = http2.certificate(directory)
        tls = {"certificates": [{"certificate": certificate, "key": key}]}
        self.secure = stage.guise(settings.forward(resolver=self.names, listener={"tls": tls}))
        self.stage = stage
        self.h2, self.asked = None, 0

    def strangers(self):
        """Addresses to which somebody has come who should not."""
        arrived = {peer.local[0] for origin in self.origins for peer in origin.peers}
        return arrived - {PUBLIC, PUBLIC6}

    # ways to ask: each returns a status, or a code

    def http(self, method, host, fields=None):
        target = f"{host}:{self.port}" if method == "CONNECT" else f"http://{host}:{self.port}/"
        text = f"{method} {target} HTTP/1.1\r\nHost: {fields or host}:{self.port}\r\n\r\n"
        with open_socket(self.guise.forward) as sock:
            sock.sendall(text.encode())
            got = b""
            while b"\r\n" not in got:
                part = sock.recv(4096)
                assert part, (method, host, got)
                got += part
        return int(got.split()[1])

    def get(self, host):
        return self.http("GET", host)

    def connect(self, host):
        return self.http("CONNECT", host)

    def http2_connect(self, host):
        self.asked += 1
        if self.asked % 40 == 1:  # who is refused too often is hung up on
            self.h2 = http2.Client(self.secure.forward, tls=http2.client_context("h2", "http/1.1")).settled()
            self.stage.clients.append(self.h2)
        stream = self.h2.request("CONNECT", authority=f"{host}:{self.port}".encode().decode("latin-1"), end=False)
        self.h2.until(lambda: stream.status or stream.reset is not None, "an answer")
        if stream.status == 200:
            self.h2.send_data(stream, b"", True)
        return int(stream.status or 400)

    def _socks(self, request, read):
        with open_socket(self.guise.forward) as sock:
            sock.sendall(request)
            return read(sock)

    def socks4(self, address):
        packed = ipaddress.IPv4Address(address).packed
        return self._socks(b"\x04\x01" + struct.pack(">H", self.port) + packed + b"\0", association.read_reply4)[0]

    def socks4a(self, host):
        name = host.encode() + b"\0"
        return self._socks(b"\x04\x01" + struct.pack(">H", self.port) + b"\0\0\0\x01\0" + name,
                           association.read_reply4)[0]

    def _socks5(self, place):
        def read(sock):
            assert association.exactly(sock, 2) == b"\x05\0"
            return association.read_reply(sock)[0]
        return self._socks(b"\x05\x01\0\x05\x01\0" + place, read)

    def socks5(self, address):
        return self._socks5(association.place(address, self.port))

    def socks5_name(self, host):
        return self._socks5(association.place(host.encode(), self.port))


@pytest.fixture(scope="module")
def world(shared_stage, tmp_path_factory):
    return World(shared_stage, tmp_path_factory.mktemp("certificate"))


REFUSED = {"get": {403}, "connect": {403}, "http2_connect": {403}, "socks4": {91}, "socks4a": {91}, "socks5": {2},
           "socks5_name": {2}}
GRANTED = {"get": 200, "connect": 200, "http2_connect": 200, "socks4": 90, "socks4a": 90, "socks5": 0, "socks5_name": 0}
BY_NAME = ["get", "connect", "http2_connect", "socks4a", "socks5_name"]


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def check(world, way, hosts, wanted):
    """All of them are refused with what is wanted, and nothing arrives anywhere."""
    wrong = [(host, got) for host in hosts if (got := getattr(world, way)(host)) not in wanted]
    assert not wrong
    assert not world.strangers()


@pytest.mark.parametrize("way", sorted(GRANTED))
def test_what_is_public_passes(world, way):
    assert getattr(world, way)(PUBLIC) == GRANTED[way]
    if way not in ("socks4", "socks5"):
        assert getattr(world, way)("public.example") == GRANTED[way]
    if way == "socks5":
        assert world.socks5(PUBLIC6) == 0


# addresses

@pytest.mark.seconds(60)
@pytest.mark.parametrize("way", ["get", "connect", "http2_connect"])
def test_special_addresses_by_http(world, way):
    check(world, way, map(bracketed, ADDRESSES), REFUSED[way])


@pytest.mark.seconds(60)
def test_special_addresses_by_socks(world):
    # 0.0.0.1 to 0.0.0.255 say in SOCKS 4 that a name follows.
    four = [address for address in ADDRESSES if ":" not in address and not address.startswith("0.0.0.")]
    check(world, "socks4", four, {91})
    check(world, "socks5", ADDRESSES, {2})
    check(world, "socks4a", filter(lambda address: ":" not in address, ADDRESSES), {91})
    check(world, "socks5_name", ADDRESSES, {1, 2, 4, 8})
    check(world, "socks5_name", map(bracketed, ADDRESSES), {1, 2, 4, 8})


def udp_is_deaf(world, hosts):
    """A datagram to each; the answer to one to somebody else is the sign that it has been judged."""
    client = association.Association(world.guise.forward)
    assert client.code == association.SUCCEEDED
    for host in hosts:
        client.send(b"x", host, world.port)
        assert client.ask(b"sign", PUBLIC, world.sign.port)[0] == b":sign", host
    client.close()
    assert not [one.heard for one in world.datagrams if one.heard]


def test_what_is_public_passes_by_datagrams(world):
    client = association.Association(world.guise.forward)
    assert client.ask(b"a", "public.example", world.sign.port)[0] == b":a"
    client.close()


@pytest.mark.seconds(60)
def test_special_addresses_by_datagrams(world):
    udp_is_deaf(world, ADDRESSES)


# spellings

@pytest.mark.seconds(60)
@pytest.mark.parametrize("way", BY_NAME)
def test_spellings(world, way):
    """As they stand on the wire: no octal, hexadecimal, short or other form is an address, nor a name that anybody is asked for."""
    asked = len(world.names.queries)
    wanted = {400, 403} if way in ("get", "connect", "http2_connect") else {91} if way == "socks4a" else {1, 2, 4, 8}
    hosts = SPELLINGS + ODD + MAPPED + TRICKS
    if way == "http2_connect":
        hosts = [host for host in hosts if host.isascii()]
    check(world, way, hosts, wanted)
    assert len(world.names.queries) == asked, world.names.queries[asked:]


@pytest.mark.seconds(60)
def test_spellings_by_datagrams(world):
    asked = len(world.names.queries)
    udp_is_deaf(world, [host.encode() for host in SPELLINGS + ODD + MAPPED + TRICKS if host != "[]"])
    assert len(world.names.queries) == asked, world.names.queries[asked:]


@pytest.mark.parametrize("way", BY_NAME)
def test_localhost(world, way):
    check(world, way, LOCALHOST, REFUSED[way])
    assert not any("localhost" in name for name, _, _ in world.names.queries)


def test_host_field_and_target_that_differ(world):
    """The target alone counts (RFC 9112 3.2.2)."""
    assert world.http("GET", "127.0.0.1", PUBLIC) in (400, 403)
    assert world.http("CONNECT", "127.0.0.1", PUBLIC) in (400, 403)
    assert world.http("GET", PUBLIC, "127.0.0.1") in (200, 400)
    assert not world.strangers()


# names

@pytest.mark.seconds(60)
@pytest.mark.parametrize("way", BY_NAME)
def test_names_of_special_addresses(world, way):
    hosts = []
    for number, address in enumerate(ADDRESSES):
        hosts.append(f"n{number}.{way.replace('_', '-')}.example")
        world.names.set(hosts[-1], **{"v6" if ":" in address else "v4": [address]})
    check(world, way, hosts, REFUSED[way])


@pytest.mark.seconds(60)
def test_names_of_special_addresses_by_datagrams(world):
    hosts = []
    for number, address in enumerate(ADDRESSES[::3]):
        hosts.append(f"u{number}.example")
        world.names.set(hosts[-1], **{"v6" if ":" in address else "v4": [address]})
    udp_is_deaf(world, hosts)


@pytest.mark.parametrize("way", BY_NAME)
def test_mixed_answers_lead_to_the_public_ones(world, way):
    name = f"mixed-{way.replace('_', '-')}.example"
    world.names.set(name, v4=["127.0.0.1", "10.0.0.1", PUBLIC], v6=["::1", "fd00::1", "::ffff:127.0.0.1"])
    assert getattr(world, way)(name) == GRANTED[way]
    assert not world.strangers()


@pytest.mark.parametrize("way", BY_NAME)
def test_rebinding(world, way):
    """What was judged is what is connected to, though the next answer is another one."""
    name = f"rebind-{way.replace('_', '-')}.example"
    world.names.set(name, ttl=0, v4=lambda number: [PUBLIC if number % 2 == 0 else "127.0.0.1"])
    got = {getattr(world, way)(name) for _ in range(8)}
    assert got <= {GRANTED[way], *REFUSED[way]}
    assert not world.strangers()


@pytest.mark.parametrize("way", BY_NAME)
def test_aliases(world, way):
    name = f"alias-{way.replace('_', '-')}.example"
    world.names.set("inner.example", v4=["10.0.0.1"], v6=["::1"])
    world.names.set(name, alias="inner.example")
    check(world, way, [name], REFUSED[way])


# DNS

@pytest.mark.parametrize("way", BY_NAME)
@pytest.mark.parametrize("name", ["hidden.onion", "a.b.onion", "x.invalid", "y.localhost", "z.alt"])
def test_names_that_are_nobodys_business(world, way, name):
    """RFC 6761, RFC 7686, RFC 9476: no name server learns of them."""
    getattr(world, way)(name)
    assert not any(asked.endswith(name) for asked, _, _ in world.names.queries)


def test_only_the_configured_name_servers_are_asked(stage):
    """Another one stands where the system's would be, and on every other address."""
    others = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
    for sock, host in zip(others, ("0.0.0.0", "::")):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, 53))
        sock.setblocking(False)
    names = stage.names()
    names.set("site.example", v4=[PUBLIC])
    origin = stage.origin(host=PUBLIC)
    guise = stage.guise(settings.forward(resolver=names))
    for host in ("site.example", "nowhere.example", "printer.local", "short"):
        client = stage.client(guise.forward)
        client.send(f"GET http://{host}:{origin.port}/ HTTP/1.1\r\nHost: {host}:{origin.port}\r\n\r\n".encode())
        assert client.read_response().status == (200 if host == "site.example" else 502)
        assert names.count(host) > 0 or host == "short"
    for sock in others:
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        sock.close()


@pytest.mark.parametrize("family, kinds, local", [("ipv4", {1}, PUBLIC), ("ipv6", {28}, PUBLIC6)])
@pytest.mark.parametrize("socks", [False, True])
def test_one_family_where_that_is_configured(stage, family, kinds, local, socks):
    names = stage.names()
    names.set("both.example", v4=[PUBLIC], v6=[PUBLIC6])
    origins = [stage.origin(host="0.0.0.0")]
    origins.append(stage.origin(host="::", port=origins[0].port))
    guise = stage.guise(settings.forward() | {
        "resolver": {"servers": [names.address], "hosts": False, "family": family}})
    if socks:
        with open_socket(guise.forward) as sock:
            sock.sendall(b"\x05\x01\0\x05\x01\0" + association.place("both.example", origins[0].port))
            association.exactly(sock, 2)
            assert association.read_reply(sock)[0] == 0
    else:
        client = stage.client(guise.forward)
        client.send(f"GET http://both.example:{origins[0].port}/ HTTP/1.1\r\nHost: both.example\r\n\r\n".encode())
        assert client.read_response().status == 200
    assert {kind for _, kind, _ in names.queries} == kinds
    assert origins[family == "ipv6"].wait_peers(1)[0].local[0] == local
    assert not origins[family == "ipv4"].peers
