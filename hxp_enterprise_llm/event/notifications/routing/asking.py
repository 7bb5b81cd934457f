"""Queries and bodies of the way's routes, read strictly. Pure; each function raises Problem 400 with every fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from multidict import MultiMapping

from hxp_enterprise_llm.config.forms import form_fault
from hxp_enterprise_llm.config.matchers import Matcher, MatcherFault, parse_matchers
from hxp_enterprise_llm.config.patterns import Pattern, PatternFault
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.notifications.routing.described import MOST_DECISIONS, Acknowledge, PostableSilence
from hxp_enterprise_llm.event.notifications.routing.foreign import Fault, ForeignFault, Sent, read_time
from hxp_enterprise_llm.event.notifications.routing.model import Silence, SilenceMatcher
from hxp_enterprise_llm.event.notifications.routing.records import Asked
from hxp_enterprise_llm.event.notifications.routing.silences import matcher_of
from hxp_enterprise_llm.event.notifications.routing.views import Chosen
from hxp_enterprise_llm.security.problems import Problem

T = TypeVar("T")
MAX_FILTERS = 32
_OTHERS = "the others were taken"
_FORMS: dict[Any, str] = {
    Acknowledge: 'send {"episode": "…", "by": "…", "for": "1h", "comment": "…"}; the last two may be left out',
    PostableSilence: 'send {"matchers": [{"name": "alertname", "value": "…", "isRegex": false}], "startsAt": "…",'
    ' "endsAt": "…", "createdBy": "…", "comment": "…"}, times in RFC 3339',
}
_DURATION = "matching regex '^([0-9]+(ms|s|m|h|d))+$'"
_LONGEST_SILENCE_SECONDS = 3650 * 86400.0


def body_of(body: bytes, type: type[T], code: str) -> T:
    """A JSON body of that type."""
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        fault = form_fault(error, type)
        text = "must be a duration such as 30m or 1h" if _DURATION in fault.message else fault.message
        raise Problem(400, code, f"{fault.path or 'the body'}: {text}", _FORMS.get(type, "")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad("bad_json", f"the body is no JSON: {error}") from None


def foreign_problem(fault: ForeignFault) -> Problem:
    """The answer to a body of which nothing can be taken."""
    return Problem(400, "bad_alerts", str(fault), "none of them was taken", faults=_listed(fault.faults))


def complaint(sent: Sent, results: Mapping[str, int], most: int) -> Problem | None:
    """The answer when some of the alerts that were sent are not there now; None: all of them are."""
    received = dict(results)
    if sent.faults:
        text = f"{sent.faulty} of {sent.faulty + len(sent.alerts)} alerts cannot be taken: {ForeignFault(sent.faults)}"
        return Problem(400, "bad_alerts", text, _OTHERS, faults=_listed(sent.faults), received=received)
    if results.get("refused"):
        text = (
            f"{results['refused']} of {len(sent.alerts)} alerts found no room: {most:,} from outside are kept at once"
        )
        hint = f"{_OTHERS}; raise real_time_notifications.foreign.max_alerts"
        return Problem(409, "too_many_alerts", text, hint, received=received)
    return None


def _listed(faults: Iterable[Fault]) -> list[dict[str, str]]:
    return [{"path": path, "message": text} for path, text in faults]


def filters(query: MultiMapping[str]) -> tuple[Matcher, ...]:
    """The matchers of `filter`."""
    texts = query.getall("filter", [])
    if len(texts) > MAX_FILTERS:
        raise _bad("bad_filter", f"there are {len(texts)} filters, at most {MAX_FILTERS} are taken")
    try:
        return tuple(matcher for text in texts for matcher in parse_matchers(text))
    except MatcherFault as fault:
        raise _bad("bad_filter", f"filter: {fault}") from None


def chosen(query: MultiMapping[str]) -> Chosen:
    """Which alerts are wanted."""
    receiver = None
    if query.get("receiver"):
        try:
            receiver = Pattern(query["receiver"])
        except PatternFault as error:
            raise _bad("bad_receiver", f"receiver: the regular expression cannot be read: {error}") from None
    kinds = {name: _switch(query, name) for name in ("active", "silenced", "inhibited")}
    _switch(query, "unprocessed")
    return Chosen(filter=filters(query), receiver=receiver, **kinds)


def _switch(query: MultiMapping[str], name: str) -> bool:
    text = query.get(name, "true").lower()
    if text not in ("true", "false", "1", "0"):
        raise _bad("bad_query", f"{name} must be true or false, is {text[:40]!r}")
    return text in ("true", "1")


def asked(query: MultiMapping[str]) -> Asked:
    """Which decisions are wanted."""
    since, limit = query.get("since", ""), query.get("limit", "200")
    try:
        at = parse_rfc3339(since) if since else 0.0
    except (ValueError, OverflowError):
        raise _bad("bad_query", f"since: {since[:60]!r} is no time such as 2026-11-20T17:30:00Z") from None
    if not re.fullmatch("[0-9]{1,6}", limit) or not 1 <= int(limit) <= MOST_DECISIONS:
        raise _bad("bad_query", f"limit must be 1 to {MOST_DECISIONS}, is {limit[:20]!r}")
    return Asked(query.get("episode", ""), query.get("alertname", ""), at, int(limit))


def silence_of(body: bytes, now: float) -> Silence:
    """The silence that a body describes; its id is empty for a new one."""
    wish = body_of(body, PostableSilence, "bad_silence")
    matchers = tuple(
        SilenceMatcher(name=each.name, value=each.value, is_regex=each.isRegex, is_equal=each.isEqual)
        for each in wish.matchers
    )
    faults = list(_matcher_faults(matchers))
    starts, ends = read_time(wish.startsAt), read_time(wish.endsAt)
    if starts is None:
        faults.append(("startsAt", f"{wish.startsAt[:60]!r} is no time in RFC 3339"))
    if ends is None:
        faults.append(("endsAt", f"{wish.endsAt[:60]!r} is no time in RFC 3339"))
    elif ends <= now:
        faults.append(("endsAt", f"{wish.endsAt} is past"))
    elif ends > now + _LONGEST_SILENCE_SECONDS:
        faults.append(("endsAt", "a silence ends within ten years"))
    elif starts is not None and ends <= starts:
        faults.append(("endsAt", "must be later than startsAt"))
    if faults or starts is None or ends is None:
        text = "; ".join(f"{path}: {text}" for path, text in faults)
        raise Problem(400, "bad_silence", text, faults=_listed(faults))
    return Silence(
        id=wish.id or "",
        matchers=matchers,
        starts_at=max(starts, now) if not wish.id else starts,
        ends_at=ends,
        updated_at=now,
        created_by=wish.createdBy,
        comment=wish.comment,
    )


def _matcher_faults(matchers: tuple[SilenceMatcher, ...]) -> Any:
    compiled = []
    for index, each in enumerate(matchers):
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", each.name):
            yield f"matchers[{index}].name", f"{each.name[:60]!r} is no name of a label"
            continue
        try:
            compiled.append(matcher_of(each))
        except MatcherFault as fault:
            yield f"matchers[{index}].value", fault.reason
    if compiled and len(compiled) == len(matchers) and all(matcher.matches({}) for matcher in compiled):
        yield "matchers", "would match every alert: at least one must not match an empty label"


def _bad(code: str, message: str) -> Problem:
    return Problem(400, code, message)
