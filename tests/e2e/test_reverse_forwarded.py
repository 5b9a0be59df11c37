"""Reverse: what servers are told of the client (X-Forwarded-*, Forwarded of RFC 7239), and whom we believe."""

import pytest

from support import settings

SPOOFED = ("X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n"
           "Forwarded: for=198.51.100.7;proto=https;host=evil.test\r\nX-Real-IP: 198.51.100.7\r\n")


def seen(stage, fields="", listener=None, source=None, host="a.test"):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, listener=listener))
    assert stage.client(guise.reverse, source=source).get("/", host=host, fields=fields).status == 200
    return origin.requests[0].fields


def test_both_kinds_by_default(stage):
    fields = seen(stage, host="a.test:81")
    assert fields.all("X-Forwarded-For") == ["127.0.0.1"]
    assert fields.all("X-Forwarded-Proto") == ["http"]
    assert fields.all("X-Forwarded-Host") == ["a.test:81"]
    forwarded = fields.get("Forwarded").lower()
    assert "for=127.0.0.1" in forwarded.replace('"', "") and "proto=http" in forwarded
    assert 'host="a.test:81"' in forwarded


def test_unbelieved_fields_are_dropped(stage):
    fields = seen(stage, SPOOFED)
    assert fields.all("X-Forwarded-For") == ["127.0.0.1"]
    assert fields.all("X-Forwarded-Proto") == ["http"]
    assert fields.all("X-Forwarded-Host") == ["a.test"]
    assert "198.51.100.7" not in fields.get("Forwarded") and "evil" not in fields.get("Forwarded")


def test_fields_of_a_trusted_hop_are_extended(stage):
    fields = seen(stage, SPOOFED, listener={"trusted": ["127.0.0.0/8"]})
    assert fields.get("X-Forwarded-For") == "198.51.100.7, 127.0.0.1"
    assert fields.get("X-Forwarded-Proto") == "https"
    assert fields.get("X-Forwarded-Host") == "evil.test"
    first, second = fields.get("Forwarded").split(",")
    assert "198.51.100.7" in first and "127.0.0.1" in second


def test_trust_is_by_the_address_of_the_peer(stage):
    fields = seen(stage, SPOOFED, listener={"trusted": ["10.0.0.0/8"]})
    assert fields.all("X-Forwarded-For") == ["127.0.0.1"]


@pytest.mark.parametrize("how, x_forwarded, rfc7239", [
    ("both", True, True), ("x_forwarded", True, False), ("rfc7239", False, True), ("off", False, False)])
def test_what_is_sent_is_a_choice(stage, how, x_forwarded, rfc7239):
    fields = seen(stage, SPOOFED, listener={"forwarded": how})
    assert fields.has("X-Forwarded-For") == x_forwarded
    assert fields.has("Forwarded") == rfc7239
    assert "198.51.100.7" not in str([value for name, value in fields if "orwarded" in name])


def test_ipv6_client_is_spelt_right(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, listener={"listen": "[::1]:0"}))
    stage.client(guise.reverse).get()
    fields = origin.requests[0].fields
    assert fields.get("X-Forwarded-For") == "::1"
    assert 'for="[::1]"' in fields.get("Forwarded")


def test_ipv4_client_of_a_dual_stack_listener_is_ipv4(stage):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, listener={"listen": ":0"}))
    port = guise.listeners[0][1][1]
    stage.client(("127.0.0.1", port)).get()
    stage.client(("::1", port)).get()
    assert [request.fields.get("X-Forwarded-For") for request in origin.requests] == ["127.0.0.1", "::1"]


def test_unix_client_has_no_address(stage, tmp_path):
    origin = stage.origin()
    guise = stage.guise(settings.reverse(origin, listener={"listen": f"unix:{tmp_path}/r.sock"}))
    assert stage.client(guise.reverse).get(fields=SPOOFED).status == 200
    fields = origin.requests[0].fields
    assert "198.51.100.7" not in str(fields.get("X-Forwarded-For"))


@pytest.mark.parametrize("value", ['for="a\\"b"', "for=;;;,,,", "for=\"unterminated", "x" * 4000, ",,,,", "for=[::1]"])
def test_malformed_forwarded_of_a_trusted_hop_does_no_harm(stage, value):
    fields = seen(stage, f"Forwarded: {value}\r\nX-Forwarded-For: {value}\r\n", listener={"trusted": ["127.0.0.1/32"]})
    assert "127.0.0.1" in fields.get("Forwarded") and "127.0.0.1" in fields.get("X-Forwarded-For")
