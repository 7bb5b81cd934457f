"""A connection is a cursor on a channel, not a queue.

    live      gets the joined writes of its channel
    behind    reads the ring, and before that the log, at its own pace: a few kilobytes at a time, only while its
              transport takes them; what does not fit is read again later
    closed

Who was live and fell behind is treated as its channel says: it catches up with everything (`catch_up`), with the newest
of each key (`conflate`), or is sent away (`disconnect`). What a client asks for when it connects is given whole.

Nothing here polls: the transport's `resume_writing`, the end of a log read and the hub's signal drive it on.
"""

from __future__ import annotations

import asyncio
import sys
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
from hxp_enterprise_llm.event.streaming.compress import ContinuedDeflate, WebSocketDeflate
from hxp_enterprise_llm.event.streaming.conflate import SPAN, Newest, chunk
from hxp_enterprise_llm.event.streaming.encode import Format, Message, Packed, reset
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

    def too_slow(self) -> None:
        """The channel sends away who falls behind: say so and close."""
        ...


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

    __slots__ = (
        "_goal",
        "_lacking",
        "_link",
        "_reader",
        "_services",
        "_state",
        "channel",
        "cursor",
        "epoch",
        "format",
        "live",
        "recovering",
    )

    def __init__(self, channel: Channel, link: Link, services: Services, cursor: int, epoch: str) -> None:
        self.channel, self._link, self._services = channel, link, services
        self.cursor, self.epoch = cursor, epoch
        self.format: Format = link.format
        # Bytes that its client's window still lacks, and then pieces look back into it; 0 as well where none do.
        self._lacking = 0
        self._state: Literal["live", "behind", "closed"] = "behind"
        # Asked before each write: a look at the state would take longer.
        self.live = False
        self._reader: asyncio.Task[Any] | None = None
        # Where the stretch ends of which only the newest of each key is given; None: everything is given.
        self._goal: int | None = None
        self.recovering = False
        """Set before `start` for a client that came back with a cursor, until it is known whether it lost anything."""

    @property
    def behind(self) -> bool:
        return self._state == "behind"

    def start(self) -> None:
        """Take a place on the channel and begin to give."""
        self.channel.subscribers.add(self)
        if self._link.writable and self._ring_takes_over() and self.cursor >= self.channel.settled:
            self._go_live()
        else:
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
        self._state, self.live = "closed", False
        self.channel.subscribers.discard(self)
        if self._reader is not None:
            self._reader.cancel()

    # Called by the channel, while live

    def give(self, data: bytes, cursor: int) -> None:
        """Write a flush. The cursor moves first: the write may turn this subscription behind."""
        self.cursor = cursor
        self._link.write(data)
        if self._lacking:
            self._fill_window(data)

    def _fill_window(self, data: bytes) -> None:
        continued = self._continued
        if self._state != "live" or continued is None:
            return
        # What goes out plain does not come into the window.
        self._lacking = max(0, self._lacking - data.plain_size) if isinstance(data, Packed) else continued.lookback
        if not self._lacking:
            self.channel.regroup(self, continued)

    @property
    def _continued(self) -> ContinuedDeflate | None:
        format = self._link.format
        return format.continued if isinstance(format, WebSocketDeflate) else None

    def restart(self, reason: str, bounds: Bounds) -> None:
        """The hub begins anew at the channel's position: tell the client, and go on from there."""
        self.epoch, self.cursor = bounds.epoch, self.channel.settled
        self._tell_reset(reason, bounds)

    # Called by the link

    def fall_behind(self) -> None:
        """The transport holds back too much: stop writing, the cursor remembers where."""
        if self._state == "live":
            self.channel.leave(self)
            self._state, self.live, self.format = "behind", False, self._link.format
            self._services.metrics.behind.inc()
            self._goal = 0 if self.channel.slow == "conflate" else None
            if self.channel.slow == "disconnect":
                self._link.too_slow()

    def advance(self) -> None:
        """Give what the ring has, until the transport is full or the subscription is live; else ask the log."""
        channel = self.channel
        while self._state == "behind" and self._reader is None and self._link.writable:
            if not self._ring_takes_over():
                self._reader = self._services.spawn("streaming.catch_up", self._read_log(), ends=True)
            elif self.cursor >= (settled := channel.settled):
                self._caught_up()
            elif self._goal is not None:
                goal, newest = self._choose_goal(self._goal), Newest()
                newest.add(channel.ring.between(self.cursor, goal, sys.maxsize)[0])
                self._give_newest(newest, goal)
            else:
                messages, self.cursor = channel.ring.between(self.cursor, settled, channel.options.write_bytes)
                self._write(messages)

    def _caught_up(self) -> None:
        self._services.metrics.behind.dec()
        self._go_live()

    def _go_live(self) -> None:
        self._state, self.live, self._goal = "live", True, None
        self._lacking = continued.lookback if (continued := self._continued) else 0
        self._recovered("yes")
        self.channel.join(self)

    def _write(self, messages: list[Message]) -> None:
        if messages:
            data = self.format.join(messages)
            self._link.write(data)
            self._services.metrics.sent_bytes.inc(len(data))
            self._services.metrics.sent(self.channel.name, self.format.transport, len(messages), 1, len(data))
            if self.recovering:
                self._services.metrics.recovered_messages.inc(len(messages))
            if isinstance(data, Packed):
                self._services.metrics.compressed(data.plain_size, data.saved)

    def _recovered(self, answer: Literal["yes", "no"]) -> None:
        if self.recovering:
            self.recovering = False
            self._services.metrics.recoveries.labels(answer).inc()

    # Leaving out what a newer event stands in for

    def _choose_goal(self, goal: int) -> int:
        """The end of the stretch under way, or of the next one.

        A stretch is given to its end before the next begins: what changes all the time is not put off for ever.
        """
        if goal <= self.cursor:
            goal = self.cursor + SPAN
        self._goal = min(goal, self.channel.settled)
        return self._goal

    def _give_newest(self, newest: Newest, goal: int) -> None:
        """Write the newest of each key as far as the transport takes them; the rest is gathered again later."""
        for portion in newest.portions(self.channel.options.write_bytes, goal):
            if not self._reading:
                return
            begin, self.cursor = self.cursor + 1, portion.end
            if portion.left_out:
                self._services.metrics.left_out.inc(portion.left_out)
                members = {"left_out": portion.left_out, "from": begin, "to": portion.end}
                self._link.write(self.format.control("conflated", members))
            self._write(portion.messages)
        self.cursor = max(self.cursor, goal)

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
                self._services.metrics.errors.labels("catch_up").inc()
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
        if self.cursor >= channel.settled:
            return self.cursor <= channel.position.offset
        return channel.ring.covers(self.cursor)

    async def _step(self) -> None:
        """One wait: for the hub, or for a stretch of the log."""
        position = self.channel.position
        if self.epoch != position.epoch:
            await self._begin_epoch()
        elif self.cursor > self.channel.position.offset:
            await self._wait_for_hub()
        else:
            await self._read_stretch()

    async def _read_stretch(self) -> None:
        try:
            if self._goal is None:
                self._give_stretch(await self._read(self.cursor))
            else:
                await self._gather_newest(self._choose_goal(self._goal))
        except Gone as error:
            self._begin_again("gone", error.bounds, error.bounds.first - 1)
        except Ahead as error:
            self._begin_again("ahead", error.bounds, error.bounds.head)
        except EpochChanged:
            await self._wait_for_epoch()

    async def _read(self, cursor: int) -> Batch:
        channel, services = self.channel, self._services
        # A log that answers from memory never waits; the loop has others to serve.
        await asyncio.sleep(0)
        async with services.reads:
            return await services.log.read(
                Offset(cursor), channel.options.read_events, types=channel.scan_types, epoch=self.epoch
            )

    async def _gather_newest(self, goal: int) -> None:
        newest, cursor = Newest(), self.cursor
        while cursor < goal and self._reading:
            batch = await self._read(cursor)
            newest.add(self.channel.select(batch.events, self.epoch, goal))
            cursor = batch.next
        if cursor >= goal and self.epoch == self.channel.position.epoch:
            self._give_newest(newest, goal)

    def _give_stretch(self, batch: Batch) -> None:
        """Write as much as the transport takes; the rest is read again when it has room."""
        channel = self.channel
        if self.epoch != channel.position.epoch:
            return
        upto = min(batch.next, channel.settled)
        messages = channel.select(batch.events, self.epoch, upto)
        while messages and self._reading:
            count = chunk(messages, channel.options.write_bytes)
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
        elif self.cursor > self.channel.position.offset:
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
        self._recovered("no")
        self._tell_reset(reason, bounds)

    def _tell_reset(self, reason: str, bounds: Bounds) -> None:
        self._services.metrics.resets.inc()
        log.info("subscription.reset", channel=self.channel.name, reason=reason, first=bounds.first, head=bounds.head)
        self._link.write(reset(self.format, reason, bounds, self.cursor))
