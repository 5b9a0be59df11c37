"""Servers that come and go without a reload: addresses of names, SRV records (RFC 2782), files. A real name server, dnsmasq, changes its answers."""

import json
import os
import re
import ssl
import threading
import time

import pytest

from support import settings
from support.certificates import Authority
from support.origin import response
from support.process import run
from support.servers import LiveDnsmasq, free_port
from support.waiting import Stopwatch, stays_true, wait_for

A, B, C = "10.7.0.1", "10.7.0.2", "10.7.0.3"
A6, B6 = "fd07::1", "fd07::2"


def naming(name):
    """A script: says which server this is (None: at which address), and what Host it was asked for."""
    def script(peer):
        while (request := peer.read_request()) is not None:
            fields = [("X-Server", name or peer.sock.getsockname()[0]), ("X-Host", request.fields.get("host") or "")]
            peer.send(response(200, b"", fields=fields))
    return script


def secured(leaf):
    """The same over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)

    def script(peer):
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        naming("tls")(peer)
    return script


class Load:
    """Clients that ask all the time; what they were answered, with which server and when."""

    def __init__(self, stage, address, clients=4, path="/"):
        self.answers = []
        self.failures = []
        self.ended = False
        # On a busy machine a name server may be slower than what a start waits for it.
        wait_for(lambda: stage.client(address).get(path).status == 200, "a first answer")
        self.threads = [threading.Thread(target=self._ask, args=(stage, address, path), daemon=True)
                        for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self, stage, address, path):
        client = stage.client(address)
        try:
            while not self.ended:
                got = client.get(path)
                if got.status == 200:
                    self.answers.append(got.fields.get("x-server"))
                else:
                    self.failures.append((got.status, got.fields.get("proxy-status")))
                time.sleep(0.001)
        except Exception as error:  # pylint: disable=broad-except
            if not self.ended:
                self.failures.append(repr(error))

    def wait(self, *servers, timeout=15):
        """Until the answers are of these servers, each of them, and no other."""
        def only_these():
            start = len(self.answers)
            wait_for(lambda: len(self.answers) >= start + 60 or self.failures, "more answers")
            return set(self.answers[start + 20:]) == set(servers) or self.failures
        wait_for(only_these, f"answers of {servers} alone", timeout)
        assert not self.failures, self.failures[:5]

    def stop(self):
        self.ended = True
        for thread in self.threads:
            thread.join(10)
        assert not self.failures, self.failures[:5]
        assert self.answers


@pytest.fixture
def dns(stage):
    server = LiveDnsmasq(stage.path("dnsmasq"))
    stage.daemons.append(server)
    return server


@pytest.fixture
def farm(stage):
    """Servers on one port of several addresses."""
    port = free_port(host="0.0.0.0")
    origins = {host: stage.origin(naming(host), host=host, port=port) for host in (A, B, C, A6, B6)}
    origins["port"] = port
    return origins


def config(dns, *servers, upstream=None, **top):
    return settings.reverse(*servers, upstream=upstream, listener={"mask": False}, workers=2, resolver={
        "servers": [dns.address], "hosts": False, "timeout": "500ms", "attempts": 2}, **top)


def kinds(stage, guise, count=60):
    """Which servers answer."""
    client = stage.client(guise.reverse)
    return {client.get().fields.get("x-server") for _ in range(count)}


# ---- A and AAAA


@pytest.mark.seconds(60)
def test_addresses_come_and_go_under_load(stage, dns, farm):
    dns.set(app_test=[A])
    guise = stage.guise(config(dns, f"app.test:{farm['port']}"))
    load = Load(stage, guise.reverse)
    load.wait(A)
    dns.set(app_test=[A, B])
    load.wait(A, B)
    dns.set(app_test=[B, C])
    load.wait(B, C)
    farm[A].stop()  # nobody asks it any more
    dns.set(app_test=[C])
    load.wait(C)
    load.stop()


def test_host_is_what_was_written(stage, dns, farm):
    dns.set(app_test=[A])
    guise = stage.guise(config(dns, f"app.test:{farm['port']}", route={"set_host": "server"}))
    assert stage.client(guise.reverse).get().fields.get("x-host") == f"app.test:{farm['port']}"


@pytest.mark.seconds(60)
def test_ipv6_stands_by_for_ipv4(stage, dns, farm):
    dns.set(app_test=[A, A6, B6])
    guise = stage.guise(config(dns, f"app.test:{farm['port']}"))
    load = Load(stage, guise.reverse)
    load.wait(A)
    farm[A].stop()
    load.wait(A6, B6)
    load.stop()


def test_ipv6_alone(stage, dns, farm):
    dns.set(app_test=[A6, B6])
    guise = stage.guise(config(dns, f"app.test:{farm['port']}"))
    assert kinds(stage, guise) == {A6, B6}


@pytest.mark.parametrize("family, server", [("ipv4", A), ("ipv6", A6)])
def test_family(stage, dns, farm, family, server):
    dns.set(app_test=[A, A6])
    written = config(dns, f"app.test:{farm['port']}")
    written["resolver"]["family"] = family
    assert kinds(stage, stage.guise(written)) == {server}


@pytest.mark.seconds(60)
def test_last_good_answer_when_dns_dies(stage, dns, farm):
    dns.set(app_test=[A, B])
    guise = stage.guise(config(dns, f"app.test:{farm['port']}"))
    load = Load(stage, guise.reverse)
    load.wait(A, B)
    dns.kill()
    guise.stderr.wait(lambda line: "app.test" in line and "the last good answer stays in use" in line, "the complaint")
    load.wait(A, B)
    assert stays_true(lambda: not load.failures, 3)
    dns.start()
    guise.stderr.wait(lambda line: '"app.test": there is an answer again' in line, "the word that it works again", 20)
    dns.set(app_test=[C])
    load.wait(C)
    load.stop()
    assert guise.stderr.text.count("stays in use") == 1


@pytest.mark.seconds(60)
def test_last_good_answer_when_the_name_goes(stage, dns, farm):
    dns.set(app_test=[A])
    guise = stage.guise(config(dns, f"app.test:{farm['port']}"))
    load = Load(stage, guise.reverse)
    load.wait(A)
    dns.set()
    guise.stderr.wait(lambda line: "app.test" in line and "the last good answer stays in use" in line, "the complaint")
    load.wait(A)
    load.stop()


@pytest.mark.seconds(60)
def test_a_name_that_appears_later(stage, dns, farm):
    guise = stage.guise(config(dns, f"app.test:{farm['port']}"))
    client = stage.client(guise.reverse)
    watch = Stopwatch()
    got = client.get()
    assert watch.seconds < 1  # at once, not after a timeout
    assert got.status == 503 and got.fields.get("proxy-status") and got.fields.get("retry-after")
    dns.set(app_test=[A])
    wait_for(lambda: client.get().status == 200, "the name to be found", 20, interval=0.1)
    assert client.get().fields.get("x-server") == A


@pytest.mark.seconds(60)
def test_start_without_a_name_server(stage, dns, farm):
    dns.kill()
    watch = Stopwatch()
    guise = stage.guise(config(dns, f"app.test:{farm['port']}"))
    assert watch.seconds < 8
    client = stage.client(guise.reverse)
    assert client.get().status == 503
    dns.start()
    dns.set(app_test=[B])
    wait_for(lambda: client.get().status == 200, "the name to be found", 30, interval=0.1)


def test_first_requests_find_servers(stage, dns, farm):
    """Names are resolved before anything is answered."""
    dns.set(app_test=[A])
    for _ in range(5):
        guise = stage.guise(config(dns, f"app.test:{farm['port']}"))
        assert stage.client(guise.reverse).get().status == 200
        guise.stop()


def test_many_addresses(stage, dns):
    """More than fit in an answer over UDP."""
    port = free_port(host="0.0.0.0")
    stage.origin(naming(None), host="0.0.0.0", port=port)
    dns.set(app_test=[f"10.8.{n // 100}.{n % 100 + 1}" for n in range(200)])
    guise = stage.guise(config(dns, f"app.test:{port}"))
    assert len(kinds(stage, guise, 200)) == 200


def test_tls_name_is_that_of_the_name(stage, dns, tmp_path):
    """What was looked up does not change whom the certificate is for."""
    authority = Authority(tmp_path)
    origin = stage.origin(secured(authority.leaf("app.test")), host=A)
    dns.set(app_test=[A], other_test=[A])
    written = config(dns, f"app.test:{origin.port}", upstream={"tls": {"ca": authority.file}})
    guise = stage.guise(written)
    assert stage.client(guise.reverse).get().status == 200
    written = config(dns, f"other.test:{origin.port}", upstream={"tls": {"ca": authority.file}})
    assert stage.client(stage.guise(written).reverse).get().status == 502


# ---- SRV


@pytest.mark.seconds(90)
def test_services_under_load(stage, dns, farm):
    port = farm["port"]
    dns.set(a_test=[A], b_test=[B], c_test=[C])
    dns.set_services(f"_http._tcp.app.test,a.test,{port},10,30", f"_http._tcp.app.test,b.test,{port},10,10",
                     f"_http._tcp.app.test,c.test,{port},20,10")
    guise = stage.guise(config(dns, "srv:_http._tcp.app.test", route={"set_host": "server"}))
    load = Load(stage, guise.reverse)
    load.wait(A, B)  # c.test is of lower priority
    assert stage.client(guise.reverse).get().fields.get("x-host") in (f"a.test:{port}", f"b.test:{port}")
    client = stage.client(guise.reverse)
    load.stop()
    answers = [client.get().fields.get("x-server") for _ in range(400)]
    assert abs(answers.count(A) - 300) <= 8  # by weight
    load = Load(stage, guise.reverse)
    dns.set_services(f"_http._tcp.app.test,c.test,{port},10,10")
    load.wait(C)
    farm[A].stop()
    dns.set_services(f"_http._tcp.app.test,a.test,{port},10,10", f"_http._tcp.app.test,b.test,{port},20,10")
    load.wait(B)  # what stands behind it is used when the first is down
    load.stop()


@pytest.mark.seconds(60)
def test_a_service_that_is_not_available(stage, dns, farm):
    dns.set(a_test=[A])
    dns.set_services(f"_http._tcp.app.test,a.test,{farm['port']},0,1")
    guise = stage.guise(config(dns, "srv:_http._tcp.app.test"))
    client = stage.client(guise.reverse)
    assert client.get().status == 200
    dns.set_services("_http._tcp.app.test,.,0,0,0")
    wait_for(lambda: client.get().status == 503, "no server", 20, interval=0.05)
    dns.set_services(f"_http._tcp.app.test,a.test,{farm['port']},0,1")
    wait_for(lambda: client.get().status == 200, "a server", 20, interval=0.05)


def test_services_over_tls_are_their_targets(stage, dns, tmp_path):
    authority = Authority(tmp_path)
    origin = stage.origin(secured(authority.leaf("target.test")), host=A)
    dns.set(target_test=[A], app_test=[B])
    dns.set_services(f"_https._tcp.app.test,target.test,{origin.port},0,1")
    guise = stage.guise(config(dns, "srv:_https._tcp.app.test", upstream={"tls": {"ca": authority.file}}))
    assert stage.client(guise.reverse).get().status == 200


# ---- guise check


def check(stage, written, **options):
    path = settings.write(stage.path("check.yaml"), written)
    return (*run("check", "-c", str(path), **options), path)


def test_check_warns_of_names(stage, dns):
    dns.set(good_test=[A])
    status, out, errors, path = check(stage, f"""
reverse: [{{listen: "127.0.0.1:0", routes: [{{to: web}}]}}]
resolver: {{servers: ["{dns.address}"], hosts: false}}
upstreams:
  web:
    servers:
      - good.test:80
      - gone.test:80
      - {{address: "srv:_http._tcp.gone.test"}}
      - {{address: "one.test:80", resolve: one}}
""")
    assert status == 0 and "configuration is good" in out
    lines = errors.splitlines()
    assert [line.split(" warning: ")[0] for line in lines] == [f"{path}:8:9:", f"{path}:9:19:"]
    assert '"gone.test" does not resolve: there is no such name' in lines[0] and '"web"' in lines[0]


def test_check_does_not_hang(stage, dns):
    dns.kill()
    names = [f"n{n}.test:80" for n in range(500)]
    watch = Stopwatch()
    status, _, errors, _ = check(stage, config(dns, *names))
    assert status == 0 and "n0.test" in errors
    assert watch.seconds < 6


# ---- files


def write(path, content, rename=True):
    text = content if isinstance(content, str) else json.dumps(content)
    if not rename:
        path.write_text(text, encoding="utf-8")
        return
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


@pytest.fixture
def listed(stage, farm):
    """(farm, addresses, path, start): Guise with a file of servers."""
    path = stage.directory / "servers.yaml"
    addresses = {host: farm[host].address for host in (A, B, C)}

    def start(**upstream):
        group = dict({"file": str(path)}, **upstream)
        return stage.guise({"workers": 2, "reverse": [{"listen": "127.0.0.1:0", "mask": False, "routes": [{"to": "web"}]}],
                            "upstreams": {"web": group}})
    return farm, addresses, path, start


@pytest.mark.seconds(60)
@pytest.mark.parametrize("rename", [True, False], ids=["renamed", "in place"])
def test_files_under_load(stage, listed, rename):
    farm, at, path, start = listed
    write(path, f"- {at[A]}\n- {{address: \"{at[B]}\", weight: 2}}\n", rename)
    guise = start()
    load = Load(stage, guise.reverse)
    load.wait(A, B)
    write(path, [at[B], {"address": at[C], "weight": 3}], rename)  # JSON
    load.wait(B, C)
    farm[A].stop()
    write(path, f"[{{address: '{at[C]}'}}]", rename)
    load.wait(C)
    write(path, f"- {at[B]}\n- address: {at[C]}\n  backup: true\n", rename)
    load.wait(B)
    load.stop()


@pytest.mark.seconds(60)
def test_files_with_mistakes_change_nothing(stage, listed):
    _, at, path, start = listed
    write(path, [at[A]])
    guise = start()
    load = Load(stage, guise.reverse)
    load.wait(A)
    mistakes = [
        ("- [half", r":2:1: "), ("", "nothing"), (f"- {{address: '{at[B]}', weight: 257}}\n", r":1:\d+: .*weight"),
        ("servers: []", "a mapping"), ("- {adress: x}", "adress"), (json.dumps([at[B]])[:-3], r":1:\d+: "),
        ("- nowhere\n", r":1:3: .*port"),
    ]
    for content, said in mistakes:
        mark = len(guise.stderr.lines)
        write(path, content)
        line = guise.stderr.wait(lambda line: "the old servers stay in use" in line, "a complaint", start=mark)
        assert re.search(re.escape(str(path)) + ".*" + said, line), line
    mark = len(guise.stderr.lines)
    path.unlink()
    guise.stderr.wait(lambda line: "is not there" in line, "a complaint", start=mark)
    assert stays_true(lambda: len(guise.stderr.lines) == mark + 1, 2.5)  # once
    load.wait(A)
    write(path, [at[B]])
    load.wait(B)
    load.stop()


@pytest.mark.seconds(60)
def test_an_empty_list_is_no_mistake(stage, listed):
    _, at, path, start = listed
    write(path, "[]")
    guise = start()
    client = stage.client(guise.reverse)
    got = client.get()
    assert got.status == 503 and got.fields.get("proxy-status") and got.fields.get("retry-after")
    write(path, [at[A]])
    wait_for(lambda: client.get().status == 200, "a server", interval=0.05)
    write(path, "[]")
    wait_for(lambda: client.get().status == 503, "no server", interval=0.05)


@pytest.mark.seconds(60)
def test_names_in_files(stage, dns, farm):
    path = stage.directory / "names.yaml"
    dns.set(app_test=[A], new_test=[B])
    dns.set_services(f"_s._tcp.test,new.test,{farm['port']},0,1")
    write(path, [f"app.test:{farm['port']}"])
    guise = stage.guise(config(dns, upstream={"file": str(path)}))
    load = Load(stage, guise.reverse)
    load.wait(A)
    write(path, [f"new.test:{farm['port']}"])
    load.wait(B)  # without a gap: the old one goes when the new one is known
    dns.set(app_test=[A], new_test=[C])
    load.wait(C)
    write(path, ["srv:_s._tcp.test"])
    load.wait(C)
    load.stop()


def test_files_beside_servers(stage, listed):
    farm, at, path, start = listed
    write(path, [at[B], at[A]])
    guise = start(servers=[at[A]])
    assert kinds(stage, guise) == {A, B}
    assert farm


@pytest.mark.parametrize("content, place, said", [
    ("- {address: '10.0.0.1:80', weight: 0}", "1:36", "weight"),
    ("- 10.0.0.1", "1:3", "port"),
    ("{}", "1:1", "nothing"),
    (None, None, "No such file"),
])
def test_mistakes_at_start(stage, content, place, said):
    path = stage.directory / "list.yaml"
    if content:
        path.write_text(content, encoding="utf-8")
    status, _, errors, written = check(stage, {
        "reverse": [{"listen": "127.0.0.1:0", "mask": False, "routes": [{"to": "web"}]}], "upstreams": {"web": {"file": str(path)}}})
    assert status == 1
    assert (f"{path}:{place}: " if place else str(written)) in errors and said in errors


@pytest.mark.parametrize("group", [{}, {"servers": []}])
def test_a_group_without_servers(stage, group):
    status, _, errors, path = check(stage, {
        "reverse": [{"listen": "127.0.0.1:0", "mask": False, "routes": [{"to": "web"}]}], "upstreams": {"web": group}})
    assert status == 1 and "the upstream \"web\" has no servers" in errors and str(path) in errors


def test_relative_to_the_configuration(stage, farm):
    (stage.directory / "rel.yaml").write_text(json.dumps([farm[A].address]), encoding="utf-8")
    guise = stage.guise({"workers": 1, "reverse": [{"listen": "127.0.0.1:0", "mask": False, "routes": [{"to": "web"}]}],
                         "upstreams": {"web": {"file": "rel.yaml"}}})
    assert kinds(stage, guise, 3) == {A}
