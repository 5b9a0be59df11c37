"""The raw client: exact bytes to Guise, strict reading of what comes back."""

import socket

from support.wire import READ_TIMEOUT, Wire


def open_socket(address, source=None, receive_buffer=None, timeout=READ_TIMEOUT):
    """A connected socket. address: (host, port) or the path of a unix socket."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.settimeout(timeout)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


class Client(Wire):
    """One connection to Guise."""

    def __init__(self, address, source=None, receive_buffer=None, timeout=READ_TIMEOUT):
        super().__init__(open_socket(address, source, receive_buffer, timeout), timeout)

    def ask(self, data, method=None):
        """Send a request and read its response."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.send(data)
        return self.read_response(method or data.split(b" ", 1)[0].decode("latin-1"))

    def get(self, target="/", host="a.test", fields="", method="GET"):
        return self.ask(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")


def request(method="GET", target="/", fields=(), body=b"", host="a.test", version="HTTP/1.1"):
    """The bytes of a request; a body gets a Content-Length unless fields frame it."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    framed = False
    for name, value in fields:
        lines.append(f"{name}: {value}")
        framed = framed or name.lower() in ("content-length", "transfer-encoding")
    if body and not framed:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def chunked(*chunks, trailers=()):
    """A chunked body of these chunks."""
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    tail = "".join(f"{name}: {value}\r\n" for name, value in trailers).encode("latin-1")
    return b"".join(parts) + b"0\r\n" + tail + b"\r\n"
