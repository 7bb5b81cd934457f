"""Clients that vanish without a word: `python -m tests.attacks.partition DIRECTORY HEARTBEAT TRANSPORT…`.

Runs in a network namespace of its own, where a rule of nftables lets nothing pass to or from the clients' address.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from tests.attacks.live import Live, live_stream
from tests.attacks.namespaces import run
from tests.attacks.victim import figures, memory, place, victim

CLIENTS = 40
AWAY = "127.0.0.2"
LATEST_SECONDS = 60.0
WHOLE_BEATS = 3
RULES = "add table inet cut; add chain inet cut in { type filter hook input priority 0; }"
CUT = f"add rule inet cut in ip saddr {AWAY} drop; add rule inet cut in ip daddr {AWAY} drop"
GATEWAY = "websocket: {{heartbeat_interval: {beat}}}\nsse: {{keep_alive_interval: {beat}}}\n"


class Vanished(msgspec.Struct):
    """What became of the places of clients that vanished."""

    opened: float
    left: float
    seconds: float
    """Until their places were free."""
    before_bytes: int
    after_bytes: int
    delivered: int
    """To the client that stayed, after the cut."""


async def _connect(stack: AsyncExitStack, base: str, transport: str) -> None:
    if transport == "websocket":
        address = base.replace("http", "ws") + "/ws/events"
        socket = await connect(address, local_addr=(AWAY, 0), ping_interval=None, proxy=None)  # it answers our pings
        stack.callback(socket.transport.abort)
        reading = asyncio.create_task(_read_messages(socket))
    else:
        reader, writer = await asyncio.open_connection(*place(base), local_addr=(AWAY, 0))
        stack.callback(_abort, writer)
        writer.write(b"GET /sse/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reading = asyncio.create_task(_read_all(reader))
    stack.callback(reading.cancel)


def _abort(writer: asyncio.StreamWriter) -> None:
    # The writer itself is kept until then: one that nobody holds closes its connection.
    writer.transport.abort()


async def _read_messages(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


async def _read_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _open(session: aiohttp.ClientSession, base: str) -> float:
    found = await figures(session, base)
    return sum(value for name, value in found.items() if name.startswith("citadel_streaming_connections{"))


async def vanish(directory: Path, beat: float, transports: list[str]) -> Vanished:
    """Cut clients off in the middle of a stream and wait until their places are free."""
    await run("ip", "link", "set", "lo", "up")
    await run("nft", RULES)
    async with victim(directory, gateway=GATEWAY.format(beat=beat)) as daemon, AsyncExitStack() as stack:
        live: Live = await stack.enter_async_context(live_stream(daemon))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for number in range(CLIENTS):
            await _connect(stack, daemon.gateway, transports[number % len(transports)])
        await asyncio.sleep(WHOLE_BEATS * beat)  # so long they stay when nothing is cut
        opened = await _open(session, daemon.gateway) - 1
        before, delivered = memory(daemon.pid, "VmRSS"), len(live.received)
        await run("nft", CUT)
        begun = time.monotonic()
        while (left := await _open(session, daemon.gateway) - 1) and time.monotonic() - begun < LATEST_SECONDS:
            await asyncio.sleep(0.25)
        return Vanished(
            opened,
            left,
            time.monotonic() - begun,
            before,
            memory(daemon.pid, "VmRSS"),
            len(live.received) - delivered,
        )


if __name__ == "__main__":
    outcome = asyncio.run(vanish(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
    sys.stdout.write(msgspec.json.encode(outcome).decode())
