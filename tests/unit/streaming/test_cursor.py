"""What a query asks for, and each fault by its parameter."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from hxp_enterprise_llm.event.model import TypePatterns
from hxp_enterprise_llm.event.streaming.cursor import EARLIEST_CURSOR, Cursor, Wish, parse_wish
from hxp_enterprise_llm.event.streaming.filters import Filter
from hxp_enterprise_llm.security.problems import Problem


@pytest.mark.parametrize(
    ("query", "wish"),
    [
        ([], Wish()),
        ([("after", "12")], Wish(Cursor(12))),
        ([("after", "ab12.0")], Wish(Cursor(0, "ab12"))),
        ([("after", "earliest")], Wish(EARLIEST_CURSOR)),
        ([("last", "20")], Wish(None, 20)),
        ([("lastEventId", "e.5"), ("after", "1")], Wish(Cursor(5, "e"))),
        ([("type", "a.*, b"), ("type", "c")], Wish(types=TypePatterns(["a.*", "b", "c"]))),
        ([("filter", "data.n > 1")], Wish(filter=Filter.parse("1 < data.n"))),
    ],
)
def test_wishes(query: list[tuple[str, str]], wish: Wish) -> None:
    assert parse_wish(MultiDict(query), {}) == wish


def test_last_event_id_wins() -> None:
    query = MultiDict([("after", "1"), ("last", "5")])
    assert parse_wish(query, {"Last-Event-ID": "e.9"}) == Wish(Cursor(9, "e"))


@pytest.mark.parametrize(
    ("query", "parameter", "message"),
    [
        ([("after", "")], "after", "after: '' is no cursor"),
        ([("after", "-1")], "after", "after: '-1' is no cursor"),
        ([("after", "9007199254740992")], "after", "after: '9007199254740992' is no cursor"),
        ([("after", "a b.1")], "after", "after: 'a b.1' is no cursor"),
        ([("after", "1"), ("after", "2")], "after", "after is given 2 times"),
        ([("after", "1"), ("last", "2")], "after", "after and last exclude each other"),
        ([("last", "0")], "last", "last: '0' is not a number from 1 to 10,000"),
        ([("last", "1" * 5000)], "last", None),
        ([("last", "٣")], "last", "last: '٣' is not a number from 1 to 10,000"),
        (
            [("type", "llm..x")],
            "type",
            "type: 'llm..x' is no type pattern: write a type, a prefix such as 'llm.*', or '*'",
        ),
        ([("filter", "data.a =1")], "filter", "filter: Column 8: '=' is not part of filters. Did you mean ==?"),
        ([("filtre", "x")], "filtre", "the parameter 'filtre' is not known here"),
    ],
)
def test_faults(query: list[tuple[str, str]], parameter: str, message: str | None) -> None:
    with pytest.raises(Problem) as raised:
        parse_wish(MultiDict(query), {})
    assert (raised.value.status, raised.value.details["parameter"]) == (400, parameter)
    if message is not None:
        assert raised.value.message == message


def test_hints() -> None:
    with pytest.raises(Problem) as raised:
        parse_wish(MultiDict([("filtre", "x")]), {})
    assert raised.value.hint == "Did you mean filter?"
    with pytest.raises(Problem) as raised:
        parse_wish(MultiDict([("zzz", "x")]), {})
    assert raised.value.hint == "Parameters are after, last, type, filter."
    with pytest.raises(Problem) as raised:
        parse_wish(MultiDict(), {"Last-Event-ID": "?"})
    assert raised.value.message == "Last-Event-ID: '?' is no cursor"
