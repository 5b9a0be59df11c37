"""The tests' own ground: the namespace, the origin, the name server, the strict reader."""

import os
import socket

import pytest

from support.client import Client, chunked
from support.origin import answering, response
from support.wire import Truncated, WireError


def test_only_the_loopback_interface_exists():
    assert [name for _, name in socket.if_nameindex()] == ["lo"]


@pytest.mark.parametrize("listen, address", [("0.0.0.0", "93.184.216.34"), ("::", "2606:2800::1")])
def test_every_address_is_served_here(stage, listen, address):
    origin = stage.origin(host=listen)
    client = stage.client((address, origin.port))
    assert client.get().body == b"ok"
    assert origin.peers[0].local[0] == address


def test_origin_names_a_malformed_request(stage):
    origin = stage.origin()
    client = stage.client(("127.0.0.1", origin.port))
    client.send(b"GET / HTTP/1.1\nHost: a\n\n")
    client.expect_end()
    assert origin.errors
    origin.errors.clear()


def test_reader_tells_whole_from_truncated(stage):
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abc", trailers=[("T", "1")])
    for cut in range(1, len(whole)):
        origin = stage.origin(lambda peer, cut=cut: (peer.read_request(), peer.send(whole[:cut])))
        with pytest.raises(Truncated):
            stage.client(("127.0.0.1", origin.port)).get()
    origin = stage.origin(answering(whole))
    got = stage.client(("127.0.0.1", origin.port)).get()
    assert got.body == b"abc" and got.trailers == [("T", "1")]


def test_reader_refuses_two_lengths(stage):
    origin = stage.origin(answering(response(200, b"", [("Content-Length", "0"), ("Transfer-Encoding", "chunked")])))
    with pytest.raises(WireError):
        stage.client(("127.0.0.1", origin.port)).get()


def test_name_server_answers(stage, curl):
    names = stage.names()
    names.set("a.test", v4=["93.184.216.34"])
    query = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(query, (names.host, names.port))
        assert sock.recv(512).endswith(socket.inet_aton("93.184.216.34"))
    assert names.count("a.test") == 1


def test_nginx_serves(stage, curl):
    server = stage.nginx()
    with open(os.path.join(server.files, "x"), "w", encoding="ascii") as file:
        file.write("hello")
    assert curl(f"http://{server.address}/x").text == "hello"


def test_unix_socket_origin(stage, tmp_path):
    stage.origin(path=str(tmp_path / "s"))
    assert Client(str(tmp_path / "s")).get().status == 200
