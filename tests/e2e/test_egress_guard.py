"""The egress guard: only public addresses, checked on the address that is really used.

Every address is local here (see support/namespace.py), and the origin listens on all of them: whatever the guard let
through would be seen.
"""

import pytest

from support import settings

PUBLIC = "93.184.216.34"

SPECIAL4 = """
0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.64.0.1 100.127.255.255 127.0.0.0 127.0.0.1
127.0.0.53 127.255.255.255 169.254.0.1 169.254.169.254 169.254.255.255 172.16.0.0 172.16.0.1 172.31.255.255 192.0.0.0
192.0.0.1 192.0.0.8 192.0.0.170 192.0.0.171 192.0.0.255 192.0.2.0 192.0.2.1 192.0.2.255 192.88.99.1 192.88.99.2 192.168.0.0
192.168.1.1 192.168.255.255 198.18.0.0 198.18.0.1 198.19.255.255 198.51.100.0 198.51.100.1 198.51.100.255 203.0.113.0
203.0.113.1 203.0.113.255 224.0.0.1 224.0.0.251 239.255.255.250 239.255.255.255 240.0.0.0 240.0.0.1 255.255.255.254
255.255.255.255
""".split()

SPECIAL6 = """
:: ::1 ::2 ::127.0.0.1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0 ::ffff:7f00:1
64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::192.168.1.1 64:ff9b::169.254.169.254 64:ff9b:1::1 64:ff9b:1::7f00:1
64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100::1 100::ffff:ffff:ffff:ffff 100:0:0:1::1 2001::1 2001:0:7f00:1::1 2001:2::1
2001:2:0:ffff::1 2001:10::1 2001:1f::1 2001:db8::1 2001:db8:ffff:ffff::1 2002:7f00:1::1 2002:a00:1::1 2002:c0a8:101::1
2002:a9fe:a9fe::1 3fff::1 3fff:fff:ffff::1 5f00::1 5f00:ffff::1 fc00::1 fd00::1 fdff:ffff::1 fe80::1 febf:ffff::1 fec0::1
feff::1 ff02::1 ff0e::1 ffff::1
""".split()

PUBLIC4 = """
1.1.1.1 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255 169.255.0.1
172.15.255.255 172.32.0.0 192.0.1.1 192.0.3.1 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255
198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
""".split()

PUBLIC6 = "2400::1 2606:2800:220:1::1 2606:4700:4700::1111 2a00:1450::1 2001:4860:4860::8888 2001:200::1 2003::1".split()

ODD = """
0x7f.0.0.1 0x7f000001 0x7f.1 0X7F.0.0.1 2130706433 017700000001 0177.0.0.1 0177.1 127.1 127.0.1 127.0.0.1. 127.000.000.001
0127.0.0.1 00127.0.0.1 127.0.0.01 0 0.0.0.0. 0x0 00 000000000000 1 0xa9fea9fe 2852039166 169.254.43518 0251.254.169.254
10.1 192.168.257 192.168.1 172.1048577 127.0.0.1.. 127..1 .127.0.0.1 127.0.0.256 127.0.0.1.1 4294967295 4294967296 0x100000000
%31%32%37.0.0.1 127%2e0%2e0%2e1 127.0.0.1%00 127.0.0.1%20 %5b::1%5d localhost%00.example 127.0.0.1%2f 0x7f.0x0.0x0.0x1
+127.0.0.1 0x 0x.0x.0x.0x 0b1111111.0.0.1 127.0.0.0x1 ::1 ::ffff:127.0.0.1 fe80::1
[::1%25lo] [::1%lo] [fe80::1%25lo] [fe80::1%lo] [::ffff:127.1] [::ffff:0x7f.0.0.1] [::ffff:0177.0.0.1] [127.0.0.1] [v1.a]
[::1]. [::1 ::1] [] [:] [:::1] [1::2::3] [12345::1] [::ffff:127.0.0.256] [0:0:0:0:0:0:0:0:1]
""".split()

MAPPED = """
[::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:127.0.0.1] [0000:0000:0000:0000:0000:ffff:7f00:0001]
[::127.0.0.1] [::1] [0:0:0:0:0:0:0:1] [::0001] [::]
""".split()


@pytest.fixture(scope="module")
def origin(shared_stage):
    return shared_stage.origin(host="0.0.0.0")


@pytest.fixture(scope="module")
def origin6(shared_stage, origin):
    return shared_stage.origin(host="::", port=origin.port)


@pytest.fixture(scope="module")
def names(shared_stage):
    return shared_stage.names()


@pytest.fixture(scope="module")
def guise(shared_stage, names):
    return shared_stage.guise(settings.forward(resolver=names))


def ask(stage, guise, method, authority):
    client = stage.client(guise.forward)
    target = authority if method == "CONNECT" else f"http://{authority}/"
    client.send(f"{method} {target} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("latin-1"))
    return client.read_response(method)


def check_refused(stage, guise, origins, method, authority, statuses=(403,)):
    before = sum(len(origin.peers) for origin in origins)
    got = ask(stage, guise, method, authority)
    assert got.status in statuses, authority
    assert sum(len(origin.peers) for origin in origins) == before, "a connection was made"
    return got


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
@pytest.mark.parametrize("address", SPECIAL4 + SPECIAL6)
def test_special_addresses_are_refused(stage, guise, origin, origin6, method, address):
    host = f"[{address}]" if ":" in address else address
    got = check_refused(stage, guise, (origin, origin6), method, f"{host}:{origin.port}")
    assert got.error_type() == "destination_ip_prohibited"


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
@pytest.mark.parametrize("address", PUBLIC4 + PUBLIC6)
def test_public_addresses_pass(stage, guise, origin, origin6, method, address):
    """The neighbours of the special ranges are public."""
    host = f"[{address}]" if ":" in address else address
    assert ask(stage, guise, method, f"{host}:{origin.port}").status == 200


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
@pytest.mark.parametrize("host", MAPPED)
def test_mapped_forms_are_judged_by_what_is_inside(stage, guise, origin, origin6, method, host):
    check_refused(stage, guise, (origin, origin6), method, f"{host}:{origin.port}")


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
@pytest.mark.parametrize("host", ODD)
def test_odd_spellings_are_refused(stage, guise, origin, origin6, names, method, host):
    asked = len(names.queries)
    check_refused(stage, guise, (origin, origin6), method, f"{host}:{origin.port}", (400, 403))
    assert len(names.queries) == asked, "an address in disguise went to the name server"


@pytest.mark.parametrize("host", ["1e9", "127.0.0.1_", "127.0.0.1-", "-1", "x127.0.0.1x"])
def test_names_that_only_resemble_addresses_lead_nowhere(stage, guise, origin, origin6, host):
    check_refused(stage, guise, (origin, origin6), "GET", f"{host}:{origin.port}", (400, 403, 502))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "a.localhost"])
def test_localhost_is_refused(stage, guise, origin, origin6, host):
    check_refused(stage, guise, (origin, origin6), "GET", f"{host}:{origin.port}", (403, 502))


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1",
                                     "64:ff9b::7f00:1", "2002:7f00:1::1", "0.0.0.0", "::"])
def test_names_of_special_addresses_are_refused(stage, guise, names, origin, origin6, method, address):
    name = f"n{abs(hash((method, address)))}.example"
    names.set(name, **{"v6" if ":" in address else "v4": [address]})
    got = check_refused(stage, guise, (origin, origin6), method, f"{name}:{origin.port}")
    assert got.error_type() == "destination_ip_prohibited"


def test_alias_of_a_special_address_is_refused(stage, guise, names, origin, origin6):
    names.set("inner.example", v4=["10.0.0.1"])
    names.set("alias.example", alias="inner.example")
    check_refused(stage, guise, (origin, origin6), "GET", f"alias.example:{origin.port}")


def test_of_mixed_answers_the_public_ones_are_used(stage, guise, names, origin, origin6):
    names.set("mixed.example", v4=["127.0.0.1", "10.0.0.1", PUBLIC, "192.168.1.1"], v6=["::1", "fd00::1"])
    for _ in range(8):
        start = len(origin.peers), len(origin6.peers)
        assert ask(stage, guise, "CONNECT", f"mixed.example:{origin.port}").status == 200
        origin.wait_peers(start[0] + 1)
        assert [peer.local[0] for peer in origin.peers[start[0]:]] == [PUBLIC]
        assert len(origin6.peers) == start[1]


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_rebinding_between_look_up_and_connect(stage, method):
    """The name changes its answer with each look-up: what was checked is what is connected to, always."""
    for first, second in ((PUBLIC, "127.0.0.1"), ("127.0.0.1", PUBLIC)):
        names = stage.names()
        names.set("rebind.example", ttl=0, v4=lambda number, pair=(first, second): [pair[number % 2]])
        server = stage.origin(host="0.0.0.0")
        guise = stage.guise(settings.forward(resolver=names))
        statuses = [ask(stage, guise, method, f"rebind.example:{server.port}").status for _ in range(10)]
        assert set(statuses) <= {200, 403} and statuses[0] == (200 if first == PUBLIC else 403)
        assert {peer.local[0] for peer in server.peers} <= {PUBLIC}
        assert names.count("rebind.example", 1) <= 10, "more look-ups than requests"


def test_one_look_up_serves_check_and_connection(stage):
    names = stage.names()
    names.set("once.example", ttl=0, v4=[PUBLIC])
    server = stage.origin(host="0.0.0.0")
    guise = stage.guise(settings.forward(resolver=names))
    assert ask(stage, guise, "CONNECT", f"once.example:{server.port}").status == 200
    assert names.count("once.example", 1) == 1
    assert server.wait_peers(1)[0].local[0] == PUBLIC


# opening by rule

@pytest.mark.parametrize("rule, address, allowed", [
    ({"addresses": ["127.0.0.1"]}, "127.0.0.1", True),
    ({"addresses": ["127.0.0.1"]}, "127.0.0.2", False),
    ({"addresses": ["127.0.0.0/8"]}, "127.9.9.9", True),
    ({"addresses": ["10.0.0.0/8"]}, "127.0.0.1", False),
    ({"addresses": ["::1"]}, "::1", True),
    ({"addresses": ["fd00::/8"]}, "fd12::1", True),
    ({"addresses": ["127.0.0.1"]}, "::ffff:127.0.0.1", None),
    ({"addresses": ["0.0.0.0/0"]}, "127.0.0.1", True),
    ({"ports": ["1-65535"]}, "127.0.0.1", False),
    ({"methods": ["GET"]}, "127.0.0.1", False),
    ({"sources": ["127.0.0.0/8"]}, "127.0.0.1", False),
    ({"domains": ["127.0.0.1"]}, "127.0.0.1", False),
])
def test_a_rule_opens_only_by_address(stage, origin, origin6, rule, address, allowed):
    guise = stage.guise(settings.forward({"allow": rule}))
    host = f"[{address}]" if ":" in address else address
    status = ask(stage, guise, "GET", f"{host}:{origin.port}").status
    assert status in ((200, 403) if allowed is None else (200,) if allowed else (403,))


def test_a_rule_opens_names_that_resolve_into_it(stage, origin):
    names = stage.names()
    names.set("inside.example", v4=["10.1.2.3"])
    names.set("elsewhere.example", v4=["192.168.1.1"])
    guise = stage.guise(settings.forward({"allow": {"addresses": ["10.0.0.0/8"]}}, resolver=names))
    assert ask(stage, guise, "GET", f"inside.example:{origin.port}").status == 200
    assert ask(stage, guise, "GET", f"elsewhere.example:{origin.port}").status == 403


def test_a_domain_rule_does_not_open_a_private_address(stage, origin):
    names = stage.names()
    names.set("inside.example", v4=["10.1.2.3"])
    guise = stage.guise(settings.forward({"allow": {"domains": ["inside.example"]}}, resolver=names))
    assert ask(stage, guise, "GET", f"inside.example:{origin.port}").status == 403


def test_deny_wins_where_it_stands_first(stage, origin):
    guise = stage.guise(settings.forward({"deny": {"addresses": ["127.0.0.2"]}}, {"allow": {"addresses": ["127.0.0.0/8"]}}))
    assert ask(stage, guise, "GET", f"127.0.0.1:{origin.port}").status == 200
    assert ask(stage, guise, "GET", f"127.0.0.2:{origin.port}").status == 403


def test_deny_by_address_is_judged_on_the_resolved_one(stage, origin):
    names = stage.names()
    names.set("a.example", v4=[PUBLIC])
    guise = stage.guise(settings.forward({"deny": {"addresses": [f"{PUBLIC}/32"]}}, resolver=names))
    assert ask(stage, guise, "GET", f"a.example:{origin.port}").status == 403


def test_refusal_says_which_rule_would_open(stage):
    guise = stage.guise(settings.forward())
    got = ask(stage, guise, "GET", "192.168.7.8:80")
    text = got.body.decode() + "\n" + guise.stderr.text + str(guise.wait_log())
    assert "allow" in text and "addresses" in text and "192.168.7.8" in text
