"""Servers that fail as the path of a request tells them: /group/action/id. What is told happens to the first try of an id; later ones are answered.

Both versions of HTTP, and several servers that keep one account: which of them has seen which request how often.
"""

import threading

from support import http2
from support.frames import Code, block, goaway, headers, rst_stream


class Call:
    """One request at one server."""

    def __init__(self, server, method, target, body):
        self.server, self.method, self.target, self.body = server, method, target, body
        parts = target.split("?")[0].strip("/").split("/")
        self.action, self.id = (parts[-2], parts[-1]) if len(parts) > 1 else ("ok", target)

    def __repr__(self):
        return f"<{self.method} {self.target} at {self.server}>"


class OfOne:
    """What a server of HTTP/1 does; False: the connection is over."""

    def __init__(self, peer):
        self.peer = peer

    def ok(self, call):
        body = b"" if call.method == "HEAD" else b"%d %s" % (call.server, call.body)
        self.peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    def status(self, call):
        self.peer.send(b"HTTP/1.1 %s No\r\nX-Failed: 1\r\nContent-Length: 2\r\n\r\n" % call.action.encode()
                       + (b"" if call.method == "HEAD" else b"no"))
        return True

    def close(self, _call):
        return False

    def reset(self, _call):
        self.peer.reset()
        return False

    def half(self, _call):
        self.peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")
        return False

    def interim(self, _call):
        self.peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        return False

    def malformed(self, _call):
        self.peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
        return False

    def truncated(self, call):
        self.peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + (b"" if call.method == "HEAD" else b"half"))
        return False

    def freeze(self, _call):
        self.peer.wait_end()
        return False


class OfTwo:
    """What a server of HTTP/2 does."""

    def __init__(self, connection, stream):
        self.connection, self.stream = connection, stream

    def ok(self, call):
        self.connection.answer(self.stream, 200, [], b"" if call.method == "HEAD" else b"%d %s" % (call.server, call.body))
        return True

    def status(self, call):
        self.connection.answer(self.stream, int(call.action), [("x-failed", "1")], None if call.method == "HEAD" else b"no")
        return True

    def close(self, _call):
        return False

    def reset(self, _call):
        self.connection.send(rst_stream(self.stream.id, Code.INTERNAL_ERROR))
        return True

    def half(self, _call):
        self.connection.send(headers(self.stream.id, block((":status", "200")), end=False, done=False))
        return False

    def interim(self, _call):
        self.connection.send_fields(self.stream, [(":status", "103"), ("link", "</a>")])
        return False

    def malformed(self, _call):
        self.connection.send(headers(self.stream.id, block(("x-status", "200"))))
        return True

    def truncated(self, call):
        self.connection.answer(self.stream, 200, [("content-length", "10")], None if call.method == "HEAD" else b"half", end=False)
        return False

    def freeze(self, _call):
        return True

    def refused(self, _call):
        self.connection.send(rst_stream(self.stream.id, Code.REFUSED_STREAM))
        return True

    def goaway(self, _call):
        self.connection.send(goaway(self.stream.id - 2 if self.stream.id > 1 else 0))
        self.connection.read_until_end()
        return False


class Farm:
    """`count` servers of one version: "1" or "2"."""

    def __init__(self, stage, version, count=2):
        self.version = version
        self.calls = []
        self.lock = threading.Lock()
        self.origins = [stage.origin(self._script(number)) for number in range(count)]

    def _note(self, call):
        with self.lock:
            self.calls.append(call)
            return len(self.seen(call.id)) == 1

    def seen(self, number):
        """The calls with this id, in their order."""
        return [call for call in list(self.calls) if call.id == str(number)]

    def servers(self, number):
        return [call.server for call in self.seen(number)]

    def _act(self, call, does):
        first = self._note(call)
        action = call.action.removesuffix("-always")
        if not first and action == call.action:
            action = "ok"
        return getattr(does, "status" if action.isdigit() else action)(call)

    def _script(self, number):
        def one(peer):
            while (request := peer.read_request()) is not None:
                if not self._act(Call(number, request.method, request.target, request.body), OfOne(peer)):
                    return

        def two(connection):
            while (stream := connection.next_request()) is not None:
                call = Call(number, stream.head.get(":method"), stream.head.get(":path"), bytes(stream.body))
                if not self._act(call, OfTwo(connection, stream)):
                    return
        return one if self.version == "1" else http2.scripted(two)

    def check_once(self):
        """No request that must not be repeated was seen twice, unless the server had said that it had not processed it."""
        for call in self.calls:
            if call.method in ("POST", "PATCH") and call.action not in ("refused", "goaway"):
                assert len(self.seen(call.id)) == 1, self.seen(call.id)
