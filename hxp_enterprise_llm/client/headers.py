"""Headers that a program gives along, such as an API key: faults are found where they are given."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hxp_enterprise_llm.client.answers import ClientError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110."""
_VALUE = re.compile(r"[\t\x20-\x7e]*")
"""Visible characters, spaces and tabs: what everybody reads alike."""


class BadHeader(ClientError, ValueError):
    """A header that HTTP cannot carry. The value is not shown: it may be a key."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"headers: {self.name!r} {self.reason}"


def sendable(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The headers, without white space around their values: a key that was read from a file ends with a line feed.

    Raises BadHeader.
    """
    return {_name(name): _value(name, str(value).strip()) for name, value in (headers or {}).items()}


def _name(name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadHeader(str(name), "is no name of a header: letters, digits and - are taken, e.g. 'X-API-Key'")
    return name


def _value(name: str, value: str) -> str:
    found = _VALUE.match(value)
    end = found.end() if found else 0
    if end < len(value):
        raise BadHeader(name, f"has a value that no header can carry: {value[end]!r} at {end + 1}")
    return value
