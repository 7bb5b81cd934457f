"""What a program may ask for: the commands and how they are read. Unknown members are refused, not passed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.config.forms import form_fault
from hxp_enterprise_llm.event.streaming.centrifuge.codes import BAD_REQUEST, NOT_AVAILABLE, Error
from hxp_enterprise_llm.telemetry.text import clean

MAX_KEY = 128
"""Characters of an idempotency key."""


class _Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Sent(_Command, frozen=True, kw_only=True):
    """What publish and broadcast share."""

    data: Any = msgspec.UNSET
    b64data: str = ""
    tags: dict[str, str] | None = None
    skip_history: bool = False
    idempotency_key: str = ""
    delta: bool = False
    """Taken, and without effect: a subscriber asks for deltas itself."""
    version: int = 0
    version_epoch: str = ""


class Publish(_Sent, frozen=True, kw_only=True):
    channel: str


class Broadcast(_Sent, frozen=True, kw_only=True):
    channels: list[str]


class Since(_Command, frozen=True, kw_only=True):
    """A place in the log. An empty epoch stands for the one that it has now."""

    offset: int
    epoch: str = ""


class History(_Command, frozen=True, kw_only=True):
    channel: str
    limit: int = 0
    """Most publications; 0: only where the log stands; -1: as many as one answer carries."""
    since: Since | None = None
    reverse: bool = False


class OfChannel(_Command, frozen=True, kw_only=True):
    """`presence` and `presence_stats`."""

    channel: str


class Channels(_Command, frozen=True, kw_only=True):
    pattern: str = ""


class Info(_Command, frozen=True, kw_only=True):
    pass


class Batch(_Command, frozen=True, kw_only=True):
    commands: list[msgspec.Raw]
    parallel: bool = False
    """Taken, and without effect: what can be stored together is, whatever it says."""


Command = Publish | Broadcast | History | OfChannel | Channels | Info

KINDS: dict[str, type[Any]] = {
    "publish": Publish,
    "broadcast": Broadcast,
    "history": History,
    "presence": OfChannel,
    "presence_stats": OfChannel,
    "channels": Channels,
    "info": Info,
}
"""Method → what it is asked with."""

PUBLISHING = frozenset({"publish", "broadcast"})

_OTHERS = frozenset({"subscribe", "unsubscribe", "disconnect", "refresh", "history_remove", "rpc", "connections"})
"""Methods of Centrifugo that there are not here: connections belong to who made them, the log forgets by itself."""


class Ask(NamedTuple):
    """A command with its method."""

    method: str
    command: Command


ReadJson = Callable[[bytes], tuple[Any, bytes]]
"""Reads JSON strictly: the value, and its text without spaces. Raises ValueError."""


def parse(method: str, value: Any) -> Ask | Error:
    """A command out of what JSON gave."""
    try:
        command: Command = msgspec.convert(value, type=KINDS[method])
    except msgspec.ValidationError as error:
        return BAD_REQUEST._replace(message=f"bad request: {method}: {clean(str(form_fault(error, KINDS[method])))}")
    fault = _check_sent(command) if isinstance(command, _Sent) else None
    return fault or Ask(method, command)


def parse_entry(text: bytes, read: ReadJson) -> Ask | Error:
    """One command of a batch: an object with the method as its only key."""
    try:
        entry, _ = read(text)
    except ValueError as error:
        return BAD_REQUEST._replace(message=f"bad request: {clean(str(error))}")
    if not isinstance(entry, dict) or len(entry) != 1:
        return BAD_REQUEST._replace(message='bad request: a command is an object with one key, {"publish": {…}}')
    ((method, value),) = entry.items()
    if method in KINDS:
        return parse(method, value)
    if method in _OTHERS:
        return NOT_AVAILABLE._replace(message=f"not available: {method}")
    known = ", ".join(KINDS)
    return Error(104, f"method not found: {clean(method, 60)!r}; methods are {known}")


def _check_sent(sent: _Sent) -> Error | None:
    if sent.b64data:
        return NOT_AVAILABLE._replace(message="not available: b64data; channels carry JSON")
    if sent.version or sent.version_epoch:
        return NOT_AVAILABLE._replace(message="not available: version; the log keeps what is sent in its order")
    if sent.data is msgspec.UNSET:
        return BAD_REQUEST._replace(message="bad request: data is missing")
    if isinstance(sent, Broadcast) and len(set(sent.channels)) < len(sent.channels):
        return BAD_REQUEST._replace(message="bad request: a channel is there twice in channels")
    key = sent.idempotency_key
    if len(key) > MAX_KEY or not key.isprintable():
        return BAD_REQUEST._replace(message=f"bad request: idempotency_key is at most {MAX_KEY} printable characters")
    return None
