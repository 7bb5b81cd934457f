"""Secrets are taken out of log lines by value: the logger knows them, whoever writes the line need not."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4
_SHORTEST_PART = 8


class Redactor:
    """Replaces every known secret in a text by `***`."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def hide(self, secret: str) -> None:
        """Remember a secret, also as it looks in a URL, in JSON, in a repr and in base64.

        One of fewer than four characters is not taken: hiding it would only make lines unreadable.
        """
        if len(secret.strip()) < _SHORTEST:
            return
        self._known.update(form for form in _forms(secret) if len(form) >= _SHORTEST)
        # The longest first, or a part would be masked and the rest remain.
        longest_first = sorted(self._known, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def _forms(secret: str) -> Iterator[str]:
    for text in (secret, secret.strip(), *_of_url(secret.strip())):
        yield text
        yield quote(text, safe="")
        yield quote_plus(text)
        yield json.dumps(text)[1:-1]
        yield repr(text)[1:-1]
        yield from _in_base64(text.encode("utf-8", "surrogatepass"))
    # A key of several lines is also found line by line.
    for line in secret.splitlines():
        if len(line.strip()) >= 16:
            yield line.strip()


def _of_url(text: str) -> Iterator[str]:
    """Of an address that is a secret, what is secret in it: others name its path without the host."""
    if "://" in text:
        # Not urlsplit, which raises where somebody has mistyped the address.
        path = "/" + text.partition("://")[2].partition("/")[2]
        yield from (part for part in (path, path.rpartition("/")[2]) if len(part) >= _SHORTEST_PART)


def _in_base64(secret: bytes) -> Iterator[str]:
    """The digits that depend on the secret alone, wherever it stands: a log-in encodes the user's name before it."""
    yield b64encode(secret).decode().rstrip("=")
    for before in range(3):
        digits = b64encode(bytes(before) + secret).decode().rstrip("=")
        whole = (before + len(secret)) % 3 == 0
        yield digits[(before * 8 + 5) // 6 : None if whole else -1]
