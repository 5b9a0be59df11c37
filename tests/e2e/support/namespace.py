"""A network namespace in which every address is local.

The whole test run moves into it before the first test: the loopback interface is the only one there is, and
every IPv4 and IPv6 address is routed to it. A public address can so be "served" by a test's own origin, and no
packet leaves the machine even when the code under test is wrong.
"""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

INSIDE = "GUISE_TEST_NAMESPACE"


def _unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _enter_as_user():
    """Without root: a user namespace in which we are root, and the network namespace inside it."""
    user, group = os.geteuid(), os.getegid()
    _unshare(CLONE_NEWUSER | CLONE_NEWNET)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {user} 1")
    _write("/proc/self/gid_map", f"0 {group} 1")


def _ip(*arguments):
    environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    subprocess.run(["ip", *arguments], check=True, env=environment, timeout=10)


@contextlib.contextmanager
def own_address(address):
    """An address that is really this machine's, on an interface, as its public one would be."""
    _ip("address", "add", f"{address}/32", "dev", "lo")
    try:
        yield address
    finally:
        _ip("address", "del", f"{address}/32", "dev", "lo")


def enter():
    """Move this process (and all that it will start) into the namespace. Call before any thread is started."""
    if os.environ.get(INSIDE):
        return
    if os.geteuid() == 0:
        _unshare(CLONE_NEWNET)
    else:
        _enter_as_user()
    _ip("link", "set", "lo", "up")
    _ip("route", "add", "local", "0.0.0.0/0", "dev", "lo", "src", "127.0.0.1")
    _ip("-6", "route", "add", "local", "::/0", "dev", "lo")
    _write("/proc/sys/net/ipv4/ip_nonlocal_bind", "1")
    _write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1")
    os.environ[INSIDE] = "1"
