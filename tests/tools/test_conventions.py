"""tools/conventions on small files: what it must find, and what it must leave alone."""

import pathlib
import subprocess
import sys

import pytest

CONVENTIONS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "conventions"
HEAD = "/*\n * Owns nothing.\n */\n"


def run(tree, text):
    file = tree / "src" / "core" / "a.c"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    done = subprocess.run([sys.executable, str(CONVENTIONS), str(tree)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout


@pytest.mark.parametrize("text", [
    "int a(void)\n{\n\treturn 1; /* strcpy(a, b) is not called */\n}\n",
    'const char *a = "sprintf(x) // no comment";\n',
    "int b(void)\n{\n\treturn my_strcpy(1) + x.rand(2) + x->gets(3);\n}\n",
    "/* Long because it is a table. */\nint c(void)\n{\n" + "\tx();\n" * 70 + "}\n",
    "typedef int (callback)(struct a *);\n",
])
def test_good(tmp_path, text):
    assert run(tmp_path, HEAD + text) == (0, "")


@pytest.mark.parametrize("text, reason", [
    ("void a(void)\n{\n\tstrcpy(a, b);\n}\n", "src/core/a.c:6: calls strcpy"),
    ("int a; // b\n", "src/core/a.c:4: a // comment"),
    ("typedef struct a b;\n", "src/core/a.c:4: a typedef of a struct"),
    ("int a; \n", "src/core/a.c:4: blanks at the end"),
    ("int c(void)\n{\n" + "\tx();\n" * 70 + "}\n", "src/core/a.c:5: a function of 72 lines"),
    ("int c;\n" * 700, "src/core/a.c:1: has 704 lines"),
])
def test_bad(tmp_path, text, reason):
    status, output = run(tmp_path, HEAD + text)
    assert status == 1
    assert output.startswith(reason)


def test_head_comment_is_asked_for(tmp_path):
    status, output = run(tmp_path, "int a;\n")
    assert status == 1
    assert "src/core/a.c:1: opens without a comment" in output
