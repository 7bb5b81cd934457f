"""A store of the release before, with rows in it, becomes one of this release."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select, text

from hxp_enterprise_llm.event.notifications.delivery import lease, rows
from hxp_enterprise_llm.store import database
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.tables import outbox
from tests.unit.notifications.support import NOW, notification

ROWS = """INSERT INTO outbox (id, episode, seq, kind, channel, target, payload, state, attempts, next_at, created_at,
    sent_at, last_error, idempotency_key) VALUES (:id, 'ep-1', 1, 'firing', 'email', :target, :payload, :state, 1,
    :next_at, :created_at, :sent_at, '', :key)"""


def old_store(path: Path) -> None:
    """At the first revision: one delivery sent, one in flight when the process ended, one dead."""
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(database._MIGRATIONS))
    payload = json.dumps(msgspec.to_builtins(notification()))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for id, state in enumerate(("sent", "in_flight", "dead"), 1):
            values = {"id": id, "target": f"{id}@x", "payload": payload, "state": state, "key": f"k{id}"}
            times = {"next_at": NOW, "created_at": NOW - 60, "sent_at": NOW if state == "sent" else None}
            connection.execute(text(ROWS), values | times)
    engine.dispose()


async def test_what_waited_is_delivered_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    old_store(path)
    store = Store(path)
    await store.open()
    columns = (outbox.c.thread, outbox.c.queued_at, outbox.c.finished_at, outbox.c.fence, outbox.c.merged_into)
    found = await store.run(lambda connection: [tuple(row) for row in connection.execute(select(*columns))])
    assert found == [
        ("ep-1", NOW - 60, NOW, 0, None),
        ("ep-1", NOW - 60, None, 0, None),
        ("ep-1", NOW - 60, NOW, 0, None),
    ]
    answer = await store.run(partial(lease.acquire, node="n", run="1", now=NOW, starts=True))
    assert await store.run(partial(rows.recover, now=NOW, fence=answer.token or 0)) == 1
    wanted = rows.Wanted("email", answer.token or 0)
    delivery = (await store.run(partial(rows.claim, wanted=wanted, now=NOW))).delivery
    assert delivery is not None
    assert (delivery.id, delivery.target, delivery.attempts, delivery.notification) == (2, "2@x", 2, notification())
    await store.close()
