"""The command line: help, usage errors, statuses, schema."""

import json

import pytest

from support.process import run

SUBCOMMANDS = ["run", "check", "explain", "forward", "reverse", "schema", "version", "help"]


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
