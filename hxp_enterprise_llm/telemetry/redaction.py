"""Secrets are taken out of log lines by value: the logger knows them, whoever writes the line need not."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4


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
    for text in (secret, secret.strip()):
        yield text
        yield quote(text, safe="")
        yield quote_plus(text)
        yield json.dumps(text)[1:-1]
        yield repr(text)[1:-1]
        yield b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    # A key of several lines is also found line by line.
    for line in secret.splitlines():
        if len(line.strip()) >= 16:
            yield line.strip()
