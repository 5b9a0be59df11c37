"""tools/setup: what it says, and that it changes nothing when it should not."""

import os
import pathlib
import shutil
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


def test_what_is_not_there_after_installing_is_an_error(tmp_path):
    """apt-get that installs nothing, where ninja is missing."""
    for name in ("sh", "id", "env", "ls", "cat", "sed", "rm", "tee", "chmod", "pkg-config", "cc", "meson"):
        where = shutil.which(name)
        if where:
            (tmp_path / name).symlink_to(where)
    for name in ("apt-get", "sudo"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    done = run("build", PATH=str(tmp_path), GUISE_SETUP_DISTRIBUTION="debian")
    assert done.returncode == 1
    assert "will install Debian packages: ninja-build\n" in done.stderr
    assert done.stderr.endswith("still not found: ninja-build\n")
