"""When a group is due: its wait, its interval, exact repeats, escalation. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.routing.dedup import Standing, Why, change
from hxp_enterprise_llm.event.notifications.routing.model import Group, Known
from hxp_enterprise_llm.event.notifications.routing.table import Path


class Agenda(NamedTuple):
    """What a group has before it. Steady seconds; None: nothing."""

    why: Why | None
    change: float | None
    repeat: float | None
    escalation: float | None

    @property
    def next(self) -> float | None:
        """The earliest of them."""
        return min((each for each in (self.change, self.repeat, self.escalation) if each is not None), default=None)


def agenda(group: Group, path: Path | None, standing: Standing, visible: dict[str, Known], now: Instant) -> Agenda:
    """What is due when. `visible` are the alerts that may be told; without a `path` only ends are told, at once."""
    why = change(standing)
    if path is None:
        return Agenda(why, now.steady if why else None, None, None)
    urgent = any(visible[each].alert.priority == "critical" for each in standing.new)
    due = _change_due(group, path, urgent, now) if why else None
    open_ = [visible[each] for each in standing.visible & group.told.keys()]
    return Agenda(why, due, _repeat_due(group, path, open_), _escalation_due(group, path, open_))


def _change_due(group: Group, path: Path, urgent: bool, now: Instant) -> float:
    if urgent:
        return now.steady
    if group.due is not None:
        return group.due
    if group.flushed is None:
        return group.began + path.pace.wait
    return next_tick(group.flushed, path.pace.interval, now.steady)


def next_tick(base: float, interval: float, now: float) -> float:
    """The next multiple of the interval after `base` that is not past; never `base` itself."""
    if interval <= 0:
        return now
    return base + max(1, math.ceil((now - base) / interval)) * interval


def _repeat_due(group: Group, path: Path, open_: list[Known]) -> float | None:
    waiting = [known for known in open_ if known.ack is None]
    if not waiting:
        return None
    if any(known.lapsed > group.told_at for known in waiting):
        return group.told_at  # past: whoever took it on has not dealt with it
    return group.told_at + path.pace.repeat if path.pace.repeat > 0 else None


class Step(NamedTuple):
    """A step of escalation that an alert has before it. `due` in steady seconds; `number` within its route."""

    due: float
    number: int
    fingerprint: str


def steps_ahead(group: Group, path: Path, open_: Iterable[Known]) -> Iterator[Step]:
    """Each alert has a clock of its own, which an acknowledgement that runs out starts anew."""
    for known in open_ if path.escalate else ():
        fingerprint = known.fingerprint
        began = max(group.since.get(fingerprint, group.told_at), known.lapsed)
        taken = group.steps.get(fingerprint, ())
        for number, step in enumerate(path.escalate):
            if (number < len(taken) and taken[number] >= began) or (step.unacked and known.ack is not None):
                continue
            yield Step(began + step.after, number, fingerprint)


def taken(steps: tuple[float, ...], number: int, now: float) -> tuple[float, ...]:
    """The steps of an alert once one more is taken."""
    padded = steps + (0.0,) * (number + 1 - len(steps))
    return (*padded[:number], now, *padded[number + 1 :])


def _escalation_due(group: Group, path: Path, open_: list[Known]) -> float | None:
    return min((step.due for step in steps_ahead(group, path, open_)), default=None)
