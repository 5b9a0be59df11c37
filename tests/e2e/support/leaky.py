"""A forward proxy that leaks as it is told to, or not at all: what an audit has to notice.

HTTP/1 (absolute-form and CONNECT), SOCKS 4A and 5, on one port, a thread for each connection. `leaks` is a set of words; without any it passes on what a
client's own fields are and nothing else, over a connection to the server for each connection of a client's.
"""

import base64
import ipaddress
import random
import socket
import ssl
import struct
import threading

OWN = {"host", "user-agent", "accept", "accept-language", "accept-encoding", "referer", "cookie", "authorization", "origin", "dnt",
       "cache-control", "range", "if-none-match", "sec-fetch-mode", "x-requested-with", "x-audit-version", "content-type",
       "content-length"}
ERROR = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s"


class Leaky:
    def __init__(self, *leaks, certificate=None, name_server=None, login=None):
        self.leaks = set(leaks)
        self.certificate = certificate
        self.name_server = name_server
        self.login = login  # its name stands in a field where that leaks
        self.pool = {}
        self.served = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.listener.close()

    def has(self, leak):
        return leak in self.leaks

    def _accept(self):
        while True:
            try:
                sock, address = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, address[0]), daemon=True).start()

    def _serve(self, sock, client):
        sock.settimeout(10)
        server = None
        with sock:
            try:
                first = sock.recv(1, socket.MSG_PEEK)
                if first == b"\x05":
                    self._socks5(sock, client)
                elif first == b"\x04":
                    self._socks4(sock, client)
                while first and first not in b"\x04\x05":
                    if self.has("fickle") and self.served:
                        break
                    head = read_head(sock)
                    self.served += 1
                    if not head:
                        break
                    server = self._request(sock, client, head, server)
                    if server is None or self.has("close"):
                        break
            except (OSError, ValueError, ssl.SSLError):
                pass
            finally:
                if server is not None and not self.has("share"):
                    server.close()

    # servers

    def _resolve(self, host):
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            pass
        if not self.name_server:
            raise ConnectionError(host)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split(".")) + b"\0"
        subnet = struct.pack("!HHHBB", 8, 7, 1, 24, 0) + bytes([192, 0, 2]) if self.has("subnet") else b""
        packet = (struct.pack("!HHHHHH", random.randrange(65536), 0x100, 1, 0, 0, 1) + labels + struct.pack("!HH", 1, 1)
                  + struct.pack("!BHHIH", 0, 41, 1232, 0, len(subnet)) + subnet)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.sendto(packet, self.name_server)
            return socket.inet_ntoa(sock.recv(512)[-4:])

    def _dial(self, host, port, client):
        source = (client, 0) if self.has("source") else None
        sock = socket.create_connection((self._resolve(host), int(port)), 5, source)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _server(self, host, port, client, server):
        if not self.has("share"):
            return server or self._dial(host, port, client)
        with self.lock:
            return self.pool.setdefault((host, port), None) or self.pool.update({(host, port): self._dial(host, port, client)}) \
                or self.pool[(host, port)]

    # requests

    def _request(self, sock, client, head, server):
        method, target, version, fields = parse(head)
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            return self._tunnel(sock, client, host, port, b"HTTP/1.1 200 OK\r\n\r\n")
        body, trailers = read_body(sock, fields)
        if not target.startswith("http://") or (not self.has("pass") and (
                version not in ("HTTP/1.0", "HTTP/1.1") or any(not is_token(name) for name, _ in fields))):
            return self._error(sock, client)
        authority, _, path = target[7:].partition("/")
        host, _, port = authority.partition(":")
        try:
            server = self._server(host, port or 80, client, server)
        except OSError:
            return self._error(sock, client)
        server.sendall(self._rewrite(method, "/" + path, client, fields, body, trailers))
        answer = read_head(server, keep=True)
        _, status, _, given = parse(answer)
        length = 0 if method == "HEAD" or status in ("204", "304") else int(dict_of(given).get("content-length", "0"))
        sock.sendall(self._answer(answer, client, given) + read_exactly(server, length))
        return server

    def _rewrite(self, method, path, client, fields, body, trailers):
        if self.has("pass"):
            kept = [(name, value) for name, value in fields if name.lower() not in ("content-length", "transfer-encoding")]
        else:
            kept = [(name, value) for name, value in fields if name.lower() in OWN - {"content-length"}]
        if self.has("add"):
            coded = base64.b64encode(client.encode()).decode()
            kept += [("Via", "1.1 leaky"), ("X-Forwarded-For", client), ("X-Coded", coded), ("X-Hex", ip_hex(client))]
        if self.has("unknown"):
            kept.append(("X-Forwarded-For", "unknown"))
        if self.login and self.has("login"):
            kept.append(("X-Who", self.login))
        if self.has("alter"):
            kept = [(name.lower(), value) for name, value in reversed(kept) if name.lower() != "cookie"]
            method = "GET" if method == "PATCH" else method
        version = "HTTP/1.0" if self.has("old") else "HTTP/1.1"
        if self.has("old"):
            kept.append(("Connection", "keep-alive"))
        if body or method in ("POST", "PUT", "PATCH"):
            if self.has("pass") and trailers:
                kept.append(("Transfer-Encoding", "chunked"))
                body = b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, trailers)
            else:
                kept.append(("Content-Length", str(len(body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in kept)
        return f"{method} {path} {version}\r\n{lines}\r\n".encode("latin-1") + body

    def _answer(self, head, client, fields):
        drop = {"connection"} if self.has("pass") else {"connection", "x-audit-hop"}
        if self.has("alter"):
            drop |= {"etag", "server"}
        kept = [(name, value) for name, value in fields if name.lower() not in drop]
        if self.has("add"):
            kept = [(name, "leaky/1" if name == "Server" else value) for name, value in kept]
            kept += [("Via", "1.1 leaky"), ("Proxy-Status", "leaky"), ("X-Cache", "MISS from leaky"), ("X-Whom", client)]
        if self.has("close"):
            kept.append(("Connection", "close"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in kept)
        return head.split(b"\r\n")[0] + b"\r\n" + lines.encode("latin-1") + b"\r\n"

    def _error(self, sock, client):
        page = f"squid says: {client} got an error".encode() if self.has("add") else b"error"
        sock.sendall(ERROR % (len(page), b"", page))

    # tunnels

    def _tunnel(self, sock, client, host, port, granted):
        try:
            server = self._dial(host, port, client)
        except OSError:
            if granted.startswith(b"HTTP"):
                self._error(sock, client)
            return
        with server:
            sock.sendall(granted)
            if self.has("add"):
                server.sendall(f"PROXY TCP4 {client} 127.0.0.1 1 2\r\n".encode())
            if self.certificate and sock.recv(1, socket.MSG_PEEK) == b"\x16":
                inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                inside.load_cert_chain(*self.certificate)
                outside = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                outside.check_hostname, outside.verify_mode = False, ssl.CERT_NONE
                sock, server = inside.wrap_socket(sock, server_side=True), outside.wrap_socket(server)
                server.sendall(read_head(sock).replace(b"Host:", b"X-Read: yes\r\nHost:"))
                sock.sendall(read_head(server, keep=True) + read_exactly(server, 5))
                return
            back = threading.Thread(target=pump, args=(server, sock, self.has("alter")), daemon=True)
            back.start()
            pump(sock, server)
            back.join(5)

    def _socks5(self, sock, client):
        count = read_exactly(sock, 2)[1]
        if 2 in read_exactly(sock, count):
            sock.sendall(b"\x05\x02")
            read_exactly(sock, read_exactly(sock, 2)[1])
            read_exactly(sock, read_exactly(sock, 1)[0])
            sock.sendall(b"\x01\x00")
        else:
            sock.sendall(b"\x05\x00")
        kind = read_exactly(sock, 4)[3]
        if kind == 1:
            host = socket.inet_ntoa(read_exactly(sock, 4))
        else:
            host = read_exactly(sock, read_exactly(sock, 1)[0]).decode()
        port = struct.unpack("!H", read_exactly(sock, 2))[0]
        self._tunnel(sock, client, host, port, b"\x05\x00\x00\x01" + bytes(6))

    def _socks4(self, sock, client):
        _, _, port, address = struct.unpack("!BBH4s", read_exactly(sock, 8))
        while read_exactly(sock, 1) != b"\0":
            pass
        host = socket.inet_ntoa(address)
        if host.startswith("0.0.0."):
            host, byte = "", read_exactly(sock, 1)
            while byte != b"\0":
                host, byte = host + byte.decode(), read_exactly(sock, 1)
        self._tunnel(sock, client, host, port, b"\x00\x5a" + bytes(6))


# ---- bytes ----

def ip_hex(address):
    return socket.inet_aton(address).hex()


def is_token(name):
    return name and all(byte.isalnum() or byte in "-_" for byte in name)


def dict_of(fields):
    return {name.lower(): value for name, value in fields}


def read_exactly(sock, length):
    data = b""
    while len(data) < length:
        more = sock.recv(length - len(data))
        if not more:
            raise ConnectionError("closed")
        data += more
    return data


def read_head(sock, keep=False):
    """To its empty line, a byte at a time: nothing behind it is taken."""
    data = b""
    while not data.endswith(b"\r\n\r\n") and len(data) < 65536:
        more = sock.recv(1)
        if not more:
            if keep:
                raise ConnectionError("closed")
            return b""
        data += more
    return data


def parse(head):
    """(first, second, third word, fields as they came); folded lines stay in the value."""
    lines = head.decode("latin-1").split("\r\n")[:-2]
    words = (lines[0].split(" ", 2) + ["", ""])[:3]
    fields = []
    for line in lines[1:]:
        if line[0] in " \t" and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + "\r\n" + line)
        else:
            name, _, value = line.partition(":")
            fields.append((name, value.lstrip(" ")))
    return words[0], words[1], words[2], fields


def read_body(sock, fields):
    named = dict_of(fields)
    if "chunked" not in named.get("transfer-encoding", ""):
        return read_exactly(sock, int(named.get("content-length", "0"))), b""
    body = b""
    while True:
        size = int(read_line(sock), 16)
        if size == 0:
            break
        body += read_exactly(sock, size)
        read_line(sock)
    trailers, line = b"", read_line(sock)
    while line:
        trailers, line = trailers + line + b"\r\n", read_line(sock)
    return body, trailers


def read_line(sock):
    line = b""
    while not line.endswith(b"\r\n"):
        line += read_exactly(sock, 1)
    return line[:-2]


def pump(source, sink, alter=False):
    try:
        while data := source.recv(65536):
            sink.sendall(data.replace(b"X-Audit: bytes", b"X-Audit: BYTES") if alter else data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
