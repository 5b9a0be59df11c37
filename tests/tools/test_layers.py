"""The layer check itself, on small trees: what it must find, and what it must leave alone."""

import pathlib
import subprocess
import sys

import pytest

LAYERS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "layers"


def run(tree, files):
    for name, text in files.items():
        path = tree / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([sys.executable, str(LAYERS), str(tree)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout


@pytest.mark.parametrize("file, include", [
    ("net/conn.c", '"core/loop.h"'),
    ("net/conn.c", '"net/conn_internal.h"'),
    ("exchange/flow.h", '"http/head.h"'),
    ("http/h1/connection.c", '"exchange/stream.h"'),
    ("http/h1/parse.c", '"http/fields.h"'),
    ("upstream/pool.c", '"http/h1/client.h"'),
    ("main.c", '"cli/command.h"'),
    ("config/yaml.c", "<yaml.h>"),
    ("net/resolver.c", "<ares.h>"),
])
def test_downward_includes_pass(tmp_path, file, include):
    assert run(tmp_path, {file: f"#include {include}\n"}) == (0, "")


@pytest.mark.parametrize("file, include, reason", [
    ("core/loop.c", '"net/conn.h"', "core includes net, which is above it"),
    ("exchange/flow.c", '"http/h1/parse.h"', "exchange includes http/h1, which is above it"),
    ("http/url.c", '"http/h1/parse.h"', "http includes http/h1, which is above it"),
    ("http/head.h", '"exchange/flow.h"', "http includes exchange, which is above it"),
    ("mask/mask.c", '"cache/store.h"', "mask includes its sibling cache"),
    ("mask/mask.c", '"route/match.h"', "mask includes route, which is above it"),
    ("http/h1/x.c", '"http/h2/x.h"', "http/h1 includes its sibling http/h2"),
    ("server/worker.c", '"cli/command.h"', "server includes cli, which is above it"),
    ("server/worker.c", '"net/conn_internal.h"', "is private to net"),
    ("core/loop.c", '"loop.h"', "is named without its room"),
    ("core/loop.c", '"core/../net/conn.h"', "climbs out of its room"),
    ("core/loop.c", '"cellar/wine.h"', "is in no known room"),
    ("cellar/wine.c", '"core/loop.h"', "is in no known room"),
    ("proxy/forward.c", "<openssl/ssl.h>", "is for tls alone"),
    ("proxy/forward.c", "<yaml.h>", "is for config alone"),
])
def test_offender_is_named(tmp_path, file, include, reason):
    status, output = run(tmp_path, {file: f"/* head */\n\n#  include {include}\n"})
    assert status == 1
    assert output.startswith(f"src/{file}:")
    assert reason in output
    if not file.startswith("cellar"):
        assert output.startswith(f"src/{file}:3: ")


def test_every_offence_is_listed(tmp_path):
    status, output = run(tmp_path, {
        "core/a.c": '#include "net/conn.h"\n#include "http/head.h"\n',
        "core/b.h": '#include "cli/command.h"\n',
    })
    assert status == 1
    assert len(output.splitlines()) == 3
