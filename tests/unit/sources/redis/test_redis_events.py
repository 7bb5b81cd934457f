"""What an entry of a Redis stream means as an event."""

from __future__ import annotations

from typing import Any

import pytest

from hxp_enterprise_llm.config.sources import RedisStreamConfig
from hxp_enterprise_llm.event.sources.faults import Invalid
from hxp_enterprise_llm.event.sources.redis.events import Meaning
from hxp_enterprise_llm.event.sources.redis.replies import Entry

NOW = 1_796_000_000.0


class Clock:
    def time(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def new_id(self) -> str:
        return "new"


MEANING = Meaning(
    [
        RedisStreamConfig(stream="agents:events"),
        RedisStreamConfig(stream="calls", type="llm.request.completed", numbers=["latency_ms"]),
        RedisStreamConfig(stream="mixed", type="other", type_field="event_type"),
    ],
    Clock(),
)
WHOLE = '{"specversion": "1.0", "id": "7", "source": "/egos", "type": "agent.started", "data": {"agent": "a"}}'


def event(fields: dict[str, str | bytes], stream: str = "agents:events", id: str = "1795999999500-3") -> dict[str, Any]:
    pairs = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in fields.items()]
    return MEANING.of(Entry(stream, id, pairs))


def test_fields_are_the_data_of_an_event_of_the_stream() -> None:
    assert event({"agent": "planner", "note": "Grüße"}) == {
        "id": "agents:events/1795999999500-3",
        "type": "agents.events",
        "subject": "agents:events",
        "time": "2026-11-30T00:53:19.500Z",
        "data": {"agent": "planner", "note": "Grüße"},
    }


@pytest.mark.parametrize("name", ["event", "data", "payload"])
def test_a_cloudevent_stays_what_it_is(name: str) -> None:
    found = event({"shard": "3", name: WHOLE})
    assert (found["id"], found["source"], found["type"]) == ("7", "/egos", "agent.started")
    assert found["data"] == {"agent": "a"}


def test_what_a_cloudevent_lacks_is_told_by_its_entry() -> None:
    found = event({"event": '{"specversion": "1.0", "type": "agent.started"}'})
    assert (found["id"], found["time"]) == ("agents:events/1795999999500-3", "2026-11-30T00:53:19.500Z")


@pytest.mark.parametrize("name", ["event", "data", "payload"])
def test_json_that_is_alone_in_such_a_field_is_the_data(name: str) -> None:
    assert event({name: '{"n": 1.5, "ok": true}'})["data"] == {"n": 1.5, "ok": True}
    assert event({name: " [1, 2]"})["data"] == [1, 2]
    assert event({name: "plain"})["data"] == {name: "plain"}
    assert event({name: "5"})["data"] == {name: "5"}
    assert event({name: '{"n": 1}', "other": "x"})["data"] == {name: {"n": 1}, "other": "x"}


def test_json_in_any_other_field_is_a_member() -> None:
    assert event({"usage": '{"n": 1}'})["data"] == {"usage": {"n": 1}}


def test_text_stays_text_whatever_it_looks_like() -> None:
    fields: dict[str, str | bytes] = {"a": "5", "b": "true", "c": "12e4", "d": "{", "e": '{"x": 1, "x": 2}', "f": ""}
    assert event(fields)["data"] == fields


def test_numbers_are_those_that_are_named() -> None:
    found = event({"model": "7", "latency_ms": "12.5"}, "calls")
    assert found["type"] == "llm.request.completed"
    assert found["data"] == {"model": "7", "latency_ms": 12.5}
    assert event({"latency_ms": "true"}, "calls")["data"] == {"latency_ms": "true"}
    assert event({"latency_ms": "slow"}, "calls")["data"] == {"latency_ms": "slow"}


@pytest.mark.parametrize(
    ("given", "type"),
    [("agent.started", "agent.started"), ("AGENT STARTED", "AGENT_STARTED"), ("", "other"), ("x" * 200, "x" * 128)],
)
def test_a_field_may_say_the_type(given: str, type: str) -> None:
    found = event({"event_type": given, "payload": '{"n": 1}'}, "mixed")
    assert (found["type"], found["data"]) == (type, {"n": 1})


def test_an_entry_without_that_field_has_the_type_of_its_stream() -> None:
    assert event({"n": "1"}, "mixed")["type"] == "other"
    assert event({"event_type": "alone"}, "mixed")["data"] == {}


def test_bytes_that_are_no_text_are_kept() -> None:
    assert event({"image": b"\xff\x00", "n": "1"})["data"] == {"image_base64": "/wA=", "n": "1"}
    pairs = [(b"\xff", b"x")]
    assert MEANING.of(Entry("calls", "1-1", pairs))["data"] == {"\\xff": "x"}


@pytest.mark.parametrize(
    ("id", "time"),
    [
        ("1796000000000-0", "2026-11-30T00:53:20.000Z"),
        ("1796000090000-0", "2026-11-30T00:53:20.000Z"),  # its clock is ahead of ours
        ("18446744073709551615-0", "2026-11-30T00:53:20.000Z"),
        ("1-1", None),  # somebody's own count
    ],
)
def test_an_id_tells_the_time(id: str, time: str | None) -> None:
    assert event({"n": "1"}, id=id).get("time") == time


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Entry("calls", "1-1", None), "it was deleted before that"),
        (Entry("calls", "1-1", None, too_large=True), "it is larger than log.limits.max_event_bytes"),
    ],
)
def test_what_is_not_there_is_told(entry: Entry, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        MEANING.of(entry)
