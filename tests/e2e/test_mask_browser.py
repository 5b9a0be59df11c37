"""A real browser logs in to a small site behind the reverse mask: redirects, cookies, ranges and conditional requests work, and nothing
that it receives names what is inside."""

import base64
import html
import json
import re
import subprocess

import pytest

from support import settings
from support.certificates import Authority
from support.origin import response
from support.servers import ENVIRONMENT, program
from support.tls import listener

INSIDE = "app-7.internal.corp"
ADDRESS = "127.0.77.7"
ITEM = b"0123456789"
CHATTER = [("Server", "Apache/2.4.57 (Debian)"), ("X-Powered-By", "PHP/8.2.7"), ("X-Served-By", INSIDE), ("Via", f"1.1 {INSIDE}"),
           ("X-Runtime", "0.01"), ("X-Backend", ADDRESS), ("Server-Timing", f"db;desc=\"{INSIDE}\";dur=3")]

LOGIN = """<!doctype html><title>login</title><form method=post action=login><input name=user value=ann><input name=password value=secret>
</form><script>document.forms[0].submit()</script>"""

# What a page can see of its own site, written into the page.
HOME = """<!doctype html><title>home</title><img src=picture><pre id=seen></pre><script>
function ask(path, fields) {
  const request = new XMLHttpRequest();
  request.open("GET", path, false);
  for (const [name, value] of Object.entries(fields || {}))
    request.setRequestHeader(name, value);
  request.send();
  return {status: request.status, reason: request.statusText, url: request.responseURL, body: request.responseText,
          fields: request.getAllResponseHeaders()};
}
document.getElementById("seen").textContent = JSON.stringify({
  url: location.href, cookie: document.cookie, first: ask("item"), again: ask("item"), range: ask("item", {Range: "bytes=2-5"}),
  unchanged: ask("item", {"If-None-Match": '"item-1"'}),
  moved: ask("moved"), absolute: ask("absolute"), nowhere: ask("nowhere"), timing: JSON.stringify(performance.getEntries())});
</script>"""


def site(peer):
    """An application that knows itself by its inner name alone."""
    base = f"http://{INSIDE}:{peer.local[1]}"
    while (got := peer.read_request()) is not None:
        peer.send(answer(got, base))


def answer(got, base):
    session = "session=ann-1" in (got.fields.get("Cookie") or "")
    path = got.target.partition("?")[0]

    def page(text, kind="text/html", status=200, fields=()):
        return response(status, text.encode() if isinstance(text, str) else text,
                        [*CHATTER, ("Content-Type", kind), *fields], reason=f"Fine at {INSIDE}")

    def redirect(status, target):
        return page("", status=status, fields=[("Location", target)])
    if path == "/v2/login" and got.method == "POST":
        assert got.body == b"user=ann&password=secret"
        return page("", status=303, fields=[
            ("Location", f"{base}/v2/home"), ("Set-Cookie", f"session=ann-1; Domain={INSIDE}; Path=/v2/; HttpOnly"),
            ("Set-Cookie", "theme=dark; Domain=.internal.corp; Path=/v2")])
    if path == "/v2/login":
        return page(LOGIN)
    if not session:
        return redirect(302, f"{base}/v2/login?next=home")
    if path == "/v2/home":
        return page(HOME, fields=[("Content-Location", f"{base}/v2/home"), ("Link", f"<{base}/v2/style>; rel=preload; as=style"),
                                  ("Content-Security-Policy", f"default-src 'self' 'unsafe-inline' {base}")])
    if path == "/v2/item":
        return item(got, page)
    if path == "/v2/moved":
        return redirect(301, "/v2/target")
    if path == "/v2/absolute":
        return redirect(307, f"//{INSIDE}/v2/target")
    if path in ("/v2/target", "/v2/style", "/v2/picture"):
        return page("target", "text/css")
    return page("not here", status=404)


def item(got, page):
    """A resource with a strong validator, in parts if wanted."""
    fields = [("ETag", '"item-1"'), ("Cache-Control", "no-cache"), ("Accept-Ranges", "bytes")]
    if got.fields.get("If-None-Match") == '"item-1"':
        return response(304, b"", [*CHATTER, *fields], length=False)
    wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", got.fields.get("Range") or "")
    if wanted:
        first, last = map(int, wanted.groups())
        return page(ITEM[first:last + 1], "text/plain", 206, [*fields, ("Content-Range", f"bytes {first}-{last}/{len(ITEM)}")])
    return page(ITEM, "text/plain", fields=fields)


def browse(directory, url, *options):
    """The document that Chromium ends at, and all that its log of the network has."""
    log = directory / "netlog.json"
    done = subprocess.run([program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                           "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
                           f"--user-data-dir={directory}/chromium", "--ignore-certificate-errors", "--virtual-time-budget=20000",
                           "--host-resolver-rules=MAP shop.example 127.0.0.1", f"--log-net-log={log}",
                           "--net-log-capture-mode=Everything", *options, "--dump-dom", url],
                          stdin=subprocess.DEVNULL, capture_output=True, env=dict(ENVIRONMENT, HOME=str(directory)), timeout=55,
                          check=False)
    text = done.stdout.decode("utf-8", "replace")
    assert 'id="seen"' in text, (text, done.stderr[-2000:])
    return json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', text, re.S).group(1))), text, log.read_text()


def received(log):
    """All that came over the network, as the browser logs it: heads as text, bytes as base64."""
    for raw in re.findall(r'"bytes":"([A-Za-z0-9+/=]+)"', log):
        yield base64.b64decode(raw).decode("latin-1")
    yield log


@pytest.mark.seconds(90)
@pytest.mark.parametrize("secure", [True, False])
def test_chromium_logs_in(stage, tmp_path, secure):
    """Over HTTP/2 with TLS, and over HTTP/1.1."""
    names = stage.names()
    names.set(INSIDE, v4=[ADDRESS])
    origin = stage.origin(site, host=ADDRESS)
    face = {"tls": listener(Authority(tmp_path).leaf("shop.example"))} if secure else {}
    config = settings.reverse(f"{INSIDE}:{origin.port}", listener=face, resolver={"servers": [names.address], "hosts": False},
                              route={"host": "shop.example", "path": "/shop/", "rewrite": {"from": "/shop/", "to": "/v2/"}})
    guise = stage.guise(config)
    base = f"{'https' if secure else 'http'}://shop.example:{guise.reverse[1]}/shop/"
    seen, text, log = browse(tmp_path, base + "home")
    assert seen["url"] == base + "home"
    assert seen["cookie"] == "theme=dark"  # the other one is not for scripts
    assert seen["first"]["status"] == seen["again"]["status"] == 200 and seen["again"]["body"] == ITEM.decode()
    assert (seen["range"]["status"], seen["range"]["body"]) == (206, "2345")
    assert seen["unchanged"]["status"] == 304
    for name in ("moved", "absolute"):
        assert (seen[name]["status"], seen[name]["body"], seen[name]["url"]) == (200, "target", base + "target")
    assert seen["nowhere"]["status"] == 404
    # the server was asked as it expects; what has a certificate of a test's authority is not kept
    assert secure or [request.fields.get("If-None-Match") for request in origin.requests if request.target == "/v2/item"][1] == '"item-1"'
    assert any(request.target == "/v2/login?next=home" for request in origin.requests)
    # and the browser has seen nothing of it
    for source in (text, json.dumps(seen), *received(log)):
        for word in ("internal.corp", ADDRESS, f":{origin.port}", "Apache", "PHP/8", "/v2/"):
            assert word not in source, (word, source[max(0, source.find(word) - 300):source.find(word) + 300])
    assert '"item-1"' in "".join(received(log)) and "shop.example" in log  # it is a log of what was looked for
