"""The cases of bench/run: which proxies, which configuration of theirs (see peers.py), which load (see loads.py)."""

import collections

# how: kept and new (wrk, with kept connections or a new one for each request), full and resumed (handshakes), h2,
# connect and socks5 (new tunnels), tunnel, idle, idle-tunnel.
Case = collections.namedtuple("Case", "about face how path proxies unit")

REVERSE = ["floor", "guise", "nginx", "haproxy"]
TLS = [*REVERSE, "h2o"]
FORWARD = ["floor", "guise", "tinyproxy", "squid", "trafficserver", "privoxy"]
SOCKS = ["floor", "guise", "dante", "microsocks"]
CASES = {
    "small": Case("13-byte answers over keep-alive connections", "reverse", "kept", "/small", REVERSE, "request"),
    "new": Case("13-byte answers, a new connection for each", "reverse", "new", "/small", REVERSE, "request"),
    "64k": Case("64 KiB answers over keep-alive connections", "reverse", "kept", "/64k", REVERSE, "request"),
    "1m": Case("1 MiB answers over keep-alive connections", "reverse", "kept", "/1m", REVERSE, "request"),
    "tls": Case("13-byte answers over keep-alive connections with TLS 1.3", "tls", "kept", "/small", TLS, "request"),
    "handshake": Case("full TLS 1.3 handshakes, one request each", "tls", "full", "/small", TLS, "request"),
    "resumed": Case("resumed TLS 1.3 handshakes, one request each", "tls", "resumed", "/small", TLS, "request"),
    "h2": Case("13-byte answers over HTTP/2 with TLS, 16 connections of 32 streams", "tls", "h2", "/small", TLS[1:],
               "request"),
    "h2up": Case("13-byte answers over keep-alive connections, HTTP/2 in clear to the origin", "h2up", "kept",
                 "/small", ["guise", "haproxy"], "request"),
    "forward": Case("absolute-form GET of 13 bytes", "forward", "kept", "/small", FORWARD, "request"),
    "connect": Case("new CONNECT tunnels, one request each", "connect", "connect", None, FORWARD, "tunnel"),
    "socks5": Case("new SOCKS5 tunnels, one request each", "socks", "socks5", None, SOCKS, "tunnel"),
    "tunnel": Case("bulk through 8 CONNECT tunnels", "forward", "tunnel", None, ["splice", *FORWARD], "MiB"),
    "idle": Case("memory of idle keep-alive connections", "reverse", "idle", None, REVERSE, "connection"),
    "idle-tunnel": Case("memory of idle CONNECT tunnels", "forward", "idle", None, FORWARD, "tunnel"),
    "idle-tls": Case("memory of idle keep-alive connections with TLS 1.3", "tls", "idle", None, TLS, "connection"),
}
