"""The masks of the forward proxy: what an origin learns of the client and of the proxy."""

import re

import pytest

from support import settings
from support.origin import answering, response

PUBLIC = "93.184.216.34"
OWN = ("Via: 1.1 before\r\nX-Forwarded-For: 198.51.100.7\r\nForwarded: for=198.51.100.7\r\nProxy-Connection: keep-alive\r\n"
       "Proxy-Authorization: Basic eDp5\r\nX-Forwarded-Host: inner.example\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 198.51.100.7\r\n")


def seen(stage, mask, fields="", reply=None, source="127.0.0.77"):
    origin = stage.origin(answering(reply or response(200, b"ok")), host="0.0.0.0")
    guise = stage.guise(settings.forward(listener={"mask": mask} if mask else {}, name="masked"))
    client = stage.client(guise.forward, source=source)
    got = client.ask(f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.1\r\nHost: x\r\nX-Own: 1\r\n{fields}\r\n")
    assert got.status == 200
    return origin.requests[0], got


@pytest.mark.parametrize("mask", ["elite", None])
@pytest.mark.parametrize("fields", ["", OWN])
def test_elite_shows_neither_proxy_nor_client(stage, mask, fields):
    request, _ = seen(stage, mask, fields)
    for name in ("Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP",
                 "Proxy-Connection", "Proxy-Authorization", "Proxy-Status", "Keep-Alive", "Max-Forwards"):
        assert not request.fields.has(name), name
    everything = str(request.fields).lower()
    assert "127.0.0.77" not in everything and "198.51.100.7" not in everything
    assert "masked" not in everything and "guise" not in everything
    assert request.fields.has("X-Own")


@pytest.mark.parametrize("fields", ["", OWN])
def test_anonymous_shows_the_proxy_only(stage, fields):
    request, _ = seen(stage, "anonymous", fields)
    assert re.fullmatch(r"(.*, )?1\.1 masked-[0-9a-f]{8}", request.fields.get("Via"))
    everything = str(request.fields)
    assert "127.0.0.77" not in everything and "198.51.100.7" not in everything
    assert not request.fields.has("Proxy-Authorization") and not request.fields.has("Proxy-Connection")


def test_transparent_tells_both(stage):
    request, _ = seen(stage, "transparent")
    assert re.fullmatch(r"1\.1 masked-[0-9a-f]{8}", request.fields.get("Via"))
    told = f"{request.fields.get('X-Forwarded-For')} {request.fields.get('Forwarded')}"
    assert "127.0.0.77" in told


def test_version_in_via_is_that_of_the_message(stage):
    origin = stage.origin(host="0.0.0.0")
    guise = stage.guise(settings.forward(listener={"mask": "anonymous"}))
    stage.client(guise.forward).ask(f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.0\r\n\r\n")
    assert re.fullmatch(r"1\.0 guise-[0-9a-f]{8}", origin.requests[0].fields.get("Via"))


def test_fields_of_the_client_are_its_own(stage):
    """No mask adds, drops or reorders what describes the browser."""
    request, _ = seen(stage, "elite", "User-Agent: b/1\r\nAccept: */*\r\nCookie: a=b\r\nReferer: http://r.example/\r\nDNT: 1\r\n")
    assert [name for name in request.fields.names() if name not in ("host", "connection")] == [
        "x-own", "user-agent", "accept", "cookie", "referer", "dnt"]


@pytest.mark.parametrize("mask", ["elite", "anonymous", "transparent"])
def test_error_never_names_the_hidden(stage, mask):
    guise = stage.guise(settings.forward(listener={"mask": mask}))
    got = stage.client(guise.forward, source="127.0.0.77").ask(b"GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "127.0.0.77" not in str(got.fields) + got.body.decode()


def test_server_learns_nothing_from_pooled_connections(stage):
    """Two clients, one origin: each request carries its own fields only."""
    origin = stage.origin(host="0.0.0.0")
    guise = stage.guise(settings.forward())
    for number in range(4):
        client = stage.client(guise.forward, source=f"127.0.0.{number + 10}")
        client.ask(f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.1\r\nHost: x\r\nX-Client-{number}: 1\r\n\r\n")
        client.close()
    for number, request in enumerate(origin.requests):
        assert [name for name in request.fields.names() if name.startswith("x-client")] == [f"x-client-{number}"]
