"""The rows of the way: each function runs within a transaction of its caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, Table, bindparam, delete, func, select

from hxp_enterprise_llm.event.notifications import records
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.event.notifications.routing.draft import Draft, State
from hxp_enterprise_llm.event.notifications.routing.model import Decision, Group, Known, Silence
from hxp_enterprise_llm.store.tables import alert_group, decision, fact, routed_alert, silence

T = TypeVar("T")
_NAME = 256
_INSTANCE = "instance"


class Asked(NamedTuple):
    """Which decisions are wanted; empty members choose all. `since` in wall-clock seconds."""

    episode: str = ""
    alertname: str = ""
    since: float = 0.0
    limit: int = 200


class Loaded(NamedTuple):
    """What was stored, and the name of this daemon."""

    state: State
    instance: str


def load(connection: Connection, fresh: str) -> Loaded:
    """Everything as it was written; `fresh` is the daemon's name from now on if it has none."""
    return Loaded(_state(connection), _instance(connection, fresh))


def _state(connection: Connection) -> State:
    alerts = [msgspec.convert(row.known, Known) for row in connection.execute(select(routed_alert.c.known))]
    groups = [msgspec.convert(row.content, Group) for row in connection.execute(select(alert_group.c.content))]
    silences = [msgspec.convert(row.content, Silence) for row in connection.execute(select(silence.c.content))]
    return State(
        {known.fingerprint: known for known in alerts},
        {group.id: group for group in groups},
        {each.id: each for each in silences},
    )


def save(connection: Connection, draft: Draft, now: Instant) -> None:
    """Write a draft: states, deliveries, decisions."""
    records.enqueue_all(connection, draft.queue, now)
    _write(connection, routed_alert, "fingerprint", draft.alerts, _alert_row)
    _write(connection, alert_group, "id", draft.groups, _group_row)
    _write(connection, silence, "id", draft.silences, _silence_row)
    if draft.decisions:
        connection.execute(decision.insert(), [_decision_row(each) for each in draft.decisions])


def _write(connection: Connection, table: Table, key: str, changes: Mapping[str, T | None], row: Any) -> None:
    if not changes:
        return
    gone = delete(table).where(table.c[key] == bindparam("gone"))
    connection.execute(gone, [{"gone": name} for name in changes])
    rows = [{key: name, **row(value)} for name, value in changes.items() if value is not None]
    if rows:
        connection.execute(table.insert(), rows)


def _alert_row(known: Known) -> dict[str, Any]:
    return {"episode": known.alert.episode, "known": msgspec.to_builtins(known)}


def _group_row(group: Group) -> dict[str, Any]:
    return {"thread": group.thread, "content": msgspec.to_builtins(group)}


def _silence_row(each: Silence) -> dict[str, Any]:
    return {"content": msgspec.to_builtins(each)}


def _decision_row(each: Decision) -> dict[str, Any]:
    return each._asdict() | {"alertname": each.alertname[:_NAME]}


def decisions(connection: Connection, asked: Asked) -> list[Decision]:
    """The newest decisions that are wanted, in the order in which they were taken."""
    query = select(decision).where(decision.c.at >= asked.since)
    if asked.episode:
        query = query.where(decision.c.episode == asked.episode)
    if asked.alertname:
        query = query.where(decision.c.alertname == asked.alertname)
    rows = connection.execute(query.order_by(decision.c.id.desc()).limit(asked.limit)).all()
    return [Decision(*(getattr(row, name) for name in Decision._fields)) for row in reversed(rows)]


def prune(connection: Connection, most: int) -> None:
    """Keep so many decisions, the newest."""
    last = connection.scalar(select(func.max(decision.c.id))) or 0
    connection.execute(delete(decision).where(decision.c.id <= last - most))


def _instance(connection: Connection, fresh: str) -> str:
    name = connection.scalar(select(fact.c.value).where(fact.c.name == _INSTANCE))
    if name is None:
        connection.execute(fact.insert().values(name=_INSTANCE, value=fresh))
    return name or fresh
