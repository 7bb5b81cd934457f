"""Those who send events, through the client of the package, and write down what they were told."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import aiohttp

from hxp_enterprise_llm.client.answers import ClientError
from hxp_enterprise_llm.client.publish import Publisher
from tests.faults.workload import noise
from tests.sim.history import History
from tests.sim.loop import World
from tests.sim.node import PROCESSING, SimClock

BURST = 4
BASE = f"http://{PROCESSING}:9100"
GIVE_UP_SECONDS = 2.0
LAST_SECONDS = 4.0


class SimPublisher:
    """Sends numbered events until a time; the next batch only after the one before was acknowledged or given up."""

    def __init__(self, world: World, name: str, history: History, until: float, pause: float) -> None:
        self._world, self._name, self._history = world, name, history
        self._until, self._pause = until, pause
        self._random: Random = world.stream(name)
        self._clock = SimClock(world, name)
        self._next = 0
        self.failing: tuple[float, float] | None = None
        """When it publishes failed requests, so that the rule fires."""
        self.done = False

    async def run(self) -> None:
        """Publish until the time has come; what is open then is sent again until it is acknowledged."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=4)) as session:
            publisher = Publisher(BASE, session, deadline=GIVE_UP_SECONDS, clock=self._clock)
            while self._world.now < self._until:
                await self._send(publisher, self._batch())
                await asyncio.sleep(self._pause * 2 * self._random.random())
            # One more when all is calm, for those who came late; a request among them, for without any the rule has no
            # data and an alert stays what it was.
            await asyncio.sleep(LAST_SECONDS)
            last = {"id": f"{self._name}-last", "source": f"/sim/{self._name}", "type": "llm.request.completed"}
            await self._send(publisher, [*self._batch(), last | {"data": {"model": "m", "latency_ms": 1}}])
        self.done = True

    def _batch(self) -> list[dict[str, Any]]:
        first, self._next = self._next, self._next + 1 + int(self._random.random() * BURST)
        return [self._event(number) for number in range(first, self._next)]

    def _event(self, number: int) -> dict[str, Any]:
        event: dict[str, Any] = {"id": f"{self._name}-{number}", "source": f"/sim/{self._name}"}
        begin, end = self.failing or (1e9, 1e9)
        if begin <= self._world.now < end:
            return event | {"type": "llm.request.failed", "data": {"model": "m", "error": "sim"}}
        if number % 3:
            text = noise(number, int(self._random.random() * 400)).decode()
            return event | {"type": "sim.tick", "data": {"n": number, "text": text}}
        return event | {"type": "llm.request.completed", "data": {"model": "m", "latency_ms": number % 900}}

    async def _send(self, publisher: Publisher, batch: list[dict[str, Any]]) -> None:
        ids = [event["id"] for event in batch]
        self._history.offered.update(ids)
        while True:
            try:
                receipt = await publisher.publish(batch)
            except ClientError as error:
                self._history.refusals.append(self._world.now)
                self._history.add(self._world.now, self._name, "refused", ids[0], len(ids), type(error).__name__)
                await asyncio.sleep(0.5)
                continue
            break
        now = self._world.now
        for name, accepted in zip(ids, receipt.events, strict=True):
            self._history.acknowledged[name] = (receipt.epoch, accepted.offset, now)
        self._history.order.setdefault(self._name, []).extend(ids)
        self._history.add(now, self._name, "stored", ids[0], len(ids), receipt.events[0].offset)
