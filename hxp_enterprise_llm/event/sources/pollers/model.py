"""What a source is asked for and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, NamedTuple

from hxp_enterprise_llm.security.fetch import FetchError

State = Literal["starting", "ok", "failing", "away", "off"]
"""starting: nothing has come yet; failing: it is asked again soon; away: it is looked after now and then, and what it
said last is stale; off: it is not asked, because somebody has switched it off or its tries are used up."""


PollError = FetchError
"""A source that does not answer as it should: no answer, or one that cannot be used."""


class Item(NamedTuple):
    """An event to be made of an answer."""

    type: str
    data: dict[str, Any]
    subject: str | None = None


class Reading(NamedTuple):
    """An answer. `problem`: what was wrong with a part of it."""

    items: Sequence[Item]
    problem: str = ""


Ask = Callable[[], Awaitable[Reading]]
"""Asks a source once. Raises PollError."""
Fallback = Callable[[Sequence[Item], str], Sequence[Item]]
"""What to say once while a source is away: of its last items and their time (RFC 3339; empty: there are none)."""


class Source(NamedTuple):
    """A source by name, how it is asked, and what stands in for its answers."""

    name: str
    endpoint: str
    interval: float
    """Seconds."""
    failures: int
    ask: Ask
    fallback: Fallback


class Settings(NamedTuple):
    """Whether a source is asked, and how it is asked again after a failure. Changed while it runs."""

    live: bool
    first_pause: float
    """Seconds until the first try after a failure; each further pause is twice the one before."""
    longest_pause: float
    """Seconds that a pause grows to."""
    failures: int
    """Failures in a row after which it is away."""
    tries: int
    """Failures in a row after which it is no longer asked; 0: it is never given up."""


class Change(NamedTuple):
    """A state that was entered, when (wall-clock seconds), and why."""

    state: State
    at: float
    reason: str
