"""Servers in processes of their own, that can be killed, frozen and told to fail, and a steady load that counts what clients meet.

As a program (-m support.wild PORT VERSION NAME) it is one such server. SIGUSR1: it answers 500. SIGUSR2: it closes in the middle of each head. SIGHUP: it is
well again. Each answer says how many checks it has had since it was last well, or thawed.
"""

import asyncio
import collections
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from hpack import Decoder

from support.frames import (ACK, END_STREAM, PREFACE, SETTINGS_ACK, Kind, Setting, data, goaway, headers, literal, ping,
                            request_block, settings, window_update)

CHECK = "/healthz"
TICK = 0.05


# one server

class State:
    def __init__(self, name):
        self.name = name
        self.mode = "well"
        self.checks = 0
        self.last = time.monotonic()
        self.stale = 0.0  # what comes before this time was meant for the time in which we were frozen

    async def tick(self):
        while True:
            self.look()
            await asyncio.sleep(TICK)

    def look(self):
        now = time.monotonic()
        if now - self.last > 5 * TICK:
            self.stale, self.checks = now + TICK, 0
        self.last = now

    def turn(self, mode):
        self.mode, self.checks = mode, 0

    def note(self, path):
        self.look()
        if path == CHECK and time.monotonic() > self.stale:
            self.checks += 1


class Frames:
    """Cuts bytes into frames of HTTP/2."""

    def __init__(self):
        self.buffer = bytearray()

    def feed(self, received):
        self.buffer += received
        while len(self.buffer) >= 9:
            size = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + size:
                return
            kind, flags = self.buffer[3], self.buffer[4]
            number = int.from_bytes(self.buffer[5:9], "big")
            payload = bytes(self.buffer[9:9 + size])
            del self.buffer[:9 + size]
            yield kind, flags, number, payload


class One(asyncio.Protocol):
    def __init__(self, state):
        self.state, self.transport, self.buffer = state, None, bytearray()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, received):
        self.buffer += received
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            path = self.buffer[:end].split(b" ", 2)[1].decode()
            del self.buffer[:end + 4]
            self.state.note(path)
            if self.state.mode == "half":
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-")
                self.transport.close()
                return
            status = b"200 OK" if self.state.mode == "well" else b"500 No"
            self.transport.write(b"HTTP/1.1 %s\r\nWho: %s\r\nChecks: %d\r\nContent-Length: 4\r\n\r\nbody" % (
                status, self.state.name.encode(), self.state.checks))


class Two(asyncio.Protocol):
    def __init__(self, state):
        self.state, self.transport, self.frames, self.greeted = state, None, Frames(), False
        self.decoder = Decoder()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(settings())

    def data_received(self, received):
        if not self.greeted:
            self.frames.buffer += received
            if len(self.frames.buffer) < len(PREFACE):
                return
            del self.frames.buffer[:len(PREFACE)]
            self.greeted, received = True, b""
        for kind, flags, number, payload in self.frames.feed(received):
            if kind == Kind.SETTINGS and not flags & ACK:
                self.transport.write(SETTINGS_ACK)
            elif kind == Kind.PING and not flags & ACK:
                self.transport.write(ping(payload, ACK))
            elif kind == Kind.HEADERS:
                self.answer(number, dict(self.decoder.decode(payload)).get(":path"))
            if self.transport.is_closing():
                return

    def answer(self, number, path):
        self.state.note(path)
        if self.state.mode == "half":
            self.transport.write(headers(number, b"\x88", end=False, done=False))
            self.transport.close()
            return
        status = b"\x88" if self.state.mode == "well" else b"\x8e"
        fields = status + literal("content-length", "4") + literal("who", self.state.name) + literal("checks", str(self.state.checks))
        self.transport.write(headers(number, fields, end=False) + data(number, b"body", True))


async def serve(port, version, name):
    state = State(name)
    loop = asyncio.get_running_loop()
    for number, mode in ((signal.SIGUSR1, "500"), (signal.SIGUSR2, "half"), (signal.SIGHUP, "well")):
        loop.add_signal_handler(number, state.turn, mode)
    server = await loop.create_server(lambda: (One if version == "1" else Two)(state), "127.0.0.1", port, backlog=512)
    ticking = loop.create_task(state.tick())
    async with server:
        await server.serve_forever()
    ticking.cancel()


class Server:
    """The process, for a test."""

    def __init__(self, port, version, name):
        self.arguments = [sys.executable, "-m", "support.wild", str(port), version, name]
        self.name, self.port = name, port
        self.address = f"127.0.0.1:{port}"
        self.process = None
        self.start()

    def start(self):
        tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, cwd=tests)  # pylint: disable=consider-using-with

    def ready(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        self.signal(signal.SIGCONT)
        self.kill()


# a load

class Load(threading.Thread):
    """`count` clients that ask one thing after the other. All that they meet is counted; what is no whole 200 is in `errors`, or was `cut`."""

    def __init__(self, address, version, count=64, pause=0.02):
        super().__init__(daemon=True)
        self.address, self.version, self.count, self.pause = address, version, count, pause
        self.served = collections.Counter()  # by server
        self.progress = [0] * count  # by client
        self.first_checks = {}  # by server: what its first answer since watch() said
        self.watched = set()
        self.errors = []
        self.cut = 0
        self.over = False

    def watch(self, name):
        self.first_checks.pop(name, None)
        self.watched.add(name)

    def note(self, who, status, server, checks, body):
        if status != 200 or body != b"body":
            self.errors.append((status, server, body))
            return
        if server in self.watched:
            self.first_checks[server] = checks
            self.watched.discard(server)
        self.served[server] += 1
        self.progress[who] += 1

    def run(self):
        asyncio.run(self.all())

    async def all(self):
        await asyncio.gather(*(self.client(who) for who in range(self.count)))

    async def client(self, who):
        ask = self.one if self.version == "1" else self.two
        while not self.over:
            try:
                reader, writer = await asyncio.open_connection(*self.address)
            except OSError as error:
                self.errors.append(repr(error))
                await asyncio.sleep(self.pause)
                continue
            try:
                await ask(who, reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                self.errors.append(repr(error))
            finally:
                writer.close()

    async def one(self, who, reader, writer):
        while not self.over:
            writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines[1:])}
            try:
                body = await reader.readexactly(int(fields["content-length"]))
            except (asyncio.IncompleteReadError, ConnectionError):
                self.cut += 1
                return
            self.note(who, int(lines[0].split(" ")[1]), fields.get("who"), int(fields.get("checks", -1)), body)
            if fields.get("connection") == "close":
                return
            await asyncio.sleep(self.pause)

    async def two(self, who, reader, writer):
        frames, decoder, number = Frames(), Decoder(), -1
        writer.write(PREFACE + settings((Setting.ENABLE_PUSH, 0)) + window_update(0, 1 << 30))
        while not self.over and number < 1 << 20:
            number += 2
            writer.write(headers(number, request_block()))
            fields, body, ended = None, b"", False
            while not ended:
                received = await reader.read(65536)
                if not received:
                    raise ConnectionError("closed")
                for kind, flags, stream, payload in frames.feed(received):
                    if kind == Kind.SETTINGS and not flags & ACK:
                        writer.write(SETTINGS_ACK)
                    elif kind == Kind.PING and not flags & ACK:
                        writer.write(ping(payload, ACK))
                    elif kind == Kind.GOAWAY:
                        return
                    elif stream == number and kind == Kind.HEADERS:
                        fields = dict(decoder.decode(payload))
                        ended = bool(flags & END_STREAM)
                    elif stream == number and kind == Kind.DATA:
                        body += payload
                        ended = bool(flags & END_STREAM)
                    elif stream == number and kind == Kind.RST_STREAM:
                        if fields is None:
                            raise ConnectionError(f"reset with {struct.unpack('>I', payload)[0]}")
                        self.cut += 1
                        return
            self.note(who, int(fields[":status"]), fields.get("who"), int(fields.get("checks", -1)), body)
            await asyncio.sleep(self.pause)
        writer.write(goaway())

    def stop(self):
        self.over = True
        self.join(10)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
