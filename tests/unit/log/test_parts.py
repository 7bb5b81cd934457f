"""The parts that every backend is made of, each against a plain model of it."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.log import packing
from hxp_enterprise_llm.event.log.chunks import Chunks, chunk_of, scan
from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.log.following import Bell, follow
from hxp_enterprise_llm.event.log.model import Batch, Limits, LogUnavailable, Stored
from hxp_enterprise_llm.event.log.numbering import number
from hxp_enterprise_llm.event.log.packing import (
    MAX_RECORD_BYTES,
    MAX_RECORD_EVENTS,
    Damaged,
    identities_of,
    pack,
    split,
    unpack,
)
from hxp_enterprise_llm.event.log.sqlite.queue import AppendQueue, Waiting
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import BEGINNING, Offset, TypePatterns
from tests.unit.log.support import event, events, identity_of

TYPES = st.one_of(st.sampled_from(["llm.a", "llm.b", "host.cpu"]), st.text(max_size=30))
RAWS = st.binary(min_size=1, max_size=60).map(lambda raw: raw.replace(b"\n", b" "))
STORED = st.lists(st.tuples(TYPES, RAWS), min_size=1, max_size=40)


def stored_at(first: int, content: list[tuple[str, bytes]]) -> list[Stored]:
    return [Stored(Offset(first + i), type, raw) for i, (type, raw) in enumerate(content)]


@given(STORED, st.sampled_from([1, 40]), st.integers(1, 2**53 - 2000), st.floats(0, 4e9))
def test_a_record_gives_back_what_was_packed(
    content: list[tuple[str, bytes]], times: int, first: int, at: float
) -> None:
    stored = stored_at(first, content * times)
    keys = [identity_of(event(n)) for n in range(len(stored))]
    record = pack(StoredColumns.of(stored), keys, at)
    assert list(unpack(record).events) == stored
    assert unpack(record).last == record.last == stored[-1].offset
    found, offsets = identities_of(record)
    assert found == keys
    assert list(offsets) == [one.offset for one in stored]


@given(STORED, st.data())
def test_any_flipped_bit_of_a_record_is_noticed(content: list[tuple[str, bytes]], data: st.DataObject) -> None:
    record = pack(StoredColumns.of(stored_at(1, content)), [bytes(16)] * len(content), 1.0)
    field = data.draw(st.sampled_from(["types", "identities", "body"]))
    blob = bytearray(getattr(record, field))
    bit = data.draw(st.integers(0, 8 * len(blob) - 1))
    blob[bit // 8] ^= 1 << bit % 8
    fields: dict[str, Any] = {field: bytes(blob)}
    for damaged in (record._replace(**fields), record._replace(last=record.last + 1)):
        with pytest.raises(Damaged, match="its checksum does not fit its content"):
            unpack(damaged)


def test_a_record_with_a_wrong_count_is_damaged() -> None:
    stored = stored_at(1, [("a", b'{"x":\n1}')])
    with pytest.raises(Damaged, match="it holds 2 events instead of 1"):
        unpack(pack(StoredColumns.of(stored), [bytes(16)], 1.0))


def test_a_long_text_is_kept_compressed() -> None:
    stored = stored_at(1, [("a", b'{"type":"a","n":%d}' % n) for n in range(200)])
    record = pack(StoredColumns.of(stored), [bytes(16)] * 200, 1.0)
    assert 4 * len(record.body) < unpack(record).size == sum(len(one.raw) + 1 for one in stored) - 1


def test_what_compression_does_not_shorten_is_kept_as_it_is() -> None:
    raw = random.Random(1).randbytes(5000).replace(b"\n", b" ")
    record = pack(StoredColumns.of(stored_at(1, [("a", raw)])), [bytes(16)], 1.0)
    assert record.body == raw
    assert list(unpack(record).events) == stored_at(1, [("a", raw)])


@pytest.mark.parametrize(
    "body", [b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd no frame", packing._compressed(b"{}" * 999)[:-5]]
)
def test_a_body_that_cannot_be_decompressed_is_damaged(body: bytes) -> None:
    record = pack(StoredColumns.of(stored_at(1, [("a", b"{}")])), [bytes(16)], 1.0)
    crc = packing._checksum(record.last, record.n, record.at, record.types, record.identities, body)
    with pytest.raises(Damaged, match="its body cannot be decompressed"):
        unpack(record._replace(body=body, crc=crc))


@given(st.lists(st.sampled_from([1, 300, 200_000, MAX_RECORD_BYTES - 1, MAX_RECORD_BYTES]), max_size=30))
def test_records_stay_within_their_bounds(sizes: list[int]) -> None:
    raws = [bytes(size) for size in sizes]
    ranges = list(split(raws))
    assert [i for start, end in ranges for i in range(start, end)] == list(range(len(raws)))
    for start, end in ranges:
        size = sum(len(raw) + 1 for raw in raws[start:end])
        assert size <= MAX_RECORD_BYTES or end - start == 1


def test_a_record_has_a_bounded_number_of_events() -> None:
    raws = [b"{}"] * (2 * MAX_RECORD_EVENTS + 1)
    assert [end - start for start, end in split(raws)] == [MAX_RECORD_EVENTS, MAX_RECORD_EVENTS, 1]


class Entry(NamedTuple):
    key: bytes
    offset: int
    at: float


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 25), min_size=1, max_size=6)), max_size=40))
def test_the_window_against_a_model(steps: list[tuple[int, list[int]]]) -> None:
    """What must be recognised is, with its first offset; the memory is bounded; a rebuilt window knows the same."""
    window, log = IdentityWindow(12, 5.0), list[Entry]()
    now = 0.0
    for pause, numbers in steps:
        now += pause
        window.expire(now)
        numbered = number([[event(n) for n in numbers]], window, Offset(len(log)))
        recent = [entry for entry in log[-12:] if entry.at > now - 5.0]
        for n, appended in zip(numbers, numbered.answers[0], strict=True):
            known = [entry.offset for entry in recent if entry.key == identity_of(event(n))]
            if known:
                assert appended == (known[-1], True)
        offsets = [stored.offset for stored in numbered.fresh]
        window.add(numbered.identities, offsets, now)
        log += [Entry(*entry, now) for entry in zip(numbered.identities, offsets, strict=True)]
        assert len(window) < 12 + 2 * 6
    rebuilt = IdentityWindow(12, 5.0)
    for entry in log:
        rebuilt.add([entry.key], [Offset(entry.offset)], entry.at)
    rebuilt.expire(now)
    for entry in [entry for entry in log[-12:] if entry.at > now - 5.0]:
        assert rebuilt.find(entry.key) == window.find(entry.key) == entry.offset


def test_old_identities_are_forgotten_in_slices() -> None:
    window = IdentityWindow(1_000_000, 10.0)
    for n in range(100):
        window.add([identity_of(event(n))], [Offset(n + 1)], 0.0)
    window.expire(100.0)
    assert 0 < len(window) < 100
    for _ in range(20):
        window.expire(100.0)
    assert len(window) == 0
    window.add([], [], 100.0)
    window.clear()


@given(
    st.lists(st.lists(st.tuples(TYPES, RAWS), min_size=1, max_size=5), max_size=10),
    st.integers(1, 5),
    st.integers(1, 12),
    st.booleans(),
)
def test_scans_give_everything_once(batches: list[list[tuple[str, bytes]]], step: int, page: int, some: bool) -> None:
    chunks, head, everything = Chunks(BEGINNING), BEGINNING, list[Stored]()
    for batch in batches:
        stored = [Stored(Offset(head + step * (i + 1)), type, raw) for i, (type, raw) in enumerate(batch)]
        chunks.append(chunk_of(StoredColumns.of(stored)))
        head = stored[-1].offset
        everything += stored
    types = TypePatterns(["llm.*"]) if some else None
    found, after = list[Stored](), BEGINNING
    while after < head:
        answer = scan(chunks.after(after), after, head, page, types)
        assert len(answer.events) <= page
        assert answer.next > after
        found += answer.events
        after = answer.next
    assert found == [one for one in everything if types is None or types.matches(one.type)]
    assert scan(chunks.after(head), head, head, page, types) == Batch((), head, head)


def test_the_newest_chunks_are_kept_within_their_memory() -> None:
    chunks = Chunks(BEGINNING, 10_000)
    for n in range(1, 101):
        chunks.append(chunk_of(StoredColumns([Offset(n)], ["a"], [bytes(300)])))
        assert chunks.bytes <= 10_000 * 9 // 8
    assert len(chunks) > 10
    assert chunks.floor == 100 - len(chunks)
    assert [chunk.last for chunk in chunks.after(chunks.floor)] == list(range(chunks.floor + 1, 101))
    chunks.drop(Offset(99))
    assert (chunks.floor, len(chunks)) == (99, 1)
    chunks.clear(Offset(200))
    assert (chunks.floor, len(chunks), chunks.bytes) == (200, 0, 0)


async def test_a_ring_between_look_and_wait_is_not_missed() -> None:
    bell, head = Bell(), Offset(0)

    async def read(after: Offset) -> Batch:
        nonlocal head
        seen = head
        if head < 3:
            # Somebody appends right after the look.
            head = Offset(head + 1)
            bell.ring()
        return Batch((), seen, seen)

    batches = follow(read, bell, BEGINNING, progress=60)
    async with asyncio.timeout(30):
        assert [(await anext(batches)).next for _ in range(4)] == [0, 1, 2, 3]


async def test_a_follower_is_woken_by_each_ring_and_waits_no_longer_than_it_said() -> None:
    bell, loop = Bell(), asyncio.get_running_loop()
    came: list[Offset] = []

    async def read(after: Offset) -> Batch:
        came.append(Offset(bell.rings))
        return Batch((), after, after)

    async def run() -> None:
        async for _ in follow(read, bell, BEGINNING, progress=0.05):
            pass

    task = asyncio.create_task(run())
    for rings in range(1, 4):
        async with asyncio.timeout(30):
            while not came or came[-1] < rings - 1:
                await asyncio.sleep(0)
        bell.ring()
    begun = loop.time()
    async with asyncio.timeout(30):
        while came.count(Offset(3)) < 3:
            await asyncio.sleep(0.001)
    assert loop.time() - begun >= 0.09, "twice the time that it waits when nobody rings"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert not bell.waiting, "who has gone is forgotten"


async def test_all_are_woken_in_the_order_in_which_they_came() -> None:
    bell, woken = Bell(), []

    async def wait(number: int) -> None:
        await bell.wait()
        woken.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(20)]
    await asyncio.sleep(0)
    tasks[7].cancel()
    bell.ring()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert woken == [number for number in range(20) if number != 7]


def test_the_queue_is_bounded_and_keeps_the_order() -> None:
    loop = asyncio.new_event_loop()
    queue = AppendQueue(Limits(max_batch_events=4, max_batch_bytes=100))
    waiting = [Waiting(events(4 * n, 4), 10, loop.create_future()) for n in range(16)]
    for one in waiting:
        queue.add(one)
    with pytest.raises(LogUnavailable, match="overload: 64 events, 160 bytes wait to be stored"):
        queue.add(waiting[0])
    assert queue.withdraw(waiting[3])
    assert not queue.withdraw(waiting[3])
    assert len(queue) == 15
    assert [id(one) for one in queue.take()] == [id(one) for one in waiting if one is not waiting[3]]
    assert queue.take() == []
    loop.close()


def test_a_group_is_bounded_but_never_empty() -> None:
    loop = asyncio.new_event_loop()
    queue = AppendQueue(Limits())
    sizes = [20_000_000, 5_000_000, 3_000_000, 1_000_000]
    for size in sizes:
        queue.add(Waiting([event(1)], size, loop.create_future()))
    groups = [[one.size for one in queue.take()] for _ in range(4)]
    assert groups == [[20_000_000], [5_000_000, 3_000_000], [1_000_000], []]
    loop.close()
