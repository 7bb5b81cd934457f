"""What the log and the ingest raise, as answers over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from hxp_enterprise_llm.event.log.columns import AllNew
from hxp_enterprise_llm.event.log.model import (
    Ahead,
    Appended,
    BatchTooLarge,
    CursorError,
    EpochChanged,
    EventTooLarge,
    Gone,
    LogClosed,
    LogCorrupt,
    LogError,
    LogFull,
    LogUnavailable,
)
from hxp_enterprise_llm.event.sources.faults import SHOWN_FAULTS, IngestError, Interrupted, OwnTypes, Rejected
from hxp_enterprise_llm.security.problems import Problem

FULL_RETRY_SECONDS = 30
RETRY_SECONDS = 1


def problem_of(error: LogError | IngestError) -> Problem:
    """The answer to a request that ended so."""
    make = next((make for kind, make in _ANSWERS if isinstance(error, kind)), _unavailable)
    return make(error)


def cursor_details(error: CursorError) -> dict[str, Any]:
    """What the log has, for a client that must find its place again."""
    bounds = error.bounds
    return {"epoch": bounds.epoch, "first": bounds.first, "head": bounds.head}


def appended_json(appended: Sequence[Appended]) -> list[dict[str, Any]]:
    """Answers to events as they are sent."""
    return [{"offset": offset, "duplicate": duplicate} for offset, duplicate in appended]


def accepted_json(appended: Sequence[Appended], epoch: str) -> bytes:
    """The whole answer to events that are stored, as it is sent."""
    if isinstance(appended, AllNew):
        # The usual answer, filled in at one go.
        events = b",".join([_NEW] * len(appended)) % tuple(appended.offsets)
    else:
        events = b",".join([_REPEAT % offset if duplicate else _NEW % offset for offset, duplicate in appended])
    return b'{"events":[%b],"epoch":%b}\n' % (events, msgspec.json.encode(epoch))


_NEW = b'{"offset":%d,"duplicate":false}'
_REPEAT = b'{"offset":%d,"duplicate":true}'
_CURSORS: tuple[tuple[type[CursorError], int, str, str], ...] = (
    (Gone, 410, "gone", "go on from `first`, or leave `after` out"),
    (Ahead, 409, "ahead", "check `after` and `epoch`: the log has been read no further than `head`"),
    (EpochChanged, 409, "epoch_changed", "begin anew without `epoch` and `after`: old offsets mean nothing now"),
)


def _cursor(error: Exception) -> Problem:
    found = cast("CursorError", error)
    status, code, hint = next(row[1:] for row in _CURSORS if isinstance(found, row[0]))
    return Problem(status, code, str(found), hint, **cursor_details(found))


def _rejected(error: Exception) -> Problem:
    found = cast("Rejected", error)
    items = [{"index": fault.at, "path": fault.path, "message": fault.message} for fault in found.faults]
    problem = Problem(400, "invalid_events", str(found), "correct these items and send them again", items=items)
    if found.stored:
        problem.details["stored"] = appended_json(found.stored)
    return problem


def _own_types(error: Exception) -> Problem:
    found = cast("OwnTypes", error)
    items = [{"index": at, "path": "type", "message": f"is {type}"} for at, type in found.found[:SHOWN_FAULTS]]
    hint = (
        "take types of your own; alerts come in at POST /notifications/alertmanager, acknowledgements at POST"
        " /notifications/acknowledge. A service of ours needs a key with the scope publish:own, or a place in"
        " security.service_networks"
    )
    problem = Problem(403, "own_type", str(found), hint, items=items)
    if found.stored:
        problem.details["stored"] = appended_json(found.stored)
    return problem


def _interrupted(error: Exception) -> Problem:
    found = cast("Interrupted", error)
    problem = problem_of(found.cause)
    problem.message = str(found)
    problem.details["stored"] = appended_json(found.stored)
    return problem


def _batch_too_large(error: Exception) -> Problem:
    found = cast("BatchTooLarge", error)
    hint = "send several requests, or add ?partial=true: stored in order in several records, no longer all or nothing"
    return Problem(413, "batch_too_large", str(found), hint, limit=found.limit, found=found.found, unit=found.unit)


def _event_too_large(error: Exception) -> Problem:
    found = cast("EventTooLarge", error)
    hint = "put what is large elsewhere and a reference to it into the event"
    return Problem(413, "event_too_large", str(found), hint, limit=found.limit, found=found.found, index=found.index)


def _full(error: Exception) -> Problem:
    return _retry("log_full", str(error), "free disk space, or lower log.disk_budget_bytes", FULL_RETRY_SECONDS)


def _unavailable(error: Exception) -> Problem:
    maybe = isinstance(error, LogUnavailable) and error.maybe_stored
    hint = "send the same ids again: what was stored is answered as a duplicate" if maybe else "try again"
    return _retry("log_unavailable", str(error), hint, RETRY_SECONDS, maybe_stored=maybe)


def _closed(error: Exception) -> Problem:
    return _retry("log_closed", str(error), "try again: the service is stopping or starting", RETRY_SECONDS)


def _corrupt(error: Exception) -> Problem:
    return Problem(500, "log_corrupt", str(error), "the operator must look at the log: hxp doctor")


def _retry(code: str, message: str, hint: str, seconds: int, **details: Any) -> Problem:
    return Problem(503, code, message, hint, headers={"Retry-After": str(seconds)}, **details)


_ANSWERS: tuple[tuple[type[Exception], Callable[[Exception], Problem]], ...] = (
    (Rejected, _rejected),
    (OwnTypes, _own_types),
    (Interrupted, _interrupted),
    (CursorError, _cursor),
    (BatchTooLarge, _batch_too_large),
    (EventTooLarge, _event_too_large),
    (LogFull, _full),
    (LogClosed, _closed),
    (LogCorrupt, _corrupt),
)
