"""Events by column: the log takes them as it takes them one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.log.checks import check_batch
from hxp_enterprise_llm.event.log.columns import AllNew, StoredColumns
from hxp_enterprise_llm.event.log.model import Appended, BatchTooLarge, EventTooLarge, Limits, LogUnavailable, Stored
from hxp_enterprise_llm.event.log.numbering import number
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import (
    BEGINNING,
    Encoded,
    EncodedColumns,
    Offset,
    TypePatterns,
    identities,
    identity,
)
from tests.unit.log.support import StalledExecutor, event, events, sqlite_log

TEXTS = st.sampled_from(["", "a", "b", "ab", "ä", "\ud800", "a\0b"])
BATCHES = st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), min_size=1, max_size=5)


def columns(batch: list[Encoded]) -> EncodedColumns:
    return EncodedColumns.of(batch)


def test_columns_are_a_sequence_of_events() -> None:
    batch = events(0, 5)
    made = columns(batch)
    assert len(made) == 5
    assert list(made) == batch
    assert [made[0], made[-1]] == [batch[0], batch[-1]]
    assert list(made[1:3]) == batch[1:3]
    assert columns(made) is made  # type: ignore[arg-type]
    assert list(columns([])) == []


def test_stored_columns_are_a_sequence_of_what_is_stored() -> None:
    kept = [Stored(Offset(3 * n), f"t.{n % 2}", b"{%d}" % n) for n in range(1, 7)]
    made = StoredColumns.of(kept)
    assert made == kept == list(made)
    assert made == tuple(kept)
    assert made != kept[:-1]
    assert made != 7
    assert StoredColumns.of(made) is made
    assert (made[0], made[-1], list(made[1:3])) == (kept[0], kept[-1], kept[1:3])
    assert {type(stored) for stored in made} == {Stored}
    assert StoredColumns.of([]) == StoredColumns.joined([]) == ()
    assert StoredColumns.joined([made[:2], made[2:2], made[2:]]) == kept


@given(st.integers(0, 20))
def test_what_lies_beyond_a_cursor(cursor: int) -> None:
    kept = [Stored(Offset(3 * n), "t", b"{}") for n in range(1, 7)]
    found = StoredColumns.of(kept).beyond(Offset(cursor))
    assert found == [stored for stored in kept if stored.offset > cursor]


@given(st.lists(st.sampled_from(["a.one", "a.two", "b"]), min_size=1), st.sampled_from(["*", "a.*", "a.two", "c"]))
def test_what_is_of_some_types(types: list[str], pattern: str) -> None:
    kept, patterns = [Stored(Offset(n), type, b"{}") for n, type in enumerate(types)], TypePatterns([pattern])
    assert StoredColumns.of(kept).of_types(patterns) == [stored for stored in kept if patterns.matches(stored.type)]


def test_answers_without_repeats_are_a_sequence_of_answers() -> None:
    made = AllNew([Offset(4), Offset(7), Offset(9)])
    assert list(made) == [Appended(Offset(4), False), Appended(Offset(7), False), Appended(Offset(9), False)]
    assert (len(made), made[1], list(made[1:])) == (3, Appended(Offset(7), False), list(made)[1:])


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8))
def test_identities_are_those_of_each(pairs: list[tuple[str, str]]) -> None:
    made = identities([source for source, _ in pairs], [id for _, id in pairs])
    assert made == [identity(source, id) for source, id in pairs]


def reference(
    batches: list[list[Encoded]], known: dict[bytes, int], head: int, step: int
) -> tuple[list[list[Appended]], list[Stored]]:
    known, fresh, answers = dict(known), [], []
    for batch in batches:
        answer = []
        for one in batch:
            key = identity(one.source, one.id)
            if key in known:
                answer.append(Appended(Offset(known[key]), True))
                continue
            head = known[key] = head + step
            fresh.append(Stored(Offset(head), one.type, one.raw))
            answer.append(Appended(Offset(head), False))
        answers.append(answer)
    return answers, fresh


@given(BATCHES, st.sets(st.integers(0, 40), max_size=3), st.sampled_from([1, 3]), st.booleans())
def test_numbering_against_a_model(batches: list[list[int]], old: set[int], step: int, by_column: bool) -> None:
    window = IdentityWindow(1000, 100.0)
    known = {identity(event(n).source, event(n).id): at for at, n in enumerate(sorted(old), 1)}
    window.add(list(known), [Offset(at) for at in known.values()], 0.0)
    made = [[event(n) for n in batch] for batch in batches]
    given = [EncodedColumns.of(batch) for batch in made] if by_column else made
    numbered = number(given, window, Offset(len(known)), step=step)
    answers, fresh = reference(made, known, len(known), step)
    assert ([list(answer) for answer in numbered.answers], list(numbered.fresh)) == (answers, fresh)
    assert numbered.identities == list(
        dict.fromkeys(key for batch in made for one in batch if (key := identity(one.source, one.id)) not in known)
    )
    assert all(type(stored) is Stored for stored in numbered.fresh)
    assert all(type(answer) is Appended for answers in numbered.answers for answer in answers)


def test_nothing_is_numbered_to_nothing() -> None:
    numbered = number([[]], IdentityWindow(1, 1.0), Offset(7))
    assert ([list(answer) for answer in numbered.answers], numbered.fresh, numbered.identities) == ([[]], [], [])


def test_the_limits_hold_for_columns() -> None:
    batch = columns(events(0, 4))
    size = sum(map(len, batch.raws))
    assert check_batch(batch, Limits()) == size
    with pytest.raises(BatchTooLarge):
        check_batch(batch, Limits(max_batch_events=3))
    with pytest.raises(BatchTooLarge):
        check_batch(batch, Limits(max_batch_bytes=size - 1))
    large = EncodedColumns(["s"] * 3, ["1", "2", "3"], ["t"] * 3, [b'{"a":1}', b'{"a":12}', b'{"a":123}'])
    with pytest.raises(EventTooLarge) as caught:
        check_batch(large, Limits(max_event_bytes=7))
    assert (caught.value.index, caught.value.found) == (1, 8)


async def test_columns_and_events_are_joined_into_one_commit(tmp_path: Path) -> None:
    log = sqlite_log(tmp_path)
    await log.open()
    batches = [columns(events(0, 12)), events(12, 3), columns(events(15, 2)), events(0, 1)]
    futures = [log.begin_append(batch) for batch in batches]
    answers = [await future for future in futures]
    assert [[answer.offset for answer in answer] for answer in answers] == [
        list(range(1, 13)),
        [13, 14, 15],
        [16, 17],
        [1],
    ]
    stored = (await log.read(BEGINNING)).events
    assert [one.raw for one in stored] == [one.raw for one in events(0, 17)]
    await log.close()


async def test_appends_that_are_begun_have_their_own_deadlines(tmp_path: Path) -> None:
    writer = StalledExecutor()
    log = sqlite_log(tmp_path, writer=writer)
    await log.open()
    writer.stalled = True
    futures = [log.begin_append([event(n)], deadline=within) for n, within in enumerate((60.0, 0.02, 0.01, 60.0))]
    for future, within, maybe in ((futures[2], "0.01", False), (futures[1], "0.02", False)):
        with pytest.raises(LogUnavailable, match=f"no commit within {within} s") as caught:
            await future
        assert caught.value.maybe_stored is maybe
    assert not futures[0].done()
    assert not futures[3].done()
    writer.stalled = False
    writer.release()
    assert [await futures[0], await futures[3]] == [[(1, False)], [(2, False)]]
    await log.close()


async def test_what_an_append_would_raise_is_the_futures_exception(tmp_path: Path) -> None:
    log = sqlite_log(tmp_path, limits=Limits(max_batch_events=2))
    await log.open()
    with pytest.raises(BatchTooLarge):
        await log.begin_append(events(0, 3))
    with pytest.raises(ValueError, match="raw is not one JSON object"):
        await log.begin_append([Encoded("s", "1", "t", b"7")])
    assert await log.begin_append([]) == []
    future = log.begin_append([event(1)])
    future.cancel()
    await asyncio.wait([future])
    await log.close()
