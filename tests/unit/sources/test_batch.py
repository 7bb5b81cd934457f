"""What is decided for many events at once is what is decided for each alone: the same verdict, the same bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.model import Encoded, rfc3339
from hxp_enterprise_llm.event.sources.batch import decode_array, decode_texts
from hxp_enterprise_llm.event.sources.decode import Terms, decode_item
from hxp_enterprise_llm.event.sources.faults import Invalid
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from tests.unit.sources.test_lean_decode import DATA, EVENTS, NOW, TOKENS, WHOLE

CATALOGUE = SchemaCatalogue.load()
GOOD = {"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b", "time": rfc3339(NOW), "data": {"x": 1}}
KNOWN = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["bench.tick", "business.metric", "a.b"]),
        "data": st.fixed_dictionaries(
            {}, optional={"seq": st.integers(-1, 2**64), "name": st.text(max_size=3), "value": st.floats(), "x": DATA}
        ),
    },
    optional={"id": st.text(max_size=3), "subject": st.text(max_size=3), "datacontenttype": st.just("text/plain")},
)


def terms() -> Terms:
    return Terms(NOW, rfc3339(NOW), "/here", lambda: "made", 300.0, 86400.0)


def one_by_one(texts: Sequence[bytes]) -> list[Encoded] | None:
    """The events as each alone is decoded and held against its schema; None when one of them is refused."""
    found = []
    for text in texts:
        try:
            event, data = decode_item(text, terms())
        except Invalid:
            return None
        if CATALOGUE.check(event.type, None if data is msgspec.UNSET else data):
            return None
        found.append(event)
    return found


def elements(body: bytes) -> list[bytes]:
    return [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]


def agree(body: bytes) -> bool:
    """Whether the array was decoded at once; it must then be what each alone gives."""
    found = decode_array(body, 100, terms(), CATALOGUE.accepts)
    if found is None:
        return False
    assert list(found) == one_by_one(elements(body))
    return True


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS | WHOLE | KNOWN, min_size=1, max_size=5), st.sampled_from([",:", ", : ", " ,\n :\t"]))
def test_events_of_every_kind(events: list[dict[str, Any]], spaces: str) -> None:
    comma, colon = spaces[: spaces.index(":")], spaces[spaces.index(":") :]
    agree(json.dumps(events, separators=(comma, colon)).encode())
    agree(json.dumps(events, separators=(comma, colon), ensure_ascii=False).encode("utf-8", "surrogatepass"))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(TOKENS, max_size=6).map("".join) | DATA.map(json.dumps), min_size=1, max_size=4))
def test_data_of_every_kind(datas: list[str]) -> None:
    head = json.dumps(GOOD, separators=(",", ":"))[: -len('{"x":1}}')]
    agree(("[" + ",".join(head + data + "}" for data in datas) + "]").encode())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(TOKENS, max_size=4).map("".join) | WHOLE.map(json.dumps), min_size=1, max_size=4))
def test_texts_of_every_kind(texts: list[str]) -> None:
    encoded = [text.encode() for text in texts]
    found = decode_texts(encoded, terms(), CATALOGUE.accepts)
    assert found is None or list(found) == one_by_one(encoded)


@pytest.mark.parametrize("number", [1, 2, 100])
@pytest.mark.parametrize("spaced", [False, True])
def test_plain_events_are_decoded_at_once(number: int, spaced: bool) -> None:
    events = [GOOD | {"id": str(n), "subject": "s"} for n in range(number)]
    assert agree(json.dumps(events, separators=None if spaced else (",", ":")).encode())
    assert agree(json.dumps([{"type": "a", "data": n} for n in range(number)]).encode())
    assert agree(json.dumps([event | {"type": f"a.{n % 3}"} for n, event in enumerate(events)]).encode())


def test_a_text_is_not_made_good_by_its_neighbour() -> None:
    begin, end = b'{"type":"a","data":1},{"type":"a"', b'"data":2}'
    assert decode_array(b"[" + begin + b"," + end + b"]", 9, terms(), CATALOGUE.accepts) is not None
    assert decode_texts([begin, end], terms(), CATALOGUE.accepts) is None


DEEP = '{"a":' * 62 + "1" + "}" * 62
BAD_DATA = {
    "deep": '{"a":' * 64 + "1" + "}" * 64,
    "repeated": '{"a":1,"a":1}',
    "repeated with an escape": '{"a:":1,"\\u0061:":1}',
    "escaped colons": '{"a":1,"a":1,"b":"\\u003a"}',
    "rounded": "9223372036854775808",
    "wide": "{" + ",".join(f'"{n}":1' for n in range(10_000)) + "}",
    "no JSON": "NaN",
}


@pytest.mark.parametrize("data", BAD_DATA.values(), ids=BAD_DATA)
@pytest.mark.parametrize("place", [0, 1, 49])
def test_one_bad_among_good_ones_is_left_to_the_long_way(data: str, place: int) -> None:
    texts = [json.dumps(GOOD | {"id": str(n)}) for n in range(50)]
    texts[place] = texts[place].replace('{"x": 1}', data)
    body = "[" + ",".join(texts) + "]"
    assert not agree(body.encode())
    assert decode_texts([text.encode() for text in texts], terms(), CATALOGUE.accepts) is None


def test_deep_ones_among_flat_ones_pass() -> None:
    texts = [json.dumps(GOOD).replace('{"x": 1}', data) for data in [DEEP, "1", DEEP, "{}"]]
    assert agree(("[" + ",".join(texts) + "]").encode())
    assert agree(json.dumps([GOOD | {"data": 9223372036854775807}]).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "x" * 257},
        {"id": "a\u0007"},
        {"id": 1},
        {"source": ""},
        {"source": ["/s"]},
        {"type": "no type"},
        {"time": "yesterday"},
        {"time": rfc3339(NOW + 301)},
        {"specversion": "0.3"},
        {"specversion": ["1.0"]},
        {"subject": ""},
        {"subject": 7},
        {"subject": "x" * 1025},
        {"type": "bench.tick", "data": {}},
        {"offset": 1},
        {"extension": "kept by the long way"},
        {"data_base64": "AA=="},
    ],
)
def test_what_is_unusual_is_left_to_the_long_way(change: dict[str, Any]) -> None:
    for events in ([GOOD, GOOD | change], [GOOD | change], [{"type": "a", "data": 1} | change, GOOD]):
        assert not agree(json.dumps(events).encode())


def test_what_is_no_array_of_events_is_left_to_the_long_way() -> None:
    for body in (b"[]", b"{}", b"[1]", b"[{}]", b'[{"type":"a"}]', b"[", b"\xff", b"[" * 100_000):
        assert decode_array(body, 9, terms(), CATALOGUE.accepts) is None
    assert decode_texts([], terms(), CATALOGUE.accepts) is None
    two = json.dumps([GOOD, GOOD]).encode()
    assert decode_array(two, 1, terms(), CATALOGUE.accepts) is None
