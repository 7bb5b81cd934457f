"""The hub follows the log and gives each event to the channels that carry it. It, too, is only a cursor.

It reads no further while a channel has too much waiting, so that a burst stays in the log and not in memory.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from hxp_enterprise_llm.config.streaming import ChannelConfig
from hxp_enterprise_llm.event.log.model import (
    Ahead,
    Batch,
    CursorError,
    EpochChanged,
    EventLog,
    LogError,
)
from hxp_enterprise_llm.event.model import Offset, TypePatterns, parse_patterns
from hxp_enterprise_llm.event.streaming.channel import Channel, Condition, Options, Position
from hxp_enterprise_llm.event.streaming.encode import Message, Transport
from hxp_enterprise_llm.event.streaming.figures import figures
from hxp_enterprise_llm.event.streaming.flush import Flush
from hxp_enterprise_llm.event.streaming.subscription import RETRY_SECONDS, Link, Services, Subscription
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.channels import HubFigures
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics

log = structlog.get_logger("streaming")

MAX_DERIVED = 1000
MAX_PENDING_BYTES = 8 * 1024 * 1024
SANE_LATENCY_SECONDS = 60.0
"""An event that is older was sent late by its source or replayed: it says nothing about this gateway."""
CACHED_TYPES = 4096
CONCURRENT_READS = 16

Key = tuple[str, TypePatterns | None, Condition | None]


class Hub:
    """All channels of a gateway and the one follower of the log that feeds them."""

    def __init__(
        self,
        event_log: EventLog,
        channels: Mapping[str, ChannelConfig],
        *,
        clock: Clock,
        metrics: StreamingMetrics,
        spawn: Callable[..., asyncio.Task[Any]],
        options: Options | None = None,
        ranks: Mapping[str, int] | None = None,
    ) -> None:
        self._log, self._clock, self._metrics = event_log, clock, metrics
        self.options = options or Options()
        self._ranks = ranks or {}
        self._services = Services(event_log, spawn, asyncio.Semaphore(CONCURRENT_READS), metrics)
        self.position = Position()
        self.problem = "the log has not been reached yet"
        """Why nothing is read now; empty when all is well."""
        self.lag = 0
        """Distance from the head of the log when it was last read, in offsets."""
        self._pause = RETRY_SECONDS[0]
        self._descriptions = dict(channels)
        self.channels = {name: self._make(name, parse_patterns(config.types)) for name, config in channels.items()}
        self._derived: dict[Key, Channel] = {}
        self._routes: dict[tuple[str, str], tuple[Channel, ...]] = {}

    # Following

    @property
    def ready(self) -> bool:
        """Whether the rings are warm and clients can be served."""
        return bool(self.position.epoch)

    async def run(self) -> None:
        """Follow the log for ever; what fails is tried again with growing pauses."""
        while True:
            try:
                await self._start()
                await self._follow()
            except CursorError as error:
                self._begin_anew(error)
                await asyncio.sleep(0)
            except LogError as error:
                self.problem = str(error)
                self._metrics.errors.labels("hub").inc()
                log.warning("hub.failed", error=self.problem, retry_seconds=self._pause)
                await asyncio.sleep(self._pause)
                self._pause = min(2 * self._pause, RETRY_SECONDS[1])

    async def _start(self) -> None:
        """The first time: read what the rings hold before any client is let in."""
        if self.ready:
            return
        bounds = await self._log.bounds()
        # The position stays without an epoch, and clients outside, until the rings have reached the head.
        offset = Offset(max(bounds.first - 1, bounds.head - self.options.ring_events))
        self._set_floor(offset)
        while offset < bounds.head:
            batch = await self._log.read(offset, epoch=bounds.epoch)
            self._take(batch, bounds.epoch)
            offset = batch.next
            await asyncio.sleep(0)
        self.position.epoch = bounds.epoch
        log.info("hub.ready", epoch=bounds.epoch, offset=self.position.offset)
        self.problem = ""
        self.position.moved.fire()

    async def _follow(self) -> None:
        epoch = self.position.epoch
        async for batch in self._log.follow(Offset(self.position.offset), epoch=epoch):
            self.problem, self._pause = "", RETRY_SECONDS[0]
            self._take(batch, epoch)
            if batch.events:
                await asyncio.sleep(0)
            while self._pending_bytes() > MAX_PENDING_BYTES:
                await self.position.moved.wait()

    def _take(self, batch: Batch, epoch: str) -> None:
        """Give a batch to the channels and move on, in one step: nobody joins in the middle."""
        taken: dict[Channel, list[Message]] = defaultdict(list)
        for stored in batch.events:
            self._choose(Message(epoch, stored), taken)
        for channel, messages in taken.items():
            channel.publish(messages)
        self.position.offset = batch.next
        self.lag = batch.head - batch.next
        self._metrics.hub_lag.set(self.lag)
        for channel in sorted(taken, key=lambda channel: channel.rank):
            channel.schedule()
        self.position.moved.fire()

    def _choose(self, message: Message, taken: dict[Channel, list[Message]]) -> None:
        """Put a message to those of each channel that carries it."""
        address = message.address
        channels = self._routes.get((message.type, address))
        if channels is None:
            channels = self._route(message.type, address)
        for channel in channels:
            if channel.filter is None or channel.filter.matches(message.fields()):
                taken[channel].append(message)
        message.forget_fields()

    def _route(self, type: str, address: str) -> tuple[Channel, ...]:
        if len(self._routes) >= CACHED_TYPES:
            self._routes.clear()
        channels = (*self.channels.values(), *self._derived.values())
        found = tuple(channel for channel in channels if channel.carries_type(type, address))
        self._routes[type, address] = found
        return found

    def _pending_bytes(self) -> int:
        return sum(channel.pending_bytes for channel in self._all())

    def _all(self) -> list[Channel]:
        return [*self.channels.values(), *self._derived.values()]

    def _set_floor(self, offset: int) -> None:
        self.position.offset = offset
        for channel in self._all():
            channel.ring.clear(offset)

    def _begin_anew(self, error: CursorError) -> None:
        """The log has a new epoch, or lost what was not read yet: all channels start over there."""
        bounds = error.bounds
        reason = {EpochChanged: "epoch_changed", Ahead: "ahead"}.get(type(error), "gone")
        log.error("hub.reset", reason=reason, error=str(error), first=bounds.first, head=bounds.head)
        if not self.ready:
            return
        for channel in self._all():
            channel.drain()
        self.position.epoch = bounds.epoch
        self.position.offset = bounds.head if reason == "ahead" else bounds.first - 1
        for channel in self._all():
            channel.begin_anew(reason, bounds)
        self.position.moved.fire()

    # Clients

    def channel(self, name: str, narrowing: TypePatterns | None = None, filter: Condition | None = None) -> Channel:
        """The channel of a name, or its shared derivation. Raises KeyError, and Problem 503 when there are too many."""
        parent = self.channels[name]
        if narrowing is None and filter is None:
            return parent
        key = (name, narrowing, filter)
        found = self._derived.get(key)
        if found is not None:
            return found
        if len(self._derived) >= MAX_DERIVED:
            raise Problem(
                503,
                "too_many_filters",
                f"{MAX_DERIVED:,} different filters are in use",
                "Use a filter that others use too, or filter at your side.",
                headers={"Retry-After": "30"},
                limit=MAX_DERIVED,
            )
        derived = self._make(name, parent.patterns, narrowing, filter)
        derived.inherit(parent)
        self._derived[key] = derived
        self._routes.clear()
        return derived

    def subscribe(
        self, channel: Channel, link: Link, cursor: int, epoch: str, *, recovering: bool = False
    ) -> Subscription:
        """Put a client on a channel behind a cursor and begin to give. `recovering`: the cursor is the client's own."""
        subscription = Subscription(channel, link, self._services, cursor, epoch)
        subscription.recovering = recovering
        subscription.start()
        return subscription

    def recovered(self, channel: Channel, transport: Transport, messages: int, size: int) -> None:
        """Count messages that a client which came back was given before its subscription began."""
        self._metrics.recovered_messages.inc(messages)
        self._metrics.sent_bytes.inc(size)
        self._metrics.sent(channel.name, transport, messages, 1, size)

    def unrecovered(self) -> None:
        """Count a client that came back and cannot be given all that it missed."""
        self._metrics.recoveries.labels("no").inc()

    def leave(self, subscription: Subscription) -> None:
        """Take a client off; a derived channel goes with its last one."""
        subscription.close()
        self.release(subscription.channel)

    def release(self, channel: Channel) -> None:
        """Drop a derived channel that nobody is on."""
        key = (channel.name, channel.narrowing, channel.filter)
        if not channel.subscribers and self._derived.get(key) is channel:
            del self._derived[key]
            self._routes.clear()

    @property
    def derived_count(self) -> int:
        return len(self._derived)

    def family(self, name: str) -> list[Channel]:
        """A channel and all that narrow it."""
        return [channel for channel in self._all() if channel.name == name]

    def figures(self) -> HubFigures:
        """How the subscribers of each channel stand."""
        families: dict[str, list[Channel]] = {name: [] for name in self.channels}
        for channel in self._all():
            families[channel.name].append(channel)
        return HubFigures(
            tuple(figures(name, family) for name, family in families.items()), self.derived_count, MAX_DERIVED
        )

    def describe(self, name: str) -> ChannelConfig:
        """The definition of a channel."""
        return self._descriptions[name]

    def drain(self) -> None:
        """Write all that waits, now."""
        for channel in self._all():
            channel.drain()

    # Reload

    def prepare(self, channels: Mapping[str, ChannelConfig]) -> Callable[[], set[Channel]]:
        """Check new definitions. Raises ValueError.

        The answer swaps them in and gives back the channels that changed or went: their clients must connect again.
        """
        patterns = {name: parse_patterns(config.types) for name, config in channels.items()}
        return lambda: self._swap(dict(channels), patterns)

    def _swap(self, channels: dict[str, ChannelConfig], patterns: dict[str, TypePatterns]) -> set[Channel]:
        stale = {
            channel
            for channel in self._all()
            if patterns.get(channel.name) != channel.patterns
            or channels[channel.name].publications != channel.publications
        }
        gone = {channel.name for channel in stale}
        kept = {name: channel for name, channel in self.channels.items() if name not in gone}
        self._descriptions = channels
        self.channels = {name: kept.get(name) or self._make(name, patterns[name]) for name in channels}
        self._derived = {key: channel for key, channel in self._derived.items() if key[0] not in gone}
        for channel in self._all():
            channel.slow = channels[channel.name].slow
        self._routes.clear()
        return stale

    def _make(
        self,
        name: str,
        patterns: TypePatterns,
        narrowing: TypePatterns | None = None,
        filter: Condition | None = None,
    ) -> Channel:
        delivered = self._metrics.delivered.labels(name)

        def written(channel: Channel, flush: Flush) -> None:
            for transport, (deliveries, writes, size) in flush.totals().items():
                delivered.inc(deliveries)
                self._metrics.sent_bytes.inc(size)
                self._metrics.sent(name, transport, deliveries, writes, size)
            self._metrics.compressed(*flush.compressed())
            self._observe(flush.oldest)

        return Channel(
            name,
            patterns,
            narrowing=narrowing,
            filter=filter,
            position=self.position,
            options=self.options,
            scheduler=asyncio.get_running_loop(),
            written=written,
            rank=self._ranks.get(name, 1),
            slow=self._descriptions[name].slow,
            publications=self._descriptions[name].publications,
        )

    def _observe(self, message: Message) -> None:
        """Latency of the oldest event of a flush: one sample each write, not one each message and client."""
        entered = message.time()
        if entered is None:
            return
        latency = self._clock.time() - entered
        if 0 <= latency <= SANE_LATENCY_SECONDS:
            self._metrics.latency.observe(latency)
            self._metrics.delivery_seconds.observe(latency)
