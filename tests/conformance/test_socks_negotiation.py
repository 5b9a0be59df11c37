"""SOCKS read strictly: everything that RFC 1928, RFC 1929 and the memos of version 4 do not let a client say, said to a running Guise. Each time the right
words, a closed connection, and nothing that is left behind; and a client that is right is served as before."""

import os
import socket
import struct
import subprocess

import pytest

from support import association, settings
from support.client import open_socket
from support.servers import program
from support.waiting import wait_for

CHOSEN, DONE = b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0"
NO_METHOD, WRONG_LOGIN = b"\x05\xff", b"\x01\x01"


def reply(code):
    return b"\x05" + bytes([code]) + b"\x00\x01\0\0\0\0\0\0"


def reply4(code=91):
    return b"\0" + bytes([code]) + b"\0" * 6


def heard(sock):
    """All that comes, and how it ends: (bytes, whether in good order)."""
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
    except ConnectionResetError:
        return data, False
    return data, True


def descriptors(guise):
    return len(os.listdir(f"/proc/{guise.pid}/fd"))


@pytest.fixture(scope="module")
def world(shared_stage):
    """(origin, guise): one proxy for all tests; nothing that they do may harm it."""
    origin = shared_stage.origin()
    guise = shared_stage.guise(settings.forward(settings.LOOPBACK, timeouts={"handshake": "30s"}))
    return origin, guise


@pytest.fixture
def said(world):
    """said(bytes) -> what is heard; afterwards Guise holds as many descriptors as before, and still serves."""
    origin, guise = world
    before = descriptors(guise)

    def say(data, shut=False):
        sock = open_socket(guise.forward)
        try:
            sock.sendall(data)
            if shut:
                sock.shutdown(socket.SHUT_WR)
            return heard(sock)
        finally:
            sock.close()
    yield say
    wait_for(lambda: descriptors(guise) <= before, "connections to be let go of")
    sock = open_socket(guise.forward)
    sock.sendall(b"\x05\x01\x00\x05\x01\x00" + association.place("127.0.0.1", origin.port))
    assert association.exactly(sock, 12) == CHOSEN + DONE
    sock.close()
    wait_for(lambda: descriptors(guise) <= before, "the tunnel to end")


# greetings

def test_first_bytes(said):
    """4 and 5 are SOCKS, everything else is HTTP's to refuse."""
    for first in range(256):
        if first in (4, 5, 10, 13):
            continue
        data, good = said(bytes([first]) + b"\x01\x00 \r\n\r\n")
        assert data.startswith(b"HTTP/1.1 4") and good, first


def test_every_single_method(said):
    for method in range(1, 256):
        assert said(b"\x05\x01" + bytes([method])) == (NO_METHOD, True), method


def test_numbers_of_methods(said):
    assert said(b"\x05\x00") == (NO_METHOD, True)
    for count in (2, 127, 255):
        assert said(b"\x05" + bytes([count]) + b"\x01" * count) == (NO_METHOD, True)
        data, good = said(b"\x05" + bytes([count]) + b"\x01" * (count - 1) + b"\x00" + b"\x05\x09")
        assert (data, good) == (CHOSEN + reply(7), True)


# requests

def test_every_unknown_command(said):
    for command in (0, *range(4, 256)):
        whole = b"\x05\x01\x00\x05" + bytes([command]) + b"\x00\x01\x7f\0\0\x01\0\x50"
        assert said(whole) == (CHOSEN + reply(7), True), command
    for command in (0, *range(3, 256)):
        assert said(b"\x04" + bytes([command]) + b"\0\x50\x7f\0\0\x01\0") == (reply4(), True), command


def test_every_unknown_type_of_address(said):
    for kind in (0, 2, *range(5, 256)):
        data = b"\x05\x01\x00\x05\x01\x00" + bytes([kind]) + b"\x7f\0\0\x01\0\x50"
        assert said(data) == (CHOSEN + reply(8), True), kind


def test_every_other_version_and_reserved_byte(said):
    for byte in range(256):
        if byte != 5:
            assert said(b"\x05\x01\x00" + bytes([byte]) + b"\x01\x00\x01\x7f\0\0\x01\0\x50") == (CHOSEN + reply(1), True)
        if byte != 0:
            assert said(b"\x05\x01\x00\x05\x01" + bytes([byte]) + b"\x01\x7f\0\0\x01\0\x50") == (CHOSEN + reply(1), True)


def names():
    """What is no name of a host, whoever reads it."""
    for byte in (*range(0x2d), 0x2f, *range(0x3a, 0x41), *range(0x5b, 0x5f), 0x60, *range(0x7b, 0x100)):
        yield b"a" + bytes([byte]) + b"b"
    yield from (b"a..b", b".a", b".", b"..", b"a" * 64, b"a." * 127 + b"a", b"b" * 255, b"[::1]", b"[127.0.0.1]", b"::1%lo",
                b"[::1]:80", b"127.1", b"0x7f000001", b"2130706433", b"0177.0.0.1", b"127.0.0.1.", b"127.0.0.256", b"u@a.test",
                b"a.test:80", b"a.0x1")


def test_names_that_are_none(said):
    for name in names():
        assert said(b"\x05\x01\x00\x05\x01\x00" + association.place(name, 80)) == (CHOSEN + reply(1), True), name
        if b"\0" not in name:
            assert said(b"\x04\x01\x00\x50\x00\x00\x00\x01ann\0" + name + b"\0") == (reply4(), True), name


def test_empty_names_and_no_port(said):
    assert said(b"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50") == (CHOSEN + reply(1), True)
    assert said(b"\x05\x01\x00\x05\x01\x00" + association.place("127.0.0.1", 0)) == (CHOSEN + reply(1), True)
    assert said(b"\x04\x01\x00\x00\x7f\0\0\x01\0") == (reply4(), True)
    assert said(b"\x04\x01\x00\x50\x00\x00\x00\x01\0\0") == (reply4(), True)


def test_what_never_ends(said):
    """User ids and names of version 4 have no length before them: they end after 255 bytes, or the connection does."""
    assert said(b"\x04\x01\x00\x50\x7f\0\0\x01" + b"u" * 256) == (reply4(), True)
    assert said(b"\x04\x01\x00\x50\x00\x00\x00\x01u\0" + b"n" * 256) == (reply4(), True)
    data, _ = said(b"\x04\x01\x00\x50\x7f\0\0\x01" + b"u" * 1_000_000)
    assert data in (reply4(), b"")  # who is still sending may lose it


# truncated

WHOLE = {
    "5": b"\x05\x02\x01\x00\x05\x01\x00\x01\x7f\0\0\x01\0\x50",
    "5 by name": b"\x05\x01\x00\x05\x01\x00\x03\x06a.test\x00\x50",
    "5 of IPv6": b"\x05\x01\x00\x05\x01\x00\x04" + socket.inet_pton(socket.AF_INET6, "::1") + b"\0\x50",
    "4": b"\x04\x01\0\x50\x7f\0\0\x01ann\0",
    "4a": b"\x04\x01\0\x50\0\0\0\x01ann\0a.test\0",
}


@pytest.mark.parametrize("which", WHOLE)
def test_truncated_at_every_byte(said, which):
    whole = WHOLE[which]
    greeting = 2 + whole[1] if whole[0] == 5 else 0
    for length in range(1, len(whole)):
        if whole[0] == 4:
            due = reply4()
        elif length < greeting:
            due = NO_METHOD
        else:
            due = CHOSEN + (reply(1) if length > greeting else b"")
        assert said(whole[:length], shut=True) == (due, True), length


@pytest.mark.parametrize("which", WHOLE)
def test_reset_at_every_byte(world, said, which):
    for length in range(1, len(WHOLE[which])):
        sock = open_socket(world[1].forward)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(WHOLE[which][:length])
        sock.close()


# stalled

@pytest.mark.parametrize("sent, due", [
    (b"\x05", NO_METHOD), (b"\x05\x03\x00", NO_METHOD), (b"\x05\x01\x00", CHOSEN + reply(1)),
    (b"\x05\x01\x00\x05", CHOSEN + reply(1)), (b"\x05\x01\x00\x05\x01\x00\x03\x06a", CHOSEN + reply(1)), (b"\x04", reply4()),
    (b"\x04\x01\0\x50\x7f\0\0\x01ann", reply4())])
def test_stalled_in_each_state(stage, sent, due):
    guise = stage.guise(settings.forward(timeouts={"handshake": "200ms"}))
    before = descriptors(guise)
    sock = open_socket(guise.forward)
    sock.sendall(sent)
    assert heard(sock) == (due, True)
    sock.close()
    assert guise.wait_log()["status"] == 408
    wait_for(lambda: descriptors(guise) <= before, "the connection to be let go of")


def test_stalled_drop_by_drop(stage):
    """Time does not begin anew with each byte."""
    guise = stage.guise(settings.forward(timeouts={"handshake": "300ms"}))
    sock = open_socket(guise.forward)
    sock.sendall(b"\x05\xff")
    sock.settimeout(0.05)
    for _ in range(200):
        sock.sendall(b"\x01")
        try:
            assert sock.recv(2) == NO_METHOD
            break
        except socket.timeout:
            continue
    else:
        raise AssertionError("it was never ended")
    sock.close()


# users and passwords

@pytest.fixture(scope="module")
def guarded(shared_stage, tmp_path_factory):
    path = tmp_path_factory.mktemp("users") / "users.htpasswd"
    # "secret", SHA-512 crypt with 1000 rounds: what is tested here is not the hash
    path.write_text(
        "ann:$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1\n")
    return shared_stage.guise(settings.forward(
        settings.LOOPBACK, timeouts={"handshake": "30s"},
        listener={"users": {"file": str(path), "brake": {"failures": 1000}}}))


LOGIN = b"\x01\x03ann\x06secret"


@pytest.mark.parametrize("login", [
    b"\x00\x03ann\x06secret", b"\x05\x01\x00\x01\x7f\0\0\x01\0\x50", b"\x01\x00\x06secret", b"\x01\x03ann\x00",
    b"\x01\x03ann\x06secre!", b"\x01\x04anna\x06secret", b"\x01\x03ann\x07secret\0", b"\x01\xff" + b"a" * 255 + b"\xff" + b"b" * 255])
def test_wrong_logins(guarded, login):
    sock = open_socket(guarded.forward)
    sock.sendall(b"\x05\x02\x00\x02" + login)
    assert heard(sock) == (b"\x05\x02" + WRONG_LOGIN, True)
    sock.close()


def test_login_truncated_at_every_byte(guarded):
    for length in range(1, len(LOGIN)):
        sock = open_socket(guarded.forward)
        sock.sendall(b"\x05\x01\x02" + LOGIN[:length])
        sock.shutdown(socket.SHUT_WR)
        assert heard(sock) == (b"\x05\x02" + WRONG_LOGIN, True), length
        sock.close()


def test_without_a_login(guarded):
    for data, due in ((b"\x05\x01\x00\x05\x01\x00\x01\x7f\0\0\x01\0\x50", NO_METHOD), (WHOLE["4"], reply4()),
                      (WHOLE["4a"], reply4())):
        sock = open_socket(guarded.forward)
        sock.sendall(data)
        assert heard(sock) == (due, True)
        sock.close()


def test_everything_ahead(guarded, world):
    """Greeting, login, request and data in one, and byte by byte."""
    origin, _ = world
    whole = b"\x05\x02\x00\x02" + LOGIN + b"\x05\x01\x00" + association.place("127.0.0.1", origin.port) + \
        b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    for step in (len(whole), 1):
        sock = open_socket(guarded.forward)
        for at in range(0, len(whole), step):
            sock.sendall(whole[at:at + step])
        assert association.exactly(sock, 14) == b"\x05\x02\x01\x00" + DONE
        assert association.exactly(sock, 15) == b"HTTP/1.1 200 OK"
        sock.close()
    entry = guarded.wait_log(lambda entry: entry["status"] == 200)
    assert entry["user"] == "ann" and entry["protocol"] == "SOCKS5"


@pytest.fixture
def slow(stage, tmp_path):
    """slow(**timeouts) -> a proxy whose one password takes about a second to be verified."""
    def make(**timeouts):
        done = subprocess.run([program("mkpasswd"), "-m", "sha-512", "-R", "900000", "-s"], input=b"secret", check=True,
                              capture_output=True, timeout=20)
        path = tmp_path / "slow.htpasswd"
        path.write_text(f"ann:{done.stdout.decode().strip()}\n")
        return stage.guise(settings.forward(settings.LOOPBACK, timeouts=timeouts, listener={"users": {"file": str(path)}}))
    return make


def test_late_while_the_password_is_verified(slow):
    guise = slow(handshake="100ms")
    sock = open_socket(guise.forward)
    sock.sendall(b"\x05\x01\x02" + LOGIN)
    assert heard(sock) == (b"\x05\x02" + WRONG_LOGIN, True)
    assert guise.wait_log()["status"] == 408
    sock.close()


def test_gone_while_the_password_is_verified(slow):
    """Whoever leaves then, or says more than it may, is let go of at once, and others are served."""
    guise = slow()
    before = descriptors(guise)
    for how in ("close", "reset", "shut", "talk"):
        sock = open_socket(guise.forward)
        sock.sendall(b"\x05\x01\x02" + LOGIN)
        assert association.exactly(sock, 2) == b"\x05\x02"
        if how == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "talk":
            sock.sendall(b"\x05\x09")
            assert heard(sock) == (b"\x01\x00" + reply(7), True)
        if how == "shut":
            sock.shutdown(socket.SHUT_WR)
            assert heard(sock) == (b"", True)
        sock.close()
    wait_for(lambda: descriptors(guise) <= before, "connections to be let go of")
