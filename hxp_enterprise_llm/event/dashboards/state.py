"""What dashboards know: a fold over the log, the same whether it was followed live or rebuilt from the log's tail.

An event is placed in time by the snapshot before it, which comes each second: that is when it entered the log,
whatever time it bears itself, and nothing needs to be decoded for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

from hxp_enterprise_llm.event.dashboards.alerts import AlertBoard
from hxp_enterprise_llm.event.dashboards.history import EVENTS_PER_TYPE, EventCounts, LatestEvents, MetricHistory, grid
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import BEGINNING, Offset, decode, parse_rfc3339

SNAPSHOT = "analytics.snapshot"
PLATFORM = "platform.snapshot"
ALERT_FIRING = "alert.firing"
ALERT_RESOLVED = "alert.resolved"

SPINE_METRIC = "throughput"
SPINE_SECONDS = 3600.0

_OWN = ("analytics.", "dashboard.", "platform.")
"""Prefixes of events that are no news: they are made of the others each second."""

_ONE_BY_ONE = (*_OWN, "alert.")
"""Prefixes of events of which each counts."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a snapshot that dashboards show."""

    at: str
    metrics: dict[str, float | None]
    tick_s: float = 1.0
    windows: dict[str, dict[str, float | None]] = {}
    units: dict[str, str] = {}


class _Glance(msgspec.Struct):
    time: str | None = None


class DashboardState:
    """Everything that panels are computed from, up to `position`."""

    def __init__(self, epoch: str = "") -> None:
        self.epoch = epoch
        self.position: Offset = BEGINNING
        self.metrics = MetricHistory()
        self.counts = EventCounts()
        self.latest = LatestEvents()
        self.alerts = AlertBoard()
        self.figures: Figures | None = None
        self.figures_at: float | None = None
        """Unix seconds of the newest snapshot."""
        self.platform: Mapping[str, Any] = {}
        """Data of the newest `platform.snapshot`; empty when there was none."""
        self.unreadable = 0
        """Events of ours that did not have the expected form."""

    def take(self, events: Sequence[Stored], upto: Offset) -> None:
        """Take in the events of a stretch of the log that ends at `upto`."""
        for type, run in groupby(events, attrgetter("type")):
            if self.figures_at is not None and not type.startswith(_ONE_BY_ONE):
                self._take_run(type, list(run))
            else:
                for event in run:
                    self._take_one(event)
        self.position = upto

    def names(self) -> list[str]:
        """Metrics of the newest snapshot; empty when there was none yet."""
        return list(self.figures.metrics) if self.figures else []

    def age(self, now: float) -> float | None:
        """Seconds since the newest snapshot, None when there was none."""
        return None if self.figures_at is None else max(0.0, now - self.figures_at)

    def is_stale(self, now: float) -> bool:
        """Whether the newest snapshot is older than two ticks, or there was none."""
        age = self.age(now)
        tick = self.figures.tick_s if self.figures else 1.0
        return age is None or age > 2 * tick + 1

    def spine(self, now: float) -> dict[str, Any]:
        """The last hour as the strip under the title shows it: events a second by step, alerts by begin and end."""
        places = grid(now, SPINE_SECONDS)
        values = self.metrics.series(SPINE_METRIC, places)
        spans = self.alerts.spans(places.start)
        return {"start": places.start, "step": places.step, "values": values, "spans": spans}

    def _take_run(self, type: str, events: Sequence[Stored]) -> None:
        """Take in events of one type in a row, as `_take_one` would each: a start reads back 200,000."""
        assert self.figures_at is not None
        self.counts.record(self.figures_at, type, len(events))
        for event in events[-EVENTS_PER_TYPE:]:
            self.latest.add(event.offset, type, event.raw)

    def _take_one(self, event: Stored) -> None:
        if event.type == SNAPSHOT:
            self._take_snapshot(event.raw)
        elif event.type == PLATFORM:
            self._take_platform(event.raw)
        elif not event.type.startswith(_OWN):
            self._take_event(event)

    def _take_snapshot(self, raw: bytes) -> None:
        try:
            figures = msgspec.convert(decode(raw).data, Figures)
            at = parse_rfc3339(figures.at)
        except (msgspec.MsgspecError, ValueError):
            self.unreadable += 1
            return
        self.figures, self.figures_at = figures, at
        self.metrics.record(at, figures.metrics)

    def _take_platform(self, raw: bytes) -> None:
        data = decode(raw).data
        if isinstance(data, Mapping):
            self.platform = data
        else:
            self.unreadable += 1

    def _take_event(self, event: Stored) -> None:
        at = self.figures_at if self.figures_at is not None else _own_time(event.raw)
        if at is not None:
            self.counts.record(at, event.type)
        self.latest.add(event.offset, event.type, event.raw)
        if event.type in (ALERT_FIRING, ALERT_RESOLVED):
            self._take_alert(event)

    def _take_alert(self, stored: Stored) -> None:
        event = decode(stored.raw)
        at = _moment(event.time) or self.figures_at
        if not isinstance(event.data, Mapping) or at is None:
            self.unreadable += 1
        elif stored.type == ALERT_FIRING:
            self.alerts.fire(event.data, _begin(event.data, at))
        else:
            self.alerts.resolve(event.data, at)


def _begin(data: Mapping[str, Any], at: float) -> float:
    since = data.get("since")
    return (_moment(since) if isinstance(since, str) else None) or at


def _own_time(raw: bytes) -> float | None:
    return _moment(msgspec.json.decode(raw, type=_Glance).time)


def _moment(text: str | None) -> float | None:
    try:
        return parse_rfc3339(text) if text else None
    except ValueError:
        return None
