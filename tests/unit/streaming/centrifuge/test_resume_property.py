"""Sessions, hub and log against a model of a Centrifuge client.

Whatever happens, each client gets every publication of its channel beyond its position exactly once and in order, or is
told that it was not recovered, and then with good reason.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from hxp_enterprise_llm.config.streaming import CentrifugeConfig
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import Event, Offset, TypePatterns, encode
from hxp_enterprise_llm.event.sources.strict_json import read
from hxp_enterprise_llm.event.streaming.centrifuge.endpoint import Endpoint
from hxp_enterprise_llm.event.streaming.channel import Options
from hxp_enterprise_llm.event.streaming.hub import Hub
from hxp_enterprise_llm.runtime.clock import SystemClock
from hxp_enterprise_llm.runtime.tasks import Supervisor
from hxp_enterprise_llm.telemetry.metrics import StreamingMetrics
from tests.unit.streaming.centrifuge.resuming import CHANNELS, Client
from tests.unit.streaming.gateways import until

TYPES = ("a.one", "a.two", "b.one")
wishes = st.fixed_dictionaries(
    {
        "channel": st.sampled_from(sorted(CHANNELS)),
        "how": st.sampled_from(["plain", "delta", "filter"]),
        "compact": st.booleans(),
        "high_water": st.sampled_from([None, None, 0, 500]),
        "begin": st.sampled_from(["now", "recover"]),
    }
)
who = st.integers(0, 9)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.lists(st.sampled_from(TYPES), min_size=1, max_size=9)),
        st.tuples(st.just("connect"), wishes),
        st.tuples(st.sampled_from(["drain", "pause", "unsubscribe", "break", "come_back", "come_back"]), who),
        st.tuples(st.just("turn"), st.integers(1, 6)),
        st.tuples(st.just("trim"), st.integers(0, 30)),
        st.tuples(st.just("recreate"), st.none()),
    ),
    min_size=5,
    max_size=40,
)


@dataclass
class World:
    """The system and, beside it, all events ever stored, by epoch."""

    log: MemoryLog
    hub: Hub
    endpoint: Endpoint
    count: int = 0
    stored: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)

    async def act(self, name: str, value: Any) -> None:
        if name == "publish":
            await self.publish(value)
        elif name == "connect":
            self.clients.append(Client(self, value))
            self.clients[-1].connect()
        elif name == "turn":
            for _ in range(value):
                await asyncio.sleep(0)
        elif name == "trim":
            await self.log.trim(Offset((await self.log.bounds()).head - value))
            bounds = await self.log.bounds()
            self.first[bounds.epoch] = bounds.first
        elif name == "recreate":
            self.log.recreate()
        elif self.clients:
            self.act_on(self.clients[value % len(self.clients)], name)

    def act_on(self, client: Client, name: str) -> None:
        if name in ("drain", "pause"):
            if client.line is not None:
                getattr(client.line, name)()
        else:
            {"unsubscribe": client.unsubscribe, "break": client.break_off, "come_back": client.come_back}[name]()

    async def publish(self, types: list[str]) -> None:
        events = []
        for type in types:
            self.count += 1
            data = {"n": self.count, "odd": bool(self.count % 3), "same": "what does not change, ever"}
            events.append(Event(id=str(self.count), source="/t", type=type, data=data))
        answers = await self.log.append([encode(event) for event in events])
        kept = self.stored.setdefault((await self.log.bounds()).epoch, [])
        kept += [
            (answer.offset, {"type": event.type, "data": event.data})
            for answer, event in zip(answers, events, strict=True)
        ]

    def is_lost(self, epoch: str, offset: int, now: str) -> bool:
        """Whether a position cannot be recovered: of another epoch, or before what the log still has."""
        return epoch not in ("", now) or offset < self.first.get(now, 1) - 1 or epoch == ""

    def of(self, client: Client, epoch: str) -> list[tuple[int, dict[str, Any]]]:
        patterns = TypePatterns(CHANNELS[client.wish["channel"]].types)
        return [
            (offset, event)
            for offset, event in self.stored.get(epoch, [])
            if patterns.matches(event["type"]) and (client.wish["how"] != "filter" or event["data"]["odd"])
        ]

    def next(self, client: Client, epoch: str, offset: int) -> tuple[int, dict[str, Any]] | None:
        return next((each for each in self.of(client, epoch) if each[0] > offset), None)

    def newest(self, client: Client, epoch: str, upto: int) -> tuple[int, dict[str, Any]] | None:
        """What the log has forgotten the ring may still know, so nothing is said of it: none is trimmed here."""
        return next((each for each in reversed(self.of(client, epoch)) if each[0] <= upto), None)

    async def settle(self) -> None:
        """All come back and read until nothing waits."""
        bounds = await self.log.bounds()

        def quiet() -> bool:
            for client in self.clients:
                client.come_back()
                assert client.line is not None
                client.line.drain()
            position = self.hub.position
            return (
                (position.epoch, position.offset) == (bounds.epoch, bounds.head)
                and all(client.subscribed and self.is_live(client) for client in self.clients)
                and all(channel.settled == bounds.head for channel in self.hub._all())
            )

        await until(quiet)
        self.hub.drain()
        for client in self.clients:
            assert client.line is not None
            client.line.drain()

    def is_live(self, client: Client) -> bool:
        assert client.line is not None
        subscriptions = client.line.connection.subscriptions
        # Of an end of its subscription a client learns in the next turn of the loop.
        told = client.epoch == self.hub.position.epoch
        return told and bool(subscriptions) and all(each.live for each in subscriptions)


async def live_through(steps: list[tuple[str, Any]]) -> None:
    deaths: list[Exception] = []
    supervisor, clock = Supervisor(deaths.append), SystemClock()
    log = MemoryLog(offset_step=3)
    await log.open()
    options = Options(
        ring_events=6, ring_bytes=2000, write_bytes=200, read_events=4, slice=1, flush_seconds=0.0, flush_events=3
    )
    metrics = StreamingMetrics(CollectorRegistry(), clock)
    hub = Hub(log, CHANNELS, clock=clock, metrics=metrics, spawn=supervisor.spawn, options=options)
    endpoint = Endpoint(
        CentrifugeConfig(),
        log,
        hub,
        clock=clock,
        spawn=supervisor.spawn,
        random=random.Random(1),
        version="t",
        read_json=read,
    )
    world = World(log, hub, endpoint)
    supervisor.spawn("hub", hub.run())
    await until(lambda: hub.ready)
    try:
        for name, value in steps:
            await world.act(name, value)
        await world.settle()
        for client in world.clients:
            assert client.epoch == hub.position.epoch
            assert world.next(client, client.epoch, client.offset) is None
        assert deaths == []
        for client in world.clients:
            client.break_off()
        assert hub.derived_count == 0
        assert metrics.behind._value.get() == 0
        assert not endpoint.shared.presence.clients("all")
    finally:
        await supervisor.stop()


@settings(max_examples=100, deadline=None)
@given(operations)
def test_everything_exactly_once_or_not_recovered(steps: list[tuple[str, Any]]) -> None:
    # A last value that was trimmed may be known or not: with a trim only what is a stream is looked at.
    if any(name == "trim" for name, _ in steps):
        steps = [step for step in steps if not (step[0] == "connect" and step[1]["channel"] == "last")]
    asyncio.run(live_through(steps))


def test_a_long_life_of_a_known_seed() -> None:
    chance = random.Random(11)
    steps: list[tuple[str, Any]] = []
    for _ in range(600):
        match chance.randrange(7):
            case 0 | 1:
                steps.append(("publish", chance.choices(TYPES, k=chance.randint(1, 12))))
            case 2 if chance.random() < 0.3:
                wish = {
                    "channel": chance.choice(["all", "a"]),
                    "how": chance.choice(["plain", "delta", "filter"]),
                    "compact": chance.random() < 0.5,
                    "high_water": chance.choice([None, 0, 300, 2000]),
                    "begin": chance.choice(["now", "recover"]),
                }
                steps.append(("connect", wish))
            case 3:
                steps.append(("turn", chance.randint(1, 5)))
            case 4:
                steps.append((chance.choice(["drain", "pause", "unsubscribe", "break"]), chance.randrange(50)))
            case 5:
                steps.append(("come_back", chance.randrange(50)))
            case _:
                steps.append((chance.choice(["trim", "turn", "turn"]), chance.randint(1, 60)))
    asyncio.run(live_through(steps))
