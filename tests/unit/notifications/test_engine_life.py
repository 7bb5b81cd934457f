"""The engine over time: metrics that stay away, label sets, clocks that are set."""

from __future__ import annotations

from pathlib import Path

import pytest

from hxp_enterprise_llm.event.log import MemoryLog
from hxp_enterprise_llm.event.notifications.rules.compiled import RuleFaults
from hxp_enterprise_llm.event.notifications.rules.status import rule_status
from tests.unit.notifications.engines import Bench
from tests.unit.notifications.support import NOW, config, groups, rule, until


async def _is(condition) -> bool:
    return condition()


async def test_when_snapshots_stop_the_metrics_have_no_values(tmp_path: Path) -> None:
    rules = config(rule("dead", no_data="alert", no_data_after="20s"), rule("gone", no_data="ok", no_data_after="20s"))
    async with Bench(tmp_path, rules).running() as bench:
        await bench.tick(error_rate=0.1)
        await bench.tick(error_rate=0.5)
        await bench.kinds("alert.firing", "alert.firing")
        for _ in range(6):  # the log goes on, and says so, without snapshots
            bench.clock.advance(6)
            await until(lambda: _is(lambda: bench.engine._saved_at == bench.clock.monotonic()))
        await bench.kinds("alert.firing", "alert.firing", "alert.resolved")
        assert (await bench.events())[-1][1]["reason"] == "no_data"
        assert await bench.phases() == {"dead": "firing"}
        assert bench.sample("citadel_rule_last_evaluation_timestamp_seconds") == NOW + 2


async def test_each_label_set_is_told_stored_and_shown(tmp_path: Path) -> None:
    rules = config(rule(by=["model"], for_="10s", summary="{model}: {error_rate}"))
    log = MemoryLog(progress_seconds=0.01)
    async with Bench(tmp_path, rules, log=log).running() as bench:
        await bench.tick(groups=groups(error_rate={"model=a": 0.5, "model=b": 0.1}))
        await bench.kinds("alert.pending")
        assert (await bench.events())[0][1]["labels"]["model"] == "a"
    async with Bench(tmp_path, rules, log=log).running() as bench:
        bench.clock.advance(500)
        for _ in range(2):
            await bench.tick(10, groups=groups(error_rate={"model=a": 0.5, "model=b": 0.1}))
        fired = await bench.slack.accepted.get()
        assert (fired.notification.text, fired.notification.alerts[0].labels["model"]) == ("a: 0.5", "a")
        (status,) = rule_status(bench.engine.rules, bench.engine.monitor, bench.engine.alerts, lambda episode: None)
    assert (status["state"], status["by"], status["values"]) == ("firing", ["model"], {})
    assert [(each["labels"], each["state"], each["values"]) for each in status["label_sets"]] == [
        ({"model": "a"}, "firing", {"error_rate": 0.5}),
        ({"model": "b"}, "ok", {"error_rate": 0.1}),
    ]


async def test_a_clock_that_is_set_changes_nothing(tmp_path: Path) -> None:
    log = MemoryLog(progress_seconds=0.01)
    rules = config(rule(for_="30s", no_data="alert"))
    async with Bench(tmp_path, rules, log=log).running() as bench:
        await bench.tick(error_rate=0.5)
        for jump in (9_000, -18_000, 9_000):
            bench.clock.set_wall(bench.clock.time() + jump)
            await tick(bench, 8)
        await until(lambda: _is(lambda: bench.engine._saved_at == bench.clock.monotonic()))
        assert bench.slack.attempts.empty()
    async with Bench(tmp_path, rules, log=log).running() as bench:
        # The clock is set back while it runs: before it has begun, that would be another start.
        await until(lambda: _is(lambda: bool(bench.engine.desk.router.instance)))
        bench.clock.set_wall(NOW - 10_000)
        await tick(bench, 5)
        assert bench.slack.attempts.empty()
        await tick(bench, 8)
        assert (await bench.slack.accepted.get()).notification.kind == "firing"


async def tick(bench: Bench, seconds: float) -> None:
    """As the bench's own, whatever the clock says."""
    bench.clock.advance(seconds)
    await bench.append(bench.clock.time(), error_rate=0.5)

    def seen() -> bool:
        last = bench.engine.monitor.last_snapshot
        return last is not None and abs(last - bench.clock.time()) < 0.01

    await until(lambda: _is(seen))


async def test_an_orderly_stop_keeps_what_was_watched_since_the_last_write(tmp_path: Path) -> None:
    log = MemoryLog(progress_seconds=0.01)
    rules = config(rule(for_="30s"))
    async with Bench(tmp_path, rules, log=log).running() as bench:
        await bench.tick(error_rate=0.5)
        written = bench.clock.monotonic()
        await until(lambda: _is(lambda: bench.engine._saved_at == written))
        bench.clock.advance(4)  # less than what lies between two writes
    async with Bench(tmp_path, rules, log=log).running() as bench:
        await until(lambda: _is(lambda: bool(bench.engine.desk.router.instance)))  # it is taken up: time counts
        await bench.tick(25, error_rate=0.5)
        assert bench.slack.attempts.empty()
        await bench.tick(1, error_rate=0.5)
        assert (await bench.slack.accepted.get()).notification.kind == "firing"


async def test_files_of_rules_are_read_at_each_reload(tmp_path: Path) -> None:
    settings = config(directory=str(tmp_path / "rules"))
    async with Bench(tmp_path, settings).running() as bench:
        assert bench.engine.rules == ()
        (tmp_path / "rules").mkdir()
        file = tmp_path / "rules" / "a.yaml"
        file.write_text("rules: [{name: one, condition: error_rate > 0.2}]")
        bench.engine.prepare(settings)()
        await bench.tick(error_rate=0.5)
        await bench.kinds("alert.firing")
        file.write_text("rules: [{name: one, condition: eror_rate > 0.2}]")
        with pytest.raises(RuleFaults, match=r"a.yaml:1:32: rules\[0\].condition: column 1: unknown metric"):
            bench.engine.prepare(settings)
        assert [one.name for one in bench.engine.rules] == ["one"]
        file.unlink()
        bench.engine.prepare(settings)()
        await bench.kinds("alert.firing", "alert.resolved")
