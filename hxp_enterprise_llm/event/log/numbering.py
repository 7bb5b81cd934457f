"""Which events of an append are new, and which offset each gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import Appended, Stored
from hxp_enterprise_llm.event.log.window import IdentityWindow
from hxp_enterprise_llm.event.model import Encoded, Offset, identity


class Numbered(NamedTuple):
    """Batches after numbering: the answer to each, and what is to be stored, in order."""

    answers: list[list[Appended]]
    fresh: list[Stored]
    identities: list[bytes]


def number(batches: Sequence[Sequence[Encoded]], window: IdentityWindow, head: Offset, *, step: int = 1) -> Numbered:
    """Give every new event the next offset beyond `head`; repeats get the offset of their first time.

    Nothing is remembered here: the window learns of the events once they are stored.
    """
    fresh: list[Stored] = []
    first_seen: dict[bytes, Offset] = {}
    answers = []
    # A named tuple's own constructor is a Python call; on this path it would be two for each event.
    find, find_here, new = window.find, first_seen.get, tuple.__new__
    for batch in batches:
        answer = []
        for event in batch:
            key = identity(event.source, event.id)
            known = find(key) or find_here(key)
            if known is None:
                head = Offset(head + step)
                first_seen[key] = head
                fresh.append(new(Stored, (head, event.type, event.raw)))
                answer.append(new(Appended, (head, False)))
            else:
                answer.append(Appended(known, True))
        answers.append(answer)
    return Numbered(answers, fresh, list(first_seen))
