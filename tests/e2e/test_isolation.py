"""Clients do not meet: neither on a connection to a server, nor on one that a server has authenticated, nor in memory."""

import base64
import os
import re
import ssl
import struct
import subprocess
import threading

import pytest

from support import http2, settings
from support.association import greet
from support.certificates import Authority
from support.client import open_socket
from support.origin import OK, answering, response
from support.process import sanitizer
from support.servers import ENVIRONMENT, program
from support.tls import TLSClient, listener
from support.waiting import wait_for

SECRET = "Tr0ub4dor-and-3-more"
CLEAR = {"http2": "clear"}


# a server that authenticates the connection and not the request

SIGNATURE = b"NTLMSSP\0"
TARGET_INFO = struct.pack("<HH", 2, 2) + "G".encode("utf-16-le") + struct.pack("<HH", 0, 0)


def challenge_message(nonce):
    """[MS-NLMP] 2.2.1.2: Unicode, NTLM, NTLM2 session security, target info."""
    flags = 0x00000001 | 0x00000200 | 0x00080000 | 0x00800000
    info = struct.pack("<HHI", len(TARGET_INFO), len(TARGET_INFO), 48)
    return SIGNATURE + struct.pack("<IHHII", 2, 0, 0, 48, flags) + nonce + bytes(8) + info + TARGET_INFO


def user_of(message):
    """[MS-NLMP] 2.2.1.3: the user of an AUTHENTICATE_MESSAGE; whether the password is right is not what is tested here."""
    length, _, at = struct.unpack_from("<HHI", message, 36)
    flags, = struct.unpack_from("<I", message, 60)
    return message[at:at + length].decode("utf-16-le" if flags & 1 else "latin-1")


def ntlm(peer):
    """A script: a request is of who has authenticated its connection, whatever it says itself."""
    user, asked = None, False
    while (request := peer.read_request()) is not None:
        scheme, _, token = (request.fields.get("Authorization") or "").partition(" ")
        message = base64.b64decode(token) if scheme.lower() == "ntlm" else b""
        fields = [("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", "NTLM")]
        if message.startswith(SIGNATURE):
            step, = struct.unpack_from("<I", message, 8)
            if step == 1:
                user, asked = None, True
                fields = [("WWW-Authenticate", "NTLM " + base64.b64encode(challenge_message(os.urandom(8))).decode())]
            elif step == 3 and asked:
                user, asked = user_of(message), False
        peer.users = getattr(peer, "users", set()) | ({user} if user else set())
        peer.send(response(200, user.encode()) if user else response(401, b"who?", fields))


def first_message():
    return "Authorization: NTLM " + base64.b64encode(SIGNATURE + struct.pack("<II", 1, 0x201) + bytes(16)).decode()


def last_message(user):
    name = user.encode("utf-16-le")
    fields = b"".join(struct.pack("<HHI", len(part), len(part), 64) for part in (b"", b"", b"", name, b"", b""))
    return "Authorization: NTLM " + base64.b64encode(SIGNATURE + struct.pack("<I", 3) + fields +
                                                     struct.pack("<I", 0x201) + name).decode()


class World:
    """A face of Guise before such a server."""

    def __init__(self, stage, face, script=ntlm, **listener_keys):
        self.stage, self.face = stage, face
        self.origin = stage.origin(script)
        if face == "forward":
            self.guise = stage.guise(settings.forward(settings.LOOPBACK, listener=listener_keys))
        else:
            self.guise = stage.guise(settings.reverse(self.origin, listener=listener_keys))
        self.address = self.guise.forward if face == "forward" else self.guise.reverse
        self.target = f"http://{self.origin.address}/" if face == "forward" else "/"

    def client(self, source=None):
        return self.stage.client(self.address, source=source)

    def get(self, client, fields=""):
        return client.get(self.target, host=self.origin.address, fields=fields and fields + "\r\n")

    def log_in(self, client, user):
        assert self.get(client).status == 401
        assert self.get(client, first_message()).status == 401
        got = self.get(client, last_message(user))
        assert (got.status, got.body) == (200, user.encode())


@pytest.fixture(params=["forward", "reverse"])
def world(stage, request):
    return World(stage, request.param, **CLEAR)


def test_login_is_of_one_connection(world):
    """Whoever comes, on whatever connection, from the same address too: only who has logged in is known."""
    one, two, same, other = world.client(), world.client(), world.client(), world.client("127.0.0.2")
    assert world.get(same).status == 401
    world.log_in(one, "ann")
    world.log_in(two, "bob")
    for _ in range(3):
        assert world.get(one).body == b"ann"
        assert world.get(two).body == b"bob"
        assert world.get(same).status == 401
        assert world.get(other).status == 401
    one.close()
    known = [peer for peer in world.origin.peers if "ann" in getattr(peer, "users", ())]
    assert len(known) == 1
    assert known[0].ended.wait(10), "the connection of who has gone is still there"
    for _ in range(3):
        assert world.get(world.client()).status == 401
    assert all(len(getattr(peer, "users", ())) <= 1 for peer in world.origin.peers)


def test_curl_logs_in(world):
    """A client that many use: many of them at once, each with two requests on its connection, between others that do not log in."""
    wrong = []

    def stranger():
        client = world.client("127.0.0.3")
        while not done.is_set():
            if world.get(client).status != 401:
                wrong.append("a stranger was let in")

    done = threading.Event()
    strangers = [threading.Thread(target=stranger) for _ in range(2)]
    for thread in strangers:
        thread.start()
    host, port = world.address
    through = ["--proxy", f"http://{host}:{port}"] if world.face == "forward" else []
    url = world.target if world.face == "forward" else f"http://{host}:{port}/"
    runs = [(f"user{i}", subprocess.Popen(
        [program("curl"), "-sS", "--max-time", "15", *through, "--ntlm", "-u", f"user{i}:pw", url + "a", "-w", "|%{http_code}\n",
         url + "b"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT)) for i in range(8)]
    try:
        said = [(user, run.communicate(timeout=20)[0].decode()) for user, run in runs]
    finally:
        done.set()
        for thread in strangers:
            thread.join(10)
    for user, text in said:
        assert re.fullmatch(rf"{user}\|200\n{user}\|200\n", text), f"{user}: {text}"
    assert not wrong
    assert all(len(getattr(peer, "users", ())) <= 1 for peer in world.origin.peers)


def test_server_that_ends_ends_the_client_too(stage):
    """Half a login does not go on elsewhere."""
    def script(peer):
        if peer.read_request() is not None:
            peer.send(response(401, b"", [("WWW-Authenticate", "NTLM TlRMTVNTUAACAAAA")]))
            if peer.number == 0:
                peer.sock.close()
            else:
                peer.wait_end()

    world = World(stage, "reverse", script)
    one, two = world.client(), world.client()
    assert world.get(one, first_message()).status == 401
    one.expect_end()
    assert world.get(two, first_message()).status == 401
    assert len(world.origin.peers) == 2


def test_streams_of_http2(world):
    """Streams of one connection are one client's; those of another are not."""
    one, two = (http2.Client(world.address) for _ in range(2))
    scheme = {"authority": world.origin.address}

    def get(client, text=""):
        name, _, value = text.partition(": ")
        return client.ask("GET", "/", fields=[(name.lower(), value)] if text else [], **scheme)

    try:
        assert get(one).status == 401
        assert get(one, first_message()).status == 401
        assert bytes(get(one, last_message("ann")).body) == b"ann"
        for _ in range(3):
            assert bytes(get(one).body) == b"ann"
            assert get(two).status == 401
    finally:
        one.close()
        two.close()
    for peer in [peer for peer in world.origin.peers if getattr(peer, "users", ())]:
        assert peer.ended.wait(10)


# who is a client

def peers_of(world, source, count=2, fields=""):
    """Which connections to the origin requests from this address come by; each on a connection of its own."""
    seen = set()
    for _ in range(count):
        client = world.client(source)
        got = world.get(client, fields)
        assert got.status == 200
        seen.add(int(got.body))
        client.close()
    return seen


def numbered(peer):
    """A script: says which connection it is."""
    while peer.read_request() is not None:
        peer.send(response(200, str(peer.number).encode()))


def test_addresses_are_clients(stage):
    """Each of IPv4, and of IPv6 each /64: a machine takes new addresses in its own as it likes."""
    world = World(stage, "forward", numbered, listen="[::]:0", open=True)
    world.address = ("::1", world.guise.forward[1])
    sources = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1")
    near, same, far = (peers_of(world, source) for source in sources)
    assert len(near) == len(far) == 1 and near == same and near != far
    world = World(stage, "forward", numbered)
    one, two = peers_of(world, "127.0.0.1"), peers_of(world, "127.0.0.2")
    assert len(one) == len(two) == 1 and one != two


def users_file(stage, *names):
    hashed = subprocess.run([program("openssl"), "passwd", "-6", "-salt", "abcdefgh", SECRET], check=True, timeout=10,
                            stdout=subprocess.PIPE).stdout.decode().strip()
    path = stage.path("users")
    path.write_text("".join(f"{name}:{hashed}\n" for name in names))
    return str(path)


def basic(name):
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{name}:{SECRET}".encode()).decode()


def test_users_are_clients(stage):
    """Wherever from; those that only their network names are told apart by their addresses."""
    users = {"file": users_file(stage, "ann", "bob"), "networks": {"office": ["127.1.0.0/16"]}}
    world = World(stage, "forward", numbered, users=users)
    ann = peers_of(world, "127.0.0.1", fields=basic("ann"))
    assert len(ann) == 1 and ann == peers_of(world, "127.0.0.2", fields=basic("ann"))
    bob = peers_of(world, "127.0.0.1", fields=basic("bob"))
    assert len(bob) == 1 and bob != ann
    desks = [peers_of(world, f"127.1.0.{i}") for i in (1, 2)]
    assert [len(desk) for desk in desks] == [1, 1] and desks[0] != desks[1]


def test_sessions_of_tls_are_nobodys(stage, tmp_path):
    """With origins of the forward face each handshake is a whole one, for the same client too; nothing tells an origin who came before."""
    authority = Authority(tmp_path)
    leaf = authority.leaf("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)
    reused = []

    def script(peer):
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        reused.append(peer.sock.session_reused)
        if peer.read_request() is not None:
            peer.send(response(200, str(peer.number).encode(), [("Connection", "close")]))

    world = World(stage, "forward", script, trust=authority.file)
    world.target = f"https://{world.origin.address}/"
    for source in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.1"):
        assert len(peers_of(world, source, count=1)) == 1
    assert reused == [False] * 4


# memory

def memory_has(guise, *texts):
    """Which of these stand in the memory that the process can write."""
    found = set()
    with open(f"/proc/{guise.pid}/maps", encoding="ascii", errors="replace") as maps, \
            open(f"/proc/{guise.pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw") or "[v" in line:
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            memory.seek(begin)
            try:
                data = memory.read(end - begin)
            except OSError:
                continue
            found |= {text for text in texts if text.encode() in data}
    return found


def socks_get(world, user):
    """A request through SOCKS 5 with a password."""
    sock = open_socket(world.address)
    try:
        greet(sock, user, SECRET)
        host, port = world.origin.address.split(":")
        sock.sendall(b"\5\1\0\1" + bytes(map(int, host.split("."))) + struct.pack(">H", int(port)))
        assert sock.recv(10)[1] == 0
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Mark: in-the-tunnel-" + b"4711\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        sock.close()


MARKS = ["request-mark-4711", "body-mark-4711", "answer-mark-4711", "cookie-mark-4711"]


def marked(peer):
    """A script: an answer with marks."""
    while peer.read_request() is not None:
        peer.send(response(200, b"answer-mark-4711" * 500, [("Set-Cookie", "a=cookie-mark-4711")]))


@pytest.mark.skipif("sanitizer()", reason="a sanitizer keeps what was freed")
@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_nothing_of_a_client_stays_in_memory(stage, tmp_path, secure):
    """When it has gone, and the next one has come: no password, no field, no body."""
    keys = {"users": users_file(stage, "ann", "bob")}
    if secure:
        keys["tls"] = listener(Authority(tmp_path).leaf("a.test"))
    world = World(stage, "forward", marked, **keys)
    body = "body-mark-4711" * 1000
    login = base64.b64encode(f"ann:{SECRET}".encode()).decode()
    texts = [SECRET, login, *MARKS, "in-the-tunnel-4711"]

    def ask(fields, content=""):
        client = TLSClient(world.address) if secure else world.client()
        got = client.ask(f"POST {world.target} HTTP/1.1\r\nHost: {world.origin.address}\r\n{fields}"
                         f"Content-Length: {len(content)}\r\n\r\n{content}")
        assert got.status == 200
        client.close()

    ask(f"Proxy-Authorization: Basic {login}\r\nX-Mark: request-mark-4711\r\n", body)
    if not secure:
        socks_get(world, "ann")
    ask(basic("bob") + "\r\n")
    wait_for(lambda: not memory_has(world.guise, *texts), "the marks to be wiped", timeout=5)


@pytest.mark.skipif("sanitizer()", reason="a sanitizer's memory is too large to be searched")
def test_search_of_memory_finds(stage):
    """What waits is there: the search above looks where it would be."""
    world = World(stage, "forward", answering(OK))
    client = world.client()
    client.send(f"POST {world.target} HTTP/1.1\r\nHost: a\r\nX-Mark: request-mark-4711\r\nContent-Length: 1\r\n\r\n".encode())
    wait_for(lambda: memory_has(world.guise, "request-mark-4711"), "the request to be in memory")
    client.send(b"x")
    assert client.read_response("POST").status == 200
