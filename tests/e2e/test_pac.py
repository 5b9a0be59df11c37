"""The script that browsers are given: what it says, judged by a JavaScript engine and by Chromium; and how it is served."""

import ipaddress
import json
import random
import subprocess

import pytest

from support import settings
from support.certificates import Authority
from support.origin import response
from support.process import run
from support.servers import ENVIRONMENT, program

PUBLIC = "93.184.216.34"
VIA, DIRECT = "via", "direct"


def fetch(stage, guise, path="/proxy.pac", host=None, fields=(), method="GET", version="HTTP/1.1"):
    client = stage.client(guise.forward)
    lines = [f"{method} {path} {version}"]
    lines += [f"Host: {host or '%s:%d' % guise.forward}"] if host != "" else []
    lines += [f"{name}: {value}" for name, value in fields]
    client.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    return client.read_response(method)


def evaluate(stage, script, urls):
    """What FindProxyForURL says of each URL."""
    def host_of(url):
        place = url.split("/")[2]
        return place[:place.index("]") + 1] if place.startswith("[") else place.split(":")[0]
    # Engines differ in whether a literal has its brackets.
    calls = [(url, host_of(url)) for url in urls] + [(url, host_of(url).strip("[]")) for url in urls]
    path = stage.path("script.js")
    path.write_text(script + "\n" + "".join(f"print(FindProxyForURL({json.dumps(url)}, {json.dumps(host)}));\n"
                                            for url, host in calls), encoding="utf-8")
    done = subprocess.run([program("duk"), str(path)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    lines = done.stdout.splitlines()
    assert lines[:len(urls)] == lines[len(urls):]
    return lines[:len(urls)]


def judge(stage, config, cases):
    """Whether the browser goes there directly: compared with `cases`, URL -> VIA or DIRECT."""
    guise = stage.guise(config)
    got = fetch(stage, guise)
    assert got.status == 200
    answers = evaluate(stage, got.body.decode(), list(cases))
    place = "%s:%d" % guise.forward
    words = {f"PROXY {place}; SOCKS5 {place}": VIA, "DIRECT": DIRECT}
    assert {url: words.get(answer, answer) for url, answer in zip(cases, answers)} == cases


def forward(*rules, pac=True, **more):
    return settings.forward(*rules, listener=dict({"pac": pac}, **more))


# what it says

INSIDE = """
http://intranet/ http://localhost/ http://10.0.0.1/ http://10.255.255.255:8080/ https://172.16.0.1/ http://172.31.255.255/
http://192.168.1.1/ http://169.254.169.254/ http://127.0.0.1/ http://100.64.0.1/ http://[::1]/ http://[fd00::1]:80/
http://[fe80::1]/ http://printer.local/ http://a.internal/ http://a.localhost/ http://nas.home.arpa/ http://0.0.0.0/
http://[::ffff:10.0.0.1]/ http://[::ffff:a00:1]/
""".split()

OUTSIDE = """
http://a.example/ https://a.example/ http://A.EXAMPLE./ ws://a.example/ wss://a.example/ ftp://a.example/ http://9.255.255.255/
http://11.0.0.1/ http://172.15.255.255/ http://172.32.0.0/ http://192.167.255.255/ http://[2606:4700::1111]/
http://[fec0::1]/ http://[fbff::1]/ http://10.example/ http://10.0.0.1.example/ http://local.example/ http://xlocal.example/
http://[::ffff:11.0.0.1]/ http://a.example:10/ http://a.example/?u=http://intranet/ http://a.example/10.0.0.1:80
""".split()


def test_without_rules(stage):
    judge(stage, forward(), {**{url: DIRECT for url in INSIDE}, **{url: VIA for url in OUTSIDE}})


def test_rules_open_what_only_inside_networks_have(stage):
    rules = [{"allow": {"domains": ["intranet", "*.internal"]}}, {"allow": {"addresses": ["10.1.0.0/16", "fd00:1::/32"]}},
             {"allow": {"ports": [80]}}, {"allow": {}}]
    judge(stage, forward(*rules), {
        "http://intranet/": VIA, "http://other/": DIRECT, "http://a.internal/": VIA, "http://internal/": DIRECT,
        "http://10.1.2.3/": VIA, "http://10.2.2.3/": DIRECT, "http://[fd00:1::5]/": VIA, "http://[fd00:2::5]/": DIRECT,
        "http://192.168.1.1/": DIRECT, "http://a.example/": VIA})


def test_rules_that_say_direct_in_their_order(stage):
    rules = [{"deny": {"domains": ["bad.updates.example"]}},
             {"allow": {"domains": [".updates.example"], "ports": ["80", "8000-8080"]}, "pac": "direct"},
             {"allow": {"domains": ["*.below.example"]}, "pac": "direct"},
             {"allow": {"domains": ["exact.example"], "schemes": ["tunnel"]}, "pac": "direct"},
             {"allow": {"addresses": ["93.184.0.0/16", "2606::/16", "198.51.100.7"]}, "pac": "direct"},
             {"allow": {}}]
    judge(stage, forward(*rules), {
        "http://bad.updates.example/": VIA, "http://updates.example/": DIRECT, "http://a.b.updates.example/": DIRECT,
        "http://xupdates.example/": VIA, "http://updates.example.evil.example/": VIA, "https://updates.example/": VIA,
        "http://updates.example:8000/": DIRECT, "https://updates.example:8080/": DIRECT, "http://updates.example:8081/": VIA,
        "http://updates.example:7999/": VIA, "http://UPDATES.example./": DIRECT,
        "http://below.example/": VIA, "http://a.below.example/": DIRECT,
        "http://exact.example/": VIA, "https://exact.example/": DIRECT, "wss://exact.example/": DIRECT,
        "ws://exact.example/": DIRECT, "https://a.exact.example/": VIA,
        "http://93.184.216.34/": DIRECT, "http://93.185.0.0/": VIA, "http://[2606:1::2]/": DIRECT, "http://[2607::2]/": VIA,
        "http://198.51.100.7/": DIRECT, "http://198.51.100.8/": VIA,
        "http://93.184.216.34.example/": VIA})


def test_rules_that_a_browser_cannot_judge_are_passed_over(stage):
    rules = [{"allow": {"domains": ["a.example"], "sources": ["127.0.0.1"]}, "pac": "direct"},
             {"deny": {"regex": ["^b"], "domains": ["b.example"]}},
             {"allow": {"domains": ["b.example"]}, "pac": "direct"},
             {"allow": {}}]
    config = forward(*rules)
    judge(stage, config, {"http://a.example/": VIA, "http://b.example/": DIRECT})
    status, _, errors = run("check", "-c", str(settings.write(stage.path("guise.yaml"), config)))
    assert status == 0 and "cannot judge" in errors


def test_direct_comes_before_all_rules(stage):
    pac = {"direct": ["*.corp.example", "one.example", ".both.example", "10.9.0.0/16", "93.184.216.34", "2606::/16"]}
    judge(stage, forward({"allow": {"addresses": ["10.0.0.0/8"]}}, {"allow": {}}, pac=pac), {
        "http://a.corp.example/": DIRECT, "http://corp.example/": VIA, "http://one.example/": DIRECT,
        "http://a.one.example/": VIA, "http://both.example/": DIRECT, "http://a.both.example/": DIRECT,
        "http://10.9.1.1/": DIRECT, "http://10.8.1.1/": VIA, "http://93.184.216.34/": DIRECT, "http://93.184.216.35/": VIA,
        "http://[2606::9]/": DIRECT})


def test_random_networks_agree_with_python(stage):
    """The script's arithmetic beside ipaddress."""
    draw = random.Random(7)
    networks, cases = [], {}
    for _ in range(60):
        wide = draw.random() < 0.5
        bits, prefix = (128, draw.randrange(4, 129)) if wide else (32, draw.randrange(4, 33))
        base = draw.getrandbits(bits) | ((0x2 << 124) if wide else 0)
        networks.append(ipaddress.ip_network((base, prefix), strict=False))
    for network in networks:
        for delta in (-1, 0, network.num_addresses - 1, network.num_addresses):
            number = int(network.network_address) + delta
            if not 0 <= number < 1 << network.max_prefixlen:
                continue
            address = (ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address)(number)
            plain = address.ipv4_mapped if network.version == 6 and address.ipv4_mapped else address
            inside = any(plain in other for other in networks if other.version == plain.version)
            host = f"[{address}]" if address.version == 6 else str(address)
            cases[f"http://{host}/"] = inside
    guise = stage.guise(forward({"allow": {"addresses": [str(network) for network in networks]}, "pac": "direct"}))
    answers = evaluate(stage, fetch(stage, guise).body.decode(), list(cases))
    without = evaluate(stage, fetch(stage, stage.guise(forward())).body.decode(), list(cases))
    wrong = [url for url, answer, other in zip(cases, answers, without)
             if (answer == "DIRECT") != (cases[url] or other == "DIRECT")]
    assert not wrong


# how it is served

@pytest.mark.parametrize("path", ["/proxy.pac", "/wpad.dat", "/proxy.pac?x=1"])
def test_it_is_served_to_those_who_ask_the_listener_itself(stage, path):
    guise = stage.guise(forward())
    got = fetch(stage, guise, path)
    assert got.status == 200 and got.fields.get("content-type") == "application/x-ns-proxy-autoconfig"
    again = fetch(stage, guise, path, fields=[("If-None-Match", got.fields.get("etag"))])
    assert (again.status, again.body) == (304, b"")
    assert fetch(stage, guise, path, fields=[("If-None-Match", '"other"')]).status == 200
    head = fetch(stage, guise, path, method="HEAD")
    assert (head.status, head.body, head.fields.get("etag")) == (200, b"", got.fields.get("etag"))
    assert fetch(stage, guise, path, method="POST").status == 400
    assert fetch(stage, guise, "/other").status == 400


def test_none_without_the_key_and_none_of_others(stage):
    origin = stage.origin(host=PUBLIC)
    assert fetch(stage, stage.guise(settings.forward())).status == 400
    assert fetch(stage, stage.guise(forward(pac=False))).status == 400
    guise = stage.guise(forward())
    got = fetch(stage, guise, f"http://{PUBLIC}:{origin.port}/proxy.pac", host=f"{PUBLIC}:{origin.port}")
    assert got.body == b"ok"


@pytest.mark.parametrize("host, place", [
    ("proxy.example:3128", "proxy.example:3128"), ("wpad.example", "wpad.example:80"), ("WPAD", "wpad:80"),
    ("[2001:db8::1]:8080", "[2001:db8::1]:8080"), ("192.0.2.7:1", "192.0.2.7:1"),
])
def test_the_proxy_is_where_the_browser_asked(stage, host, place):
    guise = stage.guise(forward())
    script = fetch(stage, guise, host=host).body.decode()
    assert evaluate(stage, script, ["http://a.example/"]) == [f"PROXY {place}; SOCKS5 {place}"]


def test_the_proxy_is_where_it_listens_or_as_configured(stage):
    guise = stage.guise(forward())
    place = "%s:%d" % guise.forward
    script = fetch(stage, guise, host="", version="HTTP/1.0").body.decode()
    assert evaluate(stage, script, ["http://a.example/"]) == [f"PROXY {place}; SOCKS5 {place}"]
    guise = stage.guise(forward(pac={"address": "proxy.example:3128"}))
    script = fetch(stage, guise, host="other:1").body.decode()
    assert evaluate(stage, script, ["http://a.example/"]) == ["PROXY proxy.example:3128; SOCKS5 proxy.example:3128"]


@pytest.mark.parametrize("host", ['a";alert(1);"', "a\\", "a'b", "a\tb", "<x>", "a b", "a;b", "%22", "a/b", "ü"])
def test_hosts_cannot_write_into_it(stage, host):
    guise = stage.guise(forward())
    assert fetch(stage, guise, host=host).status == 400


def test_of_a_listener_with_users_and_sources(stage):
    users = stage.path("users")
    users.write_text("ann:$6$abcdefgh$" + "x" * 86 + "\n", encoding="ascii")
    guise = stage.guise(forward(users=str(users)))
    got = fetch(stage, guise)
    place = "%s:%d" % guise.forward
    assert evaluate(stage, got.body.decode(), ["http://a.example/"]) == [f"PROXY {place}"]
    assert fetch(stage, stage.guise(forward(sources=["192.0.2.1"]))).status == 403


def test_over_tls_by_both_protocols(stage, tmp_path):
    authority = Authority(tmp_path)
    leaf = authority.leaf("proxy.example", "127.0.0.1")
    tls = {"certificates": [leaf.item]}
    guise = stage.guise(forward(tls=tls))
    for version in ("--http1.1", "--http2"):
        done = subprocess.run([program("curl"), "-s", version, "--cacert", authority.file, "--resolve",
                               f"proxy.example:{guise.forward[1]}:127.0.0.1",
                               f"https://proxy.example:{guise.forward[1]}/proxy.pac"],
                              env=ENVIRONMENT, capture_output=True, text=True, timeout=20, check=False)
        assert evaluate(stage, done.stdout, ["http://a.example/"]) == [f"HTTPS proxy.example:{guise.forward[1]}"], version


@pytest.mark.parametrize("pac, words", [
    ({"address": "proxy"}, "a host and a port"), ({"address": "a\":1"}, "a host and a port"),
    ({"direct": ["a b"]}, "no pattern of names"), ({"direct": ["10.0.0.1/8"]}, "no pattern of names"),
])
def test_mistakes_are_told(stage, pac, words):
    status, _, errors = run("check", "-c", str(settings.write(stage.path("guise.yaml"), forward(pac=pac))))
    assert status != 0 and words in errors, errors


def test_many_domains(stage):
    """Large rules have their place; what is too large for a browser is passed over, and said so."""
    names = [f"{number}.some-rather-long-name.example" for number in range(20000)]
    rules = [{"allow": {"domains": names}, "pac": "direct"}, {"allow": {}}]
    judge(stage, forward(*rules), {"http://19999.some-rather-long-name.example/": DIRECT, "http://b.example/": VIA})
    rules.insert(0, {"allow": {"domains": ["more." + name for name in names]}, "pac": "direct"})
    config = forward(*rules)
    _, _, errors = run("check", "-c", str(settings.write(stage.path("guise.yaml"), config)))
    assert "no room for this rule" in errors
    assert len(fetch(stage, stage.guise(config)).body) < 1 << 20


@pytest.mark.seconds(90)
def test_chromium(stage, tmp_path):
    """A page through the proxy, one beside it."""
    def page(peer):
        while peer.read_request() is not None:
            peer.send(response(200, b"<p>hello</p>", [("Content-Type", "text/html")]))
    names = stage.names()
    origin = stage.origin(page, host="0.0.0.0")
    names.set("by-proxy.example", v4=[PUBLIC])
    config = forward({"allow": {"addresses": ["93.184.216.40"]}, "pac": "direct"}, {"allow": {}})
    config["resolver"] = {"servers": [names.address], "hosts": False}
    guise = stage.guise(config)
    for url in (f"http://by-proxy.example:{origin.port}/", f"http://93.184.216.40:{origin.port}/"):
        done = subprocess.run([program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                               "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
                               f"--user-data-dir={tmp_path}/chromium", "--proxy-pac-url=http://%s:%d/proxy.pac" % guise.forward,
                               "--dump-dom", url], stdin=subprocess.DEVNULL, capture_output=True,
                              env=dict(ENVIRONMENT, HOME=str(tmp_path)), timeout=50, check=False)
        assert b"<p>hello</p>" in done.stdout, done.stderr[-2000:]
    entries = [entry["target"] for entry in guise.log_entries() if "/proxy.pac" not in entry["target"]]
    assert any("by-proxy.example" in target for target in entries)
    assert not any("93.184.216.40" in target for target in entries)
    assert {peer.local[0] for peer in origin.peers} == {PUBLIC, "93.184.216.40"}
