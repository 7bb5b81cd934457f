"""The follower: from its saved state it goes on where it was, whatever happened in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.extras import EXTRA_METRICS
from hxp_enterprise_llm.config.platform import PlatformConfig, PriceConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING, Encoded, TypePatterns
from hxp_enterprise_llm.event.processing.platform.engine import PlatformEngine
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, StateFile, Unusable, decoded, encoded
from hxp_enterprise_llm.event.processing.platform.platform import State
from hxp_enterprise_llm.event.processing.prices.table import Provenance, Snapshot
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.telemetry.platform_metrics import PlatformMetrics

from ..events import NOW, event
from ..virtual import VirtualClock, opened, settle, until
from .support import PRICES

NO_PRICES = Snapshot(Provenance("p", "1", "d", "u", "MIT", "n", "t"), [])
CONFIG = PlatformConfig(prices=PRICES)


def request(number: int, **data: Any) -> Encoded:
    return event(number, "llm.request.completed", NOW, **{"model": "m", "input_tokens": 10, "output_tokens": 1} | data)


class Bench:
    """A log, virtual time, and engines on the same file, one after the other."""

    def __init__(self, log: MemoryLog, clock: VirtualClock, path: Path) -> None:
        self.log, self.clock, self.file = log, clock, StateFile(path / "platform" / "state")
        self.registry = CollectorRegistry()

    @asynccontextmanager
    async def running(self, config: PlatformConfig = CONFIG, *, killed: bool = False) -> AsyncIterator[PlatformEngine]:
        """An engine at work. `killed`: it ends without a farewell."""
        self.registry = CollectorRegistry()
        engine = PlatformEngine(
            config,
            self.log,
            self.file,
            clock=self.clock,
            metrics=PlatformMetrics(self.registry),
            prices=NO_PRICES,
            sleep=self.clock.sleep,
        )
        tasks = [asyncio.create_task(run()) for run in (engine.run_follow, engine.run_ticks, engine.run_saves)]
        try:
            await until(lambda: engine.ready or tasks[0].done())
            yield engine
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            if not killed:
                await engine.close()


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    clock = VirtualClock()
    return Bench(await opened(clock), clock, tmp_path)


def total(engine: PlatformEngine) -> int:
    return int(engine.views().tokens()["total"]["requests"])


async def test_the_first_start_reads_the_whole_log(bench: Bench) -> None:
    await bench.log.append([request(n) for n in range(2500)])
    async with bench.running() as engine:
        assert total(engine) == 2500
        assert (engine.lag, engine.health().status) == (0, "ok")


async def test_who_asks_is_answered_from_all_that_the_log_has(bench: Bench) -> None:
    async with bench.running() as engine:
        await bench.log.append([request(1)])
        assert total(engine) == 1


async def test_events_that_wait_to_be_taken_in_together_are_counted_with_the_next_tick(bench: Bench) -> None:
    def counted(name: str) -> float | None:
        return bench.registry.get_sample_value(f"citadel_platform_{name}_total")

    async with bench.running():
        await bench.log.append([request(1), request(2, model=7)])
        await settle()
        assert (counted("events"), counted("ignored_events")) == (0, 0)
        await bench.clock.advance(CONFIG.tick)
        assert (counted("events"), counted("ignored_events")) == (2, 1)


async def test_a_restart_goes_on_where_it_was(bench: Bench) -> None:
    async with bench.running():
        await bench.log.append([request(n) for n in range(5)])
        await settle()
    await bench.log.append([request(n) for n in range(5, 8)])
    with capture_logs() as lines:
        async with bench.running() as engine:
            assert total(engine) == 8
    (loaded,) = [line for line in lines if line["event"] == "platform.loaded"]
    assert loaded["events"] == 5


async def test_a_kill_at_any_moment_changes_no_total(bench: Bench) -> None:
    for life in range(6):
        async with bench.running(killed=True) as engine:
            await bench.log.append([request(100 * life + n, agent=f"a{life}", cost_usd=0.25) for n in range(7)])
            await settle()
            if life % 2:
                await engine.save()
            await bench.log.append([request(100 * life + n, agent="b") for n in range(50, 53)])
            await settle()
    async with bench.running() as engine:
        tokens = engine.views().tokens()
        assert tokens["total"]["requests"] == 60
        assert tokens["total"]["cost_nano_usd"] == 6 * 7 * 250_000_000 + 18 * 12_000


async def test_the_state_is_saved_now_and_then(bench: Bench) -> None:
    async with bench.running(killed=True):
        await bench.log.append([request(1)])
        await bench.clock.advance(15)
        await until(bench.file.path.exists)
    saved = bench.file.read()
    assert saved is not None
    assert (saved.position, saved.state.events) == ((await bench.log.bounds()).head, 1)
    assert bench.file.path.stat().st_mode & 0o777 == 0o600


async def test_a_log_that_was_made_anew_is_read_anew(bench: Bench) -> None:
    async with bench.running() as engine:
        await bench.log.append([request(1), request(2)])
        await settle()
        await engine.save()
        bench.log.recreate()
        await bench.log.append([request(3)])
        await bench.clock.advance(1)
        await until(lambda: engine.ready and total(engine) == 1)
    assert bench.file.path.with_name("state.other-epoch").exists()


async def test_a_log_that_was_made_anew_while_nobody_followed(bench: Bench) -> None:
    async with bench.running():
        await bench.log.append([request(1), request(2)])
        await settle()
    bench.log.recreate()
    await bench.log.append([request(3)])
    with capture_logs() as lines:
        async with bench.running() as engine:
            assert total(engine) == 1
    assert "platform.begun_anew" in [line["event"] for line in lines]


async def test_what_the_log_dropped_unseen_is_said_and_counted(bench: Bench) -> None:
    async with bench.running():
        await bench.log.append([request(1)])
        await settle()
    await bench.log.append([request(n) for n in range(2, 10)])
    head = (await bench.log.bounds()).head
    await bench.log.append([request(10)])
    await bench.log.trim(head)
    with capture_logs() as lines:
        async with bench.running() as engine:
            assert total(engine) == 2
            assert bench.registry.get_sample_value("citadel_platform_lost_offsets_total") == 24
    assert "platform.events_lost" in [line["event"] for line in lines]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"HXPP0002\0\0\0\0xyz"])
async def test_a_damaged_state_is_kept_aside_and_made_anew(bench: Bench, content: bytes) -> None:
    await bench.log.append([request(1)])
    bench.file.write(content)
    with capture_logs() as lines:
        async with bench.running() as engine:
            assert total(engine) == 1
    assert "state.unusable" in [line["event"] for line in lines]
    assert bench.file.path.with_name("state.unusable").read_bytes() == content


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    content = bytearray(encoded(Saved("e", 7, State())))
    for at in range(0, len(content), 7):
        content[at] ^= 4
        with pytest.raises(Unusable):
            decoded(tmp_path, bytes(content))
        content[at] ^= 4
    assert decoded(tmp_path, bytes(content)).position == 7


async def test_a_disk_that_takes_nothing_is_said_and_nothing_is_lost(bench: Bench) -> None:
    async with bench.running() as engine:
        await bench.log.append([request(1)])
        await settle()
        bench.file.path.parent.parent.joinpath("platform").write_text("a file where the directory should be")
        await engine.save()
        assert engine.health().status == "degraded"
        assert "cannot be saved" in engine.health().reason
        assert total(engine) == 1
        bench.file.path.parent.unlink()
        await engine.save()
        assert engine.health().status == "ok"
    assert bench.file.read() is not None


async def test_a_log_that_is_away_is_asked_again(bench: Bench) -> None:
    bench.log.fail_next(LogUnavailable("disk on fire", maybe_stored=False))
    async with bench.running() as engine:
        await bench.log.append([request(1)], deadline=1) if not engine.ready else None
        await bench.clock.advance(1)
        assert engine.health().status == "ok"


async def test_a_reload_takes_other_prices_and_keeps_what_was_counted(bench: Bench) -> None:
    async with bench.running() as engine:
        await bench.log.append([request(1)])
        await settle()
        engine.prepare(PlatformConfig(prices=[PriceConfig(model="m", request_usd=1.0)]))()
        await bench.log.append([request(2)])
        assert engine.views().tokens()["total"]["cost_nano_usd"] == 12_000 + 1_000_000_000


async def snapshots(log: MemoryLog) -> list[dict[str, Any]]:
    batch = await log.read(BEGINNING, 1000, types=TypePatterns(["platform.snapshot"]))
    return [msgspec.json.decode(stored.raw) for stored in batch.events]


async def test_a_snapshot_on_each_tick_on_which_something_changed(bench: Bench) -> None:
    async with bench.running():
        await bench.log.append([request(1, agent="a")])
        await bench.clock.advance(21)
        (first,) = await snapshots(bench.log)
        await bench.log.append([request(2)])
        await bench.clock.advance(5)
        assert len(await snapshots(bench.log)) == 2
    data = first["data"]
    assert first["source"] == "/processing/platform"
    assert data["agents"]["active_count"] == 1
    assert data["tokens"]["total"]["requests"] == 1
    assert SchemaCatalogue.load().check("platform.snapshot", data) == ()


async def test_an_agent_that_fell_silent_is_a_change(bench: Bench) -> None:
    async with bench.running():
        await bench.log.append([request(1, agent="a")])
        await bench.clock.advance(306)
        told = await snapshots(bench.log)
    assert [each["data"]["agents"]["active_count"] for each in told] == [1, 0]


async def test_values_for_rules(bench: Bench) -> None:
    async with bench.running() as engine:
        await bench.log.append([request(1, agent="a", cost_usd=0.5)])
        await settle()
        values = engine.extras()
        assert values["cost_usd_today"] == 0.5
        assert values["active_agents"] == 1
        assert set(values) < set(EXTRA_METRICS)
        engine._ready.clear()
        assert set(engine.extras()) == set(values)
        assert set(engine.extras().values()) == {None}
        assert engine.extra_groups() == {}


async def test_metrics(bench: Bench) -> None:
    async with bench.running() as engine:
        await bench.log.append([request(1, agent="a", cost_usd=0.5), event(2, "agent.started", NOW, agent=7)])
        await settle()
        await engine.tell()
        await engine.save()
        for name, value in {
            "events_total": 2, "ignored_events_total": 1, "active_agents": 1, "cost_usd": 0.5, "unpriced_requests": 0,
        }.items():  # fmt: skip
            assert bench.registry.get_sample_value(f"citadel_platform_{name}") == value, name
        assert bench.registry.get_sample_value("citadel_platform_tokens", {"direction": "in"}) == 10
        assert bench.registry.get_sample_value("citadel_platform_state_bytes") == bench.file.path.stat().st_size
