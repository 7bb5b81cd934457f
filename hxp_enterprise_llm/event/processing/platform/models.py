"""Models as their callers see them: latency, time to the first token, tokens a second, errors, reasons of the end."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from hxp_enterprise_llm.config.platform import PlatformLimitsConfig
from hxp_enterprise_llm.event.processing.platform import ledger
from hxp_enterprise_llm.event.processing.platform.ledger import Row, drop_before
from hxp_enterprise_llm.event.processing.platform.minutes import Told
from hxp_enterprise_llm.event.processing.platform.names import Kept, bump, clip, merge
from hxp_enterprise_llm.event.processing.sketch import Sketch

HOURS_KEPT = 24
_STRETCH_HOURS = 3
"""Sketches are kept for stretches of three hours: by the hour they would take three times the memory."""
_STRETCHES_KEPT = HOURS_KEPT // _STRETCH_HOURS
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


class Stretch(msgspec.Struct):
    """One stretch of a model."""

    requests: int = 0
    failed: int = 0
    output_tokens: int = 0
    latency: Sketch = msgspec.field(default_factory=Sketch)
    first_token: Sketch = msgspec.field(default_factory=Sketch)
    """Both in milliseconds."""
    speed: Sketch = msgspec.field(default_factory=Sketch)
    """Tokens out a second of one request, from its first token on."""
    finishes: dict[str, int] = {}
    errors: dict[str, int] = {}

    def count(self, row: Row) -> None:
        """Count events that share this model and stretch."""
        self.requests += row[ledger.REQUESTS]
        self.failed += row[ledger.FAILED]
        self.output_tokens += row[ledger.OUTPUT]

    def tell(self, told: Told) -> None:
        """Take in what they tell of themselves."""
        mine = self.latency, self.first_token, self.speed
        for sketch, values in zip(mine, told.figures, strict=True):
            if values:
                sketch.update(values)
        for sketch, gathered in zip(mine, told.sketches, strict=False):
            sketch.absorb(gathered)
        for counts, names in ((self.finishes, told.finishes), (self.errors, told.errors)):
            for name, times in names.items():
                bump(counts, clip(name), times)

    def absorb(self, other: Self) -> None:
        """Add another's."""
        self.requests += other.requests
        self.failed += other.failed
        self.output_tokens += other.output_tokens
        self.latency.absorb(other.latency)
        self.first_token.absorb(other.first_token)
        self.speed.absorb(other.speed)
        merge(self.finishes, other.finishes)
        merge(self.errors, other.errors)


class Model(msgspec.Struct):
    """One model, by stretch."""

    count: int = 0
    stretches: dict[int, Stretch] = {}

    @property
    def weight(self) -> int:
        return self.count

    def at(self, number: int) -> Stretch:
        """A stretch of it."""
        found = self.stretches.get(number)
        if found is None:
            found = self.stretches[number] = Stretch()
        return found

    def absorb(self, other: Self) -> None:
        """Add another model's."""
        self.count += other.count
        for number, each in other.stretches.items():
            self.at(number).absorb(each)

    def joined(self, since: int) -> Stretch:
        """All from a stretch on in one."""
        total = Stretch()
        for number, each in self.stretches.items():
            if number >= since:
                total.absorb(each)
        return total


class Models(msgspec.Struct):
    """All models."""

    kept: Kept[Model] = msgspec.field(default_factory=Kept)

    def take(self, name: str, minute: int, row: Row, told: Told | None, limits: PlatformLimitsConfig) -> None:
        """Take events in that share a model, and what requests to it tell of themselves."""
        count = row[ledger.REQUESTS] + row[ledger.FAILED]
        if not (count or row[ledger.OUTPUT] or told):
            return
        model = self.kept.at(clip(name), Model, limits.models)
        model.count += count
        stretch = model.at(minute // (60 * _STRETCH_HOURS))
        stretch.count(row)
        if told is not None:
            stretch.tell(told)

    def forget(self, newest: float) -> None:
        """Drop stretches that are too old when the newest event is of this time."""
        for model in self.kept.everything():
            drop_before(model.stretches, _oldest(newest))


def view(models: Models, limit: int, now: float) -> dict[str, Any]:
    """What GET /api/v2/models answers: 24 hours in whole stretches, and the stretch that has begun."""
    named, rest = models.kept.top(limit, Model)
    since = _oldest(now)
    answer = [model_view(name, model.joined(since)) for name, model in named]
    if rest.count:
        answer.append(model_view(None, rest.joined(since)))
    return {"window_hours": HOURS_KEPT, "models": answer}


def _oldest(seconds: float) -> int:
    return int(seconds) // (3600 * _STRETCH_HOURS) - _STRETCHES_KEPT


def model_view(name: str | None, total: Stretch) -> dict[str, Any]:
    """One model as it is answered; what is not known is null."""
    asked = total.requests + total.failed
    return {
        "model": name,
        "requests": total.requests,
        "failed_requests": total.failed,
        "error_ratio": total.failed / asked if asked else None,
        "output_tokens": total.output_tokens,
        "latency_ms": quantiles(total.latency),
        "time_to_first_token_ms": quantiles(total.first_token),
        "tokens_per_second": quantiles(total.speed),
        "finish_reasons": dict(sorted(total.finishes.items())),
        "errors": dict(sorted(total.errors.items())),
    }


def quantiles(sketch: Sketch) -> dict[str, float | None]:
    """The usual quantiles."""
    return {name: sketch.quantile(q) for name, q in QUANTILES}
