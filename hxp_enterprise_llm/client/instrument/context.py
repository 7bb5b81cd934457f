"""Who is at work where the program runs now: agent, run, session, user, trace. Follows threads of control by itself."""

from __future__ import annotations

import os
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work within others; empty texts: not known."""

    trace_id: str
    span_id: str
    agent: str = ""
    run: str = ""
    session: str = ""
    user: str = ""
    query: str = ""

    def fields(self) -> dict[str, Any]:
        """What every event of this work carries."""
        found = {
            "agent": self.agent,
            "run": self.run,
            "session": self.session,
            "user": self.user,
            "query": self.query,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
        }
        return {name: value for name, value in found.items() if value}


_current: ContextVar[Work | None] = ContextVar("hxp_work", default=None)


def current() -> Work | None:
    """The work that this code is part of."""
    return _current.get()


def within(outer: Work | None, **changed: str) -> Work:
    """A new piece of work inside another; what is not `changed`, or is changed to an empty text, is the outer's."""
    base = outer or Work(os.urandom(16).hex(), "")
    return replace(base, span_id=os.urandom(8).hex(), **{name: text for name, text in changed.items() if text})


def enter(work: Work) -> Token[Work | None]:
    """Make it the current one; `leave` undoes that."""
    return _current.set(work)


def leave(token: Token[Work | None]) -> None:
    """Go back to the work around it."""
    try:
        _current.reset(token)
    except ValueError:
        # A generator may be closed by other code than it was begun by: there its work is not the current one.
        return
