"""The same messages straight to nginx and through Guise to nginx: whatever Guise lets through means the same there.

What goes through may be refused by Guise where nginx is lenient (that is the point), never the other way round with
another meaning: the same number of requests, the same targets, the same bodies.
"""

import json

import pytest

from support import settings
from support.client import Client, chunked, request
from support.origin import response
from support.wire import Closed, Truncated, WireError

LOCATIONS = r"""
        location / {
            add_header X-Target $request_uri always;
            add_header X-Method $request_method always;
            add_header X-Length "$http_content_length" always;
            add_header X-Coding "$http_transfer_encoding" always;
            add_header X-Custom "$http_x_custom" always;
            return 200 "$request_uri";
        }
        location /body/ { proxy_pass http://BODY; proxy_http_version 1.1; proxy_request_buffering on; }
"""

MESSAGES = {
    "get": request(),
    "query": request(target="/a?b=c&d=%20"),
    "double slash": request(target="//a//b"),
    "dots": request(target="/a/../b"),
    "encoded dots": request(target="/a/%2e%2e/b"),
    "encoded slash": request(target="/a%2fb"),
    "semicolon": request(target="/a;b=c"),
    "long": request(target="/" + "a" * 4000),
    "absolute": request(target="http://a.test/x"),
    "absolute without path": request(target="http://a.test"),
    "absolute in capitals": request(target="HTTP://A.TEST/x"),
    "head": request("HEAD"),
    "options": request("OPTIONS"),
    "put": request("PUT", body=b"hello"),
    "post": request("POST", "/body/x", body=b"hello"),
    "post of nothing": b"POST /body/x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
    "chunked": request("POST", "/body/x", fields=[("Transfer-Encoding", "chunked")]) + chunked(b"hel", b"lo"),
    "chunked in capitals": request("POST", "/body/x", fields=[("Transfer-Encoding", "Chunked")]) + chunked(b"hello"),
    "chunk extensions": request("POST", "/body/x", fields=[("Transfer-Encoding", "chunked")])
                        + b'5;a="b"\r\nhello\r\n0\r\n\r\n',
    "trailers": request("POST", "/body/x", fields=[("Transfer-Encoding", "chunked")]) + chunked(b"x", trailers=[("T", "1")]),
    "custom field": request(fields=[("X-Custom", "a b\tc")]),
    "custom field twice": request(fields=[("X-Custom", "a"), ("X-Custom", "b")]),
    "white space around a value": b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Custom: \t a \t \r\n\r\n",
    "empty field": request(fields=[("X-Custom", "")]),
    "high bytes": request(fields=[("X-Custom", "\xe9\xff")]),
    "old": b"GET /old HTTP/1.0\r\n\r\n",
    "old with keep-alive": b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "two in a row": request(target="/1") + request(target="/2"),
    "post and get in a row": request("POST", "/body/1", body=b"hello") + request(target="/2"),
    "chunked and get in a row": request("POST", "/body/1", fields=[("Transfer-Encoding", "chunked")]) + chunked(b"hello")
                                + request(target="/2"),
    "empty lines between": request(target="/1") + b"\r\n" + request(target="/2"),
    "close and more": request(target="/1", fields=[("Connection", "close")]) + request(target="/2"),
    "length and coding": request("POST", "/body/x", fields=[("Content-Length", "4"), ("Transfer-Encoding", "chunked")])
                         + chunked(b"hello") + request(target="/2"),
    "two lengths": request("POST", "/body/x", fields=[("Content-Length", "5"), ("Content-Length", "6")]) + b"hello!",
    "coding on HTTP/1.0": b"POST /body/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello"),
    "bare LF": b"GET / HTTP/1.1\nHost: a.test\n\n",
    "bare LF in chunks": request("POST", "/body/x", fields=[("Transfer-Encoding", "chunked")]) + b"5\nhello\n0\n\n",
    "folded": b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Custom: a\r\n b\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Custom : a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
    "underscore field": b"GET / HTTP/1.1\r\nHost: a.test\r\nX_Custom: a\r\n\r\n",
    "version 1.2": b"GET / HTTP/1.2\r\nHost: a.test\r\n\r\n",
    "expect": request("POST", "/body/x", fields=[("Expect", "100-continue"), ("Content-Length", "5")]) + b"hello",
}


@pytest.fixture(scope="module")
def servers(shared_stage):
    """nginx, and Guise before it; an origin behind nginx tells the bodies."""


    def script(peer):
        while (got := peer.read_request()) is not None:
            peer.send(response(200, json.dumps([got.method, got.target, got.body.decode("latin-1")]).encode()))
    bodies = shared_stage.origin(script)
    nginx = shared_stage.nginx(LOCATIONS.replace("BODY", bodies.address))
    guise = shared_stage.guise(settings.reverse(nginx.address))
    return ("127.0.0.1", nginx.port), guise


def talk(address, data):
    """What a client sees of this: [(status, target, method, body)...] until the end or silence."""
    client = Client(address, timeout=10)
    client.send(data)
    client.half_close()
    answers = []
    try:
        while True:
            method = "HEAD" if data.startswith(b"HEAD") else "GET"
            got = client.read_response(method)
            answers.append((got.status, got.fields.get("X-Target"), got.fields.get("X-Method"), got.fields.get("X-Custom"), got.body))
    except (Closed, Truncated, WireError, OSError):
        pass
    finally:
        client.close()
    return answers


@pytest.mark.parametrize("name", MESSAGES)
def test_same_meaning(servers, name):
    direct, guise = servers
    data = MESSAGES[name]
    expected, got = talk(direct, data), talk(guise.reverse, data)
    assert got, "no answer at all"
    served = [answer for answer in got if answer[0] == 200]
    reference = [answer for answer in expected if answer[0] == 200]
    if got[-1][0] in (400, 501, 505):
        assert len(served) <= len(reference)
        return
    if name.startswith("absolute"):
        assert len(got) == len(expected)
        return
    assert served == reference[:len(served)]
    assert len(got) == len(expected)


def test_nothing_is_left_over(servers):
    """After all of the above, a plain client still gets its own answer."""
    _, guise = servers
    for number in range(20):
        answer = talk(guise.reverse, request(target=f"/left/{number}"))
        assert [one[1] for one in answer] == [f"/left/{number}"]
