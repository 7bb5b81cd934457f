"""What may be asked for by hand: the bodies of POST /notifications/send, /test and /dead/replay. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
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


class Text(NamedTuple):
    """What a text of a body may be."""

    most: int = 0
    """Characters; 0: no bound of its own."""
    allowed: tuple[str, ...] = ()
    word: bool = False
    """Whether it must be a short word."""
    empty: bool = False
    """Whether it may be empty, where only some are allowed."""


_SEND = {
    "type": Text(word=True),
    "message": Text(MAX_MESSAGE),
    "channel": Text(allowed=CHANNELS),
    "priority": Text(allowed=PRIORITIES),
    "title": Text(MAX_TITLE),
}


def parse_send(body: bytes) -> SendRequest:
    """The request in a JSON body. Raises Problem 400 that names every fault with its path."""
    data = _object(body, HINT)
    _refuse(_form_faults(data, _SEND) or [*_silent(data), *_text_faults(data, _SEND)], HINT)
    return SendRequest(
        type=data.get("type", "message"),
        message=data["message"],
        channel=data.get("channel", "all"),
        priority=data.get("priority", "info"),
        title=data.get("title", ""),
    )


def _silent(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if not data.get("message", "").strip():
        yield "message", "is missing: say what the notification is to say"


def _object(body: bytes, hint: str) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "bad_json", f"the body is no JSON: {error}", hint) from None
    if not isinstance(data, dict):
        raise Problem(400, "bad_notification", "the body must be a JSON object", hint)
    return data


def _refuse(faults: list[tuple[str, str]], hint: str) -> None:
    if faults:
        message = "; ".join(f"{path}: {text}" for path, text in faults)
        listed = [{"path": path, "message": text} for path, text in faults]
        raise Problem(400, "bad_notification", message, hint, faults=listed)


class DrillRequest(NamedTuple):
    """A drill: by which channel, or to whom."""

    channel: str
    receiver: str
    target: str
    message: str

    def notification(self, id: str, at: float) -> Notification:
        """What is told; `at` in wall-clock seconds."""
        return Notification(
            id=id,
            episode=id,
            seq=0,
            kind="message",
            priority="info",
            title="Test notification",
            text=self.message,
            at=at,
            type="test",
            why="test",
            test=True,
        )


TEST_HINT = """send {"channel": "email"}, or {"receiver": "NAME"}; "target" names one recipient of several"""
REPLAY_HINT = """send {"ids": [1, 2]} with ids of GET /notifications/dead, or {"all": true}"""
MOST_IDS = 1000
_TEST = {
    "channel": Text(allowed=CHANNELS[:-1], empty=True),
    "receiver": Text(),
    "target": Text(),
    "message": Text(MAX_MESSAGE),
}


def parse_test(body: bytes) -> DrillRequest:
    """The request in a JSON body. Raises Problem 400."""
    data = _object(body, TEST_HINT)
    faults = _form_faults(data, _TEST)
    if not faults and bool(data.get("channel")) == bool(data.get("receiver")):
        faults.append(("channel", "name either a channel or a receiver"))
    _refuse(faults or list(_text_faults(data, _TEST)), TEST_HINT)
    message = data.get("message") or "This is a drill: nothing has happened, and nothing is to be done."
    return DrillRequest(data.get("channel", ""), data.get("receiver", ""), data.get("target", ""), message)


def parse_replay(body: bytes) -> list[int] | None:
    """Ids of dead letters; None: all of them. Raises Problem 400."""
    data = _object(body, REPLAY_HINT)
    faults = _unknown(data, ("ids", "all"))
    ids, everything = data.get("ids"), data.get("all")
    if not faults and (ids is None) == (everything is None):
        faults.append(("ids", "name either ids or all"))
    elif not faults and everything not in (None, True):
        faults.append(("all", f"can only be true, is {_shown(everything)}"))
    elif not faults and everything is None and not _are_ids(ids):
        faults.append(("ids", f"must be a list of 1 to {MOST_IDS} whole numbers"))
    _refuse(faults, REPLAY_HINT)
    return None if everything else ids


def _are_ids(ids: Any) -> bool:
    return isinstance(ids, list) and 0 < len(ids) <= MOST_IDS and all(type(id) is int and 0 < id < 2**63 for id in ids)


def _unknown(data: dict[str, Any], keys: Collection[str]) -> list[tuple[str, str]]:
    return [(key, f"unknown key{suggestion(key, keys)}") for key in data if key not in keys]


def _form_faults(data: dict[str, Any], fields: Mapping[str, Text]) -> list[tuple[str, str]]:
    """Keys that nobody knows, and what is no text."""
    found = [key for key in fields if not isinstance(data.get(key, ""), str)]
    return _unknown(data, fields) + [(key, f"must be a text, is {_shown(data[key])}") for key in found]


def _text_faults(data: dict[str, Any], fields: Mapping[str, Text]) -> Iterator[tuple[str, str]]:
    """Texts that are too long, no word, or none of those that may stand there."""
    for key, text in ((key, data[key]) for key in fields if key in data):
        most, allowed, word, empty = fields[key]
        if most and len(text) > most:
            yield key, f"has {len(text):,} characters, at most {most:,} are taken"
        if word and not _TYPE.fullmatch(text):
            yield key, "must be a short word of letters, digits and _.-"
        if allowed and text not in allowed and (text or not empty):
            yield key, f"{_shown(text)} is none of {', '.join(allowed)}{suggestion(text, allowed)}"


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:59] + "…"
