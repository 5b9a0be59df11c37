"""Random valid traffic: whatever the mix of framings, segments, pipelines, interim responses and closing servers, each
client gets the answers to its own requests, in order and whole."""

import random
import threading

import pytest

from support import settings
from support.client import Client, chunked
from support.process import slowness

CLIENTS = 4
ROUNDS = 25


def pieces_of(dice, data, most=6):
    """The data cut at random places."""
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(most)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)]) if start < end]


def random_body(dice):
    size = dice.choice([0, 1, 2, 100, 1000, 4096, 16_384, 65_536, 70_000, 200_000])
    return dice.randbytes(size)


def random_request(dice, tag):
    """(bytes, method, body, wants to close)"""
    method = dice.choice(["GET", "POST", "PUT", "HEAD", "DELETE", "X-ODD"])
    lines = [f"{method} /{tag} HTTP/1.1", "Host: a.test"]
    lines += [f"X-{n}: {'v' * dice.randrange(200)}" for n in range(dice.randrange(5))]
    framing, body, wire = dice.choice(["none", "length", "chunked"]), b"", b""
    if framing == "length":
        body = wire = random_body(dice)
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        body = random_body(dice)
        wire = chunked(*[piece for piece in pieces_of(dice, body) if piece],
                       trailers=[("X-T", "t")] if dice.random() < 0.3 else ())
        lines.append("Transfer-Encoding: chunked")
    close = dice.random() < 0.05
    if close:
        lines.append("Connection: close")
    head = ("\r\n" * dice.randrange(2) + "\r\n".join(lines) + "\r\n\r\n").encode("ascii")
    return head + wire, method, body, close


def origin_script(seed):
    def script(peer):
        dice = random.Random(seed * 1000 + peer.number)
        peer.keep = False
        while (got := peer.read_request()) is not None:
            body = f"{got.method} {got.target} ".encode() + got.body
            reply = b"".join(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" for _ in range(dice.randrange(3)))
            framing = dice.choice(["length", "length", "chunked", "close"])
            if got.method == "HEAD":
                reply += b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"
                framing = "length"
            elif framing == "length":
                reply += b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            elif framing == "chunked":
                reply += b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*pieces_of(dice, body))
            else:
                reply += b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body
            for piece in pieces_of(dice, reply):
                peer.send(piece)
            if framing == "close":
                return
    return script


def talk(address, seed, wrong):
    """Some pipelines of random requests, each answer checked."""
    dice = random.Random(seed)
    client = None
    try:
        for turn in range(ROUNDS):
            client = client or Client(address)
            client.keep = False
            batch = []
            for number in range(dice.randrange(1, 5)):
                batch.append(random_request(dice, f"{seed}-{turn}-{number}") + (f"/{seed}-{turn}-{number}",))
                if batch[-1][3]:
                    break
            data = b"".join(one[0] for one in batch)
            pusher = threading.Thread(target=lambda wire=client, cut=pieces_of(dice, data, 12): [wire.send(piece) for piece in cut],
                                      daemon=True)
            pusher.start()
            for _, method, body, _, target in batch:
                got = client.read_response(method)
                expected = b"" if method == "HEAD" else f"{method} {target} ".encode() + body
                if got.status != 200 or got.body != expected:
                    wrong.append((target, got.status, got.body[:60], expected[:60]))
            pusher.join(10)
            if batch[-1][3]:
                client.expect_end()
                client.close()
                client = None
    except (AssertionError, OSError) as error:
        wrong.append((seed, repr(error)))
    finally:
        if client:
            client.close()


@pytest.mark.seconds(60)
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("workers", [1, 2])
def test_every_client_gets_its_own_answers(stage, seed, workers):
    origins = [stage.origin(origin_script(seed * 10 + number)) for number in range(2)]
    config = settings.reverse(*origins)
    config["workers"] = workers
    guise = stage.guise(config)
    wrong = []
    clients = [threading.Thread(target=talk, args=(guise.reverse, seed * 100 + number, wrong), daemon=True)
               for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(40 * slowness())
        assert not client.is_alive()
    assert not wrong
