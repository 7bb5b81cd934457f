"""The wall clock of the host is set while the daemon works: nothing fires, ends or stops because of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from hxp_enterprise_llm.client.subscribe import Lost, Received, Subscription
from tests.faults.shim import WallClock
from tests.integration.daemon import Daemon

HOUR, DAY = 3600.0, 86400.0
BATCH, PAUSE = 5, 0.1
SNAPSHOTS = 4
"""So many after each jump."""
LONGEST_SILENCE = 20.0
"""Between two snapshots, one a second, on a busy machine. A clock that is set back by a minute must not show in it."""
_RULES = """
real_time_notifications:
  notification_rules:
    - {name: errors, condition: error_rate > 0.3, channel: websocket, priority: warning}
    - {name: quiet, condition: throughput < 2, channel: websocket, priority: warning}
    - {name: busy, condition: throughput > 500, channel: websocket, priority: warning}
    - {name: working, condition: throughput > 2, channel: websocket, priority: warning}
"""


class Watcher:
    """One stream for the whole time: when the snapshots came, what they said, and which alerts were told."""

    def __init__(self, gateway: str) -> None:
        self._subscription = Subscription(gateway, "events", types=["analytics.snapshot", "alert.*"])
        self.arrivals: list[float] = []
        self.alerts: list[str] = []
        self.lost: list[str] = []
        self.late = self.position = 0

    async def run(self) -> None:
        async for item in self._subscription:
            match item:
                case Received(_, {"type": "analytics.snapshot", "data": data}, _):
                    self.arrivals.append(time.monotonic())
                    self.late, self.position = data["late"], data["position"]
                case Received(_, event, _):
                    self.alerts.append(f"{event['type']} {event['data']['rule']}")
                case Lost(reason, _, _):
                    self.lost.append(reason)

    @property
    def silence(self) -> float:
        return max(after - before for before, after in zip(self.arrivals, self.arrivals[1:], strict=False))


class Publisher:
    """A steady stream of requests, one in ten of which fails."""

    def __init__(self, base: str) -> None:
        self._base, self._turn, self._number = base, asyncio.Lock(), 0
        self.acknowledged = 0
        """Offset of the last event."""

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                async with self._turn:
                    await self._publish(session)
                await asyncio.sleep(PAUSE)

    async def _publish(self, session: aiohttp.ClientSession) -> None:
        batch = []
        for _ in range(BATCH):
            kind, self._number = ("completed" if self._number % 10 else "failed"), self._number + 1
            batch.append({"type": f"llm.request.{kind}", "data": {"model": "m", "error": "e", "latency_ms": 5}})
        async with session.post(f"{self._base}/events", json=batch) as answer:
            assert answer.status == 202, await answer.text()
            self.acknowledged = (await answer.json())["events"][-1]["offset"]

    @contextlib.asynccontextmanager
    async def holding(self, watcher: Watcher) -> AsyncIterator[None]:
        """In here nothing is under way: an event that got its time before a jump would be late after it, rightly."""
        async with self._turn:
            await until(lambda: watcher.position >= self.acknowledged)
            yield


async def until(condition, within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.05)


async def test_no_jump_of_the_wall_clock_fires_resolves_or_stops_anything(tmp_path: Path) -> None:
    """A day ahead, more than a day back, an hour ahead, and a minute back, which is less than the windows."""
    clock = WallClock(tmp_path / "shift")
    config, quiet = tmp_path / "streaming.yaml", tmp_path / "processing.yaml"
    config.write_text(_RULES)
    # The host is not asked: its events cannot be held back while the clock jumps, and would rightly be late.
    quiet.write_text("sources: {host: {enabled: false}}\n")
    files = "--config", str(config), "--processing-config", str(quiet)
    daemon = Daemon(tmp_path / "data", *files, environ=clock.environment)
    async with daemon:
        watcher, publisher = Watcher(daemon.gateway), Publisher(daemon.events)
        tasks = [asyncio.create_task(watcher.run()), asyncio.create_task(publisher.run())]
        try:
            await until(lambda: "alert.firing working" in watcher.alerts and len(watcher.arrivals) > 2)
            before = list(watcher.alerts)
            for shift in (DAY, -HOUR, 60.0, 0.0):
                async with publisher.holding(watcher):
                    clock.shift(shift)
                seen = len(watcher.arrivals)
                await until(lambda seen=seen: len(watcher.arrivals) >= seen + SNAPSHOTS)
            assert not any(task.done() for task in tasks), tasks
            assert watcher.alerts == before
            assert watcher.lost == []
            assert watcher.silence < LONGEST_SILENCE
            assert watcher.late == 0
            async with aiohttp.ClientSession() as session, session.get(f"{daemon.gateway}/health") as answer:
                assert (await answer.json())["status"] == "healthy"
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)
        assert await daemon.end() == 0
