"""The way of alerts: alerts on it, groups, silences, decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "routed_alert",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("episode", sa.String(64), nullable=False),
        sa.Column("known", sa.JSON, nullable=False),
    )
    op.create_index("routed_alert_episode", "routed_alert", ["episode"])
    op.create_table(
        "alert_group",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("thread", sa.String(64), nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
    )
    op.create_table(
        "silence",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("content", sa.JSON, nullable=False),
    )
    op.create_table(
        "fact",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    _create_decision()


def _create_decision() -> None:
    op.create_table(
        "decision",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("episode", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("alertname", sa.String(256), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("receiver", sa.String(64), nullable=False),
    )
    op.create_index("decision_episode", "decision", ["episode", "id"])
    op.create_index("decision_alertname", "decision", ["alertname", "id"])
