"""`kill -9` during a load of batches: nothing acknowledged is lost, doubled or reordered; clients resume whole."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import aiohttp
import msgspec

from tests.integration.daemon import Daemon

BATCH = 40
KILLS = 3
ACKNOWLEDGED_PER_LIFE = 25  # batches


async def publish(session: aiohttp.ClientSession, base: str, number: int) -> list[dict]:
    batch = [
        {
            "specversion": "1.0",
            "id": f"{number}-{i}",
            "source": "/load",
            "type": "bench.tick",
            "data": {"seq": number * BATCH + i},
        }
        for i in range(BATCH)
    ]
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    async with session.post(f"{base}/events", data=msgspec.json.encode(batch), headers=headers) as answer:
        answer.raise_for_status()
        return (await answer.json())["events"]


class Publisher:
    """Sends batch after batch; one that was not answered is sent again with the same ids."""

    def __init__(self) -> None:
        self.number = 0
        self.acknowledged: dict[str, int] = {}

    async def run(self, session: aiohttp.ClientSession, base: str, batches: int) -> None:
        for _ in range(batches):
            answers = await publish(session, base, self.number)
            for index, answer in enumerate(answers):
                self.acknowledged[f"{self.number}-{index}"] = answer["offset"]
            self.number += 1

    async def run_until_killed(self, session: aiohttp.ClientSession, base: str) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self.run(session, base, 1_000_000)


class Subscriber:
    """Reads `/ws/events`, remembers its cursor, and resumes from it."""

    def __init__(self) -> None:
        self.cursor = "0"
        self.seen: list[int] = []

    async def run(self, session: aiohttp.ClientSession, base: str) -> None:
        address = f"{base}/ws/events?type=bench.tick&after={self.cursor}"
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with session.ws_connect(address) as socket:
                async for message in socket:
                    self.take(msgspec.json.decode(message.data))

    def take(self, event: dict) -> None:
        assert "control" not in event, event
        self.cursor = f"{event['epoch']}.{event['offset']}"
        self.seen.append(event["data"]["seq"])


async def stored(session: aiohttp.ClientSession, base: str) -> list[dict]:
    events: list[dict] = []
    after = 0
    while True:
        query = {"after": after, "limit": 1000, "type": "bench.tick"}
        async with session.get(f"{base}/events", params=query) as answer:
            answer.raise_for_status()
            page = await answer.json()
        events.extend(page["events"])
        if page["next"] == after:
            return events
        after = page["next"]


async def test_kill_during_load_loses_and_doubles_nothing(tmp_path):
    """Acknowledged is stored, in order, once; a client that resumes sees each event exactly once."""
    publisher, subscriber = Publisher(), Subscriber()
    daemon = Daemon(tmp_path / "data")
    async with aiohttp.ClientSession() as session:
        for _ in range(KILLS):
            await daemon.start()
            reading = asyncio.create_task(subscriber.run(session, daemon.gateway))
            await publisher.run(session, daemon.events, ACKNOWLEDGED_PER_LIFE)
            load = asyncio.create_task(publisher.run_until_killed(session, daemon.events))
            while publisher.number % (ACKNOWLEDGED_PER_LIFE * 2) != 0:
                await asyncio.sleep(0)
            assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL
            await asyncio.gather(load, reading)

        await daemon.start()
        reading = asyncio.create_task(subscriber.run(session, daemon.gateway))
        await publisher.run(session, daemon.events, 1)
        events = await stored(session, daemon.events)
        total = publisher.number * BATCH
        async with asyncio.timeout(30):
            while len(subscriber.seen) < total:
                await asyncio.sleep(0.01)
        assert await daemon.end() == 0
        await reading

    by_id = {event["id"]: event["offset"] for event in events}
    assert len(by_id) == len(events), "an event is stored twice"
    assert publisher.acknowledged.items() <= by_id.items()
    assert [event["data"]["seq"] for event in events] == list(range(total))
    assert subscriber.seen == list(range(total))
