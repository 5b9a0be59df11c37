"""The scripted origin: a raw server of the test's own that does exactly what its script says.

A script is a function that gets the connection (a Peer) and, when it reads strictly and answers, may be as short as
`answering(b"HTTP/1.1 200 OK...")`. Everything that was received is kept; what Guise must never send (a message that
no correct sender generates) is kept in `errors` and fails the test.
"""

import os
import socket
import threading

from support.waiting import DEFAULT_TIMEOUT, wait_for
from support.wire import Closed, Truncated, Wire, WireError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def response(status=200, body=b"", fields=(), reason="Reason", version="HTTP/1.1", length=True):
    """The bytes of a response."""
    lines = [f"{version} {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in fields]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def answering(*replies):
    """A script: answer each request with the next of the replies, the last one again and again."""
    def script(peer):
        count = 0
        while peer.read_request() is not None:
            peer.send(replies[min(count, len(replies) - 1)])
            count += 1
    return script


def once(reply):
    """A script: answer one request and close."""
    def script(peer):
        if peer.read_request() is not None:
            peer.send(reply)
    return script


def echoing_request(peer):
    """A script: answer with the request's head as the body, so that a client sees what the server saw."""
    while (request := peer.read_request()) is not None:
        lines = [f"{request.method} {request.target} {request.version}"]
        lines += [f"{name}: {value}" for name, value in request.fields]
        body = "\n".join(lines).encode("latin-1")
        peer.send(response(200, b"" if request.method == "HEAD" else body))


class Peer(Wire):
    """One connection that the origin accepted."""

    def __init__(self, origin, sock, number):
        super().__init__(sock, timeout=30.0)
        self.origin = origin
        self.number = number
        self.requests = []
        self.ended = threading.Event()
        self.local = sock.getsockname()
        self.remote = sock.getpeername()

    def read_request(self):
        request = super().read_request()
        if request is not None:
            self.requests.append(request)
            self.origin.note(request)
        return request

    def read_request_head(self):
        request = super().read_request_head()
        self.origin.heads.append(request)
        return request

    def read_request_head_or_none(self):
        """The next head, without its body; None when the other side closed between two requests."""
        try:
            return self.read_request_head()
        except Closed:
            return None

    def wait_end(self):
        """Until the other side closes or resets; whatever comes is recorded."""
        try:
            while self._fill():
                pass
        except OSError:
            pass


class Origin:
    """A listening socket; each connection runs the script in a thread of its own."""

    def __init__(self, script=None, host="127.0.0.1", port=0, path=None, backlog=512):
        self.script = script or answering(OK)
        self.peers = []
        self.heads = []
        self.requests = []
        self.errors = []
        self.stopping = False
        self._lock = threading.Lock()
        self.listener = self._listen(host, port, path, backlog)
        self.host = host
        self.path = path
        self.port = None if path else self.listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @staticmethod
    def _listen(host, port, path, backlog):
        if path:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(path)
        else:
            listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if listener.family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((host, port))
        listener.listen(backlog)
        return listener

    @property
    def address(self):
        """As the configuration spells it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def note(self, request):
        with self._lock:
            self.requests.append(request)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            try:
                peer = Peer(self, sock, len(self.peers))
            except OSError:  # gone already
                sock.close()
                continue
            self.peers.append(peer)
            threading.Thread(target=self._run, args=(peer,), daemon=True).start()

    def _run(self, peer):
        try:
            self.script(peer)
        except (OSError, ValueError):
            pass  # the other side went away, or the test ended
        except WireError as error:
            if not isinstance(error, (Truncated, Closed)) and not self.stopping:
                self.errors.append(error)
        except AssertionError as error:
            if not self.stopping:
                self.errors.append(error)
        finally:
            peer.ended.set()
            try:
                peer.sock.close()
            except OSError:
                pass

    def received(self):
        """Bytes that came, over all connections."""
        return sum(len(peer.received) for peer in self.peers)

    def wait_requests(self, count, timeout=DEFAULT_TIMEOUT):
        wait_for(lambda: len(self.requests) >= count, f"{count} requests at the origin", timeout)
        return self.requests[:count]

    def wait_peers(self, count, timeout=DEFAULT_TIMEOUT):
        wait_for(lambda: len(self.peers) >= count, f"{count} connections at the origin", timeout)
        return self.peers[:count]

    def refuse(self):
        """Close the listening socket: from now on connections are refused."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self._thread.join(5)

    def stop(self):
        self.stopping = True
        self.refuse()
        for peer in self.peers:
            try:
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    def check(self):
        """Fail when Guise sent something malformed."""
        assert not self.errors, f"the origin was sent something wrong: {self.errors}"


class Blackhole:
    """An address that neither accepts nor refuses: the queue of its listener is full."""

    def __init__(self, host="127.0.0.1", port=0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(0)
        self.host, self.port = host, self.listener.getsockname()[1]
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.fillers = [socket.socket(family, socket.SOCK_STREAM) for _ in range(3)]
        for filler in self.fillers:
            filler.setblocking(False)
            try:
                filler.connect((host, self.port))
            except BlockingIOError:
                pass

    def stop(self):
        for sock in (self.listener, *self.fillers):
            sock.close()
