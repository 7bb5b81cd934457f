"""One event as it came in, made into one that the log takes. No waiting, no clock of its own.

Takes CloudEvents 1.0 and the short form `{type, source?, subject?, time?, data}` alike: what is missing is filled in.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.event.model import Encoded, parse_rfc3339
from hxp_enterprise_llm.event.sources.faults import Finding, Invalid
from hxp_enterprise_llm.event.sources.strict_json import JsonFault, read
from hxp_enterprise_llm.telemetry.text import clean

MAX_ID = 256
MAX_TYPE = 128
MAX_TEXT = 1024
"""Characters of source, subject, dataschema, datacontenttype."""

Item = bytes | dict[str, Any]
"""An event as JSON text, or its members already read (CloudEvents binary mode)."""

_KNOWN = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data", "data_base64"}
)
_PLAIN = frozenset({"specversion", "id", "source", "type", "time", "data"})
_RESERVED = frozenset({"offset", "epoch"})
_TYPE = re.compile(r"[A-Za-z0-9._-]+")
_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for all events of one submission."""

    now: float
    """Wall-clock seconds."""
    now_text: str
    """The same as RFC 3339: the time of events that have none."""
    source: str
    """The source of events that have none."""
    new_id: Callable[[], str]
    max_future_seconds: float
    max_age_seconds: float
    passed: set[tuple[str, str, str]] = field(default_factory=set)
    """(source, type, time) that have been found good: they repeat within a submission."""


class Decoded(NamedTuple):
    """An event for the log, and its data for the schema; `UNSET` when it has none."""

    event: Encoded
    data: Any


def decode_item(item: Item, terms: Terms) -> Decoded:
    """Read, check and complete one event. Raises Invalid with everything that is wrong with it."""
    if isinstance(item, dict):
        return _complete(item, None, terms)
    try:
        members, text = read(item)
    except JsonFault as fault:
        raise Invalid([Finding(fault.path, fault.message)]) from None
    if not isinstance(members, dict):
        raise Invalid([Finding("", f"an event is a JSON object, this is {_kind(members)}")])
    return _complete(members, text, terms)


def _complete(members: dict[str, Any], text: bytes | None, terms: Terms) -> Decoded:
    if _is_plain(members, terms):
        whole, changed = members, False
    else:
        whole, changed = fill(members, terms)
        _check(whole, terms)
    if changed or text is None:
        text = _encode(whole)
    return Decoded(Encoded(whole["source"], whole["id"], whole["type"], text), whole.get("data", msgspec.UNSET))


def _is_plain(members: dict[str, Any], terms: Terms) -> bool:
    """Whether all checks would pass: a complete event without optional attributes, like one that has passed them.

    What is unusual in any way is answered with False, and the checks have the word.
    """
    if members.keys() != _PLAIN or members["specversion"] != "1.0":
        return False
    id, source, type_, time = members["id"], members["source"], members["type"], members["time"]
    if not (type(source) is type(type_) is type(time) is type(id) is str):
        return False
    return 0 < len(id) <= MAX_ID and id.isprintable() and (source, type_, time) in terms.passed


def source_passes(source: Any, terms: Terms) -> bool:
    """Whether an event from here would pass the check of it."""
    return _check_source({"source": source}, terms) is None


def type_passes(type: str) -> bool:
    """Whether a type would pass the check of it."""
    return len(type) <= MAX_TYPE and _TYPE.fullmatch(type) is not None


def names_pass(source: Any, type: Any, terms: Terms) -> bool:
    """Whether an event from here and of this type would pass the checks of both."""
    return source_passes(source, terms) and _check_type({"type": type}, terms) is None


def time_passes(time: Any, terms: Terms) -> bool:
    """Whether an event of this time would pass its check."""
    return _check_time({"time": time}, terms) is None


def _check(whole: dict[str, Any], terms: Terms) -> None:
    """All checks. Raises Invalid with everything that they find."""
    findings = [finding for check in _CHECKS if (finding := check(whole, terms)) is not None]
    if not whole.keys() <= _KNOWN:
        findings += [finding for name in whole.keys() - _KNOWN if (finding := _check_extension(name, whole[name]))]
    if findings:
        raise Invalid(findings)
    terms.passed.add((whole["source"], whole["type"], whole["time"]))


def fill(members: dict[str, Any], terms: Terms) -> tuple[dict[str, Any], bool]:
    """The members with what was missing, and whether anything was."""
    if None in members.values():
        # In CloudEvents null means absent; only the data may be null in earnest.
        members = {name: value for name, value in members.items() if value is not None or name == "data"}
        changed = True
    else:
        changed = False
    if "id" in members and "source" in members and "time" in members and "specversion" in members:
        return members, changed
    id = members["id"] if "id" in members else terms.new_id()
    filled = {"specversion": "1.0", "id": id, "source": terms.source, "time": terms.now_text}
    return filled | members, True


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds = ((str, "text"), (int | float, "a number"), (list, "an array"), (dict, "an object"))
    return next(word for kind, word in kinds if isinstance(value, kind))


def _check_specversion(members: dict[str, Any], terms: Terms) -> Finding | None:
    version = members["specversion"]
    if version == "1.0":
        return None
    return Finding("specversion", f"{_shown(version)} is not taken, only '1.0'")


def _check_id(members: dict[str, Any], terms: Terms) -> Finding | None:
    return _check_text("id", members["id"], MAX_ID)


def _check_source(members: dict[str, Any], terms: Terms) -> Finding | None:
    return _check_text("source", members["source"], MAX_TEXT)


def _check_type(members: dict[str, Any], terms: Terms) -> Finding | None:
    found = members.get("type")
    if found is None:
        return Finding("type", "is missing: name what happened, e.g. 'llm.request.completed'")
    fault = _check_text("type", found, MAX_TYPE)
    if fault is None and not _TYPE.fullmatch(found):
        return Finding("type", f"{_shown(found)} has other characters than A-Z a-z 0-9 . _ -")
    return fault


def _check_optional(members: dict[str, Any], terms: Terms) -> Finding | None:
    for name in ("subject", "datacontenttype", "dataschema"):
        if name in members and (fault := _check_text(name, members[name], MAX_TEXT)):
            return fault
    return None


def _check_text(path: str, value: Any, limit: int) -> Finding | None:
    if not isinstance(value, str):
        return Finding(path, f"is {_kind(value)}, not text")
    if not value:
        return Finding(path, "is empty")
    if len(value) > limit:
        return Finding(path, f"has {len(value):,} characters, at most {limit:,} are taken")
    if not value.isprintable() and _CONTROL.search(value):
        return Finding(path, f"{_shown(value)} has a control character")
    return None


def _check_time(members: dict[str, Any], terms: Terms) -> Finding | None:
    text = members["time"]
    if text is terms.now_text:
        return None
    moment = _moment(text)
    if moment is None:
        return Finding("time", f"{_shown(text)} is no RFC 3339 time such as 2026-11-20T17:34:31Z")
    ahead = moment - terms.now
    if ahead > terms.max_future_seconds:
        limit = span(terms.max_future_seconds)
        return Finding(
            "time", f"{text} lies {span(ahead)} in the future, at most {limit} are taken (ingest.max_future)"
        )
    if -ahead > terms.max_age_seconds:
        limit = span(terms.max_age_seconds)
        return Finding("time", f"{text} lies {span(-ahead)} in the past, at most {limit} are taken (ingest.max_age)")
    return None


def _moment(text: Any) -> float | None:
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        return None
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError):
        return None


def span(seconds: float) -> str:
    """A duration in the largest unit that it holds at least twice, e.g. `5 minutes`, `30 days`."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.4g} {unit}" if seconds < 1000 * size else f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.4g} seconds"


def _check_data(members: dict[str, Any], terms: Terms) -> Finding | None:
    if "data_base64" not in members:
        return None
    if "data" in members:
        return Finding("data_base64", "stands beside data: an event has one of them")
    try:
        base64.b64decode(members["data_base64"], validate=True)
    except (binascii.Error, ValueError, TypeError):
        return Finding("data_base64", "is no base64 text")
    return None


def _check_extension(name: str, value: Any) -> Finding | None:
    if name in _RESERVED:
        return Finding(name, "is given by the log and cannot be sent")
    if not _EXTENSION.fullmatch(name):
        hint = "an attribute has 1 to 20 characters a-z 0-9; what the event tells goes into data"
        return Finding(clean(name, 40) or "''", f"is no name of an attribute: {hint}")
    if isinstance(value, str):
        return Finding(name, f"{_shown(value)} has a control character") if _CONTROL.search(value) else None
    if isinstance(value, int):
        return None
    return Finding(name, f"is {_kind(value)}; an attribute is text, an integer or true or false: put it into data")


def _shown(value: Any) -> str:
    return f"'{clean(value, 60)}'" if isinstance(value, str) else clean(_encode(value).decode(), 60)


_CHECKS: tuple[Callable[[dict[str, Any], Terms], Finding | None], ...] = (
    _check_specversion,
    _check_id,
    _check_source,
    _check_type,
    _check_time,
    _check_optional,
    _check_data,
)
