"""What a stranger does first: the quick start, the two commands without a file."""

import os
import re
import signal
import subprocess

import pytest

from support.process import ROOT, Guise, run

QUICKSTART = os.path.join(ROOT, "examples", "quickstart.yaml")


@pytest.fixture
def quickstart(stage):
    return stage.guise_command("run", "-c", QUICKSTART)


def test_banner_says_where_and_what_to_try(quickstart):
    text = quickstart.stderr.text
    assert quickstart.forward == ("127.0.0.1", 3128)
    assert quickstart.reverse == ("127.0.0.1", 8080)
    assert text.count("curl ") >= 3


def test_commands_of_the_banner_work(quickstart, curl):
    commands = re.findall(r"curl [^\n]*", quickstart.stderr.text)
    for command in commands:
        done = curl(*command.split()[1:])
        if "https://" not in command:
            assert done.status == 0 and done.body, (command, done)


def test_reverse_shares_its_load_between_two_origins(quickstart, curl):
    bodies = [curl("http://127.0.0.1:8080/").text for _ in range(10)]
    assert len(set(bodies)) == 2
    assert 3 <= bodies.count(bodies[0]) <= 7


def test_forward_reaches_the_reverse(quickstart, curl):
    done = curl("-x", "http://127.0.0.1:3128", "http://127.0.0.1:8080/")
    assert done.status == 0 and done.body


def test_forward_tunnels_to_the_reverse(quickstart, curl):
    done = curl("-p", "-x", "http://127.0.0.1:3128", "http://127.0.0.1:8080/")
    assert done.status == 0 and done.body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_with_status_0(quickstart, curl, number):
    assert curl("http://127.0.0.1:8080/").status == 0
    quickstart.signal(number)
    assert quickstart.wait_exit() == 0


def test_port_in_use_is_named_with_its_key(stage, quickstart):
    second = Guise(["run", "-c", QUICKSTART])
    assert second.wait_exit() == 1
    assert "3128" in second.stderr.text or "8080" in second.stderr.text
    assert "listen" in second.stderr.text
    assert "guise: ready" not in second.stderr.text


def test_every_example_is_valid(tmp_path):
    directory = os.path.join(ROOT, "examples")
    names = [name for name in os.listdir(directory) if name.endswith((".yaml", ".yml"))]
    assert "quickstart.yaml" in names and "tls.yaml" in names
    for name in names:
        subprocess.run([os.path.join(ROOT, "tools", "certificates"), os.path.join(directory, name), str(tmp_path)],
                       check=True, stdout=subprocess.DEVNULL, timeout=30)
        assert run("check", "-c", str(tmp_path / name))[0] == 0, name


def test_forward_command(stage, curl):
    origin = stage.origin()
    guise = stage.guise_command("forward", "--listen", "127.0.0.1:0", "--allow", "127.0.0.0/8")
    done = curl("-x", f"http://127.0.0.1:{guise.forward[1]}", f"http://{origin.address}/")
    assert done.text == "ok"
    assert not origin.requests[0].fields.has("Via")  # elite unless asked otherwise


def test_forward_command_with_a_mask(stage, curl):
    origin = stage.origin()
    guise = stage.guise_command("forward", "--listen", "127.0.0.1:0", "--allow", "127.0.0.0/8", "--mask", "anonymous")
    assert curl("-x", f"http://127.0.0.1:{guise.forward[1]}", f"http://{origin.address}/").text == "ok"
    assert origin.requests[0].fields.has("Via")


def test_reverse_command(stage, curl):
    first, second = stage.origin(), stage.origin()
    guise = stage.guise_command("reverse", "--listen", "127.0.0.1:0", "--to", first.address, "--to", second.address)
    for _ in range(4):
        assert curl(f"http://127.0.0.1:{guise.reverse[1]}/").text == "ok"
    assert len(first.requests) == len(second.requests) == 2


def test_readme_configurations_are_valid(tmp_path):
    """Each YAML block of the README that is a whole configuration passes the check."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"```yaml\n(.*?)```", file.read(), re.S)
    assert blocks, "the README shows no configuration"
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block, encoding="utf-8")
        status, _, errors = run("check", "-c", str(path))
        missing = re.search(r"No such file|cannot read|not found", errors)
        assert status == 0 or missing, f"README block {number}: {errors}\n{block}"
