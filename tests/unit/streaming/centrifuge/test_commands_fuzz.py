"""Generated clients against the session and its transports: the right code each time, and never a crash."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import aiohttp
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.streaming import CentrifugeConfig, StreamingConfig
from hxp_enterprise_llm.event.streaming.centrifuge.codes import INTERNAL
from hxp_enterprise_llm.event.streaming.centrifuge.model import AskBounds, AskHistory
from tests.unit.streaming.centrifuge.commanding import BOUNDS, BROKEN, MOST_CHANNELS, Model, commands
from tests.unit.streaming.centrifuge.serving import serving
from tests.unit.streaming.centrifuge.sessions import Table
from tests.unit.streaming.fuzz import mutate
from tests.unit.streaming.gateways import until

CONFIG = CentrifugeConfig(publish_from_clients=True, max_subscriptions=MOST_CHANNELS)
CONNECT: dict[str, Any] = {"id": 1, "connect": {}}
messages = st.lists(st.lists(commands, min_size=1, max_size=4), max_size=6)
CODES = {0, 3005, 3010, 3012, 3013, 3500, 3501, 3502}


def encode(batch: list[dict[str, Any]]) -> bytes:
    return b"\n".join(map(msgspec.json.encode, batch))


def answer_all(table: Table) -> None:
    """Give the session what it wants to know, as long as it wants to know something."""
    while table.port.asked:
        question = table.port.asked.pop()
        known = {AskBounds: BOUNDS, AskHistory: []}
        table.session.answer(known.get(type(question)))


def replies(table: Table) -> list[tuple[int, str | int]]:
    """The id and the method of each reply, or the code of its error."""
    found: list[tuple[int, str | int]] = []
    for each in table.port.sent:
        if "push" in each:
            continue
        (what,) = set(each) - {"id"}
        found.append((each["id"], each["error"]["code"] if what == "error" else what))
    return found


@settings(max_examples=250, deadline=None)
@given(st.booleans(), messages)
def test_every_command_gets_what_the_protocol_says(begins: bool, batches: list[list[dict[str, Any]]]) -> None:
    table, model = Table(CONFIG, connected=False), Model()
    expected = []
    for batch in [[CONNECT], *batches] if begins else batches:
        table.session.receive(encode(batch))
        answer_all(table)
        for command in batch:
            expected += model.hear(command)
    assert replies(table) == expected
    assert table.code == model.code
    assert {each.channel for each in table.port.attached} == (set() if model.code else model.subs)


@given(st.sampled_from(BROKEN), st.lists(commands, max_size=2), st.lists(commands, max_size=2))
def test_a_line_that_is_no_command_ends_the_connection(line: bytes, before: Any, behind: Any) -> None:
    table = Table(CONFIG)
    table.session.receive(b"\n".join(part for part in (encode(before), line, encode(behind)) if part))
    assert table.code == 3501
    assert table.port.attached == []


happenings = st.lists(
    st.lists(commands, min_size=1, max_size=3)
    | st.sampled_from(BROKEN)
    | st.sampled_from(["answer", "fail", "pong", "alive", "busy", "lost", "shut_down"])
    | st.floats(0, 40),
    max_size=25,
)


@settings(max_examples=250, deadline=None)
@given(happenings, st.booleans(), st.booleans())
def test_whatever_happens_nothing_is_said_behind_the_end(steps: list[Any], bare: bool, native: bool) -> None:
    table = Table(CONFIG, bare=bare, native_ping=native, connected=False)
    table.session.receive(b"{}" if bare else encode([CONNECT]))
    for step in steps:
        ended, said = bool(table.port.ended), len(table.port.sent)
        happen(table, step)
        table.session.tick()
        if ended:
            assert len(table.port.sent) == said
    assert table.code in CODES | {3001}
    if table.code:
        assert table.session.closed
        assert table.port.attached == []
        assert table.session.subs == {}
        assert not table.shared.presence.clients("a")


def happen(table: Table, step: Any) -> None:
    session = table.session
    if isinstance(step, float):
        table.clock.now += step
    elif isinstance(step, bytes):
        session.receive(step)
    elif isinstance(step, list):
        session.receive(encode(step))
    elif step == "answer":
        answer_all(table)
    elif step == "fail":
        session.fail(INTERNAL)
    elif step == "pong":
        session.receive(b"{}")
    elif step == "lost":
        for attachment in list(table.port.attached):
            session.lost(attachment)
    else:
        getattr(session, step)()


# Over sockets

GOOD = [
    '{"id":1,"connect":{}}',
    '{"id":2,"subscribe":{"channel":"events","recover":true,"offset":1,"flag":1,"delta":"fossil"}}',
    '{"id":3,"subscribe":{"channel":"system_alerts","tf":{"op":"or","nodes":[{"key":"a","cmp":"ex"}]}}}',
    '{"id":4,"history":{"channel":"events","limit":10,"reverse":true,"since":{"offset":9,"epoch":""}}}',
    '{"id":5,"presence":{"channel":"events"}}\n{"id":6,"publish":{"channel":"events","data":{"a":"\\u00fc"}}}',
]


def said(chance: random.Random) -> bytes:
    """Good commands with a few bytes changed."""
    text = "\n".join(GOOD[: chance.randint(1, len(GOOD))]).encode()
    return text if chance.random() < 0.1 else mutate(text, chance)


async def test_mutated_messages_over_every_transport_disturb_nobody() -> None:
    """Whatever the bytes, each answer is one that the protocol has, and all connections are gone at the end."""
    config = StreamingConfig(centrifuge=CentrifugeConfig(publish_from_clients=True))
    async with serving(config) as served, aiohttp.ClientSession() as http:
        await served.publish("llm.a", "llm.b")
        for seed in range(60):
            chance = random.Random(seed)
            await over_websocket(http, served.ws("/connection/websocket"), said(chance), chance)
            await over_websocket(http, served.ws("/connection/uni_websocket"), said(chance), chance)
            for kind in ("http_stream", "sse", "uni_http_stream", "uni_sse"):
                await over_post(http, served.http(f"/connection/{kind}"), said(chance))
            body = mutate(b'{"session":"s","node":"n","data":"{}"}', chance)
            async with http.post(served.http("/emulation"), data=body, headers=JSON) as answer:
                assert answer.status in (204, 400, 404)
        await until(lambda: served.open == 0)
        async with http.ws_connect(served.ws("/connection/websocket")) as ws:
            await ws.send_str(GOOD[0])
            assert msgspec.json.decode(await ws.receive_str())["connect"]["client"]
        assert served.gateway.hub.derived_count == 0


JSON = {"Content-Type": "application/json"}


async def over_websocket(http: aiohttp.ClientSession, address: str, text: bytes, chance: random.Random) -> None:
    async with http.ws_connect(address) as ws:
        try:
            await ws.send_str(text.decode())
        except UnicodeDecodeError:
            await ws.send_bytes(text)
        if chance.random() < 0.5:
            return
        async with asyncio.timeout(10):
            await ws.send_str("no command")
            while (received := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
                for line in received.data.split("\n"):
                    assert isinstance(msgspec.json.decode(line), dict)
        assert received.data in (1007, 3500, 3501)


async def over_post(http: aiohttp.ClientSession, address: str, body: bytes) -> None:
    async with http.post(address, data=body, headers=JSON) as answer:
        assert answer.status == 200
        assert isinstance(msgspec.json.decode(await first_line(answer.content)), dict)


async def first_line(content: aiohttp.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        while not (line := (await content.readline()).removeprefix(b"data: ").strip()):
            pass
    return line
