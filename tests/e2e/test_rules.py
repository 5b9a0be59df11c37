"""Rules of the forward face, with real curl: each condition, lists and what becomes of changed ones, names and reasons of refusals."""

import itertools
import json
import os
import random
import threading
import time

import pytest

from support import settings
from support.origin import answering, response
from support.process import run, sanitizer
from support.waiting import Stopwatch, wait_for

PUBLIC = "93.184.216.34"
OTHER = "93.184.216.35"
NAMES = ("good.example", "bad.example", "deep.sub.bad.example", "cdn7.x.example", "cdn.y.example", "ads12.z.example", "fresh.example",
         "a.fresh.example", "stays.example")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@pytest.fixture
def world(stage):
    """world(*rules, lists=..., listener=...): a proxy that knows NAMES, all of them on one public address; the origin answers there."""
    def make(*rules, env=None, workers=1, **top):
        names = stage.names()
        for name in NAMES:
            names.set(name, v4=[PUBLIC])
        names.set("other.example", v4=[OTHER])
        make.origin = stage.origin(answering(response(body=b"ok")), host="0.0.0.0")
        config = settings.forward(*rules, resolver=names, **top)
        config["workers"] = workers
        make.names = names
        return stage.guise(config, env=env)
    make.stage = stage
    return make


def proxy(guise):
    return "http://{}:{}".format(*guise.forward)


def get(curl, guise, world, host, *options):
    """The status of a GET through the proxy."""
    return curl("-x", proxy(guise), "-o", "/dev/null", "-w", "%{http_code}", *options, f"http://{host}:{world.origin.port}/").text


def tunnel(curl, guise, world, host, *options):
    """The status of CONNECT."""
    return curl("-x", proxy(guise), "-p", "-o", "/dev/null", "-w", "%{http_connect}", *options,
                f"http://{host}:{world.origin.port}/").text


def replace(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


# conditions

def test_domains_and_patterns(world, curl):
    guise = world({"name": "cdn", "deny": {"domains": ["cdn*.x.example", ".bad.example"]}},
                  {"deny": {"regex": [r"ads[0-9]+\.z\.example", r"[0-9.]+"]}}, {"allow": {}})
    asked = {host: get(curl, guise, world, host) for host in (*NAMES, "BAD.example.", PUBLIC)}
    assert asked == {"good.example": "200", "bad.example": "403", "deep.sub.bad.example": "403", "cdn7.x.example": "403",
                     "cdn.y.example": "200", "ads12.z.example": "403", "fresh.example": "200", "a.fresh.example": "200",
                     "stays.example": "200", "BAD.example.": "403", PUBLIC: "403"}
    assert guise.wait_log(lambda entry: entry["host"].startswith("cdn7"))["error"] == "denied by a rule: cdn"


def test_schemes_and_methods(world, curl):
    guise = world({"allow": {"schemes": ["tunnel"], "domains": ["good.example"]}},
                  {"allow": {"schemes": ["socks"], "domains": ["bad.example"]}},
                  {"allow": {"methods": ["HEAD"], "schemes": ["http"]}})
    assert tunnel(curl, guise, world, "good.example") == "200"
    assert get(curl, guise, world, "good.example") == "403"
    assert get(curl, guise, world, "good.example", "-I") == "200"
    socks = "socks5h://{}:{}".format(*guise.forward)
    assert curl("-x", socks, f"http://bad.example:{world.origin.port}/").text == "ok"
    assert curl("-x", socks, f"http://good.example:{world.origin.port}/").status != 0


def test_listeners(world, curl):
    listen = ["127.0.0.1:0", "127.0.0.2:0"]
    guise = world({"allow": {"listeners": ["127.0.0.2:0"]}}, listener={"listen": listen})
    first, second = ("http://{}:{}".format(*address) for address in guise.addresses("forward"))
    url = f"http://good.example:{world.origin.port}/"
    assert curl("-x", first, "-o", "/dev/null", "-w", "%{http_code}", url).text == "403"
    assert curl("-x", second, "-o", "/dev/null", "-w", "%{http_code}", url).text == "200"


def around(hour):
    """An hour before to an hour after, as a rule writes it."""
    return f"{(hour - 1) % 24:02}:00-{(hour + 2) % 24:02}:00"


def test_times_are_local(world, curl):
    """Half a day ahead of UTC it is the other half of the day."""
    now = time.gmtime()
    rules = ({"allow": {"times": [around(now.tm_hour + 12)]}},)
    assert get(curl, world(*rules, env={"TZ": "XXX-12"}), world, "good.example") == "200"
    assert get(curl, world(*rules, env={"TZ": "UTC0"}), world, "good.example") == "403"


def test_days(world, curl):
    today = time.gmtime().tm_wday
    near = [DAYS[(today + offset) % 7] for offset in (-1, 0, 1)]
    far = [day for day in DAYS if day not in near]
    assert get(curl, world({"allow": {"times": near}}, env={"TZ": "UTC0"}), world, "good.example") == "200"
    assert get(curl, world({"allow": {"times": far}}, env={"TZ": "UTC0"}), world, "good.example") == "403"


def test_addresses_decide_after_names(world, curl):
    """A name is judged by the address that it has."""
    guise = world({"name": "net", "deny": {"addresses": [f"{OTHER}/32"]}}, {"allow": {}})
    assert get(curl, guise, world, "good.example") == "200"
    assert get(curl, guise, world, "other.example") == "403"
    assert guise.wait_log(lambda entry: entry["status"] == 403)["error"] == "denied by a rule: net"


# refusals

def test_a_refusal_names_the_rule_in_the_log_and_a_reason_to_the_client(world, curl, tmp_path):
    (tmp_path / "ads.txt").write_text("bad.example\n")
    guise = world({"name": "no-ads", "deny": {"lists": ["ads"]}, "reason": 'No <ads> & no "pop-ups"'},
                  {"deny": {"ports": [25]}}, lists={"ads": str(tmp_path / "ads.txt")})
    done = curl("-x", proxy(guise), "-i", "http://deep.sub.bad.example/")
    assert 'Proxy-Status: guise; error=http_request_denied; details="No <ads> & no \\"pop-ups\\""' in done.text
    assert json.loads(done.text.split("\r\n\r\n", 1)[1])["detail"] == 'No <ads> & no "pop-ups"'
    page = curl("-x", proxy(guise), "-H", "Accept: text/html", "http://bad.example/").text
    assert "No &lt;ads&gt; &amp; no &quot;pop-ups&quot;" in page and "<ads>" not in page
    entry = guise.wait_log(lambda entry: entry["host"] == "deep.sub.bad.example")
    assert (entry["verdict"], entry["rule"], entry["error"]) == ("deny", "no-ads", "denied by a rule: no-ads (lists: ads)")
    plain = curl("-x", proxy(guise), "-i", "http://good.example:25/")
    assert "Proxy-Status: guise; error=http_request_denied\r\n" in plain.text and "denied by a rule" in plain.text
    assert "rule 2" not in plain.text and "line" not in plain.text  # what it is called is the operator's
    assert guise.wait_log(lambda entry: entry["host"].startswith("good"))["rule"].startswith("rule 2 (line ")
    refused = curl("-x", proxy(guise), "-p", "-v", "http://bad.example/")
    assert "403" in refused.errors and "details=" in refused.errors


def test_a_reason_in_other_letters(world, curl):
    guise = world({"deny": {}, "reason": "gesperrt für alle"})
    done = curl("-x", proxy(guise), "-i", "http://good.example/")
    assert "gesperrt für alle" in done.text and "details" not in done.text


# lists

def test_formats(world, curl, tmp_path):
    (tmp_path / "plain.txt").write_text("\ufeff# names\r\n=good.example\r\nx.example\r\n")
    (tmp_path / "hosts.txt").write_text("127.0.0.1 localhost\n0.0.0.0 bad.example fresh.example # two\n")
    (tmp_path / "nets.txt").write_text(f"{OTHER}\n198.51.100.0/24\n")
    lists = {"plain": {"file": str(tmp_path / "plain.txt"), "format": "plain"},
             "hosts": {"file": str(tmp_path / "hosts.txt"), "format": "hosts"}, "nets": str(tmp_path / "nets.txt")}
    guise = world({"deny": {"lists": ["plain", "hosts", "nets"]}}, {"allow": {}}, lists=lists)
    asked = {host: get(curl, guise, world, host) for host in (*NAMES, "other.example")}
    assert [host for host, status in asked.items() if status == "200"] == ["cdn.y.example", "ads12.z.example", "stays.example"]
    for host, name in (("other.example", "nets"), ("a.fresh.example", "hosts")):
        entry = guise.wait_log(lambda entry, host=host: entry["host"].startswith(host))
        assert entry["error"].endswith(f"(lists: {name})")


def test_bad_lines_are_said_and_left_out(stage, tmp_path):
    (tmp_path / "ads.txt").write_text("good.example\n||bad^\n" + "two words\n" * 9)
    file = settings.write(stage.path("guise.yaml"), settings.forward({"deny": {"lists": ["ads"]}}, lists={"ads": "ads.txt"}))
    status, out, errors = run("check", "-c", str(file))
    assert status == 0, errors
    said = out + errors
    assert "ads.txt:2:1: warning: this is no host name, address or network: the line is left out" in said
    assert "ads.txt:3:1: warning: a line has one name, address or network" in said and "7 more lines" in said


@pytest.mark.parametrize("content, why", [
    (None, "No such file"),
    ("", "it has nothing in it"),
    ("<!doctype html>\n<p>404\n", "it is no list: not one line is of use; line 1"),
])
def test_lists_that_are_none(stage, tmp_path, content, why):
    if content is not None:
        (tmp_path / "ads.txt").write_text(content)
    file = settings.write(stage.path("guise.yaml"), settings.forward({"deny": {"lists": ["ads"]}}, lists={"ads": "ads.txt"}))
    status, out, errors = run("check", "-c", str(file))
    assert status != 0 and f"cannot read the list ads.txt: {why}" in out + errors


@pytest.mark.parametrize("rule, why", [
    ({"deny": {"lists": ["adz"]}}, 'there is no list "adz" in "lists": did you mean "ads"?'),
    ({"allow": {"schemes": ["htps"]}}, 'did you mean "https"?'),
    ({"allow": {"times": ["mon-fri 8-18"]}}, 'hours are written "08:00-18:00"'),
    ({"allow": {"regex": ["(a"]}}, 'pattern "(a": missing closing parenthesis'),
    ({"allow": {"domains": ["10.0.*"]}}, "addresses are named by networks"),
    ({"allow": {"listeners": ["127.0.0.1:81"]}}, 'is not in "listen" of this listener'),
    ({"allow": {}, "proxy": "tor"}, 'there is no parent proxy "tor" in "parents"'),
    ({"allow": {}, "exit": "e"}, 'there is no exit "e" in "exits"'),
    ({"allow": {}, "allowance": "a"}, 'there is no allowance "a" in "allowances"'),
    ({"allow": {}, "secrets": ["s"]}, 'there is no secret "s" in "secrets"'),
    ({"deny": {}, "proxy": "direct"}, '"proxy" goes with "allow"'),
    ({"allow": {}, "reason": "because"}, '"reason" goes with "deny"'),
    ({"deny": {}, "reason": "two\nlines"}, "control byte"),
])
def test_mistakes_are_told_with_their_place(stage, tmp_path, rule, why):
    (tmp_path / "ads.txt").write_text("good.example\n")
    file = settings.write(stage.path("guise.yaml"), settings.forward(rule, lists={"ads": "ads.txt"}))
    status, out, errors = run("check", "-c", str(file))
    assert status != 0 and why in out + errors
    assert f"{file}:" in out + errors


def test_a_changed_list_holds_once_it_is_announced(world, curl, tmp_path):
    """Put in its place, written in place, of no use, gone, and back."""
    path = tmp_path / "ads.txt"
    path.write_text("bad.example\n")
    guise = world({"deny": {"lists": ["ads"]}}, {"allow": {}}, lists={"ads": str(path)})
    assert get(curl, guise, world, "fresh.example") == "200"
    replace(path, "bad.example\nfresh.example\n")
    guise.stderr.wait(lambda line: "has changed: 2 names" in line, "the new list")
    assert get(curl, guise, world, "a.fresh.example") == "403" and get(curl, guise, world, "bad.example") == "403"
    path.write_text("good.example\nstays.example\ncdn.y.example\n")
    guise.stderr.wait(lambda line: "has changed: 3 names" in line, "the list in place")
    assert get(curl, guise, world, "good.example") == "403" and get(curl, guise, world, "bad.example") == "200"
    replace(path, "<html>\n")
    guise.stderr.wait(lambda line: "it is no list" in line and "the old list stays in use" in line, "the complaint")
    assert get(curl, guise, world, "good.example") == "403"
    path.unlink()
    guise.stderr.wait(lambda line: "is not there: the old list stays in use" in line, "the complaint")
    assert get(curl, guise, world, "good.example") == "403"
    replace(path, "||x^\nbad.example\n")
    guise.stderr.wait(lambda line: "has changed: 1 names; 1 lines are of no use, the first is line 1" in line, "the list is back")
    assert get(curl, guise, world, "good.example") == "200" and get(curl, guise, world, "bad.example") == "403"


class Load:
    """Clients that ask for one name all the time, on connections that stay; what became of that."""

    def __init__(self, stage, guise, url, expected, clients=4):
        self.failures = []
        self.count = 0
        self.ended = False
        self.threads = [threading.Thread(target=self._ask, args=(stage, guise, url, expected), daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self, stage, guise, url, expected):
        host = url.split("/")[2]
        try:
            for number in itertools.count():
                if self.ended:
                    break
                if number % 1000 == 0:  # none is let ask for ever
                    client = stage.client(guise.forward)
                client.send(f"GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                status = client.read_response("GET").status
                self.count += 1
                if status != expected:
                    self.failures.append(status)
        except Exception as error:  # whatever it is, it is a failure
            self.failures.append(repr(error))

    def stop(self):
        self.ended = True
        for thread in self.threads:
            thread.join(20)
        assert self.count > 100 and not self.failures, (self.count, self.failures[:5])


def test_lists_change_under_load(world, curl, tmp_path):
    """No request fails or is judged by half a list; each new list holds from the line in the log on."""
    path = tmp_path / "ads.txt"
    filler = "".join(f"n{number}.filler.example\n" for number in range(20000))
    path.write_text("bad.example\n" + filler)
    guise = world({"deny": {"lists": ["ads"]}}, {"allow": {"addresses": [f"{PUBLIC}/32"]}}, lists={"ads": str(path)}, workers=2)
    port = world.origin.port
    denied = Load(world.stage, guise, f"http://www.bad.example:{port}/", 403)
    allowed = Load(world.stage, guise, f"http://stays.example:{port}/", 200, clients=2)
    for turn in range(6):
        replace(path, f"bad.example\nturn{turn}.example\n" + filler)
        wait_for(lambda turn=turn: guise.stderr.text.count("has changed") > turn, "the new list")
        assert get(curl, guise, world, f"a.turn{turn}.example") == "403"
        if turn:
            assert get(curl, guise, world, f"a.turn{turn - 1}.example") == "502"  # no list has it, and no name server
    denied.stop()
    allowed.stop()


@pytest.mark.skipif(sanitizer() is not None, reason="measures memory and time")
def test_a_million_names(world, curl, tmp_path):
    """Loaded in under a second and 100 MB; of a reload nothing stays. Numbers of bench/rules are more exact."""
    numbers = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    names = {"".join(numbers.choices(letters, k=numbers.randint(6, 16))) + ".example" for _ in range(1_000_000)}
    path = tmp_path / "million.txt"
    path.write_text("\n".join(names) + "\n")
    watch = Stopwatch()
    guise = world({"deny": {"lists": ["million"]}}, lists={"million": str(path)})
    assert watch.seconds < 5  # with all that is around it, on a busy machine
    assert guise.resident_peak() < 100_000_000
    one = next(iter(names))
    assert get(curl, guise, world, one) == "403" and get(curl, guise, world, "a.b.c." + one) == "403"
    assert get(curl, guise, world, "good.example") == "200"
    before = guise.resident()
    replace(path, "\n".join(names) + "\nfresh.example\n")
    guise.stderr.wait(lambda line: "has changed" in line, "the new list")
    assert get(curl, guise, world, "fresh.example") == "403"
    wait_for(lambda: guise.resident() < before + 8_000_000, "the old list is given back")
    assert guise.resident_peak() < 150_000_000


# explanations

def test_explained(stage, tmp_path):
    (tmp_path / "ads.txt").write_text("bad.example\n")
    config = settings.forward({"name": "no-ads", "deny": {"lists": ["ads"]}},
                              {"allow": {"domains": ["*.onion"]}, "proxy": ["tor", "direct"], "secrets": []},
                              {"deny": {"addresses": ["192.0.2.0/24"]}}, {"allow": {}},
                              lists={"ads": "ads.txt"}, parents={"tor": "socks5://127.0.0.1:9050"})
    file = settings.write(stage.path("guise.yaml"), config)

    def explain(url):
        status, out, errors = run("explain", "-c", str(file), "--via", "forward", "--json", url)
        assert status == 0, errors
        return json.loads(out)
    told = explain("http://www.bad.example/")
    assert told["rules"]["verdict"] == "deny" and told["rules"]["name"] == "no-ads" and told["error"]["detail"] == "no-ads (lists: ads)"
    assert told["rules"]["tried"] == [{
        "index": 0, "name": "no-ads", "place": told["rules"]["place"], "action": "deny", "holds": "yes",
        "conditions": [{"what": "lists", "text": "ads", "holds": "yes"}]}]
    told = explain("http://a.onion/")
    assert told["rules"]["way"]["proxy"] == ["tor", "direct"] and told["rules"]["verdict"] == "allow"
    told = explain("http://good.example/")
    assert told["rules"]["verdict"] == "needs_address" and [rule["holds"] for rule in told["rules"]["tried"]] == \
        ["no", "no", "unknown", "yes"]
    told = explain("http://192.0.2.1/")
    assert told["rules"]["verdict"] == "deny" and told["rules"]["index"] == 2
