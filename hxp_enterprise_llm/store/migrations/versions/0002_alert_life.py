"""Alert states by label set, their times on a clock that nobody sets, and that clock."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    before = sa.table(
        "alert_state", *map(sa.column, _KEPT), sa.column("value", sa.JSON), sa.column("notification", sa.JSON)
    )
    rows = [_moved(row) for row in connection.execute(sa.select(before)).mappings() if row["state"] != "ok"]
    op.drop_table("alert_state")
    _create()
    after = sa.Table("alert_state", sa.MetaData(), autoload_with=connection)
    if rows:
        connection.execute(after.insert(), rows)


_KEPT = ("rule", "definition", "state", "since", "pending_since", "firing_since", "episode", "updated")


def _moved(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of an alert that is not over. Its clock stood still when it was last written."""
    priority = (row["notification"] or {}).get("priority", "warning")
    labels = {"alertname": row["rule"], "severity": priority}
    text = "\0".join(part for item in sorted(labels.items()) for part in item)
    times = {"since": "since_mono", "pending_since": "pending_mono", "firing_since": "firing_mono"}
    return (
        {name: row[name] for name in (*_KEPT, "value", "notification")}
        | {mono: None if row[wall] is None else min(0.0, row[wall] - row["updated"]) for wall, mono in times.items()}
        | {"labels": labels, "labels_fingerprint": blake2b(text.encode(), digest_size=8).hexdigest()}
    )


def _create() -> None:
    op.create_table(
        "alert_state",
        sa.Column("rule", sa.String(64), primary_key=True),
        sa.Column("labels_fingerprint", sa.String(16), primary_key=True),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("definition", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("since_mono", sa.Float, nullable=False),
        sa.Column("pending_since", sa.Float),
        sa.Column("pending_mono", sa.Float),
        sa.Column("firing_since", sa.Float),
        sa.Column("firing_mono", sa.Float),
        sa.Column("missing_since", sa.Float),
        sa.Column("missing_mono", sa.Float),
        sa.Column("episode", sa.String(64), nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("notification", sa.JSON),
        sa.Column("updated", sa.Float, nullable=False),
    )
    op.create_table(
        "watch",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("seconds", sa.Float, nullable=False),
    )
