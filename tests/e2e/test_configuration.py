"""Wrong configurations: every mistake with file, line, column and a suggestion, all in one run, nothing started."""

import os
import re
import socket

import pytest

from support.process import Guise, run


def check(tmp_path, text, env=None):
    path = tmp_path / "guise.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return run("check", "-c", "guise.yaml", cwd=tmp_path, env=env)


def reverse(route, rest=""):
    return f"reverse:\n  - listen: 127.0.0.1:0\n    routes:\n      - {route}\nupstreams: {{web: [127.0.0.1:3000]}}\n{rest}"


def forward(text):
    return f"forward:\n  - listen: 127.0.0.1:0\n    {text}\n"


GOOD = reverse("{to: web}")

WRONG = {
    # name: (text, line, column or None, words that must be in the message)
    "unknown key with a suggestion": (GOOD + "limitz: {}\n", 6, 1, ["limitz", "limits"]),
    "unknown key in a map": (GOOD + "limits:\n  boddy: 1 MiB\n", 7, 3, ["boddy", "body"]),
    "unknown key in a listener": ("forward:\n  - lisen: 127.0.0.1:0\n", 2, 5, ["lisen", "listen"]),
    "unknown key in a route": (reverse("{too: web}"), 4, 10, ["too", "to"]),
    "wrong type": (GOOD + "workers: [1]\n", 6, 10, ["workers"]),
    "a map for a list": ("reverse: {listen: 127.0.0.1:0}\n", 1, 10, ["reverse"]),
    "number too large": (GOOD + "workers: 257\n", 6, 10, ["workers"]),
    "number too small": (GOOD + "workers: 0\n", 6, 10, ["workers"]),
    "not a number": (GOOD + "workers: many\n", 6, 10, ["workers"]),
    "bad size unit": (GOOD + "limits: {body: 10 MuB}\n", 6, None, ["10 MuB"]),
    "negative size": (GOOD + "limits: {body: -1}\n", 6, None, ["-1"]),
    "size that overflows": (GOOD + "limits: {body: 99999999999 GiB}\n", 6, None, ["body"]),
    "bad time unit": (GOOD + "timeouts: {idle: 5 parsecs}\n", 6, None, ["5 parsecs"]),
    "negative time": (GOOD + "timeouts: {idle: -5s}\n", 6, None, ["-5s"]),
    "time without unit": (GOOD + "timeouts: {idle: 5x}\n", 6, None, ["5x"]),
    "bad enumeration with a suggestion": (GOOD + "log: {format: jsn}\n", 6, None, ["jsn", "json"]),
    "bad mask": (forward("mask: elit"), 3, None, ["elit", "elite"]),
    "bad boolean": (forward("open: maybe"), 3, None, ["maybe"]),
    "bad network": (forward("sources: [10.0.0.0/33]"), 3, None, ["10.0.0.0/33"]),
    "network with host bits or not": (forward("sources: [nonsense]"), 3, None, ["nonsense"]),
    "bad port in a rule": (forward("rules: [{allow: {ports: [70000]}}]"), 3, None, ["70000"]),
    "bad port range in a rule": (forward('rules: [{allow: {ports: ["90-80"]}}]'), 3, None, ["90-80"]),
    "rule of neither kind": (forward("rules: [{permit: {ports: [80]}}]"), 3, None, ["permit"]),
    "bad listen address": ("forward:\n  - listen: 127.0.0.1:99999\n", 2, None, ["99999"]),
    "listen without port": ("forward:\n  - listen: 127.0.0.1\n", 2, None, ["127.0.0.1"]),
    "listener without listen": ("forward:\n  - mask: elite\n", 2, None, ["listen"]),
    "unknown upstream with a suggestion": (reverse("{to: wbe}"), 4, None, ["wbe", "web"]),
    "two actions": (reverse('{to: web, redirect: "http://b.test/"}'), 4, None, ["to", "redirect"]),
    "no action": (reverse("{host: a.test}"), 4, None, ["to", "respond", "redirect"]),
    "bad pattern": (reverse('{path: "~[", to: web}'), 4, None, ["["]),
    "bad pattern in a field": (reverse('{fields: {X-A: "~("}, to: web}'), 4, None, ["("]),
    "bad field name in a route": (reverse('{fields: {"X A": "1"}, to: web}'), 4, None, ["X A"]),
    "bad method": (reverse('{method: "G T", to: web}'), 4, None, ["G T"]),
    "bad status": (reverse("{respond: {status: 99}}"), 4, None, ["99"]),
    "status for redirect": (reverse('{redirect: "/x", redirect_status: 200}'), 4, None, ["200"]),
    "field edit with a bad name": (reverse('{to: web, request: {set: {"X:A": b}}}'), 4, None, ["X:A"]),
    "field edit with a line break": (reverse('{to: web, request: {set: {X-A: "a\\r\\nX-B: c"}}}'), 4, None, ["field"]),
    "unknown template": (reverse('{redirect: "https://{hots}/"}'), 4, None, ["hots", "host"]),
    "open template": (reverse('{redirect: "https://{host/"}'), 4, None, []),
    "bad server": (reverse("{to: web}", "").replace("127.0.0.1:3000", "127.0.0.1"), 5, None, ["127.0.0.1"]),
    "group without servers": ("upstreams: {web: []}\n" + reverse("{to: web}").replace("upstreams", "x"), None, None, []),
    "bad weight": (reverse("{to: web}").replace("[127.0.0.1:3000]", "{servers: [{address: '127.0.0.1:1', weight: 0}]}"),
                   5, None, ["weight"]),
    "bad balance": (reverse("{to: web}").replace("[127.0.0.1:3000]", "{servers: ['127.0.0.1:1'], balance: magic}"), 5,
                    None, ["magic"]),
    "undefined variable": (GOOD + "name: ${GUISE_TEST_UNDEFINED}\n", 6, 7, ["GUISE_TEST_UNDEFINED"]),
    "missing file": (reverse("{respond: {body: 'file:missing.txt'}}"), 4, None, ["missing.txt"]),
    "bad name": (GOOD + "name: 'not a token'\n", 6, 7, ["not a token"]),
    "bad resolver": (GOOD + "resolver: {servers: [nonsense.test]}\n", 6, None, ["nonsense.test"]),
    "key twice": (GOOD + "workers: 1\nworkers: 2\n", 7, None, ["workers"]),
    "not YAML": (GOOD + "limits: {\n", None, None, []),
    "tab as indentation": (GOOD + "limits:\n\tbody: 1\n", 7, None, []),
    "not a map": ("- a\n- b\n", 1, None, []),
    "empty file": ("", None, None, []),
    "nothing to listen on": ("workers: 1\n", None, None, []),
    "NUL byte": (GOOD.encode() + b"name: a\0b\n", None, None, []),
    "not UTF-8": (GOOD.encode() + b"name: \xff\xfe\n", None, None, []),
    "open proxy": ("forward:\n  - listen: 0.0.0.0:0\n", 2, None, ["open"]),
    "open proxy by an empty host": ('forward:\n  - listen: ":0"\n', 2, None, ["open"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistake(tmp_path, name):
    text, line, column, words = WRONG[name]
    status, _, errors = check(tmp_path, text)
    assert status == 1, errors
    place = r"guise\.yaml:" + (str(line) if line else r"\d+") + ":" + (str(column) if column else r"\d+") + ": "
    if name not in ("empty file", "nothing to listen on", "group without servers"):
        found = [entry for entry in errors.splitlines() if re.search(place, entry)]
        assert found, errors
        for word in words:
            assert any(word in entry for entry in found), (word, errors)
    assert "guise.yaml" in errors


def test_suggestion_is_worded_as_a_question(tmp_path):
    _, _, errors = check(tmp_path, "forward:\n  - lisen: 127.0.0.1:0\n")
    assert 'guise.yaml:2:5: unknown key "lisen", did you mean "listen"?' in errors


def test_byte_order_mark_is_no_mistake(tmp_path):
    assert check(tmp_path, "\ufeffworkers: 1\nforward: [{listen: \"127.0.0.1:0\"}]\n")[0] == 0


def test_all_mistakes_in_one_run(tmp_path):
    text = ("workers: many\nlimitz: {}\nlog: {format: jsn}\ntimeouts: {idle: soon}\n"
            "forward:\n  - lisen: 127.0.0.1:0\n    mask: clown\n"
            "reverse:\n  - listen: 127.0.0.1:0\n    routes: [{to: nowhere}]\n")
    status, _, errors = check(tmp_path, text)
    assert status == 1
    for line in (1, 2, 3, 4, 6, 7, 10):
        assert re.search(rf"guise\.yaml:{line}:\d+: ", errors), (line, errors)


def test_run_starts_nothing_from_a_wrong_configuration(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "guise.yaml").write_text(f"forward:\n  - listen: 127.0.0.1:{port}\nlimitz: 1\n", encoding="utf-8")
    guise = Guise(["run", "-c", "guise.yaml"], cwd=tmp_path)
    assert guise.wait_exit() == 1
    assert "guise.yaml:3:1" in guise.stderr.text and "ready" not in guise.stderr.text


@pytest.mark.parametrize("command", ["run", "check"])
def test_missing_configuration_is_named(tmp_path, command):
    status, _, errors = run(command, "-c", "nowhere.yaml", cwd=tmp_path)
    assert status == 1 and "nowhere.yaml" in errors


def test_unreadable_configuration_is_named(tmp_path):
    (tmp_path / "dir.yaml").mkdir()
    status, _, errors = run("check", "-c", "dir.yaml", cwd=tmp_path)
    assert status == 1 and "dir.yaml" in errors


def test_unwritable_log_is_named(tmp_path):
    (tmp_path / "guise.yaml").write_text(GOOD + "log: {access: /nonexistent/access.log}\n", encoding="utf-8")
    guise = Guise(["run", "-c", "guise.yaml"], cwd=tmp_path)
    assert guise.wait_exit() == 1
    assert "/nonexistent/access.log" in guise.stderr.text


@pytest.mark.parametrize("face, key", [("forward", "forward[0].listen"), ("reverse", "reverse[0].listen")])
def test_port_in_use_names_the_key(stage, face, key):
    taken = stage.origin()
    text = f"{face}:\n  - listen: {taken.address}\n"
    if face == "reverse":
        text += "    routes: [{respond: {status: 200}}]\n"
    guise = stage.guise(text, ready=False)
    assert guise.wait_exit() == 1
    assert taken.address in guise.stderr.text
    assert face in guise.stderr.text and "listen" in guise.stderr.text, f"should name the key, like {key}"


def test_unix_listener_replaces_a_dead_socket_only(stage, tmp_path):
    path = tmp_path / "guise.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    text = f"reverse:\n  - listen: unix:{path}\n    routes: [{{respond: {{status: 200, body: hello}}}}]\n"
    first = stage.guise(text)
    assert stage.client(str(path)).get().body == b"hello"
    second = stage.guise(text, ready=False)
    assert second.wait_exit() == 1
    assert str(path) in second.stderr.text
    assert stage.client(str(path)).get().body == b"hello"
    stage.clients[-1].close()
    first.stop()
    assert not path.exists()


def test_variables_files_and_units(stage, tmp_path):
    (tmp_path / "body.txt").write_text("from a file", encoding="utf-8")
    guise = stage.guise("""
name: ${GUISE_TEST_NAME}
workers: ${GUISE_TEST_WORKERS:-1}
limits: {body: 64KiB, head: 32 KiB, field_line: 4096, memory: 1 GiB, flow: 65536}
timeouts: {idle: 1m, header: 1500ms, drain: 1s}
reverse:
  - listen: 127.0.0.1:0
    routes:
      - {path: /file, respond: {status: 200, body: "file:%s"}}
      - {path: /literal, respond: {status: 200, body: "$${HOME}"}}
""" % (tmp_path / "body.txt"), env={"GUISE_TEST_NAME": "masked"})
    client = stage.client(guise.reverse)
    assert client.get("/file").body == b"from a file"
    assert client.get("/literal").body == b"${HOME}"
    assert client.get("/none").fields.get("Proxy-Status", "").startswith("masked")


def test_file_values_are_relative_to_the_configuration(stage, tmp_path):
    (tmp_path / "body.txt").write_text("beside it", encoding="utf-8")
    guise = stage.guise("reverse: [{listen: 127.0.0.1:0, routes: [{respond: {body: 'file:body.txt'}}]}]\n")
    assert stage.client(guise.reverse).get().body == b"beside it"


def test_check_of_a_good_file(tmp_path):
    status, _, errors = check(tmp_path, GOOD)
    assert status == 0, errors


def test_check_binds_nothing(stage, tmp_path):
    taken = stage.origin()
    status, _, errors = check(tmp_path, f"forward:\n  - listen: {taken.address}\n")
    assert status == 0, errors


def test_several_listeners_of_each_face(stage, tmp_path):
    guise = stage.guise({
        "workers": 1,
        "forward": [{"listen": ["127.0.0.1:0", "[::1]:0"]}, {"listen": "127.0.0.2:0"}],
        "reverse": [{"listen": ["127.0.0.1:0", f"unix:{tmp_path}/r.sock"], "routes": [{"respond": {"body": "hi"}}]}],
    })
    assert len(guise.addresses("forward")) == 3 and len(guise.addresses("reverse")) == 2
    for address in guise.addresses("reverse"):
        assert stage.client(address).get().body == b"hi"
    for address in guise.addresses("forward"):
        assert stage.client(address).get("/").status == 400
    assert os.path.exists(f"{tmp_path}/r.sock")
