"""A running engine over a log in memory, for the tests of the engine and of its routes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import select

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.model import BEGINNING, decode
from hxp_enterprise_llm.event.notifications.channels.stream import StreamChannel
from hxp_enterprise_llm.event.notifications.engine import NotificationEngine
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.tables import alert_state, outbox
from hxp_enterprise_llm.telemetry.notification_metrics import NotificationMetrics
from tests.unit.notifications.support import NAMES, ManualClock, RecordingChannel, snapshot, until


class Bench:
    """An engine with a Slack that records, streams that are real, and a clock that is set by hand."""

    def __init__(self, path: Path, config: NotificationsConfig, *, log: MemoryLog | None = None) -> None:
        self.clock = ManualClock()
        self.log = log or MemoryLog(clock=self.clock, progress_seconds=0.01)
        self.store = Store(path / "store.db")
        self.slack = RecordingChannel("slack", targets=("#ops",))
        self.email = RecordingChannel("email", targets=(), ready=False)
        self.registry = CollectorRegistry()
        self.metrics = NotificationMetrics(self.registry)
        self.config = config
        self.engine = self.make()

    def make(self) -> NotificationEngine:
        return NotificationEngine(
            self.config,
            self.log,
            self.store,
            lambda _: [
                *(StreamChannel(name, self.log, time=self.clock.time) for name in ("log", "websocket", "sse")),
                self.slack,
                self.email,
            ],
            clock=self.clock,
            metrics=self.metrics,
            metric_names=NAMES,
            random=lambda: 0.5,
        )

    @asynccontextmanager
    async def running(self):
        await self.log.open()
        await self.store.open()
        task = asyncio.create_task(self.engine.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self.store.close()
        assert task.cancelled()

    async def tick(self, seconds: float = 1.0, **values: Any) -> None:
        """Time goes on, and a snapshot arrives and is evaluated."""
        self.clock.advance(seconds)
        await self.append(self.clock.time(), **values)
        await until(lambda: self._seen(self.clock.time()))

    async def append(self, at: float, **values: Any) -> None:
        await self.log.append([snapshot(at, **values)])

    async def _seen(self, at: float) -> bool:
        return self.engine.monitor.last_snapshot is not None and self.engine.monitor.last_snapshot >= at - 0.001

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of what the engine put into the log."""
        batch = await self.log.read(BEGINNING, 10_000)
        found = [decode(event.raw) for event in batch.events if event.type != "analytics.snapshot"]
        return [(event.type, event.data) for event in found]

    async def kinds(self, *expected: str) -> None:
        """Wait until these, and no others, are in the log."""

        async def reached() -> bool:
            return [type for type, _ in await self.events()] == list(expected)

        await until(reached)

    async def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        query = select(*(outbox.c[name] for name in columns)).order_by(outbox.c.id)
        return await self.store.run(lambda connection: [tuple(row) for row in connection.execute(query)])

    def sample(self, name: str, **labels: str) -> float | None:
        """A figure as Prometheus would read it."""
        return self.registry.get_sample_value(name, labels)

    async def phases(self) -> dict[str, str]:
        query = select(alert_state.c.rule, alert_state.c.state)
        return await self.store.run(lambda connection: dict(map(tuple, connection.execute(query))))
