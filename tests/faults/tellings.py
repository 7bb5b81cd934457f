"""The daemon killed at every step between a condition and those who are told of it, again and again.

One data directory lives through many kills while alerts fire and resolve. Then it lives in peace until nothing is left
to do, and the verdict compares three things: the alerts in the event log, what each recipient accepted, and what was in
flight at each kill.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.channels.mail import message_id
from hxp_enterprise_llm.event.notifications.model import Delivery, Notification
from tests.faults.dying import PEOPLE, STEPS
from tests.faults.inboxes import CALM, STORM, Inboxes

UNITS = tuple(f"unit-{number}" for number in range(4))
KILLS_A_WORLD = 20
_DOMAIN = "example.org"
_REACH_SECONDS = 8.0
"""A step that has not come by then does not come: the process is killed where it is."""
_SETTLE_SECONDS = 120.0
_START_SECONDS = 300.0
"""On a busy machine a start takes long, and a life that is given up before it has begun shows nothing."""

GATEWAY = """
real_time_notifications:
  directory: ""
  notification_channels: [websocket, sse, email, slack, webhook]
  grouping: {{group_by: ["..."]}}
  notification_rules:
    - {{name: level, condition: level > 0.5, by: [unit], channel: all, priority: critical, summary: "{{unit}}"}}
  email: {{host: 127.0.0.1, port: {port}, tls: none, from: citadel@example.org, to: [ops@example.org],
           rate: {{per_minute: 0}}}}
  slack: {{api_url: "{url}/api/", channel: "#ops", token_file: {token}, rate: {{per_minute: 0}}}}
  webhook: {{endpoints: [{{name: pager, url: "{url}/hook"}}], rate: {{per_minute: 0}}}}
"""
PROCESSING = """
analytics:
  tick: 0.2
  windows: [10m]
  metrics:
    - {name: level, types: [torture.level], kind: last, field: data.level, window: 10m, by: [data.unit]}
"""


class Verdict(NamedTuple):
    """What became of a world."""

    kills: int
    episodes: int
    messages: int
    duplicates: Counter[str]
    """By the step before which the process was killed."""
    ended_alone: int
    """Ends that were told alone, because nobody at all had been told of the beginning."""
    refused: int
    faults: list[str]


class World:
    """A data directory and those who are told."""

    def __init__(self, scratch: Path, seed: int, daemon: Callable[..., Any]) -> None:
        """`daemon` makes a daemon of a data directory, its arguments, and the command that runs it."""
        self._rng = random.Random(seed)
        self._data = scratch / "data"
        self._scratch, self._daemon = scratch, daemon
        self.inboxes = Inboxes(self._rng)
        self._levels = dict.fromkeys(UNITS, 0)
        self.kills = 0
        self._at_risk: Counter[str] = Counter()
        self._killed_before: dict[str, list[str]] = {}
        self.duplicates: Counter[str] = Counter()

    async def live(self, steps: list[str]) -> Verdict:
        """One kill for each step ("" is a random moment), then peace, then the verdict."""
        self._scratch.mkdir()
        async with self.inboxes.running() as inboxes:
            token = self._scratch / "token"
            token.write_text("xoxb-torture")
            token.chmod(0o600)
            gateway = GATEWAY.format(port=inboxes.mail_port, url=inboxes.url, token=token)
            (self._scratch / "gateway.yaml").write_text(gateway)
            (self._scratch / "processing.yaml").write_text(PROCESSING)
            for step in steps:
                inboxes.unrest = self._rng.choice((CALM, CALM, STORM))
                await self._life(step)
            inboxes.unrest = CALM
            return await self._peace()

    def _make(self, step: str = "", nth: int = 1) -> Any:
        arguments = ("--config", str(self._scratch / "gateway.yaml"))
        arguments += ("--processing-config", str(self._scratch / "processing.yaml"))
        within = (sys.executable, "-m", "tests.faults.dying", step, str(nth))
        return self._daemon(self._data, *arguments, within=within, start_seconds=_START_SECONDS)

    async def _life(self, step: str) -> None:
        nth = self._rng.choice((1, 1, 2, 3, 5))
        daemon = self._make(step, nth)
        try:
            await daemon.start()
            async with aiohttp.ClientSession() as session:
                await self._change(session, daemon.events)
                if not step:
                    await asyncio.sleep(self._rng.uniform(0, 1.5))
                elif not await _ended(daemon):
                    step = f"{step}, which did not come"
                await self._change_again(session, daemon)
        except (aiohttp.ClientError, AssertionError, ConnectionError):
            pass  # it ended while it was spoken to, or before it had started: that is what it is for
        status = await daemon.end(signal.SIGKILL)
        if status != -signal.SIGKILL:
            raise AssertionError(f"it was to be killed, and ended with {status}:\n" + "".join(daemon.output))
        self.kills += 1
        self._look(step or "a random moment")

    async def _change(self, session: aiohttp.ClientSession, events: str) -> None:
        for unit in self._rng.sample(UNITS, self._rng.randrange(1, len(UNITS))):
            self._levels[unit] = 1 - self._levels[unit]
            await self._post(session, events, unit)

    async def _change_again(self, session: aiohttp.ClientSession, daemon: Any) -> None:
        """Now and then alerts change once more just before a random end."""
        if daemon.events and self._rng.random() < 0.3:
            await self._change(session, daemon.events)
            await asyncio.sleep(self._rng.uniform(0, 0.6))

    async def _post(self, session: aiohttp.ClientSession, events: str, unit: str) -> None:
        event = {"type": "torture.level", "data": {"unit": unit, "level": self._levels[unit]}}
        async with session.post(f"{events}/events", json=event) as answer:
            if answer.status != 202:
                raise ConnectionError(await answer.text())

    def _look(self, step: str) -> None:
        """What was in flight may come twice."""
        for row in self._rows():
            if row["state"] == "in_flight":
                key = _key(row)
                self._at_risk[key] += 1
                self._killed_before.setdefault(key, []).append(step)

    def _rows(self) -> list[dict[str, Any]]:
        path = self._data / "streaming" / "state.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            try:
                found = connection.execute("SELECT * FROM outbox WHERE kind IN ('firing', 'resolved') ORDER BY id")
            except sqlite3.OperationalError:
                return []  # killed before its first migration
            rows = [dict(row) for row in found]
        return [row | {"payload": json.loads(row["payload"])} for row in rows if row["channel"] in PEOPLE]

    async def _peace(self) -> Verdict:
        async with self._make() as daemon:
            self._levels = dict.fromkeys(UNITS, 0)
            async with aiohttp.ClientSession() as session:
                for unit in UNITS:
                    await self._post(session, daemon.events, unit)
                events = await self._settled(session, daemon)
            await daemon.end()
        return self._judge(events)

    async def _settled(self, session: aiohttp.ClientSession, daemon: Any) -> list[dict[str, Any]]:
        """The alerts of the log, once none fires and nothing waits; or when that takes too long."""
        events: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while True:
                    events = await self._alerts(session, daemon.events)
                    open_episodes = Counter(each["data"]["episode"] for each in events)
                    waiting = [row for row in self._rows() if row["state"] not in ("sent", "merged")]
                    if events and all(count == 2 for count in open_episodes.values()) and not waiting:
                        return events
                    await asyncio.sleep(0.2)
        except TimeoutError:
            return events

    async def _alerts(self, session: aiohttp.ClientSession, base: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            async with session.get(f"{base}/events", params={"after": str(after), "limit": "10000"}) as answer:
                page = await answer.json()
            found += [each for each in page["events"] if each["type"] in ("alert.firing", "alert.resolved")]
            if page["next"] <= after or page["next"] >= page["head"]:
                return found
            after = page["next"]

    def _judge(self, events: list[dict[str, Any]]) -> Verdict:
        rows = self._rows()
        faults = [f"{_named(row)} is {row['state']}: {row['last_error']}" for row in rows if row["state"] == "dead"]
        faults += _in_the_log(events)
        expected: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        for row in rows:
            expected.setdefault((row["episode"], row["channel"]), {})[row["kind"]] = row
        episodes = {each["data"]["episode"] for each in events}
        came: dict[tuple[str, str], list[int]] = {}
        for place, message in enumerate(self.inboxes.accepted):
            came.setdefault((message.channel, message.key), []).append(place)
        alone = 0
        for episode in sorted(episodes):
            of = {channel: expected.get((episode, channel), {}) for channel in PEOPLE}
            ends = [self._told(f"{episode} by {channel}", of[channel], came, faults) for channel in PEOPLE]
            alone += sum(ends)
            if any(ends):
                faults += self._heard_both(episode, of, came)
        known = {(row["channel"], _key(row)) for row in rows}
        faults += [f"nobody queued {message}" for message in self.inboxes.accepted if (message[:2]) not in known]
        return Verdict(
            self.kills,
            len(episodes),
            len(self.inboxes.accepted),
            self._doubles(came, faults),
            alone,
            self.inboxes.refused,
            faults,
        )

    def _told(
        self,
        what: str,
        of: dict[str, dict[str, Any]],
        came: dict[tuple[str, str], list[int]],
        faults: list[str],
    ) -> int:
        """Firing, then resolved; 1 when the end alone was told."""
        if set(of) != {"firing", "resolved"}:
            faults.append(f"{what}: queued is {sorted(of)}")
            return 0
        firing, resolved = (came.get((of[kind]["channel"], _key(of[kind])), []) for kind in ("firing", "resolved"))
        if not resolved:
            faults.append(f"{what}: its end was told to nobody")
        if not firing:
            if of["firing"]["state"] != "merged" and not (of["firing"]["merged_into"] or 0):
                faults.append(f"{what}: its beginning was told to nobody")
            return 1
        if resolved and min(resolved) < min(firing):
            faults.append(f"{what}: its end came first")
        return 0

    def _heard_both(
        self, episode: str, of: dict[str, dict[str, dict[str, Any]]], came: dict[tuple[str, str], list[int]]
    ) -> list[str]:
        """Where an end is told alone, nobody may have heard of the beginning, as far as the daemon can know."""
        keys = [(channel, _key(rows["firing"])) for channel, rows in of.items() if "firing" in rows]
        return [
            f"{episode}: {channel} was told of the beginning, others of the end alone"
            for channel, key in keys
            if (channel, key) in came and not self._at_risk[key]
        ]

    def _doubles(self, came: dict[tuple[str, str], list[int]], faults: list[str]) -> Counter[str]:
        found: Counter[str] = Counter()
        for (channel, key), places in came.items():
            more = len(places) - 1
            if more > self._at_risk[key]:
                faults.append(f"{channel} {key} came {len(places)} times, in flight at {self._at_risk[key]} kills")
            found.update(self._killed_before.get(key, [])[:more])
        return found


async def _ended(daemon: Any) -> bool:
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            await daemon.wait()
    except TimeoutError:
        return False
    return True


def _in_the_log(events: list[dict[str, Any]]) -> list[str]:
    """Each episode begins once and ends once, in this order."""
    kinds: dict[str, list[str]] = {}
    for each in events:
        kinds.setdefault(each["data"]["episode"], []).append(each["type"])
    wanted = ["alert.firing", "alert.resolved"]
    return [f"{episode} in the log: {found}" for episode, found in kinds.items() if found != wanted]


def _key(row: dict[str, Any]) -> str:
    """How the recipient tells it from others."""
    payload = row["payload"]
    if row["channel"] == "webhook":
        return sha256(row["idempotency_key"].encode()).hexdigest()[:32]
    if row["channel"] == "slack":
        unit, since = payload["alerts"][0]["labels"]["unit"], rfc3339(payload["since"])
        return f"{unit}/{since}/{payload['kind']}"
    notification = msgspec.convert(payload, Notification)
    return message_id(Delivery(row["id"], "email", row["target"], "", 1, 0.0, notification), _DOMAIN)


def _named(row: dict[str, Any]) -> str:
    return f"{row['kind']} of {row['episode']} to {row['channel']}"


def plan(count: int, rng: random.Random) -> list[str]:
    """So many steps: each named one equally often, a third at random moments."""
    named = list(STEPS)
    rng.shuffle(named)
    found = [named[number % len(named)] for number in range(2 * count // 3)]
    found += [""] * (count - len(found))
    rng.shuffle(found)
    return found


async def tellings(
    scratch: Path, count: int, seed: int, daemon: Callable[..., Any], say: Callable[[str], None]
) -> list[Verdict]:
    """So many kills, a new world after each twenty."""
    rng = random.Random(seed)
    steps, verdicts = plan(count, rng), []
    for number, first in enumerate(range(0, count, KILLS_A_WORLD)):
        place = scratch / f"world-{number}"
        world = World(place, rng.getrandbits(32), daemon)
        verdict = await world.live(steps[first : first + KILLS_A_WORLD])
        verdicts.append(verdict)
        say(words(verdict))
        for fault in verdict.faults:
            say(f"  {fault}")
        if not verdict.faults:
            shutil.rmtree(place)
    return verdicts


def words(verdict: Verdict) -> str:
    """The figures on a line."""
    doubles = ", ".join(f"{number} before {step}" for step, number in verdict.duplicates.items()) or "none"
    told = f"{verdict.kills} kills, {verdict.episodes} episodes, {verdict.messages} messages"
    return (
        f"{told}, {verdict.refused} refused for the moment; twice: {doubles};"
        f" {verdict.ended_alone} ends told alone; {len(verdict.faults)} faults"
    )


def total(verdicts: list[Verdict]) -> Verdict:
    """All of them together."""
    added = zip(*(verdict[:3] for verdict in verdicts), strict=True)
    kills, episodes, messages = (sum(column) for column in added)
    doubles: Counter[str] = Counter()
    for verdict in verdicts:
        doubles.update(verdict.duplicates)
    alone, refused = sum(each.ended_alone for each in verdicts), sum(each.refused for each in verdicts)
    faults = [fault for verdict in verdicts for fault in verdict.faults]
    return Verdict(kills, episodes, messages, doubles, alone, refused, faults)
