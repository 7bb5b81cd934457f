"""Recorded crews into the real daemon, in any order and pieces, killed in between: each token once, everywhere."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.daemon import Daemon
from tests.integration.test_history_kill import asked, settled, total
from tests.integration.test_opentelemetry import post
from tests.integration.test_platform import ready
from tests.unit.sources.otlp.recordings import WAYS, recording, spans_of, twice_told
from tests.unit.sources.otlp.requests import pb_traces, recent

PIECES = 3


def pieces(way: str, seed: int) -> list[bytes]:
    """The spans of a recording as of now, each call told twice, shuffled, in some requests."""
    spans = twice_told(spans_of(way))
    random.Random(seed).shuffle(spans)
    return [pb_traces([recent(span) for span in spans[at::PIECES]]) for at in range(PIECES)]


async def count(session: aiohttp.ClientSession, base: str, type: str) -> int:
    query = {"type": type, "limit": "1000"}
    return len((await asked(session, base, "/events", **query))["events"])


async def test_the_totals_are_the_models_own_after_kills(tmp_path: Path) -> None:
    """All four ways to trace the crew, the pieces of all in turn; killed after each piece."""
    truths = [recording(way) for way in WAYS]
    daemon = Daemon(tmp_path, environ={"EVENT_PROCESSING_PLATFORM_SAVE_INTERVAL": "0.05"})
    sent = [pieces(way, seed) for seed, way in enumerate(WAYS)]
    async with aiohttp.ClientSession() as session:
        for part in range(PIECES):
            await daemon.start()
            for bodies in sent:
                assert await post(daemon, bodies[part]) == 200
            await daemon.end(signal.SIGKILL)
        await daemon.start()
        try:
            assert await post(daemon, sent[0][0]) == 200
            assert await count(session, daemon.events, "llm.usage.corrected") > 0
            async with asyncio.timeout(30):
                await settled(session, daemon.events)
            expected = sum(each.input for each in truths), sum(each.output for each in truths)
            await agree(session, daemon.events, *expected)
        finally:
            await daemon.end()


async def agree(session: aiohttp.ClientSession, base: str, input: int, output: int) -> None:
    """The platform, its accounts, and the history."""
    found = await ready(session, f"{base}/api/v2/tokens")
    assert (found["total"]["input_tokens"], found["total"]["output_tokens"]) == (input, output)
    for kind in ("agents", "models"):
        assert sums(found["by"][kind]) == (input, output)
    assert sum(day["tokens"] for day in found["by_day"]) == input + output
    for step in ("1m", "1h", "1d"):
        body = await asked(session, base, "/analytics/range", metric="tokens", step=step, **{"from": "-1d"})
        assert total(body) == input + output
    query = {"what": "tokens_by_agent_day", "format": "json"}
    async with session.get(f"{base}/api/v2/export/analytics", params=query) as answer:
        rows = await answer.json()
    assert sums(rows) == (input, output)
    requests = await count(session, base, "llm.request.completed")
    assert found["total"]["requests"] == sum(row["requests"] for row in rows) == requests


def sums(rows: list[dict[str, Any]]) -> tuple[int, int]:
    return sum(row["input_tokens"] for row in rows), sum(row["output_tokens"] for row in rows)
