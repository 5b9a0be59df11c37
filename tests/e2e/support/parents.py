"""Other proxies, which Guise goes through: Squid, Tinyproxy, Dante and microsocks, as Debian has them.

They know names by a hosts file of the test alone: no name server is asked.
"""

import os
import signal
import subprocess

from support.servers import Daemon, free_port, program

USER, PASSWORD = "guise", "s3cretWord"


def hosts_file(directory, names):
    """names: {"site.example": "93.184.216.34"}."""
    path = os.path.join(str(directory), "hosts")
    with open(path, "w", encoding="ascii") as file:
        file.write("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in names.items()))
    os.chmod(path, 0o644)
    return path


class Parent(Daemon):
    """One of them; frozen and killed as tests need it."""

    scheme = "http"

    def __init__(self, directory, arguments, names):
        self.directory = str(directory)
        self.log_file = os.path.join(self.directory, "out.log")
        wrapped = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"',
                   hosts_file(directory, names), *arguments]
        super().__init__(wrapped, self.log_file)
        self.wait_port(self.port)

    def url(self, user=None, password=None):
        if not user:
            return f"{self.scheme}://127.0.0.1:{self.port}"
        quoted = "".join(f"%{byte:02x}" for byte in password.encode())
        return f"{self.scheme}://{user}:{quoted}@127.0.0.1:{self.port}"

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.thaw()
        super().stop()


def _write(directory, name, text):
    path = os.path.join(str(directory), name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)
    return path


def _open(directory):
    """They give up being root, and write their logs as nobody."""
    os.makedirs(directory, exist_ok=True)
    path = os.path.abspath(directory)
    os.chmod(path, 0o777)
    while path not in ("/", "/tmp"):
        path = os.path.dirname(path)
        try:
            os.chmod(path, os.stat(path).st_mode | 0o011)
        except PermissionError:
            return


class Tinyproxy(Parent):
    def __init__(self, directory, names, login=False, port=None):
        _open(directory)
        self.port = port or free_port()
        auth = f"BasicAuth {USER} {PASSWORD}\n" if login else ""
        conf = _write(directory, "tinyproxy.conf",
                      f"Port {self.port}\nListen 127.0.0.1\nTimeout 600\nLogLevel Info\n{auth}")
        super().__init__(directory, [program("tinyproxy"), "-d", "-c", conf], names)


class Squid(Parent):
    extra = ""  # more lines of its configuration

    def __init__(self, directory, names, login=False, port=None):
        _open(directory)
        self.port = port or free_port()
        self.access_log = os.path.join(str(directory), "access.log")
        rules = "acl known src 127.0.0.0/8\n"
        if login:
            hashed = subprocess.run([program("openssl"), "passwd", "-apr1", PASSWORD], check=True, timeout=10,
                                    stdout=subprocess.PIPE).stdout.decode().strip()
            users = _write(directory, "users", f"{USER}:{hashed}\n")
            rules = f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {users}\nacl known proxy_auth REQUIRED\n"
        user = "cache_effective_user nobody\n" if os.geteuid() == 0 else ""
        conf = _write(directory, "squid.conf", f"""\
{user}{rules}http_port 127.0.0.1:{self.port}
http_access allow known
http_access deny all
cache deny all
hosts_file {hosts_file(directory, names)}
dns_nameservers 127.0.0.99
access_log stdio:{self.access_log}
cache_log {directory}/cache.log
pid_filename none
coredump_dir {directory}
shutdown_lifetime 0 seconds
max_filedescriptors 1024
connect_timeout 2 seconds
pinger_enable off
{self.extra}""")
        super().__init__(directory, [program("squid"), "-N", "-f", conf, "-n", f"guise{os.getpid()}x{self.port}"], names)


class Dante(Parent):
    scheme = "socks5"

    def __init__(self, directory, names, port=None):
        _open(directory)
        self.port = port or free_port()
        user = "user.unprivileged: nobody\n" if os.geteuid() == 0 else ""
        conf = _write(directory, "danted.conf", f"""\
logoutput: {directory}/dante.log
internal: 127.0.0.1 port = {self.port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
{user}client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect }}
""")
        super().__init__(directory, [program("danted"), "-f", conf, "-p", f"{directory}/danted.pid"], names)


class Microsocks(Parent):
    scheme = "socks5"

    def __init__(self, directory, names, login=False, port=None):
        _open(directory)
        self.port = port or free_port()
        login = ["-u", USER, "-P", PASSWORD] if login else []
        super().__init__(directory, [program("microsocks"), "-i", "127.0.0.1", "-p", str(self.port), *login], names)
