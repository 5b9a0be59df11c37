"""guise audit -c: a configuration on its real data path, with everybody else played by an observer."""

import json
import socket
import threading
import xml.etree.ElementTree

import pytest

from support import settings
from support.certificates import Authority
from support.process import run


@pytest.fixture
def audit(tmp_path):
    """Audits a configuration: (status, reports by their subject's first word, what was said)."""
    def call(config, *options):
        path = settings.write(tmp_path / "guise.yaml", config)
        status, out, errors = run("audit", "-c", str(path), "--format", "json", *options, timeout=60)
        reports = json.loads(out) if out else []
        return status, {report["subject"].partition(",")[0]: report for report in reports}, errors
    return call


def with_verdict(report, verdict):
    return {channel["id"] for channel in report["channels"] if channel["verdict"] == verdict}


def channel(report, identity):
    return next(item for item in report["channels"] if item["id"] == identity)


# Of "secret", by mkpasswd -m sha512crypt
HASH = ("$6$kimskims$f7eNj2pcE/sEx49hxSpbZDVH6WoCrGw7UY4GWsIXiIrrODhl"
        "XzJBaLRey79HY7iOkAQE6sb6rGO/r/Hp/9KnO.")

REVERSE = {"listen": ":80", "routes": [{"host": "shop.example", "path": "/api/", "to": "api"},
                                       {"host": ["*.shop.example", "shop.example"], "to": "shop"}]}
UPSTREAMS = {"api": {"servers": ["api.internal:8080"], "health": {"path": "/up"}},
             "shop": {"servers": ["10.1.2.3:80", "10.1.2.4:80"]}}


def test_defaults_pass(audit):
    status, reports, errors = audit({"forward": [{"listen": "127.0.0.1:3128"}], "reverse": [REVERSE],
                                     "upstreams": UPSTREAMS})
    assert status == 0, errors
    assert set(reports) == {"forward[0]", "reverse[0]"}
    forward, reverse = reports["forward[0]"], reports["reverse[0]"]
    assert forward["grade"] == "elite" and reverse["grade"] == "masked"
    for report in reports.values():
        assert report["passed"] and not with_verdict(report, "leaks") and not with_verdict(report, "altered")
    assert channel(reverse, "route.0")["saw"] == "shop.example/api/"
    assert channel(reverse, "route.1")["saw"] == "audit.shop.example/"
    # Clients come from outside; the server is told so.
    assert channel(reverse, "server.X-Forwarded-For")["saw"] == "route 0: 198.51.100.7"


def test_masks_off(audit):
    config = {"forward": [{"listen": ":3128", "mask": "transparent", "sources": ["198.51.100.0/24"]}],
              "reverse": [dict(REVERSE, mask=False)], "upstreams": UPSTREAMS}
    status, reports, _ = audit(config)
    assert status == 1
    assert reports["forward[0]"]["grade"] == "transparent" and reports["reverse[0]"]["grade"] is None
    leaks = with_verdict(reports["reverse[0]"], "leaks")
    assert {"software.server", "reference.location", "inside.unknown-name"} <= leaks
    assert "api.internal:8080" in channel(reports["reverse[0]"], "inside.unknown-name")["saw"]
    assert any(item.startswith("field.") for item in with_verdict(reports["forward[0]"], "leaks"))
    config["reverse"] = [REVERSE]
    status, reports, _ = audit(config, "--expect", "transparent", "--expect", "quiet")
    assert status == 0 and reports["forward[0]"]["expect"] == "transparent"
    assert reports["reverse[0]"]["expect"] == "quiet"


def test_tls_on_both_sides(audit, tmp_path):
    """The servers' certificates are verified as configured: the observer's authority is believed besides; HTTP/2 is spoken."""
    authority = Authority(tmp_path)
    config = {"reverse": [{"listen": "203.0.113.9:443", "tls": {"certificates": [authority.leaf("shop.example").item]},
                           "routes": [{"host": "shop.example", "to": "shop"}]}],
              "upstreams": {"shop": {"servers": ["shop.internal:8443"], "tls": {"ca": authority.file}}}}
    status, reports, errors = audit(config)
    assert status == 0, errors
    report = reports["reverse[0]"]
    assert channel(report, "version.h1")["saw"] == "route 0: 200"
    assert channel(report, "version.h2")["saw"] == "h2: route 0: 200"


def test_users(audit, tmp_path):
    (tmp_path / "users").write_text(f"kim:{HASH}\n")
    config = {"forward": [{"listen": "127.0.0.1:3128", "users": {"file": "users"}}]}
    status, reports, errors = audit(config)
    assert "--user NAME:PASSWORD" in reports["forward[0]"]["skipped"]
    assert status == 1 and "nothing of this configuration could be tested" in errors
    status, reports, _ = audit(config, "--user", "kim:secret")
    assert status == 0 and reports["forward[0]"]["grade"] == "elite"
    status, reports, _ = audit(config, "--user", "kim:wrong")
    assert status == 1 and "failure" in reports["forward[0]"]


def test_what_is_not_tested_says_why(audit, tmp_path):
    authority = Authority(tmp_path)
    tls = {"certificates": [authority.leaf("shop.example").item]}
    status, reports, errors = audit({
        "forward": [{"listen": f"unix:{tmp_path}/guise.sock", "open": True},
                    {"listen": "127.0.0.1:3129", "rules": [{"allow": {}, "proxy": "tor"}]}],
        "reverse": [
            {"listen": ":443", "tls": dict(tls, clients={"verify": "required", "ca": authority.file}),
             "routes": [{"to": "shop"}]},
            {"listen": ":81", "proxy_protocol": ["198.51.100.0/24"], "routes": [{"to": "shop"}]},
            {"listen": ":82", "routes": [{"path": "~^/a[0-9]$", "to": "shop"}, {"path": "/post", "method": "POST", "to": "shop"},
                                         {"path": "/x", "fields": {"X-A": "1"}, "to": "shop"},
                                         {"path": "/two", "to": "two"}, {"to": "shop"}]}],
        "tcp": [{"listen": ":5432", "to": "shop"}],
        "parents": {"tor": "socks5://127.0.0.1:9050"},
        "upstreams": {"shop": {"servers": ["10.1.2.3:80"]}, "two": {"servers": ["10.1.2.4:80"], "http": 2}}})
    assert status == 0, errors
    assert "UNIX sockets" in reports["forward[0]"]["skipped"] and "parent" in reports["forward[1]"]["skipped"]
    assert "certificate" in reports["reverse[0]"]["skipped"] and "PROXY header" in reports["reverse[1]"]["skipped"]
    said = {item["id"]: item["saw"] for item in reports["reverse[2]"]["channels"] if item["id"].startswith("route.")}
    assert "pattern" in said["route.0"] and "GET" in said["route.1"] and "fields" in said["route.2"]
    assert "HTTP/2" in said["route.3"] and said["route.4"] == "public.audit.example/"
    assert not (tmp_path / "guise.sock").exists()


def test_real_servers_are_not_reached(audit, tmp_path):
    """Neither one that can be reached over the file system, nor one that listens here."""
    path = tmp_path / "app.sock"
    reached = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    network = socket.create_server(("10.1.2.3", 80))

    def accept(listener):
        try:
            reached.append(listener.accept())
        except OSError:
            pass

    threads = [threading.Thread(target=accept, args=(item,)) for item in (server, network)]
    for thread in threads:
        thread.start()
    try:
        status, reports, errors = audit({
            "reverse": [{"listen": ":80", "routes": [{"path": "/a", "to": "app"}, {"to": "shop"}]}],
            "upstreams": {"app": {"servers": [f"unix:{path}"], "health": {"path": "/up", "interval": "100ms"}},
                          "shop": {"servers": ["10.1.2.3:80"]}}})
    finally:
        for item in (server, network):
            item.shutdown(socket.SHUT_RDWR)
            item.close()
        for thread in threads:
            thread.join()
    assert status == 0, errors
    assert "UNIX socket" in channel(reports["reverse[0]"], "route.0")["saw"]
    assert not reached


def test_a_server_that_is_a_listener_of_its_own(audit):
    """Nobody can play it, and the rest is audited."""
    config = {"forward": [{"listen": "127.0.0.1:3128"}],
              "reverse": [{"listen": "127.0.0.1:8080", "routes": [{"to": "own"}]},
                          {"listen": "127.0.0.1:8081", "routes": [{"respond": {"status": 200}}]}],
              "upstreams": {"own": ["127.0.0.1:8081"]}}
    status, reports, errors = audit(config)
    assert status == 0, errors
    assert reports["forward[0]"]["grade"] == "elite" and "skipped" in reports["reverse[1]"]


def test_junit(tmp_path):
    path = settings.write(tmp_path / "guise.yaml", {"forward": [{"listen": "127.0.0.1:3128"}],
                                                    "reverse": [dict(REVERSE, mask=False)], "upstreams": UPSTREAMS})
    status, out, _ = run("audit", "-c", str(path), "--format", "junit", timeout=60)
    suites = xml.etree.ElementTree.fromstring(out).findall("testsuite")
    assert status == 1 and [suite.get("name") for suite in suites] == ["guise audit reverse", "guise audit forward"]
    assert int(suites[0].get("failures")) > 50 and suites[1].get("failures") == "0"


@pytest.mark.parametrize("config, message", [
    ({"forward": [{"listen": "127.0.0.1:3128", "mask": "clown"}]}, "mask"),
    ({"reverse": [dict(REVERSE, routes=[{"to": "many"}])], "upstreams": {"many": [f"10.0.0.1:{3000 + i}" for i in range(61)]}},
     "more ports than one audit can play"),
    ({"tcp": [{"listen": ":5432", "to": "shop"}], "upstreams": UPSTREAMS}, "no listener of the forward or the reverse face"),
])
def test_nothing_to_audit(audit, config, message):
    status, reports, errors = audit(config)
    assert status == 1 and not reports and message in errors


def test_usage():
    status, _, errors = run("audit", "-c", "x.yaml", "--expect", "best")
    assert status == 2 and "--expect takes transparent, anonymous or elite for forward listeners" in errors
    status, _, errors = run("audit", "sideways")
    assert status == 2 and 'no audit called "sideways"' in errors
