"""Attacks that once worked, or that others fell for: what a hostile client, server or name server may not achieve."""

import json
import socket
import struct
import sys
import time

import pytest

from support import settings
from support.client import Client, chunked, request
from support.origin import OK, answering, echoing_request, response
from support.servers import Daemon, free_port
from support.waiting import stays_true, wait_for
from support.wire import Truncated

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"


# a server that does not read what it does not expect

CARELESS = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(sys.argv[2], "a") as log:
            log.write(self.path + "\\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_HEAD = do_DELETE = do_OPTIONS = do_GET

    def log_message(self, *arguments):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def careless(stage):
    """Python's own server: it leaves the content of a GET unread, and takes it for the next request."""
    script, log, port = stage.path("careless.py"), stage.path("seen"), free_port()
    script.write_text(CARELESS)
    log.write_text("")
    daemon = Daemon([sys.executable, str(script), str(port), str(log)], str(stage.path("careless.log")))
    stage.daemons.append(daemon)
    daemon.wait_port(port)
    return f"127.0.0.1:{port}", lambda: log.read_text().split()


@pytest.mark.parametrize("expect", [(), (("Expect", "100-continue"),)], ids=["plain", "expect"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_content_that_a_server_leaves_unread_is_no_request(stage, careless, method, expect):
    """CL.0: what stands in the content of one request is never a request of its own."""
    address, seen = careless
    guise = stage.guise(settings.reverse(address))
    client = stage.client(guise.reverse)
    client.send(request(method, "/first", fields=expect, body=SMUGGLED))
    assert client.read_response(method).status == 200
    client.close()
    assert stage.client(guise.reverse).get("/second").status == 200
    assert seen() == ["/first", "/second"]


def test_connection_is_not_used_again_after_an_answer_in_place_of_100(stage):
    """Asked for a 100, the server answers at once: nobody knows whether it takes the content for content."""
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    client.send(request("POST", fields=[("Expect", "100-continue")], body=b"hello"))
    assert client.read_response().status == 200
    client.close()
    assert stage.client(guise.reverse).get().status == 200
    assert [len(peer.requests) for peer in origin.peers] == [1, 1]


def test_content_where_it_belongs_keeps_the_connection(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin))
    client = stage.client(guise.reverse)
    for method in ("POST", "PUT", "PATCH", "PROPFIND", "POST"):
        assert client.ask(request(method, body=b"hello")).status == 200
    assert len(origin.peers) == 1


# what servers are told

@pytest.mark.parametrize("trusted", [[], ["192.0.2.0/24"]])
def test_scheme_of_a_target_is_no_proof_of_tls(stage, trusted):
    origin = stage.origin(echoing_request)
    guise = stage.guise(settings.reverse(origin, listener={"trusted": trusted}))
    got = stage.client(guise.reverse).ask("GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert got.status == 421 and not origin.requests


def test_scheme_of_a_target_is_believed_of_a_trusted_hop(stage):
    guise = stage.guise(settings.reverse(stage.origin(echoing_request), listener={"trusted": ["127.0.0.1"]}))
    got = stage.client(guise.reverse).ask("GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert got.status == 200 and b"X-Forwarded-Proto: https" in got.body


TELLING = [("X-Secret", "2"), ("X_Forwarded_For", "1.2.3.4"), ("X-Real_IP", "1.2.3.4"), ("X-Kept", "yes")]


def test_trailers_hide_what_the_head_of_a_request_may_not_have(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, route={"request": {"remove": ["X-Secret"]}}))
    head = request("POST", fields=[("Transfer-Encoding", "chunked")])
    assert stage.client(guise.reverse).ask(head + chunked(b"x", trailers=TELLING)).status == 200
    assert list(origin.requests[0].trailers) == [("X-Kept", "yes")]


@pytest.mark.parametrize("mask, left", [("elite", ["x-kept"]), ("anonymous", ["x-kept"]),
                                        ("transparent", ["x-client-ip", "x-kept"])])
def test_trailers_under_a_mask(stage, mask, left):
    origin = stage.origin()
    guise = stage.guise(settings.forward(settings.LOOPBACK, listener={"mask": mask}))
    head = request("POST", f"http://{origin.address}/", fields=[("Transfer-Encoding", "chunked")])
    trailers = [("X-Client-IP", "1.2.3.4"), ("X-Kept", "yes")]
    assert stage.client(guise.forward).ask(head + chunked(b"x", trailers=trailers)).status == 200
    assert origin.requests[0].trailers.names() == left


def test_interim_responses_and_trailers_hide_what_the_route_hides(stage):
    """`response.remove` and `response.set` are about the server's secrets, wherever it tells them."""
    origin = stage.origin(answering(
        b"HTTP/1.1 103 Early Hints\r\nX-Powered-By: x\r\nServer: y\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-Powered-By: x\r\nServer: y\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\nX-Powered-By: x\r\nX-Sum: 1\r\n\r\n"))
    edits = {"remove": ["X-Powered-By"], "set": {"Server": "web"}}
    guise = stage.guise(settings.reverse(origin, route={"response": edits}))
    got = stage.client(guise.reverse).get()
    assert list(got.interim[0].fields) == [("Link", "</a>")]
    assert got.fields.get("Server") == "web" and not got.fields.has("X-Powered-By")
    assert list(got.trailers) == [("X-Sum", "1")]


def test_only_what_was_offered_is_switched_to(stage):
    script = answering(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n")
    guise = stage.guise(settings.reverse(stage.origin(script)))
    client = stage.client(guise.reverse)
    got = client.get(fields="Connection: upgrade\r\nUpgrade: websocket, more\r\n")
    assert got.status == 502 and got.error_type() == "http_upgrade_failed"


# what clients and logs are told

@pytest.mark.parametrize("target", ["http://[::1]:81/", "*", "http://a\"b/", "http://a\\b/"])
def test_error_bodies_are_json_whatever_they_quote(stage, target):
    guise = stage.guise(settings.forward())
    got = stage.client(guise.forward).ask(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
    assert got.status in (400, 403) and json.loads(got.body)["status"] == got.status


@pytest.mark.parametrize("form", ["json", "combined"])
@pytest.mark.parametrize("line", ["GET http://user:secret@a.test/x", "CONNECT user:secret@a.test:443",
                                  "GET http://user:secret@a.test:80?q=u@b", "GET ftp://user:secret@a.test/"])
def test_credentials_of_a_refused_target_are_not_logged(stage, form, line):
    guise = stage.guise(settings.forward(log={"format": form}))
    assert stage.client(guise.forward).ask(f"{line} HTTP/1.1\r\nHost: a.test\r\n\r\n").status == 400
    wait_for(lambda: "a.test" in guise.stdout.text, "the line in the log")
    assert "secret" not in guise.stdout.text and "user:" not in guise.stdout.text


# exhaustion

def test_empty_lines_do_not_hold_a_connection(stage):
    """A few may come before a request (RFC 9112 2.2); each used to start the clocks anew."""
    guise = stage.guise(settings.reverse("127.0.0.1:1"))
    client = stage.client(guise.reverse)
    for _ in range(4):
        client.send(b"\r\n")
    assert client.is_open()
    client.send(b"\r\n")
    assert client.read_response().status == 400
    client = stage.client(guise.reverse)
    for _ in range(3):  # they count for each request
        client.send_split(b"\r", b"\n\r\n", pause=0.02)
        assert client.get().status == 503


@pytest.mark.seconds(60)
def test_descriptors_of_one_client_are_bounded(stage):
    """One connection, many places asked: idle connections to them are kept, but not without end."""
    origin = stage.origin(host="0.0.0.0", backlog=4096)
    guise = stage.guise(settings.forward(settings.LOOPBACK, log={"access": "off"}))
    client = stage.client(guise.forward)
    before = guise.open_files()
    for number in range(1100):
        target = f"http://127.1.{number // 250}.{number % 250 + 1}:{origin.port}/"
        assert client.ask(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    assert guise.open_files() - before <= 1030


@pytest.mark.seconds(60)
def test_refused_connections_that_stay_are_bounded(stage):
    """Whoever was refused and does not go costs a descriptor for a moment, outside of the limits."""
    guise = stage.guise(settings.reverse("127.0.0.1:1", limits={"connections_per_address": 20}, log={"access": "off"}))
    before = guise.open_files()
    for _ in range(900):
        stage.client(guise.reverse).send(b"BAD\0\r\n\r\n")
    assert stays_true(lambda: guise.open_files() - before <= 560, 0.3)


@pytest.mark.seconds(60)
def test_names_that_are_never_answered_hold_up_nobody(stage):
    """Thousands of look-ups whose clients have gone: others are served at once."""
    hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hole.bind(("127.0.0.77", 0))
    config = settings.forward(settings.LOOPBACK, log={"access": "off"})
    config["resolver"] = {"servers": [f"127.0.0.77:{hole.getsockname()[1]}"], "hosts": False, "timeout": "5s"}
    guise = stage.guise(config)
    origin = stage.origin()
    number, worst = 0, 0.0
    for _ in range(12):
        clients = [Client(guise.forward) for _ in range(300)]
        for client in clients:
            number += 1
            client.send(b"GET http://n%d.flood.test/ HTTP/1.1\r\nHost: a\r\n\r\n" % number)
        began = time.monotonic()
        other = stage.client(guise.forward)
        assert other.ask(f"GET http://{origin.address}/ HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        worst = max(worst, time.monotonic() - began)
        for client in clients:
            client.reset()
    hole.close()
    assert worst < 2.0


# marks: nobody gets another's bytes

def test_head_that_is_given_up_leaves_nothing_behind(stage):
    """Heads cut anywhere and reset, and then a short request on another connection: only its own bytes arrive."""
    origin = stage.origin(echoing_request)
    guise = stage.guise(settings.reverse(origin))
    for cut in range(1, 400, 7):
        client = Client(guise.reverse)
        client.send(request(fields=[("X-Mark", "secret" * 60)])[:cut])
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        other = Client(guise.reverse)
        got = other.get()
        other.close()
        assert b"secret" not in got.head + got.body


def test_truncated_response_is_never_filled_up(stage):
    """A server promises more than it sends: the client sees the end, and nothing of what others were sent."""
    def script(peer):
        while (got := peer.read_request()) is not None:
            if got.target == "/cut":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nabc")
                return
            peer.send(response(200, b"secret" * 500))
    guise = stage.guise(settings.reverse(stage.origin(script)))
    for _ in range(20):
        stage.client(guise.reverse).get("/full")
        client = stage.client(guise.reverse)
        client.send(request(target="/cut"))
        with pytest.raises((Truncated, ConnectionError)) as caught:
            client.read_response()
        assert b"secret" not in bytes(client.received), caught


def test_upgrade_that_was_refused_leaves_the_rest_a_request(stage):
    """Bytes behind an upgrade that the server did not take are requests, seen and routed as such."""
    origin = stage.origin(answering(OK))
    guise = stage.guise(settings.routes({"path": "/smuggled", "respond": {"status": 403}}, {"to": "web"},
                                        upstreams={"web": [origin]}))
    client = stage.client(guise.reverse)
    client.send(request(fields=[("Connection", "upgrade"), ("Upgrade", "websocket")]) + SMUGGLED)
    assert client.read_response().status == 200
    assert client.read_response().status == 403
    assert len(origin.requests) == 1
