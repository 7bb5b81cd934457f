from __future__ import annotations

from collections.abc import Callable

import pytest
from multidict import MultiDict

from hxp_enterprise_llm.event.model import EARLIEST
from hxp_enterprise_llm.event.sources import query
from hxp_enterprise_llm.security.problems import Problem


def test_what_is_not_given_is_none() -> None:
    nothing: MultiDict[str] = MultiDict()
    assert query.after(nothing) is None
    assert query.epoch(nothing) is None
    assert query.limit(nothing, 10) is None
    assert query.types(nothing) is None
    assert query.flag(nothing, "wait", True) is True


def test_what_is_given_is_read() -> None:
    asked = MultiDict(
        [("after", "7"), ("epoch", "e"), ("limit", "3"), ("type", "llm.*, a"), ("type", "b"), ("wait", "0")]
    )
    assert (query.after(asked), query.epoch(asked), query.limit(asked, 10)) == (7, "e", 3)
    patterns = query.types(asked)
    assert patterns is not None
    assert patterns.patterns == ("llm.*", "a", "b")
    assert query.flag(asked, "wait", True) is False
    assert query.after(MultiDict(after="earliest")) == query.after(MultiDict(after="-1")) == EARLIEST
    assert query.after(MultiDict(after="0")) == 0


def test_a_place_in_a_stream_is_told_how_it_is_written_here() -> None:
    with pytest.raises(Problem) as caught:
        query.after(MultiDict(after="5f0c.7"))
    assert caught.value.hint == "the EPOCH.OFFSET of a stream is epoch=EPOCH&after=OFFSET here"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"after": "x"}, "after=x is not taken"),
        ({"after": "-2"}, "after=-2 is not taken"),
        ({"after": "9007199254740992"}, "after=9007199254740992 is not taken"),
        ({"after": "٣"}, "after=٣ is not taken"),
        ({"epoch": ""}, "epoch= is not taken"),
        ({"epoch": "e" * 65}, f"epoch={'e' * 60}…(+5) is not taken"),
        ({"limit": "0"}, "limit=0 is not taken"),
        ({"limit": "11"}, "limit=11 is not taken"),
        ({"limit": "ten"}, "limit=ten is not taken"),
        ({"type": "a b"}, "type: 'a b' is no type pattern: write a type, a prefix such as 'llm.*', or '*'"),
        ({"type": ""}, "type: '' is no type pattern: write a type, a prefix such as 'llm.*', or '*'"),
        ({"type": "a," * 100 + "a"}, "type=a is not taken"),
        ({"wait": "yes"}, "wait=yes is not taken"),
    ],
)
def test_a_fault_names_the_parameter(asked: dict[str, str], message: str) -> None:
    given = MultiDict(asked)
    readers: dict[str, Callable[[], object]] = {
        "after": lambda: query.after(given),
        "epoch": lambda: query.epoch(given),
        "limit": lambda: query.limit(given, 10),
        "type": lambda: query.types(given),
        "wait": lambda: query.flag(given, "wait", True),
    }
    (name,) = asked
    with pytest.raises(Problem) as caught:
        readers[name]()
    assert (caught.value.status, caught.value.code, caught.value.message) == (400, "bad_parameter", message)
    assert caught.value.hint


def test_a_parameter_that_is_there_twice_is_refused() -> None:
    with pytest.raises(Problem, match="after is there 2 times"):
        query.after(MultiDict([("after", "1"), ("after", "1")]))
