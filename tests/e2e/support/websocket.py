"""Just enough of RFC 6455 to speak WebSocket by hand."""

import base64
import hashlib
import os
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def key():
    return base64.b64encode(os.urandom(16)).decode("ascii")


def accept(value):
    return base64.b64encode(hashlib.sha1(value.encode("ascii") + GUID).digest()).decode("ascii")


def handshake(target="/", host="a.test", extra=""):
    return (f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key()}\r\n{extra}\r\n").encode("ascii")


def frame(data, kind=BINARY, mask=True):
    length = len(data)
    head = bytes([0x80 | kind])
    bit = 0x80 if mask else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", length)
    if not mask:
        return head + data
    keys = os.urandom(4)
    stretched = (keys * (length // 4 + 1))[:length]
    masked = (int.from_bytes(data, "big") ^ int.from_bytes(stretched, "big")).to_bytes(length, "big")
    return head + keys + masked


def read_frame(wire):
    """(kind, data) of the next frame."""
    first, second = wire.read_exact(2)
    length = second & 0x7F
    if length == 126:
        length, = struct.unpack(">H", wire.read_exact(2))
    elif length == 127:
        length, = struct.unpack(">Q", wire.read_exact(8))
    keys = wire.read_exact(4) if second & 0x80 else None
    data = wire.read_exact(length)
    if keys:
        stretched = (keys * (length // 4 + 1))[:length]
        data = (int.from_bytes(data, "big") ^ int.from_bytes(stretched, "big")).to_bytes(length, "big")
    return first & 0x0F, data


def echo_server(peer):
    """A script: accept the handshake, echo every message."""
    request = peer.read_request_head()
    answer = accept(request.fields.get("Sec-WebSocket-Key"))
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              + f"Sec-WebSocket-Accept: {answer}\r\n\r\n".encode("ascii"))
    while True:
        kind, data = read_frame(peer)
        peer.send(frame(data, PONG if kind == PING else kind, mask=False))
        if kind == CLOSE:
            peer.half_close()
            peer.wait_end()
            return
