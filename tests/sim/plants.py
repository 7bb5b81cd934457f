"""Faults planted in the program for the time of a run: the simulator must find each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from hxp_enterprise_llm.event.log.model import Health
from hxp_enterprise_llm.event.log.sqlite import segments as segments_module
from hxp_enterprise_llm.event.log.sqlite.log import SqliteLog
from hxp_enterprise_llm.event.log.sqlite.segment import SegmentWriter
from hxp_enterprise_llm.event.log.sqlite.store import Store
from hxp_enterprise_llm.event.streaming.channel import Channel
from hxp_enterprise_llm.event.streaming.cursor import Cursor
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.event.streaming.gateway import Gateway
from hxp_enterprise_llm.event.streaming.ring import Ring

Patch = tuple[Any, str, Callable[..., Any]]


def _answer_before_commit() -> Patch:
    """A commit is written down only with the next one."""
    insert = SegmentWriter.insert
    late: dict[int, Sequence[Any]] = {}

    def lazy(writer: SegmentWriter, records: Sequence[Any]) -> None:
        # One writer at a time: what an earlier one still had is lost, as its process was.
        before = late.pop(id(writer), ())
        late.clear()
        late[id(writer)] = records
        if before:
            insert(writer, before)

    return SegmentWriter, "insert", lazy


def _moved(step: int) -> Callable[[], Patch]:
    def make() -> Patch:
        cursor = Gateway._cursor

        def moved(gateway: Gateway, channel: Channel, wish: Any, after: Cursor | None) -> Cursor:
            right = cursor(gateway, channel, wish, after)
            resumes = after is not None and after.offset > 0
            return replace(right, offset=max(0, right.offset + step)) if resumes else right

        return Gateway, "_cursor", moved

    return make


def _ring_hole() -> Patch:
    """Each fiftieth message is not kept for those who read from memory."""
    extend = Ring.extend

    def forgetful(ring: Ring, messages: Sequence[Message]) -> None:
        extend(ring, [message for message in messages if message.offset % 50])

    return Ring, "extend", forgetful


def _forget_identities() -> Patch:
    """The window of repeats is not rebuilt at a start."""
    return Store, "_fill_window", lambda store: None


def _trust_the_end() -> Patch:
    """A log that is shorter than its note goes on under its old epoch."""
    return segments_module, "_lost_tail", lambda active, witnessed: ""


def _lying_health() -> Patch:
    """The log is always well."""
    health = SqliteLog.health

    async def lie(log: SqliteLog) -> Health:
        found = await health(log)
        return Health(
            **{name: getattr(found, name) for name in found.__struct_fields__}
            | {"status": "ok", "reason": "", "findings": ()}
        )

    return SqliteLog, "health", lie


def _real_time() -> Patch:
    """A decision looks at the clock of the machine."""
    import time

    commit = Store.commit

    def timed(store: Store, batches: Any) -> Any:
        _ask(time)
        return commit(store, batches)

    def _ask(module: Any) -> None:
        namespace = {"__name__": "hxp_enterprise_llm.planted", "time": module}
        exec("time.time()", namespace)

    return Store, "commit", timed


PLANTS: dict[str, tuple[Callable[[], Patch], str]] = {
    "answer_before_commit": (_answer_before_commit, "I1"),
    "forget_identities": (_forget_identities, "I1"),
    "trust_the_end": (_trust_the_end, "I2"),
    "resume_one_late": (_moved(1), "I3"),
    "resume_one_early": (_moved(-1), "I3"),
    "ring_hole": (_ring_hole, "I3"),
    "lying_health": (_lying_health, "I7"),
    "real_time": (_real_time, "escape:"),
}
"""Name → how it is planted, and the invariant that it breaks."""


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """The program with one fault. An empty name: as it is."""
    if not name:
        yield
        return
    place, attribute, value = PLANTS[name][0]()
    before = getattr(place, attribute)
    setattr(place, attribute, value)
    try:
        yield
    finally:
        setattr(place, attribute, before)
