"""Analytics at work: follows the log, ticks, and puts each tick's snapshot back into the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.model import Batch, Bounds, CursorError, EventLog, LogError, Stored
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.processing.analytics import Analytics
from hxp_enterprise_llm.event.processing.extras import ExtraGroups, ExtraValues, joined, units
from hxp_enterprise_llm.event.processing.follower import FIRST_PAUSE, Follower
from hxp_enterprise_llm.event.processing.metrics import Metric, compile_metrics
from hxp_enterprise_llm.event.processing.rebuild import Survey, replay, survey, tail
from hxp_enterprise_llm.event.processing.saving import Content, Saver
from hxp_enterprise_llm.event.processing.snapshot import Mark, Snapshot, snapshot_event
from hxp_enterprise_llm.event.processing.stored import FORM, AnalyticsFile, Saved
from hxp_enterprise_llm.event.processing.ticks import TickSchedule
from hxp_enterprise_llm.event.processing.windows import Timeline
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage
from hxp_enterprise_llm.telemetry.health import Part
from hxp_enterprise_llm.telemetry.metrics import ProcessingMetrics

log = structlog.get_logger("analytics")

REBUILD_LIMIT = 5_000_000
"""Most offsets that a rebuild goes back."""
SAVE_SECONDS = 15.0
"""Between two saves of the windows, when little comes in."""
_JUMP_SECONDS = 2.0
"""A difference between the two clocks that is no drift: the wall clock was set, and windows must not notice."""
_REST_SECONDS = 0.02
"""Pause at the head of the log. Many small commits are then taken in at once, by column; nobody sees the delay, as
whoever asks for a snapshot is answered from all that the log has."""


class AnalyticsEngine:
    """One engine a log. Spawn `run_follow`, `run_ticks` and `run_saves`; `close` saves for the last time.

    `run_follow` rebuilds the windows first, from the saved ones and what came after them.
    """

    def __init__(
        self,
        config: AnalyticsConfig,
        event_log: EventLog,
        file: AnalyticsFile,
        *,
        clock: Clock,
        metrics: ProcessingMetrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rebuild_limit: int = REBUILD_LIMIT,
        extras: Sequence[ExtraValues] = (),
        extra_groups: Sequence[ExtraGroups] = (),
    ) -> None:
        """`extras`, `extra_groups`: values of others that join each snapshot. Raises MetricFault."""
        self._extras, self._extra_groups = tuple(extras), tuple(extra_groups)
        self._tick, self._log, self._clock, self._telemetry = config.tick, event_log, clock, metrics
        self._sleep, self._limit = sleep, rebuild_limit
        self._windows = {label: seconds(label) for label in config.windows}
        self._core = Analytics(compile_metrics(config.metrics, self._windows), Timeline(self._windows))
        self._ahead = self._clock_ahead()
        self._seq, self._newest_at = 0, 0.0
        self._ungrouped: dict[str, int] = {}
        self._took_at = 0.0
        self._ready = asyncio.Event()
        self._follower = Follower(event_log, Outage(log, "analytics.follow"), self._take, sleep=sleep)
        metrics.lag.set_function(lambda: self.lag)
        self._appending = Outage(log, "analytics.append")
        self._saver = Saver(
            file, "analytics", clock=clock, sleep=sleep, content=self._content, told=metrics.saved_state
        )

    @property
    def ready(self) -> bool:
        """Whether the windows hold what the log holds."""
        return self._ready.is_set()

    @property
    def windows(self) -> tuple[str, ...]:
        """Labels of the windows."""
        return tuple(self._windows)

    @property
    def position(self) -> int:
        """Offset up to which the log is taken in."""
        return self._follower.position

    @property
    def lag(self) -> int:
        """Distance from the head of the log as far as it is known, in offsets."""
        return self._follower.lag

    def health(self) -> Part:
        """How analytics is."""
        facts = {"position": self._follower.position, "lag": self.lag}
        if reason := self._follower.outage.reason:
            return Part("degraded", f"the log cannot be followed: {reason}", facts)
        if not self.ready:
            return Part("degraded", "the windows are being rebuilt from the log", facts)
        for outage, what in (
            (self._appending, "snapshots cannot be stored"),
            (self._saver.outage, "the windows cannot be saved: a restart will take longer"),
        ):
            if outage.reason:
                return Part("degraded", f"{what}: {outage.reason}", facts)
        return Part("ok", "", facts)

    def prepare(self, config: AnalyticsConfig) -> Callable[[], None]:
        """Compile another list of metrics; the answer swaps it in. `tick` and `windows` take a restart.

        What unchanged metrics have gathered is kept; new ones begin at the swap. Raises MetricFault.
        """
        return partial(self._adopt, self.compiled(config))

    def compiled(self, config: AnalyticsConfig) -> tuple[Metric, ...]:
        """Another list of metrics over the windows of this engine. Raises MetricFault."""
        return compile_metrics(config.metrics, self._windows)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics in force."""
        return self._core.metrics

    def _adopt(self, metrics: tuple[Metric, ...]) -> None:
        gone = {metric.name for metric in self._core.metrics} - {metric.name for metric in metrics}
        self._core.adopt(metrics)
        for name in gone:
            self._telemetry.value.remove(name)
        self._telemetry.ungrouped.clear()

    async def rebuild(self) -> None:
        """Fill the windows from the log, so that a restart leaves no gap. Raises LogError.

        A log that is trimmed or made anew meanwhile is surveyed again.
        """
        while True:
            try:
                return await self._rebuild()
            except CursorError as error:
                log.warning("analytics.rebuild_again", reason=str(error))
                await self._sleep(FIRST_PAUSE)

    async def _rebuild(self) -> None:
        bounds = await self._log.bounds()
        ahead = self._clock_ahead()
        core, found = await self._begun(bounds)
        position = await replay(self._log, bounds, found, core)
        # A reload may have come in between.
        core.adopt(self._core.metrics)
        self._ahead, self._core = ahead, core
        self._follower.move(bounds.epoch, position, bounds.head)
        if found.newest:
            self._seq = max(self._seq, found.newest.seq)
            self._newest_at = max(self._newest_at, found.newest.at)
        self._ready.set()
        self._saver.took(position - found.start)
        log.info("analytics.rebuilt", start=found.start, position=position, epoch=bounds.epoch)

    async def _begun(self, bounds: Bounds) -> tuple[Analytics, Survey]:
        """The saved windows and what came after them; without such, empty ones and all that belongs into them."""
        saved = await self._saver.read()
        core = Analytics(self._core.metrics, self._core.timeline)
        if saved is not None and self._restored(core, saved, bounds):
            core.advance(self._clock.time())
            self._saver.begin(saved.position)
            self._newest_at = max(self._newest_at, saved.newest_at)
            return core, await tail(self._log, bounds, _mark(saved, core))
        core.advance(self._clock.time())
        self._saver.begin(-1)
        oldest = core.timeline.start(core.now - core.timeline.horizon - 1)
        found = await survey(self._log, bounds, oldest, self._limit)
        if found.truncated:
            log.warning("analytics.rebuild_truncated", after=found.start, head=bounds.head)
        return core, found

    def _restored(self, core: Analytics, saved: Saved, bounds: Bounds) -> bool:
        """Whether the saved windows are of this log and these metrics, and `core` now holds them."""
        try:
            if saved.epoch != bounds.epoch or not bounds.first - 1 <= saved.position <= bounds.head:
                raise ValueError("they are of another log, or of events that it no longer has")
            if saved.kept.now > core.timeline.slot(self._clock.time()):
                raise ValueError("the clock was set back since")
            core.restore(saved.kept)
        except ValueError as error:
            log.info("analytics.saved_unfit", reason=str(error), position=saved.position)
            return False
        return True

    async def run_follow(self) -> None:
        """Take in what comes, for ever. A log that is away is asked again; one that was made anew is read anew."""
        self._took_at = self._clock.monotonic() - _REST_SECONDS
        await self._follower.run(self._whole, self._taken, self._lost)

    async def _whole(self) -> None:
        if not self.ready:
            await self.rebuild()

    async def _taken(self, batch: Batch) -> None:
        """Where commits come thick and fast, several are taken in together; a lone one is taken in at once."""
        soon = self._clock.monotonic() - self._took_at < _REST_SECONDS
        if batch.events and batch.next == batch.head and soon:
            await self._sleep(_REST_SECONDS)
        self._took_at = self._clock.monotonic()

    async def _lost(self, error: CursorError) -> None:
        log.warning("analytics.cursor_lost", reason=str(error))
        self._ready.clear()
        await self._sleep(FIRST_PAUSE)

    def _take(self, events: Sequence[Stored]) -> None:
        self._advance()
        self._core.take(events)
        self._saver.took(len(events))
        self._telemetry.processed.inc(len(events))

    async def run_saves(self) -> None:
        """Save the windows now and then, for ever."""
        await self._saver.run(lambda: SAVE_SECONDS)

    async def save(self) -> None:
        """Save windows and position in one step, when there is something new."""
        await self._saver.save()

    async def close(self) -> None:
        """Save for the last time."""
        await self._saver.close()

    def _content(self) -> Content | None:
        if not self.ready:
            return None
        self._advance()
        self._catch_up()
        saved = Saved(
            self._follower.epoch,
            self._follower.position,
            self._clock.time(),
            self._seq,
            self._newest_at,
            self._core.kept(),
        )
        return Content(self._follower.position, FORM.encoded(saved))

    def _catch_up(self) -> None:
        if self.ready:
            self._follower.catch_up()

    def _advance(self) -> None:
        ahead = self._clock_ahead()
        if abs(ahead - self._ahead) >= _JUMP_SECONDS:
            moved = self._core.shift(ahead - self._ahead)
            log.warning("analytics.clock_set", by_s=round(moved, 3), now=rfc3339(self._clock.time()))
        self._ahead = ahead
        self._core.advance(self._clock.time())

    def _clock_ahead(self) -> float:
        """How far the wall clock is ahead of the one that nobody sets."""
        return self._clock.time() - self._clock.monotonic()

    async def run_ticks(self) -> None:
        """Compute and store a snapshot on each tick, for ever; while the windows are rebuilt there is none."""
        schedule = TickSchedule(self._tick)
        while True:
            await self._ready.wait()
            now = self._clock.time()
            await self._until(self._clock.monotonic() + schedule.next(now) - now)
            if self.ready:
                await self._publish(schedule.due(self._clock.time()))

    async def _until(self, deadline: float) -> None:
        # A timer may fire a little early.
        while (left := deadline - self._clock.monotonic()) > 0:
            await self._sleep(left)

    async def _publish(self, at: float) -> None:
        started = self._clock.monotonic()
        again = at <= self._newest_at
        self._seq += 1
        snapshot = self.snapshot(at)
        self._newest_at = max(at, self._newest_at)
        self._telemetry.tick_seconds.observe(self._clock.monotonic() - started)
        for name, ungrouped in self._ungrouped.items():
            self._telemetry.ungrouped.labels(name).set(ungrouped)
        for name, value in snapshot.metrics.items():
            self._telemetry.value.labels(name).set(float("nan") if value is None else value)
        try:
            await self._log.append(
                [snapshot_event(snapshot, self._follower.epoch, again=again)], deadline=max(self._tick, 1.0)
            )
        except LogError as error:
            self._appending.failed(error)
        else:
            self._appending.worked()

    def snapshot(self, at: float | None = None) -> Snapshot:
        """All metrics now, or labelled with a moment that has just passed (wall-clock seconds)."""
        self._advance()
        self._catch_up()
        core, at = self._core, self._clock.time() if at is None else at
        windows = core.values(at)
        groups = core.groups(at)
        extras = joined(self._extras)
        self._ungrouped = {name: found.ungrouped for name, found in groups.items()}
        return Snapshot(
            at=rfc3339(at),
            tick_s=self._tick,
            seq=self._seq,
            position=self._follower.position,
            metrics=extras | {metric.name: windows[metric.window][metric.name] for metric in core.metrics},
            windows=windows,
            groups=joined(self._extra_groups) | {name: found.values for name, found in groups.items() if found.values},
            units=units(extras) | dict(core.units()),
            sources=core.sources,
            events_total=core.totals.events,
            late=core.totals.late,
            ignored=core.totals.ignored,
            since=None if core.since is None else rfc3339(core.since),
        )


def _mark(saved: Saved, core: Analytics) -> Mark:
    """A saved state as what it is to a rebuild: all up to its position is counted, and had arrived by its time."""
    totals = saved.kept.totals
    counts = totals.events, totals.late, totals.ignored
    return Mark(saved.position, saved.at, saved.position, saved.seq, *counts, core.since)
