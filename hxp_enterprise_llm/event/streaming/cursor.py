"""What a client asks for: where to begin, which types, which filter. All of it comes from the query and one header."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from multidict import MultiMapping

from hxp_enterprise_llm.event.model import TypePatterns, parse_patterns
from hxp_enterprise_llm.event.streaming.filter_syntax import LANGUAGE, FilterError
from hxp_enterprise_llm.event.streaming.filters import Filter
from hxp_enterprise_llm.security.model import Asked, StepAside
from hxp_enterprise_llm.security.problems import Problem

PAGE = "page"
"""Parameter of the streams that dashboard pages open: which dashboard it is."""
PARAMETERS = ("after", "last", "type", "filter", "lastEventId", PAGE)
MAX_OFFSET = 2**53 - 1
MAX_LAST = 10_000
_CURSOR = re.compile(r"(?:(?P<epoch>[A-Za-z0-9_-]{1,64})\.)?(?P<offset>[0-9]{1,16})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a log. An empty epoch means the one that the log has now."""

    offset: int
    epoch: str = ""


EARLIEST_CURSOR = Cursor(-1)
"""Whatever is still there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one connection asks for. Without `after` and `last` it begins with what comes next."""

    after: Cursor | None = None
    last: int = 0
    types: TypePatterns | None = None
    filter: Filter | None = None


def parse_wish(query: MultiMapping[str], headers: Mapping[str, str]) -> Wish:
    """Read a request. `Last-Event-ID` wins over `after` and `last`: a browser repeats the address when it resumes.

    Raises Problem 400 that names the parameter.
    """
    _refuse_unknown(query)
    types, filter = _types(query.getall("type", ())), _filter(_one(query, "filter"))
    resume = headers.get("Last-Event-ID") or _one(query, "lastEventId")
    if resume:
        return Wish(parse_cursor(resume, "Last-Event-ID"), 0, types, filter)
    after, last = _one(query, "after"), _one(query, "last")
    if after is not None and last is not None:
        raise _fault("after", "after and last exclude each other", "Give one of them.")
    start = None if after is None else parse_cursor(after, "after")
    return Wish(start, 0 if last is None else parse_count(last, "last", MAX_LAST), types, filter)


def lean_wish(asked: Asked) -> Wish:
    """What is asked for. Raises Problem, and StepAside when the log has to be asked where it begins."""
    wish = parse_wish(asked.query, asked.headers)
    if wish.after == EARLIEST_CURSOR:
        raise StepAside
    return wish


def parse_cursor(text: str, parameter: str) -> Cursor:
    """`<epoch>.<offset>`, an offset of the current epoch, or `earliest`. Raises Problem 400."""
    if text == "earliest":
        return EARLIEST_CURSOR
    match = _CURSOR.fullmatch(text)
    if match is None or int(match["offset"]) > MAX_OFFSET:
        raise _fault(
            parameter,
            f"{parameter}: {text!r} is no cursor",
            "Write <epoch>.<offset> as it stood in the id of an event, a plain offset, or 'earliest'.",
        )
    return Cursor(int(match["offset"]), match["epoch"] or "")


def parse_count(text: str, parameter: str, most: int) -> int:
    """A number from 1 to `most`. Raises Problem 400."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most or len(text) > 9:
        raise _fault(parameter, f"{parameter}: {text!r} is not a number from 1 to {most:,}", "")
    return int(text)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`Did you mean …?`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else ""


def _refuse_unknown(query: MultiMapping[str]) -> None:
    for name in query:
        if name not in PARAMETERS:
            hint = suggestion(name, PARAMETERS) or f"Parameters are {', '.join(PARAMETERS[:4])}."
            raise _fault(name, f"the parameter {name!r} is not known here", hint)


def _one(query: MultiMapping[str], name: str) -> str | None:
    values = query.getall(name, ())
    if len(values) > 1:
        raise _fault(name, f"{name} is given {len(values)} times", "Give it once.")
    return values[0] if values else None


def _types(values: Sequence[str]) -> TypePatterns | None:
    if not values:
        return None
    try:
        return parse_patterns([text.strip() for value in values for text in value.split(",")])
    except ValueError as error:
        raise _fault("type", f"type: {error}", "Several are separated by commas: ?type=llm.*,host.cpu") from None


def _filter(text: str | None) -> Filter | None:
    if text is None:
        return None
    try:
        return Filter.parse(text)
    except FilterError as error:
        raise Problem(
            400, "bad_filter", f"filter: {error}", LANGUAGE, parameter="filter", column=error.column
        ) from None


def _fault(parameter: str, message: str, hint: str) -> Problem:
    return Problem(400, "bad_parameter", message, hint, parameter=parameter)
