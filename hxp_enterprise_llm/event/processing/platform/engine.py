"""The platform at work: follows the log, saves its state, puts each tick's snapshot into the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from hxp_enterprise_llm.config.extras import EXTRA_METRICS, FORECAST_EXTRAS
from hxp_enterprise_llm.config.platform import PlatformConfig
from hxp_enterprise_llm.event.log.model import Batch, Bounds, CursorError, EventLog, Gone, LogError, Stored
from hxp_enterprise_llm.event.processing.analytics import LabelledValue
from hxp_enterprise_llm.event.processing.follower import Follower
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, StateFile, encoded
from hxp_enterprise_llm.event.processing.platform.measuring import measure
from hxp_enterprise_llm.event.processing.platform.platform import Platform, Views
from hxp_enterprise_llm.event.processing.platform.snapshot import snapshot_data, snapshot_event
from hxp_enterprise_llm.event.processing.prices.table import Snapshot
from hxp_enterprise_llm.event.processing.saving import Content, Saver
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.platform_metrics import PlatformMetrics

log = structlog.get_logger("platform")

_REST_SECONDS = 0.05
"""Pause at the head of the log: many small commits are taken in at once. Who asks is answered from all there is."""
_EXTRAS = tuple(name for name in EXTRA_METRICS if name not in FORECAST_EXTRAS)
"""Those of EXTRA_METRICS that are computed here."""


class PlatformEngine:
    """One engine a log. Spawn `run_follow`, `run_ticks` and `run_saves`; `close` saves for the last time."""

    def __init__(
        self,
        config: PlatformConfig,
        event_log: EventLog,
        file: StateFile,
        *,
        clock: Clock,
        metrics: PlatformMetrics,
        prices: Snapshot,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._log, self._clock, self._telemetry, self._sleep = event_log, clock, metrics, sleep
        self._prices = prices
        self._core = Platform(config, prices)
        self._counted = self._core.counted
        self._sequence = 0
        self._told: tuple[int, int] | None = None
        self._loaded = False
        self._ready = asyncio.Event()
        self._follower = Follower(event_log, Outage(log, "platform.follow"), self._take, sleep=sleep)
        metrics.lag.set_function(lambda: self.lag)
        self._appending = Outage(log, "platform.append")
        self._saver = Saver(file, "platform", clock=clock, sleep=sleep, content=self._content, told=metrics.saved_state)

    @property
    def ready(self) -> bool:
        """Whether what the log held at the start is taken in."""
        return self._ready.is_set()

    @property
    def position(self) -> int:
        """Offset up to which the log is taken in."""
        return self._follower.position

    @property
    def lag(self) -> int:
        """Distance from the head of the log as far as it is known, in offsets."""
        return self._follower.lag

    def health(self) -> Part:
        """How it is."""
        facts = {"position": self._follower.position, "lag": self.lag}
        for outage, what in (
            (self._follower.outage, "the log cannot be followed"),
            (self._saver.outage, "the state cannot be saved: a restart will take longer"),
            (self._appending, "snapshots cannot be stored"),
        ):
            if outage.reason:
                return Part("degraded", f"{what}: {outage.reason}", facts)
        if not self.ready:
            return Part("degraded", "the state is being made from the log", facts)
        return Part("ok", "", facts)

    def prepare(self, config: PlatformConfig) -> Callable[[], None]:
        """Another configuration; the answer swaps it in. `enabled` takes a restart."""
        return lambda: self._core.configure(config)

    def views(self) -> Views:
        """What is known now, from all that the log has in memory."""
        self._catch_up()
        return self._core.views(self._clock.time())

    def extras(self) -> Mapping[str, float | None]:
        """The values that join `analytics.snapshot`; null until the state is whole."""
        return self._core.views(self._clock.time()).extras() if self.ready else dict.fromkeys(_EXTRAS)

    def extra_groups(self) -> Mapping[str, list[LabelledValue]]:
        """The same by label set."""
        return self._core.views(self._clock.time()).extra_groups() if self.ready else {}

    # following

    async def run_follow(self) -> None:
        """Take in what comes, for ever. A log that is away is asked again; one that was made anew is read anew."""
        await self._follower.run(self._load, self._taken, self._lost)

    async def _taken(self, batch: Batch) -> None:
        if batch.next >= batch.head:
            self._is_whole()
            if batch.events:
                await self._sleep(_REST_SECONDS)

    async def _lost(self, error: CursorError) -> None:
        if isinstance(error, Gone):
            self._skip_to(error.bounds)
        else:
            self._begin_anew(error.bounds, str(error))

    async def _load(self) -> None:
        """Once: go on from the saved state, or begin with the first event of the log. Raises LogError."""
        if self._loaded:
            return
        bounds = await self._log.bounds()
        saved = await self._saver.read()
        self._loaded = True
        if saved is None:
            self._follower.move(bounds.epoch, bounds.first - 1, bounds.head)
            log.info("platform.begun", position=self.position, head=bounds.head)
        elif saved.epoch and saved.epoch != bounds.epoch:
            self._begin_anew(bounds, f"the log had epoch {saved.epoch} and has {bounds.epoch}")
        else:
            self._core = Platform(self._core.config, self._prices, saved.state)
            self._counted = self._core.counted
            self._follower.move(bounds.epoch, saved.position, bounds.head)
            self._saver.begin(saved.position if saved.epoch else -1)
            log.info("platform.loaded", position=self.position, head=bounds.head, events=saved.state.events)

    def _begin_anew(self, bounds: Bounds, reason: str) -> None:
        """The log was made anew: what is known of the old one is set aside, and the new one read from its beginning."""
        log.warning("platform.begun_anew", reason=reason, events=self._core.state.events, epoch=bounds.epoch)
        self._saver.set_aside("other-epoch")
        self._core = Platform(self._core.config, self._prices)
        self._counted = self._core.counted
        self._follower.move(bounds.epoch, bounds.first - 1, bounds.head)
        self._saver.begin(-1)
        self._ready.clear()

    def _skip_to(self, bounds: Bounds) -> None:
        """The log has dropped events that were not taken in: go on with the first that it has."""
        lost = bounds.first - 1 - self._follower.position
        log.warning("platform.events_lost", offsets=lost, position=self._follower.position, first=bounds.first)
        self._telemetry.lost.inc(max(0, lost))
        self._follower.move(bounds.epoch, bounds.first - 1, bounds.head)

    def _is_whole(self) -> None:
        if not self.ready:
            self._ready.set()
            log.info("platform.ready", position=self._follower.position, events=self._core.state.events)

    def _take(self, events: Sequence[Stored]) -> None:
        self._core.take(events)
        self._saver.took(len(events))
        self._count()

    def _count(self) -> None:
        """Tell how many events were taken in; those that wait are told with the next tick."""
        before, self._counted = self._counted, self._core.counted
        self._telemetry.events.inc(self._counted[0] - before[0])
        self._telemetry.ignored.inc(self._counted[1] - before[1])

    def _catch_up(self) -> None:
        if self.ready:
            self._follower.catch_up()

    # saving

    async def run_saves(self) -> None:
        """Save the state now and then, for ever."""
        await self._saver.run(lambda: self._core.config.save_interval)

    async def save(self) -> None:
        """Save state and position in one step, when there is something new."""
        await self._saver.save()

    async def close(self) -> None:
        """Save for the last time."""
        await self._saver.close()

    def _content(self) -> Content | None:
        if not self._loaded:
            return None
        return Content(
            self._follower.position, encoded(Saved(self._follower.epoch, self._follower.position, self._core.settled()))
        )

    # telling

    async def run_ticks(self) -> None:
        """Put a snapshot into the log on each tick on which something has changed, for ever."""
        while True:
            await self._ready.wait()
            await self._sleep(self._core.config.tick)
            if self.ready:
                await self.tell()

    async def tell(self) -> None:
        """Put a snapshot into the log, unless nothing has changed since the last."""
        views, now = self.views(), self._clock.time()
        self._count()
        measure(self._telemetry, self._core.state, views)
        changed = self._core.state.events, views.active_count()
        if changed == self._told:
            return
        data = snapshot_data(views, now, self._follower.position)
        self._sequence += 1
        event = snapshot_event(data, self._follower.epoch, f"{now:.3f}/{self._sequence}")
        try:
            await self._log.append([event], deadline=max(self._core.config.tick, 1.0))
        except LogError as error:
            self._appending.failed(error)
        else:
            self._appending.worked()
            self._told = changed
