"""The process around the daemon: reloads in a storm, asked twice to stop, and nobody there who reads its lines."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from hxp_enterprise_llm.cli.up import Launch
from hxp_enterprise_llm.orchestration.process import EX_SOFTWARE, Process
from hxp_enterprise_llm.orchestration.streaming_orchestrator import StreamingOrchestrator
from tests.integration.daemon import Daemon
from tests.integration.test_kill import Publisher, stored

_CLOSED = """
import os, sys
report = os.dup(2)
for number in (0, 1, 2):
    os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
from hxp_enterprise_llm.cli.running import fill_standard_descriptors
fill_standard_descriptors()
print("nobody hears this"); print("nor this", file=sys.stderr)
os.write(report, " ".join(os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)).encode())
"""
RELOADS, SIGNALS = 200, 2000
GOOD = "real_time_notifications: {notification_rules: [{name: rule%d, condition: latency > 10}]}\n"
BAD = "websocket: {max_connections: many}\n"
HALF = "websocket:\n  max_connections: 1\n  heartbe"


async def until(condition: Callable[[], Awaitable[bool]], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.02)


async def rules(session: aiohttp.ClientSession, gateway: str) -> list[str]:
    async with session.get(f"{gateway}/notifications/status") as answer:
        return [rule["name"] for rule in (await answer.json())["rules"]]


async def healthy(session: aiohttp.ClientSession, base: str) -> bool:
    async with session.get(f"{base}/health") as answer:
        return (await answer.json())["status"] == "healthy"


def descriptors(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def spoil(config: Path, number: int) -> bool:
    """Make the file what an editor, a script or a mishap may leave; answers whether it is a good one."""
    kind = number % 6
    config.unlink(missing_ok=True)
    if kind == 4:
        return False
    if kind == 5:
        config.write_bytes(b"\xff\xfe\x00 no text")
    else:
        config.write_text({0: GOOD % number, 1: BAD, 2: GOOD % number, 3: HALF}[kind])
    return kind in (0, 2)


async def test_reloads_of_good_bad_and_half_written_files_leave_nothing_behind(tmp_path: Path) -> None:
    """The last good one stays in force; descriptors and tasks are as many as before."""
    with warnings.catch_warnings():
        # What other tests of this process have left is not this one's.
        warnings.simplefilter("ignore")
        gc.collect()
    config = tmp_path / "streaming.yaml"
    config.write_text(GOOD % 0)
    launch = Launch(config, None, tmp_path / "data", "127.0.0.1", free_ports=True)
    orchestrator = StreamingOrchestrator(launch.settings(), environ={})
    process = Process(orchestrator, launch.settings)
    await orchestrator.start()
    try:
        host, port = orchestrator.addresses[orchestrator.servers["streaming"].name]
        last = 0
        before = descriptors(), 0, 0
        for number in range(RELOADS):
            good = spoil(config, number)
            assert process.reload() is good, number
            last = number if good else last
            await asyncio.sleep(0)
            if number == RELOADS // 4:
                before = descriptors(), len(asyncio.all_tasks()), _objects()
        after = descriptors(), len(asyncio.all_tasks()), _objects()
        async with aiohttp.ClientSession() as session:
            assert await rules(session, f"http://{host}:{port}") == [f"rule{last}"]
        # Fewer are well: what the start still had to do may have ended meanwhile.
        assert after[0] - before[0] <= 2, "descriptors"
        assert after[1] - before[1] <= 2, "tasks"
        assert after[2] < before[2] * 1.02, "objects"
    finally:
        await orchestrator.stop()


def _objects() -> int:
    gc.collect()
    return len(gc.get_objects())


async def test_a_storm_of_sighup(tmp_path: Path) -> None:
    """While the file changes: served all the time, and what stands in it at the end is what counts."""
    config = tmp_path / "streaming.yaml"
    config.write_text(GOOD % 0)
    async with aiohttp.ClientSession() as session, Daemon(tmp_path / "data", "--config", str(config)) as daemon:
        publisher = Publisher()
        await publisher.run(session, daemon.events, 1)
        before, begun = descriptors(daemon.pid), time.monotonic()
        for number in range(SIGNALS):
            if number % 10 == 0:
                spoil(config, number // 10)
            os.kill(daemon.pid, signal.SIGHUP)
            if number % 100 == 0:
                await publisher.run(session, daemon.events, 1)
        config.write_text(GOOD % 7777)
        os.kill(daemon.pid, signal.SIGHUP)

        async def applied() -> bool:
            return await rules(session, daemon.gateway) == ["rule7777"]

        await until(applied)
        told = sum("config.re" in line or "config: re" in line for line in daemon.output)
        assert told < 2 * (time.monotonic() - begun) + 10, "one a second, and how often one was the same as before"
        assert len(await stored(session, daemon.events)) == len(publisher.acknowledged)
        assert await healthy(session, daemon.gateway)
        # Fewer are well here, too.
        assert descriptors(daemon.pid) - before <= 2
        assert await daemon.end() == 0


async def test_asked_twice_to_stop_it_ends_at_once_and_loses_nothing(tmp_path: Path) -> None:
    """Both signals are there when it looks, as from someone who has no patience."""
    daemon, publisher = Daemon(tmp_path / "data"), Publisher()
    async with aiohttp.ClientSession() as session:
        await daemon.start()
        await publisher.run(session, daemon.events, 4)
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT):
            os.kill(daemon.pid, number)
        assert await daemon.end(signal.SIGCONT) == EX_SOFTWARE
        assert any("asked twice" in line for line in daemon.output)
        await daemon.start()
        found = {event["id"]: event["offset"] for event in await stored(session, daemon.events)}
        assert found == publisher.acknowledged
        assert await daemon.end() == 0


@pytest.mark.parametrize("within", [[], ["sh", "-c", 'exec "$@" <&- >&-', "sh"]], ids=["stderr", "all"])
async def test_nobody_reads_what_it_prints(tmp_path: Path, within: list[str]) -> None:
    """Its lines lead nowhere: it serves on, reloads, and ends in order; `all`: nor has it any input or output."""
    config = tmp_path / "streaming.yaml"
    config.write_text(GOOD % 0)
    publisher = Publisher()
    async with aiohttp.ClientSession() as session:
        daemon = Daemon(tmp_path / "data", "--config", str(config), within=within)
        await daemon.start()
        assert daemon._process is not None
        daemon._process._transport.get_pipe_transport(2).close()  # type: ignore[attr-defined]
        await publisher.run(session, daemon.events, 2)
        for number in (1, 2):
            spoil(config, number)
            os.kill(daemon.pid, signal.SIGHUP)

            async def applied(number: int = number) -> bool:
                return await rules(session, daemon.gateway) == [f"rule{number - number % 2}"]

            await until(applied)
        await publisher.run(session, daemon.events, 2)
        assert len(await stored(session, daemon.events)) == len(publisher.acknowledged)
        assert await healthy(session, daemon.gateway)
        assert await daemon.end() == 0


async def test_what_the_starter_has_closed_is_filled(tmp_path: Path) -> None:
    """So that no file of ours gets a number that others write to."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _CLOSED, stderr=asyncio.subprocess.PIPE)
    _, report = await process.communicate()
    assert report.decode() == "/dev/null /dev/null /dev/null"
    assert process.returncode == 0
