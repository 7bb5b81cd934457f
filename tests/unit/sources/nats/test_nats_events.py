"""What a message of NATS means as an event."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from hxp_enterprise_llm.config.sources import SubjectConfig, default_subjects
from hxp_enterprise_llm.event.sources.faults import Invalid
from hxp_enterprise_llm.event.sources.nats.events import Meaning
from hxp_enterprise_llm.event.sources.nats.protocol import Message
from hxp_enterprise_llm.event.sources.strict_json import JsonFault

MEANING = Meaning(
    [SubjectConfig(subject="egos.llm.*", type="llm.request.completed"), SubjectConfig(subject="egos.>")], lambda: "new"
)


def event(body: bytes, subject: str = "egos.sparc.tasks", **headers: str) -> dict[str, Any]:
    named = CIMultiDict((name.replace("_", "-"), text) for name, text in headers.items())
    return MEANING.of(Message(subject, named, body))


def test_json_is_the_data_of_an_event_of_its_subject() -> None:
    assert event(b'{"task": "plan", "trace_id": "t1"}') == {
        "id": "new",
        "type": "egos.sparc.tasks",
        "subject": "egos.sparc.tasks",
        "data": {"task": "plan", "trace_id": "t1"},
    }


def test_a_repeat_is_known_by_the_id_of_the_publisher() -> None:
    assert event(b"{}", Nats_Msg_Id="m-1")["id"] == "m-1"
    assert event(b"{}", Nats_Msg_Id="x" * 300)["id"] == "new"


@pytest.mark.parametrize(
    ("subject", "type"),
    [
        ("egos.llm.logs", "llm.request.completed"),
        ("egos.llm.logs.deep", "egos.llm.logs.deep"),
        ("egos.a$b/c", "egos.a_b_c"),
        ("other", "other"),
    ],
)
def test_the_first_subject_that_fits_says_the_type(subject: str, type: str) -> None:
    assert event(b"{}", subject)["type"] == type


def test_what_is_no_json_is_kept() -> None:
    assert event("Grüße".encode())["data"] == {"text": "Grüße"}
    assert event(b"\xff\x00")["data_base64"] == "/wA="
    assert event(b'{"twice": 1, "twice": 2}')["data"] == {"text": '{"twice": 1, "twice": 2}'}
    assert "data" not in event(b"")
    assert event(b"[1, 2]")["data"] == [1, 2]


def test_a_cloudevent_stays_what_it_is() -> None:
    whole = b'{"specversion": "1.0", "id": "7", "source": "/egos", "type": "agent.started", "data": {"agent": "a"}}'
    structured = event(whole)
    assert (structured["id"], structured["type"], structured["data"]) == ("7", "agent.started", {"agent": "a"})
    binary = event(
        b'{"agent": "a"}',
        ce_specversion="1.0",
        ce_id="8",
        ce_source="/egos",
        ce_type="agent.started",
        content_type="application/json",
    )
    assert (binary["id"], binary["type"], binary["data"]) == ("8", "agent.started", {"agent": "a"})


def test_a_cloudevent_that_is_none_is_refused() -> None:
    with pytest.raises(JsonFault, match="no specversion"):
        event(b"{}", content_type="application/cloudevents+json")
    with pytest.raises(Invalid):
        event(b"{", ce_specversion="1.0", content_type="application/json")


def test_the_shipped_subjects_are_those_of_the_platform() -> None:
    shipped = Meaning(default_subjects(), lambda: "new")
    for subject in ("egos.sparc.tasks", "egos.llm.logs", "egos.propagation.log"):
        assert shipped.type_of(subject) == subject
