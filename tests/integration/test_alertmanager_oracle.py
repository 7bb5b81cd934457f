"""Debian's Alertmanager as the oracle: the same alerts and the same routes, the same notifications.

Alertmanager lives in real time, so the script does too; our pipeline follows it in virtual time. Compared are, for each
group, the notifications in their order: the alerts that fire in them, and those that have ended.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import yaml
from aiohttp import web

from tests.unit.notifications.routing.ways import Ways

LAST = 13.6
PACE = {"group_wait": "1s", "group_interval": "2s", "repeat_interval": "5s"}
INHIBIT = [{"source_matchers": ['alertname="down"'], "target_matchers": ['alertname="slow"'], "equal": ["node"]}]
CHILDREN = [
    {"matchers": ['severity="page"'], "receiver": "oncall", "continue": True},
    {"matchers": ['team=~"pay.*"'], "receiver": "pay", "group_by": ["team"]},
]


class Step(NamedTuple):
    """At so many seconds these alerts begin (`firing`), end, or are silenced."""

    at: float
    what: str
    names: tuple[str, ...]
    labels: dict[str, str]


SCRIPT = (
    Step(0.0, "fire", ("a/1",), {}),
    Step(0.0, "fire", ("down", "slow"), {"node": "n1"}),
    Step(0.3, "fire", ("a/2",), {}),
    Step(1.5, "fire", ("a/3",), {}),
    Step(2.0, "fire", ("repeats", "flaps", "short"), {}),
    Step(2.5, "end", ("short",), {}),
    Step(3.4, "end", ("flaps",), {}),
    Step(3.6, "end", ("a/1",), {}),
    Step(4.2, "fire", ("flaps",), {}),
    Step(5.0, "silence", ("quiet",), {}),
    Step(5.3, "fire", ("quiet",), {}),
    Step(5.6, "fire", ("both/1", "both/2"), {"severity": "page", "team": "payments"}),
    Step(7.4, "end", ("a/2", "a/3"), {}),
    Step(7.6, "end", ("both/1",), {"severity": "page", "team": "payments"}),
    Step(7.8, "end", ("flaps",), {}),
    Step(8.1, "end", ("down",), {"node": "n1"}),
    Step(10.4, "end", ("repeats", "slow"), {}),
    Step(11.6, "end", ("both/2",), {"severity": "page", "team": "payments"}),
)
SILENCE_SECONDS = 4.0
Told = tuple[frozenset[str], frozenset[str]]
Groups = dict[tuple[str, str], list[Told]]


def labels_of(name: str, labels: dict[str, str]) -> dict[str, str]:
    alertname, _, instance = name.partition("/")
    found = {"alertname": alertname, "severity": "warning"} | labels
    if name == "slow":
        found["node"] = "n1"
    return found | ({"instance": instance} if instance else {})


def key_of(labels: dict[str, str]) -> str:
    return json.dumps(labels, sort_keys=True)


def ours() -> Groups:
    """What our pipeline tells, in virtual time."""
    names = ("default", "oncall", "pay")
    ways = Ways(
        receivers={name: {"channel": "slack", "to": [name]} for name in names},
        routes=[*CHILDREN, {"receiver": "default"}],
        grouping={"group_by": ["alertname"], **PACE},
        inhibit_rules=INHIBIT,
    )
    for step in SCRIPT:
        ways.advance(step.at - ways.elapsed)
        labels = {"node": "n1"} if step.names == ("repeats", "slow") else step.labels
        if step.what == "silence":
            ways.silence(SILENCE_SECONDS, alertname=step.names[0])
        elif step.names == ("repeats", "slow"):
            ways.end("repeats")
            ways.end("slow", **labels)
        else:
            ways.fire(*step.names, **labels) if step.what == "fire" else ways.end(*step.names, **labels)
    ways.advance(LAST - ways.elapsed)
    found: Groups = {}
    for told, to in ways.queue:
        if told.kind == "message":
            continue
        sets = {
            status: frozenset(key_of(each.labels) for each in told.alerts if each.status == status)
            for status in ("firing", "resolved")
        }
        found.setdefault((to[0][1], key_of(told.group_labels)), []).append((sets["firing"], sets["resolved"]))
    return found


@asynccontextmanager
async def sink() -> AsyncIterator[tuple[str, list[tuple[str, Any]]]]:
    """Takes webhooks; answers its URL and what has come, by receiver."""
    came: list[tuple[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        came.append((request.match_info["receiver"], await request.json()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/{receiver}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", came
    await runner.cleanup()


@asynccontextmanager
async def alertmanager(directory: Path, sink_url: str) -> AsyncIterator[str]:
    """A running Alertmanager with the same routes; answers its URL."""
    names = ("default", "oncall", "pay")
    config = {
        "route": {"receiver": "default", "group_by": ["alertname"], "routes": CHILDREN, **PACE},
        "inhibit_rules": INHIBIT,
        "receivers": [
            {"name": name, "webhook_configs": [{"url": f"{sink_url}/{name}", "send_resolved": True}]} for name in names
        ],
    }
    path = directory / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "prometheus-alertmanager",
        f"--config.file={path}",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await answers(f"{url}/-/ready")
        yield url
    finally:
        process.terminate()
        await process.wait()


async def answers(url: str) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


async def play(url: str) -> None:
    """The script in real time."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    began: dict[str, str] = {}
    async with aiohttp.ClientSession(url) as session:
        for step in SCRIPT:
            await asyncio.sleep(max(0.0, start + step.at - loop.time()))
            path, body = request_of(step, began)
            async with session.post(path, json=body) as answer:
                assert answer.status == 200, await answer.text()
        await asyncio.sleep(max(0.0, start + LAST - loop.time()))


def request_of(step: Step, began: dict[str, str]) -> tuple[str, Any]:
    now = datetime.now(UTC)
    if step.what == "silence":
        matcher = {"name": "alertname", "value": step.names[0], "isRegex": False, "isEqual": True}
        ends = now + timedelta(seconds=SILENCE_SECONDS)
        times = {"startsAt": now.isoformat(), "endsAt": ends.isoformat()}
        return "/api/v2/silences", {"matchers": [matcher], "createdBy": "alice", "comment": "c", **times}
    alerts = []
    for name in step.names:
        labels = labels_of(name, step.labels)
        if step.what == "fire":
            began[key_of(labels)] = now.isoformat()
        alert = {"labels": labels, "startsAt": began[key_of(labels)]}
        alerts.append(alert | ({"endsAt": now.isoformat()} if step.what == "end" else {}))
    return "/api/v2/alerts", alerts


def theirs(came: list[tuple[str, Any]]) -> Groups:
    found: Groups = {}
    for receiver, hook in came:
        sets = {
            status: frozenset(key_of(each["labels"]) for each in hook["alerts"] if each["status"] == status)
            for status in ("firing", "resolved")
        }
        found.setdefault((receiver, key_of(hook["groupLabels"])), []).append((sets["firing"], sets["resolved"]))
    return found


async def test_alertmanager_tells_what_we_tell(tmp_path: Path) -> None:
    async with sink() as (sink_url, came), alertmanager(tmp_path, sink_url) as url:
        await play(url)
    expected, found = theirs(came), ours()
    assert sorted(found) == sorted(expected)
    for group, told in expected.items():
        assert found[group] == told, group
    assert sum(map(len, expected.values())) >= 15
