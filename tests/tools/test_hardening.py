"""tools/hardening on two small programs: one built with the flags, one without."""

import pathlib
import subprocess

import pytest

HARDENING = pathlib.Path(__file__).resolve().parents[2] / "tools" / "hardening"
SOURCE = """
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
	char text[32];
	return argc < 2 ? 0 : printf("%s", strncpy(text, argv[1], (size_t)argc)) == 1;
}
"""
GOOD = ["-O2", "-fPIE", "-pie", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2",
        "-fcf-protection=full", "-Wl,-z,relro,-z,now,-z,noexecstack"]


def check(tmp_path, *flags):
    source, binary = tmp_path / "a.c", tmp_path / "a"
    source.write_text(SOURCE)
    built = subprocess.run(["cc", *flags, "-o", str(binary), str(source)], capture_output=True, text=True, timeout=60)
    if built.returncode:
        pytest.skip("the compiler does not know " + " ".join(flags))
    done = subprocess.run([str(HARDENING), str(binary)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def test_hardened_program_passes(tmp_path):
    status, output = check(tmp_path, *GOOD)
    assert (status, "ABSENT" in output) == (0, False), output


@pytest.mark.parametrize("flags, what", [
    (["-no-pie", "-fno-pie"], "position independent executable"),
    (["-Wl,-z,lazy"], "dynamic symbols are bound at start"),
    (["-Wl,-z,norelro"], "relocations are read-only"),
    (["-Wl,-z,execstack"], "stack is not executable"),
    (["-fno-stack-protector"], "stack protector"),
    (["-U_FORTIFY_SOURCE"], "fortified calls"),
    (["-Wl,-rpath,/tmp"], "no search path"),
])
def test_missing_flag_is_named(tmp_path, flags, what):
    status, output = check(tmp_path, *GOOD, *flags)
    assert status == 1
    assert f"ABSENT: {what}" in output
