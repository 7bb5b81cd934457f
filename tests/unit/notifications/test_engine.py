"""The engine: from snapshots in the log to events in the log and deliveries to people."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.model import Event, Offset, encode
from hxp_enterprise_llm.event.notifications import engine as module
from hxp_enterprise_llm.event.notifications.rules.compiled import RuleFaults
from hxp_enterprise_llm.event.notifications.rules.vocabulary import Vocabulary
from hxp_enterprise_llm.store.errors import StoreUnavailable
from hxp_enterprise_llm.store.tables import cursor, outbox, watch
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.support import NOW, config, mark, rule, until


async def all_sent(bench: Bench) -> None:
    """Wait until no delivery is under way."""

    async def sent() -> bool:
        return {state for (state,) in await bench.rows("state")} == {"sent"}

    await until(sent)


async def test_an_alert_fires_and_resolves_everywhere(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule(summary="error rate {error_rate}"))).running() as bench:
        await bench.tick(error_rate=0.1)
        await bench.tick(error_rate=0.5)
        fired = await bench.slack.accepted.get()
        # A minute that passes in the middle of a delivery would look as if the process had stood still.
        await all_sent(bench)
        await bench.tick(60, error_rate=0.0)
        resolved = await bench.slack.accepted.get()
        await bench.kinds("alert.firing", "alert.resolved")
        (_, data), (_, end) = await bench.events()
        rows = await bench.rows("channel", "target", "kind", "state")
    assert (fired.target, fired.notification.kind, resolved.notification.kind) == ("#ops", "firing", "resolved")
    episode = f"{mark()}-{int((NOW + 2) * 1000)}"
    assert data == {
        "rule": "critical_alert",
        "condition": "error_rate > 0.2",
        "priority": "critical",
        "episode": episode,
        "state": "firing",
        "values": {"error_rate": 0.5},
        "summary": "error rate 0.5",
        "since": "2027-01-15T08:00:02.000Z",
        "labels": {"alertname": "critical_alert", "severity": "critical"},
    }
    assert (end["episode"], end["state"], end["since"]) == (episode, "resolved", data["since"])
    to = [("log", ""), ("websocket", ""), ("sse", ""), ("slack", "#ops")]
    assert [row[:3] for row in rows] == [(*one, kind) for kind in ("firing", "resolved") for one in to]


async def test_a_pending_alert_is_an_event_and_wakes_nobody(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule(for_="30s"))).running() as bench:
        await bench.tick(error_rate=0.5)
        await bench.kinds("alert.pending")
        assert bench.slack.attempts.empty()
        await bench.tick(30, error_rate=0.5)
        await bench.slack.accepted.get()
        await bench.kinds("alert.pending", "alert.firing")


async def test_a_rule_tells_only_the_channel_that_it_names(tmp_path: Path) -> None:
    rules = config(rule("a", channel="sse"), rule("b", channel="email"))
    async with Bench(tmp_path, rules).running() as bench:
        await bench.tick(error_rate=0.5)
        await bench.kinds("alert.firing", "alert.firing")
        assert [row[0] for row in await bench.rows("channel")] == ["log", "log", "sse"]


async def test_a_priority_that_is_off_is_silent(tmp_path: Path) -> None:
    rules = config(rule("a", priority="info"), rule("b"), info_enabled=False)
    async with Bench(tmp_path, rules).running() as bench:
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
        await bench.tick(error_rate=0.0)
        await bench.slack.accepted.get()
        await bench.kinds("alert.firing", "alert.resolved")
        assert {data["rule"] for _, data in await bench.events()} == {"b"}


async def test_without_data_an_alert_keeps_firing_and_says_so(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule())).running() as bench:
        assert bench.engine.monitor.health("critical_alert").health == "no_data"
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
        for values in ({"error_rate": None}, {}):
            await bench.tick(**values)
            assert bench.engine.monitor.health("critical_alert") == ("no_data", "no value for error_rate")
            assert await bench.phases() == {"critical_alert": "firing"}
        await bench.tick(error_rate=0.4)
        assert bench.engine.monitor.health("critical_alert").health == "ok"
        bench.clock.advance(61)
        assert bench.engine.monitor.health("critical_alert") == ("no_data", "no metrics snapshot for 61 s")
        assert bench.slack.attempts.qsize() == 1


async def test_a_condition_that_fails_is_an_error_of_the_rule(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule(condition="latency / throughput > 1"))).running() as bench:
        await bench.tick(latency=0, throughput=0)
        health = bench.engine.monitor.health("critical_alert")
        assert (health.health, "latency = 0, throughput = 0" in health.reason) == ("error", True)
        assert bench.sample("citadel_rule_evaluation_failures_total", rule="critical_alert") == 1
        assert bench.sample("citadel_rule_evaluations_total", rule="critical_alert") == 1


async def test_windows_are_names_of_their_own(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule(condition="latency_p95_5m > 10"))).running() as bench:
        await bench.tick(windows={"5m": {"latency_p95": 11}})
        await bench.slack.accepted.get()


async def test_a_snapshot_that_is_none_is_passed_over(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule())).running() as bench:
        await bench.log.append([encode(Event(id="x", source="s", type="analytics.snapshot", data=[1]))])
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()


async def test_the_states_are_metrics(tmp_path: Path) -> None:
    bench = Bench(tmp_path, config(rule()))

    def states() -> dict[str, float | None]:
        names = ("ok", "pending", "firing", "recovering")
        return {name: bench.sample("citadel_rule_state", rule="critical_alert", state=name) for name in names}

    async with bench.running():
        assert states() == {"ok": 1, "pending": 0, "firing": 0, "recovering": 0}
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
        await until(lambda: _is(lambda: states()["firing"] == 1))
        bench.engine.prepare(config(rule(), rule("b")))()
        assert states() == {"ok": 0, "pending": 0, "firing": 1, "recovering": 0}
        bench.engine.prepare(config(rule("b")))()
        assert set(states().values()) == {None}
        assert bench.sample("citadel_rule_state", rule="b", state="ok") == 1


async def _is(condition) -> bool:
    return condition()


async def test_a_reload_prepares_everything_before_it_changes_anything(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule())).running() as bench:
        with pytest.raises(RuleFaults):
            bench.engine.prepare(config(rule("new"), rule("bad", "eror_rate > 1")))
        assert [one.name for one in bench.engine.rules] == ["critical_alert"]
        swap = bench.engine.prepare(config(rule("new")))
        assert [one.name for one in bench.engine.rules] == ["critical_alert"]
        swap()
        assert [one.name for one in bench.engine.rules] == ["new"]
        renamed = config(rule("new", "brand_new > 1"))
        swap = bench.engine.prepare(renamed, Vocabulary(frozenset({"brand_new"})))
        with pytest.raises(RuleFaults):
            bench.engine.prepare(renamed)  # the names are in force no sooner than the rest
        swap()
        bench.engine.prepare(renamed)()


async def test_what_fires_now_is_told_to_a_newcomer(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule(), rule("quiet", "latency > 1"))).running() as bench:
        await bench.tick(error_rate=0.5, latency=0)
        await bench.kinds("alert.firing")
        assert bench.engine.firing() == [data for _, data in await bench.events()]
        await bench.tick(error_rate=0.0, latency=0)
        assert bench.engine.firing() == []


async def test_a_rule_that_goes_while_it_fires_is_resolved_without_a_snapshot(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule())).running() as bench:
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
        bench.engine.prepare(config(rule("other")))()
        resolved = await bench.slack.accepted.get()
        assert (resolved.notification.kind, resolved.notification.reason) == ("resolved", "rule_changed")
        await until(lambda: _phases(bench, {}))


async def _phases(bench: Bench, expected: dict[str, str]) -> bool:
    return await bench.phases() == expected


async def test_switched_off_the_engine_leaves_everything_as_it_is(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule())).running() as bench:
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
        bench.engine.prepare(config(rule(), enabled=False))()
        for _ in range(3):
            bench.clock.advance(1)
            await bench.append(bench.clock.time(), error_rate=0.0)
        await asyncio.sleep(0.03)
        assert await bench.phases() == {"critical_alert": "firing"}
        bench.engine.prepare(config(rule()))()
        await bench.tick(error_rate=0.0)
        assert (await bench.slack.accepted.get()).notification.kind == "resolved"


async def test_old_snapshots_are_passed_over_after_a_pause_but_never_the_newest(tmp_path: Path) -> None:
    bench = Bench(tmp_path, config(rule("a"), rule("b", "latency > 1")))
    await bench.log.open()
    await bench.append(NOW - 7200, error_rate=0.9, latency=0)
    await bench.append(NOW - 3600, error_rate=0.0, latency=5)
    async with bench.running():
        fired = await bench.slack.accepted.get()
        assert fired.notification.rule == "b"
        assert bench.slack.attempts.qsize() == 1


async def test_an_alert_goes_on_after_a_restart(tmp_path: Path) -> None:
    settings = config(rule(for_="30s", keep_firing_for="30s"))
    log = MemoryLog(progress_seconds=0.01)
    async with Bench(tmp_path, settings, log=log).running() as first:
        await first.tick(error_rate=0.5)
        await first.tick(20, error_rate=0.5)
        await until(lambda: _watched(first, 20))
    async with Bench(tmp_path, settings, log=log).running() as second:
        second.clock.advance(1000)
        await second.tick(5, error_rate=0.5)
        assert second.slack.attempts.empty()  # 20 s before the pause, which is not counted, and 5 s after it
        await second.tick(10, error_rate=0.5)
        await second.slack.accepted.get()
        await second.tick(error_rate=0.0)
    async with Bench(tmp_path, settings, log=log).running() as third:
        third.clock.advance(2000)
        await third.tick(5, error_rate=0.0)
        assert await third.phases() == {"critical_alert": "recovering"}
        await third.tick(30, error_rate=0.0)
        assert (await third.slack.accepted.get()).notification.kind == "resolved"
        types = [type for type, _ in await third.events()]
    assert types[:2] == ["alert.pending", "alert.firing"]


async def _watched(bench: Bench, seconds: float) -> bool:
    return await bench.store.run(lambda connection: connection.scalar(select(watch.c.seconds))) == seconds


async def test_a_rule_edited_while_the_process_was_down_is_resolved(tmp_path: Path) -> None:
    log = MemoryLog(progress_seconds=0.01)
    async with Bench(tmp_path, config(rule()), log=log).running() as first:
        await first.tick(error_rate=0.5)
        await first.slack.accepted.get()
    async with Bench(tmp_path, config(rule(condition="error_rate > 0.9")), log=log).running() as second:
        assert (await second.slack.accepted.get()).notification.reason == "rule_changed"


async def test_the_place_in_the_log_is_kept(tmp_path: Path) -> None:
    log = MemoryLog(progress_seconds=0.01, offset_step=7)
    async with Bench(tmp_path, config(rule()), log=log).running() as bench:
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
        head = (await log.bounds()).head

        async def saved() -> bool:
            bench.clock.advance(5)
            offsets = await bench.store.run(lambda connection: connection.scalars(select(cursor.c.offset)).all())
            return offsets == [(await log.bounds()).head]

        await until(saved)
        assert head >= 7


@pytest.mark.parametrize("accident", ["recreated", "trimmed", "unavailable"])
async def test_the_engine_goes_on_after_an_accident_of_the_log(
    tmp_path: Path, accident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOG_PAUSE_SECONDS", 0.005)
    async with Bench(tmp_path, config(rule())).running() as bench:
        await bench.tick(error_rate=0.0)
        if accident == "recreated":
            bench.log.recreate()
        elif accident == "trimmed":
            await bench.log.trim(Offset((await bench.log.bounds()).head))
        else:
            await bench.log.close()
            await until(lambda: _is(lambda: bench.engine.health().status == "degraded"))
            assert bench.engine.health().reason == "the log is closed"
            await bench.log.open()
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
        await until(lambda: _is(lambda: bench.engine.health().status == "ok"))


async def test_an_evaluation_that_cannot_be_stored_has_not_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Bench(tmp_path, config(rule())).running() as bench:
        await bench.tick(error_rate=0.0)
        run = bench.store.run

        async def full(work):
            raise StoreUnavailable(bench.store.path, "database or disk is full")

        monkeypatch.setattr(bench.store, "run", full)
        bench.clock.advance(1)
        await bench.append(bench.clock.time(), error_rate=0.5)
        await until(lambda: _is(lambda: bench.engine.health().status == "degraded"))
        assert "database or disk is full" in bench.engine.health().reason
        assert bench.engine.alerts == {}
        monkeypatch.setattr(bench.store, "run", run)
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
        assert bench.slack.attempts.qsize() == 1


async def test_the_engine_starts_although_the_store_fails_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STORE_PAUSE_SECONDS", 0.005)
    bench = Bench(tmp_path, config(rule()))
    load, failures = module.records.load_cursor, [StoreUnavailable(tmp_path, "locked")]

    def failing(connection, name):
        if failures:
            raise failures.pop()
        return load(connection, name)

    monkeypatch.setattr(module.records, "load_cursor", failing)
    async with bench.running():
        await bench.tick(error_rate=0.5)
        await bench.slack.accepted.get()
    assert not failures


async def test_a_log_that_is_down_delays_the_event_and_nobody_else(tmp_path: Path) -> None:
    async with Bench(tmp_path, config(rule(channel="slack"))).running() as bench:
        await bench.tick(error_rate=0.0)
        await bench.append(bench.clock.time() + 1, error_rate=0.5)
        bench.log.fail_next(LogUnavailable("down", maybe_stored=False))  # meets the event of the alert
        await bench.slack.accepted.get()

        async def waits() -> bool:
            return ("log", "retry") in await bench.rows("channel", "state")

        await until(waits)
        assert await bench.events() == []
        bench.clock.advance(1)
        bench.engine._dispatcher.wake(["log"])
        await bench.kinds("alert.firing")


async def test_finished_deliveries_are_dropped_after_a_month_except_of_open_alerts(tmp_path: Path) -> None:
    rules = config(rule("open"), rule("done", "latency > 1"))
    async with Bench(tmp_path, rules).running() as bench:
        await bench.tick(error_rate=0.5, latency=5)
        await bench.tick(error_rate=0.5, latency=0)
        await bench.kinds("alert.firing", "alert.firing", "alert.resolved")
        await all_sent(bench)
        await bench.store.run(lambda c: c.execute(update(outbox).values(created_at=NOW - 31 * 86400)))
        bench.clock.advance(3601)
        await bench.tick(error_rate=0.5, latency=0)

        async def pruned() -> bool:
            count = await bench.store.run(lambda c: c.scalar(select(func.count()).select_from(outbox)))
            return count == 4

        await until(pruned)
        assert {row[0] for row in await bench.rows("kind")} == {"firing"}
