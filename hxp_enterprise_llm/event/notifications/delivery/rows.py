"""The rows of the outbox as deliveries: taken, settled, taken up again. Runs within a transaction of the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, delete, exists, func, or_, select, update

from hxp_enterprise_llm.event.notifications.delivery import lease
from hxp_enterprise_llm.event.notifications.delivery.digest import DIGEST, merged
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.model import Delivery, Kept, Notification, thread_of
from hxp_enterprise_llm.event.notifications.outbox import WAITING, Verdict
from hxp_enterprise_llm.store.tables import delivery_thread, outbox

_MOST_MERGED = 100
_READY = ("queued", "retry")


def _next_statement() -> Any:
    earlier = outbox.alias("earlier")
    # Nobody hears that an alert ended before hearing that it began.
    behind = exists().where(
        earlier.c.thread == outbox.c.thread,
        earlier.c.channel == outbox.c.channel,
        earlier.c.target == outbox.c.target,
        earlier.c.id < outbox.c.id,
        earlier.c.state.in_(WAITING),
        or_(earlier.c.merged_into.is_(None), earlier.c.merged_into != outbox.c.id),
    )
    ready = and_(
        outbox.c.channel == bindparam("wanted_channel"),
        outbox.c.state == bindparam("wanted_state"),
        outbox.c.target.not_in(bindparam("held", expanding=True)),
        ~behind,
    )
    return select(outbox).where(ready).order_by(outbox.c.next_at, outbox.c.id).limit(1)


# Made once: building them takes longer than running them.
_NEXT = _next_statement()
_TAKE = update(outbox).where(outbox.c.id == bindparam("row"))
_KEPT = select(delivery_thread.c.kept).where(
    delivery_thread.c.thread == bindparam("of_thread"),
    delivery_thread.c.channel == bindparam("of_channel"),
    delivery_thread.c.target == bindparam("of_target"),
)


class Wanted(NamedTuple):
    """What a worker asks for: a delivery of its channel, under the lease's token."""

    channel: str
    fence: int
    held: frozenset[str] = frozenset()
    """Recipients to whom something is under way, or who must wait."""
    limited_until: Mapping[str, float] = {}
    """Recipients who had to wait, with the wall-clock time until which: what queued up meanwhile is told as one."""
    counts: bool = True
    """Whether what waits is counted even when there is something to deliver; that takes a look at every row."""


class Waiting(NamedTuple):
    """What waits in a channel: how much, and since when."""

    depth: int
    oldest: float | None


class Claim(NamedTuple):
    """The next delivery of a channel, or when the next is due; and what waits there at all, if that was counted."""

    delivery: Delivery | None
    due: float | None
    waiting: Waiting | None
    queued_at: float = 0.0
    """When the first of what it tells was queued."""


def claim(connection: Connection, wanted: Wanted, now: Instant) -> Claim:
    """Take what has been due longest; it is in flight from here on. Raises LeaseLost."""
    lease.check(connection, wanted.fence)
    row = _next(connection, wanted)
    if row is None or row.next_at > now.steady:
        return Claim(None, row.next_at if row else None, _waiting(connection, wanted.channel))
    limited_until = wanted.limited_until.get(row.target)
    together = [row] if limited_until is None else _queued_behind(connection, row, limited_until, now.steady)
    delivery = _take(connection, row, wanted.fence) if len(together) < 2 else _merge(connection, together, wanted, now)
    waiting = _waiting(connection, wanted.channel) if wanted.counts else None
    return Claim(delivery, None, waiting, min(each.queued_at for each in together))


def claim_many(connection: Connection, wanted: Wanted, now: Instant, most: int) -> tuple[list[Delivery], Claim]:
    """Take what is due of a channel that has one recipient, in order; and as `claim` when that is nothing."""
    lease.check(connection, wanted.fence)
    here = and_(outbox.c.channel == wanted.channel, outbox.c.state.in_(_READY))
    found: list[Row[Any]] = []
    barred: set[str] = set()
    for row in connection.execute(select(outbox).where(here).order_by(outbox.c.id).limit(most)):
        if row.next_at <= now.steady and row.thread not in barred:
            found.append(row)
        else:
            barred.add(row.thread)
    if len(found) < 2:
        return [], claim(connection, wanted, now)
    taken = [
        {"row": row.id, "attempts": row.attempts + 1, "fence": wanted.fence, "state": "in_flight"} for row in found
    ]
    connection.execute(_TAKE, taken)
    waiting = _waiting(connection, wanted.channel) if wanted.counts else None
    return [_delivery(row, None) for row in found], Claim(None, None, waiting, min(row.queued_at for row in found))


def _waiting(connection: Connection, channel: str) -> Waiting:
    here = and_(outbox.c.channel == channel, outbox.c.state.in_(WAITING))
    depth, oldest = connection.execute(select(func.count(), func.min(outbox.c.queued_at)).where(here)).one()
    return Waiting(depth, oldest)


def _next(connection: Connection, wanted: Wanted) -> Row[Any] | None:
    """What has been due longest. Each state by itself: so the index gives the order, however much waits."""
    asked = {"wanted_channel": wanted.channel, "held": sorted(wanted.held)}
    found = [connection.execute(_NEXT, asked | {"wanted_state": state}).first() for state in _READY]
    return min((row for row in found if row is not None), key=lambda row: (row.next_at, row.id), default=None)


def _take(connection: Connection, row: Row[Any], fence: int) -> Delivery:
    taken = {"row": row.id, "attempts": row.attempts + 1, "fence": fence, "state": "in_flight"}
    connection.execute(_TAKE, taken)
    return _delivery(row, _kept(connection, row.thread, row.channel, row.target))


def _delivery(row: Row[Any], kept: Kept | None) -> Delivery:
    notification = msgspec.convert(row.payload, Notification)
    key, attempts = row.idempotency_key, row.attempts + 1
    return Delivery(row.id, row.channel, row.target, key, attempts, row.queued_at, notification, kept)


def _queued_behind(connection: Connection, first: Row[Any], until: float, now: float) -> list[Row[Any]]:
    """What waits for the same recipient since before `until`, in its order, as far as its turn has come."""
    same = and_(outbox.c.channel == first.channel, outbox.c.target == first.target, outbox.c.state.in_(WAITING))
    rows = connection.execute(select(outbox).where(same).order_by(outbox.c.id)).all()
    # What a joined message tells that must wait itself is ahead of what came after it.
    present = {row.id for row in rows if row.state in _READY and row.kind != DIGEST}
    found: list[Row[Any]] = []
    barred: set[str] = set()
    for row in rows:
        if row.state == "merged" and row.merged_into in present:
            continue
        due = row.state in _READY and row.next_at <= now and row.queued_at <= until
        if due and row.kind not in ("test", DIGEST) and row.thread not in barred and len(found) < _MOST_MERGED:
            found.append(row)
        else:
            barred.add(row.thread)
    return found if any(row.id == first.id for row in found) else [first]


def _merge(connection: Connection, rows: Sequence[Row[Any]], wanted: Wanted, now: Instant) -> Delivery:
    """A delivery in place of several; they share its fate."""
    first, ids = rows[0], [row.id for row in rows]
    id = f"{DIGEST}:{first.id}-{ids[-1]}"
    notification = merged([msgspec.convert(row.payload, Notification) for row in rows], id, now.wall)
    key = f"{id}:{first.channel}:{first.target}:{int(now.wall * 1000)}"
    queued_at = min(row.queued_at for row in rows)
    values = {
        "episode": id,
        "thread": id,
        "seq": 0,
        "kind": DIGEST,
        "channel": first.channel,
        "target": first.target,
        "payload": msgspec.to_builtins(notification),
        "state": "in_flight",
        "attempts": 1,
        "fence": wanted.fence,
        "next_at": now.steady,
        "created_at": min(row.created_at for row in rows),
        "queued_at": queued_at,
        "last_error": "",
        "idempotency_key": key,
    }
    inserted = connection.execute(outbox.insert().values(values)).inserted_primary_key
    assert inserted is not None
    number = inserted[0]
    members = or_(outbox.c.id.in_(ids), and_(outbox.c.merged_into.in_(ids), outbox.c.state == "merged"))
    connection.execute(update(outbox).where(members).values(state="merged", merged_into=number))
    return Delivery(number, first.channel, first.target, key, 1, queued_at, notification)


def settle(
    connection: Connection, delivery: Delivery, verdict: Verdict, now: float, *, fence: int, kept: Kept | None = None
) -> bool:
    """Write down what became of an attempt; False when it is no longer ours to say."""
    over = verdict.state in ("sent", "dead")
    values: dict[str, Any] = {
        "state": verdict.state,
        "last_error": verdict.error,
        "sent_at": now if verdict.state == "sent" else None,
        "finished_at": now if over else None,
    }
    ours = and_(outbox.c.id == delivery.id, outbox.c.state == "in_flight", outbox.c.fence == fence)
    if not connection.execute(update(outbox).where(ours).values(values | {"next_at": verdict.next_at})).rowcount:
        return False
    if over:
        told_with_it = and_(outbox.c.merged_into == delivery.id, outbox.c.state == "merged")
        connection.execute(update(outbox).where(told_with_it).values(values))
    if kept is not None:
        keep(connection, thread_of(delivery.notification), delivery.channel, delivery.target, kept, now)
    return True


def settle_sent(connection: Connection, deliveries: Sequence[Delivery], now: float, fence: int) -> set[int]:
    """Write down that these were accepted, none of which tells others as well; answers which were ours to settle."""
    ids = outbox.c.id.in_([each.id for each in deliveries])
    ours = and_(ids, outbox.c.state == "in_flight", outbox.c.fence == fence)
    found = set(connection.scalars(select(outbox.c.id).where(ours)))
    sent = {"state": "sent", "last_error": "", "sent_at": now, "finished_at": now}
    connection.execute(update(outbox).where(ours).values(sent))
    return found


def recover(connection: Connection, now: float, fence: int) -> int:
    """What an earlier holder of the lease had in flight is tried again at once; answers how many."""
    values = {"state": "retry", "next_at": now, "last_error": "the process ended during the attempt"}
    theirs = and_(outbox.c.state == "in_flight", outbox.c.fence != fence)
    return connection.execute(update(outbox).where(theirs).values(values)).rowcount


def hasten(connection: Connection, channel: str, now: float) -> None:
    """What failed is due at once: its reason may be gone."""
    later = and_(outbox.c.channel == channel, outbox.c.state == "retry", outbox.c.next_at > now)
    connection.execute(update(outbox).where(later).values(next_at=now))


def withdraw(connection: Connection, delivery_keys: Sequence[str], now: float) -> None:
    """Call off what has not been tried."""
    untried = and_(outbox.c.idempotency_key.in_(delivery_keys), outbox.c.state == "queued")
    values = {"state": "dead", "finished_at": now, "last_error": "called off"}
    connection.execute(update(outbox).where(untried).values(values))


def _kept(connection: Connection, thread: str, channel: str, target: str) -> Kept | None:
    kept: Kept | None = connection.scalar(_KEPT, {"of_thread": thread, "of_channel": channel, "of_target": target})
    return kept


def keep(connection: Connection, thread: str, channel: str, target: str, kept: Kept, now: float) -> None:
    """Write down what a channel needs for the next delivery of a thread."""
    values = {"kept": kept, "updated": now}
    if not connection.execute(update(delivery_thread).where(_same(thread, channel, target)).values(values)).rowcount:
        connection.execute(delivery_thread.insert().values(thread=thread, channel=channel, target=target, **values))


def _same(thread: str, channel: str, target: str) -> Any:
    table = delivery_thread.c
    return and_(table.thread == thread, table.channel == channel, table.target == target)


class KeptThread(NamedTuple):
    """What a channel keeps of a thread with a recipient."""

    thread: str
    target: str
    kept: Kept
    updated: float
    untold: bool
    """Whether an end could not be told to the recipient: then it is over for him."""


def all_kept(connection: Connection, channel: str) -> list[KeptThread]:
    """Everything that a channel keeps."""
    untold = exists().where(
        outbox.c.thread == delivery_thread.c.thread,
        outbox.c.channel == delivery_thread.c.channel,
        outbox.c.target == delivery_thread.c.target,
        outbox.c.kind == "resolved",
        outbox.c.state == "dead",
    )
    query = select(delivery_thread, untold.label("untold")).where(delivery_thread.c.channel == channel)
    ordered = query.order_by(delivery_thread.c.updated, delivery_thread.c.thread)
    found = connection.execute(ordered)
    return [KeptThread(row.thread, row.target, row.kept, row.updated, bool(row.untold)) for row in found]


def forget(connection: Connection, channel: str, threads: Sequence[KeptThread]) -> None:
    """Drop what is over, unless it was written anew since it was read."""
    for each in threads:
        same = and_(_same(each.thread, channel, each.target), delivery_thread.c.updated == each.updated)
        connection.execute(delete(delivery_thread).where(same))
