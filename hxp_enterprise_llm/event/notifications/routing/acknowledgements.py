"""Acknowledgements: events in the log, whoever writes them, that name an episode. Pure."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.model import parse_rfc3339

ACKNOWLEDGED = "alert.acknowledged"
PUBLICATION = "stream.publication"
CHANNEL = "system_alerts"
DEFAULT_FOR = "4h"
LONGEST_SECONDS = 30 * 86400.0


class Acknowledgement(NamedTuple):
    """Somebody takes on an alert, from `at` on for `lasts` seconds; 0 gives it back."""

    episode: str
    by: str
    comment: str
    at: float
    lasts: float


class _Data(msgspec.Struct):
    episode: Annotated[str, Meta(min_length=1, max_length=64)]
    by: Annotated[str, Meta(max_length=100)] = ""
    comment: Annotated[str, Meta(max_length=1000)] = ""
    for_: str = msgspec.field(name="for", default=DEFAULT_FOR)
    type: str = ""


class _Event(msgspec.Struct):
    type: str
    data: Any = None
    subject: str | None = None
    time: str | None = None


_decoder = msgspec.json.Decoder(_Event)


class BadAcknowledgement(ValueError):
    """An event that looks like an acknowledgement and is none."""


def read_acknowledgement(raw: bytes, now: float) -> Acknowledgement | None:
    """The acknowledgement in an event; None when it is another thing. Raises BadAcknowledgement.

    Clients of Centrifuge publish `{"type": "alert.acknowledged", "episode": …}` to `system_alerts`.
    """
    try:
        event = _decoder.decode(raw)
        data, publisher = event.data, ""
        if event.type == PUBLICATION:
            if event.subject != CHANNEL:
                return None
            data, publisher = _published(data)
            if data is None:
                return None
        found = msgspec.convert(data, _Data)
        at = min(parse_rfc3339(event.time), now) if event.time else now
        by = publisher or found.by or "somebody"
        return Acknowledgement(found.episode, by, found.comment, at, _lasts(found.for_))
    except (ValueError, RecursionError) as error:
        raise BadAcknowledgement(str(error)) from error


def _published(data: Any) -> tuple[Any, str]:
    inner = data.get("data") if isinstance(data, dict) else None
    if not isinstance(inner, dict) or inner.get("type") != ACKNOWLEDGED:
        return None, ""
    info = data.get("info")
    user = info.get("user", "") if isinstance(info, dict) else ""
    return inner, user if isinstance(user, str) else ""


def _lasts(text: str) -> float:
    found = seconds(text)
    if found > LONGEST_SECONDS:
        raise ValueError(f"an acknowledgement lasts at most 30d, not {text}")
    return found
