"""tools/setup: what it says, and that it changes nothing when it should not."""

import os
import pathlib
import subprocess

import pytest

SETUP = pathlib.Path(__file__).resolve().parents[2] / "tools" / "setup"


def run(*groups, **environment):
    return subprocess.run([str(SETUP), *groups], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **environment))


def test_quiet_when_all_is_there():
    done = run("build", "test")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("distribution, command", [
    ("fedora", "dnf install "),
    ("arch", "pacman -S --needed "),
    ("alpine", "apk add "),
    ("other", "on Debian these packages are called: "),
])
def test_other_distributions_are_told_names_and_stop(distribution, command):
    done = run("build", "test", "bench", GUISE_SETUP_PRETEND_EMPTY="1", GUISE_SETUP_DISTRIBUTION=distribution)
    assert done.returncode == 1
    assert command in done.stderr
    assert "meson" in done.stderr.split(command)[1]


def test_debian_is_told_what_will_be_installed():
    done = run("build", GUISE_SETUP_PRETEND_EMPTY="1", GUISE_SETUP_DISTRIBUTION="debian")
    assert done.returncode == 0
    assert "will install Debian packages: build-essential meson ninja-build" in done.stderr
    assert "nginx" not in done.stderr


def test_unknown_group():
    done = run("cellar")
    assert done.returncode == 2
    assert "unknown group 'cellar'" in done.stderr
