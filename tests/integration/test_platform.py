"""What is known of the LLM platform, in the real program: after kills, over two processes, and in rules."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import msgspec

from hxp_enterprise_llm.config.platform import BudgetConfig
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings
from tests.integration.daemon import Daemon, placed, running, url

LIVES, BATCHES, BATCH = 4, 12, 50


async def publish(session: aiohttp.ClientSession, base: str, number: int) -> None:
    """A batch whose tokens are known: event i of batch n has n * BATCH + i tokens in and one out."""
    events = [
        {
            "id": f"{number}-{i}",
            "source": "/load",
            "type": "llm.request.completed",
            "data": {
                "model": "gpt-4o",
                "agent": f"agent-{i % 7}",
                "input_tokens": number * BATCH + i,
                "output_tokens": 1,
            },
        }
        for i in range(BATCH)
    ]
    async with session.post(f"{base}/events", json=events) as answer:
        assert answer.status == 202, await answer.text()


async def get(session: aiohttp.ClientSession, address: str) -> dict:
    async with session.get(address) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def ready(session: aiohttp.ClientSession, address: str) -> dict:
    """The answer, as soon as it is not 503 any more."""
    async with asyncio.timeout(30):
        while True:
            async with session.get(address) as answer:
                if answer.status == 200:
                    return await answer.json()
                assert answer.status == 503
            await asyncio.sleep(0.05)


async def saved(state: Path) -> None:
    """Wait for a state to go on from: on a fast machine a life may be over before there is one."""
    async with asyncio.timeout(30):
        while not state.exists():
            await asyncio.sleep(0.01)


async def test_a_kill_changes_no_total(tmp_path: Path) -> None:
    """Killed after each stretch of batches, with saves in between; the sums are exact, and each token counts once."""
    daemon = Daemon(tmp_path, environ={"EVENT_PROCESSING_PLATFORM_SAVE_INTERVAL": "0.05"})
    number = 0
    async with aiohttp.ClientSession() as session:
        for life in range(LIVES):
            await daemon.start()
            for _ in range(BATCHES):
                await publish(session, daemon.events, number)
                number += 1
            if life == LIVES // 2:
                await saved(tmp_path / "processing" / "platform" / "state")
            await daemon.end(signal.SIGKILL)
        await daemon.start()
        try:
            found = await ready(session, f"{daemon.events}/api/v2/tokens")
            events = number * BATCH
            assert found["total"]["requests"] == events
            assert found["total"]["input_tokens"] == sum(range(events))
            assert found["total"]["cost_nano_usd"] == sum(range(events)) * 2500 + events * 10_000
            assert sum(agent["input_tokens"] for agent in found["by"]["agents"]) == sum(range(events))
        finally:
            await daemon.end()


async def test_both_ports_give_the_same_answers_from_one_process(tmp_path: Path) -> None:
    settings = Settings(
        placed(ProcessingConfig(), tmp_path / "processing"), placed(StreamingConfig(), tmp_path / "streaming")
    )
    async with running(settings) as program, aiohttp.ClientSession() as session:
        await publish(session, url(program, "processing"), 1)
        for service in ("processing", "streaming"):
            found = await ready(session, f"{url(program, service)}/api/v2/agents/active")
            assert found["active_count"] == 7, service


async def test_a_gateway_of_its_own_process_asks_for_the_answers(tmp_path: Path) -> None:
    alone = Settings(processing=placed(ProcessingConfig(), tmp_path / "processing"))
    async with running(alone) as processing, aiohttp.ClientSession() as session:
        base = url(processing, "processing")
        config = placed(StreamingConfig(), tmp_path / "streaming")
        config = msgspec.structs.replace(
            config, monitoring=msgspec.structs.replace(config.monitoring, real_time_event_processing_endpoint=base)
        )
        async with running(Settings(streaming=config)) as gateway:
            front = url(gateway, "streaming")
            await publish(session, base, 1)
            mine = await ready(session, f"{base}/api/v2/tokens")
            assert await get(session, f"{front}/api/v2/tokens") == mine
            await processing.stop()
            async with session.get(f"{front}/api/v2/tokens") as answer:
                assert answer.status == 503
                assert (await answer.json())["error"]["code"] == "processing_unreachable"


async def test_values_of_the_platform_join_the_snapshot(tmp_path: Path) -> None:
    settings = Settings(processing=placed(ProcessingConfig(), tmp_path / "processing"))
    async with running(settings) as program, aiohttp.ClientSession() as session:
        base = url(program, "processing")
        await publish(session, base, 1)
        await ready(session, f"{base}/api/v2/costs")
        found = await get(session, f"{base}/analytics")
        assert found["metrics"]["active_agents"] == 7
        assert found["metrics"]["cost_usd_today"] == (sum(range(50, 100)) * 2500 + 50 * 10_000) / 1e9
        assert found["units"]["cost_usd_today"] == "USD"


async def test_a_budget_fires_a_rule_for_itself_alone(tmp_path: Path) -> None:
    processing = placed(ProcessingConfig(), tmp_path / "processing")
    budgets = [BudgetConfig(name="small", usd=0.0001), BudgetConfig(name="large", usd=1000.0)]
    processing = msgspec.structs.replace(
        processing, platform=msgspec.structs.replace(processing.platform, budgets=budgets)
    )
    streaming = placed(StreamingConfig(), tmp_path / "streaming")
    rule = RuleConfig(name="budget", condition="budget_used_ratio > 0.8", by=["budget"])
    streaming = msgspec.structs.replace(
        streaming,
        real_time_notifications=msgspec.structs.replace(streaming.real_time_notifications, notification_rules=[rule]),
    )
    async with running(Settings(processing, streaming)) as program, aiohttp.ClientSession() as session:
        base = url(program, "processing")
        await publish(session, base, 1)
        async with asyncio.timeout(30):
            found: list[dict] = []
            while not found:
                page = await get(session, f"{base}/events?type=alert.firing&after=0")
                found = page["events"]
                await asyncio.sleep(0.1)
        assert [event["data"]["labels"]["budget"] for event in found] == ["small"]
        assert found[0]["data"]["values"]["budget_used_ratio"] > 0.8


async def test_events_of_a_year_ago_are_taken_in_at_their_place(tmp_path: Path) -> None:
    """As `docs/history.md` has it: refused with the name of the setting; then the same events twice, counted once."""
    old = [
        {
            "id": f"legacy-{day}",
            "source": "/legacy",
            "type": "llm.request.completed",
            "time": f"2025-03-{day:02}T12:30:00Z",
            "data": {"model": "gpt-4o-mini", "agent": "old", "input_tokens": 100 * day, "output_tokens": day},
        }
        for day in range(1, 6)
    ]
    shipped = placed(ProcessingConfig(), tmp_path / "processing")
    wide = msgspec.structs.replace(
        shipped,
        ingest=msgspec.structs.replace(shipped.ingest, max_age="3650d"),
        history=msgspec.structs.replace(shipped.history, aggregates="3650d"),
    )
    streaming = placed(StreamingConfig(), tmp_path / "streaming")
    async with aiohttp.ClientSession() as session, running(Settings(shipped, streaming)) as program:
        base = url(program, "processing")
        async with session.post(f"{base}/events", json=old) as answer:
            assert (answer.status, "(ingest.max_age)" in await answer.text()) == (400, True)
        assert not program.reload(Settings(wide, streaming)).restart
        for _ in range(2):
            async with session.post(f"{base}/events", json=old) as answer:
                assert answer.status == 202
        span = "from=2025-03-01T00:00:00Z&to=2025-03-06T00:00:00Z&step=1d"
        async with asyncio.timeout(30):
            while True:
                found = await ready(session, f"{base}/analytics/range?metric=tokens&{span}")
                if found["series"] and found["series"][0]["values"][-1]:
                    break
                await asyncio.sleep(0.1)
        assert found["series"][0]["values"] == [101 * day for day in range(1, 6)]
        assert (await get(session, f"{base}/api/v2/tokens"))["total"]["tokens"] == 101 * 15
