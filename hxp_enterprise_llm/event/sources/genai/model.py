"""What the mapping takes and makes: spans, points and records as they came in, drafts of events as they go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

Attributes = dict[str, Any]
"""By name; a value is text, a number, a boolean, a list or a dict of such."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Who sent it: the service, and the scope of the instrumentation within it."""

    service: str
    scope: str = ""
    resource: Attributes = {}


class SpanEvent(NamedTuple):
    """Something that happened within a span."""

    name: str
    ns: int
    attributes: Attributes


class Span(msgspec.Struct, kw_only=True):
    """One operation. Times are in nanoseconds since 1970; ids are 16 and 8 bytes, `parent` is empty for a root."""

    origin: Origin
    trace: bytes
    span: bytes
    parent: bytes
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Attributes
    failed: bool = False
    message: str = ""
    """What the status says when it failed."""
    events: list[SpanEvent] = []

    @property
    def duration_ms(self) -> float:
        """Milliseconds from start to end; 0 when its clock went back."""
        spent = self.end_ns - self.start_ns
        return spent / 1e6 if spent > 0 else 0.0


class Point(msgspec.Struct, kw_only=True):
    """One data point of a metric."""

    origin: Origin
    name: str
    unit: str
    kind: Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
    ns: int
    attributes: Attributes
    figures: dict[str, Any]
    """`value`, or `count`, `sum`, `min`, `max`; whatever of them is known."""


class Record(msgspec.Struct, kw_only=True):
    """One log record."""

    origin: Origin
    ns: int
    name: str
    """Name of the event, empty for a plain record."""
    severity: int
    severity_text: str
    body: Any
    attributes: Attributes
    trace: bytes = b""
    span: bytes = b""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens of one operation. Input includes what came from a cache, output what was spent on reasoning."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    total_tokens: int = 0
    """Given where input and output are not known apart; else 0."""

    def __bool__(self) -> bool:
        return bool(self.input_tokens or self.output_tokens or self.total_tokens)


Role = Literal["", "inference", "aggregate"]
"""inference: one call of a model; aggregate: sums up what happened beneath it; else it has no tokens."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An event to be: its type and data, what its id ends in after trace and span, and when it happened."""

    type: str
    data: dict[str, Any]
    suffix: str
    ns: int


class Reading(msgspec.Struct, kw_only=True):
    """What a span means. `main` has its own id; `instead` makes what stands for it when another says the same."""

    span: Span
    main: Draft
    more: list[Draft] = []
    role: Role = ""
    usage: Usage = Usage()
    agent: str = ""
    """Name of the agent whose run this span is."""
    hands_to: str = ""
    """The agent that it hands work over to, which it says itself: no further edge is drawn through it."""
    previous: str = ""
    """The agent before this one, where the span names it."""
    tool: str = ""
    instead: Callable[[], Draft] | None = None
