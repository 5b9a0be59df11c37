"""The command line: help, usage errors, statuses, schema."""

import json
import subprocess

import pytest

from support.origin import echoing_request
from support.process import run

SUBCOMMANDS = ["run", "check", "explain", "audit", "forward", "reverse", "schema", "version", "help"]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_on_each_subcommand(name):
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"guise {name}" in out


@pytest.mark.parametrize("arguments", [["help"], ["--help"]])
def test_help_lists_every_subcommand(arguments):
    status, out, _ = run(*arguments)
    assert status == 0
    for name in SUBCOMMANDS:
        assert name in out


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version(arguments):
    status, out, _ = run(*arguments)
    assert status == 0 and out.lower().startswith("guise ")


@pytest.mark.parametrize("arguments", [
    [],
    ["frobnicate"],
    ["run"],
    ["run", "--frobnicate"],
    ["run", "-c"],
    ["run", "-c", "a.yaml", "left-over"],
    ["check"],
    ["explain"],
    ["explain", "http://a.test/"],
    ["explain", "http://a.test/", "left-over"],
    ["explain", "--via", "sideways", "http://a.test/"],
    ["explain", "--header", "no colon", "http://a.test/"],
    ["explain", "--admin", "http://127.0.0.1:9900", "http://a.test/"],
    ["explain", "--admin", "127.0.0.1:9900", "-c", "a.yaml", "http://a.test/"],
    ["forward", "--frobnicate"],
    ["forward", "--listen", "127.0.0.1:0", "--mask", "clown"],
    ["forward", "--listen", "127.0.0.1:0", "--allow", "not-a-network"],
    ["forward", "--listen", "nonsense"],
    ["reverse", "--listen", "127.0.0.1:0"],
    ["reverse", "--to", "127.0.0.1:1", "--listen", "127.0.0.1:99999"],
    ["--frobnicate"],
])
def test_usage_error_is_status_2_on_stderr(arguments):
    status, out, errors = run(*arguments)
    assert status == 2
    assert errors.strip() and not out.strip()


def test_misspelt_subcommand_gets_a_suggestion():
    status, _, errors = run("chekc")
    assert status == 2 and "check" in errors


def test_schema_is_a_json_schema_of_the_table():
    status, out, _ = run("schema")
    assert status == 0
    schema = json.loads(out)
    assert "$schema" in schema
    for key in ("name", "workers", "limits", "timeouts", "resolver", "log", "forward", "reverse", "upstreams"):
        assert key in schema["properties"], key
    assert schema["properties"]["limits"]["properties"].keys() >= {"memory", "head", "body", "flow", "connections"}


@pytest.mark.parametrize("arguments", [
    ["--listen", "0.0.0.0:0"],
    ["--listen", ":0"],
    ["--listen", "[::]:0"],
    ["--listen", "93.184.216.34:0"],
])
def test_open_proxy_is_refused_at_start(arguments):
    status, _, errors = run("forward", *arguments)
    assert status == 1
    assert "open" in errors


def test_open_proxy_may_be_wanted(stage):
    guise = stage.guise_command("forward", "--listen", "0.0.0.0:0", "--open")
    assert guise.forward


def test_forward_for_users_without_a_file(stage, curl):
    """Users, a list of what is blocked, a parent: what most people want of a forward proxy fits into one command."""
    def status(*arguments):
        return curl("-o", "/dev/null", "-w", "%{http_code}", "-x", f"http://127.0.0.1:{guise.forward[1]}", *arguments).text

    origin = stage.origin(echoing_request)
    parent = stage.guise_command("forward", "--listen", "127.0.0.1:0", "--allow", "127.0.0.0/8")
    made = subprocess.run(["htpasswd", "-nbB", "ann", "secret"], capture_output=True, text=True, check=True, timeout=30)
    (stage.directory / "users").write_text(made.stdout, encoding="ascii")
    (stage.directory / "blocked.txt").write_text("ads.example\n127.9.9.9\n", encoding="ascii")
    guise = stage.guise_command("forward", "--listen", "0.0.0.0:0", "--users", "users", "--block", "blocked.txt",
                                "--allow", "127.0.0.0/8", "--parent", "http://{}:{}".format(*parent.forward))
    url = f"http://127.0.0.1:{origin.port}/"
    assert status(url) == "407"
    assert status("-U", "ann:secret", url) == "200"
    entry = guise.wait_log(lambda entry: entry["status"] == 200)
    assert (entry["parent"], entry["user"]) == ("parents", "ann")
    parent.wait_log(lambda entry: entry["status"] == 200 and entry["target"] == url)
    for blocked in ("http://x.ads.example/", f"http://127.9.9.9:{origin.port}/"):
        assert status("-U", "ann:secret", blocked) == "403"
        assert guise.wait_log(lambda entry, blocked=blocked: entry["target"] == blocked)["rule"] == "block"
    assert " -U NAME " in guise.stderr.text
