"""What a message means as an event: a CloudEvent as it is, anything else as the data of an event of its subject."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from hxp_enterprise_llm.config.sources import SubjectConfig
from hxp_enterprise_llm.event.sources.decode import MAX_ID
from hxp_enterprise_llm.event.sources.forms import media_type, split
from hxp_enterprise_llm.event.sources.heard import Words, as_data, fitting_type, is_cloudevent
from hxp_enterprise_llm.event.sources.nats.protocol import Message
from hxp_enterprise_llm.event.sources.strict_json import JsonFault
from hxp_enterprise_llm.telemetry.text import clean

_ID_HEADER = "Nats-Msg-Id"


class Meaning:
    """Makes the members of events."""

    words = Words("a message", "messages", "subject")

    def __init__(self, subjects: Sequence[SubjectConfig], new_id: Callable[[], str]) -> None:
        self._types = [(_pattern(each.subject), each.type) for each in subjects]
        self._new_id = new_id

    def of(self, message: Message) -> dict[str, Any]:
        """An event of this message, with an id, so that it can be offered twice. Raises Invalid, JsonFault."""
        content_type = message.headers.get("Content-Type", "")
        if "ce-specversion" in message.headers:
            (members,) = split(message.body, content_type, message.headers)
            assert isinstance(members, dict)
            return {"id": self._new_id(), **members}
        data = as_data(message.body)
        if is_cloudevent(whole := data.get("data")):
            return {"id": self._new_id(), **whole}
        if media_type(content_type) == "application/cloudevents+json":
            raise JsonFault("", "the message says that it is a CloudEvent, and has no specversion")
        return {"id": self._id(message), "type": self.type_of(message.subject), "subject": message.subject, **data}

    def place_of(self, message: Message) -> str:
        """Its subject."""
        return message.subject

    def type_of(self, place: str) -> str:
        """The type of events of a subject."""
        given = next((type for pattern, type in self._types if pattern.fullmatch(place)), "")
        return given or fitting_type(place)

    def name_of(self, message: Message) -> str:
        """A message has no name but its subject's."""
        return f"on {clean(message.subject, 64)}"

    def _id(self, message: Message) -> str:
        """The publisher's own, by which JetStream knows repeats, or a new one."""
        given = message.headers.get(_ID_HEADER, "")
        return given if 0 < len(given) <= MAX_ID and given.isprintable() else self._new_id()


def _pattern(subject: str) -> re.Pattern[str]:
    """`*` is one part of a subject, `>` at its end all that follows."""
    parts = {"*": r"[^.]+", ">": r".+"}
    return re.compile(r"\.".join(parts.get(part) or re.escape(part) for part in subject.split(".")))
