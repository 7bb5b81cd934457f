"""The forecast at work: looks into the history every few seconds, learns each hour once it is over, and tells.

All it knows it has from the history's hours, so that after a restart it learns them again and knows the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from hxp_enterprise_llm.config.history import ForecastConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.model import Encoded, rfc3339
from hxp_enterprise_llm.event.processing.forecast.anomaly import Change, Detector, Judged
from hxp_enterprise_llm.event.processing.forecast.blend import Blend
from hxp_enterprise_llm.event.processing.forecast.model import (
    Anomaly,
    Budget,
    TokensForecast,
    anomaly_event,
    band,
    cover_of,
    hourly_event,
    not_ready,
    spans,
)
from hxp_enterprise_llm.event.processing.forecast.outlook import HOUR, MOST_HOURS, Outlook, exhaustion, outlook
from hxp_enterprise_llm.event.processing.forecast.reading import Seen, look, oldest
from hxp_enterprise_llm.event.processing.history.history import History, HistoryAway
from hxp_enterprise_llm.event.processing.history.model import HOURS, MINUTES
from hxp_enterprise_llm.event.processing.history.reading import Reader
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.runtime.outage import Outage
from hxp_enterprise_llm.telemetry.history_metrics import ForecastMetrics

log = structlog.get_logger("forecast")

_LOOK_SECONDS = 2.0
_LEARNT_SECONDS, _JUDGED_SECONDS = 90 * 86_400, 7 * 86_400
_TOLD_WITHIN = 600.0
"""What is older than this is not told any more: an earlier run did. A repeat within it the log recognises."""

Append = Callable[[list[Encoded]], Awaitable[Any]]


class Forecaster:
    """One a history. Spawn `run`."""

    def __init__(
        self,
        config: ForecastConfig,
        history: History,
        append: Append,
        *,
        clock: Clock,
        telemetry: ForecastMetrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._config, self._history, self._append = config, history, append
        self._clock, self._telemetry, self._sleep = clock, telemetry, sleep
        self._interval_seconds = int(seconds(config.anomaly.interval))
        self._blend = Blend()
        self._detector = Detector(config.anomaly.threshold, config.anomaly.least, config.anomaly.of)
        self._hour = self._interval = 0
        self._seen: Seen | None = None
        self._judged: tuple[Judged, float] | None = None
        self._since: float | None = None
        self._values: dict[str, float | None] = {}
        self._appending = Outage(log, "forecast.append")

    async def run(self) -> None:
        """Look, learn and tell, for ever."""
        while True:
            try:
                await self.step()
            except HistoryAway:
                # The history says itself what is wrong with it.
                self._seen = None
            await self._sleep(_LOOK_SECONDS)

    async def step(self) -> None:
        """One look. Raises HistoryAway."""
        now = self._clock.time()
        seen = await self._history.ask(lambda reader: self._look(reader, now))
        if seen is None:
            return
        self._seen = seen
        told = [*self._learn(seen, now), *self._judge(seen, now)]
        self._show()
        if told:
            await self._tell(told)

    def _look(self, reader: Reader, now: float) -> Seen | None:
        hour, interval = self._hour, self._interval
        if not hour:
            hour = oldest(reader, HOURS, now, _LEARNT_SECONDS)
            interval = oldest(reader, MINUTES, now, _JUDGED_SECONDS) * 60 // self._interval_seconds
        seen = look(reader, now, hour, interval, self._interval_seconds)
        if seen is not None:
            self._hour, self._interval = hour, interval
        return seen

    def _learn(self, seen: Seen, now: float) -> list[Encoded]:
        """Learn the hours that are over; answers what is to be told of the one that has begun."""
        for amount in seen.hours:
            self._blend.learn(amount)
        self._hour += len(seen.hours)
        said = self._blend.forecast()
        if not seen.hours or said is None or now - self._hour * HOUR > _TOLD_WITHIN:
            return []
        return [hourly_event(self._blend, said, self._hour, seen.hours[-1], now)]

    def _judge(self, seen: Seen, now: float) -> list[Encoded]:
        """Judge the intervals that are over; answers the anomalies to be told."""
        told = []
        for amount in seen.intervals:
            at = self._interval * self._interval_seconds
            self._interval += 1
            if amount is None:
                continue
            judged, change = self._detector.learn(amount)
            self._judged = judged, amount
            if change:
                told += self._changed(change, amount, at, now)
        return told

    def _changed(self, change: Change, amount: float, at: float, now: float) -> list[Encoded]:
        self._since = at if change.started else None
        if now - at - self._interval_seconds > _TOLD_WITHIN:
            return []
        log.info("forecast.anomaly", started=change.started, tokens=amount, deviations=round(change.judged.score, 1))
        return [anomaly_event(change, amount, at, self._interval_seconds, now)]

    async def _tell(self, told: list[Encoded]) -> None:
        try:
            await self._append(told)
        except LogError as error:
            self._appending.failed(error)
        else:
            self._appending.worked()

    def _outlook(self, hours: int) -> tuple[Outlook, float] | None:
        if self._seen is None:
            return None
        passed = min(1.0, max(0.0, (self._seen.until - self._hour * HOUR) / HOUR))
        return outlook(self._blend, self._seen.so_far, passed, hours), passed

    def _show(self) -> None:
        values = self._values = self._current()
        for bound, name in (("expected", "tokens_next_hour"), ("upper", "tokens_next_hour_upper")):
            value = values[name]
            self._telemetry.tokens.labels(bound).set(float("nan") if value is None else value)
        self._telemetry.anomaly.set(self._detector.active)

    def values(self) -> Mapping[str, float | None]:
        """What rules may refer to, as of the last look: see `config/extras.py`."""
        return self._values

    def _current(self) -> dict[str, float | None]:
        found = self._outlook(1)
        said = found[0].next_hour if found else None
        return {
            "tokens_next_hour": said.value if said else None,
            "tokens_next_hour_upper": said.upper if said else None,
            "tokens_anomaly": None if self._judged is None else float(self._detector.active),
        }

    def answer(self, hours: int, budget: int | None) -> TokensForecast:
        """The forecast as it is asked for; `budget`: tokens that are left."""
        found = self._outlook(MOST_HOURS)
        if found is None or self._seen is None:
            return not_ready(self._clock.time(), self._blend, self._anomaly())
        expected, passed = found
        this = spans([expected.this_hour], self._hour * HOUR) if expected.this_hour else []
        return TokensForecast(
            ready=True,
            at=rfc3339(self._seen.until),
            next_hour=band(expected.next_hour),
            this_hour=this[0] if this else None,
            so_far=int(self._seen.so_far),
            ahead=spans(expected.ahead[:hours], (self._hour + 1) * HOUR),
            cold=self._blend.cold,
            hours_known=self._blend.hours,
            cover=cover_of(self._blend),
            budget=self._budget(self._seen, expected, passed, budget),
            anomaly=self._anomaly(),
        )

    def _budget(self, seen: Seen, expected: Outlook, passed: float, asked: int | None) -> Budget | None:
        """Of the day, which ends at midnight; or of the tokens that somebody asks for."""
        if asked is None and not self._config.tokens_per_day:
            return None
        used = int(seen.today) if asked is None else 0
        tokens = self._config.tokens_per_day if asked is None else asked
        remaining = max(0, tokens - used)
        midnight = 86_400 - seen.until % 86_400 if asked is None else float("inf")
        moments = [
            None if after is None or after > midnight else rfc3339(seen.until + after)
            for after in exhaustion(expected, passed, remaining)
        ]
        return Budget(tokens, used, remaining, *moments)

    def _anomaly(self) -> Anomaly:
        judged, value = self._judged or (None, None)
        return Anomaly(
            self._detector.active,
            None if self._since is None else rfc3339(self._since),
            value,
            None if judged is None else round(judged.usual, 1),
            None if judged is None else round(judged.score, 2),
            self._interval_seconds,
        )
