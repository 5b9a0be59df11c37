"""The PROXY protocol (HAProxy's proxy-protocol.txt): believed from whom the configuration names, and from nobody else; and sent to servers."""

import ipaddress
import struct

import pytest

from support import settings
from support.origin import OK
from support.waiting import Stopwatch, wait_for

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TRUSTED = {"proxy_protocol": ["127.0.0.0/8", "::1"]}
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"


def v2(source, destination, tlvs=b"", command=0x21, family=None):
    """A header of version 2; source and destination are (host, port)."""
    packed = [ipaddress.ip_address(host).packed for host, _ in (source, destination)]
    body = b"".join(packed) + struct.pack("!HH", source[1], destination[1]) + tlvs
    if family is None:
        family = 0x11 if len(packed[0]) == 4 else 0x21
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


V2 = v2(("192.0.2.1", 56324), ("198.51.100.2", 443))


def read_header(peer):
    """What a server reads: (source, destination) as (host, port), or None where the header names nobody."""
    start = peer.read_exact(6)
    if start == b"PROXY ":
        line = start
        while not line.endswith(b"\r\n"):
            line += peer.read_exact(1)
            assert len(line) <= 107
        words = line[:-2].decode("ascii").split(" ")
        if words[1] == "UNKNOWN":
            return None
        assert words[1] in ("TCP4", "TCP6") and len(words) == 6
        addresses = [ipaddress.ip_address(word) for word in words[2:4]]
        assert all(address.version == int(words[1][3]) for address in addresses)
        return (str(addresses[0]), int(words[4])), (str(addresses[1]), int(words[5]))
    fixed = start + peer.read_exact(10)
    assert fixed[:12] == SIGNATURE
    command, family, length = struct.unpack("!BBH", fixed[12:])
    body = peer.read_exact(length)
    if command == 0x20:
        return None
    size = {0x11: 4, 0x21: 16}[family]
    assert command == 0x21 and length == 2 * size + 4
    addresses = [ipaddress.ip_address(body[at:at + size]) for at in (0, size)]
    ports = struct.unpack("!HH", body[2 * size:])
    return (str(addresses[0]), ports[0]), (str(addresses[1]), ports[1])


@pytest.fixture
def reader(stage):
    """An origin that reads a header, keeps it in `headers`, and echoes what follows."""
    headers = []

    def script(peer):
        headers.append(read_header(peer))
        while data := peer.read_some():
            peer.send(data)
    origin = stage.origin(script)
    origin.headers = headers
    return origin


def talk(client, data=b"hello"):
    client.send(data)
    assert client.read_exact(len(data)) == data


# to servers

@pytest.mark.parametrize("version", ["v1", "v2"])
def test_server_learns_who_asks(stage, reader, version):
    guise = stage.guise(settings.tcp(reader, upstream={"proxy_protocol": version}))
    client = stage.client(guise.tcp, source="127.0.0.7")
    talk(client)
    assert reader.headers == [(client.sock.getsockname(), guise.tcp)]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_ipv6(stage, reader, version):
    guise = stage.guise(settings.tcp(reader, listener={"listen": "[::1]:0"}, upstream={"proxy_protocol": version}))
    client = stage.client(guise.tcp)
    talk(client)
    assert reader.headers == [(client.sock.getsockname()[:2], guise.tcp)]


@pytest.mark.parametrize("host", ["127.0.0.3", "::1"])
def test_a_listener_on_all_addresses_says_which_one_it_was(stage, reader, host):
    guise = stage.guise(settings.tcp(reader, listener={"listen": ":0"}, upstream={"proxy_protocol": "v1"}))
    client = stage.client((host, guise.tcp[1]))
    talk(client)
    assert reader.headers == [(client.sock.getsockname()[:2], (host, guise.tcp[1]))]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_unix_client_is_nobody(stage, reader, version, tmp_path):
    guise = stage.guise(settings.tcp(reader, listener={"listen": f"unix:{tmp_path}/guise.sock"},
                                     upstream={"proxy_protocol": version}))
    talk(stage.client(guise.tcp))
    assert reader.headers == [None]


def test_header_goes_to_the_next_server_too(stage, reader):
    gone = stage.origin()
    gone.refuse()
    guise = stage.guise(settings.tcp(gone, reader, upstream={"proxy_protocol": "v2"}))
    for _ in range(4):
        talk(stage.client(guise.tcp))
    assert len(reader.headers) == 4


def test_server_that_speaks_first_gets_it_first(stage):
    """It is sent without waiting for a byte of the client."""
    seen = []
    origin = stage.origin(lambda peer: (seen.append(read_header(peer)), peer.send(b"220 hello\r\n"), peer.wait_end()))
    guise = stage.guise(settings.tcp(origin, upstream={"proxy_protocol": "v1"}))
    client = stage.client(guise.tcp)
    assert client.read_exact(11) == b"220 hello\r\n"
    assert seen == [(client.sock.getsockname(), guise.tcp)]


def test_requests_of_two_clients_never_share_a_connection(stage):
    """What a header says holds for the whole connection."""
    seen = []

    def script(peer):
        who = read_header(peer)[0]
        while peer.read_request() is not None:
            seen.append(who)
            peer.send(OK)
    origin = stage.origin(script)
    guise = stage.guise(settings.reverse(origin, upstream={"proxy_protocol": "v2"}))
    clients = [stage.client(guise.reverse) for _ in range(2)]
    for _ in range(3):
        for client in clients:
            assert client.get().status == 200
    assert seen == [client.sock.getsockname() for client in clients] * 3


# from who is believed

@pytest.mark.parametrize("header, client", [
    (V1, "192.0.2.1"),
    (V2, "192.0.2.1"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "2001:db8::1"),
    (v2(("2001:db8::1", 1), ("2001:db8::2", 2)), "2001:db8::1"),
    (v2(("192.0.2.1", 1), ("198.51.100.2", 2), tlvs=b"\x04\x00\x03abc\xee\x00\x00"), "192.0.2.1"),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1 2\r\n", "192.0.2.1"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (b"PROXY UNKNOWN 192.0.2.1 whatever\r\n", "127.0.0.1"),
    (SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.1"),
    (v2(("192.0.2.1", 1), ("198.51.100.2", 2), command=0x20), "127.0.0.1"),
    (SIGNATURE + b"\x21\x00\x00\x00", "127.0.0.1"),
])
def test_header_says_who_the_client_is(stage, header, client):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, listener=TRUSTED))
    one = stage.client(guise.reverse)
    one.send(header)
    assert one.get().status == 200
    assert guise.wait_log()["client"] == client
    assert origin.requests[0].fields.get("X-Forwarded-For") == client


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("cut", ["one segment", "bytes", "header, then data"])
def test_header_however_it_is_cut(stage, reader, header, cut):
    guise = stage.guise(settings.tcp(reader, listener=TRUSTED, upstream={"proxy_protocol": "v2"}))
    client = stage.client(guise.tcp)
    if cut == "one segment":
        client.send(header + b"hello")
    elif cut == "bytes":
        client.send_split(*(bytes([byte]) for byte in header + b"hello"), pause=0.001)
    else:
        client.send(header)
        wait_for(lambda: reader.headers, "the header at the server")
        client.send(b"hello")
    assert client.read_exact(5) == b"hello"
    assert reader.headers == [(("192.0.2.1", 56324), ("198.51.100.2", 443))]
    client.half_close()
    client.expect_end()
    entry = guise.wait_log()
    assert entry["client"] == "192.0.2.1" and entry["in"] == entry["out"] == 5


def test_unix_peers_are_believed_when_named(stage, reader, tmp_path):
    guise = stage.guise(settings.tcp(reader, listener={"listen": f"unix:{tmp_path}/guise.sock", "proxy_protocol": ["unix:"]},
                                     upstream={"proxy_protocol": "v1"}))
    client = stage.client(guise.tcp)
    client.send(V1 + b"hello")
    assert client.read_exact(5) == b"hello"
    assert reader.headers[-1] == (("192.0.2.1", 56324), ("198.51.100.2", 443))


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
                                   b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", SIGNATURE + b"\x31\x11\x00\x0c",
                                   SIGNATURE + b"\x21\x11\x10\x01", b"x" * 108])
@pytest.mark.parametrize("face", ["tcp", "reverse"])
def test_who_must_send_one_and_does_not(stage, first, face):
    origin = stage.origin()
    make = settings.tcp if face == "tcp" else settings.reverse
    guise = stage.guise(make(origin, listener=TRUSTED))
    client = stage.client(getattr(guise, face))
    client.send(first)
    client.expect_end()
    guise.stderr.wait(lambda line: "PROXY protocol" in line, "a line of it in the error log")
    assert not origin.peers


def test_header_that_does_not_come(stage, reader):
    guise = stage.guise(settings.tcp(reader, listener=TRUSTED, timeouts={"handshake": "400ms"}))
    client = stage.client(guise.tcp)
    client.send(V1[:20])
    watch = Stopwatch()
    client.expect_end()
    assert 0.2 < watch.seconds < 4
    assert not reader.peers


def test_from_strangers_it_is_no_header(stage):
    """Bytes of theirs as any others: to a tcp server as they are, and no request of HTTP."""
    origin = stage.origin(lambda peer: peer.read_to_end())
    others = {"proxy_protocol": ["192.0.2.0/24"]}
    config = settings.tcp(origin, listener=others)
    config["reverse"] = settings.reverse(origin, listener=others)["reverse"]
    config["upstreams"]["web"] = config["upstreams"]["servers"]
    guise = stage.guise(config)
    client = stage.client(guise.tcp)
    client.send(V1 + b"hello")
    client.half_close()
    client.expect_end()
    assert bytes(origin.wait_peers(1)[0].received) == V1 + b"hello"
    assert guise.wait_log()["client"] == "127.0.0.1"
    client = stage.client(guise.reverse)
    assert client.ask(V1 + b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status == 400
    assert len(origin.peers) == 1


def test_limits_count_whom_the_header_names(stage, reader):
    guise = stage.guise(settings.tcp(reader, listener=TRUSTED, upstream={"proxy_protocol": "v1"},
                                     limits={"connections_per_address": 1}))

    def connect(who):
        client = stage.client(guise.tcp)
        client.send(V1.replace(b"192.0.2.1", who) + b"x")
        return client
    first, other = connect(b"192.0.2.1"), connect(b"192.0.2.9")
    assert first.read_exact(1) == other.read_exact(1) == b"x"
    connect(b"192.0.2.1").expect_end()
    first.half_close()
    first.expect_end()
    guise.wait_log()
    assert connect(b"192.0.2.1").read_exact(1) == b"x"


def test_name_behind_a_header(stage, reader):
    """Header first, ClientHello behind it, in one segment."""
    import ssl
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    config = settings.tcp_routes({"sni": "a.example", "to": "web"}, upstreams={"web": []}, listener=TRUSTED)
    config["upstreams"]["web"] = {"servers": [reader.address], "proxy_protocol": "v2"}
    guise = stage.guise(config)
    client = stage.client(guise.tcp)
    client.send(V2 + hello)
    assert client.read_exact(len(hello)) == hello
    assert reader.headers == [(("192.0.2.1", 56324), ("198.51.100.2", 443))]
    client.half_close()
    client.expect_end()
    entry = guise.wait_log()
    assert entry["client"] == "192.0.2.1" and entry["target"] == "a.example"
