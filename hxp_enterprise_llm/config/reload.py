"""What a reload changes: keys that take effect at once, and keys that wait for a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from hxp_enterprise_llm.config.fields import fields
from hxp_enterprise_llm.config.paths import KeyPath, dotted
from hxp_enterprise_llm.config.types import Section

SomeSection = TypeVar("SomeSection", bound=Section)


@dataclass(frozen=True, slots=True)
class Changes:
    """Dotted paths of the keys that differ. A list or map of items is one key."""

    live: list[str]
    """Applied by the reload."""
    restart: list[str]
    """In force only after a restart."""

    def __bool__(self) -> bool:
        return bool(self.live or self.restart)


def differences(old: Section, new: Section) -> Changes:
    """The keys whose values differ between two configurations of one type."""
    changes = Changes([], [])
    _compare(old, new, (), changes)
    return changes


def in_force(old: SomeSection, new: SomeSection) -> SomeSection:
    """What holds after a reload: keys that wait for a restart have the values they had."""
    kept: dict[str, Any] = {}
    for field in fields(type(old)):
        before, after = getattr(old, field.attribute), getattr(new, field.attribute)
        if field.section is not None:
            kept[field.attribute] = in_force(before, after)
        elif not field.live:
            kept[field.attribute] = before
    return msgspec.structs.replace(new, **kept)


def _compare(old: Section, new: Section, above: KeyPath, changes: Changes) -> None:
    for field in fields(type(old)):
        before, after, path = getattr(old, field.attribute), getattr(new, field.attribute), above + field.path
        if field.section is not None:
            _compare(before, after, path, changes)
        elif before != after:
            (changes.live if field.live else changes.restart).append(dotted(path))
