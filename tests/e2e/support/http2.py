"""HTTP/2 by hand: strict reading of what Guise sends (RFC 9113, RFC 7541).

Connection is one end of a connection: it answers SETTINGS and PING, gives window back, keeps what comes on each stream, and refuses with
WireError whatever a correct peer never sends; what it sends itself may be anything (support/frames.py). Client is the client's end; a
server's end is served by a script of an Origin: `stage.origin(http2.serving(handler))`.
"""

import re
import select
import socket
import ssl
import struct
import subprocess
import time

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError

from support.client import open_socket
from support.frames import (ACK, END_HEADERS, END_STREAM, FRAME_SIZE, MOST, PADDED, PREFACE, SETTINGS_ACK, WINDOW,
                            WITH_PRIORITY, Code, Kind, Setting, continuation, data, headers, octets, ping,
                            request_fields, settings, window_update)
from support.waiting import WaitTimeout
from support.wire import FIELD_VALUE, READ_TIMEOUT, TOKEN, Closed, Fields, WireError


# one end of a connection

class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    def has(self, flag):
        return bool(self.flags & flag)

    def __repr__(self):
        name = Kind(self.kind).name if self.kind in list(Kind) else hex(self.kind)
        return f"<{name} {self.flags:#x} on {self.stream}: {self.payload[:40]!r}>"


class Stream:
    """What came on one stream, and what may be sent on it."""

    def __init__(self, number, send_window, receive_window):
        self.id = number
        self.heads = []  # each section of fields in its order
        self.head = None  # the final one
        self.interim = []
        self.trailers = None
        self.body = bytearray()
        self.count = 0  # bytes of DATA
        self.ended = False  # END_STREAM came
        self.reset = None  # the code of RST_STREAM
        self.send_window = send_window
        self.receive_window = receive_window
        self.bodiless = False  # the answer to HEAD
        self.tunnel = False
        self.keep = True
        self.data = None  # the test's own

    @property
    def status(self):
        return int(self.head.get(":status")) if self.head and self.head.has(":status") else None

    @property
    def over(self):
        return self.ended or self.reset is not None

    def field(self, name):
        return self.head.get(name)

    def __repr__(self):
        return (f"<stream {self.id}: {self.heads} {self.count} bytes {bytes(self.body[:100])!r} trailers {self.trailers} "
                f"ended {self.ended} reset {self.reset}>")


FORBIDDEN = {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings"}
LOWER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")


class Connection:
    """One end of an HTTP/2 connection on a connected socket (or TLS socket), read strictly."""

    server = False

    def __init__(self, sock, own_settings=None, timeout=READ_TIMEOUT, credit=True):
        self.sock = sock
        self.timeout = timeout
        self.credit = credit  # give windows back as bytes come
        self.buffer = bytearray()
        self.encoder, self.decoder = Encoder(), Decoder()
        self.own = {Setting.INITIAL_WINDOW_SIZE: WINDOW, Setting.MAX_FRAME_SIZE: FRAME_SIZE}
        self.own.update(own_settings or {})
        self.peer = {Setting.INITIAL_WINDOW_SIZE: WINDOW, Setting.MAX_FRAME_SIZE: FRAME_SIZE}
        self.decoder.max_header_list_size = 1 << 20
        self.decoder.max_allowed_table_size = self.own.get(Setting.HEADER_TABLE_SIZE, 4096)
        self.streams = {}
        self.frames = []  # (kind, stream) of all that came
        self.bytes_in = 0
        self.send_window = self.receive_window = WINDOW
        self.acks = self.pongs = self.settings_frames = 0
        self.goaways = []  # (last stream, code, debug data)
        self.ended = False  # the peer closed
        self.broken = False  # with a reset
        self.open_block = None  # (frame of HEADERS, fragment so far)
        self.auto = True  # answers SETTINGS and PING
        self.on_head = lambda stream: None
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout)

    # sending

    def send(self, *pieces):
        """Bytes as they are."""
        self.sock.settimeout(self.timeout)
        self.sock.sendall(b"".join(pieces))

    def greet(self):
        own = [(key, value) for key, value in self.own.items()
               if (key, value) not in ((Setting.INITIAL_WINDOW_SIZE, WINDOW), (Setting.MAX_FRAME_SIZE, FRAME_SIZE))]
        self.send(b"" if self.server else PREFACE, settings(*own))

    def send_fields(self, stream, fields, end=False, piece=FRAME_SIZE):
        """A section of fields, in CONTINUATION frames where it is long."""
        number = getattr(stream, "id", stream)
        encoded = self.encoder.encode([(octets(name), octets(value)) for name, value in fields])
        parts = [encoded[at:at + piece] for at in range(0, len(encoded), piece)] or [b""]
        out = [headers(number, parts[0], end, len(parts) == 1)]
        out += [continuation(number, part, at == len(parts) - 2) for at, part in enumerate(parts[1:])]
        self.send(*out)

    def send_data(self, stream, body=b"", end=False):
        """Within the peer's windows, reading what comes while they are shut. Stops when the stream is over: False."""
        view = memoryview(body)
        while len(view) and not stream.reset:
            room = min(self.send_window, stream.send_window, self.peer[Setting.MAX_FRAME_SIZE], len(view))
            if room <= 0:
                self.until(lambda: stream.reset is not None or min(self.send_window, stream.send_window) > 0,
                           f"window for stream {stream.id}")
                continue
            self.send_window -= room
            stream.send_window -= room
            last = room == len(view)
            self.send(data(stream.id, bytes(view[:room]), end and last))
            view = view[room:]
            self.poll()
        if not len(body) and end:
            self.send(data(stream.id, b"", True))
        return stream.reset is None

    def give(self, stream, size):
        """Window for the connection and one stream."""
        self.receive_window += size
        stream.receive_window += size
        self.send(window_update(0, size), window_update(stream.id, size))

    def close(self):
        self.sock.close()

    # receiving

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout("nothing came in time")
        self.sock.settimeout(left)
        try:
            got = self.sock.recv(1 << 16)
        except socket.timeout:
            raise WaitTimeout("nothing came in time") from None
        except ssl.SSLError:
            self.ended = self.broken = True
            return False
        except ConnectionError:
            self.ended = self.broken = True
            return False
        if not got:
            self.ended = True
            return False
        self.bytes_in += len(got)
        self.buffer += got
        return True

    def _whole(self):
        if len(self.buffer) < 9:
            return False
        return len(self.buffer) >= 9 + int.from_bytes(self.buffer[:3], "big")

    def _take(self):
        size, kind, flags, number = int.from_bytes(self.buffer[:3], "big"), self.buffer[3], self.buffer[4], \
            int.from_bytes(self.buffer[5:9], "big")
        got = Frame(kind, flags, number & MOST, bytes(self.buffer[9:9 + size]))
        del self.buffer[:9 + size]
        if number > MOST:
            raise WireError(f"the reserved bit is set: {got}")
        return got

    def read_frame(self, timeout=None):
        """The next frame, handled; None at the end."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while not self._whole():
            if self.ended or not self._fill(deadline):
                if self.buffer and not self.broken:
                    raise WireError(f"the end inside a frame: {bytes(self.buffer[:60])!r}")
                return None
            self._check_size()
        got = self._take()
        self.frames.append((got.kind, got.stream))
        self._handle(got)
        return got

    def _check_size(self):
        if len(self.buffer) >= 3:
            size = int.from_bytes(self.buffer[:3], "big")
            if size > self.own[Setting.MAX_FRAME_SIZE]:
                raise WireError(f"a frame of {size} bytes: {bytes(self.buffer[:60])!r}")

    def poll(self):
        """Handles what is there, without waiting."""
        while not self.ended:
            pending = getattr(self.sock, "pending", lambda: 0)()
            if not self._whole() and not pending and not select.select([self.sock], [], [], 0)[0]:
                return
            if self.read_frame() is None:
                return

    def until(self, predicate, what, timeout=None):
        """Reads until predicate is true; Closed when the peer ends before."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while not predicate():
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise WaitTimeout("time is over")
                got = self.read_frame(left)
            except WaitTimeout:
                raise WaitTimeout(f"no {what} in time; {self}") from None
            if got is None and not predicate():
                raise Closed(f"closed without {what}; {self}")

    def read_until_end(self, timeout=None):
        self.until(lambda: self.ended, "end of the connection", timeout)

    def quiet(self, seconds=0.2):
        """Reads for so long what comes."""
        end = time.monotonic() + seconds
        while not self.ended and time.monotonic() < end:
            try:
                self.read_frame(max(0.001, end - time.monotonic()))
            except WaitTimeout:
                return

    def __repr__(self):
        streams = [self.streams[number] for number in sorted(self.streams)[-3:]]
        return f"goaway {self.goaways}, ended {self.ended}, frames {self.frames[-8:]}, streams {streams}"

    # frames

    def _handle(self, got):
        if self.settings_frames == 0 and got.kind != Kind.SETTINGS and self.strict_preface():
            raise WireError(f"the first frame is no SETTINGS: {got} (RFC 9113 3.4)")
        if self.open_block and got.kind != Kind.CONTINUATION:
            raise WireError(f"{got} inside a field block (RFC 9113 4.3)")
        handler = HANDLERS.get(got.kind)
        if handler:
            handler(self, got)

    def strict_preface(self):
        return True

    def stream(self, number):
        found = self.streams.get(number)
        if found is None:
            raise WireError(f"a frame on stream {number}, which is idle")
        return found

    def new_stream(self, number):
        made = Stream(number, self.peer[Setting.INITIAL_WINDOW_SIZE], self.own[Setting.INITIAL_WINDOW_SIZE])
        self.streams[number] = made
        return made

    def _on_data(self, got):
        stream, size, body = self.stream(got.stream), len(got.payload), got.payload
        if got.has(PADDED):
            if size < 1 or body[0] >= size:
                raise WireError("padding longer than the frame")
            body = body[1:size - body[0]]
        if not stream.head or (stream.over and stream.reset is None):
            raise WireError(f"DATA where none belongs: {got}, {stream}")
        stream.receive_window -= size
        self.receive_window -= size
        if stream.receive_window < 0 or self.receive_window < 0:
            raise WireError(f"more DATA than the window: {stream.receive_window}, {self.receive_window} (RFC 9113 6.9)")
        stream.count += len(body)
        if stream.keep:
            stream.body += body
        if self.credit and size:
            self.receive_window += size
            pieces = window_update(0, size)
            if not got.has(END_STREAM):
                stream.receive_window += size
                pieces += window_update(stream.id, size)
            self._answer(pieces)
        if got.has(END_STREAM):
            self._end(stream)

    def _answer(self, pieces):
        """Sends; the other side may have gone meanwhile."""
        try:
            self.send(pieces)
        except (OSError, ssl.SSLError):
            pass

    def _end(self, stream):
        stream.ended = True
        length = stream.head.get("content-length")
        if length is not None and not stream.bodiless and not stream.tunnel and stream.status not in (204, 304):
            if not length.isdigit() or int(length) != stream.count:
                raise WireError(f"content-length {length}, but {stream.count} bytes (RFC 9113 8.1.1)")

    def _on_headers(self, got):
        payload = got.payload
        if got.has(PADDED):
            payload = payload[1:len(payload) - payload[0]]
        if got.has(WITH_PRIORITY):
            payload = payload[5:]
        self.open_block = (got, bytearray(payload))
        if got.has(END_HEADERS):
            self._on_block()

    def _on_continuation(self, got):
        if not self.open_block or self.open_block[0].stream != got.stream:
            raise WireError(f"CONTINUATION that continues nothing: {got}")
        self.open_block[1].extend(got.payload)
        if got.has(END_HEADERS):
            self._on_block()

    def _on_block(self):
        first, fragment = self.open_block
        self.open_block = None
        try:
            decoded = self.decoder.decode(bytes(fragment), raw=True)
        except HPACKError as error:
            raise WireError(f"a field block that does not decode: {error!r}") from None
        fields = Fields((name.decode("latin-1"), value.decode("latin-1")) for name, value in decoded)
        stream = self.accept(first.stream)
        if stream.ended:
            raise WireError(f"HEADERS after END_STREAM: {fields}")
        self.check_fields(stream, fields)
        stream.heads.append(fields)
        self.take_head(stream, fields, first.has(END_STREAM))
        if first.has(END_STREAM):
            self._end(stream)
        self.on_head(stream)

    def check_fields(self, stream, fields):
        """RFC 9113 8.2 and 8.3: what no correct sender sends."""
        regular = False
        for name, value in fields:
            bare = name[1:] if name.startswith(":") else name
            if not LOWER.fullmatch(bare.encode("latin-1")):
                raise WireError(f"the name {name!r} (RFC 9113 8.2.1)")
            if not FIELD_VALUE.fullmatch(value.encode("latin-1")) or value != value.strip(" \t"):
                raise WireError(f"the value of {name}: {value!r} (RFC 9113 8.2.1)")
            if name.startswith(":"):
                if regular or stream.head:
                    raise WireError(f"{name} after other fields, or in trailers (RFC 9113 8.3)")
                if len(fields.all(name)) > 1:
                    raise WireError(f"{name} twice (RFC 9113 8.3)")
            else:
                regular = True
            if name in FORBIDDEN or (name == "te" and value != "trailers"):
                raise WireError(f"the field {name}: {value} (RFC 9113 8.2.2)")

    def _on_rst(self, got):
        code, = struct.unpack(">I", got.payload)
        stream = self.stream(got.stream)
        if stream.reset is None:
            stream.reset = Code(code) if code in list(Code) else code

    def _on_settings(self, got):
        if got.stream:
            raise WireError("SETTINGS on a stream")
        if got.has(ACK):
            self.acks += 1
            return
        self.settings_frames += 1
        if len(got.payload) % 6:
            raise WireError("SETTINGS of a wrong length")
        for at in range(0, len(got.payload), 6):
            name, value = struct.unpack_from(">HI", got.payload, at)
            if name == Setting.INITIAL_WINDOW_SIZE:
                if value > MOST:
                    raise WireError(f"SETTINGS_INITIAL_WINDOW_SIZE {value}")
                for stream in self.streams.values():
                    stream.send_window += value - self.peer[Setting.INITIAL_WINDOW_SIZE]
            if name == Setting.HEADER_TABLE_SIZE:
                self.encoder.header_table_size = min(value, 4096)
            if name == Setting.MAX_FRAME_SIZE and not FRAME_SIZE <= value < 1 << 24:
                raise WireError(f"SETTINGS_MAX_FRAME_SIZE {value}")
            self.peer[name] = value
        if self.auto:
            self._answer(SETTINGS_ACK)

    def _on_ping(self, got):
        if got.stream or len(got.payload) != 8:
            raise WireError(f"malformed {got}")
        if got.has(ACK):
            self.pongs += 1
        elif self.auto:
            self._answer(ping(got.payload, ACK))

    def _on_goaway(self, got):
        last, code = struct.unpack_from(">II", got.payload)
        if self.goaways and last > self.goaways[-1][0]:
            raise WireError("the last stream of a second GOAWAY is higher (RFC 9113 6.8)")
        self.goaways.append((last, Code(code) if code in list(Code) else code, got.payload[8:]))

    def _on_window(self, got):
        size, = struct.unpack(">I", got.payload)
        if not 0 < size <= MOST:
            raise WireError(f"WINDOW_UPDATE of {size}")
        if got.stream == 0:
            self.send_window += size
        else:
            self.stream(got.stream).send_window += size

    def _on_push(self, got):
        raise WireError(f"{got}: nobody may push (RFC 9113 8.4)")

    @property
    def goaway_code(self):
        return self.goaways[-1][1] if self.goaways else None


HANDLERS = {
    # pylint: disable=protected-access
    Kind.DATA: Connection._on_data,
    Kind.HEADERS: Connection._on_headers,
    Kind.CONTINUATION: Connection._on_continuation,
    Kind.RST_STREAM: Connection._on_rst,
    Kind.SETTINGS: Connection._on_settings,
    Kind.PING: Connection._on_ping,
    Kind.GOAWAY: Connection._on_goaway,
    Kind.WINDOW_UPDATE: Connection._on_window,
    Kind.PUSH_PROMISE: Connection._on_push,
}


class Client(Connection):
    """A client's end. `tls`: a context; ALPN h2 is then offered, and must be chosen."""

    def __init__(self, address, own_settings=None, tls=None, name="a.test", greet=True, receive_buffer=None,
                 source=None, **options):
        sock = open_socket(address, source, receive_buffer)
        if tls:
            sock = tls.wrap_socket(sock, server_hostname=name)
            assert sock.selected_alpn_protocol() == "h2"
        super().__init__(sock, own_settings, **options)
        self.last = -1
        self.scheme = "https" if tls else "http"
        if greet:
            self.greet()

    def accept(self, number):
        return self.stream(number)

    def check_fields(self, stream, fields):
        super().check_fields(stream, fields)
        names = [name for name, _ in fields if name.startswith(":")]
        if names != ([] if stream.head else [":status"]):
            raise WireError(f"pseudo-fields {names} of a response")
        if names and (not re.fullmatch(r"[1-9][0-9]{2}", fields[0][1]) or fields[0][1] == "101"):
            raise WireError(f":status {fields[0][1]}")

    def take_head(self, stream, fields, end):
        if stream.head:
            if not end:
                raise WireError(f"trailers without END_STREAM: {fields}")
            stream.trailers = fields
        elif fields[0][1].startswith("1"):
            if end:
                raise WireError("an interim response with END_STREAM")
            stream.interim.append(fields)
        else:
            stream.head = fields

    def open(self, stream=None):
        """A new stream, as far as we keep account of it."""
        self.last = stream if stream is not None else self.last + 2
        return self.new_stream(self.last)

    def request(self, method="GET", path="/", fields=(), body=None, end=True, authority="a.test", scheme=None,
                trailers=None, extra=()):
        """Sends a request; with `end` false it may go on."""
        stream = self.open()
        stream.bodiless = method == "HEAD"
        stream.tunnel = method == "CONNECT"
        pseudo = request_fields(method, path, scheme or self.scheme, authority)
        if stream.tunnel and not extra:
            pseudo = [(":method", method), (":authority", authority)]
        self.send_fields(stream, pseudo[:1] + list(extra) + pseudo[1:] + list(fields),
                         end and body is None and trailers is None)
        if body is not None:
            self.send_data(stream, body, end and trailers is None)
        if trailers is not None:
            self.send_fields(stream, trailers, True)
        return stream

    def finish(self, stream, timeout=None):
        """Until its answer is complete or it is reset."""
        self.until(lambda: stream.over, f"end of stream {stream.id}", timeout)
        return stream

    def answer(self, stream, timeout=None):
        """Until the head of its answer is there or it is over."""
        self.until(lambda: stream.head is not None or stream.over, f"answer on stream {stream.id}", timeout)
        return stream

    def ask(self, *arguments, **named):
        return self.finish(self.request(*arguments, **named))

    def get(self, path="/", **named):
        return self.ask("GET", path, **named)

    def settled(self):
        """Until the peer's SETTINGS came, and it has acknowledged ours."""
        self.until(lambda: self.settings_frames and self.acks, "SETTINGS")
        return self

    def expect_goaway(self, *codes, timeout=None):
        """A connection error of one of these codes, and the end."""
        self.read_until_end(timeout)
        assert self.goaways, f"closed without GOAWAY; {self}"
        assert self.goaway_code in codes, f"GOAWAY {self.goaways}, expected {codes}"


class Server(Connection):
    """A server's end, on what an Origin accepted."""

    server = True

    def __init__(self, sock, own_settings=None, **options):
        super().__init__(sock, own_settings, timeout=30.0, **options)
        self.highest = 0
        self.alpn = getattr(sock, "selected_alpn_protocol", lambda: None)()

    def read_preface(self):
        deadline = time.monotonic() + self.timeout
        while len(self.buffer) < len(PREFACE):
            if not self._fill(deadline):
                raise Closed("closed before the preface")
        if self.buffer[:len(PREFACE)] != PREFACE:
            raise WireError(f"no preface: {bytes(self.buffer[:100])!r}")
        del self.buffer[:len(PREFACE)]

    def accept(self, number):
        if number in self.streams:
            return self.streams[number]
        if number % 2 == 0 or number <= self.highest:
            raise WireError(f"a new stream {number} after {self.highest} (RFC 9113 5.1.1)")
        running = sum(not stream.over for stream in self.streams.values())
        if running >= self.own.get(Setting.MAX_CONCURRENT_STREAMS, 1 << 31) and self.acks:
            raise WireError(f"a stream more than {running} (RFC 9113 5.1.2)")
        self.highest = number
        return self.new_stream(number)

    def check_fields(self, stream, fields):
        super().check_fields(stream, fields)
        if stream.head:
            return
        pseudo = {name: value for name, value in fields if name.startswith(":")}
        method = pseudo.get(":method")
        wanted = {":method", ":scheme", ":path"}
        if method == "CONNECT" and ":protocol" not in pseudo:
            wanted = {":method", ":authority"}
        unknown = set(pseudo) - wanted - {":authority", ":protocol"}
        if not wanted <= set(pseudo) or unknown or not TOKEN.fullmatch(method.encode("latin-1")):
            raise WireError(f"pseudo-fields {pseudo} of a request (RFC 9113 8.3.1)")
        if ":protocol" in pseudo and not self.own.get(Setting.ENABLE_CONNECT_PROTOCOL):
            raise WireError(":protocol, which was not offered (RFC 8441 3)")
        if not pseudo.get(":path", "/").startswith("/") and pseudo[":path"] != "*":
            raise WireError(f":path {pseudo[':path']}")
        if fields.has("host") and fields.get("host") != pseudo.get(":authority"):
            raise WireError(f"host differs from :authority: {fields}")

    def take_head(self, stream, fields, end):
        if stream.head is None:
            stream.head = fields
            stream.tunnel = fields.get(":method") == "CONNECT"
        elif not end:
            raise WireError(f"trailers without END_STREAM: {fields}")
        else:
            stream.trailers = fields

    def answer(self, stream, status=200, fields=(), body=None, end=True, trailers=None):
        """A whole response, or its beginning."""
        self.send_fields(stream, [(":status", str(status)), *fields], end and body is None and trailers is None)
        if body is not None:
            self.send_data(stream, body, end and trailers is None)
        if trailers is not None:
            self.send_fields(stream, trailers, True)

    def next_request(self, whole=True):
        """The next stream whose request is complete (or has begun), each once; None at the end."""
        def fresh():
            return next((stream for _, stream in sorted(self.streams.items())
                         if stream.data is None and stream.reset is None and (stream.ended or not whole)), None)
        try:
            self.until(lambda: fresh() is not None, "request")
        except Closed:
            return None
        found = fresh()
        found.data = "taken"
        return found


def scripted(script, own_settings=None, tls=None, **options):
    """For an Origin: each connection is greeted, and given to script(connection)."""
    def run(peer):
        if tls:
            peer.sock = tls.wrap_socket(peer.sock, server_side=True)
        connection = Server(peer.sock, own_settings, **options)
        peer.http2 = connection
        connection.greet()
        connection.read_preface()
        script(connection)
    return run


def ok(connection, stream):
    connection.answer(stream, 200, [("content-length", "2")], b"ok")


def serving(handler=ok, own_settings=None, tls=None):
    """For an Origin: handler(connection, stream) answers each complete request, one after the other."""
    def script(connection):
        while (stream := connection.next_request()) is not None:
            handler(connection, stream)
    return scripted(script, own_settings, tls)


# TLS

def certificate(directory, *names):
    """A self-signed certificate for these names and 127.0.0.1: (certificate, key), paths."""
    names = names or ("a.test", "*.a.test", "localhost")
    pem, key = directory / "http2.pem", directory / "http2.key"
    alternative = ",".join([f"DNS:{name}" for name in names] + ["IP:127.0.0.1"])
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternative}",
                    "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True, timeout=20)
    return str(pem), str(key)


def client_context(*protocols):
    """Trusts everybody: certificates are not what these tests are about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols or ("h2",)))
    return context


def server_context(pem, key, *protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    context.set_alpn_protocols(list(protocols or ("h2",)))
    return context
