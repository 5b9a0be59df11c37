"""Configurations as dicts, and their way into a file (JSON is YAML)."""

import json

LOOPBACK = {"allow": {"addresses": ["127.0.0.0/8", "::1/128"]}}


def write(path, config):
    """Write a dict or a text as a configuration file."""
    text = config if isinstance(config, str) else json.dumps(config, indent=1)
    path.write_text(text, encoding="utf-8")
    return path


def reverse(*origins, listener=None, route=None, upstream=None, **top):
    """One reverse listener with one route to these origins; extra keys where they belong."""
    servers = [getattr(origin, "address", origin) for origin in origins]
    routes = [dict({"to": "web"}, **(route or {}))]
    return dict({
        "workers": 1,
        "reverse": [dict({"listen": "127.0.0.1:0", "routes": routes}, **(listener or {}))],
        "upstreams": {"web": dict({"servers": servers}, **(upstream or {}))},
    }, **top)


def routes(*table, upstreams=None, **listener):
    """One reverse listener with this table of routes."""
    top = {"workers": 1, "reverse": [dict({"listen": "127.0.0.1:0", "routes": list(table)}, **listener)]}
    if upstreams:
        top["upstreams"] = {name: [getattr(origin, "address", origin) for origin in origins]
                            for name, origins in upstreams.items()}
    return top


def forward(*rules, resolver=None, listener=None, **top):
    """One forward listener; `resolver` is a test's own name server."""
    face = {"listen": "127.0.0.1:0"}
    if rules:
        face["rules"] = list(rules)
    config = dict({"workers": 1, "forward": [dict(face, **(listener or {}))]}, **top)
    if resolver is not None:
        config["resolver"] = dict({"servers": [resolver.address], "hosts": False}, **config.get("resolver", {}))
    return config


def tcp(*origins, listener=None, upstream=None, **top):
    """One tcp listener that goes to these origins."""
    servers = [getattr(origin, "address", origin) for origin in origins]
    return dict({
        "workers": 1,
        "tcp": [dict({"listen": "127.0.0.1:0", "to": "servers"}, **(listener or {}))],
        "upstreams": {"servers": dict({"servers": servers}, **(upstream or {}))},
    }, **top)


def tcp_routes(*table, upstreams, listener=None, **top):
    """One tcp listener with routes by name: ({"sni": ..., "to": ...}, ...)."""
    return dict({
        "workers": 1,
        "tcp": [dict({"listen": "127.0.0.1:0", "routes": list(table)}, **(listener or {}))],
        "upstreams": {name: [getattr(origin, "address", origin) for origin in origins]
                      for name, origins in upstreams.items()},
    }, **top)
