"""The stream that must go on while others attack: one publisher, one subscriber, every number looked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from tests.integration.daemon import Daemon

PAUSE_SECONDS = 0.05
EVENTS_AT_ONCE = 4
FILLING = "x" * 2000


class Live:
    """What was sent and what has come, with the times between."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.refused: list[tuple[int, str]] = []
        """Status and `Retry-After` of each refusal."""
        self.received: list[int] = []
        self.seconds: list[float] = []
        """From before the POST to the arrival, by number."""
        self._sent: dict[int, float] = {}
        self._number = 0

    async def publish(self, session: aiohttp.ClientSession, base: str) -> bool:
        """One POST; whether it was taken. What was refused is given up: the next has new numbers."""
        numbers = range(self._number, self._number + EVENTS_AT_ONCE)
        self._number = numbers.stop
        now = time.monotonic()
        self._sent |= dict.fromkeys(numbers, now)
        async with session.post(f"{base}/events", json=[_event(number) for number in numbers]) as answer:
            if answer.status != 202:
                self.refused.append((answer.status, answer.headers.get("Retry-After", "")))
                return False
            self.acknowledged += numbers
            return True

    async def _publish_on(self, session: aiohttp.ClientSession, base: str) -> None:
        while True:
            await self.publish(session, base)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            event = msgspec.json.decode(message.data)
            assert "control" not in event, event
            number = event["data"]["number"]
            self.received.append(number)
            self.seconds.append(time.monotonic() - self._sent[number])

    async def all_received(self) -> None:
        """Wait until everything acknowledged has come."""
        async with asyncio.timeout(30):
            while len(self.received) < len(self.acknowledged):
                await asyncio.sleep(0.02)

    def p99_ms(self) -> float:
        """Of the times so far."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)] * 1000


def _event(number: int) -> dict[str, object]:
    data = {"number": number, "filling": FILLING}
    return {"id": f"live-{number}", "source": "/live", "type": "bench.live", "data": data}


@asynccontextmanager
async def live_stream(daemon: Daemon, *, publishing: bool = True) -> AsyncIterator[Live]:
    """A stream that goes on within this; at its end everything acknowledged must have come once, in order."""
    live = Live()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{daemon.gateway}/ws/events?type=bench.live") as socket,
    ):
        tasks = [asyncio.create_task(live._read(socket))]
        if publishing:
            tasks.append(asyncio.create_task(live._publish_on(session, daemon.events)))
        yield live
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks[1:], return_exceptions=True)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()
        try:
            await live.all_received()
        finally:
            tasks[0].cancel()
            await asyncio.gather(tasks[0], return_exceptions=True)
        assert set(live.acknowledged) <= set(live.received), "the stream has lost events"
        assert live.received == sorted(set(live.received)), "the stream has doubled or reordered events"


async def knock(base: str) -> list[float]:
    """A new client's `GET /health/live` every tenth of a second, until cancelled; seconds of each are returned then."""
    seconds: list[float] = []
    try:
        while True:
            begun = time.monotonic()
            async with aiohttp.ClientSession() as session, session.get(f"{base}/health/live") as answer:
                assert answer.status == 200, answer.status
                await answer.read()
            seconds.append(time.monotonic() - begun)
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return seconds
