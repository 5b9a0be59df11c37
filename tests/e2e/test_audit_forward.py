"""guise audit forward: what it finds in proxies that leak on purpose, in those that Debian has, and in Guise."""

import json
import re
import subprocess
import xml.etree.ElementTree

import pytest

from support import http2, settings
from support.leaky import Leaky
from support.parents import PASSWORD, USER, Microsocks, Squid, Tinyproxy
from support.process import SANITIZER_REPORT, binary, run, slowness
from support.servers import free_port

pytestmark = pytest.mark.seconds(40)

# Every channel that a proxy for HTTP can leak on, as a clean one has them.
FIELDS = ("x-forwarded-for forwarded via x-real-ip x-client-ip client-ip true-client-ip cf-connecting-ip x-msisdn x-imsi x-authenticated-user "
          "client-cert proxy-connection x-proxy-id x-forwarded-host cdn-loop").split()
SPELT = "odd-case underscores repeated folded space-before-colon trailers".split()


class Audit:
    """One that runs; its result is waited for when somebody asks."""

    def __init__(self, proxy, *options):
        arguments = [binary(), "audit", "forward", "--proxy", proxy, "--format", "json", *options]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.done = None

    def wait(self):
        if not self.done:
            stdout, stderr = self.process.communicate(timeout=30 * slowness())
            assert not SANITIZER_REPORT.search(stderr.decode()), stderr.decode()
            self.done = json.loads(stdout)
            self.channels = {channel["id"]: channel for channel in self.done["channels"]}
        return self

    @property
    def grade(self):
        return self.wait().done["grade"]

    @property
    def status(self):
        self.wait()
        return self.process.returncode

    def verdict(self, channel):
        return self.wait().channels.get(channel, {}).get("verdict")

    def saw(self, channel):
        return self.wait().channels[channel]["saw"]

    def leaks(self):
        return {name for name, channel in self.wait().channels.items() if channel["verdict"] == "leaks"}


class Audits:
    """All of them at once: they wait more than they work."""

    def __init__(self, stage, directory):
        self.stage = stage
        self.directory = directory
        self.started = {}
        self.count = 0

    def start(self, name, proxy, *options):
        self.count += 1
        listen = () if "--listen" in options else ("--listen", f"127.0.1.{self.count}")
        self.started[name] = Audit(proxy, *listen, *options)

    def __getitem__(self, name):
        return self.started[name].wait()


def leaky(audits, name, *leaks, options=(), **more):
    proxy = Leaky(*leaks, **more)
    audits.stage.daemons.append(proxy)
    audits.start(name, proxy.url(), *options)


def guise(audits, name, mask, *options, tls=None, users=None):
    listener = dict({"mask": mask} if mask else {}, **({"tls": tls} if tls else {}), **({"users": users} if users else {}))
    running = audits.stage.guise(settings.forward(settings.LOOPBACK, listener=listener, log={"level": "error"}), read_stdout=False)
    audits.start(name, f"{'https' if tls else 'http'}://127.0.0.1:{running.forward[1]}", *options)


def debian(audits, name, program, *arguments, options=(), **more):
    directory = audits.directory / name
    directory.mkdir()
    proxy = program(directory, {}, *arguments, **more)
    audits.stage.daemons.append(proxy)
    audits.start(name, proxy.url(), *options)


PRIVATE = """via off
forwarded_for delete
request_header_access X-Forwarded-For deny all
request_header_access Cache-Control deny all
reply_header_access Via deny all
reply_header_access X-Cache deny all
reply_header_access X-Cache-Lookup deny all
server_persistent_connections off
"""


class PrivateSquid(Squid):
    extra = PRIVATE


@pytest.fixture(scope="module")
def audits(shared_stage, tmp_path_factory):
    directory = tmp_path_factory.mktemp("audits")
    made = Audits(shared_stage, directory)
    certificate = http2.certificate(directory)
    public = ("--listen", "198.18.7.1", "--from", "198.18.7.2", "--from", "198.18.7.3")
    dns = f"127.0.0.1:{free_port()}"
    guise(made, "elite", None)
    guise(made, "anonymous", "anonymous")
    guise(made, "transparent", "transparent")
    guise(made, "secure", None, tls={"certificates": [{"certificate": certificate[0], "key": certificate[1]}]})
    guise(made, "secure transparent", "transparent", tls={"certificates": [{"certificate": certificate[0], "key": certificate[1]}]})
    leaky(made, "clean", options=("--user", "kim-of-audit:secret"))
    leaky(made, "pass", "pass", "login", login="kim-of-audit", options=("--user", "kim-of-audit:secret", "--user", "eva:secret", *public))
    leaky(made, "add", "add", "source", "share", "old")
    leaky(made, "unknown", "unknown", options=("--expect", "anonymous"))
    leaky(made, "alter", "alter", "close")
    leaky(made, "intercept", "subnet", certificate=certificate, name_server=("127.0.0.1", int(dns.split(":")[1])),
          options=("--dns-listen", dns))
    debian(made, "squid", Squid)
    debian(made, "private-squid", PrivateSquid)
    debian(made, "tinyproxy", Tinyproxy)
    debian(made, "microsocks", Microsocks)
    return made


# ---- Guise ----

def test_guise_is_elite(audits):
    audit = audits["elite"]
    assert audit.leaks() == set()
    assert (audit.grade, audit.status) == ("elite", 0)
    for channel in ("source.address", "connection.shared", "tunnel.connect", "tunnel.socks4a", "tunnel.socks5", "tls.ja4", "tls.hello",
                    "tls.certificate", "response.via", "error.unreachable-client", "own.cookie", "method.post"):
        assert audit.verdict(channel) == "hidden", channel
    assert re.fullmatch(r"t1[23]d\d{4}h1_[0-9a-f]{12}_[0-9a-f]{12}", audit.saw("tls.ja4"))


def test_guise_is_elite_over_h2(audits):
    audit = audits["secure"]
    assert audit.leaks() == set()
    assert (audit.grade, audit.status) == ("elite", 0)
    assert audit.verdict("version.h2") == "hidden"
    assert audits["secure transparent"].verdict("version.h2") == "leaks"


def test_guise_by_its_other_masks(audits):
    anonymous, transparent = audits["anonymous"], audits["transparent"]
    assert (anonymous.grade, anonymous.status) == ("anonymous", 1)
    assert {"field.via", "response.via"} <= anonymous.leaks()
    assert not any("client" in channel for channel in anonymous.leaks())
    assert (transparent.grade, transparent.status) == ("transparent", 1)
    assert {"field.x-forwarded-for", "field.forwarded", "field.client-address"} <= transparent.leaks()


# ---- every channel can be hidden, and can leak ----

def test_a_clean_proxy_leaks_nothing(audits):
    audit = audits["clean"]
    assert audit.leaks() == set()
    assert (audit.grade, audit.status) == ("elite", 0)
    told = {name for name, channel in audit.channels.items() if channel["verdict"] == "told"}
    assert told <= {"method.trace"}
    assert not [name for name, channel in audit.channels.items() if channel["verdict"] == "altered"]


def test_what_is_passed_on(audits):
    audit, clean = audits["pass"], audits["clean"]
    expected = {f"field.{name}" for name in FIELDS + SPELT} | {"hop.nominated", "hop.keep-alive", "credential.proxy-authorization",
                                                               "credential.user", "field.unknown-name"}
    assert expected <= audit.leaks()
    for channel in expected - {"field.unknown-name"}:
        assert clean.verdict(channel) == "hidden", channel
    # a login that gets to servers is no grade's
    assert audit.grade is None and audit.status == 1
    assert audit.verdict("hop.response") == "altered"


def test_what_is_added(audits):
    audit, clean = audits["add"], audits["clean"]
    expected = {"field.via", "field.x-forwarded-for", "field.client-address", "field.added", "response.via",
                "response.proxy-status", "response.cache", "response.added", "response.client-address", "response.server",
                "version.1-1", "connection.shared", "source.address", "error.unreachable-client", "error.name-client",
                "tunnel.connect", "tunnel.socks4a", "tunnel.socks5"}
    assert expected <= audit.leaks()
    for channel in expected:
        assert "hidden" in (clean.verdict(channel), audits["unknown"].verdict(channel)), channel
    assert audit.grade == "transparent"
    assert audit.verdict("error.unreachable") == "told" and "squid" in audit.saw("error.unreachable")
    assert "PROXY TCP4 127.77.0.2" in audit.saw("tunnel.connect")
    assert audit.saw("source.address") == "127.77.0.2"


def test_a_field_without_an_address_tells_of_the_proxy_alone(audits):
    audit = audits["unknown"]
    assert audit.verdict("field.x-forwarded-for") == "told"
    assert audit.saw("field.x-forwarded-for") == "added: unknown"
    assert (audit.grade, audit.status) == ("anonymous", 0)


def test_what_is_altered(audits):
    audit, clean = audits["alter"], audits["clean"]
    altered = {"own.cookie", "own.response", "method.patch", "connection.client", "response.server", "tunnel.connect", "tunnel.socks5"}
    for channel in altered:
        assert (audit.verdict(channel), clean.verdict(channel)) == ("altered", "hidden"), channel
    for channel in ("shape.order", "shape.case"):
        assert (audit.verdict(channel), clean.verdict(channel)) == ("told", "hidden"), channel
    # what breaks things for the client tells the server nothing
    assert (audit.grade, audit.status) == ("elite", 0)


def test_interception_of_tls_and_names(audits):
    audit, clean = audits["intercept"], audits["clean"]
    expected = {"tls.certificate", "tls.ja4", "tls.hello", "tls.request"}
    assert expected | {"dns.subnet"} == audit.leaks()
    for channel in expected:
        assert clean.verdict(channel) == "hidden", channel
    sent, seen = re.fullmatch(r"sent (\S+), got there (\S+)", audit.saw("tls.ja4")).groups()
    assert sent != seen
    assert {audit.verdict(f"dns.{kind}") for kind in ("connect", "socks4a", "socks5")} == {"hidden"}


# ---- those that people use ----

def test_squid(audits):
    usual, private = audits["squid"], audits["private-squid"]
    assert usual.grade == "transparent" and usual.status == 1
    assert {"field.via", "field.x-forwarded-for", "field.client-address", "response.via", "connection.shared"} <= usual.leaks()
    assert private.status == 1 and private.grade == "anonymous"
    assert {"field.x-real-ip", "field.x-msisdn", "field.via"} <= private.leaks()
    assert not {"field.x-forwarded-for", "field.client-address", "field.added", "response.via", "response.cache"} & private.leaks()


def test_tinyproxy(audits):
    audit = audits["tinyproxy"]
    assert audit.grade == "anonymous" and audit.status == 1
    assert {"field.via", "field.x-real-ip", "response.via", "field.folded"} <= audit.leaks()


def test_a_proxy_of_socks_alone(audits):
    audit = audits["microsocks"]
    assert (audit.grade, audit.status) == ("elite", 0)
    assert audit.verdict("tunnel.socks5") == "hidden" and audit.verdict("tls.ja4") == "hidden"
    assert audit.verdict("tunnel.socks4a") == "not tested"
    assert not [name for name in audit.channels if name.startswith("field.x-")]


# ---- the command ----

def test_logins(stage, tmp_path):
    users = tmp_path / "users"
    subprocess.run(["htpasswd", "-cbB", "-C", "4", str(users), USER, PASSWORD], check=True, capture_output=True, timeout=10)
    running = stage.guise(settings.forward(settings.LOOPBACK, listener={"users": {"file": str(users)}}))
    proxy = f"http://127.0.0.1:{running.forward[1]}"
    status, out, _ = run("audit", "forward", "--proxy", proxy)
    assert status == 1 and "407" in out and "--user NAME:PASSWORD" in out
    status, out, _ = run("audit", "forward", "--proxy", proxy, "--user", f"{USER}:{PASSWORD}")
    assert status == 0 and "\nGrade: elite, " in out
    assert "there is one client only: give a second --user" in out


def test_a_guard_is_explained(stage):
    running = stage.guise(settings.forward())
    status, out, _ = run("audit", "forward", "--proxy", f"http://127.0.0.1:{running.forward[1]}", "--format", "text")
    assert status == 1
    assert re.search(r'No grade: the first request did not get to the observer at 127\.0\.0\.1:\d+: the proxy answered "HTTP/1\.1 403', out)
    assert "--allow 127.0.0.1" in out


def test_nobody_there():
    status, out, _ = run("audit", "forward", "--proxy", "http://127.0.0.1:1", "--format", "junit")
    suite = xml.etree.ElementTree.fromstring(out).find("testsuite")
    assert status == 1
    assert suite.get("errors") == "1" and "Connection refused" in suite.find("testcase/error").get("message")


def test_no_grade_for_what_was_not_answered(stage):
    """It lets one request through, and closes all that come after it."""
    proxy = Leaky("fickle")
    stage.daemons.append(proxy)
    audit = Audit(proxy.url())
    assert audit.grade is None and audit.status == 1
    assert audit.done["failure"].startswith("no answer: ")
    assert "hidden" not in {audit.verdict(f"field.{name}") for name in ("x-forwarded-for", "odd-case", "underscores", "repeated")}


def test_formats_for_people_and_junit(stage):
    proxy = Leaky("add")
    stage.daemons.append(proxy)
    both = [subprocess.Popen([binary(), "audit", "forward", "--proxy", proxy.url(), "--format", name, "--listen", f"127.0.2.{index}"],
                             stdout=subprocess.PIPE) for index, name in ((1, "text"), (2, "junit"))]
    text, junit = (process.communicate(timeout=20 * slowness())[0].decode() for process in both)
    assert [process.returncode for process in both] == [1, 1]
    assert "\033" not in text
    assert re.search(r"^  leaks       Via +added: 1\.1 leaky  \(elite hides it\)$", text, re.M)
    assert "\nGrade: transparent, the server can learn who asks; elite was expected\n" in text
    assert "\nWhat to change:\n" in text
    suite = xml.etree.ElementTree.fromstring(junit).find("testsuite")
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == len(cases)
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) > 5
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
    via = next(case for case in cases if case.get("name") == "via" and case.get("classname") == "guise.audit.forward.field")
    assert "added: 1.1 leaky" in via.find("failure").get("message")


@pytest.mark.parametrize("arguments, message", [
    ((), "--proxy is missing, as in --proxy http://127.0.0.1:3128"),
    (("--proxy", "127.0.0.1:3128"), "--proxy: a proxy's URL begins with http://, https://, socks4a:// or socks5://"),
    (("--proxy", "http://p", "--expect", "elit"), '--expect takes transparent, anonymous or elite, not "elit"'),
    (("--proxy", "http://p", "--format", "xml"), '--format takes text, json or junit, not "xml"'),
    (("--proxy", "http://p", "--timeout", "0"), '--timeout takes seconds, from 1 to 60, not "0"'),
    (("--proxy", "http://p", "--from", "x"), '--from takes an address of this machine, as in 192.0.2.7, not "x"'),
    (("--proxy", "http://p", "--user", "kim"), "--user takes NAME:PASSWORD"),
    (("--proxy", "http://p", "--user", "a:b", "--user", "a:b", "--user", "a:b"), "--user is given twice at most"),
    (("--proxi", "http://p"), 'unknown option "--proxi", did you mean "--proxy"?'),
])
def test_usage(arguments, message):
    status, _, err = run("audit", "forward", *arguments)
    assert status == 2 and message in err
