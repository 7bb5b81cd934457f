"""Which events of an append are new, and which offset each gets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import Any, NamedTuple

from hxp_enterprise_llm.event.log.columns import AllNew, StoredColumns
from hxp_enterprise_llm.event.log.model import Appended, Stored
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import Encoded, EncodedColumns, Offset, identities


class Numbered(NamedTuple):
    """Batches after numbering: the answer to each, and what is to be stored, in order."""

    answers: list[Sequence[Appended]]
    fresh: StoredColumns
    identities: list[bytes]


def number(batches: Sequence[Sequence[Encoded]], window: IdentityWindow, head: Offset, *, step: int = 1) -> Numbered:
    """Give every new event the next offset beyond `head`; repeats get the offset of their first time.

    Nothing is remembered here: the window learns of the events once they are stored.
    """
    sources, ids, types, raws = _columns(batches)
    keys = identities(sources, ids)
    if len(set(keys)) < len(keys) or not window.knows_none(keys):
        return _number_with_repeats(batches, keys, window, head, step)
    # Nothing here is done event by event in Python.
    offsets: Sequence[Any] = range(head + step, head + step * len(keys) + 1, step)
    ends = accumulate(map(len, batches))
    answers: list[Sequence[Appended]] = [
        AllNew(offsets[end - len(batch) : end]) for end, batch in zip(ends, batches, strict=True)
    ]
    return Numbered(answers, StoredColumns(offsets, types, raws), keys)


def _columns(batches: Sequence[Sequence[Encoded]]) -> Iterable[Sequence[Any]]:
    first = batches[0]
    if len(batches) == 1 and isinstance(first, EncodedColumns):
        return first.columns
    if len(first) > _SMALL:
        columns = (EncodedColumns.of(batch).columns for batch in batches)
        return [list(chain.from_iterable(column)) for column in zip(*columns, strict=True)]
    return tuple(zip(*chain.from_iterable(batches), strict=True)) or ((),) * 4


_SMALL = 8
"""Events up to which taking a batch apart costs less than handling it by column."""


def _number_with_repeats(
    batches: Sequence[Sequence[Encoded]], keys: list[bytes], window: IdentityWindow, head: Offset, step: int
) -> Numbered:
    fresh: list[Stored] = []
    first_seen: dict[bytes, Offset] = {}
    answers: list[Sequence[Appended]] = []
    next_key = iter(keys)
    for batch in batches:
        answer = []
        for event, key in zip(batch, next_key, strict=False):
            known = window.find(key) or first_seen.get(key)
            if known is None:
                head = first_seen[key] = Offset(head + step)
                fresh.append(Stored(head, event.type, event.raw))
            answer.append(Appended(known or head, known is not None))
        answers.append(answer)
    return Numbered(answers, StoredColumns.of(fresh), list(first_seen))
