from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.model import decode, parse_rfc3339, rfc3339
from hxp_enterprise_llm.event.sources.decode import Decoded, Terms, decode_item, span
from hxp_enterprise_llm.event.sources.faults import Invalid

NOW_TEXT = "2026-11-20T17:34:31.250Z"
NOW = parse_rfc3339(NOW_TEXT)
WHOLE = {"specversion": "1.0", "id": "1", "source": "/s", "type": "demo.hello", "time": NOW_TEXT}


def terms() -> Terms:
    numbers = itertools.count(1)
    return Terms(NOW, NOW_TEXT, "/http/10.0.0.1", lambda: f"new-{next(numbers)}", 300.0, 30 * 86400.0)


def take(members: Any) -> Decoded:
    return decode_item(json.dumps(members).encode(), terms())


def faults(members: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        take(members)
    return [str(finding) for finding in caught.value.findings]


def test_the_short_form_is_completed() -> None:
    event, data = take({"type": "demo.hello", "data": {"a": 1}})
    assert (event.source, event.id, event.type) == ("/http/10.0.0.1", "new-1", "demo.hello")
    assert json.loads(event.raw) == {
        "specversion": "1.0",
        "id": "new-1",
        "source": "/http/10.0.0.1",
        "type": "demo.hello",
        "time": NOW_TEXT,
        "data": {"a": 1},
    }
    assert data == {"a": 1}
    assert decode(event.raw).data == {"a": 1}


def test_a_whole_event_is_kept_as_it_is() -> None:
    text = json.dumps(WHOLE, separators=(",", ":")).encode()
    event, data = decode_item(text, terms())
    assert event.raw == text
    assert data is msgspec.UNSET


def test_null_attributes_are_absent_and_null_data_is_null() -> None:
    event, data = take(WHOLE | {"id": None, "subject": None, "x": None, "data": None})
    assert event.id == "new-1"
    assert json.loads(event.raw) == WHOLE | {"id": "new-1", "data": None}
    assert data is None


def test_extension_attributes_are_kept() -> None:
    more = {"traceparent": "00-ab-cd-01", "hop": 3, "sampled": True}
    assert json.loads(take(WHOLE | more).event.raw) == WHOLE | more


def test_members_read_elsewhere_are_taken_too() -> None:
    event, data = decode_item({"type": "demo.hello", "data": "text"}, terms())
    assert json.loads(event.raw)["data"] == data == "text"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"specversion": "0.3"}, "specversion: '0.3' is not taken, only '1.0'"),
        ({"specversion": 1.0}, "specversion: 1.0 is not taken, only '1.0'"),
        ({"id": ""}, "id: is empty"),
        ({"id": 7}, "id: is a number, not text"),
        ({"id": "x" * 257}, "id: has 257 characters, at most 256 are taken"),
        ({"id": "a\u0000b"}, "id: 'a\\x00b' has a control character"),
        ({"source": ["x"]}, "source: is an array, not text"),
        ({"source": "x" * 1025}, "source: has 1,025 characters, at most 1,024 are taken"),
        ({"source": "a\nb"}, "source: 'a\\nb' has a control character"),
        ({"type": None}, "type: is missing: name what happened, e.g. 'llm.request.completed'"),
        ({"type": True}, "type: is true or false, not text"),
        ({"type": "llm request"}, "type: 'llm request' has other characters than A-Z a-z 0-9 . _ -"),
        ({"type": "x" * 129}, "type: has 129 characters, at most 128 are taken"),
        ({"time": "yesterday"}, "time: 'yesterday' is no RFC 3339 time such as 2026-11-20T17:34:31Z"),
        (
            {"time": "2026-11-20T17:34:31"},
            "time: '2026-11-20T17:34:31' is no RFC 3339 time such as 2026-11-20T17:34:31Z",
        ),
        (
            {"time": "2026-13-20T17:34:31Z"},
            "time: '2026-13-20T17:34:31Z' is no RFC 3339 time such as 2026-11-20T17:34:31Z",
        ),
        ({"time": 1795196071}, "time: 1795196071 is no RFC 3339 time such as 2026-11-20T17:34:31Z"),
        (
            {"time": "0001-01-01T00:00:00Z"},
            "time: 0001-01-01T00:00:00Z lies 739,940 days in the past, at most 30 days are taken (ingest.max_age)",
        ),
        (
            {"time": "2026-11-20T18:34:31.250Z"},
            "time: 2026-11-20T18:34:31.250Z lies 60 minutes in the future,"
            " at most 5 minutes are taken (ingest.max_future)",
        ),
        (
            {"time": "2021-11-21T17:34:31.250Z"},
            "time: 2021-11-21T17:34:31.250Z lies 1,825 days in the past, at most 30 days are taken (ingest.max_age)",
        ),
        ({"subject": ""}, "subject: is empty"),
        ({"subject": {}}, "subject: is an object, not text"),
        ({"dataschema": 1}, "dataschema: is a number, not text"),
        ({"data_base64": "%%%"}, "data_base64: is no base64 text"),
        ({"data_base64": 7}, "data_base64: is no base64 text"),
        ({"data_base64": "eA==", "data": 1}, "data_base64: stands beside data: an event has one of them"),
        ({"offset": 7}, "offset: is given by the log and cannot be sent"),
        ({"epoch": "e"}, "epoch: is given by the log and cannot be sent"),
        (
            {"latency_ms": 7},
            "latency_ms: is no name of an attribute: "
            "an attribute has 1 to 20 characters a-z 0-9; what the event tells goes into data",
        ),
        ({"x": 1.5}, "x: is a number; an attribute is text, an integer or true or false: put it into data"),
        ({"x": {}}, "x: is an object; an attribute is text, an integer or true or false: put it into data"),
        ({"x": "a\rb"}, "x: 'a\\rb' has a control character"),
    ],
)
def test_each_fault_is_told(change: dict[str, Any], message: str) -> None:
    assert faults(WHOLE | change) == [message]


def test_all_faults_of_an_event_are_told_at_once() -> None:
    found = faults({"id": "", "source": 1, "time": "x", "Foo": 1})
    assert [text.partition(":")[0] for text in found] == ["id", "source", "type", "time", "Foo"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[]", "an array"), ("7", "a number"), ('"x"', "text"), ("null", "null"), ("true", "true or false")],
)
def test_an_event_is_an_object(text: str, kind: str) -> None:
    with pytest.raises(Invalid, match=f"^an event is a JSON object, this is {kind}$"):
        decode_item(text.encode(), terms())


def test_json_that_cannot_be_read_is_told() -> None:
    with pytest.raises(Invalid, match=r"^the JSON is cut off at byte 14$"):
        decode_item(b'{"type":"demo"', terms())


@pytest.mark.parametrize(
    "text", ["2026-11-20T18:34:31.25+01:00", "2026-11-20 17:34:31Z", "2026-11-20T17:34:31.123456789Z"]
)
def test_times_of_rfc_3339_are_kept(text: str) -> None:
    assert json.loads(take(WHOLE | {"time": text}).event.raw)["time"] == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "0.5 seconds"),
        (90, "90 seconds"),
        (300, "5 minutes"),
        (5400, "90 minutes"),
        (86400, "24 hours"),
        (1e9, "11,574 days"),
    ],
)
def test_spans_in_words(seconds: float, text: str) -> None:
    assert span(seconds) == text


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50)
DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0"),
        "id": TEXT,
        "source": TEXT,
        "type": st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True),
        "time": st.floats(NOW - 29 * 86400, NOW + 290).map(rfc3339),
    },
    optional={"subject": TEXT, "data": DATA, "partitionkey": TEXT, "sequence": st.integers(-(2**31), 2**31 - 1)},
)


@given(EVENTS, st.sampled_from([None, 1]), st.booleans())
def test_every_valid_cloudevent_survives(event: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    found = decode_item(json.dumps(event, indent=indent, ensure_ascii=ascii_only).encode(), terms()).event
    assert json.loads(found.raw) == event
    assert (found.source, found.id, found.type) == (event["source"], event["id"], event["type"])
    assert b"\n" not in found.raw
    assert decode(found.raw).type == event["type"]


@given(st.binary(max_size=50))
def test_binary_data_survives(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert json.loads(take(WHOLE | {"data_base64": text}).event.raw)["data_base64"] == text


@given(st.dictionaries(st.sampled_from([*WHOLE, "data", "x", "Y", "offset"]), DATA, max_size=6))
def test_any_object_is_taken_or_refused_with_reasons(members: dict[str, Any]) -> None:
    outcome: Decoded | Invalid
    try:
        outcome = take(members)
    except Invalid as error:
        outcome = error
    if isinstance(outcome, Invalid):
        assert all(finding.message for finding in outcome.findings)
        assert outcome.findings
    else:
        assert decode(outcome.event.raw).id == outcome.event.id
