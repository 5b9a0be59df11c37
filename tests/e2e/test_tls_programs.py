"""TLS as programs of others judge and use it: testssl.sh, Chromium."""

import json
import subprocess

import pytest

from support import settings
from support.certificates import Authority
from support.process import slowness
from support.servers import ENVIRONMENT, program
from support.tls import listener

# What testssl.sh asks of a page rather than of TLS.
PAGE = {"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'self'",
        "Referrer-Policy": "no-referrer", "Permissions-Policy": "camera=()"}

GRAVE = ("MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL")

# About the certificate of the test's own authority, which publishes nothing.
EXEMPT = ("cert_revocation", "cert_chain_of_trust", "cert_trust")


# All but the simulation of browsers; enough for a grade, from testssl.sh 3.2 on.
SECTIONS = ("--protocols", "--std", "--fs", "--server-preference", "--server-defaults", "--headers", "--vulnerable",
            "--each-cipher")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def scan(address, authority, directory):
    """What testssl.sh finds, by its ids."""
    report = directory / "testssl.json"
    done = subprocess.run([program("testssl"), "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none",
                           *SECTIONS, "--add-ca", authority.file, "--jsonfile", str(report), "%s:%d" % address],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT,
                          cwd=directory, timeout=290 * slowness(), check=False)
    assert report.exists(), done.stdout.decode("utf-8", "replace")[-2000:]
    return json.loads(report.read_text())


@pytest.mark.seconds(300)
def test_testssl_finds_nothing(stage, authority, tmp_path):
    leaves = [authority.leaf("a.test", "127.0.0.1", kind=kind, ends=90) for kind in ("ecdsa", "rsa")]
    for leaf in leaves:
        authority.staple(leaf)
    guise = stage.guise(settings.routes({"respond": {"body": "hello\n", "fields": PAGE}},
                                        tls=listener(*leaves, hsts={"max_age": "365d", "subdomains": True})))
    findings = scan(guise.reverse, authority, tmp_path)
    by_id = {finding["id"].split(" ")[0]: finding["finding"] for finding in findings}
    assert len(findings) > 100
    assert by_id["TLS1_3"] == "offered with final" and by_id["TLS1_1"] == "not offered"
    assert by_id["OCSP_stapling"] == "offered" and by_id["ALPN_HTTP2"] == "h2"
    grave = [finding for finding in findings
             if finding["severity"] in GRAVE and not finding["id"].startswith(EXEMPT)]
    assert not grave
    # Debian 12's does not grade yet.
    assert by_id.get("overall_grade", "A+") == "A+"


def dump(directory, url, *options):
    """The document that Chromium makes of a page."""
    done = subprocess.run([program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                           "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
                           f"--user-data-dir={directory}/chromium", "--ignore-certificate-errors", *options,
                           "--dump-dom", url],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict(ENVIRONMENT, HOME=str(directory)), timeout=50, check=False)
    text = done.stdout.decode("utf-8", "replace")
    assert text, done.stderr.decode("utf-8", "replace")[-2000:]
    return text


@pytest.mark.seconds(60)
def test_chromium_fetches_a_page(stage, authority, tmp_path):
    page = {"respond": {"body": "<p>hello</p>\n", "type": "text/html"}}
    guise = stage.guise(settings.routes(page, tls=listener(authority.leaf("127.0.0.1"))))
    assert "<p>hello</p>" in dump(tmp_path, "https://%s:%d/" % guise.reverse)
    entry = guise.wait_log(lambda entry: entry["target"] == "/")
    assert (entry["protocol"], entry["tls"], entry["status"]) == ("HTTP/2", "TLSv1.3", 200)


@pytest.mark.seconds(90)
def test_chromium_through_a_proxy_that_speaks_tls(stage, authority, tmp_path):
    leaf = authority.leaf("127.0.0.1")
    page = {"respond": {"body": "<p>{who}</p>\n", "type": "text/html"}}
    names = stage.names()
    names.set("a.test", v4=["127.0.0.1"])
    plain = stage.guise(settings.routes(page))
    secure = stage.guise(settings.routes(page, tls=listener(leaf)))
    guise = stage.guise(settings.forward(settings.LOOPBACK, listener={"tls": listener(leaf)}, resolver=names))
    proxy = ("--proxy-server=https://%s:%d" % guise.forward, "--proxy-bypass-list=<-loopback>")
    for url, method in ((f"http://a.test:{plain.reverse[1]}/", "GET"),
                        (f"https://a.test:{secure.reverse[1]}/", "CONNECT")):
        assert "<p>" in dump(tmp_path, url, *proxy)
        entry = guise.wait_log(lambda entry, method=method: (entry["method"] == method
                                                             and entry["host"].startswith("a.test")))
        assert (entry["protocol"], entry["tls"], entry["status"]) == ("HTTP/2", "TLSv1.3", 200)
