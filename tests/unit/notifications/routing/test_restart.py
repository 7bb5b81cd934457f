"""The way outlives the process: groups, timers, what was told to whom; also that of an earlier release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.notifications.routing.model import Silence, SilenceMatcher
from hxp_enterprise_llm.store import database
from hxp_enterprise_llm.store.tables import alert_group, routed_alert
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.routing.serving import configured
from tests.unit.notifications.support import NOW, config, rule, until

GROUPING = {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}

EPISODE = "0011223344556677-1"


def warning(**parts: Any) -> Any:
    rules = [{"name": "slow", "condition": "latency > 1", "channel": "slack", "priority": "warning"}]
    return configured(notification_rules=rules, grouping=GROUPING, **parts)


async def test_a_group_that_waits_is_told_after_a_restart_and_once(tmp_path: Path) -> None:
    log = MemoryLog(progress_seconds=0.01)
    first = Bench(tmp_path, warning(), log=log)
    async with first.running():
        await first.tick(latency=5)
        await first.kinds("alert.firing")
        assert first.slack.attempts.empty()
    second = Bench(tmp_path, warning(), log=log)
    second.clock.advance(1)
    async with second.running():
        await second.tick(28, latency=5)
        assert second.slack.attempts.empty()
        await second.tick(2, latency=5)
        assert (await second.slack.accepted.get()).notification.why == "first"
    third = Bench(tmp_path, warning(), log=log)
    third.clock.advance(60)
    async with third.running():
        await third.tick(latency=5)
        await third.tick(4 * 3600 - 40, latency=5)
        assert third.slack.attempts.empty()
        await third.tick(20, latency=5)
        assert (await third.slack.accepted.get()).notification.why == "repeat"


async def test_silences_outlive_a_restart(tmp_path: Path) -> None:
    log, settings = MemoryLog(progress_seconds=0.01), configured()
    first = Bench(tmp_path, settings, log=log)
    async with first.running():
        await until(lambda: loaded(first))
        await first.engine.desk.put_silence(_silence())
    second = Bench(tmp_path, settings, log=log)
    async with second.running():
        await second.tick(error_rate=0.5)
        await second.kinds("notification.message", "alert.firing")
        assert second.slack.attempts.empty()


async def loaded(bench: Bench) -> bool:
    return bool(bench.engine.desk.router.instance)


def _silence() -> Any:
    return Silence(
        id="",
        matchers=(SilenceMatcher(name="severity", value="critical"),),
        starts_at=NOW,
        ends_at=NOW + 3600,
        updated_at=NOW,
        created_by="alice",
        comment="c",
    )


async def test_the_clock_set_back_while_the_process_was_down_makes_nothing_wait(tmp_path: Path) -> None:
    log = MemoryLog(progress_seconds=0.01)
    first = Bench(tmp_path, warning(), log=log)
    first.clock.advance(86400)
    async with first.running():
        await first.tick(latency=5)
        await first.kinds("alert.firing")
    second = Bench(tmp_path, warning(), log=log)
    async with second.running():
        await until(lambda: loaded(second))
        await second.tick(31, latency=5)
        assert (await second.slack.accepted.get()).notification.why == "first"


def at_revision_0001(path: Path) -> None:
    """A store of the first release in which an alert fires: e-mail and Slack were told."""
    engine = sa.create_engine(f"sqlite:///{path}")
    settings = Config()
    settings.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    notification = {
        "id": f"{EPISODE}.firing",
        "episode": EPISODE,
        "seq": 1,
        "kind": "firing",
        "priority": "critical",
        "title": "critical_alert",
        "text": "error_rate is 0.5",
        "at": NOW,
        "rule": "critical_alert",
        "condition": "error_rate > 0.2",
        "since": NOW,
    }
    bench = Bench(path.parent / "unused", config(rule()))
    (compiled,) = bench.engine.rules
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        tables = sa.MetaData()
        tables.reflect(connection)
        alert = {
            "rule": "critical_alert",
            "labels_fingerprint": compiled.fingerprint,
            "definition": compiled.definition,
            "state": "firing",
            "since": NOW,
            "pending_since": NOW,
            "firing_since": NOW,
            "episode": EPISODE,
            "value": {},
            "notification": notification,
            "updated": NOW,
        }
        connection.execute(tables.tables["alert_state"].insert().values(alert))
        for channel, target in (("log", ""), ("websocket", ""), ("slack", "#ops")):
            row = {
                "episode": EPISODE,
                "seq": 1,
                "kind": "firing",
                "channel": channel,
                "target": target,
                "state": "sent",
            }
            times = {"next_at": NOW, "created_at": NOW, "attempts": 1, "last_error": ""}
            key = {"payload": notification, "idempotency_key": f"{EPISODE}.firing:{channel}:{target}"}
            connection.execute(tables.tables["outbox"].insert().values(row | times | key))
    engine.dispose()


async def test_an_alert_that_fired_before_the_upgrade_is_not_told_again_and_its_end_goes_to_whom_was_told(
    tmp_path: Path,
) -> None:
    at_revision_0001(tmp_path / "store.db")
    bench = Bench(tmp_path, config(rule()))
    async with bench.running():
        await bench.tick(error_rate=0.5)
        await bench.tick(error_rate=0.0)
        told = (await bench.slack.accepted.get()).notification
        assert (told.kind, told.thread, told.alerts[0].labels["alertname"]) == ("resolved", EPISODE, "critical_alert")
        assert bench.slack.attempts.qsize() == 1
        await bench.kinds("alert.resolved")
        left = await bench.store.run(
            lambda connection: [
                connection.scalar(sa.select(sa.func.count()).select_from(table))
                for table in (routed_alert, alert_group)
            ]
        )
    assert left == [0, 0]
