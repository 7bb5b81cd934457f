"""Single events that arrive at about the same time become one append: each then costs a part of it.

Nobody waits longer for it. A lone event is handed on with the next turn of the loop; what comes while an append is
under way is handed on at its end, because the disk takes one after the other anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from hxp_enterprise_llm.event.log.model import Appended, LogError
from hxp_enterprise_llm.event.sources.ingest import SLICE_BYTES, SLICE_EVENTS, Ingest

Done = Callable[[Sequence[Appended] | LogError | None], None]
"""Told once, in a later turn, what became of an event. None: it is to be given to `Ingest.accept`, which says what is
wrong with it if anything is; nothing was stored."""


class _Waiting(NamedTuple):
    body: bytes
    done: Done


class Gathering:
    """Collects events by the source that they have if they name none, and by whether they may be of our own types."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._waiting: dict[tuple[str, bool], list[_Waiting]] = {}
        self._events = self._bytes = self._under_way = 0

    def add(self, body: bytes, source: str, done: Done, own: bool = False) -> None:
        """Take an event in, as JSON text of one object; source and `own` as with Ingest."""
        if not self._events and not self._under_way:
            self._hand_on_soon()
        self._waiting.setdefault((source, own), []).append(_Waiting(body, done))
        self._events += 1
        self._bytes += len(body)
        if self._events == SLICE_EVENTS or self._bytes > SLICE_BYTES:
            self._hand_on()

    def _hand_on_soon(self) -> None:
        # What else has arrived is read in this turn.
        asyncio.get_running_loop().call_soon(self._hand_on)

    def _hand_on(self) -> None:
        gathered, self._waiting = self._waiting, {}
        self._events = self._bytes = 0
        for (source, own), waiting in gathered.items():
            if not self._begin(waiting, source, own):
                # One that is unusual in any way must not hold up the others.
                for each in waiting:
                    if not self._begin([each], source, own):
                        asyncio.get_running_loop().call_soon(each.done, None)

    def _begin(self, waiting: list[_Waiting], source: str, own: bool) -> bool:
        if len(waiting) == 1:
            appending = self._ingest.begin(waiting[0].body, source=source, own=own)
        else:
            appending = self._ingest.begin_texts([each.body for each in waiting], source=source, own=own)
        if appending is None:
            return False
        self._under_way += 1
        appending.add_done_callback(partial(self._ended, waiting))
        return True

    def _ended(self, waiting: list[_Waiting], appending: asyncio.Future[Sequence[Appended]]) -> None:
        self._under_way -= 1
        if self._events:
            self._hand_on_soon()
        error = appending.exception()
        if isinstance(error, LogError):
            for each in waiting:
                each.done(error)
        else:
            for each, appended in zip(waiting, appending.result(), strict=True):
                each.done((appended,))
