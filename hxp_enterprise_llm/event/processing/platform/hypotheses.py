"""Hypotheses: formed, validated, refuted; and how fast agents learn."""

from __future__ import annotations

from typing import Any, Literal, Self

import msgspec

from hxp_enterprise_llm.config.platform import PlatformLimitsConfig
from hxp_enterprise_llm.event.processing.platform.days import day_name
from hxp_enterprise_llm.event.processing.platform.ledger import DAYS_KEPT, drop_before
from hxp_enterprise_llm.event.processing.platform.names import Kept, clip
from hxp_enterprise_llm.event.processing.platform.reading import Events, Hypothesis
from hxp_enterprise_llm.event.processing.sketch import Sketch

Step = Literal["formed", "validated", "refuted"]
STEPS: tuple[Step, ...] = ("formed", "validated", "refuted")
_VELOCITY_DAYS = 7


class Counts(msgspec.Struct):
    """How many hypotheses of an agent or domain took which step."""

    formed: int = 0
    validated: int = 0
    refuted: int = 0

    @property
    def weight(self) -> int:
        return self.formed + self.validated + self.refuted

    def count(self, step: Step) -> None:
        """One more."""
        setattr(self, step, getattr(self, step) + 1)

    def absorb(self, other: Self) -> None:
        """Add another's."""
        self.formed += other.formed
        self.validated += other.validated
        self.refuted += other.refuted


class Course(msgspec.Struct):
    """When one hypothesis took each step, the first time."""

    formed: float | None = None
    validated: float | None = None
    refuted: float | None = None

    def decided_after(self) -> float | None:
        """Seconds from its forming to its first decision."""
        decided = [at for at in (self.validated, self.refuted) if at is not None]
        return None if self.formed is None or not decided else max(0.0, min(decided) - self.formed)


class Hypotheses(msgspec.Struct):
    """All hypotheses. The courses of the newest are kept; `decided` has those that had to give way."""

    total: Counts = msgspec.field(default_factory=Counts)
    agents: Kept[Counts] = msgspec.field(default_factory=Kept)
    domains: Kept[Counts] = msgspec.field(default_factory=Kept)
    days: dict[int, Counts] = {}
    courses: dict[str, Course] = {}
    decided: Sketch = msgspec.field(default_factory=Sketch)
    """Seconds to a decision."""

    def take(self, events: Events[Hypothesis], step: Step, limits: PlatformLimitsConfig) -> None:
        """Take hypotheses in that took a step."""
        for at, each in zip(*events, strict=True):
            day = self.days.setdefault(int(at) // 86400, Counts())
            agent = self.agents.at(clip(each.agent), Counts, limits.agents)
            for counts in (self.total, day, agent):
                counts.count(step)
            if each.domain is not None:
                self.domains.at(clip(each.domain), Counts, limits.agents).count(step)
            course = self._course(clip(each.hypothesis), limits.hypotheses)
            before = getattr(course, step)
            setattr(course, step, at if before is None else min(before, at))

    def _course(self, name: str, limit: int) -> Course:
        found = self.courses.get(name)
        if found is None:
            if len(self.courses) >= limit:
                after = self.courses.pop(next(iter(self.courses))).decided_after()
                if after is not None:
                    self.decided.update([after])
            found = self.courses[name] = Course()
        return found

    def forget(self, newest: float) -> None:
        """Drop days that are too old when the newest event is of this time."""
        drop_before(self.days, int(newest) // 86400 - DAYS_KEPT)

    def times(self) -> Sketch:
        """Seconds to a decision, of all."""
        total = self.decided.copy()
        if known := [after for course in self.courses.values() if (after := course.decided_after()) is not None]:
            total.update(known)
        return total


def view(hypotheses: Hypotheses, limit: int, now: float) -> dict[str, Any]:
    """What GET /api/v2/hypotheses answers.

    The learning velocity is the number of hypotheses validated a day, over the last 7 days, today's part included.
    """
    today = int(now) // 86400
    recent = [hypotheses.days.get(day, Counts()).validated for day in range(today - _VELOCITY_DAYS + 1, today + 1)]
    passed = _VELOCITY_DAYS - 1 + (now % 86400) / 86400
    times = hypotheses.times()
    return _counts(hypotheses.total) | {
        "open": sum(c.formed is not None and c.decided_after() is None for c in hypotheses.courses.values()),
        "learning_velocity_per_day": sum(recent) / passed if passed else None,
        "seconds_to_decision": {"p50": times.quantile(0.5), "p95": times.quantile(0.95)},
        "by_agent": [{"agent": name} | _counts(each) for name, each in hypotheses.agents.ranked()[:limit]],
        "by_domain": [{"domain": name} | _counts(each) for name, each in hypotheses.domains.ranked()[:limit]],
        "by_day": [{"day": day} | _counts(each) for day, each in _named_days(hypotheses)],
    }


def _named_days(hypotheses: Hypotheses) -> list[tuple[str, Counts]]:
    return [(day_name(day), each) for day, each in sorted(hypotheses.days.items())]


def _counts(counts: Counts) -> dict[str, Any]:
    decided = counts.validated + counts.refuted
    return {step: getattr(counts, step) for step in STEPS} | {
        "validated_ratio": counts.validated / decided if decided else None
    }
