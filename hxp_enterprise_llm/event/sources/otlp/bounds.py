"""What is taken of a request at most. Beyond it things are cut and counted, so that no sender can fill the memory."""

from __future__ import annotations

MAX_ATTRIBUTES = 128
"""Attributes of one span, point or record that are looked at."""
MAX_EVENTS = 64
"""Events of one span that are looked at."""
MAX_TEXT = 4096
"""Characters of one value."""
MAX_ITEMS = 64
"""Items of one list within a value."""
MAX_DEPTH = 4
"""Levels of lists and maps within a value."""
PIECE = 512
"""Spans, points or records of a request that are stored together."""
TURN = 64
"""Of them, so many are decoded between two turns of the event loop."""


class Undecodable(Exception):
    """A body that is no OTLP request."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Refused(Exception):
    """One span, point or record that cannot be taken. The others are."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason
