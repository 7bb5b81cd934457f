"""What the routes of sources answer."""

from __future__ import annotations

from typing import Any, TypedDict

from hxp_enterprise_llm.event.sources.pollers.model import State
from hxp_enterprise_llm.security.described import Answer, Described


class Entered(TypedDict):
    """A state that was entered, and why."""

    state: State
    at: str
    reason: str


class SourceSettings(TypedDict):
    """Whether a source is asked, and how again after a failure. Pauses in seconds; `tries` 0: it is never given up."""

    live: bool
    first_pause: float
    longest_pause: float
    failures: int
    tries: int


class SourceState(TypedDict):
    """A source now. `data`: the first 20 of the `items` of its last good answer, or what was heard on each subject
    or stream; `stale`: they are old; `next_try` is null while it is off, and while it is connected and listened to."""

    state: State
    since: str
    reason: str
    failures: int
    stale: bool
    last_answer: str | None
    next_try: str | None
    settings: SourceSettings
    data: list[dict[str, Any]]
    items: int
    history: list[Entered]


class AllSources(TypedDict):
    """Sources by name."""

    sources: dict[str, SourceState]


class Changed(TypedDict):
    """A source, how it is now, and what holds for it."""

    name: str
    state: State
    settings: SourceSettings


class Retried(TypedDict):
    """A source that is being asked, and how it was."""

    name: str
    state: State


STATUS = Described(answers=(Answer("The sources", AllSources),))
RETRY = Described(answers=(Answer("It is being asked", Retried, status=202),), refusals=(404,))
SETTINGS = Described(answers=(Answer("What holds now", Changed, status=202),), refusals=(400, 404, 503))
