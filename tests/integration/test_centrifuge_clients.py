"""The published Centrifuge clients, unmodified, against the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from centrifuge import Client, ClientEventHandler, DeltaType, SubscriptionEventHandler
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from hxp_enterprise_llm.config.secrets import Secret
from hxp_enterprise_llm.config.streaming import CentrifugeConfig, ChannelConfig, StreamingConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.streaming.centrifuge.links import SessionLink
from hxp_enterprise_llm.event.streaming.centrifuge.session import Session
from hxp_enterprise_llm.event.streaming.centrifuge.signatures import hmac_key
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import Verifier
from tests.clients.javascript import HERE, javascript
from tests.unit.streaming.centrifuge.serving import serving
from tests.unit.streaming.gateways import Served, until

TRANSPORTS = ["websocket", "http_stream", "sse"]


def open_config(**changes: Any) -> StreamingConfig:
    centrifuge = CentrifugeConfig(join_leave=True, publish_from_clients=True, **changes)
    return StreamingConfig(centrifuge=centrifuge)


def counts(publications: list[dict[str, Any]]) -> list[int]:
    return [each["data"]["data"]["n"] for each in publications]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_javascript_gets_asks_and_leaves(transport):
    """Live publications in order, joins, presence, history, publishing, and nothing after an unsubscribe."""
    async with serving(open_config()) as served, javascript() as client:
        client.do("connect", transport=transport, url=served.http(""))
        await client.until("connected", transport=transport)
        client.do("subscribe", channel="events", options={"joinLeave": True})
        (subscribed,) = await client.until("subscribed")
        assert subscribed["recoverable"] is subscribed["positioned"] is True
        offsets = await served.publish("llm.a", "llm.b", "host.c")
        publications = await client.until("publication", 3)
        assert [each["offset"] for each in publications] == offsets
        assert counts(publications) == [1, 2, 3]
        (join,) = await client.until("join")
        presence = await client.ask("presence", channel="events")
        assert presence["clients"] == {join["info"]["client"]: join["info"]}
        assert await client.ask("presenceStats", channel="events") == {"numClients": 1, "numUsers": 1}
        history = await client.ask("history", channel="events", options={"limit": 2, "reverse": True})
        assert counts(history["publications"]) == [3, 2]
        assert await client.ask("publish", channel="events", data={"hello": "Ω"}) == {}
        assert (await client.until("publication", 4))[3]["data"] == {"hello": "Ω"}
        assert await client.ask("rpc", method="x", data={}) == 108
        client.do("unsubscribe", channel="events")
        await client.until("unsubscribed", code=0)
        await served.publish("llm.a")
        client.do("subscribe", channel="events")
        await client.until("subscribed", 2)
        await served.publish("llm.d")
        recovered = await client.until("publication", 6)
        assert counts(recovered[4:]) == [4, 5]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_javascript_recovers_after_a_restart_of_the_server(transport):
    """Each event exactly once, those of the pause included, with and without differences."""
    log = MemoryLog()
    await log.open()
    async with javascript() as client:
        async with serving(open_config(), log) as served:
            port = served.port
            client.do("connect", transport=transport, url=served.http(""))
            client.do("subscribe", channel="events", options={"delta": "fossil"})
            await client.until("subscribed")
            await served.publish("llm.a", "llm.a", text="für Ωmega", same="x" * 100)
            await client.until("publication", 2)
        await client.until("connecting", code=3001)
        await served.publish("llm.a", "llm.a", text="für Ωmegb", same="x" * 100)
        async with serving(open_config(), log, port=port):
            await client.until("subscribed", recovered=True)
            await client.until("publication", 4)
            await served.publish("llm.a", text="für Ωmega", same="x" * 100)
            assert counts(await client.until("publication", 5)) == [1, 2, 3, 4, 5]


async def test_javascript_is_told_when_the_log_is_another():
    """A position of another epoch is not recovered, and nothing is made up."""
    async with javascript() as client:
        async with serving(open_config()) as served:
            port = served.port
            client.do("connect", transport="websocket", url=served.http(""))
            client.do("subscribe", channel="events")
            await client.until("subscribed")
            await served.publish("llm.a")
            await client.until("publication")
        async with serving(open_config(), port=port) as served:
            (again,) = await client.until("subscribed", wasRecovering=True)
            assert again["recovered"] is False
            await served.publish("llm.b")
            assert [each["data"]["type"] for each in await client.until("publication", 2)] == ["llm.a", "llm.b"]


async def test_javascript_filters_by_tags():
    """Only what passes is sent; what does not pass is no gap."""
    async with serving(open_config()) as served, javascript() as client:
        client.do("connect", transport="websocket", url=served.http(""))
        kind, number = {"key": "type", "cmp": "sw", "val": "llm."}, {"key": "n", "cmp": "gt", "val": "2"}
        wish = {"op": "and", "nodes": [kind, number]}
        client.do("subscribe", channel="events", options={"tagsFilter": wish})
        await client.until("subscribed")
        await served.publish("llm.a", "host.b", "host.c", "llm.d", "llm.e")
        assert counts(await client.until("publication", 2)) == [4, 5]


def cached_config() -> StreamingConfig:
    return StreamingConfig(channels={"last": ChannelConfig(types=["llm.*"], recovery_mode="cache")})


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("delta", [{}, {"delta": "fossil"}], ids=["whole", "differences"])
async def test_javascript_gets_the_last_value(transport, delta):
    """With `recovery_mode: cache` a client begins with the newest publication, and so it does after a pause."""
    log = MemoryLog()
    await log.open()
    async with javascript() as client:
        async with serving(cached_config(), log) as served:
            port = served.port
            await served.publish("llm.a", "llm.b", "host.c")
            await until(lambda: served.gateway.hub.position.offset == 3)
            client.do("connect", transport=transport, url=served.http(""))
            client.do("subscribe", channel="last", options={"since": {"offset": 0, "epoch": ""}, **delta})
            await client.until("subscribed", recovered=True)
            assert counts(await client.until("publication")) == [2]
            await served.publish("llm.d")
            await client.until("publication", 2)
        await client.until("connecting", code=3001)
        await served.publish("llm.e", "llm.f", "llm.g")
        async with serving(cached_config(), log, port=port):
            await client.until("subscribed", 2, recovered=True)
            await client.until("publication", 3)
            await served.publish("llm.h")
            assert counts(await client.until("publication", 4)) == [2, 4, 7, 8]


async def test_the_clients_take_compression():
    """Both offer it by themselves, and read what is compressed for all of them together."""
    async with serving(open_config()) as served, javascript() as client:
        client.do("connect", transport="websocket", url=served.http(""))
        client.do("subscribe", channel="events")
        await client.until("subscribed")
        other, seen = python_client(served.ws(""))
        await other.connect()
        await other.new_subscription("events", seen).subscribe()
        await seen.until("subscribed")
        text = "The request took longer than the limit of its tenant allows. " * 5
        await served.publish(*["llm.a"] * 20, text=text)
        assert counts(await client.until("publication", 20)) == list(range(1, 21))
        publications = await seen.until("publication", 20)
        assert [each.data["data"]["n"] for each in publications] == list(range(1, 21))
        plain, saved = (
            served.sample(f"citadel_streaming_compression_{name}_bytes_total") for name in ("input", "saved")
        )
        assert plain > 2 * 20 * len(text)
        assert saved > plain / 2
        await other.disconnect()


async def test_python_offers_a_subprotocol_that_is_none():
    """In its JSON mode the client names an empty one."""
    async with serving() as served:
        client, seen = python_client(served.ws(""))
        await client.connect()
        await seen.until("connected")
        await client.disconnect()


async def test_javascript_is_counted_as_recovered():
    log = MemoryLog()
    await log.open()
    async with javascript() as client:
        async with serving(open_config(), log) as served:
            port = served.port
            client.do("connect", transport="websocket", url=served.http(""))
            client.do("subscribe", channel="events")
            await client.until("subscribed")
            await served.publish("llm.a")
            await client.until("publication")
        await served.publish("llm.b")
        async with serving(open_config(), log, port=port) as again:
            await client.until("publication", 2)
            assert again.sample("citadel_streaming_recoveries_total", recovered="yes") == 1
            assert again.sample("citadel_streaming_recovered_messages_total") == 1


class Seen(ClientEventHandler, SubscriptionEventHandler):
    """Both handlers of the Python client; every event goes into one list."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self._moved = asyncio.Event()

    def note(self, name: str, ctx: Any) -> None:
        self.events.append((name, ctx))
        self._moved.set()

    async def until(self, name: str, count: int = 1, check: Callable[[Any], bool] = lambda ctx: True) -> list[Any]:
        try:
            async with asyncio.timeout(30):
                while len(found := [ctx for each, ctx in self.events if each == name and check(ctx)]) < count:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise AssertionError(f"{count} × {name} did not come: {self.events}") from None
        return found

    async def on_connected(self, ctx):
        self.note("connected", ctx)

    async def on_connecting(self, ctx):
        self.note("connecting", ctx)

    async def on_subscribed(self, ctx):
        self.note("subscribed", ctx)

    async def on_publication(self, ctx):
        self.note("publication", ctx.pub)

    async def on_join(self, ctx):
        self.note("join", ctx.info)

    async def on_leave(self, ctx):
        self.note("leave", ctx.info)


def python_client(url: str, **options: Any) -> tuple[Client, Seen]:
    seen = Seen()
    address = f"{url}/connection/websocket"
    client = Client(address, events=seen, min_reconnect_delay=0.02, max_reconnect_delay=0.2, **options)
    return client, seen


async def test_python_gets_recovers_and_sees_others():
    """Publications by differences over a restart, history, presence, join and leave of another client."""
    log = MemoryLog()
    await log.open()
    async with serving(open_config(), log) as served:
        port = served.port
        client, seen = python_client(served.ws(""))
        subscription = client.new_subscription("events", seen, delta=DeltaType.FOSSIL, join_leave=True)
        await client.connect()
        await subscription.subscribe()
        await seen.until("subscribed")
        await served.publish("llm.a", "llm.b", same="ü" * 50)
        await seen.until("publication", 2)
        other, others = python_client(served.ws(""))
        await other.connect()
        beside = other.new_subscription("events", others)
        await beside.subscribe()
        await seen.until("join", 2)
        assert (await subscription.presence_stats()).num_clients == 2
        assert len((await subscription.presence()).clients) == 2
        history = await subscription.history(limit=10)
        assert [each.data["data"]["n"] for each in history.publications] == [1, 2]
        await beside.unsubscribe()
        await seen.until("leave")
        await other.disconnect()
    await seen.until("connecting", 2)
    await served.publish("llm.c", same="ü" * 50)
    async with serving(open_config(), log, port=port):
        await seen.until("subscribed", check=lambda ctx: ctx.recovered)
        await served.publish("llm.d", same="ü" * 49)
        publications = await seen.until("publication", 4)
        assert [each.data["data"]["n"] for each in publications] == [1, 2, 3, 4]
        await client.disconnect()


def quick_pings() -> StreamingConfig:
    return StreamingConfig(centrifuge=CentrifugeConfig(ping_interval=1.5, pong_timeout=1.4, connect_timeout=10))


def session_of(served: Served) -> Session:
    (link,) = [link for places in served.gateway.places.values() for link in places]
    assert isinstance(link, SessionLink)
    return link.connection.session


async def outlive_pings(served: Served) -> None:
    """Wait until several pings were sent, each of which had to be answered before the next."""
    session = session_of(served)
    for _ in range(3):
        due = session._ping_due
        await until(lambda due=due: session._ping_due > due or session.closed)
        assert not session.closed


async def test_python_answers_pings_and_stays():
    """The protocol's own pings are answered; the connection outlives several pong timeouts."""
    async with serving(quick_pings()) as served:
        client, seen = python_client(served.ws(""))
        await client.connect()
        await client.ready()
        await outlive_pings(served)
        assert [name for name, _ in seen.events] == ["connecting", "connected"]
        await client.disconnect()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_javascript_answers_pings_and_stays(transport):
    """On streams the answers come by way of the emulation."""
    async with serving(quick_pings()) as served, javascript() as client:
        client.do("connect", transport=transport, url=served.http(""))
        await client.until("connected")
        await outlive_pings(served)
        assert [each["event"] for each in client.seen] == ["connecting", "connected"]


SECRET = "a secret of more than sixteen bytes"


def token(key: OctKey | ECKey, **claims: Any) -> str:
    return jwt.encode({"alg": "HS256" if isinstance(key, OctKey) else "ES256"}, claims, key)


async def test_javascript_comes_with_tokens():
    """A signed token names the user and his channels; a token of nobody is final."""
    verifier = Verifier([hmac_key(Secret(SECRET), "test")])
    signed = token(
        OctKey.import_key(SECRET), sub="ann", exp=time.time() + 60, info={"name": "Ann"}, channels=["events"]
    )
    async with serving(open_config(), verifier=verifier) as served:
        async with javascript() as client:
            client.do("connect", transport="websocket", url=served.http(""), options={"token": signed})
            await client.until("connected")
            client.do("subscribe", channel="system_alerts", options={"joinLeave": True})
            (join,) = await client.until("join", channel="system_alerts")
            assert join["info"]["user"] == "ann"
            assert join["info"]["connInfo"] == {"name": "Ann"}
        async with javascript() as client:
            stranger = token(OctKey.import_key("another secret, long enough"), sub="eve")
            client.do("connect", transport="websocket", url=served.http(""), options={"token": stranger})
            await client.until("disconnected", code=3500)


def test_the_lock_names_no_host():
    """The lock file is for any registry."""
    lock = msgspec.json.decode((HERE / "package-lock.json").read_bytes())
    assert all("resolved" not in package for package in lock["packages"].values())
