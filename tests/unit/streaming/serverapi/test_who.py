"""Presence, channels, info."""

from __future__ import annotations

from typing import Any, NamedTuple

import aiohttp
import msgspec

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.event.streaming.serverapi.who import Known, Node
from tests.unit.streaming.gateways import until
from tests.unit.streaming.serverapi.serving import serving


class Member(msgspec.Struct):
    client: str
    user: str


class Asked(NamedTuple):
    presence: dict[str, Any]
    stats: dict[str, int]


async def test_raw_clients_are_known_by_transport_and_address() -> None:
    async with serving() as api, aiohttp.ClientSession() as session:

        async def asked(channel: str) -> Asked:
            presence = await api.ask("presence", channel=channel)
            return Asked(presence["result"]["presence"], (await api.ask("presence_stats", channel=channel))["result"])

        assert await asked("events") == ({}, {"num_clients": 0, "num_users": 0})
        stream = await session.get(f"{api.url}/sse/events")
        filtered = await session.get(f"{api.url}/sse/events?type=host.*")
        socket = await session.ws_connect(f"{api.url}/ws/system_alerts")
        presence, stats = await asked("events")
        assert stats == {"num_clients": 2, "num_users": 1}
        assert all(id.startswith("sse:127.0.0.1:") for id in presence)
        assert all(info == {"client": id, "user": ""} for id, info in presence.items())
        (id,) = (await asked("system_alerts")).presence
        assert id.startswith("websocket:127.0.0.1:")
        channels = await api.ask("channels")
        assert channels["result"]["channels"] == {"events": {"num_clients": 2}, "system_alerts": {"num_clients": 1}}
        channels = await api.ask("channels", pattern="sys*")
        assert list(channels["result"]["channels"]) == ["system_alerts"]
        (node,) = (await api.ask("info"))["result"]["nodes"]
        assert node.pop("uid") != ""
        assert node.pop("uptime") >= 0
        assert node == {
            "name": "here",
            "version": __version__,
            "num_clients": 3,
            "num_users": 1,
            "num_channels": 2,
            "num_subs": 3,
        }
        await socket.close()
        stream.close()
        filtered.close()
        await until(lambda: sum(map(len, api.gateway.places.values())) == 0)
        assert (await api.ask("channels"))["result"] == {"channels": {}}


async def test_clients_with_a_name_are_told_as_they_are() -> None:
    there = {"events": {"c1": Member("c1", "ann"), "c2": Member("c2", "ann")}}
    async with serving(members=lambda channel: there.get(channel, {})) as api, aiohttp.ClientSession() as session:
        answer = (await api.ask("presence", channel="events"))["result"]["presence"]
        assert answer == {"c1": {"client": "c1", "user": "ann"}, "c2": {"client": "c2", "user": "ann"}}
        stream = await session.get(f"{api.url}/sse/events")
        assert (await api.ask("presence_stats", channel="events"))["result"] == {"num_clients": 3, "num_users": 2}
        assert (await api.ask("info"))["result"]["nodes"][0]["num_users"] == 2
        stream.close()


async def test_what_other_processes_know_is_added() -> None:
    """Raw clients and counts of all, a node for each."""
    there = Node("u2", "here-1", __version__, num_clients=2, num_users=1, num_channels=1, num_subs=2, uptime=1)
    asked: list[str] = []

    async def elsewhere(channel: str) -> list[Known]:
        asked.append(channel)
        return [Known(raw=["sse:1.2.3.4:5"])] if channel else [Known(there, {"events": 1, "llm_events": 1})]

    async with serving() as api, aiohttp.ClientSession() as session:
        api.who.elsewhere = elsewhere
        stream = await session.get(f"{api.url}/sse/events")
        presence = (await api.ask("presence", channel="events"))["result"]["presence"]
        assert len(presence) == 2
        assert presence["sse:1.2.3.4:5"] == {"client": "sse:1.2.3.4:5", "user": ""}
        assert (await api.ask("presence_stats", channel="events"))["result"] == {"num_clients": 2, "num_users": 1}
        channels = (await api.ask("channels", pattern="ev*"))["result"]["channels"]
        assert channels == {"events": {"num_clients": 2}}
        nodes = (await api.ask("info"))["result"]["nodes"]
        assert [node["name"] for node in nodes] == ["here", "here-1"]
        assert asked == ["events", "events", "", ""]
        stream.close()


async def test_unknown_channels_and_members() -> None:
    async with serving() as api:
        for method in ("presence", "presence_stats"):
            assert (await api.error(method, channel="nowhere"))[0] == 102
        assert (await api.error("info", verbose=True)) == (
            107,
            "bad request: info: verbose: unknown key",
        )
        status, answer = await api.send("info", b"")
        assert (status, list(answer)) == (200, ["result"])
