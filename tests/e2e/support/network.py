"""More network namespaces, with wires between them: for what needs addresses that are not this machine's, routers and interfaces.

A namespace lives as long as its descriptor is open. Sockets belong to the namespace of the thread that makes them, and threads are
born into that of whoever starts them; so `inside` runs a function in a thread of its own that has gone there first.
"""

import ctypes
import os
import shutil
import subprocess
import threading

from support.servers import ENVIRONMENT

CLONE_NEWNET = 0x40000000


def _call(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _in_thread(function):
    """What the function returns, or raises, in a thread of its own."""
    result = {}

    def run():
        try:
            result["value"] = function()
        except BaseException as error:  # pylint: disable=broad-exception-caught
            result["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result["value"]


class Network:
    """A namespace of its own: nothing in it but a loopback interface that is up."""

    def __init__(self):
        def make():
            _call("unshare", CLONE_NEWNET)
            return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
        self.descriptor = _in_thread(make)
        self.path = f"/proc/{os.getpid()}/fd/{self.descriptor}"
        self.wrapper = (shutil.which("nsenter") or "nsenter", f"--net={self.path}")
        self.ip("link", "set", "lo", "up")

    def inside(self, function, *arguments, **options):
        """Calls the function in this namespace: the sockets that it makes, and what its threads make, are here."""
        def go():
            _call("setns", self.descriptor, CLONE_NEWNET)
            return function(*arguments, **options)
        return _in_thread(go)

    def run(self, *command, check=True, text=None, timeout=20):
        """Runs a program here; what it printed."""
        return subprocess.run([*self.wrapper, *command], check=check, env=ENVIRONMENT, input=text, timeout=timeout,
                              capture_output=True, text=True)

    def ip(self, *arguments):
        return self.run("ip", *arguments)

    def nft(self, rules):
        return self.run("nft", "-f", "-", text=rules)

    def sysctl(self, key, value):
        def write():
            with open(f"/proc/sys/{key}", "w", encoding="ascii") as file:
                file.write(str(value))
        self.inside(write)

    def wire(self, other, name, other_name, addresses=(), other_addresses=()):
        """A pair of Ethernet interfaces from here to there, up, with these addresses."""
        self.ip("link", "add", name, "type", "veth", "peer", "name", other_name, "netns", other.path)
        for where, interface, theirs in ((self, name, addresses), (other, other_name, other_addresses)):
            for address in theirs:
                where.ip("address", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))
            where.ip("link", "set", interface, "up")

    def stop(self):
        os.close(self.descriptor)
