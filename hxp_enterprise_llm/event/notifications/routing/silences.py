"""Silences: whom they hold, and what may be done to them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from hxp_enterprise_llm.config.matchers import Matcher, Operator, all_match
from hxp_enterprise_llm.event.notifications.routing.model import Silence, SilenceMatcher

KEEP_SECONDS = 120 * 3600.0
"""How long a silence that has ended can still be seen."""
MOST = 10_000


def matcher_of(given: SilenceMatcher) -> Matcher:
    """The comparison. Raises MatcherFault."""
    operators: dict[tuple[bool, bool], Operator] = {
        (False, True): "=",
        (False, False): "!=",
        (True, True): "=~",
        (True, False): "!~",
    }
    return Matcher(given.name, operators[given.is_regex, given.is_equal], given.value)


@lru_cache(maxsize=MOST)
def matchers_of(given: tuple[SilenceMatcher, ...]) -> tuple[Matcher, ...]:
    """The comparisons of a silence, each compiled once. Raises MatcherFault."""
    return tuple(map(matcher_of, given))


def silenced_by(silences: Iterable[Silence], labels: Mapping[str, str], wall: float) -> list[Silence]:
    """The active silences that hold an alert with these labels."""
    active = (silence for silence in silences if silence.state(wall) == "active")
    return [silence for silence in active if all_match(matchers_of(silence.matchers), labels)]


def words(silence: Silence) -> str:
    """Its matchers as people write them."""
    return "{" + ", ".join(map(str, matchers_of(silence.matchers))) + "}"


def changed(before: Silence, after: Silence, wall: float) -> tuple[Silence | None, Silence]:
    """An edit of a silence: the old one as it ends (None: it is edited in place), and the one that holds from now.

    Other matchers, or a silence that has ended or has begun elsewhere, make another silence, as in Alertmanager.
    """
    state = before.state(wall)
    same = before.matchers == after.matchers and state != "expired"
    if same and (state == "pending" or after.starts_at <= before.starts_at or after.starts_at <= wall):
        starts_at = before.starts_at if state == "active" else max(after.starts_at, wall)
        return None, msgspec.structs.replace(after, id=before.id, starts_at=starts_at)
    return ended(before, wall), after


def ended(silence: Silence, wall: float) -> Silence:
    """The silence as it is after it was expired by hand: it has ended now."""
    if silence.state(wall) == "expired":
        return silence
    return msgspec.structs.replace(silence, ends_at=wall, starts_at=min(silence.starts_at, wall), updated_at=wall)
