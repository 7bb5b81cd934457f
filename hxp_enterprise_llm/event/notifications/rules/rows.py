"""The rows of alert states; each function runs within a transaction of its caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, select, update

from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.rules.alerts import AlertState, Moment
from hxp_enterprise_llm.event.notifications.rules.telling import Watched
from hxp_enterprise_llm.store.tables import alert_state, watch

WATCH, STEADY = "rules", "steady"
_MOST_KEYS = 500


def load_watched(connection: Connection) -> tuple[float, float]:
    """For how many seconds rules have been watched, over all runs; and the steady time of the last of them."""
    found = {row.name: row.seconds for row in connection.execute(select(watch))}
    return found.get(WATCH, 0.0), found.get(STEADY, 0.0)


def save_watched(connection: Connection, seconds: float, steady: float) -> None:
    """Remember both: in the transaction of whatever refers to them."""
    for name, value in ((WATCH, seconds), (STEADY, steady)):
        if not connection.execute(update(watch).where(watch.c.name == name).values(seconds=value)).rowcount:
            connection.execute(watch.insert().values(name=name, seconds=value))


def load_alerts(connection: Connection) -> list[Watched]:
    """All alerts that were not over."""
    return [
        Watched(
            rule=row["rule"],
            fingerprint=row["labels_fingerprint"],
            definition=row["definition"],
            state=AlertState(
                row["state"],
                Moment(row["since"], row["since_mono"]),
                row["episode"],
                _moment(row, "pending"),
                _moment(row, "firing"),
                _moment(row, "missing"),
            ),
            values=row["value"],
            labels=row["labels"],
            notification=msgspec.convert(row["notification"], Notification) if row["notification"] else None,
        )
        for row in connection.execute(select(alert_state)).mappings()
    ]


def _moment(row: Any, name: str) -> Moment | None:
    wall = row[f"{name}_since"]
    return None if wall is None else Moment(wall, row[f"{name}_mono"])


def save_alerts(connection: Connection, alerts: Iterable[Watched], now: float) -> None:
    """Write alert states."""
    written = [_row(alert, now) for alert in alerts]
    if written:
        same = and_(
            alert_state.c.rule == bindparam("of_rule"), alert_state.c.labels_fingerprint == bindparam("of_labels")
        )
        keys = [{"of_rule": row["rule"], "of_labels": row["labels_fingerprint"]} for row in written]
        connection.execute(delete(alert_state).where(same), keys)
        connection.execute(alert_state.insert(), written)


def _row(alert: Watched, now: float) -> dict[str, Any]:
    state = alert.state
    row: dict[str, Any] = {
        "rule": alert.rule,
        "labels_fingerprint": alert.fingerprint,
        "labels": dict(alert.labels),
        "definition": alert.definition,
        "state": state.phase,
        "since": state.since.wall,
        "since_mono": state.since.mono,
        "episode": state.episode,
        "value": alert.values,
        "notification": msgspec.to_builtins(alert.notification) if alert.notification else None,
        "updated": now,
    }
    for name, moment in (("pending", state.active), ("firing", state.fired), ("missing", state.missing)):
        row |= {f"{name}_since": moment and moment.wall, f"{name}_mono": moment and moment.mono}
    return row


def drop_alerts(connection: Connection, fingerprints: Sequence[str]) -> None:
    """Forget alerts that are over."""
    for start in range(0, len(fingerprints), _MOST_KEYS):
        some = fingerprints[start : start + _MOST_KEYS]
        connection.execute(delete(alert_state).where(alert_state.c.labels_fingerprint.in_(some)))
