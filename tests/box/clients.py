"""Clients of streams over a restart: one WebSocket and one SSE stream that leave when asked, and one that does not.

Run in the box with the installation's Python. Says "open" when all are connected, at the end one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

import aiohttp

BASE = "http://192.168.10.29:9102"


def say(line: str) -> None:
    """A line for whoever has started this."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def read_sse(session: aiohttp.ClientSession, cursor: str = "", most: int = 0) -> list[str]:
    """The lines of an SSE stream that goes on after a cursor, to its end or to so many of its events."""
    headers = {"Last-Event-ID": cursor} if cursor else {}
    lines: list[str] = []
    async with await admitted(session, headers) as answer:
        async for raw in answer.content:
            lines.append(raw.decode().rstrip())
            if most and len(ids(lines)) > most:
                break
    return lines


async def admitted(session: aiohttp.ClientSession, headers: dict[str, str]) -> aiohttp.ClientResponse:
    """The stream, once the service lets streams in: while it takes leave it asks to come back later."""
    while True:
        answer = await session.get(f"{BASE}/sse/events", headers=headers)
        if answer.status != 503:
            answer.raise_for_status()
            return answer
        answer.close()
        await asyncio.sleep(0.1)


def ids(lines: list[str]) -> list[str]:
    """The cursors among the lines."""
    return [line.partition(":")[2].strip() for line in lines if line.startswith("id:")]


def offset(cursor: str) -> int:
    """The offset of EPOCH.OFFSET."""
    return int(cursor.rpartition(".")[2])


async def stay(opened: asyncio.Event) -> bytes:
    """A WebSocket that answers no goodbye, nor the end of the stream: the service waits for it, then cuts it off."""
    reader, writer = await asyncio.open_connection("192.168.10.29", 9102)
    writer.write(
        b"GET /ws/events HTTP/1.1\r\nHost: 192.168.10.29:9102\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    opened.set()
    with suppress(ConnectionError):
        while True:
            # Written into the open half of the connection: an empty, masked pong, until nobody is there to get it.
            writer.write(b"\x8a\x80\0\0\0\0")
            await writer.drain()
            await asyncio.sleep(0.05)
    return answer[:12]


async def main() -> None:
    """Connect, wait for the ends, come back with the cursor."""
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        opened = asyncio.Event()
        staying = asyncio.create_task(stay(opened))
        stream = asyncio.create_task(read_sse(session))
        async with session.ws_connect(f"{BASE}/ws/events") as web_socket:
            await opened.wait()
            await web_socket.receive()
            say("open")
            async for _ in web_socket:
                pass
        lines = await stream
        cursor = ids(lines)[-1]
        again = await read_sse(session, cursor, most=3)
        found = {
            "close_code": web_socket.close_code,
            "retry": int([line for line in lines if line.startswith("retry:")][-1].partition(":")[2]),
            "reset": any(line.startswith("event:") and "reset" in line for line in again),
            "went on": offset(ids(again)[0]) >= offset(cursor) and offset(ids(again)[-1]) > offset(cursor),
            "stayed": (await staying).decode(),
        }
        say(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
