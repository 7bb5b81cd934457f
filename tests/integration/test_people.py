"""People and their programs against the real daemon: acknowledging, loops, reloads while an alert fires."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from centrifuge import Client

from tests.integration.daemon import Daemon
from tests.unit.notifications.servers import Hook

PROCESSING = """
analytics:
  tick: 0.2
  windows: [10m]
  metrics:
    - {name: level, types: [test.level], kind: last, field: data.level, window: 10m, by: [data.unit]}
"""
RULE = """
  notification_rules:
    - {name: level, condition: level > 0.5, by: [unit], channel: webhook, priority: critical, summary: "{unit}"}
"""
GATEWAY = """
centrifuge: {{publish_from_clients: true}}
real_time_notifications:
  directory: ""
  notification_channels: [websocket, sse, webhook]
  webhook: {{endpoints: [{endpoints}]}}
  receivers:
    team: {{channel: webhook, to: [team]}}
    boss: {{channel: webhook, to: [boss]}}
  grouping: {{group_by: ["..."], repeat_interval: {repeat}}}
  routes: [{routes}]
"""


class House:
    """A daemon with a hook that is told, and ways to make its alerts fire."""

    def __init__(self, scratch: Path, name: str = "one") -> None:
        self.gateway_file, processing = scratch / f"{name}.yaml", scratch / f"{name}-processing.yaml"
        processing.write_text(PROCESSING)
        arguments = ("--config", str(self.gateway_file), "--processing-config", str(processing))
        self.daemon = Daemon(scratch / name, *arguments)
        self.told: list[tuple[str, str, str]] = []
        """Receiver, unit and status of what the hook was told."""
        self.http: aiohttp.ClientSession

    def configure(self, text: str) -> None:
        self.gateway_file.write_text(text)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[House]:
        async with self.daemon, aiohttp.ClientSession() as self.http:
            yield self

    async def set(self, unit: str, level: float) -> None:
        event = {"type": "test.level", "data": {"unit": unit, "level": level}}
        async with self.http.post(f"{self.daemon.events}/events", json=event) as answer:
            assert answer.status == 202

    async def get(self, path: str) -> Any:
        async with self.http.get(f"{self.daemon.gateway}{path}") as answer:
            assert answer.status == 200
            return await answer.json()

    async def alerts(self) -> list[dict[str, Any]]:
        """What the log says of alerts."""
        async with self.http.get(f"{self.daemon.events}/events", params={"limit": "10000"}) as answer:
            events = (await answer.json())["events"]
        return [event for event in events if event["type"].startswith("alert.")]

    async def received(self) -> float:
        """How many alerts came from outside."""
        return await self._sum("citadel_alerts_received_total")

    async def delivered(self, channel: str) -> float:
        """How many deliveries of a channel were tried."""
        return await self._sum("notification_delivery_total", f'channel="{channel}"')

    async def _sum(self, name: str, label: str = "") -> float:
        async with self.http.get(f"{self.daemon.gateway}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{") and label in line]
        assert found, f"there is no metric {name}"
        return sum(found)

    async def episode(self, unit: str) -> str:
        status = await self.get("/notifications/status")
        (rule,) = status["rules"]
        return next(each["episode"] for each in rule["label_sets"] if each["labels"] == {"unit": unit})

    async def hear(self, hook: Hook) -> None:
        """Write down what the hook is told, for ever."""
        while True:
            _, body = await hook.seen.get()
            payload = msgspec.json.decode(body)
            for alert in payload["alerts"]:
                self.told.append((payload["receiver"], alert["labels"]["unit"], alert["status"]))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def house(
    scratch: Path, routes: str = "{receiver: team}", repeat: str = "4h"
) -> AsyncIterator[tuple[House, str]]:
    """A house with a hook for the receivers `team` and `boss`; with the configuration without its rules."""
    found = House(scratch)
    async with Hook().running() as hook:
        endpoints = ", ".join(f'{{name: {name}, url: "{hook.url}"}}' for name in ("team", "boss"))
        text = GATEWAY.format(endpoints=endpoints, routes=routes, repeat=repeat)
        found.configure(text + RULE)
        hearing = asyncio.create_task(found.hear(hook))
        async with found.running():
            yield found, text
        hearing.cancel()


async def test_acknowledging_by_socket_and_by_http_stops_repeats_and_escalation(tmp_path: Path) -> None:
    """Three alerts; one is acknowledged by a Centrifuge client, one by HTTP, one by nobody.

    Repeats and escalation leave a busy machine the time to acknowledge.
    """
    steps = "{receiver: team, escalate: [{after: 9s, receiver: boss}]}"
    async with house(tmp_path, steps, repeat="7s") as (one, _):
        units = ("by-socket", "by-http", "by-nobody")
        for unit in units:
            await one.set(unit, 1.0)

        async def all_told() -> bool:
            return {unit for _, unit, _ in one.told} == set(units)

        await until(all_told)
        socket = Client(f"{one.daemon.gateway.replace('http', 'ws', 1)}/connection/websocket")
        await socket.connect()
        subscription = socket.new_subscription("system_alerts")
        await subscription.subscribe()
        await subscription.publish({"type": "alert.acknowledged", "episode": await one.episode("by-socket")})
        await socket.disconnect()
        body = {"episode": await one.episode("by-http"), "by": "alice"}
        async with one.http.post(f"{one.daemon.gateway}/notifications/acknowledge", json=body) as answer:
            assert answer.status == 200, await answer.text()

        async def known() -> bool:
            (rule,) = (await one.get("/notifications/status"))["rules"]
            return {each.get("acknowledged_by") for each in rule["label_sets"]} == {"somebody", "alice", None}

        await until(known)
        before = Counter(one.told)

        async def goes_on() -> bool:
            news = Counter(one.told) - before
            return news["team", "by-nobody", "firing"] >= 2 and news["boss", "by-nobody", "firing"] == 1

        await until(goes_on)
        assert {unit for _, unit, _ in Counter(one.told) - before} == {"by-nobody"}
        for unit in units:
            await one.set(unit, 0.0)

        async def over() -> bool:
            return sum(status == "resolved" for _, _, status in one.told) == 4

        await until(over)
        ends = Counter(unit for _, unit, status in one.told if status == "resolved")
        assert ends == {"by-http": 1, "by-socket": 1, "by-nobody": 2}


async def test_a_plain_websocket_client_sees_an_alert_and_its_acknowledgement(tmp_path: Path) -> None:
    """It acknowledges by POST, with the episode that it was sent, and sees the acknowledgement on its socket."""
    async with house(tmp_path) as (one, _):
        address = f"{one.daemon.gateway.replace('http', 'ws', 1)}/ws/system_alerts"
        async with one.http.ws_connect(address) as socket:
            await one.set("u1", 1.0)
            fired = await next_of(socket, "alert.firing")
            body = {"episode": fired["data"]["episode"], "by": "bob", "comment": "on it"}
            async with one.http.post(f"{one.daemon.gateway}/notifications/acknowledge", json=body) as answer:
                assert answer.status == 200
            acknowledged = await next_of(socket, "alert.acknowledged")
            assert (acknowledged["data"]["by"], acknowledged["data"]["comment"]) == ("bob", "on it")
            await one.set("u1", 0.0)
            assert (await next_of(socket, "alert.resolved"))["data"]["episode"] == body["episode"]


async def next_of(socket: aiohttp.ClientWebSocketResponse, type: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            message: dict[str, Any] = msgspec.json.decode((await socket.receive()).data)
            if message.get("type") == type:
                return message


async def test_a_reload_ends_alerts_of_a_rule_that_is_gone_for_whoever_was_told(tmp_path: Path) -> None:
    """`kill -HUP` with other routes and without the rule: the team hears the end, the boss nothing."""
    async with house(tmp_path) as (one, without_rule):
        await one.set("u1", 1.0)

        async def told() -> bool:
            return one.told == [("team", "u1", "firing")]

        await until(told)
        changed = without_rule.replace("routes: [{receiver: team}]", "routes: [{receiver: boss}]")
        one.configure(changed + "  notification_rules: []\n")
        os.kill(one.daemon.pid, signal.SIGHUP)

        async def ended() -> bool:
            return len(one.told) == 2

        async def stored() -> bool:
            return len(await one.alerts()) == 2

        await until(ended)
        assert one.told[1] == ("team", "u1", "resolved")
        await until(stored)
        assert [(event["type"], event["data"].get("reason")) for event in await one.alerts()] == [
            ("alert.firing", None),
            ("alert.resolved", "rule_changed"),
        ]
        one.configure(changed + RULE)
        os.kill(one.daemon.pid, signal.SIGHUP)

        async def fires_again() -> bool:
            return one.told[2:] == [("boss", "u1", "firing")]

        await until(fires_again)


async def test_two_daemons_that_point_at_each_other_end_after_one_hop(tmp_path: Path) -> None:
    one, two = House(tmp_path, "one"), House(tmp_path, "two")

    def pointing_at(url: str) -> str:
        endpoints = "" if not url else f'{{name: other, url: "{url}/notifications/alertmanager"}}'
        text = GATEWAY.format(endpoints=endpoints, routes="{receiver: webhook}", repeat="4h")
        return text.replace("[team]", "[other]").replace("[boss]", "[other]") + RULE

    one.configure(pointing_at("http://127.0.0.1:9"))
    async with one.running():
        two.configure(pointing_at(one.daemon.gateway))
        async with two.running():
            one.configure(pointing_at(two.daemon.gateway))
            os.kill(one.daemon.pid, signal.SIGHUP)
            async with asyncio.timeout(30):
                while not any("reload" in line.lower() for line in one.daemon.output):
                    await asyncio.sleep(0.02)
            await one.set("u1", 1.0)

            async def there() -> bool:
                return len((await two.get("/notifications/status"))["foreign_alerts"]) == 1

            await until(there)

            async def fires() -> bool:
                return [event["type"] for event in await two.alerts()] == ["alert.firing"]

            await until(fires)
            await one.set("u1", 0.0)

            async def gone() -> bool:
                return [event["type"] for event in await two.alerts()] == ["alert.firing", "alert.resolved"]

            await until(gone)
            # Had the other passed it on, it would have come back before its end.
            assert await two.received() == 2
            assert (await one.received(), await two.delivered("webhook")) == (0, 0)

            async def counted() -> bool:
                return await one.delivered("webhook") == 2

            await until(counted)
