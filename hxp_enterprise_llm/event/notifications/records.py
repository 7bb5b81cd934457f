"""The rows of the store that this room reads and writes; each function runs within a transaction of its caller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Text, and_, delete, func, select, type_coerce, update

from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.model import LOG_CHANNEL, Notification, delivery_key, thread_of
from hxp_enterprise_llm.event.notifications.outbox import STREAMS, WAITING, Recipient
from hxp_enterprise_llm.event.notifications.rules.snapshots import Place
from hxp_enterprise_llm.store.tables import alert_group, alert_state, cursor, delivery_thread, outbox

_MOST_PARAMETERS = 500
_MOST_DELIVERIES = 50
"""Of one episode that are shown."""
_CLOCK_SECONDS = 3600.0
"""The wall clock may have been set since."""


class Recent(NamedTuple):
    """How the deliveries of a channel went. `last` is its latest delivery that was tried."""

    counts: dict[str, int]
    last: dict[str, Any] | None


class Delivered(NamedTuple):
    """What has become of a delivery that tells of an episode. Times are wall-clock seconds."""

    episode: str
    channel: str
    target: str
    kind: str
    state: str
    attempts: int
    at: float
    error: str


def load_cursor(connection: Connection, name: str) -> Place | None:
    """Where a reader was; None at the first start."""
    row = connection.execute(select(cursor).where(cursor.c.name == name)).first()
    return Place(row.epoch, Offset(row.offset)) if row else None


def save_cursor(connection: Connection, name: str, place: Place) -> None:
    """Remember where a reader is."""
    values = {"epoch": place.epoch, "offset": place.offset}
    if not connection.execute(update(cursor).where(cursor.c.name == name).values(values)).rowcount:
        connection.execute(cursor.insert().values(name=name, **values))


def enqueue(connection: Connection, notification: Notification, to: Iterable[Recipient], now: Instant) -> None:
    """Queue a notification for its recipients. What is already there is left alone."""
    enqueue_all(connection, [(notification, to)], now)


def enqueue_all(
    connection: Connection, queue: Iterable[tuple[Notification, Iterable[Recipient]]], now: Instant
) -> None:
    """Queue notifications in their order; only then see which ends are to be told alone."""
    rows: dict[str, dict[str, Any]] = {}
    ended: dict[str, None] = {}
    for notification, to in queue:
        payload, thread = msgspec.to_builtins(notification), thread_of(notification)
        for channel, target in to:
            row = _queued(notification, payload, thread, channel, target, now)
            rows.setdefault(row["idempotency_key"], row)
        if notification.kind == "resolved":
            ended[thread] = None
    for keys in _chunks(list(rows)):
        known = select(outbox.c.idempotency_key).where(outbox.c.idempotency_key.in_(keys))
        for key in connection.scalars(known):
            del rows[key]
    if rows:
        connection.execute(outbox.insert(), list(rows.values()))
    for thread in ended:
        _supersede(connection, thread)


def _queued(
    notification: Notification, payload: Any, thread: str, channel: str, target: str, now: Instant
) -> dict[str, Any]:
    return {
        "episode": notification.episode,
        "thread": thread,
        "seq": notification.seq,
        "kind": "test" if notification.test else notification.kind,
        "channel": channel,
        "target": target,
        "payload": payload,
        "state": "queued",
        "attempts": 0,
        "next_at": now.steady,
        "created_at": now.wall,
        "queued_at": now.steady,
        "last_error": "",
        "idempotency_key": delivery_key(notification, channel, target),
    }


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _MOST_PARAMETERS):
        yield keys[start : start + _MOST_PARAMETERS]


def _supersede(connection: Connection, thread: str) -> None:
    """Where nobody has been told that an alert fires, its end alone is told, and says both."""
    people = and_(outbox.c.thread == thread, outbox.c.channel.not_in(STREAMS))
    told = and_(people, outbox.c.state.in_(("sent", "in_flight", "merged")))
    if connection.scalar(select(func.count()).where(told)):
        return
    firing = connection.execute(
        select(outbox.c.id, outbox.c.channel, outbox.c.target).where(
            people, outbox.c.kind == "firing", outbox.c.state.in_(("queued", "retry"))
        )
    ).all()
    for row in firing:
        same = and_(people, outbox.c.channel == row.channel, outbox.c.target == row.target)
        later = and_(same, outbox.c.id > row.id, outbox.c.state.in_(WAITING), outbox.c.kind != "firing")
        following = select(outbox.c.id, outbox.c.kind, outbox.c.state).where(later).order_by(outbox.c.id).limit(1)
        # Not past anything else: that would wait for the end, and the end for it.
        end = connection.execute(following).first()
        if end is not None and (end.kind, end.state) == ("resolved", "queued"):
            connection.execute(update(outbox).where(outbox.c.id == row.id).values(state="merged", merged_into=end.id))


def told(connection: Connection, episode: str) -> list[Recipient]:
    """Who was told, or will be, that this alert fires: they are told its end."""
    query = select(outbox.c.channel, outbox.c.target).where(outbox.c.episode == episode, outbox.c.kind == "firing")
    return [(row.channel, row.target) for row in connection.execute(query.order_by(outbox.c.id))]


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


def deliveries_of(connection: Connection, episodes: Iterable[str]) -> list[Delivered]:
    """The deliveries to people and programs that tell of these episodes, alone or in a group; the newest, in order."""
    return [each for episode in episodes for each in _deliveries_of(connection, episode)]


def _deliveries_of(connection: Connection, episode: str) -> list[Delivered]:
    # It cannot have been told before it began: so the payloads of all others are not looked at.
    began = int(episode.rpartition("-")[2]) / 1000 if episode.rpartition("-")[2].isdecimal() else 0.0
    mentions = func.instr(type_coerce(outbox.c.payload, Text), episode) > 0
    tells = and_(outbox.c.created_at >= began - _CLOCK_SECONDS, outbox.c.channel != LOG_CHANNEL, mentions)
    rows = connection.execute(select(outbox).where(tells).order_by(outbox.c.id.desc()).limit(_MOST_DELIVERIES)).all()
    return [
        Delivered(
            episode,
            row.channel,
            row.target,
            row.kind,
            row.state,
            row.attempts,
            row.finished_at or row.created_at,
            row.last_error,
        )
        for row in reversed(rows)
    ]


def prune(connection: Connection, before: float) -> int:
    """Drop finished deliveries older than that, except those of alerts that are still open; answers how many."""
    open_episodes = select(alert_state.c.episode).where(alert_state.c.episode != "")
    open_threads = select(alert_group.c.thread).where(alert_group.c.thread != "")
    old = and_(outbox.c.state.in_(("sent", "dead")), outbox.c.created_at < before)
    closed = and_(outbox.c.episode.not_in(open_episodes), outbox.c.episode.not_in(open_threads))
    dropped = connection.execute(delete(outbox).where(old, closed)).rowcount
    told = select(outbox.c.thread)
    # What Alertmanager is told again and again is dropped when it is over, however long that takes.
    ours = delivery_thread.c.channel != "alertmanager"
    forgotten = and_(ours, delivery_thread.c.updated < before, delivery_thread.c.thread.not_in(told))
    connection.execute(delete(delivery_thread).where(forgotten))
    return dropped
