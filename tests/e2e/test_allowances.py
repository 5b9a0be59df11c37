"""Allowances: what users and addresses may have, with curl and over the wire. Clients and origins are of this namespace."""

import socket
import threading

import pytest

from support import http2, settings
from support.association import Association, greet, place, read_reply
from support.client import open_socket, request
from support.origin import answering, response
from support.process import run
from support.waiting import Stopwatch, wait_for
from support.wire import Closed, Truncated

LOCAL = {"allow": {"addresses": ["127.0.0.0/8"]}}
MIB = 1 << 20


def limited(stage, allowance, *rules, script=None, workers=1, **more):
    """A forward listener whose clients have this allowance; an origin that it may ask."""
    origin = stage.origin(script)
    listener = dict(more.pop("listener", {}), allowance="some")
    config = settings.forward(*(rules or (LOCAL,)), listener=listener, **more)
    config.update(workers=workers, allowances={"some": allowance})
    return origin, stage.guise(config)


def url(origin, path="/"):
    return f"http://{origin.address}{path}"


def tunnel(stage, guise, origin, expected=200):
    client = stage.client(guise.forward)
    client.send(f"CONNECT {origin.address} HTTP/1.1\r\nHost: {origin.address}\r\n\r\n".encode())
    got = client.read_response("CONNECT")
    assert got.status == expected
    return client


def ask(client, origin, path="/"):
    return client.ask(request(target=url(origin, path), host=origin.address))


def sending(total):
    """A script: so many bytes for each request."""
    return answering(response(body=b"x" * total))


def proxy(guise):
    return "http://{}:{}".format(*guise.forward)


def swallow(peer):
    peer.keep = False
    peer.discard_to_end()


def pour(peer):
    """Without end."""
    peer.keep = False
    try:
        while True:
            peer.send(b"x" * 65536)
    except (Closed, Truncated, OSError):
        pass


# requests

@pytest.mark.parametrize("workers", [1, 3])
def test_too_many_requests(stage, curl, workers):
    origin, guise = limited(stage, {"requests": 2, "per": "1h"}, workers=workers)
    codes = []
    for _ in range(4):
        done = curl("-x", proxy(guise), "-D", "-", "-o", "/dev/null", url(origin))
        codes.append(done.text.split()[1])
    assert codes == ["200", "200", "429", "429"]
    assert len(origin.requests) == 2
    assert 1700 <= int(done.text.lower().split("retry-after:")[1].split()[0]) <= 1800
    entry = guise.wait_log(lambda line: line["status"] == 429)
    assert entry["error"] == "too many requests in too short a time: allowance some"


def test_refused_connections_stay(stage):
    origin, guise = limited(stage, {"requests": 1, "per": "1h"})
    client = stage.client(guise.forward)
    assert ask(client, origin).status == 200
    for _ in range(3):
        got = ask(client, origin)
        assert got.status == 429 and got.error_type() == "http_request_denied"
        assert b"too many requests in too short a time" in got.body
    assert client.is_open()


def test_held_back(stage):
    """With a delay nothing is refused that can wait."""
    origin, guise = limited(stage, {"requests": 20, "burst": 1, "delay": "10s"})
    watch = Stopwatch()
    client = stage.client(guise.forward)
    for _ in range(6):
        assert ask(client, origin).status == 200
    assert watch.seconds >= 5 / 20
    assert len(origin.requests) == 6


def test_addresses_have_their_own(stage):
    origin, guise = limited(stage, {"by": "address", "requests": 1, "per": "1h"})
    for source in ("127.0.0.1", "127.0.0.2", "127.9.9.9"):
        client = stage.client(guise.forward, source=source)
        assert ask(client, origin).status == 200
        assert ask(client, origin).status == 429


def test_all_together(stage):
    origin, guise = limited(stage, {"by": "all", "requests": 1, "per": "1h"})
    assert ask(stage.client(guise.forward, source="127.0.0.1"), origin).status == 200
    assert ask(stage.client(guise.forward, source="127.0.0.2"), origin).status == 429


def test_rules_choose(stage):
    """A rule's allowance comes before the listener's; one that names none has the listener's."""
    origin = stage.origin()
    config = settings.forward({"allow": {"addresses": ["127.0.0.0/8"], "methods": ["GET"]}, "allowance": "one"},
                              LOCAL, listener={"allowance": "two"})
    config["allowances"] = {"one": {"requests": 1, "per": "1h"}, "two": {"requests": 2, "per": "1h"}}
    guise = stage.guise(config)
    client = stage.client(guise.forward)
    assert [ask(client, origin).status for _ in range(2)] == [200, 429]
    got = [client.ask(request("POST", target=url(origin), host=origin.address, fields=[("Content-Length", "0")])).status
           for _ in range(3)]
    assert got == [200, 200, 429]
    assert guise.wait_log(lambda line: line["status"] == 429 and line["method"] == "GET")["error"].endswith("one")


def test_rules_that_need_the_address(stage):
    """Which rule it is, and so which allowance, is known only when the name has been looked up."""
    names = stage.names()
    names.set("site.example", v4=["127.0.0.1"])
    origin = stage.origin()
    config = settings.forward({"allow": {"addresses": ["127.0.0.0/8"]}, "allowance": "one"}, resolver=names)
    config["allowances"] = {"one": {"requests": 2, "per": "1h"}}
    guise = stage.guise(config)
    client = stage.client(guise.forward)
    target = f"site.example:{origin.port}"
    got = [client.ask(request(target=f"http://{target}/", host=target)).status for _ in range(3)]
    assert got == [200, 200, 429]
    client.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    assert client.read_response("CONNECT").status == 429


def test_socks_is_told(stage):
    origin, guise = limited(stage, {"requests": 1, "per": "1h"})
    codes = []
    for _ in range(2):
        with open_socket(guise.forward) as sock:
            greet(sock)
            sock.sendall(b"\x05\x01\x00" + place("127.0.0.1", origin.port))
            codes.append(read_reply(sock)[0])
    assert codes == [0, 2]


# connections

def test_connections(stage):
    origin, guise = limited(stage, {"connections": 2}, script=swallow)
    one, two = tunnel(stage, guise, origin), tunnel(stage, guise, origin)
    client = tunnel(stage, guise, origin, expected=429)
    entry = guise.wait_log(lambda line: line["status"] == 429)
    assert entry["error"] == "too many requests or tunnels at a time: allowance some"
    client.expect_end()
    one.reset()
    wait_for(lambda: any(line["status"] == 200 for line in guise.log_entries()), "the tunnel has ended")
    tunnel(stage, guise, origin)
    tunnel(stage, guise, origin, expected=429)
    assert two.is_open()


# bandwidth

def test_downloads_are_slowed(stage, curl):
    """One MiB at 1 MiB/s: all of it, in no less than what is left when the first eighth came at once."""
    origin, guise = limited(stage, {"bandwidth": "1 MiB"}, script=sending(MIB))
    watch = Stopwatch()
    done = curl("-x", proxy(guise), "-o", "/dev/null", "-w", "%{http_code} %{size_download}", url(origin))
    assert done.text.split() == ["200", str(MIB)]
    assert watch.seconds >= 7 / 8 - 0.05


def test_tunnels_are_slowed(stage):
    """Not by splice or a relay either, however much has passed before."""
    def twice(peer):
        peer.keep = False
        for _ in range(2):
            peer.read_exact(2)
            peer.send(b"y" * MIB)
        peer.discard_to_end()

    origin, guise = limited(stage, {"download": "2 MiB"}, script=twice)
    client = tunnel(stage, guise, origin)
    for _ in range(2):
        watch = Stopwatch()
        client.send(b"go")
        client.read_exact(MIB)
        assert watch.seconds >= (1 / 2 - 1 / 4) - 0.05
    client.close()
    entry = guise.wait_log(lambda line: line["method"] == "CONNECT")
    assert entry["out"] == 2 * MIB and entry["in"] == 4


def test_uploads_are_slowed(stage):
    origin, guise = limited(stage, {"upload": "1 MiB"}, script=swallow)
    client = tunnel(stage, guise, origin)
    watch = Stopwatch()
    client.send(b"x" * MIB)
    client.half_close()
    client.expect_end()
    assert watch.seconds >= 7 / 8 - 0.05


@pytest.mark.parametrize("workers", [1, 2])
def test_tunnels_of_one_user_share(stage, workers):
    """Four tunnels, each with more than there is time for: when one has had its part, all others have had most of theirs."""
    origin, guise = limited(stage, {"by": "address", "bandwidth": "4 MiB"}, script=pour, workers=workers)
    clients = [tunnel(stage, guise, origin) for _ in range(4)]
    counts, part = [0] * len(clients), 2 * MIB

    def take(index):
        while max(counts) < part:
            counts[index] += len(clients[index].read_some())

    threads = [threading.Thread(target=take, args=(index,)) for index in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(counts) >= part / 2, counts
    for client in clients:
        client.reset()


def test_streams_of_one_connection_are_slowed(stage):
    """Two tunnels in one connection of HTTP/2: all of it comes back, no sooner than it may; windows follow what passes."""
    def echo(peer):
        peer.keep = False
        while data := peer.read_some():
            peer.send(data)

    origin, guise = limited(stage, {"upload": "1 MiB", "download": "1 MiB"}, LOCAL, script=echo, listener={"http2": "clear"})
    client = http2.Client(guise.forward).settled()
    stage.clients.append(client)
    streams = [client.request("CONNECT", authority=origin.address, end=False) for _ in range(2)]
    for stream in streams:
        client.answer(stream)
    watch = Stopwatch()
    for stream in streams:
        client.send_data(stream, b"x" * (MIB // 2), True)
    for stream in streams:
        client.finish(stream)
        assert stream.count == MIB // 2 and stream.ended
    assert watch.seconds >= 7 / 8 - 0.05


def test_what_others_have_is_untouched(stage):
    """While one address waits for its bytes, another one's request is answered at once."""
    origin, guise = limited(stage, {"by": "address", "bandwidth": "16 KiB"}, script=sending(MIB))
    slow = stage.client(guise.forward, source="127.0.0.2")
    slow.send(request(target=url(origin), host=origin.address))
    slow.read_response_head()
    quick = stage.client(guise.forward, source="127.0.0.3")
    quick.send(request("HEAD", target=url(origin), host=origin.address))
    assert quick.read_response("HEAD").status == 200
    slow.reset()


# quotas

def test_quota(stage):
    origin, guise = limited(stage, {"quota": "100 KiB", "period": "month"}, script=sending(60 * 1024))
    client = stage.client(guise.forward)
    assert ask(client, origin).status == 200
    # the second begins within the quota, and breaks off where it ends
    with pytest.raises((Closed, Truncated)):
        ask(client, origin)
        ask(client, origin)
        raise Truncated("refused")
    client = stage.client(guise.forward)
    got = ask(client, origin)
    assert got.status == 429 and b"the quota is used up" in got.body
    assert 1 <= int(got.fields.get("Retry-After")) <= 31 * 86400
    assert guise.wait_log(lambda line: line["status"] == 429)["error"] == "the quota is used up: allowance some"
    assert ask(stage.client(guise.forward, source="127.0.0.2"), origin).status == 200


def test_quota_ends_tunnels(stage):
    origin, guise = limited(stage, {"quota": "1 MiB"}, script=pour)
    client = tunnel(stage, guise, origin)
    got = 0
    with pytest.raises((Closed, Truncated, OSError)):
        while True:
            data = client.read_some()
            if not data:
                raise Closed("ended")
            got += len(data)
    entry = guise.wait_log(lambda line: line["method"] == "CONNECT")
    assert entry["error"] == "the quota is used up: allowance some"
    assert MIB <= entry["out"] <= MIB + 65536
    tunnel(stage, guise, origin, expected=429)


# datagrams

def test_datagrams_over_it_are_dropped(stage):
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.bind(("127.0.0.1", 0))
    echo.settimeout(5)
    guise = stage.guise(dict(settings.forward(LOCAL, listener={"allowance": "some"}),
                             allowances={"some": {"quota": "10 KiB"}}))
    association = Association(guise.forward)
    stage.daemons.append(association)
    for _ in range(30):
        association.send(b"d" * 1000, "127.0.0.1", echo.getsockname()[1])
    count = 0
    while count < 11:
        echo.recv(2000)
        count += 1
    echo.settimeout(0.3)
    with pytest.raises(TimeoutError):
        echo.recv(2000)
    echo.close()


# what is written wrongly

@pytest.mark.parametrize("name, section, words", [
    ("a", "{a: {}}", "limits nothing"),
    ("a", "{a: {burst: 3, connections: 1}}", '"burst" does nothing without "requests"'),
    ("a", "{a: {per: 3s, connections: 1}}", '"per" does nothing without "requests"'),
    ("a", "{a: {delay: 3s, connections: 1}}", '"delay" does nothing without "requests"'),
    ("a", "{a: {period: day, connections: 1}}", '"period" does nothing without "quota"'),
    ("a", "{a: {bandwidth: 10}}", "bandwidth"),
    ("a", "{a: {by: group, connections: 1}}", "user, address"),
    ("a", "{a: {quota: 1 GiB, period: week}}", "hour, day"),
    ("fastt", "{fast: {connections: 1}}", 'did you mean "fast"'),
    ("other", "{fast: {connections: 1}}", 'there is no allowance "other"'),
])
def test_mistakes(tmp_path, name, section, words):
    path = tmp_path / "guise.yaml"
    path.write_text(f"forward: [{{listen: 127.0.0.1:0, allowance: {name}}}]\nallowances: {section}\n")
    status, stdout, stderr = run("check", "-c", str(path))
    assert status == 1
    assert words in stdout + stderr and "guise.yaml:" in stdout + stderr


def test_the_log_sums_up(stage):
    origin, guise = limited(stage, {"requests": 1, "per": "1h"})
    client = stage.client(guise.forward)
    assert [ask(client, origin).status for _ in range(3)] == [200, 429, 429]
    guise.stop()
    guise.stderr.wait(lambda line: "allowance some: " in line and "refused 2 for requests" in line, "the sum")
