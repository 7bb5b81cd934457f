"""Lives of the whole daemon under load, each with a fault on its disk, and what its clients saw of it.

Publishers send batches and repeat what was not acknowledged; a subscriber reads a channel and resumes where it was; a
rule fires and resolves. After the last life everything is put right, and the invariants of `tests/sim/checks.py` are
checked over what was seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from hxp_enterprise_llm.client.answers import ClientError
from hxp_enterprise_llm.client.subscribe import Control, Received, Subscription
from tests.faults.shim import Orders
from tests.faults.workload import noise
from tests.integration.daemon import Daemon
from tests.sim import checks
from tests.sim.history import Got, History, Reader

BATCH = 10
BATCHES = 30
"""What a life is asked to store, unless it ends before."""
PACE_SECONDS = 0.01
RECOVERY_SECONDS, REQUEST_SECONDS = 30.0, 30.0
"""Five, and what a busy machine takes."""
TYPES = ["sim.*", "llm.*", "alert.*"]
EX_OK, EX_SOFTWARE, EX_CANTCREAT = 0, 70, 73
_PROCESSING = """
log: {segment_bytes: 262144}
analytics:
  tick: 0.2
  windows: [1s, 5s]
  metrics:
    - {name: error_rate, kind: ratio, types: ["llm.*"], of: [llm.request.failed], window: 1s}
"""
_STREAMING = """
real_time_notifications:
  notification_rules:
    - {name: many_failures, condition: error_rate > 0.5, channel: websocket, priority: warning}
"""


class Life(NamedTuple):
    """One life: its fault, how it ended, and what was wrong with it."""

    fault: str
    status: int | None
    """None: it went on, and was stopped in order."""
    operations: int
    broken: list[str]
    last_words: str
    """What the daemon said at the end, when a fault ended it."""


class Lives:
    """One data directory, one daemon after the other on it, the same clients for all."""

    def __init__(self, scratch: Path, below: str = "") -> None:
        """`below`: the part of the data directory whose disk has faults, such as `streaming`."""
        scratch.mkdir(parents=True, exist_ok=True)
        self.data = scratch / "data"
        self._orders = Orders(self.data / below, scratch / "orders")
        arguments = []
        for option, text in (("--processing-config", _PROCESSING), ("--config", _STREAMING)):
            file = scratch / f"{option.strip('-')}.yaml"
            file.write_text(text)
            arguments += [option, str(file)]
        self._daemon = Daemon(self.data, *arguments, environ=self._orders.environment)
        self.history = History(order={"p0": []})
        self._reader = Reader("reader", from_beginning=True)
        self.history.readers.append(self._reader)
        self._number = self._operations = self._point = 0
        self._calm = False
        self._broken: list[str] = []

    async def life(self, fault: str, batches: int = BATCHES, most: int = 0) -> Life:
        """Start with a fault, store batches, stop; a life that the fault ends is over then.

        `most`: so many batches for the fault to come. Some operations come with time: a fast machine needs more for it.
        """
        self._give(fault)
        self._broken = []
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)) as session:
            status = await self._live(session, batches, most)
        action = fault.rpartition(":")[2]
        allowed = {-signal.SIGKILL} if action in ("kill", "short") else {EX_SOFTWARE, EX_CANTCREAT}
        if status is not None and status not in allowed:
            self._broken.append(f"ended with {status}: {''.join(self._daemon.output[-5:])}")
        if status is None:
            return Life(fault, status, self._operations, self._broken, "")
        return Life(fault, status, self._orders.operations, self._broken, "".join(self._daemon.output[-5:]))

    def _give(self, fault: str = "") -> None:
        self._orders.give(fault)
        self._point = int(fault.split(":")[1]) if fault else 0

    async def _live(self, session: aiohttp.ClientSession, batches: int, most: int) -> int | None:
        try:
            await self._daemon.start()
        except AssertionError:
            return await self._status()
        reading = asyncio.create_task(self._read())
        try:
            for number in range(max(batches, most)):
                if number >= batches and self._orders.operations >= self._point:
                    break
                await self._store(session)
                await asyncio.sleep(PACE_SECONDS)
            self._operations = self._orders.operations
            self._give()
            await self._be_well(session)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return await self._status(error)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        status = await self._daemon.end()
        if status != EX_OK:
            self._broken.append(f"stopped with {status}: {''.join(self._daemon.output[-5:])}")
        return None

    async def _status(self, error: BaseException | None = None) -> int:
        """Wait for a daemon that ends by itself; answers how."""
        process = self._daemon._process
        assert process is not None
        try:
            async with asyncio.timeout(RECOVERY_SECONDS):
                await process.wait()
        except TimeoutError:
            self._broken.append(f"I8 it neither serves nor ends: {error!r}")
            return await self._daemon.end(signal.SIGKILL)
        return await self._daemon.end()

    async def _store(self, session: aiohttp.ClientSession) -> None:
        """One batch, sent again until it is acknowledged; what is refused must show in /health, and end in time."""
        batch, refused = self._batch(), 0.0
        self.history.offered.update(event["id"] for event in batch)
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        while True:
            async with session.post(f"{self._daemon.events}/events", json=batch, headers=headers) as answer:
                body = await answer.json()
            if answer.status == 202:
                break
            now = time.monotonic()
            if not refused:
                refused = now
                await self._tell_truth(session, answer.status, body)
                # The operator makes room.
                self._give()
            if now - refused > RECOVERY_SECONDS:
                self._broken.append(f"I8 refused for {now - refused:.0f} s after the fault is gone: {body}")
                raise TimeoutError
            await asyncio.sleep(0.1)
        self._number += 1
        for event, told in zip(batch, body["events"], strict=True):
            self.history.acknowledged[event["id"]] = (body["epoch"], told["offset"], time.time())
            self.history.order["p0"].append(event["id"])

    def _batch(self) -> list[dict[str, Any]]:
        failing = not self._calm and self._number // BATCH % 2 == 0
        return [_event(number, failing) for number in range(self._number * BATCH, (self._number + 1) * BATCH)]

    async def _tell_truth(self, session: aiohttp.ClientSession, status: int, body: object) -> None:
        if status != 503:
            self._broken.append(f"refused with {status}: {body}")
        parts = await self._parts(session, self._daemon.events)
        passing = isinstance(body, dict) and body["error"].get("maybe_stored") is False
        if parts["log"]["status"] == "ok" and not passing:
            self._broken.append(f"I7 the log is healthy, and refused with {body}")

    async def _be_well(self, session: aiohttp.ClientSession) -> None:
        """I8, I7: without a fault everything is healthy within the time for it."""
        bad: dict[str, Any] = {"": "not asked"}
        deadline = time.monotonic() + RECOVERY_SECONDS
        while bad and time.monotonic() < deadline:
            parts = await self._parts(session, self._daemon.events) | await self._parts(session, self._daemon.gateway)
            bad = {name: part for name, part in parts.items() if part["status"] != "ok"}
            await asyncio.sleep(0.1 if bad else 0)
        if bad:
            self._broken.append(f"I8 not well although nothing is wrong any more: {bad}")

    async def _parts(self, session: aiohttp.ClientSession, base: str) -> dict[str, Any]:
        async with session.get(f"{base}/health") as answer:
            return (await answer.json())["parts"]

    async def _read(self) -> None:
        """Follow the channel from where the last life ended, until the connection is lost."""
        seen = self._reader
        after = f"{seen.position[0]}.{seen.position[1]}" if seen.position else "0"
        subscription = Subscription(self._daemon.gateway, "events", after=after, types=TYPES)
        with contextlib.suppress(ClientError):
            async for item in subscription:
                match item:
                    case Received(position, event, _):
                        seen.items.append(Got(position.epoch, position.offset, event["id"], event["type"]))
                        seen.arrivals.setdefault(event["id"], time.time())
                        seen.position = (position.epoch, position.offset)
                    case Control("reset", fields):
                        seen.items.append(None)
                        seen.position = (fields["epoch"], fields["after"])

    async def settle(self) -> list[str]:
        """A life without faults, in which all come to rest; answers everything that is broken."""
        self._give()
        self._broken, self._calm = [], True
        await self._daemon.start()
        reading = asyncio.create_task(self._read())
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)) as session:
                await self._rest(session)
                await self._be_well(session)
                self.history.final = [got async for got in _whole_log(session, self._daemon.events)]
        except AssertionError as error:
            self._broken.append(f"I1 {error}")
        except TimeoutError:
            self._broken.append(f"I8 a request was not answered within {REQUEST_SECONDS:.0f} s")
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            status = await self._daemon.end()
        if status != EX_OK:
            self._broken.append(f"stopped with {status}")
        return [*self._broken, *broken_of(self.history)]

    async def _rest(self, session: aiohttp.ClientSession) -> None:
        """Until the reader has everything and the last alert is over, while requests go well."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            await self._store(session)
            await asyncio.sleep(0.2)
            if self._has_everything() and not await self._untold(session) and self._all_over():
                self.history.rested = True
                return
        self._broken.append("I8 the reader or the rules do not come to rest")

    def _has_everything(self) -> bool:
        return self.history.order["p0"][-1] in self._reader.arrivals

    def _all_over(self) -> bool:
        """Whether the last alert that the reader knows of has ended; asked once nothing is left to be told."""
        alerts = [got.type for got in self._reader.items if got and got.type.startswith("alert.")]
        return alerts[-1:] != ["alert.firing"]

    async def _untold(self, session: aiohttp.ClientSession) -> bool:
        """Whether a rule fires, or something of one that did is still to be told: the log may get it later."""
        async with session.get(f"{self._daemon.gateway}/notifications/status") as answer:
            status = await answer.json()
        waiting = any(status["outbox"][state] for state in ("queued", "in_flight", "retry"))
        return waiting or any(rule["state"] != "ok" for rule in status["rules"])


def _event(number: int, failing: bool) -> dict[str, Any]:
    event: dict[str, Any] = {"specversion": "1.0", "id": f"p0-{number}", "source": "/faults", "type": "sim.tick"}
    if number % 3 == 0:
        kind = "failed" if failing else "completed"
        data = {"model": "m", "error": "sim", "latency_ms": number % 900}
        return event | {"type": f"llm.request.{kind}", "data": data}
    return event | {"data": {"n": number, "text": noise(number, number * 37 % 2700).decode()}}


async def _whole_log(session: aiohttp.ClientSession, base: str) -> Any:
    after = 0
    while True:
        async with session.get(f"{base}/events", params={"after": after, "limit": 1000}) as answer:
            page = await answer.json()
            assert answer.status == 200, page
        for event in page["events"]:
            yield Got(page["epoch"], event["offset"], event["id"], event["type"])
        if page["next"] == after:
            return
        after = page["next"]


def broken_of(history: History) -> list[str]:
    """I1 to I3 and I6 over everything that was seen."""
    return [
        *checks.acknowledged_is_readable(history),
        *checks.offsets_mean_one_thing(history),
        *checks.nobody_misses_or_doubles(history),
        *checks.resets_have_a_cause(history),
        *_one_epoch(history),
        *_alerts_are_told(history),
    ]


def _one_epoch(history: History) -> Iterator[str]:
    """No fault here is one after which offsets have to be given up."""
    epochs = {epoch for epoch, _, _ in history.acknowledged.values()} | {got.epoch for got in history.final}
    if len(epochs) > 1:
        yield f"I2 a new epoch without need: {len(epochs)} of them"


def _alerts_are_told(history: History) -> Iterator[str]:
    """I6 over the log: in turns, each once, and the last one over."""
    kinds = [got.type for got in history.final if got.type in ("alert.firing", "alert.resolved")]
    if kinds != ["alert.firing", "alert.resolved"] * (len(kinds) // 2):
        yield f"I6 told were {' '.join(kinds)}"
