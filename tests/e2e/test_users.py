"""Users of the forward proxy: passwords that other programs made, by other programs; 407 and what follows it; files that change; the brake; and that no
password is anywhere but where it has to be."""

import asyncio
import base64
import json
import os
import subprocess
import threading

import pytest
import websockets

from support import http2, settings
from support.certificates import Authority
from support.origin import answering, response
from support.process import binary
from support.servers import ENVIRONMENT, program
from support.tls import TLSClient, listener
from support.waiting import wait_for

PUBLIC = "93.184.216.34"
SECRET = "Tr0ub4dor-is-the-password"
REALM = 'Basic realm="Guise", charset="UTF-8"'


def htpasswd(name, password, *options):
    return subprocess.run([program("htpasswd"), "-nb", *options, name, password], capture_output=True, check=True,
                          text=True).stdout.strip()


def mkpasswd(name, password, method, *options):
    made = subprocess.run([program("mkpasswd"), "-m", method, *options, password], capture_output=True, check=True, text=True)
    return f"{name}:{made.stdout.strip()}"


def replace(path, text):
    """As careful programs do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def basic(user, password):
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() + "\r\n"


@pytest.fixture
def files(tmp_path):
    """files(*lines) -> the path of a file with these users."""
    def make(*lines, name="users.htpasswd"):
        path = tmp_path / name
        replace(path, "".join(line + "\n" for line in lines))
        return path
    return make


@pytest.fixture
def world(stage, files):
    """world(lines, **users) -> (origin, guise): an origin on every address, a proxy that asks who it is."""
    def make(lines=None, script=None, rules=(), listen=None, **users):
        origin = stage.origin(script, host="0.0.0.0")
        if lines is not False:
            users = dict({"file": str(files(*(lines or [htpasswd("ann", SECRET, "-B")])))}, **users)
        face = dict({"users": users}, **(listen or {}))
        return origin, stage.guise(settings.forward(*rules, listener=face, log={"level": "debug", "addresses": "full"}))
    return make


def get(client, origin, fields="", host=PUBLIC, method="GET", body=""):
    return client.ask(f"{method} http://{host}:{origin.port}/ HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}")


def everything(guise):
    return guise.stdout.text + guise.stderr.text


# programs

MADE = {
    "bcrypt": lambda: htpasswd("ann", SECRET, "-B"),
    "bcrypt 10": lambda: htpasswd("ann", SECRET, "-B", "-C", "10"),
    "SHA-256": lambda: htpasswd("ann", SECRET, "-2"),
    "SHA-512": lambda: htpasswd("ann", SECRET, "-5"),
    "mkpasswd bcrypt": lambda: mkpasswd("ann", SECRET, "bcrypt"),
    "mkpasswd yescrypt": lambda: mkpasswd("ann", SECRET, "yescrypt"),
    "mkpasswd scrypt": lambda: mkpasswd("ann", SECRET, "scrypt"),
    "mkpasswd SHA-512": lambda: mkpasswd("ann", SECRET, "sha512crypt", "-R", "20000"),
}


@pytest.mark.parametrize("made", MADE)
def test_files_of_other_programs(world, curl, made):
    origin, guise = world([MADE[made]()])
    proxy = f"http://127.0.0.1:{guise.forward[1]}"
    url = f"http://{PUBLIC}:{origin.port}/"
    assert curl("-x", proxy, "-U", f"ann:{SECRET}", url).body == b"ok"
    refused = curl("-x", proxy, "-U", f"ann:{SECRET}x", "-o", "/dev/null", "-w", "%{http_code}", url)
    assert refused.text == "407"


@pytest.mark.parametrize("options", [(), ("-p",), ("--proxy-anyauth",), ("--proxy-anyauth", "-p"), ("--socks5-hostname",)])
def test_curl(world, curl, options):
    origin, guise = world()
    address = f"127.0.0.1:{guise.forward[1]}"
    proxy = [*options, address] if "--socks5-hostname" in options else [*options, "-x", f"http://{address}"]
    assert curl(*proxy, "-U", f"ann:{SECRET}", f"http://{PUBLIC}:{origin.port}/").body == b"ok"
    entry = guise.wait_log(lambda entry: entry["status"] == 200)
    assert entry["user"] == "ann"
    assert not origin.requests[0].fields.has("Proxy-Authorization")
    assert SECRET not in str(origin.requests[0].fields) and "uthoriz" not in str(origin.requests[0].fields)


def test_curl_is_asked_once_on_its_connection(world, curl):
    """Two requests on one connection: 407, then 200, and no other connection."""
    origin, guise = world()
    got = curl("-v", "--proxy-anyauth", "-x", f"http://127.0.0.1:{guise.forward[1]}", "-U", f"ann:{SECRET}",
               "-d", "some=content", f"http://{PUBLIC}:{origin.port}/")
    assert got.body == b"ok"
    statuses = [entry["status"] for entry in wait_for(lambda: len(guise.log_entries()) >= 2 and guise.log_entries(), "two entries")]
    assert statuses == [407, 200]
    assert got.errors.count("* Connected to") == 1, got.errors


@pytest.mark.seconds(60)
def test_chromium(world, tmp_path):
    """A browser is asked for the password, and then loads a page with many parts, over the proxy and through tunnels of it."""
    def page(peer):
        while (got := peer.read_request()) is not None:
            if got.target == "/":
                parts = "".join(f"<script src='/part/{number}'></script>" for number in range(12))
                peer.send(response(200, f"<body><p id=a></p>{parts}</body>".encode(), [("Content-Type", "text/html")]))
            else:
                peer.send(response(200, b"document.getElementById('a').append('x')", [("Content-Type", "text/javascript")]))
    origin, guise = world(script=page)
    asked = []

    async def browse(place):
        async with websockets.connect(place, max_size=None) as socket:
            number = 0

            async def call(method, session=None, **parameters):
                nonlocal number
                number += 1
                await socket.send(json.dumps({"id": number, "method": method, "params": parameters,
                                              **({"sessionId": session} if session else {})}))
                return number
            first = await call("Target.createTarget", url="about:blank")
            session = text = None
            while text is None:
                told = json.loads(await asyncio.wait_for(socket.recv(), 30))
                if told.get("id") == first:
                    await call("Target.attachToTarget", targetId=told["result"]["targetId"], flatten=True)
                elif told.get("method") == "Target.attachedToTarget" and session is None:
                    session = told["params"]["sessionId"]
                    await call("Fetch.enable", session, handleAuthRequests=True)
                    await call("Page.enable", session)
                    await call("Page.navigate", session, url=f"http://{PUBLIC}:{origin.port}/")
                elif told.get("method") == "Fetch.requestPaused":
                    await call("Fetch.continueRequest", session, requestId=told["params"]["requestId"])
                elif told.get("method") == "Fetch.authRequired":
                    asked.append(told["params"]["authChallenge"])
                    await call("Fetch.continueWithAuth", session, requestId=told["params"]["requestId"], authChallengeResponse={
                        "response": "ProvideCredentials", "username": "ann", "password": SECRET})
                elif told.get("method") == "Page.loadEventFired":
                    last = await call("Runtime.evaluate", session, expression="document.getElementById('a').textContent")
                elif told.get("id") and "result" in told and told["result"].get("result", {}).get("type") == "string":
                    assert told["id"] == last
                    text = told["result"]["result"]["value"]
            await call("Browser.close")
            return text

    browser = subprocess.Popen([program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
                                f"--user-data-dir={tmp_path}/profile", f"--proxy-server=http://127.0.0.1:{guise.forward[1]}",
                                "about:blank"], env=dict(ENVIRONMENT, HOME=str(tmp_path)), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        place = next(line.split()[-1] for line in browser.stderr if line.startswith("DevTools listening on "))
        drain = threading.Thread(target=browser.stderr.read, daemon=True)
        drain.start()
        assert asyncio.run(browse(place)) == "x" * 12
        browser.wait(20)
        drain.join(10)
    finally:
        browser.kill()
        browser.wait(10)
        browser.stderr.close()
    assert asked[0]["source"] == "Proxy" and asked[0]["scheme"] == "basic" and asked[0]["realm"] == "Guise"
    assert all(not request.fields.has("Proxy-Authorization") for request in origin.requests)
    assert guise.wait_log(lambda entry: entry["target"].endswith("/part/11") and entry["status"] == 200)["user"] == "ann"


# 407

def test_asked_then_let_in_on_one_connection(stage, world):
    origin, guise = world()
    client = stage.client(guise.forward)
    for body in ("", "hello"):
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        got = get(client, origin, length, method="POST" if body else "GET", body=body)
        assert got.status == 407 and got.fields.get("Proxy-Authenticate") == REALM
        assert not got.fields.has("Connection") and not got.fields.has("WWW-Authenticate")
    got = get(client, origin, "Content-Length: 5\r\n" + basic("ann", SECRET), method="POST", body="hello")
    assert (got.status, got.body) == (200, b"ok")
    assert [request.body for request in origin.requests] == [b"hello"]
    assert get(client, origin, basic("ann", SECRET)).status == 200
    # nothing is remembered of the connection: each request says who it is
    assert get(client, origin).status == 407


def test_a_tunnel(stage, world):
    """The connection of a refused CONNECT ends (RFC 9931, of CONNECT): what follows may be meant for the tunnel."""
    origin, guise = world()
    client = stage.client(guise.forward)
    client.send(f"CONNECT {PUBLIC}:{origin.port} HTTP/1.1\r\nHost: x\r\n\r\n"
                f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.1\r\nHost: x\r\n{basic('ann', SECRET)}\r\n".encode())
    got = client.read_response("CONNECT")
    assert got.status == 407 and got.fields.get("Proxy-Authenticate") == REALM and got.fields.get("Connection") == "close"
    client.expect_end()
    assert not origin.requests
    client = stage.client(guise.forward)
    assert client.ask(f"CONNECT {PUBLIC}:{origin.port} HTTP/1.1\r\nHost: x\r\n{basic('ann', SECRET)}\r\n").status == 200
    assert client.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").body == b"ok"


def test_http2(stage, world, tmp_path):
    """Requests and tunnels over HTTP/2: the connection is kept whatever is refused."""
    certificate = http2.certificate(tmp_path)
    tls = {"certificates": [{"certificate": certificate[0], "key": certificate[1]}]}
    origin, guise = world(listen={"tls": tls})
    client = http2.Client(guise.forward, tls=http2.client_context("h2")).settled()
    stage.clients.append(client)
    token = basic("ann", SECRET).split(": ")[1].strip()

    def ask(fields=(), method="GET"):
        place = f"{PUBLIC}:{origin.port}"
        return client.answer(client.request(method, fields=list(fields), authority=place, scheme="http", end=method == "GET"))
    for method in ("GET", "CONNECT"):
        stream = ask(method=method)
        assert stream.status == 407 and stream.field("proxy-authenticate") == REALM
    for method in ("GET", "CONNECT"):
        stream = ask([("proxy-authorization", token)], method)
        assert stream.status == 200
    assert not any(request.fields.has("Proxy-Authorization") for request in origin.requests)


@pytest.mark.parametrize("field", ["Bearer " + SECRET, "Negotiate " + SECRET, "Digest username=\"ann\"", "Basic", "Basic !!",
                                   "Basic " + base64.b64encode(b"ann").decode(), "basic  " + base64.b64encode(b"a\x00:b").decode()])
def test_what_is_not_understood(stage, world, field):
    origin, guise = world()
    client = stage.client(guise.forward)
    got = get(client, origin, f"Proxy-Authorization: {field}\r\n")
    assert got.status == 407 and get(client, origin, basic("ann", SECRET)).status == 200
    guise.wait_log(lambda entry: entry["status"] == 200)
    assert SECRET not in everything(guise)


def test_two_credentials_are_none(stage, world):
    origin, guise = world()
    got = get(stage.client(guise.forward), origin, basic("ann", SECRET) + basic("bob", SECRET))
    assert got.status == 400 and not origin.requests


def test_utf8(stage, world):
    origin, guise = world([htpasswd("zoë", "pässwörd €", "-B")])
    client = stage.client(guise.forward)
    assert get(client, origin, basic("zoë", "pässwörd €")).status == 200
    assert guise.wait_log()["user"].encode("latin-1").decode() == "zoë"


# who it is

def test_rules_by_user_and_group(stage, world, tmp_path):
    groups = tmp_path / "groups"
    groups.write_text("staff: ann\n")
    rules = ({"allow": {"groups": ["staff"]}}, {"allow": {"users": ["bob"], "ports": [1]}})
    origin, guise = world([htpasswd("ann", "a", "-B"), htpasswd("bob", "b", "-B")], rules=rules, groups=str(groups))
    assert get(stage.client(guise.forward), origin, basic("ann", "a")).status == 200
    assert get(stage.client(guise.forward), origin, basic("bob", "b")).status == 403
    replace(groups, "staff: ann\nstaff: bob\n")
    client = stage.client(guise.forward)
    wait_for(lambda: get(client, origin, basic("bob", "b")).status == 200, "the new groups")
    replace(groups, "staff: bob\n")
    wait_for(lambda: get(client, origin, basic("ann", "a")).status == 403, "the groups after that")


def test_networks(stage, world):
    origin, guise = world(networks={"loop": "127.0.0.0/8", "printer": ["127.0.0.7", "127.0.0.8"]})
    assert get(stage.client(guise.forward, source="127.0.0.7"), origin).status == 200
    assert guise.wait_log()["user"] == "printer"
    mark = guise.log_mark()
    assert get(stage.client(guise.forward, source="127.0.0.9"), origin).status == 200
    assert guise.wait_log(start=mark)["user"] == "loop"
    # who says who it is, is held to it
    mark = guise.log_mark()
    assert get(stage.client(guise.forward, source="127.0.0.7"), origin, basic("ann", SECRET)).status == 200
    assert guise.wait_log(start=mark)["user"] == "ann"
    assert get(stage.client(guise.forward, source="127.0.0.7"), origin, basic("ann", "wrong")).status == 407


def test_networks_alone(stage, world):
    """Where there is no password to ask for, nobody is asked."""
    origin, guise = world(False, networks={"printer": "127.0.0.7"})
    assert get(stage.client(guise.forward, source="127.0.0.7"), origin).status == 200
    got = get(stage.client(guise.forward, source="127.0.0.9"), origin)
    assert got.status == 403 and not got.fields.has("Proxy-Authenticate")


def test_certificates(stage, world, tmp_path):
    authority = Authority(tmp_path)
    me, leaf = authority.leaf("carl.example", client=True), authority.leaf("a.test")
    tls = listener(leaf, clients={"verify": "optional", "ca": authority.file})
    origin, guise = world(listen={"tls": tls}, certificates=True)

    def client(**options):
        made = TLSClient(guise.forward, alpn=("http/1.1",), **options)
        stage.clients.append(made)
        return made
    assert get(client(leaf=me), origin).status == 200
    assert guise.wait_log()["user"] == "carl.example"
    assert get(client(), origin).status == 407
    assert get(client(), origin, basic("ann", SECRET)).status == 200


# files that change

def test_users_change(stage, world, files):
    origin, guise = world([htpasswd("ann", "old", "-B"), htpasswd("bob", "b", "-B")])
    client = stage.client(guise.forward)
    assert get(client, origin, basic("ann", "old")).status == 200
    path = files(htpasswd("ann", "new", "-B"), htpasswd("carl", "c", "-B"))
    wait_for(lambda: get(client, origin, basic("ann", "old")).status in (407, 429), "the new file")
    assert get(client, origin, basic("ann", "new")).status == 200
    assert get(client, origin, basic("carl", "c")).status == 200
    assert get(client, origin, basic("bob", "b")).status == 407
    guise.stderr.wait(lambda line: "users of forward[0] have changed: there are 2 with a password" in line, "the log")
    # a wrong one is refused as a whole, with its place, and without what stands there
    files(htpasswd("dora", "d", "-B"), "eve:" + SECRET)
    guise.stderr.wait(lambda line: f"{path}:2:5: this is no hash of a strong method" in line
                      and line.endswith("the old ones stay in use"), "the complaint")
    assert get(client, origin, basic("ann", "new")).status == 200
    os.unlink(path)
    guise.stderr.wait(lambda line: "a file is not there: the old ones stay in use" in line, "the other complaint")
    assert get(client, origin, basic("ann", "new")).status == 200
    files(htpasswd("ann", "newer", "-B"))
    wait_for(lambda: get(client, origin, basic("ann", "newer")).status == 200, "the last file")
    assert SECRET not in everything(guise)


# the brake

def test_guessing_is_braked(stage, world):
    """Twenty wrong ones in a row: after five nothing is looked at; ann goes on where she was before, and with another address she does not."""
    origin, guise = world(brake={"delay": "1h", "longest": "1h", "forget": "2h"})
    ann = stage.client(guise.forward, source="127.0.0.2")
    assert get(ann, origin, basic("ann", SECRET)).status == 200
    guesser = stage.client(guise.forward, source="127.0.0.66")
    statuses = []
    for number in range(20):
        got = get(guesser, origin, basic("ann", f"guess{number}"))
        statuses.append(got.status)
    assert statuses == [407] * 5 + [429] * 15
    assert 3590 < int(got.fields.get("Retry-After")) <= 3600 and not got.fields.has("Proxy-Authenticate")
    # the right one is no way to find out either
    assert get(guesser, origin, basic("ann", SECRET)).status == 429
    assert get(stage.client(guise.forward, source="127.0.0.67"), origin, basic("ann", SECRET)).status == 429
    for client in (ann, stage.client(guise.forward, source="127.0.0.2")):
        assert get(client, origin, basic("ann", SECRET)).status == 200
    assert guise.wait_log(lambda entry: entry["status"] == 407)["error"] == 'wrong user or password: as "ann"'
    assert guise.wait_log(lambda entry: entry["status"] == 429)["error"].startswith("too many wrong logins")


def test_an_old_password_shuts_nobody_out(stage, world):
    origin, guise = world(brake={"delay": "1h", "longest": "1h", "forget": "2h"})
    program_with_old_one = stage.client(guise.forward)
    for _ in range(30):
        assert get(program_with_old_one, origin, basic("ann", "old")).status == 407
    assert get(stage.client(guise.forward), origin, basic("ann", SECRET)).status == 200


# what is dear

def test_others_go_on_while_a_password_is_verified(stage, world):
    """Cost 14 takes a second of a thread; the only worker serves others meanwhile: theirs are answered first."""
    origin, guise = world([htpasswd("ann", SECRET, "-B", "-C", "14"), htpasswd("bob", "b", "-B")],
                          networks={"printer": "127.0.0.7"}, threads=1)
    dear, other = stage.client(guise.forward), stage.client(guise.forward, source="127.0.0.7")
    assert get(other, origin).status == 200
    dear.send(f"GET http://{PUBLIC}:{origin.port}/dear HTTP/1.1\r\nHost: x\r\n{basic('ann', SECRET)}\r\n".encode())
    for _ in range(20):
        assert get(other, origin).status == 200
    assert dear.read_response("GET").status == 200
    assert [request.target for request in origin.requests].index("/dear") == 21
    # now it is known, and comes before what has to be verified
    busy = stage.client(guise.forward)
    busy.send(f"GET http://{PUBLIC}:{origin.port}/wrong HTTP/1.1\r\nHost: x\r\n{basic('ann', 'wrong')}\r\n".encode())
    for _ in range(20):
        assert get(dear, origin, basic("ann", SECRET)).status == 200
    assert busy.read_response("GET").status == 407


def test_more_than_wait(stage, world):
    origin, guise = world([htpasswd("ann", SECRET, "-B", "-C", "12")], threads=1, queue=2, brake={"failures": "unlimited"})
    clients = [stage.client(guise.forward) for _ in range(12)]
    for number, client in enumerate(clients):
        client.send(f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.1\r\nHost: x\r\n{basic('ann', f'wrong{number}')}\r\n".encode())
    got = [client.read_response("GET") for client in clients]
    statuses = [answer.status for answer in got]
    assert set(statuses) == {407, 503} and statuses.count(407) >= 2
    assert next(answer for answer in got if answer.status == 503).fields.get("Retry-After") == "1"


def test_the_end_does_not_wait_for_the_queue(stage, world):
    """Guise is told to end while logins wait: what waits is answered or cut, and all threads come to their end."""
    origin, guise = world([htpasswd("ann", SECRET, "-B", "-C", "12")], threads=1, brake={"failures": "unlimited"})
    clients = [stage.client(guise.forward) for _ in range(40)]
    for number, client in enumerate(clients):
        client.send(f"GET http://{PUBLIC}:{origin.port}/ HTTP/1.1\r\nHost: x\r\n{basic('ann', f'wrong{number}')}\r\n".encode())
    guise.wait_log(lambda entry: entry["status"] == 407)
    guise.stop()


# secrets

def test_the_password_is_nowhere(stage, world):
    """Neither in a log nor at the origin, right or wrong, whoever is said to have it."""
    origin, guise = world(script=answering(response(200, b"ok")))
    for mark in ("ann", "nobody"):
        for source in ("127.0.0.2", "127.0.0.3"):
            client = stage.client(guise.forward, source=source)
            get(client, origin, basic(mark, SECRET))
            get(client, origin, basic(mark, SECRET + "-wrong"))
            client.send(f"CONNECT {PUBLIC}:{origin.port} HTTP/1.1\r\nHost: x\r\n{basic(mark, SECRET)}\r\n".encode())
            client.read_response("CONNECT")
            client.close()
    wait_for(lambda: len(guise.log_entries()) >= 12, "the log")
    token = base64.b64encode(f"ann:{SECRET}".encode()).decode()
    for text in (everything(guise), *(str(request.fields) for request in origin.requests)):
        assert SECRET not in text and token[:16] not in text and "roxy-Auth" not in text


# configurations

MISTAKES = {
    "file": ({"file": "missing"}, 'cannot read the users of missing: No such file or directory'),
    "nothing": ({"realm": "x"}, '"users" lets nobody in: it takes a "file" with passwords, "networks" or "certificates"'),
    "certificates": ({"certificates": True}, '"certificates" needs certificates'),
    "networks": ({"networks": {"a": "10.0.0.0/8", "b": ["10.0.0.0/8"]}}, 'this one is that of the user "a" already'),
    "name": ({"networks": {"a:b": "10.0.0.0/8"}}, "has a colon"),
    "realm": ({"file": "good", "realm": ""}, "a realm has 1 to 128 bytes"),
    "weak": ({"file": "weak"}, "weak:2:5: Apache's MD5 is a weak hash: make it with \"htpasswd -B\""),
    "intercept": ({"file": "good"}, 'clients that are intercepted know of no proxy'),
    "groups": ({"file": "good", "groups": "weak"}, "weak:1:1:"),
}


@pytest.mark.parametrize("which", MISTAKES)
def test_mistakes_are_found_by_check(tmp_path, which):
    (tmp_path / "good").write_text(htpasswd("ann", "a", "-B") + "\n")
    (tmp_path / "weak").write_text("# a\n" + htpasswd("bob", "b", "-m") + "\n" if which == "weak" else "staff ann\n")
    users, message = MISTAKES[which]
    face = {"users": users, **({"intercept": "redirect"} if which == "intercept" else {})}
    settings.write(tmp_path / "guise.yaml", settings.forward(listener=face))
    done = subprocess.run([binary(), "check", "-c", str(tmp_path / "guise.yaml")], capture_output=True, text=True, timeout=10,
                          check=False)
    assert done.returncode == 1 and message in done.stderr, done.stderr


def test_users_close_an_open_proxy(tmp_path):
    """A listener beyond this machine may start when it asks who it is, and not when a network is everybody."""
    (tmp_path / "users").write_text(htpasswd("ann", "a", "-B") + "\n")
    for users, code in (({"file": "users"}, 0), ({"file": "users", "networks": {"all": "0.0.0.0/0"}}, 1)):
        settings.write(tmp_path / "guise.yaml", settings.forward(listener={"listen": "0.0.0.0:0", "users": users}))
        done = subprocess.run([binary(), "check", "-c", str(tmp_path / "guise.yaml")], capture_output=True, text=True,
                              timeout=10, check=False)
        assert done.returncode == code, done.stderr
        assert ("open proxy" in done.stderr) == bool(code)


def test_explain_as_a_user(tmp_path):
    (tmp_path / "users").write_text(htpasswd("ann", "a", "-B") + "\n")
    (tmp_path / "groups").write_text("staff: ann\n")
    config = settings.forward({"allow": {"groups": ["staff"]}}, listener={"users": {"file": "users", "groups": "groups"}})
    settings.write(tmp_path / "guise.yaml", config)

    def explain(*options):
        done = subprocess.run([binary(), "explain", "-c", str(tmp_path / "guise.yaml"), "--via", "forward", "--json", *options,
                               "http://example.com/"], capture_output=True, text=True, timeout=10, check=True)
        return json.loads(done.stdout)
    assert explain("-H", "Proxy-Authorization: Basic YTpi")["error"]["status"] == 407
    told = explain("--user", "ann")
    assert told["user"] == "ann" and "error" not in told
    assert explain("--user", "bob")["error"]["status"] == 403
