"""The keys of the configuration types, one after the other: what reload, reference and environment build on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from hxp_enterprise_llm.config.paths import KeyPath
from hxp_enterprise_llm.config.types import Section


class Field(NamedTuple):
    """One key of a section."""

    path: KeyPath
    attribute: str
    """Name of the Python attribute; differs from the key where that is a keyword (`for_`)."""
    live: bool
    """Whether a reload applies it without a restart."""
    section: type[Section] | None
    """The section that the key holds, if it holds one."""
    items: type[Section] | None
    """The section that each item of the list or map holds, if it holds such."""


@cache
def fields(section: type[Section]) -> tuple[Field, ...]:
    """The keys of one section, paths relative to it."""
    hints = get_type_hints(section, include_extras=True)
    return tuple(_field(info, hints[info.name]) for info in msgspec.structs.fields(section))


def leaves(section: type[Section], above: KeyPath = ()) -> Iterator[Field]:
    """All keys of the section and of those inside it that hold no section themselves."""
    for field in fields(section):
        path = above + field.path
        if field.section is not None:
            yield from leaves(field.section, path)
        else:
            yield field._replace(path=path)


def _field(info: Any, hint: Any) -> Field:
    metas = getattr(hint, "__metadata__", ())
    bare = get_args(hint)[0] if metas else hint
    live = any((meta.extra or {}).get("live", False) for meta in metas)
    inner = [_section(part) for part in get_args(bare)] if get_origin(bare) in (list, dict) else []
    return Field((info.encode_name,), info.name, live, _section(bare), inner[-1] if inner else None)


def _section(hint: Any) -> type[Section] | None:
    return hint if isinstance(hint, type) and issubclass(hint, Section) else None
