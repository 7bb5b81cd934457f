"""Bombs, slow lorises and silent readers, from a process of their own: `python -m tests.attacks.crowd JSON`."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
import socket
import sys
from collections import Counter

import msgspec

from tests.attacks.smuggling import JSON, UPGRADE
from tests.attacks.victim import place

BOMB_BYTES = 300_000_000
HEAVY_BYTES = 19 * 1024 * 1024
"""Just within what a body may have: these are held in memory until they turn out to be no events."""
ADDRESSES = 10
DRIP_SECONDS = 2.0
LATEST_SECONDS = 60.0


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """Who comes, and where to."""

    events: str
    gateway: str
    bombs: int
    lorises: int
    silent: int


def bomb() -> bytes:
    """300 MB of nothing in 300 kB: a thousand to one."""
    return gzip.compress(b"\0" * BOMB_BYTES, 6)


def heavy() -> bytes:
    """As large as a body may be, and packed as well as is let through."""
    source = random.Random(7)
    return gzip.compress(b"".join(source.randbytes(40) + b"\0" * 4056 for _ in range(HEAVY_BYTES // 4096)), 6)


async def throw(where: tuple[str, int], packed: bytes) -> str:
    """Send a bomb; the status of the answer."""
    head = b"POST /events HTTP/1.1\r\nHost: localhost\r\n" + JSON + b"Content-Encoding: gzip\r\n"
    reader, writer = await asyncio.open_connection(*where)
    writer.write(head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    try:
        async with asyncio.timeout(LATEST_SECONDS):
            line = await reader.readline()
    except (ConnectionError, TimeoutError) as error:
        return type(error).__name__
    finally:
        writer.close()
    return line[9:12].decode()


async def drip(where: tuple[str, int], address: str) -> str:
    """Send a head byte by byte until the other side has had enough; how that ended."""
    reader, writer = await asyncio.open_connection(*where, local_addr=(address, 0))
    closed = asyncio.ensure_future(reader.read(1024))
    with contextlib.suppress(ConnectionError):
        for byte in b"POST /events HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 100:
            writer.write(bytes([byte]))
            done, _ = await asyncio.wait([closed], timeout=DRIP_SECONDS)
            if done:
                break
    writer.close()
    if not closed.done():
        closed.cancel()
        return "open"
    return "closed" if closed.exception() or not closed.result() else closed.result()[9:12].decode()


async def stay_silent(where: tuple[str, int], path: str, upgrade: bool) -> socket.socket:
    """Ask for a stream and read nothing of it but that it has begun."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, where)
    more = UPGRADE if upgrade else b""
    await loop.sock_sendall(sock, b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path.encode(), more))
    begun = await loop.sock_recv(sock, 12)
    assert begun == (b"HTTP/1.1 101" if upgrade else b"HTTP/1.1 200"), begun
    return sock


async def attack(crowd: Crowd) -> dict[str, dict[str, int]]:
    """All at once; how each kind ended."""
    events, gateway = place(crowd.events), place(crowd.gateway)
    packed = (bomb(), heavy())
    readers = [
        await stay_silent(gateway, "/ws/events" if number % 2 else "/sse/events", bool(number % 2))
        for number in range(crowd.silent)
    ]
    lorises = [
        asyncio.create_task(drip((events, gateway)[number % 2], f"127.0.0.{10 + number % ADDRESSES}"))
        for number in range(crowd.lorises)
    ]
    bombs = [asyncio.create_task(throw(events, packed[number % 2])) for number in range(crowd.bombs)]
    ends = {"bombs": Counter(await asyncio.gather(*bombs)), "lorises": Counter(await asyncio.gather(*lorises))}
    for sock in readers:
        sock.close()
    return {name: dict(counted) for name, counted in ends.items()}


if __name__ == "__main__":
    outcome = asyncio.run(attack(msgspec.json.decode(sys.argv[1], type=Crowd)))
    sys.stdout.write(msgspec.json.encode(outcome).decode())
