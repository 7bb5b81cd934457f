"""Debian's amtool against us, as it is used against Alertmanager."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.unit.notifications.engines import Bench
from tests.unit.notifications.routing.serving import listening
from tests.unit.notifications.support import config, rule


class Amtool:
    """Runs amtool; `url` is what it is pointed at."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __call__(self, *arguments: str, status: int = 0) -> str:
        process = await asyncio.create_subprocess_exec(
            "amtool",
            f"--alertmanager.url={self._url}",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == status, (arguments, out, err)
        return (out if status == 0 else err).decode().strip()

    async def json(self, *arguments: str) -> Any:
        return json.loads(await self(*arguments, "--output=json"))


@asynccontextmanager
async def pointed_at(bench: Bench) -> AsyncIterator[Amtool]:
    async with listening(bench) as url:
        yield Amtool(url)


def real_time(bench: Bench) -> None:
    """amtool reckons with the time of the machine: what it has made begins now at the latest."""
    bench.clock.set_wall(time.time())


async def test_silences_are_made_found_changed_and_ended(tmp_path: Path) -> None:
    bench = Bench(tmp_path, config(rule()))
    real_time(bench)
    async with bench.running(), pointed_at(bench) as amtool:
        id = await amtool("silence", "add", "alertname=critical_alert", "team=~a|b", "-c", "known", "-a", "alice")
        real_time(bench)
        (silence,) = await amtool.json("silence", "query", "alertname=critical_alert")
        assert (silence["id"], silence["status"], silence["comment"]) == (id, {"state": "active"}, "known")
        assert [(each["name"], each["value"], each["isRegex"]) for each in silence["matchers"]] == [
            ("alertname", "critical_alert", False),
            ("team", "a|b", True),
        ]
        assert await amtool.json("silence", "query", "alertname=another") == []
        await amtool("silence", "update", "--duration=2h", "--comment=still known", id)
        (silence,) = await amtool.json("silence", "query")
        assert (silence["id"], silence["comment"]) == (id, "still known")
        real_time(bench)
        await amtool("silence", "expire", id)
        assert await amtool.json("silence", "query") == []
        (silence,) = await amtool.json("silence", "query", "--expired")
        assert silence["status"] == {"state": "expired"}
        assert "status 404" in await amtool("silence", "expire", "no-such-silence", status=1)
        await bench.kinds(*["notification.message"] * 3)
        said = [data["title"] for _, data in await bench.events()]
        assert said == ["Silence created", "Silence changed", "Silence expired"]


async def test_a_silence_from_amtool_keeps_people_quiet_and_its_end_does_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path, config(rule()))
    real_time(bench)
    async with bench.running(), pointed_at(bench) as amtool:
        id = await amtool("silence", "add", "severity=critical", "-c", "drill", "-a", "alice", "-d", "1h")
        real_time(bench)
        await bench.tick(error_rate=0.5)
        (alert,) = await amtool.json("alert", "query", "--silenced")
        assert alert["status"] == {"state": "suppressed", "silencedBy": [id], "inhibitedBy": []}
        assert await amtool.json("alert", "query", "--active") == []
        assert bench.slack.attempts.empty()
        await amtool("silence", "expire", id)
        told = await bench.slack.accepted.get()
        assert (told.notification.title, told.notification.why) == ("critical_alert", "first")


async def test_alerts_are_added_shown_and_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, config(rule()))
    real_time(bench)
    async with bench.running(), pointed_at(bench) as amtool:
        add = ("alert", "add", "alertname=NodeDown", "node=n1", "severity=critical", "--annotation=summary=n1 is down")
        await amtool(*add)
        told = (await bench.slack.accepted.get()).notification
        assert (told.title, told.text, told.priority) == ("NodeDown", "n1 is down", "critical")
        (alert,) = await amtool.json("alert", "query", 'node=~"n."')
        assert alert["labels"] == {"alertname": "NodeDown", "node": "n1", "severity": "critical"}
        assert alert["receivers"] == [{"name": "all"}]
        assert await amtool.json("alert", "query", "node=n2") == []
        await amtool(*add)  # the same once more
        bench.clock.advance(301)  # no one sends it again
        await bench.tick(error_rate=0.0)
        end = (await bench.slack.accepted.get()).notification
        assert (end.kind, end.reason) == ("resolved", "timed_out")
        assert bench.slack.attempts.qsize() == 2
        await bench.kinds("alert.firing", "alert.resolved")


async def test_the_cluster_can_be_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, config(rule()))
    async with bench.running(), pointed_at(bench) as amtool:
        assert "disabled" in await amtool("cluster", "show")
