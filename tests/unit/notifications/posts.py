"""A dispatcher over a real store, for the tests of deliveries."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy import select

from hxp_enterprise_llm.event.notifications import records
from hxp_enterprise_llm.event.notifications.delivery.dispatcher import Dispatcher
from hxp_enterprise_llm.event.notifications.delivery.office import DeliverySettings
from hxp_enterprise_llm.event.notifications.instant import SteadyClock
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.tables import outbox
from tests.unit.notifications.support import ManualClock, metrics, notification, until

SETTINGS = DeliverySettings(timeout=5, give_up_after=3600)


class Post:
    """A store, a dispatcher over it, and ways to look at both."""

    def __init__(self, store: Store, clock: ManualClock, node: str = "localhost") -> None:
        self.store, self.clock, self.metrics = store, clock, metrics()
        self.steady = SteadyClock(clock)
        self.dispatcher = Dispatcher(
            store, clock=clock, steady=self.steady, metrics=self.metrics, random=lambda: 0.5, node=node
        )

    async def queue(self, kind: str = "message", channel: str = "slack", target: str = "", **more: object) -> None:
        told = notification(kind, **more)
        now = self.steady.now()
        await self.store.run(partial(records.enqueue, notification=told, to=[(channel, target)], now=now))
        self.dispatcher.wake([channel])

    async def rows(self) -> list[tuple[str, str, int, str]]:
        columns = (outbox.c.episode, outbox.c.state, outbox.c.attempts, outbox.c.last_error)
        query = select(*columns).order_by(outbox.c.id)
        return await self.store.run(lambda connection: [tuple(row) for row in connection.execute(query)])

    async def facts(self, *columns: str) -> list[tuple[Any, ...]]:
        query = select(*(outbox.c[name] for name in columns)).order_by(outbox.c.id)
        return await self.store.run(lambda connection: [tuple(row) for row in connection.execute(query)])

    async def states(self, *expected: str) -> None:
        async def reached() -> bool:
            return [row[1] for row in await self.rows()] == list(expected)

        await until(reached)

    @asynccontextmanager
    async def running(self, *channels: object, settings: DeliverySettings = SETTINGS):
        self.dispatcher.use(channels, settings)
        task = asyncio.create_task(self.dispatcher.run())
        yield
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
