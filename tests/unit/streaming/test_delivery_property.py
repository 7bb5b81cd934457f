"""Hub, channel and subscription against a model: whatever happens, each client gets every event of its channel beyond
its cursor exactly once and in order, or is told by a reset what it lost. On a channel that conflates, who fell behind
is told how many events were left out, and of each key the newest always comes."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.streaming import ChannelConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import Event, Offset, TypePatterns, encode
from hxp_enterprise_llm.event.streaming.channel import Options
from hxp_enterprise_llm.event.streaming.filters import Filter
from hxp_enterprise_llm.event.streaming.hub import Hub
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics
from tests.unit.streaming.gateways import until
from tests.unit.streaming.links import FakeLink

TYPES = ("a.one", "a.two", "b.one")
CHANNELS = {
    "all": ChannelConfig(types=["*"]),
    "a": ChannelConfig(types=["a.*"]),
    "latest": ChannelConfig(types=["*"], slow="conflate"),
}
NARROWINGS = (None, TypePatterns(["a.one"]), TypePatterns(["a.two", "b.*"]))
FILTERS = (None, Filter.parse("data.n > 5"), Filter.parse('type == "a.one" || data.odd == true'))

operations = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.lists(st.sampled_from(TYPES), min_size=1, max_size=9)),
        st.tuples(
            st.just("connect"),
            st.fixed_dictionaries(
                {
                    "channel": st.sampled_from(sorted(CHANNELS)),
                    "narrowing": st.sampled_from(NARROWINGS),
                    "filter": st.sampled_from(FILTERS),
                    "format": st.sampled_from(["sse", "websocket", "deflate", "deflate"]),
                    "back": st.integers(0, 40),
                    "high_water": st.sampled_from([None, None, 0, 500]),
                }
            ),
        ),
        st.tuples(st.just("drain"), st.integers(0, 9)),
        st.tuples(st.just("pause"), st.integers(0, 9)),
        st.tuples(st.just("blink"), st.integers(0, 9)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
        st.tuples(st.just("turn"), st.integers(1, 6)),
        st.tuples(st.just("trim"), st.integers(0, 30)),
        st.tuples(st.just("recreate"), st.none()),
    ),
    min_size=5,
    max_size=40,
)


@dataclass
class Client:
    link: FakeLink
    wish: dict[str, Any]
    epoch: str
    cursor: int
    gone: bool = False


@dataclass
class World:
    """The system and, beside it, all events ever stored, by epoch."""

    log: MemoryLog
    hub: Hub
    count: int = 0
    stored: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)

    async def publish(self, types: list[str]) -> None:
        events = []
        for type in types:
            self.count += 1
            events.append(Event(id=str(self.count), source="/t", type=type, data={"n": self.count % 11, "odd": True}))
        answers = await self.log.append([encode(event) for event in events])
        kept = self.stored.setdefault((await self.log.bounds()).epoch, [])
        kept += [
            (answer.offset, {"type": event.type, "data": event.data})
            for answer, event in zip(answers, events, strict=True)
        ]

    async def connect(self, wish: dict[str, Any]) -> None:
        bounds = await self.log.bounds()
        cursor = max(0, bounds.head - wish["back"])
        link = FakeLink(wish["format"], wish["high_water"])
        channel = self.hub.channel(wish["channel"], wish["narrowing"], wish["filter"])
        self.clients.append(Client(link, wish, bounds.epoch, cursor))
        link.subscription = self.hub.subscribe(channel, link, cursor, bounds.epoch)

    async def act(self, name: str, value: Any) -> None:
        if name == "publish":
            await self.publish(value)
        elif name == "connect":
            await self.connect(value)
        elif name == "turn":
            for _ in range(value):
                await asyncio.sleep(0)
        elif name == "trim":
            await self.log.trim(Offset((await self.log.bounds()).head - value))
        elif name == "recreate":
            self.log.recreate()
        elif self.clients:
            self._act_on(self.clients[value % len(self.clients)], name)

    def _act_on(self, client: Client, name: str) -> None:
        if name == "drain":
            client.link.drain()
        elif name in ("pause", "blink") and not client.link.paused:
            client.link.pause()
            if name == "blink":
                client.link.drain()
        elif name == "leave" and not client.gone:
            assert client.link.subscription is not None
            client.gone = True
            self.hub.leave(client.link.subscription)

    async def settle(self) -> None:
        """Let everybody read on until all are live and nothing waits."""
        bounds = await self.log.bounds()

        def quiet() -> bool:
            for client in self.clients:
                if not client.gone:
                    client.link.drain()
            position = self.hub.position
            return (
                (position.epoch, position.offset) == (bounds.epoch, bounds.head)
                and all(client.gone or self._live(client) for client in self.clients)
                and all(channel.settled == bounds.head for channel in self.hub._all())
            )

        await until(quiet)
        self.hub.drain()

    def _live(self, client: Client) -> bool:
        return client.link.subscription is not None and client.link.subscription.live

    def check(self, client: Client) -> None:
        """Walk through what the client received, beside what it should have."""
        epoch, cursor, missing, upto = client.epoch, client.cursor, 0, 0
        for block in client.link.blocks():
            if block.control == "conflated":
                assert CHANNELS[client.wish["channel"]].slow == "conflate"
                assert missing == 0
                missing, upto = block.body["left_out"], block.body["to"]
                assert missing > 0
                assert cursor < block.body["from"] <= self._next(client, epoch, cursor)[0]  # type: ignore[index]
            elif block.control:
                assert missing == 0
                assert block.control == "reset"
                assert block.body["reason"] in ("gone", "epoch_changed")
                assert block.body["epoch"] != epoch or block.body["after"] > cursor
                epoch, cursor = block.body["epoch"], block.body["after"]
            else:
                expected = self._next(client, epoch, cursor)
                while missing and expected is not None and expected[0] < block.body["offset"]:
                    missing -= 1
                    assert expected[0] < upto
                    assert self._is_superseded(client, epoch, expected)
                    expected = self._next(client, epoch, expected[0])
                assert expected is not None
                assert (block.body["epoch"], block.body["offset"]) == (epoch, expected[0])
                assert block.body["data"] == expected[1]["data"]
                cursor = expected[0]
        assert missing == 0
        if not client.gone:
            assert epoch == self.hub.position.epoch
            assert self._next(client, epoch, cursor) is None

    def _is_superseded(self, client: Client, epoch: str, left_out: tuple[int, dict[str, Any]]) -> bool:
        later = self._next(client, epoch, left_out[0])
        while later is not None and later[1]["type"] != left_out[1]["type"]:
            later = self._next(client, epoch, later[0])
        return later is not None

    def _next(self, client: Client, epoch: str, cursor: int) -> tuple[int, dict[str, Any]] | None:
        patterns = TypePatterns(CHANNELS[client.wish["channel"]].types)
        narrowing, filter = client.wish["narrowing"], client.wish["filter"]
        for offset, event in self.stored.get(epoch, []):
            if (
                offset > cursor
                and patterns.matches(event["type"])
                and (narrowing is None or narrowing.matches(event["type"]))
                and (filter is None or filter.matches(event))
            ):
                return offset, event
        return None


async def live_through(steps: list[tuple[str, Any]]) -> None:
    deaths: list[Exception] = []
    supervisor = Supervisor(deaths.append)
    clock = SystemClock()
    log = MemoryLog(offset_step=3)
    await log.open()
    options = Options(
        ring_events=6,
        ring_bytes=2000,
        write_bytes=200,
        read_events=4,
        slice=1,
        lookback_from=1,
        flush_seconds=0.0,
        flush_events=3,
    )
    metrics = StreamingMetrics(CollectorRegistry(), clock)
    hub = Hub(log, CHANNELS, clock=clock, metrics=metrics, spawn=supervisor.spawn, options=options)
    world = World(log, hub)
    supervisor.spawn("hub", hub.run())
    await until(lambda: hub.ready)
    try:
        for _ in range(4):  # a flush takes several turns of the loop
            await world.connect(
                {"channel": "all", "narrowing": None, "filter": None, "format": "sse", "back": 0, "high_water": None}
            )
        for name, value in steps:
            await world.act(name, value)
        await world.settle()
        for client in world.clients:
            world.check(client)
        assert deaths == []
        assert metrics.behind._value.get() == 0
        for client in world.clients:
            world._act_on(client, "leave")
        assert hub.derived_count == 0
    finally:
        await supervisor.stop()


@settings(max_examples=150, deadline=None)
@given(operations)
def test_every_event_exactly_once_in_order(steps: list[tuple[str, Any]]) -> None:
    asyncio.run(live_through(steps))


def test_a_long_history_of_a_known_seed() -> None:
    chance = random.Random(7)
    steps: list[tuple[str, Any]] = []
    for _ in range(400):
        match chance.randrange(6):
            case 0 | 1:
                steps.append(("publish", chance.choices(TYPES, k=chance.randint(1, 12))))
            case 2:
                steps.append(
                    (
                        "connect",
                        {
                            "channel": chance.choice(sorted(CHANNELS)),
                            "narrowing": chance.choice(NARROWINGS),
                            "filter": chance.choice(FILTERS),
                            "format": chance.choice(["sse", "websocket", "deflate"]),
                            "back": chance.randrange(200),
                            "high_water": chance.choice([None, 0, 300, 2000]),
                        },
                    )
                )
            case 3:
                steps.append(("turn", chance.randint(1, 5)))
            case 4:
                steps.append((chance.choice(["drain", "pause", "blink"]), chance.randrange(50)))
            case _:
                steps.append((chance.choice(["leave", "trim", "turn"]), chance.randint(1, 60)))
    asyncio.run(live_through(steps))
