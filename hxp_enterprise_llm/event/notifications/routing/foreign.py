"""Alerts from outside: what Prometheus posts to /api/v2/alerts, and Alertmanager's webhook (version 4). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from hxp_enterprise_llm.config.rules import Priority
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.notifications.model import Alert, Notification
from hxp_enterprise_llm.event.notifications.routing.model import FOREIGN

MOST_LABELS = 64
LONGEST = 4096
"""Characters of a value; what is longer is cut, for the alert is worth more than its last words."""
_LONGEST_NAME = 256
_AT_ONCE = 100
"""Alerts that are read in one go: a millisecond or two."""
_MOST_FAULTS = 20
"""Faults that are listed; beyond them only their number is said."""
_PRIORITIES: dict[str, Priority] = {
    "critical": "critical",
    "page": "critical",
    "emergency": "critical",
    "error": "critical",
    "info": "info",
    "none": "info",
    "notice": "info",
}


class Foreign(NamedTuple):
    """An alert as it was sent. Times are wall-clock seconds; None: not given."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: float | None
    ends_at: float | None
    generator_url: str
    resolved: bool | None = None
    """What the sender says; None: the end tells."""

    @property
    def fingerprint(self) -> str:
        """Which alert it is: the same for the same labels, and none of our own."""
        return fingerprint_of(self.labels)

    def ended(self, wall: float) -> bool:
        """Whether it has ended by now."""
        return self.resolved if self.resolved is not None else self.ends_at is not None and self.ends_at <= wall


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """16 hex digits of the sorted labels and of where they come from."""
    text = "\0".join((FOREIGN, *(f"{name}={value}" for name, value in sorted(labels.items()))))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


Fault = tuple[str, str]
"""Path in the body, and what is wrong there."""


class ForeignFault(ValueError):
    """A body of which nothing can be taken: the faults with their paths."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "; ".join(f"{path}: {text}" for path, text in self.faults)


class _Posted(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: str = ""
    ends_at: str = ""
    generator_url: str = msgspec.field(name="generatorURL", default="")
    status: str = ""


class _Webhook(msgspec.Struct, rename="camel"):
    alerts: list[msgspec.Raw]
    version: str = ""
    truncated_alerts: Annotated[int, Meta(ge=0)] = 0


class Sent:
    """What a body holds, once it has been read: the alerts that can be taken, and what is wrong with the others."""

    def __init__(self, posted: list[msgspec.Raw], path: str = "", *, states: bool = False, truncated: int = 0) -> None:
        """`path` of the list in the body; `states`: each says itself whether it has ended."""
        self._posted, self._path, self._states = posted, path, states
        self.truncated = truncated
        """Alerts that the sender left out."""
        self.alerts: list[Foreign] = []
        self.faults: list[Fault] = []
        """Of the first that are at fault."""

    @property
    def faulty(self) -> int:
        """How many are at fault."""
        return len(self._posted) - len(self.alerts)

    def reading(self) -> Iterator[None]:
        """Read each by itself, for one that is at fault must not take the others with it; others run in between."""
        for index, raw in enumerate(self._posted):
            try:
                self.alerts.append(_foreign(_checked(raw, f"{self._path}[{index}]"), self._states))
            except ForeignFault as fault:
                self.faults += fault.faults if len(self.faults) < _MOST_FAULTS else ()
            if index % _AT_ONCE == _AT_ONCE - 1:
                yield


def parse_posted(body: bytes) -> Sent:
    """The alerts of a POST to /api/v2/alerts. Raises ForeignFault."""
    return Sent(_decoded(body, list[msgspec.Raw]))


def parse_webhook(body: bytes) -> Sent:
    """The alerts of Alertmanager's webhook. Raises ForeignFault."""
    hook: _Webhook = _decoded(body, _Webhook)
    if hook.version != "4":
        raise ForeignFault([("version", f"must be 4, is {hook.version[:20]!r}")])
    return Sent(hook.alerts, "alerts", states=True, truncated=hook.truncated_alerts)


def _decoded(body: bytes | msgspec.Raw, type: Any, path: str = "$") -> Any:
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        text, _, below = str(error).partition(" - at `$")
        raise ForeignFault([(path + below.rstrip("`"), text)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignFault([(path, f"it is no JSON: {error}")]) from None


def _checked(raw: msgspec.Raw, path: str) -> _Posted:
    posted: _Posted = _decoded(raw, _Posted, path)
    faults = list(_faults(path, posted))
    if faults:
        raise ForeignFault(faults)
    return posted


def _faults(path: str, posted: _Posted) -> Iterator[Fault]:
    if not any(posted.labels.values()):
        yield f"{path}.labels", "has no label with a value"
    for kind, pairs in (("labels", posted.labels), ("annotations", posted.annotations)):
        if len(pairs) > MOST_LABELS:
            yield f"{path}.{kind}", f"has {len(pairs)} members, at most {MOST_LABELS} are taken"
        for name in pairs:
            # Any text that can be read: Prometheus takes names such as service.name since its version 3.
            if not name or len(name) > _LONGEST_NAME or not name.isprintable():
                yield f"{path}.{kind}", f"{name[:60]!r} is no name of a label"
    for key, text in (("startsAt", posted.starts_at), ("endsAt", posted.ends_at)):
        if text and read_time(text) is None and not text.startswith("0001-"):
            yield f"{path}.{key}", f"{text[:60]!r} is no time in RFC 3339"


def read_time(text: str) -> float | None:
    """Wall-clock seconds; None for none, and for Go's zero time."""
    try:
        seconds = parse_rfc3339(_NANOSECONDS.sub(r"\1", text)) if text else None
    except (ValueError, OverflowError):
        return None
    return seconds if seconds is not None and seconds > 0 else None


_NANOSECONDS = re.compile(r"(\.[0-9]{6})[0-9]+")


def _foreign(posted: _Posted, states: bool) -> Foreign:
    labels = {name: _label(value) for name, value in posted.labels.items() if value}
    resolved = posted.status == "resolved" if states else None
    return Foreign(
        labels,
        {name: _cut(value, LONGEST) for name, value in posted.annotations.items()},
        read_time(posted.starts_at),
        read_time(posted.ends_at),
        posted.generator_url,
        resolved,
    )


def _label(value: str) -> str:
    """The value, or its beginning and a digest of the whole: two alerts that differ at the end stay two."""
    if len(value) <= LONGEST:
        return value
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return _cut(value, LONGEST - len(digest)) + digest


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def begun(foreign: Foreign, wall: float) -> Notification:
    """The alert as it begins here."""
    print_ = foreign.fingerprint
    return _notification(foreign, f"{print_}-{int(wall * 1000)}", "firing", foreign.starts_at or wall, None, wall)


def renewed(foreign: Foreign, before: Notification) -> Notification:
    """The alert as it was sent again: it goes on, perhaps in other words."""
    starts_at = before.alerts[0].starts_at
    return _notification(foreign, before.episode, "firing", starts_at, None, before.at)


def ended(foreign: Foreign, before: Notification, wall: float) -> Notification:
    """The alert as it ends."""
    ends_at = min(foreign.ends_at or wall, wall)
    return _notification(foreign, before.episode, "resolved", before.alerts[0].starts_at, ends_at, wall)


def _notification(
    foreign: Foreign, episode: str, kind: Any, starts_at: float, ends_at: float | None, at: float
) -> Notification:
    name = foreign.labels.get("alertname", "alert")
    words = (foreign.annotations.get(key, "") for key in ("summary", "description", "message"))
    text = next((each for each in words if each), name)
    priority = _PRIORITIES.get(foreign.labels.get("severity", "").lower(), "warning")
    alert = Alert(
        fingerprint=foreign.fingerprint,
        episode=episode,
        status=kind,
        priority=priority,
        labels=foreign.labels,
        annotations=foreign.annotations,
        starts_at=starts_at,
        ends_at=ends_at,
        rule=name,
        origin=FOREIGN,
        generator_url=foreign.generator_url,
    )
    return Notification(
        id=f"{episode}.{kind}",
        episode=episode,
        seq=2 if kind == "resolved" else 1,
        kind=kind,
        priority=priority,
        title=name,
        text=text,
        at=at,
        rule=name,
        since=starts_at,
        alerts=(alert,),
    )
