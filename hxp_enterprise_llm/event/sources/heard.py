"""What is common to the servers that are listened to: a connection, what it says wrong, and what a message becomes."""

from __future__ import annotations

import base64
import os
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, TypeGuard, TypeVar

from hxp_enterprise_llm.config.secrets import Secret
from hxp_enterprise_llm.event.sources.decode import MAX_TYPE
from hxp_enterprise_llm.event.sources.strict_json import JsonFault, read
from hxp_enterprise_llm.security.fetch import FetchError
from hxp_enterprise_llm.telemetry.text import clean

_OTHER = re.compile(r"[^A-Za-z0-9._-]")
PATIENCE = 3.0
"""Seconds of silence after which a server is asked whether it is there, and after which one that was asked is not.
Leaving takes no longer either."""

SecretReader = Callable[[str, str], Secret | None]
"""Reads a secret from a file, or, when that is empty, the credential of a name. Raises SecretError."""

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)


class Connection(Protocol[M]):
    """A connection on which messages come. It does not come back by itself; whoever has it decides."""

    problem: str
    """What is wrong with a part."""
    again: bool
    """Whether what has come last may have come before."""

    async def receive(self) -> Sequence[M] | None:
        """The messages that have come, at least one; None: all that was there when we left has been given.

        Raises FetchError when the connection is lost.
        """

    async def taken(self, messages: Sequence[M]) -> None:
        """These are stored, or never will be. Raises FetchError."""

    def leave(self) -> None:
        """Listen no more."""

    async def close(self) -> None:
        """End it at once."""


class Words(NamedTuple):
    """How a server's users call things."""

    one: str
    """A message, with its article."""
    many: str
    place: str
    """Where they are."""


class Meaning(Protocol[M_contra]):
    """What a message means as an event."""

    words: Words

    def of(self, message: M_contra) -> dict[str, Any]:
        """An event of this message, with an id, so that it can be offered twice. Raises Invalid, JsonFault."""

    def place_of(self, message: M_contra) -> str:
        """Where it was published."""

    def type_of(self, place: str) -> str:
        """The type of events of a place."""

    def name_of(self, message: M_contra) -> str:
        """How people find the message."""


def is_cloudevent(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value says that it is a CloudEvent."""
    return isinstance(value, dict) and "specversion" in value


def fitting_type(name: str) -> str:
    """A name as the type of an event: other characters than a type may have become `_`."""
    return _OTHER.sub("_", name[:MAX_TYPE])


def as_data(body: bytes) -> dict[str, Any]:
    """The member `data` of an event: JSON as it is, other text as text; other bytes as `data_base64`."""
    if not body:
        return {}
    try:
        return {"data": read(body)[0]}
    except JsonFault:
        pass
    try:
        return {"data": {"text": body.decode()}}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(body).decode()}


@contextmanager
def connecting(place: str, timeout: float) -> Iterator[None]:
    """Says what is wrong when no connection comes about. Raises FetchError for TimeoutError and OSError."""
    try:
        yield
    except TimeoutError as error:
        raise FetchError(f"{place} has not answered within {timeout:g} s") from error
    except ssl.SSLError as error:
        raise FetchError(f"{place}: TLS fails: {clean(str(error), 200)}") from error
    except OSError as error:
        raise FetchError(f"{place} does not answer: {clean(_words(error), 200)}") from error


def _words(error: OSError) -> str:
    number: object = error.errno  # of an address that is not allowed, the address
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(error)
