"""A metric over a range of time: which tier answers, in which steps, and what each step comes to. It reads no file.

A step in which the system did not run is a gap (None), one in which nothing happened a 0 where nothing is 0. A rate
divides by the seconds that were watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.event.processing.aggregates import Aggregate
from hxp_enterprise_llm.event.processing.groups import Key
from hxp_enterprise_llm.event.processing.history.memories import OTHER, Labelled, absorb, merged
from hxp_enterprise_llm.event.processing.history.model import TIERS, WATCHED, Tier
from hxp_enterprise_llm.event.processing.metrics import Accumulator, Breakdown, Metric

Read = Callable[[Sequence[Accumulator], Tier, int, int], Mapping[Accumulator, Mapping[int, Aggregate]]]
"""Memories of slots first … last of a tier."""

WHOLE = 0
"""A step as long as the range: one value for all of it."""
MOST_VALUES = 100_000
"""Values of one answer: points times label sets."""
_CHUNK_SLOTS = 1440
_TICK_SLOTS = 60
"""So far ahead is looked for a tick that has watched the slots before it."""
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_USUAL_POINTS = 500
_WHOLE_SLOTS = 60
"""A range as one step is cut to a tier of which it has so many slots at least."""

EXACTNESS = {
    "quantile": "within 1 %",
    "distinct": "exact up to 4,096, beyond that with a standard error of 1.6 %",
}
"""By kind of metric; all others are exact."""


class RangeFault(Exception):
    """A range that cannot be answered as it was asked for; `hint` says how it can."""

    def __init__(self, code: str, message: str, hint: str, **details: Any) -> None:
        super().__init__(code, message)
        self.code, self.message, self.hint, self.details = code, message, hint, details

    def __str__(self) -> str:
        return self.message


class Asked(NamedTuple):
    """What is asked for, in whole wall-clock seconds: from `begin` to before `end`."""

    metric: Metric
    breakdown: Breakdown | None
    begin: int
    end: int
    step: int | None
    """None: whatever gives a few hundred points; WHOLE: one for the whole range."""
    now: float


class Plan(NamedTuple):
    """How it is answered: steps of so many seconds out of one tier, aligned to UTC; one step for all begins with it."""

    tier: Tier
    step: int
    begin: int
    end: int
    coarser: bool
    """The steps are longer than asked for: finer ones are not kept so long."""

    @property
    def points(self) -> int:
        """How many steps."""
        return (self.end - self.begin) // self.step

    def number(self, slot: int) -> int:
        """Which of the steps a slot of the tier is in, counted from 0."""
        return (slot * self.tier.seconds - self.begin) // self.step


class Line(msgspec.Struct, frozen=True):
    """One series: a value for each time, null where there is none."""

    labels: dict[str, str]
    values: list[float | None]


def plan(asked: Asked, floors: Sequence[int], most: int) -> Plan:
    """Choose tier and step. `floors`: the first second that each tier still has. Raises RangeFault."""
    lines = asked.breakdown.source.limit + 1 if asked.breakdown else 1
    most = max(1, min(most, MOST_VALUES // lines))
    if asked.step == WHOLE:
        return _whole(asked, floors)
    step = asked.step or _usual(asked.end - asked.begin, most)
    chosen = _tier(step, asked.begin - asked.begin % step, floors)
    made = _aligned(asked, chosen, max(step, chosen.seconds))
    if made.points > most:
        least = _round((asked.end - asked.begin) / most)
        raise RangeFault(
            "too_many_points",
            f"{made.points:,} points of {made.step} s, at most {most:,} are answered",
            f"ask for step={least}s or longer, or for a shorter range",
            max_points=most,
        )
    return made


def _whole(asked: Asked, floors: Sequence[int]) -> Plan:
    """One step, its ends moved outwards to slots of a tier."""
    span = asked.end - asked.begin
    reaching = [tier for tier in TIERS if floors[tier.number] <= asked.begin] or [TIERS[-1]]
    tier = next((tier for tier in reversed(reaching) if span >= _WHOLE_SLOTS * tier.seconds), reaching[0])
    begin = asked.begin - asked.begin % tier.seconds
    end = -(-asked.end // tier.seconds) * tier.seconds
    return Plan(tier, end - begin, begin, end, False)


def _usual(span: int, most: int) -> int:
    """A round step that gives at most some hundred points."""
    return _round(span / min(most, _USUAL_POINTS))


def _round(least: float) -> int:
    """The next round step."""
    return next((step for step in _STEPS if step >= least), ceil(least / 86_400) * 86_400)


def _tier(step: int, begin: int, floors: Sequence[int]) -> Tier:
    """The coarsest tier that has the steps whole, or the finest that reaches back so far."""
    reaching = [tier for tier in TIERS if floors[tier.number] <= begin] or [TIERS[-1]]
    whole = [tier for tier in reaching if step % tier.seconds == 0]
    return whole[-1] if whole else reaching[0]


def _aligned(asked: Asked, tier: Tier, step: int) -> Plan:
    step = ceil(step / tier.seconds) * tier.seconds
    begin = asked.begin - asked.begin % step
    end = -(-asked.end // step) * step
    return Plan(tier, step, begin, end, asked.step is not None and step > asked.step)


def answer(asked: Asked, made: Plan, read: Read, limit: int) -> list[Line]:
    """The lines: the metric itself, or one for each of the `limit` largest label sets and one for the others."""
    if asked.breakdown is None:
        return [Line({}, [_value(asked.metric, step) for step in _steps(asked, made, read)])]
    rest: Key = (OTHER,) * len(asked.breakdown.labels)
    keys = [key for key in _largest(asked, made, read, limit) if key != rest]
    values: dict[Key, list[float | None]] = {key: [] for key in [*keys, rest]}
    some_rest = False
    for step in _steps(asked, made, read):
        narrowed = step.narrowed(keys)
        some_rest |= narrowed.of(rest).eventful
        for key, found in values.items():
            found.append(_value(asked.metric, narrowed.of(key)))
    if not some_rest:
        del values[rest]
    return [Line(dict(zip(asked.breakdown.labels, key, strict=True)), found) for key, found in values.items()]


class Step:
    """One step as a window: what a metric's value is read from."""

    def __init__(self, memories: Mapping[Accumulator, Aggregate], watched: float, length: float) -> None:
        self._memories, self._watched, self._length = memories, watched, length

    @property
    def known(self) -> bool:
        """Whether the system ran, or something is known all the same."""
        return self._watched > 0 or self.eventful

    @property
    def eventful(self) -> bool:
        """Whether anything happened."""
        return any(memory.n for memory in self._memories.values())

    def read(self, accumulator: Accumulator) -> Aggregate | None:
        """What the step holds; None when nothing happened."""
        return self._memories.get(accumulator)

    def observed_seconds(self, accumulator: Accumulator) -> float:
        """How much of it was watched, in seconds."""
        return min(self._watched or self._length, self._length)

    def narrowed(self, keys: Sequence[Key]) -> LabelledStep:
        """By label set, all but these added up."""
        found = {each: memory.copy() for each, memory in self._memories.items() if isinstance(memory, Labelled)}
        for memory in found.values():
            memory.keep(keys)
        return LabelledStep(found, self._watched, self._length)


class LabelledStep(NamedTuple):
    """A step by label set."""

    memories: Mapping[Accumulator, Labelled]
    watched: float
    length: float

    def of(self, key: Key) -> Step:
        """The part of one label set, under the accumulators of the metric itself."""
        memories = {
            each._replace(by=(), limit=0): found
            for each, memory in self.memories.items()
            if (found := memory.get(key)) is not None
        }
        return Step(memories, self.watched, self.length)


def _value(metric: Metric, step: Step) -> float | None:
    return metric.value(step) if step.known else None


def _wanted(asked: Asked) -> list[Accumulator]:
    pair = (asked.breakdown or asked.metric).source, (asked.breakdown or asked.metric).part
    return [accumulator for accumulator in pair if accumulator]


def _steps(asked: Asked, made: Plan, read: Read) -> Iterator[Step]:
    """Each step of the plan, out of short reads."""
    wanted = _wanted(asked)
    each = max(1, _CHUNK_SLOTS * made.tier.seconds // made.step)
    for first in range(made.begin, made.end, each * made.step):
        last = min(made.end, first + each * made.step)
        slots = first // made.tier.seconds, last // made.tier.seconds - 1
        found = read(wanted, made.tier, *slots)
        watched = _watched(read([WATCHED], made.tier, slots[0], slots[1] + _TICK_SLOTS)[WATCHED], made.tier)
        by_step = {accumulator: _by_step(found[accumulator], made) for accumulator in wanted}
        seconds: dict[int, float] = {}
        for slot, length in watched.items():
            start = made.number(slot)
            seconds[start] = seconds.get(start, 0.0) + length
        for start in range((first - made.begin) // made.step, (last - made.begin) // made.step):
            memories = {a: slots[start] for a, slots in by_step.items() if start in slots}
            length = max(1.0, min(made.step, asked.now - made.begin - start * made.step))
            yield Step(memories, seconds.get(start, 0.0), length)


def _by_step(slots: Mapping[int, Aggregate], made: Plan) -> dict[int, Any]:
    if made.step == made.tier.seconds:
        return {made.number(slot): memory for slot, memory in slots.items()}
    found: dict[int, Any] = {}
    for slot in sorted(slots):
        absorb(found, made.number(slot), slots[slot])
    return found


def _watched(slots: Mapping[int, Any], tier: Tier) -> dict[int, float]:
    """Seconds watched by slot. A tick longer than a slot has watched the slots before it."""
    found: dict[int, float] = {}
    for slot in sorted(slots):
        left = float(slots[slot].total)
        while left > 0:
            here = min(left, max(0.0, tier.seconds - found.get(slot, 0.0)))
            found[slot] = found.get(slot, 0.0) + here
            left -= here
            slot -= 1
            if here <= 0:
                break
    return found


def _largest(asked: Asked, made: Plan, read: Read, limit: int) -> list[Key]:
    """The label sets with the most events of the whole range, in their order."""
    span = made.end - made.begin
    coarser = [tier for tier in TIERS[made.tier.number :] if tier.seconds * 24 <= span]
    tier = coarser[-1] if coarser else made.tier
    whole: Any = None
    found = read(_wanted(asked)[:1], tier, made.begin // tier.seconds, (made.end - 1) // tier.seconds)
    for slots in found.values():
        for slot in sorted(slots):
            whole = merged(whole, slots[slot])
    return sorted(whole.largest(limit)) if isinstance(whole, Labelled) else []
