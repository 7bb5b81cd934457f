"""Generated and mutated clients against the link: the right close code each time, never a crash, nothing kept."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.streaming.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, Session, client_frame, make_places
from tests.unit.streaming.fuzz import (
    COMMANDS,
    MOST,
    Expected,
    Fault,
    Said,
    check_orderly,
    mutate,
    random_frame,
    split,
)
from tests.unit.streaming.gateways import Served, serving, until
from tests.unit.streaming.test_websocket import handshake

FAULTS: tuple[Fault, ...] = ("reserved", "unmasked", "too_big", "long_control", "split_control")
data_frames = st.builds(
    Said, st.sampled_from([TEXT, 2, CONTINUATION]), st.sampled_from(COMMANDS) | st.binary(max_size=40), st.booleans()
)
control_frames = st.builds(Said, st.sampled_from([PING, PONG]), st.binary(max_size=125))
closes = st.builds(
    Said, st.just(CLOSE), st.binary(max_size=2) | st.integers(0, 0xFFFF).map(lambda code: code.to_bytes(2, "big"))
)
faulty = st.builds(
    Said, st.sampled_from([TEXT, 2, CONTINUATION]), st.binary(max_size=9), st.just(True), st.sampled_from(FAULTS)
)
unknown = st.builds(Said, st.sampled_from([3, 7, 11, 15]))
sequences = st.lists(data_frames | data_frames | control_frames | closes | faulty | unknown, max_size=12)


@settings(max_examples=400, deadline=None)
@given(sequences, st.lists(st.integers(1, 50), max_size=8))
def test_every_sequence_of_frames_gets_what_the_rfc_says(sequence: list[Said], cuts: list[int]) -> None:
    async def run() -> None:
        session, expected = Session(MOST), Expected()
        for frame in sequence:
            expected.hear(frame)
        rest = b"".join(frame.encode() for frame in sequence)
        for cut in cuts:
            session.send(rest[:cut])
            rest = rest[cut:]
        session.send(rest)
        assert session.code == expected.code
        pongs = [frame.payload for frame in session.answers if frame.opcode == PONG]
        # The last ones may be missing before a 1007: the connection is over.
        assert pongs == (expected.pongs[: len(pongs)] if session.code == 1007 else expected.pongs)
        assert len(session.texts) == expected.texts
        session.end()

    asyncio.run(run())


async def test_mutated_bytes_never_get_more_than_a_close() -> None:
    places, codes = make_places(), set()
    for seed in range(600):
        chance = random.Random(seed)
        good = b"".join(random_frame(chance).encode() for _ in range(chance.randint(1, 15)))
        codes.add(check_orderly(Session(MOST, places), split(mutate(good, chance), chance)))
    assert {0, 1002, 1007, 1009} <= codes


@pytest.mark.parametrize("seed", range(20))
async def test_random_bytes(seed: int) -> None:
    chance = random.Random(seed)
    check_orderly(Session(MOST), split(chance.randbytes(4000), chance))


async def test_split_at_every_byte() -> None:
    """Three frames, delivered in two pieces cut at every place, get the same answers."""
    data = client_frame(TEXT, COMMANDS[0], fin=False) + client_frame(PING, b"p") + client_frame(CONTINUATION, b"")
    places = make_places()
    for cut in range(len(data) + 1):
        session = Session(MOST, places)
        session.send(data[:cut], data[cut:])
        assert (len(session.texts), session.answers[-1 if cut == len(data) else 0].opcode in (TEXT, PONG)) == (1, True)
        session.end()


# On sockets: one hostile client beside a good one


async def good_client_is_served(served: Served) -> None:
    status, reader, writer = await handshake(served)
    assert status == 101
    (offset,) = await served.publish("host.cpu")
    async with asyncio.timeout(10):
        assert b'{"offset":%d,' % offset in await reader.readuntil(b"}}")
    writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00",
        b"GET",
        b"GET /ws/events HTTP/1.1\r\nUpgrade: websocket\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
        b"GET /ws/events HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * 100_000,
        b"GET /ws/" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /ws/events HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(5000)) + b"\r\n",
        b"\r\n" * 1000,
        bytes(range(256)) * 200,
    ],
    ids=["nul", "word", "half", "tls", "http2", "long header", "long address", "many headers", "empty lines", "bytes"],
)
async def test_half_and_broken_handshakes_take_no_place_and_disturb_nobody(sent: bytes) -> None:
    async with serving() as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(sent)
        await good_client_is_served(served)
        writer.close()
        await until(lambda: served.open == 0)


async def test_garbage_after_the_handshake_is_closed_with_1002() -> None:
    async with serving() as served:
        for garbage in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50, bytes(5000), b"\xff" * 5000):
            status, reader, writer = await handshake(served)
            assert status == 101
            writer.write(garbage)
            async with asyncio.timeout(10):
                answer = await reader.read()
            assert answer[0] == 0x88
            assert int.from_bytes(answer[2:4], "big") in (1002, 1009)
            writer.close()
        await until(lambda: served.open == 0)


async def test_many_hostile_clients_at_once_leave_nothing_behind() -> None:
    """A hundred clients that send mutated frames and go; a good one is served all the time."""
    async with serving() as served:

        async def hostile(seed: int) -> None:
            chance = random.Random(seed)
            _, _, writer = await handshake(served)
            good = b"".join(random_frame(chance).encode() for _ in range(20))
            for piece in split(mutate(good, chance), chance):
                writer.write(piece)
                await asyncio.sleep(0)
            if chance.random() < 0.5:
                writer.transport.abort()
            writer.close()

        tasks = [asyncio.create_task(hostile(seed)) for seed in range(100)]
        for _ in range(5):
            await good_client_is_served(served)
        await asyncio.gather(*tasks)
        await until(lambda: served.open == 0)
        assert served.sample("citadel_streaming_connections", transport="websocket") == 0
        opened = served.sample("citadel_streaming_connections_opened_total", transport="websocket")
        closed = sum(
            sample.value
            for metric in served.registry.collect()
            for sample in metric.samples
            if sample.name == "citadel_streaming_connections_closed_total"
        )
        assert opened == closed == 105
