"""HTTP/2 with clients: programs that people use, messages of every kind, windows, priorities, limits, and ends in good order."""

import hashlib
import re
import signal
import subprocess
import threading
import time

import pytest

from support import http2, settings
from support.frames import (Code, Kind, Setting, continuation, data, headers, ping, priority_update, request_block,
                            rst_stream, window_update)
from support.origin import OK, response
from support.process import sanitizer, slowness
from support.servers import ENVIRONMENT, program
from support.waiting import Stopwatch, wait_for
from support.wire import Closed

MIB = 1 << 20
BLOCK = bytes(range(256)) * 4096


def serve(peer):
    """An origin of HTTP/1: the path says what it answers."""
    while (head := peer.read_request_head_or_none()) is not None:
        name, _, number = head.target[1:].partition("/")
        if name == "hold":
            peer.wait_end()
            return
        if name == "stall":  # takes nothing of the content
            wait_for(lambda: peer.origin.stopping, "the end of the test", 60, 0.05)
            return
        if name == "slow":
            time.sleep(float(number))
        peer.keep = False
        peer.read_body(head, until_close=False)
        peer.origin.note(head)
        if name == "big":
            send_big(peer, int(number))
        elif name == "digest":
            peer.send(response(200, hashlib.sha256(head.body).hexdigest().encode()))
        elif name == "status":
            body = b"" if number in ("204", "304") else b"body"
            peer.send(response(int(number), body, length=bool(body)))
        elif head.method == "HEAD":
            peer.send(response(200, fields=[("Content-Length", "1000")], length=False))
        else:
            peer.send(response(200, b"ok", [("X-Target", head.target)]))


def send_big(peer, size):
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    while size > 0:
        peer.send(BLOCK[:size])
        size -= len(BLOCK)


@pytest.fixture
def clear(stage):
    """clear(script, **config) -> (origin, guise, client), over TCP in clear."""
    def make(script=serve, own_settings=None, listener=None, **config):
        origin = stage.origin(script)
        guise = stage.guise(settings.reverse(origin, listener=dict({"http2": "clear"}, **(listener or {})), **config))
        client = http2.Client(guise.reverse, own_settings).settled()
        stage.clients.append(client)
        return origin, guise, client
    return make


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return http2.certificate(tmp_path_factory.mktemp("certificate"))


def tls(certificate):
    return {"certificates": [{"certificate": certificate[0], "key": certificate[1]}]}


@pytest.fixture
def secure(stage, certificate):
    """secure(script, **config) -> (origin, guise), TLS with ALPN."""
    def make(script=serve, **config):
        origin = stage.origin(script)
        return origin, stage.guise(settings.reverse(origin, listener={"tls": tls(certificate)}, **config))
    return make


def url(guise, path="/", scheme="http"):
    return f"{scheme}://127.0.0.1:{guise.reverse[1]}{path}"


# programs that people use

def test_curl_in_clear(clear, curl, tmp_path):
    origin, guise, _ = clear()
    got = curl("--http2-prior-knowledge", "-w", "%{http_version}", url(guise, "/a?b"))
    assert got.text == "ok2" and origin.requests[-1].target == "/a?b"
    file = tmp_path / "body"
    file.write_bytes(BLOCK * 4)
    got = curl("--http2-prior-knowledge", "--data-binary", f"@{file}", url(guise, "/digest"))
    assert got.text == hashlib.sha256(BLOCK * 4).hexdigest()
    got = curl("--http2-prior-knowledge", "-I", url(guise))
    assert got.text.startswith("HTTP/2 200") and "content-length: 1000" in got.text
    got = curl("--http2-prior-knowledge", "-o", str(tmp_path / "big"), "-w", "%{http_code} %{size_download}",
               url(guise, f"/big/{20 * MIB}"))
    assert got.text == f"200 {20 * MIB}"
    entry = guise.wait_log(lambda entry: entry["target"].startswith("/big"))
    assert entry["out"] >= 20 * MIB and entry["protocol"] == "HTTP/2"


def test_curl_many_at_a_time(secure, curl, tmp_path):
    """Over TLS: in clear, curl of Debian 12 cannot do it."""
    origin, guise = secure()
    got = curl("-k", "--http2", "-Z", "--parallel-max", "20", "-w", "%{http_version} %{http_code} %{num_connects}\n",
               url(guise, "/[1-60]", "https"), "-o", f"{tmp_path}/#1")
    lines = [line.split() for line in got.text.split("\n")[:-1]]
    assert len(lines) == 60 and all(line[:2] == ["2", "200"] for line in lines)
    assert sum(int(line[2]) for line in lines) < 5 and len(origin.requests) == 60


@pytest.mark.parametrize("option, version", [("--http2", "2"), ("--http1.1", "1.1")])
def test_curl_over_tls(secure, curl, option, version):
    _, guise = secure()
    got = curl("-k", option, "-w", "%{http_version}", url(guise, scheme="https"))
    assert got.text == "ok" + version
    assert guise.wait_log()["protocol"] == "HTTP/" + version


def test_http2_off(stage, certificate, curl):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, listener={"tls": tls(certificate), "http2": "off"}))
    assert curl("-k", "--http2", "-w", "%{http_version}", url(guise, scheme="https")).text == "ok1.1"


def test_no_http2_in_clear_unless_configured(stage):
    """The preface is a bad request like any other (RFC 9113 3.3)."""
    guise = stage.guise(settings.reverse(stage.origin()))
    client = stage.client(guise.reverse)
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
    assert client.read_response().status in (400, 405, 505)
    client.expect_end()


def test_nghttp(clear, tmp_path):
    """nghttp reads strictly; content, trailers and many requests."""
    origin, guise, _ = clear()
    file = tmp_path / "body"
    file.write_bytes(BLOCK)

    def nghttp(*arguments):
        done = subprocess.run([program("nghttp"), "-t", "10", *arguments], env=ENVIRONMENT, capture_output=True, timeout=20,
                              check=True)
        return done.stdout.decode("utf-8", "replace")
    assert nghttp(url(guise)) == "ok"
    assert nghttp("-d", str(file), url(guise, "/digest")) == hashlib.sha256(BLOCK).hexdigest()
    nghttp("-d", str(file), "--no-content-length", "--trailer", "x-t: v", url(guise, "/digest"))
    assert list(origin.requests[-1].trailers) == [("x-t", "v")]
    shown = nghttp("-nv", "-m", "30", url(guise))
    assert len(re.findall(r":status: 200", shown)) == 30 and "GOAWAY" not in shown.split("send GOAWAY")[0]
    assert "ENABLE_CONNECT_PROTOCOL" in shown or "UNKNOWN(0x08):1" in shown


def h2load(*arguments):
    done = subprocess.run([program("h2load"), *arguments], env=ENVIRONMENT, capture_output=True, timeout=60, check=False)
    text = done.stdout.decode("utf-8", "replace")
    found = re.search(r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", text)
    assert found, text + done.stderr.decode()
    return [int(number) for number in found.groups()], text


@pytest.mark.seconds(60)
def test_h2load(stage):
    nginx = stage.nginx()
    with open(nginx.files + "/index.html", "wb") as file:
        file.write(b"x" * 1000)
    config = settings.reverse(nginx.address, listener={"http2": "clear"}, limits={"requests_per_connection": "unlimited"})
    guise = stage.guise(dict(config, log={"access": "off"}))
    counts, text = h2load("-n", "4000", "-c", "8", "-m", "32", url(guise))
    assert counts[3] == 4000 and counts[4] == 0, text


@pytest.mark.seconds(60)
def test_h2load_beyond_the_requests_of_a_connection(stage):
    """Connections are renewed after so many requests (GOAWAY), and h2load asks the rest on no other: none of what was taken fails."""
    nginx = stage.nginx()
    with open(nginx.files + "/index.html", "wb") as file:
        file.write(b"x")
    guise = stage.guise(settings.reverse(nginx.address, listener={"http2": "clear"}, limits={"requests_per_connection": 50}))
    counts, text = h2load("-n", "40", "-c", "1", "-m", "10", url(guise))
    assert counts[3] == 40, text


@pytest.mark.seconds(60)
def test_chromium(secure, tmp_path):
    """A browser: HTTP/2 by ALPN, a page with many parts."""
    browser = program("chromium")

    def page(peer):
        while (got := peer.read_request()) is not None:
            if got.target == "/":
                parts = "".join(f"<script src='/part/{number}'></script>" for number in range(30))
                peer.send(response(200, f"<body><p id=a></p>{parts}</body>".encode(), [("Content-Type", "text/html")]))
            else:
                peer.send(response(200, b"document.getElementById('a').append('x')", [("Content-Type", "text/javascript")]))
    _, guise = secure(page)
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                           "--ignore-certificate-errors", f"--user-data-dir={tmp_path}/profile", "--dump-dom",
                           url(guise, scheme="https")], env=dict(ENVIRONMENT, HOME=str(tmp_path)), capture_output=True,
                          timeout=50, check=False)
    assert done.stdout.count(b"x" * 30) == 1, done.stdout + done.stderr[-2000:]
    entries = [entry for entry in guise.log_entries() if entry["target"].startswith("/part/")]
    assert len(entries) == 30 and {entry["protocol"] for entry in entries} == {"HTTP/2"}


# messages

@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-ODD"])
def test_any_method(clear, method):
    origin, _, client = clear()
    body = None if method in ("GET", "DELETE", "OPTIONS") else b"hello"
    assert client.ask(method, "/", body=body).status == 200
    assert origin.requests[0].method == method and origin.requests[0].body == (body or b"")


def test_head(clear):
    _, _, client = clear()
    stream = client.ask("HEAD", "/")
    assert (stream.status, stream.field("content-length"), stream.count) == (200, "1000", 0)


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_content(clear, status):
    _, _, client = clear()
    stream = client.get(f"/status/{status}")
    assert stream.status == status and stream.count == 0 and stream.ended
    assert client.get().status == 200


@pytest.mark.parametrize("status", [200, 203, 299, 400, 404, 429, 500, 503, 599])
def test_statuses(clear, status):
    _, _, client = clear()
    assert client.get(f"/status/{status}").status == status


def test_interim_responses_pass_at_once(clear):
    """103 before the final answer is there, and more than one."""
    gate = threading.Event()

    def script(peer):
        while peer.read_request() is not None:
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </b>; rel=preload\r\n\r\n")
            gate.wait(10)
            peer.send(OK)
    _, _, client = clear(script)
    stream = client.request()
    client.until(lambda: len(stream.interim) == 2, "two interim responses")
    assert stream.head is None
    assert [head.get("link") for head in stream.interim] == ["</a>; rel=preload", "</b>; rel=preload"]
    gate.set()
    assert client.finish(stream).body == b"ok"


def test_continue_comes_from_the_server(clear):
    def script(peer):
        head = peer.read_request_head()
        assert head.fields.get("Expect") == "100-continue"
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.read_body(head, until_close=False)
        peer.send(response(200, head.body))
        peer.wait_end()
    _, _, client = clear(script)
    stream = client.request("POST", fields=[("expect", "100-continue"), ("content-length", "5")], end=False)
    client.until(lambda: stream.interim, "100")
    assert stream.interim[0].get(":status") == "100"
    client.send_data(stream, b"hello", True)
    assert client.finish(stream).body == b"hello"


def test_connection_fields_of_the_server_stay_behind(clear):
    def script(peer):
        while peer.read_request() is not None:
            peer.send(response(200, b"ok", [("Connection", "X-Hop, keep-alive"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"),
                                            ("X-Kept", "yes"), ("Proxy-Connection", "close")]))
    _, _, client = clear(script)
    stream = client.get()
    assert stream.field("x-kept") == "yes" and not stream.head.has("x-hop")


def test_response_until_close(clear):
    """Without a length, from a server of HTTP/1.0."""
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
    _, _, client = clear(script)
    stream = client.get()
    assert stream.body == b"until the end" and stream.ended


def test_response_that_is_cut_short_is_a_reset(clear):
    """Never a response that looks complete."""
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    _, _, client = clear(script)
    stream = client.get()
    assert not stream.ended and stream.reset not in (None, Code.NO_ERROR)


def test_errors_are_answered(stage, clear):
    _, guise, client = clear()
    assert client.get("/slow/0").status == 200
    dead = stage.guise(settings.reverse("127.0.0.1:1", listener={"http2": "clear"}))
    other = http2.Client(dead.reverse)
    stream = other.get()
    assert stream.status == 503 and "destination_unavailable" in stream.field("proxy-status")
    assert other.get().status == 503
    other.close()
    assert "refused" in dead.wait_log()["error"] and guise.wait_log()["status"] == 200


# content and windows

@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 65535, 65536, 1_000_000])
def test_bodies_of_any_size_both_ways(clear, size):
    _, _, client = clear()
    body = (BLOCK * (size // len(BLOCK) + 1))[:size]
    assert client.ask("POST", "/digest", body=body).body.decode() == hashlib.sha256(body).hexdigest()
    assert bytes(client.get(f"/big/{size}").body) == body


@pytest.mark.seconds(60)
def test_large_bodies_both_ways_at_once(clear):
    """30 MiB each way on one connection, in windows of 64 KiB."""
    _, _, client = clear()
    down = client.request(path=f"/big/{30 * MIB}")
    up = client.request("POST", "/digest", fields=[("content-length", str(30 * MIB))], end=False)
    expected = hashlib.sha256()
    for _ in range(30):
        client.send_data(up, BLOCK)
        expected.update(BLOCK)
    client.send_data(up, b"", True)
    assert client.finish(up).body.decode() == expected.hexdigest()
    assert client.finish(down).count == 30 * MIB
    assert hashlib.sha256(bytes(down.body)).digest() == hashlib.sha256(BLOCK * 30).digest()


def test_windows_of_any_size(clear):
    """A client with windows of one byte, and one with as much as there is."""
    for size in (1, 7, 65535, 0x7FFFFFFF):
        _, _, client = clear(own_settings={Setting.INITIAL_WINDOW_SIZE: size})
        total = 300 if size < 10 else 2 * MIB
        assert client.get(f"/big/{total}").count == total


def test_large_frames(clear):
    _, _, client = clear(own_settings={Setting.MAX_FRAME_SIZE: 1 << 20, Setting.INITIAL_WINDOW_SIZE: 1 << 24})
    assert client.get(f"/big/{4 * MIB}").count == 4 * MIB


def test_early_answer_while_uploading(clear):
    """The server answers and takes no more: the client has its answer, and is told to stop (RFC 9113 8.1)."""
    def script(peer):
        peer.read_request_head()
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        peer.half_close()
        wait_for(lambda: peer.origin.stopping or peer.ended.is_set(), "the end of the test", 60, 0.05)
    _, _, client = clear(script)
    stream = client.request("POST", fields=[("content-length", str(100 * MIB))], end=False)
    with Stop(client, stream):
        for _ in range(100):
            if stream.over or not client.send_data(stream, BLOCK):
                break
    client.finish(stream)
    assert (stream.status, stream.body, stream.ended) == (413, b"no", True)
    client.until(lambda: stream.reset is not None, "RST_STREAM")
    assert stream.reset == Code.NO_ERROR
    assert not client.goaways


class Stop:
    """Sending ends quietly when the answer is complete."""

    def __init__(self, client, stream):
        self.client, self.stream = client, stream

    def __enter__(self):
        before = self.client.send_data

        def send_data(stream, body=b"", end=False):
            view = memoryview(body)
            while len(view) and not stream.over:
                room = min(self.client.send_window, stream.send_window, 16384, len(view))
                if room <= 0:
                    self.client.until(lambda: stream.over or min(self.client.send_window, stream.send_window) > 0, "window")
                    continue
                self.client.send_window -= room
                stream.send_window -= room
                self.client.send(data(stream.id, bytes(view[:room])))
                view = view[room:]
                self.client.poll()
            return not stream.over
        self.client.send_data, self.before = send_data, before

    def __exit__(self, *_):
        self.client.send_data = self.before


def test_answer_to_an_upload_that_goes_on(clear):
    """The server answers early and still reads: the whole content arrives."""
    got = []

    def script(peer):
        head = peer.read_request_head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        peer.read_body(head, until_close=False)
        got.append(len(head.body))
        peer.send(b"4\r\nlast\r\n0\r\n\r\n")
        peer.wait_end()
    _, _, client = clear(script)
    stream = client.request("POST", end=False)
    client.until(lambda: stream.body == b"first", "the beginning of the answer")
    for _ in range(5):
        client.send_data(stream, BLOCK)
    client.send_data(stream, b"", True)
    assert client.finish(stream).body == b"firstlast" and got == [5 * MIB]


def test_a_hundred_streams_at_a_time(clear):
    origin, _, client = clear()
    streams = [client.request("POST", "/digest", body=b"%d" % number * 1000) for number in range(100)]
    for number, stream in enumerate(streams):
        client.finish(stream)
        assert stream.body.decode() == hashlib.sha256(b"%d" % number * 1000).hexdigest()
    assert len(origin.requests) == 100


def test_slow_servers_do_not_hold_up_others(clear):
    _, _, client = clear()
    held = [client.request(path="/hold") for _ in range(50)]
    watch = Stopwatch()
    assert all(client.get().status == 200 for _ in range(20))
    assert watch.seconds < 5 * slowness() and not any(stream.over for stream in held)


def grown(guise, before):
    """Growth of the peak, where it means something."""
    return 0 if sanitizer() else guise.resident_peak() - before


@pytest.mark.seconds(60)
def test_streams_that_are_not_read_cost_their_windows(clear):
    """50 large answers that the client does not take: neither do they stop others, nor grow memory."""
    _, guise, client = clear(own_settings={Setting.INITIAL_WINDOW_SIZE: 0})
    client.get("/status/204")
    before = guise.resident_peak()
    held = [client.request(path=f"/big/{100 * MIB}") for _ in range(50)]
    for stream in held:
        client.answer(stream)
    client.own[Setting.INITIAL_WINDOW_SIZE] = 0
    for _ in range(10):
        stream = client.request(path="/")
        client.answer(stream)
        stream.receive_window += 1000
        client.send(window_update(stream.id, 1000))
        assert client.finish(stream).body == b"ok"
    client.quiet(0.5)
    assert grown(guise, before) < 50 * (256 << 10) and all(stream.count == 0 for stream in held)


@pytest.mark.seconds(60)
def test_a_slow_reader_of_the_whole_connection(clear):
    """The client gives the streams all they want, and the connection nothing; then it reads nothing at all."""
    _, guise, client = clear(own_settings={Setting.INITIAL_WINDOW_SIZE: 0x7FFFFFFF})
    client.get("/status/204")
    before = guise.resident_peak()
    client.send(window_update(0, 0x7FFFFFFF - client.receive_window))
    for _ in range(50):
        client.request(path=f"/big/{100 * MIB}")
    time.sleep(1.5)  # nothing is read: there is no event to wait for
    assert grown(guise, before) < 50 * (256 << 10) + 8 * MIB


@pytest.mark.seconds(60)
def test_servers_that_take_nothing_do_not_hold_up_other_uploads(clear):
    """Each stream has its own bound; the window of the connection is none of theirs (RFC 9113 5.2.2)."""
    _, guise, client = clear()
    client.get()
    before = guise.resident_peak()
    stalled = [client.request("POST", "/stall", end=False) for _ in range(30)]
    for stream in stalled:
        for _ in range(20):
            if stream.send_window < 16384:
                break
            client.until(lambda: client.send_window >= 16384, "window of the connection")
            client.send_window -= 16384
            stream.send_window -= 16384
            client.send(data(stream.id, BLOCK[:16384]))
            client.poll()
    body = BLOCK * 5
    assert client.ask("POST", "/digest", body=body).body.decode() == hashlib.sha256(body).hexdigest()
    assert grown(guise, before) < 30 * (512 << 10)
    assert not any(stream.over for stream in stalled)


def test_reset_of_a_download_ends_it_at_the_server(clear):
    _, _, client = clear()
    stream = client.request(path=f"/big/{200 * MIB}")
    client.until(lambda: stream.count > 100_000, "the beginning")
    client.send(rst_stream(stream.id))
    stream.reset = Code.CANCEL
    assert client.get().status == 200


def test_reset_ends_the_request_at_the_server(clear):
    origin, guise, client = clear()
    stream = client.request(path="/hold")
    origin.wait_peers(1)
    wait_for(lambda: origin.heads, "the request")
    client.send(rst_stream(stream.id))
    assert origin.peers[0].ended.wait(5)
    assert guise.wait_log()["error"] == "the stream was reset"
    assert client.get().status == 200


def test_client_that_goes_away_with_streams(clear):
    origin, guise, client = clear()
    for _ in range(20):
        client.request(path="/hold")
    wait_for(lambda: len(origin.heads) == 20, "20 requests")
    client.close()
    wait_for(lambda: all(peer.ended.is_set() for peer in origin.peers), "the end of all at the origin")
    wait_for(lambda: len(guise.log_entries()) == 20, "20 lines in the log")
    assert {entry["error"] for entry in guise.log_entries()} == {"the client went away"}


# priorities (RFC 9218)

def race(client, first, second, before=None, size=300_000):
    """
    Two large answers wait for the window of the connection, the one of `first` asked for earlier. Then the window is given: what has come of
    each when one of them is complete.
    """
    client.credit = False
    drain = client.request(path="/big/65535")  # takes all of the connection's window
    client.finish(drain)
    streams = [client.request(path=f"/big/{size}", fields=[("priority", value)] if value else []) for value in (first, second)]
    for stream in streams:
        client.answer(stream)
    if before:
        before(*streams)
    client.quiet(0.2)
    while not any(stream.ended for stream in streams):
        client.receive_window += 16_384
        client.send(window_update(0, 16_384))
        client.until(lambda: client.receive_window == 0 or any(stream.ended for stream in streams), "data")
        client.quiet(0.005)  # the flow behind the urgent one fills again
    return streams


LARGE = {Setting.INITIAL_WINDOW_SIZE: 8 * MIB}


@pytest.fixture
def racing(clear):
    return lambda: clear(own_settings=LARGE)[2]


@pytest.mark.parametrize("first, second", [("u=7", "u=0"), ("", "u=0"), ("u=5", ""), ("u=4", "u=2, i"), ("u=7, i", "u=1")])
def test_the_urgent_one_overtakes(racing, first, second):
    slow, fast = race(racing(), first, second)
    assert fast.ended and slow.count < fast.count / 3, (slow.count, fast.count)


def test_equals_are_served_in_order(racing):
    """RFC 9218 10: not incremental, and of one urgency: the first one first."""
    first, second = race(racing(), "", "")
    assert first.ended and second.count < first.count / 3, (first.count, second.count)


def test_incremental_equals_share(racing):
    first, second = race(racing(), "u=3, i", "u=3, i")
    assert min(first.count, second.count) > 300_000 / 2, (first.count, second.count)


def test_priority_update_overtakes(racing):
    """RFC 9218 7.1: it counts more than the field."""
    client = racing()
    slow, fast = race(client, "u=1", "u=3", lambda one, two: client.send(priority_update(one.id, b"u=6"),
                                                                           priority_update(two.id, b"u=0")))
    assert fast.ended and slow.count < fast.count / 3, (slow.count, fast.count)


def test_priority_update_before_the_request(racing):
    client = racing()
    client.send(priority_update(client.last + 6, b"u=0"))  # the second of the two
    slow, fast = race(client, "u=3", "")
    assert fast.ended and slow.count < fast.count / 3, (slow.count, fast.count)


def test_priority_field_reaches_the_server(clear):
    """RFC 9218 4: it is end to end."""
    origin, _, client = clear()
    client.get(fields=[("priority", "u=1, i")])
    assert origin.requests[0].fields.get("priority") == "u=1, i"


# limits and timeouts

def test_streams_over_the_limit_are_refused_and_may_be_tried_again(clear):
    _, guise, _ = clear(limits={"streams": 3})
    client = http2.Client(guise.reverse)
    client.auto = False  # who has not acknowledged our SETTINGS may not know the limit
    held = [client.request(path="/hold") for _ in range(3)]
    refused = [client.finish(client.request()) for _ in range(3)]
    assert {stream.reset for stream in refused} == {Code.REFUSED_STREAM}
    client.send(rst_stream(held[0].id))
    held[0].reset = Code.CANCEL
    assert client.get().status == 200 and not client.goaways
    client.close()


def test_idle_connections_are_closed_in_good_order(clear):
    _, _, client = clear(timeouts={"idle": "500ms"})
    assert client.get().status == 200
    watch = Stopwatch()
    client.expect_goaway(Code.NO_ERROR)
    assert 0.3 < watch.seconds < 5 * slowness() and client.goaways[-1][0] >= 1


def test_connection_that_says_nothing_is_closed(stage):
    guise = stage.guise(settings.reverse(stage.origin(), listener={"http2": "clear"}, timeouts={"idle": "500ms"}))
    client = http2.Client(guise.reverse)
    client.read_until_end(5 * slowness())


def test_connection_with_a_slow_stream_is_not_idle(clear):
    _, _, client = clear(timeouts={"idle": "300ms"})
    assert client.get("/slow/1.2").status == 200


def test_ping_does_not_keep_an_idle_connection(clear):
    """Or clients that want nothing would be kept for ever."""
    _, _, client = clear(timeouts={"idle": "600ms"})
    watch = Stopwatch()
    while not client.ended and watch.seconds < 4:
        client.quiet(0.2)
        client._answer(ping())  # pylint: disable=protected-access
    assert client.ended or client.goaways


def test_head_that_does_not_end(clear):
    _, guise, client = clear(timeouts={"header": "500ms"})
    client.send(headers(1, request_block()[:10], done=False))
    watch = Stopwatch()
    client.read_until_end(5 * slowness())
    assert watch.seconds > 0.3
    assert http2.Client(guise.reverse).get().status == 200


def test_head_that_comes_in_drops(clear):
    """CONTINUATION now and then does not make it longer."""
    _, _, client = clear(timeouts={"header": "600ms"})
    whole = request_block()
    client.send(headers(1, whole[:1], done=False))
    watch = Stopwatch()
    with pytest.raises((OSError, Closed)):
        for at in range(1, 8):
            client.send(continuation(1, whole[at:at + 1], False))
            client.quiet(0.25)
            if client.ended:
                raise Closed("closed")
    assert watch.seconds < 3 * slowness()


def test_content_that_does_not_come(clear):
    _, _, client = clear(timeouts={"body": "500ms"})
    stream = client.request("POST", "/", fields=[("content-length", "10")], end=False)
    client.send_data(stream, b"half")
    client.finish(stream, 5 * slowness())
    assert stream.status == 408 or stream.reset is not None
    assert client.get().status == 200


def test_answer_that_is_not_taken(clear):
    _, guise, client = clear(timeouts={"body": "500ms"}, own_settings={Setting.INITIAL_WINDOW_SIZE: 100})
    client.credit = False
    stream = client.request(path=f"/big/{MIB}")
    client.finish(stream, 5 * slowness())
    assert stream.reset is not None
    assert guise.wait_log()["error"] == "the client took nothing for too long"


def test_requests_of_one_connection_are_bounded(clear):
    """GOAWAY in good order: all that was taken is answered."""
    _, _, client = clear(limits={"requests_per_connection": 5})
    streams = []
    while not client.goaways and len(streams) < 50:
        streams.append(client.request())
        client.finish(streams[-1])
    assert 5 <= len(streams) < 20 and all(stream.status == 200 for stream in streams)
    client.read_until_end()
    assert client.goaway_code == Code.NO_ERROR


# the end

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_shutdown_lets_streams_end(clear, number):
    _, guise, client = clear(timeouts={"drain": "10s"})
    running = [client.request(path="/slow/1") for _ in range(5)]
    upload = client.request("POST", "/digest", end=False)
    client.send_data(upload, b"hello ")
    guise.signal(number)
    client.until(lambda: client.goaways, "GOAWAY")
    assert client.goaway_code == Code.NO_ERROR
    client.send_data(upload, b"world", True)
    for stream in running:
        assert client.finish(stream).status == 200
    assert client.finish(upload).body.decode() == hashlib.sha256(b"hello world").hexdigest()
    client.read_until_end()
    assert guise.wait_exit() == 0


def test_shutdown_loses_no_request(clear):
    """A client that asks on and on: what GOAWAY counts as taken is answered, what it does not is not."""
    _, guise, client = clear(timeouts={"drain": "10s"})
    streams, at = [], time.monotonic()
    while not client.ended and time.monotonic() - at < 8:
        if sum(not stream.over for stream in streams) > 50:
            client.read_frame()
        elif not client.goaways or client.goaways[-1][0] == 0x7FFFFFFF:
            try:
                streams.append(client.request())
            except OSError:
                break
            if len(streams) == 300:
                guise.signal(signal.SIGTERM)
        else:
            client.read_frame()
        client.poll()
    last = client.goaways[-1][0]
    assert client.goaway_code == Code.NO_ERROR and len(streams) >= 300
    for stream in streams:
        assert (stream.status == 200 and stream.ended) if stream.id <= last else stream.head is None, (stream, last)
    assert guise.wait_exit() == 0


def test_shutdown_of_idle_connections_is_quick(clear):
    _, guise, client = clear(timeouts={"drain": "20s"})
    client.get()
    watch = Stopwatch()
    guise.signal(signal.SIGTERM)
    client.expect_goaway(Code.NO_ERROR)
    assert guise.wait_exit() == 0 and watch.seconds < 5 * slowness()


def test_shutdown_cuts_what_does_not_end(clear):
    _, guise, client = clear(timeouts={"drain": "500ms"})
    stream = client.request(path="/hold")
    client.quiet(0.1)
    guise.signal(signal.SIGTERM)
    assert guise.wait_exit(10) == 0
    client.read_until_end()
    assert stream.status is None or stream.status >= 500


# TLS

def test_everything_over_tls(secure):
    _, guise = secure()
    client = http2.Client(guise.reverse, tls=http2.client_context("h2", "http/1.1")).settled()
    body = BLOCK * 5
    streams = [client.request("POST", "/digest", body=body) for _ in range(5)]
    large = client.request(path=f"/big/{20 * MIB}")
    for stream in streams:
        assert client.finish(stream).body.decode() == hashlib.sha256(body).hexdigest()
    assert client.finish(large).count == 20 * MIB
    client.send(ping(b"short"))
    client.expect_goaway(Code.FRAME_SIZE_ERROR)
    client.close()


def test_scheme_is_that_of_the_connection(secure, clear):
    """RFC 9110 7.4: a request for another scheme is misdirected."""
    origin, guise = secure()
    client = http2.Client(guise.reverse, tls=http2.client_context())
    assert client.get().status == 200
    assert client.get(scheme="http").status in (400, 421)
    client.close()
    _, _, plain = clear()
    assert plain.get(scheme="https").status in (400, 421)
    assert len(origin.requests) == 1


def test_shutdown_over_tls(secure):
    _, guise = secure(timeouts={"drain": "10s"})
    client = http2.Client(guise.reverse, tls=http2.client_context()).settled()
    stream = client.request(path="/slow/0.7")
    client.quiet(0.1)
    guise.signal(signal.SIGTERM)
    assert client.finish(stream).status == 200
    client.read_until_end()
    assert client.goaway_code == Code.NO_ERROR and guise.wait_exit() == 0
    client.close()


def test_the_library_of_debian(clear):
    """python3-h2 keeps its own account of the rules."""
    connection_of = pytest.importorskip("h2.connection")
    events_of = pytest.importorskip("h2.events")
    _, guise, _ = clear()
    sock = http2.open_socket(guise.reverse)
    connection = connection_of.H2Connection()
    connection.initiate_connection()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/big/300000")]
    for number in (1, 3, 5):
        connection.send_headers(number, fields, end_stream=True)
    sock.sendall(connection.data_to_send())
    ended, count = set(), 0
    while len(ended) < 3:
        for event in connection.receive_data(sock.recv(65536)):
            if isinstance(event, events_of.DataReceived):
                count += len(event.data)
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, events_of.StreamEnded):
                ended.add(event.stream_id)
        sock.sendall(connection.data_to_send())
    assert count == 900_000
    sock.close()


def test_frames_of_an_answer_are_few(clear):
    """A small answer is HEADERS and DATA, in one piece."""
    _, _, client = clear()
    before = len(client.frames)
    client.get()
    kinds = [kind for kind, _ in client.frames[before:] if kind != Kind.WINDOW_UPDATE]
    assert kinds == [Kind.HEADERS, Kind.DATA]
