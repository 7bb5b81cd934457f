"""A connection is a cursor on a channel, not a queue.

    live      gets the joined writes of its channel
    behind    reads the ring, and before that the log, at its own pace: a few kilobytes at a time, only while its
              transport takes them; what does not fit is read again later
    closed

Nothing here polls: the transport's `resume_writing`, the end of a log read and the hub's signal drive it on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from hxp_enterprise_llm.event.log.model import (
    Ahead,
    Batch,
    Bounds,
    EpochChanged,
    EventLog,
    Gone,
    LogError,
)
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.encode import Format, Message, reset
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics

log = structlog.get_logger("streaming")

RETRY_SECONDS = (0.1, 5.0)


class Link(Protocol):
    """The transport of a subscription."""

    @property
    def format(self) -> Format: ...

    @property
    def writable(self) -> bool:
        """Whether it is open and holds back less than the high-water mark."""
        ...

    def write(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What all subscriptions share."""

    log: EventLog
    spawn: Callable[..., asyncio.Task[Any]]
    reads: asyncio.Semaphore
    """Bounds the log reads under way, whatever the number of clients that come back at once."""
    metrics: StreamingMetrics


class Subscription:
    """One client on one channel. `cursor` is the offset of the last event given to it."""

    __slots__ = ("_link", "_reader", "_services", "_state", "channel", "cursor", "epoch", "format")

    def __init__(self, channel: Channel, link: Link, services: Services, cursor: int, epoch: str) -> None:
        self.channel, self._link, self._services = channel, link, services
        self.cursor, self.epoch = cursor, epoch
        self.format: Format = link.format
        self._state: Literal["live", "behind", "closed"] = "behind"
        self._reader: asyncio.Task[Any] | None = None

    @property
    def live(self) -> bool:
        return self._state == "live"

    @property
    def behind(self) -> bool:
        return self._state == "behind"

    def start(self) -> None:
        """Take a place on the channel and begin to give."""
        self.channel.subscribers.add(self)
        self._services.metrics.behind.inc()
        self.advance()

    def close(self) -> None:
        """Leave the channel. Idempotent."""
        if self._state == "closed":
            return
        if self._state == "live":
            self.channel.leave(self)
        else:
            self._services.metrics.behind.dec()
        self._state = "closed"
        self.channel.subscribers.discard(self)
        if self._reader is not None:
            self._reader.cancel()

    # Called by the channel, while live

    def give(self, data: bytes, cursor: int) -> None:
        """Write a flush. The cursor moves first: the write may turn this subscription behind."""
        self.cursor = cursor
        self._link.write(data)

    def restart(self, reason: str, bounds: Bounds) -> None:
        """The hub begins anew at the channel's position: tell the client, and go on from there."""
        self.epoch, self.cursor = bounds.epoch, self.channel.settled
        self._tell_reset(reason, bounds)

    # Called by the link

    def fall_behind(self) -> None:
        """The transport holds back too much: stop writing, the cursor remembers where."""
        if self._state == "live":
            self.channel.leave(self)
            self._state = "behind"
            self._services.metrics.behind.inc()

    def advance(self) -> None:
        """Give what the ring has, until the transport is full or the subscription is live; else ask the log."""
        channel = self.channel
        while self._state == "behind" and self._reader is None and self._link.writable:
            if not self._ring_takes_over():
                self._reader = self._services.spawn("streaming.catch_up", self._read_log(), ends=True)
            elif self.cursor == (settled := channel.settled):
                self._join()
            else:
                messages, self.cursor = channel.ring.between(self.cursor, settled, channel.options.write_bytes)
                self._write(messages)

    def _join(self) -> None:
        self._state = "live"
        self._services.metrics.behind.dec()
        self.channel.join(self)

    def _write(self, messages: list[Message]) -> None:
        if messages:
            data = self.format.join(messages)
            self._link.write(data)
            self._services.metrics.sent_bytes.inc(len(data))

    # Reading the log

    @property
    def _reading(self) -> bool:
        return self._state == "behind" and self._link.writable

    async def _read_log(self) -> None:
        """Read until the ring covers the cursor, the transport is full, or the client is gone."""
        pause, longest = RETRY_SECONDS
        while self._reading and not self._ring_takes_over():
            try:
                await self._step()
                pause = RETRY_SECONDS[0]
            except LogError as error:
                log.warning("catch_up.failed", channel=self.channel.name, error=str(error), retry_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)
        self._reader = None
        self.advance()

    def _ring_takes_over(self) -> bool:
        """Whether the log is not needed: the cursor is where the live ones are, or the ring reaches back to it."""
        channel = self.channel
        if self.epoch != channel.position.epoch:
            return False
        settled = channel.settled
        return self.cursor == settled or (self.cursor < settled and channel.ring.covers(self.cursor))

    async def _step(self) -> None:
        """One wait: for the hub, or for a stretch of the log."""
        position = self.channel.position
        if self.epoch != position.epoch:
            await self._begin_epoch()
        elif self.cursor > self.channel.settled:
            await self._wait_for_hub()
        else:
            await self._read_stretch()

    async def _read_stretch(self) -> None:
        channel, services = self.channel, self._services
        try:
            async with services.reads:
                batch = await services.log.read(
                    Offset(self.cursor), channel.options.read_events, types=channel.scan_types, epoch=self.epoch
                )
        except Gone as error:
            self._begin_again("gone", error.bounds, error.bounds.first - 1)
        except Ahead as error:
            self._begin_again("ahead", error.bounds, error.bounds.head)
        except EpochChanged:
            await self._wait_for_epoch()
        else:
            self._give_stretch(batch)
            # A log that answers from memory never waits; the loop has others to serve.
            await asyncio.sleep(0)

    def _give_stretch(self, batch: Batch) -> None:
        """Write as much as the transport takes; the rest is read again when it has room."""
        channel = self.channel
        if self.epoch != channel.position.epoch:
            return
        upto = min(batch.next, channel.settled)
        messages = channel.select(batch.events, self.epoch, upto)
        while messages and self._reading:
            count = _chunk(messages, channel.options.write_bytes)
            self._write(messages[:count])
            self.cursor = messages[count - 1].offset
            messages = messages[count:]
        if not messages:
            self.cursor = max(self.cursor, upto)

    async def _wait_for_hub(self) -> None:
        """The client is ahead of the hub: either the hub lags, or the log has lost its end."""
        bounds = await self._services.log.bounds()
        if bounds.epoch != self.epoch:
            await self._wait_for_epoch()
        elif self.cursor > bounds.head:
            self._begin_again("ahead", bounds, bounds.head)
        elif self.cursor > self.channel.settled:
            await self.channel.position.moved.wait()

    async def _wait_for_epoch(self) -> None:
        while self.epoch == self.channel.position.epoch:
            await self.channel.position.moved.wait()

    async def _begin_epoch(self) -> None:
        """The cursor is of another epoch than the hub: go on from the beginning of the hub's."""
        bounds = await self._services.log.bounds()
        if bounds.epoch != self.channel.position.epoch:
            await self.channel.position.moved.wait()
        else:
            self._begin_again("epoch_changed", bounds, bounds.first - 1)

    def _begin_again(self, reason: str, bounds: Bounds, cursor: int) -> None:
        self.epoch, self.cursor = bounds.epoch, cursor
        self._tell_reset(reason, bounds)

    def _tell_reset(self, reason: str, bounds: Bounds) -> None:
        self._services.metrics.resets.inc()
        log.info("subscription.reset", channel=self.channel.name, reason=reason, first=bounds.first, head=bounds.head)
        self._link.write(reset(self.format, reason, bounds, self.cursor))


def _chunk(messages: list[Message], most: int) -> int:
    size = 0
    for count, message in enumerate(messages, 1):
        size += len(message.raw)
        if size >= most:
            return count
    return len(messages)
