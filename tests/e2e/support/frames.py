"""Bytes of HTTP/2, legal or not: frames (RFC 9113 6), and field blocks that need no state (RFC 7541). Nothing here stops at anything."""

import enum
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_SIZE = 16384
WINDOW = 65535
MOST = 0x7FFFFFFF


class Kind(enum.IntEnum):
    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9
    PRIORITY_UPDATE = 16


class Code(enum.IntEnum):
    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Setting(enum.IntEnum):
    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6
    ENABLE_CONNECT_PROTOCOL = 8
    NO_RFC7540_PRIORITIES = 9


ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20


# bytes of frames

def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """A frame; `length` instead of the true one."""
    size = len(payload) if length is None else length
    return struct.pack(">HBBBI", size >> 8, size & 0xFF, kind, flags, stream) + payload


def settings(*pairs):
    return frame(Kind.SETTINGS, payload=b"".join(struct.pack(">HI", name, value) for name, value in pairs))


SETTINGS_ACK = frame(Kind.SETTINGS, ACK)


def ping(data=b"12345678", flags=0):
    return frame(Kind.PING, flags, payload=data)


def window_update(stream, size):
    return frame(Kind.WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", size))


def rst_stream(stream, code=Code.CANCEL):
    return frame(Kind.RST_STREAM, stream=stream, payload=struct.pack(">I", code))


def goaway(last=0, code=Code.NO_ERROR, debug=b""):
    return frame(Kind.GOAWAY, payload=struct.pack(">II", last, code) + debug)


def priority(stream, depends=0, weight=15, exclusive=False):
    return frame(Kind.PRIORITY, stream=stream, payload=struct.pack(">IB", depends | exclusive << 31, weight))


def priority_update(stream, value, on=0):
    """RFC 9218 7.1."""
    return frame(Kind.PRIORITY_UPDATE, stream=on, payload=struct.pack(">I", stream) + value)


def data(stream, payload=b"", end=False, padding=None):
    if padding is None:
        return frame(Kind.DATA, END_STREAM if end else 0, stream, payload)
    return frame(Kind.DATA, PADDED | (END_STREAM if end else 0), stream,
                 bytes([padding]) + payload + bytes(padding))


def headers(stream, fragment, end=True, done=True, flags=0):
    """HEADERS with this piece of a field block. `done`: END_HEADERS."""
    return frame(Kind.HEADERS, (END_STREAM if end else 0) | (END_HEADERS if done else 0) | flags, stream, fragment)


def continuation(stream, fragment=b"", done=True):
    return frame(Kind.CONTINUATION, END_HEADERS if done else 0, stream, fragment)


# bytes of field blocks (RFC 7541), without state: what stands in one depends on nothing before it

def octets(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def integer(value, bits, first=0):
    """RFC 7541 5.1."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytearray([first | limit]), value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def string(text):
    """RFC 7541 5.2, without Huffman."""
    text = octets(text)
    return integer(len(text), 7) + text


def literal(name, value, first=0x00):
    """RFC 7541 6.2: a literal with a new name; 0x00 not indexed, 0x10 never, 0x40 added to the table."""
    return bytes([first]) + string(name) + string(value)


def block(*fields):
    return b"".join(literal(name, value) for name, value in fields)


def request_fields(method="GET", path="/", scheme="http", authority="a.test", fields=()):
    pseudo = ((":method", method), (":scheme", scheme), (":authority", authority), (":path", path))
    return [(name, value) for name, value in pseudo if value is not None] + list(fields)


def request_block(*arguments, **named):
    return block(*request_fields(*arguments, **named))
