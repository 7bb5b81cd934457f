"""The client against the real service: nothing lost or double when it is killed; what agents report is taken."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import yaml

from hxp_enterprise_llm.client import Emitter, Instrument
from tests.integration.daemon import embedded_settings, running, url
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
LIVES, EVENTS_PER_LIFE = 3, 3000


class Processing:
    """`hxp serve processing` on a port that stays the same over its lives."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._config = directory / "processing.yaml"
        self._config.write_text(
            yaml.safe_dump(
                {
                    "service": {"port": self.port, "host": "127.0.0.1"},
                    "state": {"directory": str(directory / "state")},
                    "sources": {"host": {"enabled": False}},
                }
            )
        )
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        program = [sys.executable, "-m", "hxp_enterprise_llm.cli.main", "serve", "processing"]
        self._process = await asyncio.create_subprocess_exec(
            *program, "--config", str(self._config), stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/health/ready") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def numbers(self) -> list[int]:
        """What the log holds, in its order."""
        found: list[int] = []
        after = 0
        async with aiohttp.ClientSession() as session:
            while True:
                query = {"after": after, "limit": 10_000, "type": "bench.tick"}
                async with session.get(f"{self.url}/events", params=query) as answer:
                    page = await answer.json()
                found += [event["data"]["seq"] for event in page["events"]]
                if page["next"] == after or after == page["head"]:
                    return found
                after = page["next"]


async def test_a_killed_service_loses_nothing_and_stores_nothing_twice(tmp_path):
    service = Processing(tmp_path)
    emitter = Emitter(service.url, spool=tmp_path / "spool", linger=0.01, batch_events=100)
    count = 0
    try:
        for _ in range(LIVES):
            await service.start()
            for number in range(EVENTS_PER_LIFE):
                assert emitter.emit({"type": "bench.tick", "data": {"seq": count}})
                count += 1
                if number == EVENTS_PER_LIFE // 2:
                    while not emitter.stats.stored:  # so that it is killed amid its work
                        await asyncio.sleep(0.001)
                    await service.kill()
        await service.start()
        assert await emitter.flush_async(30)
        assert await service.numbers() == list(range(count))
        assert emitter.stats.dropped == emitter.stats.refused == 0
    finally:
        emitter.close(0)
        await service.kill()


async def test_every_event_of_the_helpers_is_taken_by_the_service(tmp_path):
    async with running(embedded_settings(tmp_path)) as orchestrator:
        base = url(orchestrator, "processing")
        async with Emitter(base, source="/agents/test", linger=0.0) as emitter:
            watch = Instrument(emitter)
            watch.register("editor", ["writing"])
            async with watch.agent("editor", task="write", user="u", session="s", query="q"):
                async with watch.agent("writer"), watch.llm("m") as call:
                    call.tokens(1, 2, cached=1, cache_write=0, reasoning=1)
                with contextlib.suppress(ValueError), watch.tool("t"), watch.llm("m"):
                    raise ValueError("no")
                with watch.tool("t"):
                    watch.look_up("q", {"redis": lambda: None, "postgres": lambda: [1], "chroma": lambda: None})
                with watch.knowledge("k") as search:
                    search.found("item", 0.5)
                with watch.knowledge("k"):
                    pass
                hypothesis = watch.hypothesis("h", confidence=0.1)
                hypothesis.validated(0.9)
                hypothesis.refuted()
            with contextlib.suppress(ValueError), watch.agent("fails"):
                raise ValueError("no")
            assert await emitter.flush_async()
            stats = emitter.stats
        assert (stats.refused, stats.dropped, stats.stored) == (0, 0, stats.emitted)
        stored = await types_in(base)
    assert {type: count for type, count in stored.items() if not type.startswith(("host.", "analytics."))} == {
        "agent.registered": 1,
        "agent.started": 3,
        "agent.completed": 2,
        "agent.failed": 1,
        "agent.handoff": 1,
        "llm.request.completed": 1,
        "llm.request.failed": 1,
        "tool.call.completed": 1,
        "tool.call.failed": 1,
        "memory.tier.access": 2,
        "knowledge.access": 1,
        "knowledge.miss": 1,
        "hypothesis.formed": 1,
        "hypothesis.validated": 1,
        "hypothesis.refuted": 1,
    }


async def types_in(base: str) -> Counter[str]:
    """How many events of each type are in the log."""
    async with aiohttp.ClientSession() as session, session.get(f"{base}/events?limit=10000&after=0") as answer:
        page = await answer.json()
    return Counter(event["type"] for event in page["events"] if event["source"] == "/agents/test")


async def test_the_example_runs(tmp_path):
    async with running(embedded_settings(tmp_path)) as orchestrator:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "examples" / "instrumented_agents.py"),
            url(orchestrator, "processing"),
            "5",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
