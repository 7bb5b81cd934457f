"""The daemon with Redis Streams as a child process: killed between storing and acknowledging, and on a full disk."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp

from tests.faults.shim import Orders
from tests.integration.daemon import Daemon
from tests.integration.test_pollers import until_state
from tests.integration.test_redis import STREAM, TYPE, until_acknowledged, until_reason
from tests.redis import redis_server, relayed

ENTRIES = 300


def configured(tmp_path: Path, port: int, more: str = "") -> list[str]:
    file = tmp_path / "event-processing.yaml"
    redis = f"{{endpoint: 'redis://127.0.0.1:{port}', streams: [{{stream: '{STREAM}'}}]}}"
    file.write_text(f"sources: {{redis: {redis}}}\n{more}")
    return ["--processing-config", str(file)]


async def numbers(session: aiohttp.ClientSession, base: str, until: int) -> list[int]:
    """Those of the events that are stored, once there are so many at least."""
    async with asyncio.timeout(60):
        while True:
            async with session.get(f"{base}/events", params={"after": "0", "type": TYPE, "limit": "1000"}) as answer:
                events = (await answer.json())["events"]
            if len(events) >= until:
                return [int(event["data"]["n"]) for event in events]
            await asyncio.sleep(0.05)


async def add(client, first: int, count: int) -> None:
    async with client.pipeline() as pipe:
        for number in range(first, first + count):
            pipe.xadd(STREAM, {"n": number})
        await pipe.execute()


async def test_a_kill_between_storing_and_acknowledging_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with (
        redis_server(tmp_path / "redis") as server,
        relayed(server.port) as (relay, port),
        server.client() as client,
        aiohttp.ClientSession() as session,
    ):
        daemon = Daemon(tmp_path / "data", *configured(tmp_path, port))
        for life in range(3):
            relay.until = b""
            relay.held.clear()
            await daemon.start()
            await until_state(session, daemon.events, "redis", "ok")
            relay.until = b"XACK"
            await add(client, life * ENTRIES, ENTRIES)
            async with asyncio.timeout(30):
                await relay.held.wait()
            await daemon.end(signal.SIGKILL)
            assert (await client.xpending(STREAM, "citadel"))["pending"] > 0
        relay.until = b""
        async with daemon:
            found = await numbers(session, daemon.events, 3 * ENTRIES)
            await until_acknowledged(client)
            assert found == list(range(3 * ENTRIES))


async def test_it_may_take_longer_than_the_log_knows_repeats(tmp_path: Path) -> None:
    """Ours dies, then Redis is out of reach, each between storing and acknowledging."""
    async with (
        redis_server(tmp_path / "redis") as server,
        relayed(server.port, b"XACK") as (relay, port),
        server.client() as client,
        aiohttp.ClientSession() as session,
    ):
        daemon = Daemon(tmp_path / "data", *configured(tmp_path, port, "log: {window_age: 1ms}\n"))
        await daemon.start()
        await until_state(session, daemon.events, "redis", "ok")
        await add(client, 0, ENTRIES)
        async with asyncio.timeout(30):
            await relay.held.wait()
        await daemon.end(signal.SIGKILL)
        async with daemon:
            # It has got them again, knows them, and cannot acknowledge them.
            await until_reason(session, daemon.events, "is lost: nothing has come within 3 s")
            relay.until = b""
            await until_acknowledged(client)
            await until_state(session, daemon.events, "redis", "ok")
            relay.held.clear()
            relay.until = b"XACK"
            await add(client, ENTRIES, ENTRIES)
            async with asyncio.timeout(30):
                await relay.held.wait()
            await until_reason(session, daemon.events, "is lost: nothing has come within 3 s")
            relay.until = b""
            assert await numbers(session, daemon.events, 2 * ENTRIES) == list(range(2 * ENTRIES))
            await until_acknowledged(client)
            assert await numbers(session, daemon.events, 2 * ENTRIES) == list(range(2 * ENTRIES))


async def test_entries_wait_while_the_disk_is_full(tmp_path: Path) -> None:
    orders = Orders(tmp_path / "data" / "processing", tmp_path / "orders")
    async with (
        redis_server(tmp_path / "redis") as server,
        server.client() as client,
        aiohttp.ClientSession() as session,
    ):
        daemon = Daemon(tmp_path / "data", *configured(tmp_path, server.port), environ=orders.environment)
        async with daemon:
            await until_state(session, daemon.events, "redis", "ok")
            orders.give("w:1:stay-enospc")
            await add(client, 0, ENTRIES)
            full = await until_reason(session, daemon.events, "entries wait, for the log takes nothing: ")
            assert full["state"] == "ok"
            assert (await client.xpending(STREAM, "citadel"))["pending"] > 0
            orders.give()
            assert await numbers(session, daemon.events, ENTRIES) == list(range(ENTRIES))
            await until_acknowledged(client)
            assert (await until_state(session, daemon.events, "redis", "ok"))["reason"] == ""
            # The end does not wait for the disk: what was not stored is there at the next start.
            orders.give("w:1:stay-enospc")
            await add(client, ENTRIES, ENTRIES)
            await until_reason(session, daemon.events, "entries wait")
            begun = asyncio.get_running_loop().time()
            assert await daemon.end() == 0
            assert asyncio.get_running_loop().time() - begun < 20
        orders.give()
        async with daemon:
            assert await numbers(session, daemon.events, 2 * ENTRIES) == list(range(2 * ENTRIES))
            await until_acknowledged(client)
