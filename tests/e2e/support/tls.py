"""TLS from the client's side: Python's ssl for requests, openssl s_client for what it does not show."""

import re
import socket
import ssl
import subprocess

from support.client import Client, open_socket
from support.servers import ENVIRONMENT, program
from support.wire import Wire


class TLSClient(Client):
    """One connection to Guise over TLS. name: the SNI; None sends none."""

    def __init__(self, address, name="a.test", authority=None, alpn=(), leaf=None, minimum=None, maximum=None,
                 source=None, before=b"", timeout=10):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if authority:
            context.verify_mode = ssl.CERT_REQUIRED
            context.check_hostname = name is not None
            context.load_verify_locations(authority.file)
        if leaf:
            context.load_cert_chain(leaf.certificate, leaf.key)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if minimum:
            context.minimum_version = minimum
        if maximum:
            context.maximum_version = maximum
        sock = open_socket(address, source, timeout=timeout)
        try:
            sock.sendall(before)
            sock = context.wrap_socket(sock, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        Wire.__init__(self, sock, timeout)

    @property
    def der(self):
        """The server's certificate."""
        return self.sock.getpeercert(binary_form=True)

    def close(self):
        self.sock.close()


def listener(*leaves, **keys):
    """`tls` of a listener with these certificates."""
    return dict({"certificates": [leaf.item for leaf in leaves]}, **keys)


class SClient:
    """What openssl s_client says of a connection on which nothing, or one request, is sent."""

    def __init__(self, address, *options, name="a.test", request="", timeout=15):
        host, port = address
        asked = ["-servername", name] if name else ["-noservername"]
        done = subprocess.run([program("openssl"), "s_client", "-connect", f"{host}:{port}", *asked, *options],
                              input=request.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=timeout, env=ENVIRONMENT, check=False)
        self.status = done.returncode
        self.text = done.stdout.decode("utf-8", "replace")

    def find(self, pattern):
        found = re.search(pattern, self.text, re.M)
        return found.group(1) if found else None

    @property
    def version(self):
        return self.find(r"^(?:New|Reused), (TLSv[\d.]+), Cipher is")

    @property
    def reused(self):
        return self.find(r"^(New|Reused), TLSv") == "Reused"

    @property
    def alpn(self):
        return self.find(r"^ALPN protocol: (\S+)")

    @property
    def key_type(self):
        return self.find(r"Peer signature type: (\S+)")

    @property
    def certificates(self):
        return self.text.count("-----BEGIN CERTIFICATE-----")


def client_hello(name="a.test"):
    """The bytes of a ClientHello."""
    out, into = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.wrap_bio(into, out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def refused(make):
    """Whether a handshake fails. Over TLS 1.3 a client learns that its certificate was not good only when it reads."""
    try:
        client = make()
        try:
            client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            return not client.read_some()
        finally:
            client.close()
    except (ssl.SSLError, ConnectionError, socket.timeout):
        return True
