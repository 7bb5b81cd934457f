"""What may be sent by hand: the body of POST /notifications/send. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, get_args

import msgspec

from hxp_enterprise_llm.config.delivery import DeliveryChannel
from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.config.rules import Priority
from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.security.problems import Problem

CHANNELS: tuple[str, ...] = (*get_args(DeliveryChannel), "all")
PRIORITIES: tuple[str, ...] = get_args(Priority)
MAX_MESSAGE = 4000
MAX_TITLE = 200
WORD = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_TYPE = re.compile(WORD)
_KEYS = ("type", "message", "channel", "priority", "title")
HINT = """send {"type": "test", "message": "Test notification", "channel": "websocket"}"""


class SendRequest(NamedTuple):
    """A message and whom it is for."""

    type: str
    message: str
    channel: str
    priority: Priority
    title: str

    def notification(self, id: str, at: float) -> Notification:
        """The message as it is told; `at` in wall-clock seconds."""
        return Notification(
            id=id,
            episode=id,
            seq=0,
            kind="message",
            priority=self.priority,
            title=self.title or self.type,
            text=self.message,
            at=at,
            type=self.type,
        )


def parse_send(body: bytes) -> SendRequest:
    """The request in a JSON body. Raises Problem 400 that names every fault with its path."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "bad_json", f"the body is no JSON: {error}", HINT) from None
    if not isinstance(data, dict):
        raise Problem(400, "bad_notification", "the body must be a JSON object", HINT)
    faults = list(_faults(data))
    if faults:
        message = "; ".join(f"{path}: {text}" for path, text in faults)
        listed = [{"path": path, "message": text} for path, text in faults]
        raise Problem(400, "bad_notification", message, HINT, faults=listed)
    return SendRequest(
        type=data.get("type", "message"),
        message=data["message"],
        channel=data.get("channel", "all"),
        priority=data.get("priority", "info"),
        title=data.get("title", ""),
    )


def _faults(data: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(key, f"unknown key{suggestion(key, _KEYS)}") for key in data if key not in _KEYS]
    found += [
        (key, f"must be a text, is {_shown(data[key])}") for key in _KEYS if not isinstance(data.get(key, ""), str)
    ]
    if found:
        return found
    if not data.get("message", "").strip():
        found.append(("message", "is missing: say what the notification is to say"))
    for key, longest in (("message", MAX_MESSAGE), ("title", MAX_TITLE)):
        if len(data.get(key, "")) > longest:
            found.append((key, f"has {len(data[key]):,} characters, at most {longest:,} are taken"))
    if not _TYPE.fullmatch(data.get("type", "message")):
        found.append(("type", "must be a short word of letters, digits and _.-"))
    for key, allowed in (("channel", CHANNELS), ("priority", PRIORITIES)):
        if key in data and data[key] not in allowed:
            found.append((key, f"{_shown(data[key])} is none of {', '.join(allowed)}{suggestion(data[key], allowed)}"))
    return found


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:59] + "…"
