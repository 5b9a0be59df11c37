"""guise audit reverse: what a proxy lets clients learn of its servers, and that each channel is able to say so."""

import http.client
import http.server
import json
import re
import threading
import xml.etree.ElementTree

import pytest

from support.certificates import Authority
from support.process import ROOT, run

ORIGIN = "10.9.8.7:8080"
PUBLIC = "203.0.113.1"


def audit(url, *options, origin=ORIGIN):
    """(status, the report)"""
    status, out, errors = run("audit", "reverse", "--proxy", url, "--origin-listen", origin, "--format", "json", *options)
    assert out, errors
    return status, json.loads(out)


def with_verdict(report, verdict):
    return {channel["id"] for channel in report["channels"] if channel["verdict"] == verdict}


def channel(report, identity):
    return next(item for item in report["channels"] if item["id"] == identity)


def talked_of():
    """The ids of all channels that the talkative server has, by what they are: from its table."""
    with open(f"{ROOT}/src/audit/talker_fields.c", encoding="utf-8") as file:
        text = re.sub(r"#define[^\n]*(\\\n[^\n]*)*", "", file.read())
    secret = set(re.findall(r'(?:SECRET|DEEP|MENDED|INSIDE)\(\s*"([a-z0-9.-]+)"', text))
    secret |= {item for item in re.findall(r'\{"([a-z]+\.[a-z-]+)"', text) if not item.startswith("needed.")}
    needed = {"needed." + name for name in re.findall(r'NEEDED\(\s*"([A-Za-z0-9-]+)"', text)}
    assert len(secret) > 60 and len(needed) > 20
    return secret, needed


def test_defaults_hide_all_over_both_versions(stage):
    leaf = Authority(stage.directory).leaf("shop.example")
    stage.guise({"reverse": [{"listen": f"{PUBLIC}:443", "tls": {"certificates": [leaf.item]},
                              "routes": [{"host": "shop.example", "to": "app"}]}],
                 "upstreams": {"app": {"servers": [ORIGIN]}}})
    status, report = audit(f"https://{PUBLIC}", "--host", "shop.example")
    assert status == 0 and report["passed"] and report["grade"] == "masked"
    assert not with_verdict(report, "leaks") and not with_verdict(report, "altered")
    assert not with_verdict(report, "not tested")
    assert channel(report, "version.h1")["saw"] == "200" and channel(report, "version.h2")["saw"] == "h2: 200"
    assert {"works.body", "works.conditional", "works.range", "page.unknown", "page.refused"} <= with_verdict(
        report, "hidden")
    # What no default does is asked for by the best grade alone.
    assert with_verdict(report, "told") >= {"same.etag", "body.page"}
    status, report = audit(f"https://{PUBLIC}", "--host", "shop.example", "--expect", "same")
    assert status == 1 and {"same.etag", "body.page"} <= with_verdict(report, "leaks")


def test_without_proxy_each_channel_leaks(stage):
    """Bytes as they are: whatever the server says gets to the client, in clear and over TLS."""
    stage.guise({"tcp": [{"listen": f"{PUBLIC}:80", "to": "app"}], "upstreams": {"app": {"servers": [ORIGIN]}}})
    secret, needed = talked_of()
    status, report = audit(f"http://{PUBLIC}", "--expect", "same")
    assert status == 1 and report["grade"] is None
    assert secret - with_verdict(report, "leaks") == set()
    assert {"trace.echo", "reason.text", "body.page", "body.error"} <= with_verdict(report, "leaks")
    assert needed <= with_verdict(report, "hidden")
    assert channel(report, "version.h2")["verdict"] == "not tested"


def test_mask_off_leaks_over_http2_too(stage):
    leaf = Authority(stage.directory).leaf("shop.example")
    stage.guise({"reverse": [{"listen": f"{PUBLIC}:443", "tls": {"certificates": [leaf.item]},
                              "mask": False, "routes": [{"host": "shop.example", "to": "app"}]}],
                 "upstreams": {"app": {"servers": [ORIGIN]}}})
    status, report = audit(f"https://{PUBLIC}", "--host", "shop.example", "--inside", "app-7.internal:8080")
    assert status == 1 and report["grade"] is None
    assert {"software.server", "reference.location", "policy.csp", "inside.unknown-name", "trailer.name",
            "interim.link"} <= with_verdict(report, "leaks")
    assert "app-7.internal:8080" in channel(report, "reference.location")["saw"]


def test_what_applications_need_and_do_not_get(stage):
    stage.guise({"reverse": [{"listen": f"{PUBLIC}:80", "routes": [
        {"to": "app", "response": {"remove": ["Retry-After", "ETag", "Location", "Set-Cookie"],
                                   "set": {"Cache-Control": "no-store"}}}]}],
                 "upstreams": {"app": {"servers": [ORIGIN]}}})
    _, report = audit(f"http://{PUBLIC}")
    assert with_verdict(report, "altered") == {
        "needed.Retry-After", "needed.Cache-Control", "needed.location-relative", "needed.location-elsewhere",
        "needed.Set-Cookie", "reference.location", "reference.location-address", "reference.location-scheme",
        "reference.cookie", "works.conditional"}


class Chatterbox(http.server.BaseHTTPRequestHandler):
    """A proxy that says what it is, and where its server is when that is in trouble."""

    server_version = "nginx/1.18.0"
    sys_version = ""

    def do_GET(self):
        connection = http.client.HTTPConnection(*ORIGIN.split(":"), timeout=5)
        try:
            connection.request("GET", self.path, headers={"Host": self.headers["Host"]})
            response = connection.getresponse()
            body = response.read()
        except (http.client.HTTPException, OSError) as error:
            return self.send_error(502, explain=f"{type(error).__name__} of upstream {ORIGIN}")
        finally:
            connection.close()
        self.send_response(response.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def chatterbox():
    server = http.server.ThreadingHTTPServer((PUBLIC, 80), Chatterbox)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://{PUBLIC}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pages_of_the_proxy(chatterbox):
    status, report = audit(chatterbox)
    assert status == 1
    leaks = with_verdict(report, "leaks")
    assert {"page.dead", "page.broken", "page.garbage", "page.refused", "proxy.software"} <= leaks
    assert "nginx/1.18.0" in channel(report, "proxy.software")["saw"]
    assert ORIGIN in channel(report, "page.dead")["saw"]


def test_text_and_junit(stage):
    stage.guise({"reverse": [{"listen": f"{PUBLIC}:80", "mask": False, "routes": [{"to": "app"}]}],
                 "upstreams": {"app": {"servers": [ORIGIN]}}})
    arguments = ("audit", "reverse", "--proxy", f"http://{PUBLIC}", "--origin-listen", ORIGIN)
    status, out, _ = run(*arguments)
    assert status == 1
    assert re.search(r"leaks +Server +Server: Aud/2.4.57 \(Unix\) mod_audit  \(quiet hides it\)", out)
    assert re.search(r"\nGrade: none.*; masked was expected\n", out)
    status, out, _ = run(*arguments, "--format", "junit", "--expect", "thin")
    suites = xml.etree.ElementTree.fromstring(out)
    failed = {case.get("name") for case in suites.iter("testcase") if case.find("failure") is not None}
    assert status == 1 and "location" in failed and "server" not in failed


@pytest.mark.parametrize("arguments, message", [
    ([], "--proxy is missing"),
    (["--proxy", "http://127.0.0.1:1"], "--origin-listen is missing"),
    (["--proxy", "socks5://127.0.0.1:1", "--origin-listen", ORIGIN], "the proxy is an http or https URL"),
    (["--proxy", "http://127.0.0.1:1", "--origin-listen", "10.9.8.7"], "--origin-listen takes an address"),
    (["--proxy", "http://127.0.0.1:1", "--origin-listen", ORIGIN, "--expect", "elite"], "--expect takes thin, quiet"),
    (["--proxy", "http://127.0.0.1:1", "--origin-listen", ORIGIN, "--timeout", "0"], "--timeout takes seconds"),
    (["--proxy", "http://127.0.0.1:1", "--origin-listen", ORIGIN, "--format", "xml"], "--format takes text"),
])
def test_usage(arguments, message):
    status, out, errors = run("audit", "reverse", *arguments)
    assert status == 2 and out == "" and message in errors


def test_nobody_there():
    status, report = audit("http://127.0.0.1:1")
    assert status == 1 and "no request that was sent to the proxy came to the server" in report["failure"]
    assert "--origin-listen" in report["advice"]


def test_server_elsewhere(stage):
    stage.guise({"reverse": [{"listen": f"{PUBLIC}:80", "routes": [{"to": "app"}]}],
                 "upstreams": {"app": {"servers": ["10.9.8.7:8081"]}}})
    status, report = audit(f"http://{PUBLIC}")
    assert status == 1 and not report["passed"]
    assert channel(report, "version.h1")["saw"] == "the proxy answered 503, and no request came to the server"


def test_origin_address_in_use():
    server = http.server.ThreadingHTTPServer(("10.9.8.7", 8080), Chatterbox)
    try:
        status, report = audit("http://127.0.0.1:1")
    finally:
        server.server_close()
    assert status == 1 and "in use" in report["failure"]
