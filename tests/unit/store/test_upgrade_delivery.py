"""A store of the release before, with rows in it, becomes one of this release."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select, text

from hxp_enterprise_llm.event.notifications.delivery import lease, rows
from hxp_enterprise_llm.event.notifications.instant import Instant
from hxp_enterprise_llm.store.database import Store
from hxp_enterprise_llm.store.errors import StoreUnavailable
from hxp_enterprise_llm.store.keeping import kept_path
from hxp_enterprise_llm.store.migrations import MIGRATIONS
from hxp_enterprise_llm.store.tables import outbox
from tests.unit.notifications.support import NOW, notification

ROWS = """INSERT INTO outbox (id, episode, seq, kind, channel, target, payload, state, attempts, next_at, created_at,
    sent_at, last_error, idempotency_key) VALUES (:id, 'ep-1', 1, 'firing', 'email', :target, :payload, :state, 1,
    :next_at, :created_at, :sent_at, '', :key)"""


def old_store(path: Path) -> None:
    """At the first revision: one delivery sent, one in flight when the process ended, one dead."""
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
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
    delivery = (await store.run(partial(rows.claim, wanted=wanted, now=Instant(NOW, NOW)))).delivery
    assert delivery is not None
    assert (delivery.id, delivery.target, delivery.attempts, delivery.notification) == (2, "2@x", 2, notification())
    await store.close()


def deliveries(path: Path) -> tuple[str, int]:
    """Revision of a store, and how many deliveries are in it."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        count = connection.execute(text("SELECT count(*) FROM outbox")).scalar_one()
    engine.dispose()
    return revision, count


async def test_a_copy_is_kept_before_the_upgrade_and_only_then(tmp_path: Path) -> None:
    """The release before can run on the copy; the next start makes none."""
    path = tmp_path / "store.db"
    old_store(path)
    kept = kept_path(path, "0001")
    kept.with_name(f"{kept.name}.making").write_text("cut off")
    store = Store(path)
    await store.open()
    await store.close()
    assert deliveries(kept) == ("0001", 3)
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.unlink()
    again = Store(path)
    await again.open()
    await again.close()
    assert [each.name for each in tmp_path.glob("store.db.*")] == []


async def test_without_a_copy_nothing_is_changed(tmp_path: Path) -> None:
    """What stands in its way is named, and the store is as it was."""
    path = tmp_path / "store.db"
    old_store(path)
    kept_path(path, "0001").mkdir()
    with pytest.raises(StoreUnavailable, match=r"no copy of it could be made before the upgrade: .*revision-0001"):
        await Store(path).open()
    assert deliveries(path) == ("0001", 3)
