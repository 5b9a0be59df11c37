"""tools/check: what becomes of tests that fail."""

import importlib.machinery
import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def check(tmp_path, monkeypatch):
    """The program as a module, with a project of its own to look at."""
    loader = importlib.machinery.SourceFileLoader("check", str(ROOT / "tools/check"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
    loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "BUILD", tmp_path / "build")
    run = module.run
    monkeypatch.setattr(module, "run", lambda command, **options: run(command, cwd=tmp_path, **options))
    return module


def judged(check, tmp_path, text):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text(text)
    tally = check.Tally()
    check.pytest(tally, "it", "tests", 60)
    return tally


FAILS_ONCE = """
import pathlib
def test_it():
    mark = pathlib.Path(__file__).with_name("mark")
    seen = mark.exists()
    mark.touch()
    assert seen
"""


def test_what_passes_when_tried_again_is_named(check, tmp_path):
    tally = judged(check, tmp_path, FAILS_ONCE)
    assert (tally.passed, tally.failures, tally.unsteady) == (1, [], ["it: test_it::test_it"])


def test_what_fails_again_has_failed(check, tmp_path):
    tally = judged(check, tmp_path, "def test_it():\n    assert False\ndef test_other():\n    pass\n")
    assert (tally.passed, tally.failures, tally.unsteady) == (1, ["it: test_it::test_it"], [])


def test_many_that_fail_are_not_tried_again(check, tmp_path):
    more = "".join(f"def test_{i}():\n    assert False\n" for i in range(check.TRIED_AGAIN))
    tally = judged(check, tmp_path, FAILS_ONCE + more)
    assert (tally.passed, len(tally.failures), tally.unsteady) == (0, check.TRIED_AGAIN + 1, [])
