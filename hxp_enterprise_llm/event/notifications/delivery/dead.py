"""Deliveries that were given up: listed, and queued again by hand. Runs within a transaction of the caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select, update

from hxp_enterprise_llm.store.tables import outbox

MOST_LISTED = 500

_DEAD = and_(outbox.c.state == "dead", outbox.c.merged_into.is_(None), outbox.c.kind != "test")


class DeadLetter(NamedTuple):
    """A delivery that was given up. Times are wall-clock seconds."""

    id: int
    channel: str
    target: str
    kind: str
    priority: str
    title: str
    notification: str
    attempts: int
    created_at: float
    given_up_at: float
    reason: str
    tells: int
    """How many notifications it tells."""


def letters(connection: Connection) -> list[DeadLetter]:
    """The newest of them first."""
    members = outbox.alias("members")
    count = select(func.count()).where(members.c.merged_into == outbox.c.id).scalar_subquery()
    query = select(outbox, count.label("members")).where(_DEAD).order_by(outbox.c.id.desc()).limit(MOST_LISTED)
    return [
        DeadLetter(
            id=row.id,
            channel=row.channel,
            target=row.target,
            kind=row.payload.get("kind", row.kind),
            priority=row.payload["priority"],
            title=row.payload["title"],
            notification=row.payload["id"],
            attempts=row.attempts,
            created_at=row.created_at,
            given_up_at=row.finished_at or row.created_at,
            reason=row.last_error,
            tells=max(1, row.members),
        )
        for row in connection.execute(query)
    ]


def replay(connection: Connection, ids: Sequence[int] | None, now: float) -> list[int]:
    """Queue them again, as if they were new; None: all. Answers which; others were not dead."""
    chosen = _DEAD if ids is None else and_(_DEAD, outbox.c.id.in_(ids))
    found = list(connection.scalars(select(outbox.c.id).where(chosen).order_by(outbox.c.id)))
    again = {"state": "queued", "attempts": 0, "next_at": now, "queued_at": now, "finished_at": None}
    connection.execute(update(outbox).where(outbox.c.id.in_(found)).values(again))
    told_with_them = and_(outbox.c.merged_into.in_(found), outbox.c.state == "dead")
    connection.execute(update(outbox).where(told_with_them).values(state="merged", finished_at=None))
    return found
