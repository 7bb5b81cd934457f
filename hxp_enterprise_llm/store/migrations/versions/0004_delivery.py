"""Outbox: thread, fencing number, what was merged; the lease; what a channel keeps of a thread."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _extend_outbox()
    op.create_table(
        "lease",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(320), nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_table(
        "delivery_thread",
        sa.Column("thread", sa.String(320), primary_key=True),
        sa.Column("channel", sa.String(32), primary_key=True),
        sa.Column("target", sa.String(320), primary_key=True),
        sa.Column("kept", sa.JSON, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
    )


def _extend_outbox() -> None:
    for column in (
        sa.Column("thread", sa.String(320), nullable=False, server_default=""),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("queued_at", sa.Float, nullable=False, server_default="0"),
        sa.Column("finished_at", sa.Float),
        sa.Column("merged_into", sa.BigInteger),
    ):
        op.add_column("outbox", column)
    op.execute("UPDATE outbox SET thread = episode, queued_at = created_at")
    op.execute("UPDATE outbox SET finished_at = coalesce(sent_at, next_at) WHERE state IN ('sent', 'dead')")
    op.create_index("outbox_thread", "outbox", ["thread", "channel", "target"])
    op.create_index("outbox_merged", "outbox", ["merged_into"])
