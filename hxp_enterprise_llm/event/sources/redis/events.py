"""What an entry of a stream means as an event: a CloudEvent as it is, anything else as the data of one."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from hxp_enterprise_llm.config.sources import RedisStreamConfig
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.sources.faults import Finding, Invalid
from hxp_enterprise_llm.event.sources.heard import Words, fitting_type, is_cloudevent
from hxp_enterprise_llm.event.sources.redis.replies import Entry
from hxp_enterprise_llm.event.sources.strict_json import JsonFault, read
from hxp_enterprise_llm.runtime.clock import Clock

CARRIERS = ("event", "data", "payload")
"""Fields in which publishers put a whole event, or the whole of its data."""
_FIRST_MS = 946_684_800_000
"""The year 2000: an id that begins below it is somebody's own count, not a time."""


class Meaning:
    """Makes the members of events."""

    words = Words("the entry", "entries", "stream")

    def __init__(self, streams: Sequence[RedisStreamConfig], clock: Clock) -> None:
        self._streams, self._clock = {each.stream: each for each in streams}, clock
        self._types = {each.stream: each.type or fitting_type(each.stream.replace(":", ".")) for each in streams}

    def of(self, entry: Entry) -> dict[str, Any]:
        """An event of this entry, with an id that it has each time. Raises Invalid."""
        if entry.fields is None:
            why = "it is larger than log.limits.max_event_bytes" if entry.too_large else "it was deleted before that"
            raise Invalid([Finding("", why)])
        line = self._streams[entry.stream]
        fields = {name.decode("utf-8", "backslashreplace"): value for name, value in entry.fields}
        given = fields.pop(line.type_field, b"").decode("utf-8", "replace") if line.type_field else ""
        own = {"id": f"{entry.stream}/{entry.id}", **self._time(entry.id)}
        read = {name: value for name in CARRIERS if (value := _json(fields.get(name, b""))) is not None}
        for whole in filter(is_cloudevent, read.values()):
            return {**own, **whole}
        type = fitting_type(given) if given else self.type_of(entry.stream)
        data = read.popitem()[1] if read and len(fields) == 1 else _members(fields, line.numbers)
        return {**own, "type": type, "subject": entry.stream, "data": data}

    def _time(self, id: str) -> dict[str, str]:
        """When the entry was added, as far as its id tells; a server's clock may be ahead of ours."""
        added_ms = int(id.partition("-")[0])
        return {} if added_ms < _FIRST_MS else {"time": rfc3339(min(added_ms / 1000, self._clock.time()))}

    def place_of(self, entry: Entry) -> str:
        """Its stream."""
        return entry.stream

    def type_of(self, place: str) -> str:
        """The type of events of a stream, where its entries do not say theirs."""
        return self._types[place]

    def name_of(self, entry: Entry) -> str:
        """Its id and stream."""
        return f"{entry.id} of {entry.stream}"


def _members(fields: Mapping[str, bytes], numbers: Sequence[str]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            members[name] = _number(value) if name in numbers else _value(value)
        except UnicodeDecodeError:
            members[f"{name}_base64"] = base64.b64encode(value).decode()
    return members


def _value(value: bytes) -> Any:
    """An object or an array of JSON as it is; any other text is text, and no number: many an id looks like one."""
    found = _json(value)
    return value.decode() if found is None else found


def _number(value: bytes) -> Any:
    try:
        found = read(value)[0]
    except JsonFault:
        found = None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else value.decode()


def _json(value: bytes) -> dict[str, Any] | list[Any] | None:
    if value.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        found = read(value)[0]
    except JsonFault:
        return None
    return found if isinstance(found, dict | list) else None
