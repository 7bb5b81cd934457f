"""Filters by tags."""

from __future__ import annotations

import msgspec
import pytest

from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Offset
from hxp_enterprise_llm.event.streaming.centrifuge.codes import Refused
from hxp_enterprise_llm.event.streaming.centrifuge.tags import TagsFilter, tags_of
from hxp_enterprise_llm.event.streaming.encode import Message

EVENT = {"type": "llm.a", "source": "/s", "data": {"n": 10, "ok": True, "name": "gpt", "list": [1], "type": "x"}}


def leaf(key, cmp, val="", vals=()):
    return {"key": key, "cmp": cmp, "val": val, "vals": list(vals)}


def passes(node):
    return TagsFilter.parse(msgspec.json.encode(node)).matches(EVENT)


def test_tags_are_attributes_and_plain_members_of_the_data():
    assert tags_of(EVENT) == {"type": "llm.a", "source": "/s", "n": "10", "ok": "true", "name": "gpt"}
    assert tags_of({"type": "t", "data": [1]}) == {"type": "t"}
    published = {"channel": "c", "data": {"n": 1, "a": "own"}, "tags": {"a": "sent"}}
    assert tags_of({"type": "stream.publication", "data": published}) == {
        "type": "stream.publication",
        "n": "1",
        "a": "sent",
    }


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (leaf("name", "eq", "gpt"), True),
        (leaf("name", "neq", "gpt"), False),
        (leaf("name", "in", vals=["a", "gpt"]), True),
        (leaf("name", "nin", vals=["a", "gpt"]), False),
        (leaf("name", "ex"), True),
        (leaf("name", "nex"), False),
        (leaf("name", "sw", "g"), True),
        (leaf("name", "ew", "g"), False),
        (leaf("name", "ct", "p"), True),
        (leaf("n", "lt", "9"), False),
        (leaf("n", "lte", "10.0"), True),
        (leaf("n", "gt", "9"), True),
        (leaf("n", "gte", "1e1"), True),
        (leaf("name", "gt", "9"), False),
        (leaf("n", "gt", "NaN"), False),
        (leaf("none", "eq", ""), False),
        (leaf("none", "neq", "x"), True),
        (leaf("none", "nin", vals=["x"]), True),
        (leaf("none", "nex"), True),
        (leaf("none", "lt", "1"), False),
        ({"op": "and", "nodes": [leaf("n", "ex"), leaf("none", "ex")]}, False),
        ({"op": "or", "nodes": [leaf("none", "ex"), leaf("n", "ex")]}, True),
        ({"op": "not", "nodes": [leaf("none", "ex")]}, True),
    ],
)
def test_comparisons(node, expected):
    assert passes(node) is expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"op":"xor"}',
        b'{"key":"a","cmp":"like"}',
        b'{"op":"and"}',
        b'{"op":"not","nodes":[{"key":"a","cmp":"ex"},{"key":"a","cmp":"ex"}]}',
        msgspec.json.encode({"op": "or", "nodes": [leaf("a", "ex")] * 300}),
        b'{"op":"not","nodes":[' * 3000 + b'{"key":"a","cmp":"ex"}' + b"]}" * 3000,
    ],
)
def test_what_is_no_filter_is_refused(text):
    with pytest.raises(Refused) as refusal:
        TagsFilter.parse(text)
    assert refusal.value.error.code == 107


def test_equal_filters_are_one():
    one, other = TagsFilter.parse(b'{"key":"a","cmp":"ex"}'), TagsFilter.parse(b' {"cmp": "ex", "key": "a"}')
    assert one == other
    assert hash(one) == hash(other)
    assert one != TagsFilter.parse(b'{"key":"b","cmp":"ex"}')


@pytest.mark.parametrize("data", [b"1e999", b"[" * 100_000 + b"]" * 100_000, b"\xff"])
def test_an_event_that_cannot_be_read_has_no_tags_and_harms_nobody(data):
    """It is in the log for good: whoever follows it must get past it."""
    message = Message("e", Stored(Offset(1), "t", b'{"type":"t","data":%b}' % data))
    assert message.fields() == {}
    assert not TagsFilter.parse(b'{"key":"type","cmp":"ex"}').matches(message.fields())
