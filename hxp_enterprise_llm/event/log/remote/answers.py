"""Answers of the API of a log, read without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.event.log.model import (
    Appended,
    BatchTooLarge,
    Bounds,
    EventTooLarge,
    Health,
    Limits,
    LogError,
    LogFull,
)
from hxp_enterprise_llm.event.log.remote.lines import ProtocolError
from hxp_enterprise_llm.event.model import Offset

_MAX_RETRY_AFTER_SECONDS = 30.0


class RemoteRefused(LogError):
    """The far side said no, and would say it again: access, a wrong address, events that it does not take."""

    def __init__(self, url: str, status: int, code: str, message: str) -> None:
        super().__init__(url, status, code, message)
        self.url, self.status, self.code, self.message = url, status, code, message

    def __str__(self) -> str:
        return f"{self.url} answered {self.status} {self.code}: {self.message}"


class NotOwner(LogError):
    """What only the process that owns the log can do."""

    def __init__(self, operation: str, url: str) -> None:
        super().__init__(operation, url)
        self.operation, self.url = operation, url

    def __str__(self) -> str:
        return f"{self.operation} is done by the process that owns the log, not over {self.url}"


class Retry(Exception):
    """The request may succeed when it is made again."""

    def __init__(self, reason: str, *, maybe_stored: bool, after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.maybe_stored, self.after = reason, maybe_stored, after

    def __str__(self) -> str:
        return self.reason


class _Appended(msgspec.Struct):
    offset: int
    duplicate: bool


class _Accepted(msgspec.Struct):
    events: list[_Appended]


class _Limits(msgspec.Struct):
    max_batch_events: int
    max_batch_bytes: int
    max_event_bytes: int


class RemoteBounds(msgspec.Struct):
    """Answer of `GET /events/bounds`."""

    epoch: str
    first: int
    head: int
    durable: bool
    status: Literal["ok", "read_only", "down"]
    limits: _Limits
    reason: str = ""
    bytes: int = 0

    def bounds(self) -> Bounds:
        return Bounds(self.epoch, Offset(self.first), Offset(self.head))

    def as_limits(self) -> Limits:
        limits = self.limits
        return Limits(limits.max_batch_events, limits.max_batch_bytes, limits.max_event_bytes)

    def health(self) -> Health:
        return Health(
            status=self.status,
            durable=self.durable,
            head=self.head,
            first=self.first,
            epoch=self.epoch,
            bytes=self.bytes,
            reason=self.reason,
        )


class Refusal(NamedTuple):
    """An answer that is no success."""

    status: int
    code: str
    message: str
    details: dict[str, Any]


def read_bounds(body: bytes) -> RemoteBounds:
    """Raises ProtocolError."""
    try:
        return msgspec.json.decode(body, type=RemoteBounds)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"no answer of a log: {error}") from None


def read_appended(body: bytes, count: int) -> list[Appended]:
    """The answer to an append of `count` events. Raises ProtocolError."""
    try:
        answer = msgspec.json.decode(body, type=_Accepted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"no answer of a log: {error}") from None
    if len(answer.events) != count:
        raise ProtocolError(f"{len(answer.events)} answers for {count} events")
    return [Appended(Offset(event.offset), event.duplicate) for event in answer.events]


def read_refusal(status: int, body: bytes) -> Refusal:
    """What an answer says; a proxy's page has no code."""
    try:
        error = msgspec.json.decode(body, type=dict[str, dict[str, Any]])["error"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return Refusal(status, "unknown", body[:200].decode("utf-8", "replace"), {})
    return Refusal(status, str(error.get("code", "unknown")), str(error.get("message", "")), error)


def append_error(url: str, refusal: Refusal, headers: Mapping[str, str], sent_bytes: int) -> LogError | Retry:
    """What a refused append means."""
    if refusal.status == 413:
        return _too_large(refusal.details, sent_bytes)
    if refusal.code == "log_full":
        return LogFull(refusal.message)
    if refusal.status == 429 or refusal.status >= 500:
        return Retry(
            f"{url} answered {refusal.status} {refusal.code}: {refusal.message}",
            maybe_stored=not _surely_not_stored(refusal),
            after=_retry_after(headers),
        )
    return RemoteRefused(url, refusal.status, refusal.code, refusal.message)


def _surely_not_stored(refusal: Refusal) -> bool:
    told = refusal.details.get("maybe_stored") is False
    return told or refusal.status == 429 or refusal.code == "log_closed"


def _too_large(details: dict[str, Any], sent_bytes: int) -> LogError:
    limit, found, index = (details.get(key) for key in ("limit", "found", "index"))
    limit = limit if isinstance(limit, int) else 0
    found = found if isinstance(found, int) else sent_bytes
    if isinstance(index, int):
        return EventTooLarge(limit, found, index)
    return BatchTooLarge(limit, found, "events" if details.get("unit") == "events" else "bytes")


def _retry_after(headers: Mapping[str, str]) -> float:
    value = headers.get("Retry-After", "")
    return min(float(value), _MAX_RETRY_AFTER_SECONDS) if value.isascii() and value.isdigit() else 0.0
