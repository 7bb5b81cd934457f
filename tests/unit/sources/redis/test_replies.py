"""Answers of a Redis server: entries, marks in place of values, and what is no answer."""

from __future__ import annotations

from typing import Any

import pytest

from hxp_enterprise_llm.event.sources.redis.replies import Entry, Marks, ReplyError, entries_of, member, order

MARKS = Marks(b"mark too large", b"mark no room")
STREAMS = {b"s": "s", b"t": "t"}


def raw(id: bytes, *fields: bytes) -> list[Any]:
    return [id, list(fields)]


def of(*answer: Any) -> tuple[list[tuple[str, str, bool]], bool]:
    found, more = entries_of(list(answer), STREAMS, MARKS)
    return [(entry.stream, entry.id, entry.too_large) for entry in found], more


def test_entries_come_in_order() -> None:
    found = entries_of([[b"s", [raw(b"1-1", b"a", b"1", b"b", b"2"), [b"1-2", None]]], [b"t", []]], STREAMS, MARKS)
    assert found == ([Entry("s", "1-1", [(b"a", b"1"), (b"b", b"2")]), Entry("s", "1-2", None)], False)


def test_no_answer_has_no_entries() -> None:
    assert entries_of(None, STREAMS, MARKS) == ([], False)


def test_one_that_is_too_large_is_told() -> None:
    assert of([b"s", [raw(b"1-1", b"a", MARKS.too_large), raw(b"1-2", b"a", b"1")]]) == (
        [("s", "1-1", True), ("s", "1-2", False)],
        False,
    )


def test_what_had_no_room_waits_and_what_is_behind_it_too() -> None:
    answer = [b"s", [raw(b"1-1", b"a", b"1"), raw(b"1-2", b"a", MARKS.no_room), raw(b"1-3", b"a", b"3")]]
    assert of(answer, [b"t", [raw(b"2-1", b"a", b"1")]]) == ([("s", "1-1", False), ("t", "2-1", False)], True)


def test_what_has_no_room_in_an_answer_of_its_own_is_too_large() -> None:
    assert of([b"s", [raw(b"1-1", b"a", MARKS.no_room), raw(b"1-2", b"a", MARKS.no_room)]]) == (
        [("s", "1-1", True)],
        True,
    )


@pytest.mark.parametrize(
    "answer",
    [
        7,
        [b"s"],
        [[b"s", 7]],
        [[b"other", []]],
        [[b"s", [[b"x", []]]]],
        [[b"s", [[b"1-1", [b"a"]]]]],
        [[b"s", [[7, []]]]],
    ],
)
def test_what_is_no_answer(answer: Any) -> None:
    with pytest.raises(ReplyError, match="its answer to XREADGROUP is none"):
        entries_of(answer, STREAMS, MARKS)


def test_members_of_a_list() -> None:
    assert member([b"a", 1, b"b", 2], b"b") == 2
    for reply in (None, [], [b"b"], 7):
        with pytest.raises(ReplyError, match="its answer to XINFO has no b"):
            member(reply, b"b")


def test_ids_are_in_order() -> None:
    assert order("9-1") < order("10-0") < order("10-2") < order("10-10")
