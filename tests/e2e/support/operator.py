"""The operator's interface from outside: questions and orders, as JSON."""

import json
from urllib.parse import quote, urlencode

from support.client import Client


class Operator:
    """Asks one running Guise; a connection for each request."""

    def __init__(self, address, host="localhost"):
        self.address = address
        self.host = host

    def ask(self, method, target, body=None, fields=()):
        """The response as it comes."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in fields]
        if body is not None:
            lines.append(f"Content-Length: {len(data)}")
            if not any(name.lower() == "content-type" for name, _ in fields):
                lines.append("Content-Type: application/json")
        client = Client(self.address)
        try:
            return client.ask(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data, method)
        finally:
            client.close()

    def get(self, target):
        """What is there, which has to be there."""
        answer = self.ask("GET", target)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def explain(self, url, **arguments):
        headers = arguments.pop("headers", ())
        pairs = [("url", url)] + list(arguments.items()) + [("header", f"{name}: {value}") for name, value in headers]
        return self.get("/explain?" + urlencode(pairs))

    def server(self, group, server):
        return self.get(f"/upstreams/{quote(group, safe='')}/servers/{quote(server, safe='')}")

    def order(self, group, server, **order):
        """An order, which has to be taken; the server as it is then."""
        target = f"/upstreams/{quote(group, safe='')}/servers/{quote(server, safe='')}"
        answer = self.ask("POST", target, order)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)
