"""Debian's Alertmanager as the oracle: the same alerts and the same routes, the same notifications.

Alertmanager lives in real time, so the script does too; our pipeline follows it in virtual time, each step at the
moment at which Alertmanager was told. Compared are, for each group, the notifications in their order: the alerts that
fire in them, and those that have ended. A play in which Alertmanager itself was late, as where the machine stood still,
is no oracle: it is played again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import yaml
from aiohttp import web

from tests.ports import free_port
from tests.unit.notifications.routing.ways import Ways

LAST = 13.6
WAIT, INTERVAL = 1, 2
PACE = {"group_wait": f"{WAIT}s", "group_interval": f"{INTERVAL}s", "repeat_interval": "5s"}
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
PLAYS = 3
MOST_LATE = 0.15
"""Seconds in which Alertmanager has told what is due; no step is so near to a flush of its group."""


class Told(NamedTuple):
    """A notification, by the alerts in it."""

    firing: frozenset[str]
    ended: frozenset[str]
    at: float
    """Seconds from the beginning of the script."""

    @property
    def alerts(self) -> tuple[frozenset[str], frozenset[str]]:
        return self.firing, self.ended


Groups = dict[tuple[str, str], list[Told]]


def labels_of(name: str, labels: dict[str, str]) -> dict[str, str]:
    alertname, _, instance = name.partition("/")
    found = {"alertname": alertname, "severity": "warning"} | labels
    if name == "slow":
        found["node"] = "n1"
    return found | ({"instance": instance} if instance else {})


def key_of(labels: dict[str, str]) -> str:
    return json.dumps(labels, sort_keys=True)


def told_of(alerts: Iterable[tuple[str, dict[str, str]]], at: float) -> Told:
    """Of statuses and labels."""
    keys = [(status, key_of(labels)) for status, labels in alerts]
    firing, ended = (frozenset(key for status, key in keys if status == kind) for kind in ("firing", "resolved"))
    return Told(firing, ended, at)


def ours(moments: Sequence[float]) -> Groups:
    """What our pipeline tells, in virtual time, when each step comes at its moment; the last one is the end."""
    names = ("default", "oncall", "pay")
    ways = Ways(
        receivers={name: {"channel": "slack", "to": [name]} for name in names},
        routes=[*CHILDREN, {"receiver": "default"}],
        grouping={"group_by": ["alertname"], **PACE},
        inhibit_rules=INHIBIT,
    )
    for step, at in zip(SCRIPT, moments, strict=False):
        ways.advance(at - ways.elapsed)
        labels = {"node": "n1"} if step.names == ("repeats", "slow") else step.labels
        if step.what == "silence":
            ways.silence(SILENCE_SECONDS, alertname=step.names[0])
        elif step.names == ("repeats", "slow"):
            ways.end("repeats")
            ways.end("slow", **labels)
        else:
            ways.fire(*step.names, **labels) if step.what == "fire" else ways.end(*step.names, **labels)
    ways.advance(moments[-1] - ways.elapsed)
    found: Groups = {}
    queued = [(told, to) for told, to in ways.queue if told.kind != "message"]
    for (told, to), when in zip(queued, ways.told, strict=True):
        alerts = ((each.status, each.labels) for each in told.alerts)
        found.setdefault((to[0][1], key_of(told.group_labels)), []).append(told_of(alerts, when.at))
    return found


@asynccontextmanager
async def sink() -> AsyncIterator[tuple[str, list[tuple[str, Any, float]]]]:
    """Takes webhooks; answers its URL and what has come, by receiver, and when by the loop's clock."""
    came: list[tuple[str, Any, float]] = []

    async def take(request: web.Request) -> web.Response:
        came.append((request.match_info["receiver"], await request.json(), asyncio.get_running_loop().time()))
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
    port = free_port()
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


async def play(url: str, start: float) -> list[float]:
    """The script in real time, from `start` by the loop's clock; answers the moments of its steps and of its end."""
    loop = asyncio.get_running_loop()
    began: dict[str, str] = {}
    moments: list[float] = []
    async with aiohttp.ClientSession(url) as session:
        for step in SCRIPT:
            await asyncio.sleep(max(0.0, start + step.at - loop.time()))
            path, body = request_of(step, began)
            sent = loop.time()
            async with session.post(path, json=body) as answer:
                assert answer.status == 200, await answer.text()
            moments.append((sent + loop.time()) / 2 - start)
        await asyncio.sleep(max(0.0, start + LAST - loop.time()))
    return [*moments, loop.time() - start]


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


def theirs(came: list[tuple[str, Any, float]], start: float) -> Groups:
    found: Groups = {}
    for receiver, hook, at in came:
        alerts = ((each["status"], each["labels"]) for each in hook["alerts"])
        found.setdefault((receiver, key_of(hook["groupLabels"])), []).append(told_of(alerts, at - start))
    return found


async def played(directory: Path) -> tuple[Groups, list[float]]:
    """What Alertmanager tells in one play, and the moments of that."""
    directory.mkdir()
    async with sink() as (sink_url, came), alertmanager(directory, sink_url) as url:
        start = asyncio.get_running_loop().time()
        moments = await play(url, start)
        return theirs(came, start), moments


def late(expected: Groups, moments: Sequence[float]) -> float:
    """By how much the latest of Alertmanager's notifications came after the flush of its group that it is of."""
    begun: dict[str, float] = {}
    for step, at in zip(SCRIPT, moments, strict=False):
        for name in step.names if step.what == "fire" else ():
            begun.setdefault(name.partition("/")[0], at)
    found = (told for group in expected.values() for told in group)
    since = (told.at - begun[json.loads(min(told.firing | told.ended))["alertname"]] for told in found)
    return max((seconds - WAIT + MOST_LATE) % INTERVAL - MOST_LATE for seconds in since)


async def test_alertmanager_tells_what_we_tell(tmp_path: Path) -> None:
    for number in range(PLAYS):
        expected, moments = await played(tmp_path / str(number))
        if late(expected, moments) < MOST_LATE:
            break
    found = ours(moments)
    assert sorted(found) == sorted(expected)
    for group, told in expected.items():
        assert [each.alerts for each in found[group]] == [each.alerts for each in told], group
    assert sum(map(len, expected.values())) >= 15
