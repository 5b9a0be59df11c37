"""SOCKS 4, 4a and 5 beside HTTP on one port: the programs that people use, logins, TLS, PROXY protocol, what is logged, and what is refused."""

import getpass
import hashlib
import os
import select
import socket
import subprocess

import pytest

from support import association, settings
from support.certificates import Authority
from support.client import open_socket
from support.origin import answering, once, response
from support.servers import ENVIRONMENT, Curl, Daemon, free_port, program
from support.tls import TLSClient, listener
from support.waiting import wait_for

PUBLIC = "93.184.216.34"
PUBLIC6 = "2606:2800:220:1::1"
CHOSEN, DONE = b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0"


def connect(host, port):
    """Greeting and request in one."""
    return b"\x05\x01\x00\x05\x01\x00" + association.place(host, port)


def to_end(sock):
    """All that comes until the other end closes in good order."""
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


@pytest.fixture
def world(stage):
    """An origin that answers on every address, names, a forward proxy: world(script) -> (origin, guise)."""
    def make(script=None, *rules, **config):
        names = stage.names()
        names.set("site.example", v4=[PUBLIC])
        names.set("six.example", v6=[PUBLIC6])
        names.set("inside.example", v4=["127.0.0.1"])
        origin = stage.origin(script, host="0.0.0.0")
        return origin, stage.guise(settings.forward(*rules, resolver=names, **config))
    return make


@pytest.fixture
def opened():
    """opened(sock): closed at the end of the test."""
    kept = []

    def keep(sock):
        kept.append(sock)
        return sock
    yield keep
    for sock in kept:
        sock.close()


# programs

@pytest.mark.parametrize("option, protocol, host", [
    ("--socks4", "SOCKS4", PUBLIC), ("--socks4a", "SOCKS4", "site.example"), ("--socks5", "SOCKS5", PUBLIC),
    ("--socks5-hostname", "SOCKS5", "site.example"), ("--socks5-hostname", "SOCKS5", PUBLIC)])
def test_curl(world, option, protocol, host):
    origin, guise = world()
    got = Curl(option, f"127.0.0.1:{guise.forward[1]}", f"http://{host}:{origin.port}/")
    assert (got.status, got.body) == (0, b"ok"), got
    entry = guise.wait_log()
    assert (entry["protocol"], entry["method"], entry["target"], entry["status"]) == \
        (protocol, "CONNECT", f"{host}:{origin.port}", 200)
    assert entry["server"] == f"{PUBLIC}:{origin.port}" and entry["error"] is None
    assert entry["in"] > 50 and entry["out"] > 30


def test_curl_over_ipv6(stage, world):
    _, guise = world()
    origin = stage.origin(host="::")
    for host in ("six.example", f"[{PUBLIC6}]"):
        got = Curl("--socks5-hostname", f"127.0.0.1:{guise.forward[1]}", "-g", f"http://{host}:{origin.port}/")
        assert got.body == b"ok", got


def test_curl_beside_http(world):
    origin, guise = world()
    for option in ("--socks5-hostname", "--proxy", "--socks4a", "--proxytunnel --proxy"):
        got = Curl(*option.split(), f"127.0.0.1:{guise.forward[1]}", f"http://site.example:{origin.port}/")
        assert got.body == b"ok", (option, got)


@pytest.fixture
def users(tmp_path):
    path, lines = tmp_path / "users.htpasswd", []
    for name, password in (("ann", "secret word"), ("b" * 255, "p" * 255)):
        done = subprocess.run([program("mkpasswd"), "-m", "sha-512", "-R", "1000", "-s"], input=password.encode(),
                              check=True, capture_output=True, timeout=20)
        lines.append(f"{name}:{done.stdout.decode().strip()}\n")
    path.write_text("".join(lines))
    return {"file": str(path)}


def test_curl_with_a_password(world, users):
    origin, guise = world(listener={"users": users})
    port, url = guise.forward[1], f"http://site.example:{origin.port}/"
    for _ in range(2):  # the second from what is remembered
        got = Curl("--socks5-hostname", f"127.0.0.1:{port}", "--proxy-user", "ann:secret word", url)
        assert got.body == b"ok", got
        entry = guise.wait_log(start=len(origin.requests) - 1)
        assert (entry["user"], entry["status"]) == ("ann", 200)
    for count, (option, credentials) in enumerate((("--socks5-hostname", ["--proxy-user", "ann:wrong"]),
                                                   ("--socks5-hostname", []), ("--socks4a", []))):
        got = Curl(option, f"127.0.0.1:{port}", *credentials, url)
        assert got.status == 97 and got.body == b"", (option, credentials, got)
        entry = guise.wait_log(start=2 + count)
        assert entry["status"] == 407 and "user" not in entry, entry
    assert "secret" not in guise.stdout.text + guise.stderr.text
    assert len(origin.requests) == 2


def test_the_longest_name_and_password(world, users, opened):
    origin, guise = world(None, *[{"allow": {"users": ["b" * 255]}}], listener={"users": users})
    sock = opened(open_socket(guise.forward))
    association.greet(sock, "b" * 255, "p" * 255)
    sock.sendall(b"\x05\x01\x00" + association.place("site.example", origin.port))
    assert association.read_reply(sock) == (0, "0.0.0.0", 0)


@pytest.mark.parametrize("method", ["5", "4", "connect"])
@pytest.mark.seconds(60)
def test_ssh_through_nc(world, tmp_path, method):
    """OpenSSH with ProxyCommand: a key exchange, a login, and some megabytes through it."""
    program("nc.openbsd")
    for name in ("host", "user"):
        subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True,
                       timeout=20)
    port = free_port()
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 0.0.0.0\nHostKey {tmp_path}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/user.pub\nPasswordAuthentication no\nPermitRootLogin yes\n")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # as Debian's unit does
    server = Daemon([program("sshd"), "-D", "-e", "-f", str(tmp_path / "sshd_config")], tmp_path / "sshd.log")
    try:
        server.wait_port(port)
        _, guise = world()
        host = PUBLIC if method == "4" else "site.example"
        data = os.urandom(3 * 1024 * 1024)
        done = subprocess.run(
            [program("ssh"), "-F", "none", "-i", str(tmp_path / "user"), "-p", str(port), "-o", "BatchMode=yes",
             "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known",
             "-o", f"ProxyCommand=nc.openbsd -X {method} -x 127.0.0.1:{guise.forward[1]} %h %p",
             f"{getpass.getuser()}@{host}", "sha256sum"], input=data, env=ENVIRONMENT, capture_output=True, timeout=50,
            check=False)
        assert done.stdout.split()[:1] == [hashlib.sha256(data).hexdigest().encode()], done.stderr.decode()
        entry = guise.wait_log(lambda entry: entry["target"] == f"{host}:{port}")
        assert entry["protocol"] == {"4": "SOCKS4", "5": "SOCKS5", "connect": "HTTP/1.0"}[method]
        assert entry["in"] > len(data)
    finally:
        server.stop()


@pytest.mark.seconds(60)
@pytest.mark.parametrize("scheme, protocol, host", [("socks5", "SOCKS5", "site.example"), ("socks4", "SOCKS4", PUBLIC)])
def test_chromium(world, tmp_path, scheme, protocol, host):
    """A browser: a page with many parts, the name looked up by Guise."""
    browser = program("chromium")

    def page(peer):
        while (got := peer.read_request()) is not None:
            if got.target == "/":
                parts = "".join(f"<script src='/part/{number}'></script>" for number in range(20))
                peer.send(response(200, f"<body><p id=a></p>{parts}</body>".encode(), [("Content-Type", "text/html")]))
            else:
                peer.send(response(200, b"document.getElementById('a').append('x')", [("Content-Type", "text/javascript")]))
    origin, guise = world(page)
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                           f"--user-data-dir={tmp_path}/profile", f"--proxy-server={scheme}://127.0.0.1:{guise.forward[1]}",
                           "--dump-dom", f"http://{host}:{origin.port}/"], env=dict(ENVIRONMENT, HOME=str(tmp_path)),
                          capture_output=True, timeout=50, check=False)
    assert done.stdout.count(b"x" * 20) == 1, done.stdout + done.stderr[-2000:]
    assert guise.wait_log(lambda entry: entry["target"] == f"{host}:{origin.port}")["protocol"] == protocol


# listeners of every kind

def test_over_tls(world, tmp_path, opened):
    """SOCKS inside TLS; in clear on the same port it is nothing."""
    leaf = Authority(tmp_path).leaf("a.test")
    origin, guise = world(listener={"tls": listener(leaf)})
    for alpn in ((), ("http/1.1",)):
        client = opened(TLSClient(guise.forward, alpn=alpn))
        client.send(connect("site.example", origin.port) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_exact(12) == CHOSEN + DONE
        assert client.read_response().body == b"ok"
    clear = opened(open_socket(guise.forward))
    clear.sendall(connect("site.example", origin.port))
    with pytest.raises((EOFError, ConnectionError)):
        association.exactly(clear, 1)
    assert len(origin.requests) == 2


@pytest.mark.parametrize("keys, before", [
    ({"http2": "clear"}, b""), ({"proxy_protocol": ["127.0.0.0/8"]}, b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n")])
def test_behind_other_openings(world, opened, keys, before):
    origin, guise = world(once(response(200, b"ok")), listener=keys)
    sock = opened(open_socket(guise.forward))
    data = before + connect("site.example", origin.port) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for at in range(len(data)):
        sock.sendall(data[at:at + 1])
    got = to_end(sock)
    assert got.startswith(CHOSEN + DONE + b"HTTP/1.1 200") and got.endswith(b"ok")
    sock.close()
    if before:
        assert guise.wait_log()["client"] == "192.0.2.0"


def test_switched_off_and_elsewhere(world, stage, opened):
    """`socks: false` and reverse listeners know HTTP only."""
    origin, guise = world(listener={"socks": False})
    behind = stage.guise(settings.reverse(origin))
    for address in (guise.forward, behind.reverse):
        sock = opened(open_socket(address))
        sock.sendall(connect("site.example", origin.port) + b"\r\n\r\n")
        assert to_end(sock).startswith(b"HTTP/1.1 400 ")
    assert not origin.peers


def test_the_value_of_socks(stage):
    process = stage.guise(settings.forward(listener={"socks": "maybe"}), ready=False)
    assert process.process.wait(10) != 0
    process.stderr.join()
    assert "socks" in process.stderr.text and "true" in process.stderr.text
    stage.guises.remove(process)


def test_what_the_mask_hides(world, opened):
    """By which address the proxy leaves is told to clients of a transparent one only."""
    for mask, told in (("elite", False), ("anonymous", False), ("transparent", True)):
        origin, guise = world(listener={"mask": mask})
        sock = opened(open_socket(guise.forward))
        sock.sendall(connect(PUBLIC, origin.port))
        assert association.exactly(sock, 2) == CHOSEN
        code, host, port = association.read_reply(sock)
        wait_for(lambda: origin.peers, "the connection")
        assert code == 0 and (host, port) == (origin.peers[0].remote if told else ("0.0.0.0", 0))


# what rules and the guard say

@pytest.mark.parametrize("host, port, code, status", [
    ("127.0.0.1", 80, 2, 403), ("inside.example", 80, 2, 403), ("::1", 80, 2, 403), ("169.254.169.254", 80, 2, 403),
    ("::ffff:10.0.0.1", 80, 2, 403), (b"127.0.0.1", 80, 2, 403), (b"::1", 80, 2, 403), ("site.example", 25, 2, 403),
    ("nowhere.example", 80, 4, 502), (b"0x7f.1", 80, 1, 400), (b"127.1", 80, 1, 400), (b"a b", 80, 1, 400)])
def test_refusals(world, opened, host, port, code, status):
    _, guise = world(None, {"deny": {"ports": [25]}})
    sock = opened(open_socket(guise.forward))
    sock.sendall(connect(host, port))
    assert association.exactly(sock, 2) == CHOSEN
    assert association.read_reply(sock) == (code, "0.0.0.0", 0)
    assert to_end(sock) == b""
    entry = guise.wait_log()
    assert (entry["status"], entry["protocol"]) == (status, "SOCKS5") and entry["error"]


def test_rules_by_scheme_hold(world, opened):
    origin, guise = world(None, {"deny": {"schemes": ["socks"]}}, {"allow": {}})
    sock = opened(open_socket(guise.forward))
    sock.sendall(connect("site.example", origin.port))
    assert association.exactly(sock, 4)[2:] == b"\x05\x02"
    got = Curl("--proxytunnel", "--proxy", f"127.0.0.1:{guise.forward[1]}", f"http://site.example:{origin.port}/")
    assert got.body == b"ok", got


def test_who_refuses(world, opened):
    _, guise = world()
    port = free_port()
    sock = opened(open_socket(guise.forward))
    sock.sendall(connect(PUBLIC, port))
    assert association.exactly(sock, 4) == CHOSEN + b"\x05\x05"
    sock = opened(open_socket(guise.forward))
    sock.sendall(b"\x04\x01" + port.to_bytes(2, "big") + socket.inet_aton(PUBLIC) + b"\0")
    assert to_end(sock) == b"\0\x5b" + b"\0" * 6


def test_a_server_that_does_not_answer(world, stage, opened):
    _, guise = world(timeouts={"connect": "300ms"})
    hole = stage.blackhole(host="0.0.0.0")
    sock = opened(open_socket(guise.forward))
    sock.sendall(connect(PUBLIC, hole.port))
    assert association.exactly(sock, 4) == CHOSEN + b"\x05\x06"


# tunnels

def test_half_close_and_early_data(world, opened):
    def script(peer):
        data = b""
        while part := peer.sock.recv(65536):
            data += part
        peer.send(hashlib.sha256(data).digest())
    origin, guise = world(script)
    data = os.urandom(2 * 1024 * 1024)
    sock = opened(open_socket(guise.forward))
    sock.sendall(connect("site.example", origin.port) + data)
    sock.shutdown(socket.SHUT_WR)
    assert to_end(sock) == CHOSEN + DONE + hashlib.sha256(data).digest()


def test_early_data_waits_bounded(world, stage, opened):
    """While a name is looked up a client may send ahead as much as one receive and the kernel hold, and no more."""
    names = stage.names()
    names.set("silent.example", silent=True)
    guise = stage.guise(settings.forward(resolver=names))
    sock = opened(open_socket(guise.forward))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    sock.sendall(connect("silent.example", 80))
    assert association.exactly(sock, 2) == CHOSEN
    wait_for(lambda: names.count("silent.example"), "the look-up")
    sock.setblocking(False)
    sent = 0
    while select.select([], [sock], [], 0.3)[1]:
        sent += sock.send(bytes(65536))
    assert sent < 16 * 1024 * 1024
    assert memory_of(guise.pid) < 200 * 1024 * 1024


def memory_of(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_many_at_once(world, opened):
    origin, guise = world(answering(response(200, b"x" * 1000)))
    socks = [opened(open_socket(guise.forward)) for _ in range(200)]
    for sock in socks:
        sock.sendall(connect("site.example", origin.port) + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    for sock in socks:
        assert association.exactly(sock, 12) == CHOSEN + DONE
        assert association.exactly(sock, 12) == b"HTTP/1.1 200"
