"""What a service answers when it does not do what it was asked, and what is raised then.

ClientError
├── Unreachable     nobody answers at the address
├── Refused         the service says no, with its own words
├── BadAnswer       somebody answers, but not as this service does
└── BadHeader       a header that was given along cannot be sent (`headers.py`)
"""

from __future__ import annotations

import os
import ssl
from typing import Any

import msgspec

_SHOWN = 200
_FAULTS_SHOWN = 3


class ClientError(Exception):
    """Base of what the client raises."""


class Unreachable(ClientError):
    """Nobody answers at `url`; `reason` says why, in the system's words."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"{self.url} does not answer: {self.reason}"


class Refused(ClientError):
    """The service says no. `details` are the further members of its answer, such as `items` of a batch."""

    def __init__(self, status: int, code: str, message: str, hint: str, details: dict[str, Any]) -> None:
        super().__init__(status, code, message, hint, details)
        self.status, self.code, self.message, self.hint, self.details = status, code, message, hint, details

    @property
    def summary(self) -> str:
        """The refusal without the faults of single events."""
        return f"{self.message} ({self.status} {self.code})" if self.code else f"{self.message} ({self.status})"

    @property
    def faults(self) -> list[str]:
        """What is wrong with each event of a batch that was refused: `event 3, data.value: "3" is not a number`."""
        items = self.details.get("items")
        found = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        return [f"{_place(item)}: {item['message']}" for item in found if item.get("message")]

    def __str__(self) -> str:
        return "; ".join([self.summary, *(fault[:_SHOWN] for fault in self.faults[:_FAULTS_SHOWN])])


class BadAnswer(ClientError):
    """Somebody answers at `url`, but not as this service does; `found` is what came instead."""

    def __init__(self, url: str, found: str) -> None:
        super().__init__(url, found)
        self.url, self.found = url, found

    def __str__(self) -> str:
        return f"{self.url} does not answer as this service does: {self.found}"


def _place(item: dict[str, Any]) -> str:
    """Where a fault is: the event by its place in the batch, then the member."""
    return ", ".join([f"event {item.get('index', '')}".strip(), *filter(None, [str(item.get("path") or "")])])


class _Error(msgspec.Struct):
    message: str
    code: str = ""
    hint: str = ""


class _Envelope(msgspec.Struct):
    error: msgspec.Raw


def refusal(status: int, body: bytes) -> Refused:
    """The refusal in an answer's body; a body in another form (a proxy's page) is quoted."""
    try:
        raw = msgspec.json.decode(body, type=_Envelope).error
        error = msgspec.json.decode(raw, type=_Error)
        everything: dict[str, Any] = msgspec.json.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError):
        text = body[:_SHOWN].decode("utf-8", "replace").strip()
        return Refused(status, "", text or "no reason was given", "", {})
    details = {key: value for key, value in everything.items() if key not in {"code", "message", "hint"}}
    return Refused(status, error.code, error.message, error.hint, details)


def found(body: bytes) -> str:
    """The beginning of a body that was not understood."""
    return repr(body[:_SHOWN].decode("utf-8", "replace"))


def words(error: Exception) -> str:
    """Why a connection failed, in the operating system's words where it has any."""
    # aiohttp wraps what the system said: under one name or, of a certificate, another.
    error = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        # Their numbers are not the operating system's.
        return f"it speaks no TLS that we know ({error.reason}); an address of plain HTTP begins with http://"
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
