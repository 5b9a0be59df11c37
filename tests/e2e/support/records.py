"""TLS 1.3 whose records a test makes itself: any length, any type, any cut, once the handshake is done."""

import hashlib
import hmac
import ssl
import struct
import tempfile

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from support.client import open_socket

ALERT, HANDSHAKE, DATA = 21, 22, 23
KEY_UPDATE, KEY_UPDATE_ANSWERED = b"\x18\x00\x00\x01\x00", b"\x18\x00\x00\x01\x01"
CLOSE_NOTIFY = b"\x01\x00"


def expand(digest, secret, label, length):
    """HKDF-Expand-Label (RFC 8446 7.1) without a context; at most one block."""
    label = b"tls13 " + label
    info = struct.pack(">HB", length, len(label)) + label + b"\x00\x01"
    return hmac.new(secret, info, digest).digest()[:length]


class Sealer:
    """The sending half of one side's application traffic."""

    def __init__(self, cipher, secret):
        self.digest = hashlib.sha384 if "SHA384" in cipher else hashlib.sha256
        self.length = 16 if "AES_128" in cipher else 32
        self.aead = ChaCha20Poly1305 if "CHACHA" in cipher else AESGCM
        self._use(secret)

    def _use(self, secret):
        self.secret, self.count = secret, 0
        self.key = self.aead(expand(self.digest, secret, b"key", self.length))
        self.iv = expand(self.digest, secret, b"iv", 12)

    def record(self, content, kind=DATA, padding=0):
        inner = content + bytes([kind]) + bytes(padding)
        head = b"\x17\x03\x03" + struct.pack(">H", len(inner) + 16)
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.count.to_bytes(12, "big")))
        self.count += 1
        return head + self.key.encrypt(nonce, inner, head)

    def update(self, asking=False):
        """A KeyUpdate, and the keys that follow it (RFC 8446 7.2)."""
        made = self.record(KEY_UPDATE_ANSWERED if asking else KEY_UPDATE, HANDSHAKE)
        self.turn()
        return made

    def turn(self):
        self._use(expand(self.digest, self.secret, b"traffic upd", self.digest().digest_size))


class RecordClient:
    """A client whose handshake Python does, and whose records are the test's: .seal makes them, .send sends bytes as they are."""

    def __init__(self, address, name="a.test", alpn=(), receive_buffer=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if alpn:
            context.set_alpn_protocols(list(alpn))
        with tempfile.NamedTemporaryFile() as log:
            context.keylog_filename = log.name
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
            self.sock = open_socket(address, receive_buffer=receive_buffer)
            self._shake_hands()
            log.seek(0)
            lines = log.read().decode().splitlines()
        secret = next(line.split()[2] for line in lines if line.startswith("CLIENT_TRAFFIC_SECRET_0"))
        self.seal = Sealer(self.tls.cipher()[0], bytes.fromhex(secret))

    def _shake_hands(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                self._fill()
        self.sock.sendall(self.outgoing.read())

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the connection ended")
        self.incoming.write(data)

    def send(self, *pieces):
        self.sock.sendall(b"".join(pieces))

    def recv(self, size=65536):
        """Plaintext; b"" after close_notify."""
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                self._fill()
            except ssl.SSLZeroReturnError:
                return b""

    def read_until(self, mark):
        data = b""
        while mark not in data:
            more = self.recv()
            if not more:
                raise ConnectionError(f"the end came after {data[-100:]!r}")
            data += more
        return data

    def read_exact(self, count):
        data = bytearray()
        while len(data) < count:
            more = self.recv()
            if not more:
                raise ConnectionError(f"the end came after {len(data)} of {count} bytes")
            data += more
        return bytes(data)

    def ended(self):
        """Reads to the end: True for close_notify, or what else ended it."""
        try:
            while self.recv():
                pass
            return True
        except (ssl.SSLError, OSError) as error:
            return error

    def close(self):
        self.sock.close()
