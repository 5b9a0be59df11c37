"""BIND of SOCKS 4 and 5 (RFC 1928 4, 6): a peer that is expected connects to a client of the proxy, as FTP's active mode has it."""

import socket
import struct
import threading

import pytest

from support import settings
from support.association import (BIND, NOT_ALLOWED, SUCCEEDED, TTL_EXPIRED, ask, exactly, read_reply, read_reply4)
from support.client import open_socket
from support.waiting import wait_for

PEER, OTHER = "93.184.216.34", "93.184.216.35"
ALLOW = {"allow": {"methods": ["BIND"], "addresses": [PEER]}}
GRANTED4, REFUSED4 = 90, 91


@pytest.fixture(name="ask_bind")
def _ask_bind(stage):
    """A client that has asked for a BIND."""
    def make(guise, host=PEER, port=21, **options):
        sock = ask(guise.forward, BIND, host, port, **options)
        stage.clients.append(sock)
        return sock
    return make


def come(stage, bound, source=PEER):
    """The peer comes to what was bound."""
    sock = open_socket(bound, source=source)
    stage.clients.append(sock)
    return sock


def is_closed(sock):
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def is_refused(address, source=PEER):
    try:
        open_socket(address, source=source).close()
        return False
    except ConnectionError:
        return True


def talk(one, other):
    one.sendall(b"there")
    assert exactly(other, 5) == b"there"
    other.sendall(b"and back")
    assert exactly(one, 8) == b"and back"


def test_both_replies(stage, ask_bind):
    guise = stage.guise(settings.forward(ALLOW))
    client = ask_bind(guise)
    code, host, port = read_reply(client)
    assert code == SUCCEEDED and port != 0 and host == "127.0.0.1"
    peer = come(stage, (host, port))
    assert read_reply(client) == (SUCCEEDED, PEER, peer.getsockname()[1])
    talk(peer, client)
    # One peer, and no more.
    assert is_refused((host, port))
    peer.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    client.sendall(b"half")
    client.shutdown(socket.SHUT_WR)
    assert exactly(peer, 4) == b"half" and peer.recv(1) == b""
    entry = guise.wait_log(lambda entry: entry["method"] == "BIND")
    assert (entry["in"], entry["out"], entry["status"], entry["error"]) == (12, 5, 200, None)
    assert entry["server"].startswith(PEER) and entry["target"] == f"{PEER}:21"


def test_version_4(stage):
    guise = stage.guise(settings.forward(ALLOW))
    client = open_socket(guise.forward)
    stage.clients.append(client)
    client.sendall(struct.pack(">BBH4s", 4, BIND, 21, socket.inet_aton(PEER)) + b"user\0")
    code, host, port = read_reply4(client)
    assert code == GRANTED4
    peer = come(stage, (host, port))
    assert read_reply4(client) == (GRANTED4, PEER, peer.getsockname()[1])
    talk(peer, client)


def test_version_4a(stage):
    names = stage.names()
    names.set("ftp.test", v4=[PEER])
    guise = stage.guise(settings.forward({"allow": {"methods": ["BIND"], "domains": ["ftp.test"]}}, resolver=names))
    client = open_socket(guise.forward)
    stage.clients.append(client)
    client.sendall(struct.pack(">BBH4s", 4, BIND, 21, bytes([0, 0, 0, 9])) + b"\0ftp.test\0")
    code, host, port = read_reply4(client)
    assert code == GRANTED4
    peer = come(stage, (host, port))
    assert read_reply4(client)[0] == GRANTED4
    talk(peer, client)


class Ftp:
    """As much of a server of FTP's active mode (RFC 959 3.2) as sends one file."""

    def __init__(self, host, content):
        self.content = content
        self.listener = socket.create_server((host, 0))
        self.host, self.port = self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        control, _ = self.listener.accept()
        with control, control.makefile("rb") as lines:
            control.sendall(b"220 ready\r\n")
            numbers = lines.readline().split()[1].split(b",")
            control.sendall(b"200 good\r\n")
            assert lines.readline() == b"RETR file\r\n"
            control.sendall(b"150 here it comes\r\n")
            address = (".".join(number.decode() for number in numbers[:4]), int(numbers[4]) * 256 + int(numbers[5]))
            with socket.create_connection(address, source_address=(self.host, 0)) as data:
                data.sendall(self.content)
            control.sendall(b"226 done\r\n")

    def stop(self):
        self.listener.close()


def test_ftp(stage, ask_bind):
    """The control connection through CONNECT, the data connection through BIND."""
    content = bytes(range(256)) * 4096
    server = Ftp(PEER, content)
    stage.daemons.append(server)
    guise = stage.guise(settings.forward(ALLOW, {"allow": {"ports": [server.port]}}))
    control = ask(guise.forward, 1, server.host, server.port)
    stage.clients.append(control)
    assert read_reply(control)[0] == SUCCEEDED
    lines = control.makefile("rb")
    assert lines.readline().startswith(b"220")
    data = ask_bind(guise, server.host, server.port)
    code, host, port = read_reply(data)
    assert code == SUCCEEDED
    control.sendall(f"PORT {host.replace('.', ',')},{port // 256},{port % 256}\r\nRETR file\r\n".encode())
    assert read_reply(data)[:2] == (SUCCEEDED, server.host)
    assert exactly(data, len(content)) == content and data.recv(1) == b""
    assert [lines.readline()[:3] for _ in range(3)] == [b"200", b"150", b"226"]


def test_ipv6(stage):
    peer_address = "2606:2800:220:1::1"
    guise = stage.guise(settings.forward({"allow": {"methods": ["BIND"], "addresses": [peer_address]}},
                                         listener={"listen": ["127.0.0.1:0", "[::1]:0"]}))
    for address in guise.addresses("forward"):
        client = ask(address, BIND, peer_address, 21)
        stage.clients.append(client)
        code, host, port = read_reply(client)
        assert code == SUCCEEDED and ":" in host
        peer = come(stage, (host, port), peer_address)
        assert read_reply(client)[:2] == (SUCCEEDED, peer_address)
        talk(peer, client)


def test_strangers_are_turned_away(stage, ask_bind):
    guise = stage.guise(settings.forward(ALLOW))
    client = ask_bind(guise)
    _, host, port = read_reply(client)
    for source in (OTHER, "127.0.0.1", "10.0.0.1"):
        assert is_closed(come(stage, (host, port), source))
    many = [come(stage, (host, port), OTHER) for _ in range(100)]
    assert all(is_closed(sock) for sock in many)
    peer = come(stage, (host, port))
    assert read_reply(client)[:2] == (SUCCEEDED, PEER)
    talk(peer, client)


def test_nobody_comes(stage, ask_bind):
    guise = stage.guise(settings.forward(ALLOW, timeouts={"bind": "300ms"}))
    client = ask_bind(guise)
    code, host, port = read_reply(client)
    assert code == SUCCEEDED
    assert read_reply(client)[0] == TTL_EXPIRED
    assert is_closed(client) and is_refused((host, port))
    assert "in time" in guise.wait_log(lambda entry: entry["method"] == "BIND")["error"]
    client = open_socket(guise.forward)
    stage.clients.append(client)
    client.sendall(struct.pack(">BBH4s", 4, BIND, 21, socket.inet_aton(PEER)) + b"\0")
    assert read_reply4(client)[0] == GRANTED4
    assert read_reply4(client)[0] == REFUSED4


def test_the_client_leaves(stage, ask_bind):
    guise = stage.guise(settings.forward(ALLOW))
    before = guise.open_files()
    client = ask_bind(guise)
    _, host, port = read_reply(client)
    client.close()
    wait_for(lambda: is_refused((host, port)), "the port to be closed")
    wait_for(lambda: guise.open_files() <= before, "nothing to be left open")
    guise.wait_log(lambda entry: entry["method"] == "BIND")


def test_only_where_a_rule_names_it(stage, ask_bind):
    """To open a port to others is no part of what "allow" means."""
    for rules in ((), ({"allow": {}},), ({"allow": {"addresses": ["0.0.0.0/0"]}},), ({"allow": {"schemes": ["socks"]}},),
                  ({"deny": {"addresses": [PEER]}}, ALLOW), ({"deny": {"ports": [21]}}, ALLOW)):
        guise = stage.guise(settings.forward(*rules))
        client = ask_bind(guise)
        assert read_reply(client)[0] == NOT_ALLOWED
        assert is_closed(client)


def test_names(stage, ask_bind):
    """All of the addresses that it has and that may come."""
    names = stage.names()
    names.set("ftp.test", v4=[PEER, OTHER, "10.1.1.1"])
    names.set("inside.test", v4=["10.1.1.1"])
    guise = stage.guise(settings.forward({"allow": {"methods": ["BIND"], "domains": ["*.test"]}}, resolver=names))
    client = ask_bind(guise, "ftp.test")
    code, host, port = read_reply(client)
    assert code == SUCCEEDED
    assert is_closed(come(stage, (host, port), "10.1.1.1"))
    peer = come(stage, (host, port), OTHER)
    assert read_reply(client) == (SUCCEEDED, OTHER, peer.getsockname()[1])
    assert read_reply(ask_bind(guise, "inside.test"))[0] == NOT_ALLOWED
    assert read_reply(ask_bind(guise, "unknown.test"))[0] != SUCCEEDED


def test_peers_that_are_not_public(stage, ask_bind):
    """By the address alone, in whatever form."""
    guise = stage.guise(settings.forward({"allow": {"methods": ["BIND"]}}))
    for host in ("127.0.0.1", "10.0.0.1", "0.0.0.0", "169.254.169.254", "::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"):
        assert read_reply(ask_bind(guise, host))[0] == NOT_ALLOWED


def test_anybody(stage, ask_bind):
    """The request names nobody, and a rule allows that; who comes is judged."""
    guise = stage.guise(settings.forward({"allow": {"methods": ["BIND"], "addresses": ["0.0.0.0", PEER, "10.0.0.0/8"]}}))
    for port in (0, 21):
        client = ask_bind(guise, "0.0.0.0", port)
        code, host, bound = read_reply(client)
        assert code == SUCCEEDED
        assert is_closed(come(stage, (host, bound), OTHER))
        peer = come(stage, (host, bound), "10.7.7.7")
        assert read_reply(client)[:2] == (SUCCEEDED, "10.7.7.7")
        talk(peer, client)


def test_exits(stage, ask_bind):
    guise = stage.guise(settings.forward(dict(ALLOW, exit="out"), exits={"out": {"addresses": ["198.18.7.1"]}}))
    client = ask_bind(guise)
    code, host, port = read_reply(client)
    assert (code, host) == (SUCCEEDED, "198.18.7.1")
    peer = come(stage, (host, port))
    assert read_reply(client)[0] == SUCCEEDED
    talk(peer, client)


def test_parents(stage, ask_bind):
    """Nothing comes in by a parent."""
    parents = {"tor": {"servers": ["socks5://127.0.0.1:9"]}}
    for proxy, code in ((["tor"], NOT_ALLOWED), (["tor", "direct"], SUCCEEDED)):
        guise = stage.guise(settings.forward(dict(ALLOW, proxy=proxy), parents=parents))
        assert read_reply(ask_bind(guise))[0] == code


def test_early_bytes(stage, ask_bind):
    """What a client sends before the peer is there is the peer's."""
    guise = stage.guise(settings.forward(ALLOW))
    client = ask_bind(guise)
    _, host, port = read_reply(client)
    client.sendall(b"early")
    peer = come(stage, (host, port))
    assert exactly(peer, 5) == b"early"
    assert read_reply(client)[0] == SUCCEEDED
    talk(peer, client)


def test_many_at_once(stage, ask_bind):
    guise = stage.guise(settings.forward(ALLOW, workers=2))
    clients = [ask_bind(guise) for _ in range(40)]
    bound = [read_reply(client)[1:] for client in clients]
    assert len(set(bound)) == len(bound)
    peers = [come(stage, address) for address in bound]
    for client, peer in zip(clients, peers):
        assert read_reply(client) == (SUCCEEDED, PEER, peer.getsockname()[1])
        talk(peer, client)
