"""Events of the log as the cores see them: the fields that they want, and nothing else is decoded.

A batch is parted by type. Events that cannot be read (data that a schema of the
operator's lets through, say) are left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.event.processing.memo import Memo

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Taken = Annotated[int, msgspec.Meta(ge=-(2**53), le=0)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
Text = str
_MOST_TIMES = 2048
D = TypeVar("D")


class _Data(msgspec.Struct, gc=False, frozen=True):
    """Base of the views of data. What an event lacks is None."""


class Request(_Data, gc=False, frozen=True):
    """`llm.request.completed`."""

    model: Text
    provider: Text | None = None
    latency_ms: Amount | None = None
    time_to_first_token_ms: Amount | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    cached_input_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cost_usd: Amount | None = None
    finish_reason: Text | None = None
    agent: Text | None = None
    user: Text | None = None
    tool: Text | None = None
    query: Text | None = None


class Correction(_Data, gc=False, frozen=True):
    """`llm.usage.corrected`: what an earlier request counted and should not have, in figures below 0."""

    model: Text
    provider: Text | None = None
    input_tokens: Taken | None = None
    output_tokens: Taken | None = None
    total_tokens: Taken | None = None
    cached_input_tokens: Taken | None = None
    cache_write_tokens: Taken | None = None
    reasoning_tokens: Taken | None = None
    cost_usd: Annotated[float, msgspec.Meta(ge=-1e15, le=0)] | None = None
    agent: Text | None = None
    user: Text | None = None
    tool: Text | None = None
    query: Text | None = None

    def request(self) -> Request:
        """The request that it takes back, as far as tokens and money go."""
        return Request(**{name: _turned(getattr(self, name)) for name in self.__struct_fields__})


def _turned(value: Any) -> Any:
    return -value if isinstance(value, int | float) else value


class FailedRequest(_Data, gc=False, frozen=True):
    """`llm.request.failed`."""

    model: Text
    error: Text
    error_class: Text | None = None
    latency_ms: Amount | None = None
    agent: Text | None = None
    user: Text | None = None
    tool: Text | None = None
    query: Text | None = None


class ToolCall(_Data, gc=False, frozen=True):
    """`tool.call.completed`, `tool.call.failed`."""

    tool: Text
    success: bool | None = None
    duration_ms: Amount | None = None
    error: Text | None = None
    cost_usd: Amount | None = None
    agent: Text | None = None
    user: Text | None = None
    query: Text | None = None


class Cost(_Data, gc=False, frozen=True):
    """`cost.recorded`."""

    amount_usd: Amount
    model: Text | None = None
    category: Text | None = None
    total_tokens: Count | None = None
    agent: Text | None = None
    user: Text | None = None
    tool: Text | None = None
    query: Text | None = None


class Registered(_Data, gc=False, frozen=True):
    """`agent.registered`."""

    agent: Text
    capabilities: list[Text] = []
    framework: Text | None = None
    version: Text | None = None
    capacity: Count | None = None


class Task(_Data, gc=False, frozen=True):
    """`agent.started`, `agent.completed`, `agent.failed`."""

    agent: Text
    run: Text | None = None
    duration_ms: Amount | None = None
    kind: Text | None = None
    """`workflow`: a whole crew or application ran, which is no agent."""


class Handoff(_Data, gc=False, frozen=True, rename={"from_": "from"}):
    """`agent.handoff`."""

    from_: Text
    to: Text
    kind: Text
    outcome: Literal["success", "failure"] | None = None


class TierAccess(_Data, gc=False, frozen=True):
    """`memory.tier.access`: one tier that was asked, or a whole look-up (`tier_accessed`, seconds by tier)."""

    tier: Text | None = None
    hit: bool | None = None
    latency_ms: Amount | None = None
    operation: Text | None = None
    key: Text | None = None
    query: Text | None = None
    cost_usd: Amount | None = None
    agent: Text | None = None
    tier_accessed: Text | None = None
    latency_by_tier: dict[Text, Amount] = {}
    items_retrieved: Count | None = None


class KnowledgeAccess(_Data, gc=False, frozen=True):
    """`knowledge.access`."""

    item: Text
    agent: Text | None = None
    query: Text | None = None
    collection: Text | None = None
    tier: Text | None = None
    latency_ms: Amount | None = None


class KnowledgeMiss(_Data, gc=False, frozen=True):
    """`knowledge.miss`."""

    query: Text
    agent: Text | None = None
    collection: Text | None = None


class Hypothesis(_Data, gc=False, frozen=True):
    """`hypothesis.formed`, `hypothesis.validated`, `hypothesis.refuted`."""

    hypothesis: Text
    agent: Text
    domain: Text | None = None
    confidence: float | None = None


class BusinessMetric(_Data, gc=False, frozen=True):
    """`business.metric`."""

    name: Text
    value: Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
    unit: Text = ""
    dimensions: dict[str, Text] = {}


VIEWS: dict[str, type[_Data]] = {
    "llm.request.completed": Request,
    "llm.usage.corrected": Correction,
    "llm.request.failed": FailedRequest,
    "tool.call.completed": ToolCall,
    "tool.call.failed": ToolCall,
    "cost.recorded": Cost,
    "agent.registered": Registered,
    "agent.started": Task,
    "agent.completed": Task,
    "agent.failed": Task,
    "agent.handoff": Handoff,
    "memory.tier.access": TierAccess,
    "knowledge.access": KnowledgeAccess,
    "knowledge.miss": KnowledgeMiss,
    "hypothesis.formed": Hypothesis,
    "hypothesis.validated": Hypothesis,
    "hypothesis.refuted": Hypothesis,
    "business.metric": BusinessMetric,
}


UNTIMED = -inf
"""The time of an event that carries none, until it is given one."""


class Events(NamedTuple, Generic[D]):
    """Events of one type: their times in wall-clock seconds, and their data."""

    times: list[float]
    data: list[D]

    def timed(self, otherwise: float) -> Events[D]:
        """The same, at a moment when they carry none."""
        if min(self.times) > UNTIMED:
            return self
        return Events([otherwise if at == UNTIMED else at for at in self.times], self.data)


class Reader:
    """Decodes the events of one type."""

    def __init__(self, view: type[_Data]) -> None:
        event = msgspec.defstruct("Event", [("data", view), ("time", str | None, None)], gc=False)
        lenient = msgspec.defstruct("Event", [("data", Any, None), ("time", Any, None)])
        self._view = view
        self._strict: Callable[[bytes], Any] = msgspec.json.Decoder(event).decode
        self._lenient: Callable[[bytes], Any] = msgspec.json.Decoder(lenient).decode

    def read(self, raws: Sequence[bytes], seconds: Times) -> tuple[Events[Any], int]:
        """The events, and how many of them cannot be read. Some may be UNTIMED."""
        try:
            found = list(map(self._strict, raws))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._slowly(raws, seconds)
        times = list(map(seconds.__getitem__, [event.time for event in found]))
        return Events(times, [event.data for event in found]), 0

    def _slowly(self, raws: Iterable[bytes], seconds: Times) -> tuple[Events[Any], int]:
        times: list[float] = []
        data: list[Any] = []
        refused = 0
        for raw in raws:
            try:
                event = self._lenient(raw)
                # An integer may be written 3.0; schemas take it.
                data.append(msgspec.convert(event.data, self._view, strict=False))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                refused += 1
            else:
                times.append(seconds[event.time] if isinstance(event.time, str) else UNTIMED)
        return Events(times, data), refused


def _seconds(time: Any) -> float:
    try:
        return parse_rfc3339(time)
    except (TypeError, ValueError, OverflowError):
        return UNTIMED


Times = Memo[str | None, float]
"""Wall-clock seconds of times as events write them; those of a batch often have the same."""


def times() -> Times:
    """Of no events yet."""
    return Memo(_seconds, _MOST_TIMES)


READERS = {type: Reader(view) for type, view in VIEWS.items()}


def parted(events: StoredColumns) -> dict[str, list[bytes]]:
    """The texts of the events by type, of the types that are read."""
    parts: dict[str, list[bytes]] = {type: [] for type in dict.fromkeys(events.types) if type in VIEWS}
    for type, raw in zip(events.types, events.raws, strict=True):
        if type in parts:
            parts[type].append(raw)
    return parts
