"""Runs the steps on the connection that `store.database` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from hxp_enterprise_llm.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
