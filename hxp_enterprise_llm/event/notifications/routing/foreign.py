"""Alerts from outside: what Prometheus posts to /api/v2/alerts, and Alertmanager's webhook (version 4). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.config.rules import Priority
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.notifications.model import Alert, Notification
from hxp_enterprise_llm.event.notifications.routing.model import FOREIGN

MOST_LABELS = 64
LONGEST = 4096
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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


class ForeignFault(ValueError):
    """A body that cannot be taken: the faults with their paths."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
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
    alerts: list[_Posted]
    version: str = ""
    external_url: str = msgspec.field(name="externalURL", default="")


def parse_posted(body: bytes) -> list[Foreign]:
    """The alerts of a POST to /api/v2/alerts. Raises ForeignFault."""
    return _all(_decoded(body, list[_Posted]), "", states=False)


def parse_webhook(body: bytes) -> list[Foreign]:
    """The alerts of Alertmanager's webhook. Raises ForeignFault."""
    hook: _Webhook = _decoded(body, _Webhook)
    if hook.version != "4":
        raise ForeignFault([("version", f"must be 4, is {hook.version[:20]!r}")])
    return _all(hook.alerts, "alerts", states=True)


def _decoded(body: bytes, type: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `")
        raise ForeignFault([(path.rstrip("`") or "$", text)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignFault([("$", f"it is no JSON: {error}")]) from None


def _all(posted: list[_Posted], above: str, *, states: bool) -> list[Foreign]:
    faults = [fault for index, each in enumerate(posted) for fault in _faults(f"{above}[{index}]", each)]
    if faults:
        raise ForeignFault(faults)
    return [_foreign(each, states) for each in posted]


def _faults(path: str, posted: _Posted) -> Iterator[tuple[str, str]]:
    if not any(posted.labels.values()):
        yield f"{path}.labels", "has no label with a value"
    for kind, pairs in (("labels", posted.labels), ("annotations", posted.annotations)):
        if len(pairs) > MOST_LABELS:
            yield f"{path}.{kind}", f"has {len(pairs)} members, at most {MOST_LABELS} are taken"
        for name, value in pairs.items():
            if not _LABEL.fullmatch(name):
                yield f"{path}.{kind}", f"{name[:60]!r} is no name of a label"
            elif len(value) > LONGEST:
                yield f"{path}.{kind}.{name}", f"has {len(value):,} characters, at most {LONGEST:,} are taken"
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
    labels = {name: value for name, value in posted.labels.items() if value}
    resolved = posted.status == "resolved" if states else None
    return Foreign(
        labels,
        posted.annotations,
        read_time(posted.starts_at),
        read_time(posted.ends_at),
        posted.generator_url,
        resolved,
    )


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
