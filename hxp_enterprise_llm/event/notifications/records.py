"""The rows of the store that this room reads and writes; each function runs within a transaction of its caller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, and_, delete, exists, func, select, update

from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.notifications.model import Delivery, Notification, delivery_key
from hxp_enterprise_llm.event.notifications.outbox import WAITING, Recipient, Verdict
from hxp_enterprise_llm.event.notifications.rules.snapshots import Place
from hxp_enterprise_llm.store.tables import alert_group, alert_state, cursor, outbox


class Claim(NamedTuple):
    """The next delivery of a channel, or when the next is due; and what waits there at all."""

    delivery: Delivery | None
    due: float | None
    depth: int
    oldest: float | None


class Recent(NamedTuple):
    """How the deliveries of a channel went. `last` is its latest delivery that was tried."""

    counts: dict[str, int]
    last: dict[str, Any] | None


def load_cursor(connection: Connection, name: str) -> Place | None:
    """Where a reader was; None at the first start."""
    row = connection.execute(select(cursor).where(cursor.c.name == name)).first()
    return Place(row.epoch, Offset(row.offset)) if row else None


def save_cursor(connection: Connection, name: str, place: Place) -> None:
    """Remember where a reader is."""
    values = {"epoch": place.epoch, "offset": place.offset}
    if not connection.execute(update(cursor).where(cursor.c.name == name).values(values)).rowcount:
        connection.execute(cursor.insert().values(name=name, **values))


def enqueue(connection: Connection, notification: Notification, to: Iterable[Recipient], now: float) -> None:
    """Queue a notification for its recipients. What is already there is left alone."""
    payload = msgspec.to_builtins(notification)
    for channel, target in to:
        key = delivery_key(notification, channel, target)
        if connection.scalar(select(outbox.c.id).where(outbox.c.idempotency_key == key)) is None:
            connection.execute(
                outbox.insert().values(
                    episode=notification.episode,
                    seq=notification.seq,
                    kind=notification.kind,
                    channel=channel,
                    target=target,
                    payload=payload,
                    state="queued",
                    attempts=0,
                    next_at=now,
                    created_at=now,
                    last_error="",
                    idempotency_key=key,
                )
            )


def told(connection: Connection, episode: str) -> list[Recipient]:
    """Who was told, or will be, that this alert fires: they are told its end."""
    query = select(outbox.c.channel, outbox.c.target).where(outbox.c.episode == episode, outbox.c.kind == "firing")
    return [(row.channel, row.target) for row in connection.execute(query.order_by(outbox.c.id))]


def claim(connection: Connection, channel: str, now: float) -> Claim:
    """Take the delivery of a channel that has been due longest; it is in flight from here on."""
    waiting = connection.execute(
        select(func.count(), func.min(outbox.c.created_at)).where(
            outbox.c.channel == channel, outbox.c.state.in_(WAITING)
        )
    ).one()
    row = connection.execute(_next_of(channel)).first()
    if row is None or row.next_at > now:
        return Claim(None, row.next_at if row else None, *waiting)
    in_flight = {"state": "in_flight", "attempts": row.attempts + 1}
    connection.execute(update(outbox).where(outbox.c.id == row.id).values(in_flight))
    notification = msgspec.convert(row.payload, Notification)
    delivery = Delivery(
        row.id, channel, row.target, row.idempotency_key, row.attempts + 1, row.created_at, notification
    )
    return Claim(delivery, None, *waiting)


def _next_of(channel: str) -> Any:
    earlier = outbox.alias("earlier")
    # Nobody hears that an alert ended before hearing that it began.
    behind = exists().where(
        earlier.c.episode == outbox.c.episode,
        earlier.c.channel == outbox.c.channel,
        earlier.c.target == outbox.c.target,
        earlier.c.id < outbox.c.id,
        earlier.c.state.in_(WAITING),
    )
    ready = and_(outbox.c.channel == channel, outbox.c.state.in_(("queued", "retry")), ~behind)
    return select(outbox).where(ready).order_by(outbox.c.next_at, outbox.c.id).limit(1)


def settle(connection: Connection, delivery: Delivery, verdict: Verdict, now: float) -> None:
    """Write down what became of an attempt."""
    values = {
        "state": verdict.state,
        "next_at": verdict.next_at,
        "last_error": verdict.error,
        "sent_at": now if verdict.state == "sent" else None,
    }
    connection.execute(update(outbox).where(outbox.c.id == delivery.id).values(values))


def recover(connection: Connection, now: float) -> int:
    """What was in flight when the process ended is tried again at once; answers how many."""
    values = {"state": "retry", "next_at": now, "last_error": "the process ended during the attempt"}
    return connection.execute(update(outbox).where(outbox.c.state == "in_flight").values(values)).rowcount


def recent(connection: Connection) -> dict[str, Recent]:
    """Counts by state and the latest attempt of every channel that has deliveries."""
    found: dict[str, Recent] = {}
    query = select(outbox.c.channel, outbox.c.state, func.count()).group_by(outbox.c.channel, outbox.c.state)
    for channel, state, count in connection.execute(query):
        found.setdefault(channel, Recent({}, None)).counts[state] = count
    return {name: entry._replace(last=_latest(connection, name)) for name, entry in found.items()}


def _latest(connection: Connection, channel: str) -> dict[str, Any] | None:
    tried = and_(outbox.c.channel == channel, outbox.c.attempts > 0)
    row = connection.execute(select(outbox).where(tried).order_by(outbox.c.id.desc()).limit(1)).first()
    if row is None:
        return None
    return {"state": row.state, "attempts": row.attempts, "at": row.sent_at or row.created_at, "error": row.last_error}


def prune(connection: Connection, before: float) -> int:
    """Drop finished deliveries older than that, except those of alerts that are still open; answers how many."""
    open_episodes = select(alert_state.c.episode).where(alert_state.c.episode != "")
    open_threads = select(alert_group.c.thread).where(alert_group.c.thread != "")
    old = and_(outbox.c.state.in_(("sent", "dead")), outbox.c.created_at < before)
    closed = and_(outbox.c.episode.not_in(open_episodes), outbox.c.episode.not_in(open_threads))
    return connection.execute(delete(outbox).where(old, closed)).rowcount
