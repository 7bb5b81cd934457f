"""An older store is brought up to date: what fired goes on as the same episode."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.rules import rows
from hxp_enterprise_llm.event.notifications.rules.alerts import Moment
from hxp_enterprise_llm.event.notifications.rules.compiled import compile_rules
from hxp_enterprise_llm.event.notifications.rules.evaluation import Evaluator, evaluate
from hxp_enterprise_llm.event.notifications.rules.snapshots import Snapshot
from hxp_enterprise_llm.store import migrations
from hxp_enterprise_llm.store.database import Store

NOW = 1_800_000_000.0


def older(path: Path) -> None:
    """A store as the first release wrote it: one alert fires, one is pending, one rule is at rest."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    told = Notification(
        id="old-1.firing", episode="old-1", seq=1, kind="firing", priority="critical", title="errors", text="t", at=NOW
    )
    note = msgspec.json.encode(told).decode()
    rows = [
        ("errors", "f" * 16, digest("e > 1"), "firing", NOW, NOW - 60, NOW, "old-1", "{}", note, NOW + 5),
        ("waits", "e" * 16, digest("w > 1", "1m"), "pending", NOW, NOW, None, "old-2", "{}", note, NOW + 20),
        ("rests", "d" * 16, digest("r > 1"), "ok", NOW, None, None, "", "{}", None, NOW + 5),
    ]
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany(f"INSERT INTO alert_state VALUES ({', '.join('?' * 11)})", rows)


def digest(condition: str, hold: str = "0s") -> str:
    return blake2b("\0".join([condition, hold, "0s", "critical", "all"]).encode(), digest_size=16).hexdigest()


@pytest.fixture
async def store(tmp_path: Path):
    older(tmp_path / "store.db")
    store = Store(tmp_path / "store.db")
    await store.open()
    yield store
    await store.close()


async def test_alerts_of_an_older_store_go_on(store: Store) -> None:
    rules = [
        RuleConfig(name="errors", condition="e > 1", priority="critical"),
        RuleConfig(name="waits", condition="w > 1", priority="critical", for_="1m"),
    ]
    evaluator = Evaluator(compile_rules(NotificationsConfig(notification_rules=rules), None))
    alerts = {alert.fingerprint: alert for alert in await store.run(rows.load_alerts)}
    watched, _ = await store.run(rows.load_watched)
    assert (len(alerts), watched) == (2, 0.0)

    def at(seconds: float, **values: float):
        nonlocal alerts
        result = evaluate(evaluator, alerts, Snapshot(0, values), Moment(NOW + 9000 + seconds, seconds))
        alerts = result.alerts
        return [(told.notification.rule or told.notification.title, told.notification.kind) for told in result.told]

    assert at(0, e=2, w=2) == []
    assert [alert.state.episode for alert in alerts.values()] == ["old-1", "old-2"]
    assert at(39, e=2, w=2) == [], "pending for 20 s when it was last written"
    assert at(40, e=2, w=2) == [("waits", "firing")]
    assert at(41, e=0, w=2) == [("errors", "resolved")]
