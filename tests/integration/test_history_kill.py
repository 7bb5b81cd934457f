"""`kill -9` of the real daemon under load: the history neither loses nor doubles a token, and forecasts the same."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from hxp_enterprise_llm.event.model import rfc3339
from tests.integration.daemon import Daemon

BATCH, KILLS = 50, 4


class Load:
    """Batches of requests, some of them late by hours; one that was not answered is sent again with the same ids."""

    def __init__(self) -> None:
        self.number = 0
        self.tokens = 0
        self.enough = False
        """Set, `run` ends with the next answer: what was asked and not heard might be stored after we have counted."""

    def batch(self) -> bytes:
        now = time.time()
        events = [
            {
                "specversion": "1.0",
                "id": f"{self.number}-{i}",
                "source": "/load",
                "type": "llm.request.completed",
                "time": rfc3339(now - (0 if i % 5 else 7200 * (i % 3))),
                "data": {"model": f"m{i % 3}", "agent": f"a{i % 4}", "input_tokens": i, "output_tokens": 3},
            }
            for i in range(BATCH)
        ]
        return msgspec.json.encode(events)

    async def run(self, session: aiohttp.ClientSession, base: str) -> None:
        """Until the daemon is gone, or it is enough."""
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        body = self.batch()
        try:
            while True:
                async with session.post(f"{base}/events", data=body, headers=headers) as answer:
                    answer.raise_for_status()
                    await answer.read()
                self.number += 1
                self.tokens += sum(range(BATCH)) + 3 * BATCH
                body = self.batch()
                if self.enough:
                    return
                await asyncio.sleep(0.005)
        except (aiohttp.ClientError, OSError):
            return


async def asked(session: aiohttp.ClientSession, base: str, path: str, **query: Any) -> dict[str, Any]:
    async with session.get(f"{base}{path}", params=query) as answer:
        body = await answer.json()
        return body if answer.status == 200 else {}


def total(body: dict[str, Any]) -> int:
    """Tokens of all series of an answer."""
    return sum(value or 0 for line in body.get("series", []) for value in line["values"])


async def test_a_kill_changes_no_total(tmp_path: Path) -> None:
    load = Load()
    async with aiohttp.ClientSession() as session, Daemon(tmp_path) as daemon:
        for life in range(KILLS):
            running = asyncio.create_task(load.run(session, daemon.events))
            await asyncio.sleep(2.5 + 0.7 * life)
            await daemon.end(signal.SIGKILL)
            await running
            await daemon.start()
        # What was sent last and not answered may have been stored: it is sent once more under its own ids.
        sent, load.enough = load.number, True
        await asyncio.wait_for(load.run(session, daemon.events), 30)
        assert load.number == sent + 1
        async with asyncio.timeout(60):
            await settled(session, daemon.events)
        for step in ("1m", "1h", "1d"):
            for by in ({}, {"by": "model"}, {"by": "agent"}):
                query = {"metric": "tokens", "from": "-1d", "step": step, **by}
                body = await asked(session, daemon.events, "/analytics/range", **query)
                assert total(body) == load.tokens
        assert total(body) == await stored_tokens(session, daemon.events)
        await exported(tmp_path, daemon.events, total(body))
        forecast = await asked(session, daemon.events, "/api/v2/forecast/tokens")
        assert forecast["cold"] is True
        assert forecast["next_hour"]["tokens"] > 0
        async with session.get(f"{daemon.gateway}/analytics/range?metric=tokens&from=-1d&step=1d") as answer:
            assert total(await answer.json()) == total(body)


async def settled(session: aiohttp.ClientSession, base: str) -> None:
    """Until the history has what the log has."""
    async with session.get(f"{base}/events/bounds") as answer:
        head = (await answer.json())["head"]
    while (await asked(session, base, "/analytics/range", metric="tokens")).get("position", 0) < head:
        await asyncio.sleep(0.1)


async def exported(directory: Path, base: str, tokens: int) -> None:
    """`hxp export` of requests and of days writes the same tokens, and nothing but its file."""
    for what in ("requests", "tokens_by_agent_day"):
        path = directory / f"{what}.ndjson"
        arguments = ["export", what, "--format", "ndjson", "--output", str(path), "--url", base]
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "hxp_enterprise_llm.cli.main", *arguments)
        assert await process.wait() == 0
        rows = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
        assert sum(row["input_tokens"] + row["output_tokens"] for row in rows) == tokens
        assert not path.with_name(path.name + ".part").exists()


async def stored_tokens(session: aiohttp.ClientSession, base: str) -> int:
    """Tokens of all requests in the log, added up by hand."""
    tokens, after = 0, 0
    while True:
        query = {"after": after, "limit": 1000, "type": "llm.request.completed"}
        async with session.get(f"{base}/events", params=query) as answer:
            body = await answer.json()
        tokens += sum(e["data"]["input_tokens"] + e["data"]["output_tokens"] for e in body["events"])
        if body["next"] == after:
            return tokens
        after = body["next"]
