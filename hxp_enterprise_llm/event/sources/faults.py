"""What can be wrong with events that come in.

IngestError
├── Rejected      events that are not valid
├── OwnTypes      events that only the services themselves may publish
└── Interrupted   the log refused the rest of a submission, a part of which is stored
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import Appended, LogError

SHOWN_FAULTS = 20


class Finding(NamedTuple):
    """What is wrong within one event, and where: `data.latency_ms`, `time`; empty for the whole of it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class Fault(NamedTuple):
    """A finding in one event of a submission; `at`: its index, from 0."""

    at: int
    path: str
    message: str


class Invalid(Exception):
    """One event that cannot be taken."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(tuple(findings))
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "; ".join(map(str, self.findings))


class IngestError(Exception):
    """Base of what a submission may raise besides LogError."""


class Rejected(IngestError):
    """Events that are not valid. `stored`: answers for those that were stored before them (partial submissions)."""

    def __init__(self, faults: Sequence[Fault], faulty: int, seen: int, stored: Sequence[Appended] = ()) -> None:
        super().__init__(tuple(faults), faulty, seen, tuple(stored))
        self.faults, self.faulty, self.seen, self.stored = tuple(faults), faulty, seen, tuple(stored)

    def __str__(self) -> str:
        fate = f"the first {len(self.stored):,} are stored" if self.stored else "nothing was stored"
        verb = "is" if self.faulty == 1 else "are"
        return f"{self.faulty:,} of {self.seen:,} events {verb} not valid; {fate}"


class OwnTypes(IngestError):
    """Events of the types that the services make themselves, from somebody else: `found` are their indices and types.

    `stored`: answers for those that were stored before them (partial submissions).
    """

    def __init__(self, found: Sequence[tuple[int, str]], seen: int, stored: Sequence[Appended] = ()) -> None:
        super().__init__(tuple(found), seen, tuple(stored))
        self.found, self.seen, self.stored = tuple(found), seen, tuple(stored)

    def __str__(self) -> str:
        fate = f"the first {len(self.stored):,} are stored" if self.stored else "nothing was stored"
        verb, own = ("is", "a type") if len(self.found) == 1 else ("are", "types")
        which = f"{len(self.found):,} of {self.seen:,} events {verb} of {own} that the services make themselves"
        return f"{which} ({self.found[0][1]}); {fate}"


class Interrupted(IngestError):
    """The log refused the rest of a partial submission."""

    def __init__(self, cause: LogError, stored: Sequence[Appended]) -> None:
        super().__init__(cause, tuple(stored))
        self.cause, self.stored = cause, tuple(stored)

    def __str__(self) -> str:
        return f"{self.cause}; the first {len(self.stored):,} events are stored"
