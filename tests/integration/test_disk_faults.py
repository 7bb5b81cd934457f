"""The whole daemon under load while operations on its log fail or are its last."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.faults import shim
from tests.integration.daemon import Daemon
from tests.integration.test_kill import Publisher, stored

EX_SOFTWARE, EX_CANTCREAT = 70, 73
LIVES = 3


def faulty(data: Path, fault: str) -> Daemon:
    """A daemon whose log meets a fault."""
    log = data / "processing"
    log.mkdir(parents=True, exist_ok=True)
    environment = shim.environment(log, fault=fault)
    return Daemon(data, environ={key: environment[key] for key in environment.keys() - os.environ.keys()})


async def publish_until_it_ends(session: aiohttp.ClientSession, daemon: Daemon, publisher: Publisher) -> list[int]:
    """Send batches until the connection is gone; answers the statuses that were refusals."""
    refusals: list[int] = []
    with contextlib.suppress(aiohttp.ClientConnectionError, OSError):
        while True:
            try:
                await publisher.run(session, daemon.events, 1)
            except aiohttp.ClientResponseError as error:
                refusals.append(error.status)
    return refusals


async def status_of(daemon: Daemon) -> int:
    """Wait for a daemon that ends by itself; answers how."""
    process = daemon._process
    assert process is not None
    async with asyncio.timeout(30):
        await process.wait()
    return await daemon.end()


async def check(session: aiohttp.ClientSession, data: Path, publisher: Publisher) -> None:
    """Start without faults: everything acknowledged is there once, in order."""
    daemon = Daemon(data)
    await daemon.start()
    try:
        await publisher.run(session, daemon.events, 1)
        found = await stored(session, daemon.events)
        by_id = {event["id"]: event["offset"] for event in found}
        assert len(by_id) == len(found), "an event is stored twice"
        assert publisher.acknowledged.items() <= by_id.items()
        assert [event["data"]["seq"] for event in found] == list(range(len(found)))
        async with session.get(f"{daemon.events}/health") as answer:
            assert (await answer.json())["parts"]["log"]["status"] == "ok"
    finally:
        assert await daemon.end() == 0


async def test_killed_at_operations_of_the_log(tmp_path: Path) -> None:
    """One life after the other ends at the n-th write, sync, rename, truncation or removal."""
    publisher = Publisher()
    async with aiohttp.ClientSession() as session:
        for life in range(LIVES):
            daemon = faulty(tmp_path / "data", f"wsrtu:{300 + 137 * life}:{'short' if life % 2 else 'kill'}")
            await daemon.start()
            await publish_until_it_ends(session, daemon, publisher)
            assert await status_of(daemon) == -signal.SIGKILL
        await check(session, tmp_path / "data", publisher)


async def test_a_failed_sync_ends_the_daemon(tmp_path: Path) -> None:
    """503 until it has ended, with the status for what must not fail; the next start finds what was acknowledged."""
    publisher = Publisher()
    daemon = faulty(tmp_path / "data", "s:60:stay-eio")
    async with aiohttp.ClientSession() as session:
        await daemon.start()
        refusals = await publish_until_it_ends(session, daemon, publisher)
        assert await status_of(daemon) == EX_SOFTWARE
        assert set(refusals) == {503}
        assert any("I/O error" in line for line in daemon.output), daemon.output
        await check(session, tmp_path / "data", publisher)


async def test_a_log_that_is_not_what_it_was_is_told_in_health(tmp_path: Path) -> None:
    """And one that cannot be opened ends the start with what to do."""
    publisher, data = Publisher(), tmp_path / "data"
    daemon = Daemon(data)
    async with aiohttp.ClientSession() as session:
        await daemon.start()
        await publisher.run(session, daemon.events, 3)
        assert await daemon.end() == 0
        (data / "processing" / "log.head").unlink()
        await daemon.start()
        async with session.get(f"{daemon.events}/health") as answer:
            part = (await answer.json())["parts"]["log"]
        assert part["status"] == "degraded"
        assert part["reason"].startswith("opened under a new epoch: there is no note of the head")
        async with session.get(f"{daemon.events}/metrics") as answer:
            assert "citadel_log_epoch_doubted_timestamp_seconds 1." in await answer.text()
        assert await daemon.end() == 0
    segment = min((data / "processing" / "log").glob("*.db"))
    segment.write_bytes(b"no database" * 1000)
    with pytest.raises(AssertionError, match="to keep what is whole and start again: hxp log repair /"):
        await daemon.start()
    assert await status_of(daemon) == EX_CANTCREAT
