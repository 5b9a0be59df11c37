"""Bytes and messages on a socket, read strictly.

Wire is a buffered socket with bounded reads. read_request and read_response accept nothing but what RFC 9110 and
9112 let a sender generate: what Guise forwards is canonical, so whatever these readers refuse is a bug of Guise.
"""

import os
import re
import socket
import struct
import time
from dataclasses import dataclass, field

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2}) ([\t \x21-\x7e\x80-\xff]*)")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/1\.([01])")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(;.*)?")
FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

READ_TIMEOUT = float(os.environ.get("GUISE_TEST_PATIENCE", "10"))  # seconds


class WireError(AssertionError):
    """The peer sent something that no correct sender sends."""


class Truncated(WireError):
    """The connection ended inside a message. `partial` is the message as far as it came."""

    def __init__(self, text, partial=None):
        super().__init__(text)
        self.partial = partial


class Closed(WireError):
    """The connection ended before the first byte of a message."""


class Fields(list):
    """Field lines in order: (name, value) as text."""

    def all(self, name):
        return [value for key, value in self if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return ", ".join(values) if values else default

    def has(self, name):
        return bool(self.all(name))

    def names(self):
        return [key.lower() for key, _ in self]


@dataclass
class Message:
    fields: Fields
    version: str = "HTTP/1.1"
    body: bytes = b""
    trailers: Fields = field(default_factory=Fields)
    framing: str = "none"
    head: bytes = b""


@dataclass
class Request(Message):
    method: str = ""
    target: str = ""


@dataclass
class Response(Message):
    status: int = 0
    reason: str = ""
    interim: list = field(default_factory=list)

    def error_type(self):
        """The error= parameter of Proxy-Status (RFC 9209), or None."""
        found = re.search(r";\s*error=([a-z_]+)", self.fields.get("Proxy-Status", ""))
        return found.group(1) if found else None


class Wire:
    """A connected socket with a read buffer and a bound on every read."""

    def __init__(self, sock, timeout=READ_TIMEOUT):
        self.sock = sock
        self.timeout = timeout
        self.buffer = bytearray()
        self.received = bytearray()
        self.keep = True  # False: do not record (bulk transfers)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout)

    # sending

    def send(self, data):
        self.sock.sendall(data)

    def send_split(self, *segments, pause=0.0):
        """Each segment in a send (and so, without delay, a packet) of its own."""
        for segment in segments:
            self.sock.sendall(segment)
            if pause:
                time.sleep(pause)

    def send_bytewise(self, data):
        for position in range(len(data)):
            self.sock.sendall(data[position:position + 1])

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # receiving

    def _fill(self):
        """More bytes into the buffer; False at the end."""
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            raise AssertionError(f"nothing came for {self.timeout} s; so far {bytes(self.buffer[:200])!r}") from None
        if not data:
            return False
        self.buffer += data
        if self.keep:
            self.received += data
        return True

    def read_some(self):
        """What is there, waiting for at least one byte; b"" at the end."""
        if not self.buffer and not self._fill():
            return b""
        data, self.buffer = bytes(self.buffer), bytearray()
        return data

    def read_exact(self, count):
        while len(self.buffer) < count:
            if not self._fill():
                raise Truncated(f"end after {len(self.buffer)} of {count} bytes", bytes(self.buffer))
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def read_until(self, mark, limit=1 << 20):
        """Bytes up to and with the mark."""
        start = 0
        while True:
            at = self.buffer.find(mark, start)
            if at >= 0:
                return self.read_exact(at + len(mark))
            start = max(0, len(self.buffer) - len(mark) + 1)
            if len(self.buffer) > limit:
                raise WireError(f"no {mark!r} in {limit} bytes")
            if not self._fill():
                if not self.buffer:
                    raise Closed("closed before the first byte")
                raise Truncated(f"end while waiting for {mark!r}", bytes(self.buffer))

    def read_line(self):
        line = self.read_until(b"\n")
        if not line.endswith(b"\r\n"):
            raise WireError(f"line without CRLF: {line!r}")
        line = line[:-2]
        if b"\r" in line:
            raise WireError(f"bare CR in {line!r}")
        return line

    def read_to_end(self):
        """Everything until the peer closes (a reset counts as Truncated)."""
        try:
            while self._fill():
                pass
        except ConnectionError as error:
            raise Truncated(f"reset: {error}", bytes(self.buffer)) from None
        data, self.buffer = bytes(self.buffer), bytearray()
        return data

    def discard_to_end(self):
        """Count the bytes until the end without keeping them."""
        count, self.buffer = len(self.buffer), bytearray()
        while True:
            data = self.sock.recv(1 << 18)
            if not data:
                return count
            count += len(data)

    def expect_end(self):
        """The peer closes (or resets), and sends nothing before."""
        try:
            rest = self.read_to_end()
        except Truncated as error:
            rest = error.partial
        assert rest == b"", f"expected the end, got {rest[:200]!r}"

    def is_open(self, seconds=0.15):
        """Whether the peer neither closes nor sends for a while."""
        if self.buffer:
            return False
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(1, socket.MSG_PEEK)
            return bool(data)
        except socket.timeout:
            return True
        except ConnectionError:
            return False
        finally:
            self.sock.settimeout(self.timeout)

    # messages

    def read_fields(self):
        fields = Fields()
        while True:
            try:
                line = self.read_line()
            except Closed:
                raise Truncated("end inside the head or the trailers") from None
            if not line:
                return fields
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.fullmatch(name):
                raise WireError(f"bad field line {line!r}")
            value = value.strip(b" \t")
            if not FIELD_VALUE.fullmatch(value):
                raise WireError(f"bad field value {line!r}")
            fields.append((name.decode("ascii"), value.decode("latin-1")))

    def read_chunked(self, message):
        body = bytearray()
        while True:
            line = self.read_line()
            found = CHUNK_SIZE.fullmatch(line)
            if not found:
                raise WireError(f"bad chunk size {line!r}")
            size = int(found.group(1), 16)
            if size == 0:
                break
            try:
                body += self.read_exact(size)
            except Truncated as error:
                message.body = bytes(body) + error.partial
                raise
            message.body = bytes(body)
            if self.read_exact(2) != b"\r\n":
                raise WireError("chunk without CRLF at its end")
        message.trailers = self.read_fields()
        message.body = bytes(body)

    def read_body(self, message, until_close):
        """The body by its framing, in place; Truncated carries the message."""
        codings = message.fields.all("Transfer-Encoding")
        lengths = message.fields.all("Content-Length")
        if codings and lengths:
            raise WireError("Transfer-Encoding and Content-Length in one message")
        try:
            if codings:
                if codings != ["chunked"]:
                    raise WireError(f"Transfer-Encoding {codings}")
                message.framing = "chunked"
                self.read_chunked(message)
            elif lengths:
                if len(lengths) != 1 or not re.fullmatch(r"[0-9]+", lengths[0]):
                    raise WireError(f"Content-Length {lengths}")
                message.framing = "length"
                self._read_length(message, int(lengths[0]))
            elif until_close:
                message.framing = "close"
                self._read_close(message)
        except (Truncated, Closed, ConnectionError) as error:
            raise Truncated(f"{error} (inside a body framed by {message.framing})", message) from None

    def _read_length(self, message, length):
        try:
            message.body = self.read_exact(length)
        except Truncated as error:
            message.body = error.partial
            raise

    def _read_close(self, message):
        try:
            message.body = self.read_to_end()
        except Truncated as error:
            message.body = error.partial
            raise

    def read_response_head(self):
        line = self.read_line()
        found = STATUS_LINE.fullmatch(line)
        if not found:
            raise WireError(f"bad status line {line!r}")
        response = Response(fields=self.read_fields(), version=f"HTTP/1.{found.group(1).decode()}",
                            status=int(found.group(2)), reason=found.group(3).decode("latin-1"))
        return response

    def read_response(self, method="GET"):
        """The next final response with its body; interim ones are kept in .interim."""
        interim = []
        while True:
            response = self.read_response_head()
            if response.status >= 200 or response.status == 101:
                break
            if response.fields.has("Content-Length") or response.fields.has("Transfer-Encoding"):
                raise WireError("an interim response with a length")
            interim.append(response)
        response.interim = interim
        bodiless = method == "HEAD" or response.status in (101, 204, 304)
        if response.status in (101, 204) and response.fields.has("Transfer-Encoding"):
            raise WireError(f"{response.status} with Transfer-Encoding")
        if method == "CONNECT" and 200 <= response.status < 300:
            if response.fields.has("Content-Length") or response.fields.has("Transfer-Encoding"):
                raise WireError("2xx to CONNECT with a length")
            bodiless = True
        if not bodiless:
            self.read_body(response, until_close=True)
        return response

    def read_request_head(self):
        line = self.read_line()
        found = REQUEST_LINE.fullmatch(line)
        if not found:
            raise WireError(f"bad request line {line!r}")
        return Request(fields=self.read_fields(), method=found.group(1).decode("ascii"),
                       target=found.group(2).decode("ascii"), version=f"HTTP/1.{found.group(3).decode()}")

    def read_request(self):
        """The next request with its body, or None when the peer closed between two requests."""
        try:
            request = self.read_request_head()
        except Closed:
            return None
        self.read_body(request, until_close=False)
        return request
