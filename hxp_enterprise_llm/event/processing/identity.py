"""What an accumulator is known by in files: a text."""

from __future__ import annotations

import msgspec

from hxp_enterprise_llm.event.model import TypePatterns
from hxp_enterprise_llm.event.processing.metrics import Accumulator, Selection


class _Identity(msgspec.Struct, frozen=True):
    family: str
    types: list[str]
    exclude: list[str]
    of: list[str]
    fields: list[list[str]]
    by: list[list[str]]


def identity(accumulator: Accumulator) -> str:
    """A text by which a series is known again. The limit of its label sets may change, so it is no part of it."""
    chosen = accumulator.selection
    found = _Identity(
        accumulator.family,
        sorted(chosen.types.patterns),
        sorted(chosen.exclude.patterns),
        sorted(chosen.of.patterns),
        [list(path) for path in accumulator.fields],
        [list(path) for path in accumulator.by],
    )
    return msgspec.json.encode(found).decode()


def accumulator_of(identity: str, limit: int) -> Accumulator:
    """The accumulator of an identity. Raises msgspec.DecodeError when the text is none."""
    found = msgspec.json.decode(identity, type=_Identity)
    chosen = Selection(*(TypePatterns(texts) for texts in (found.types, found.exclude, found.of)))
    fields, by = (tuple(tuple(path) for path in paths) for paths in (found.fields, found.by))
    return Accumulator(found.family, chosen, fields, by, limit)  # type: ignore[arg-type]
