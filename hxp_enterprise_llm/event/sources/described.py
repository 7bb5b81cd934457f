"""What the log's routes take and answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from hxp_enterprise_llm.event.sources.decode import MAX_ID, MAX_TEXT, MAX_TYPE
from hxp_enterprise_llm.event.sources.query import MAX_EPOCH, MAX_OFFSET
from hxp_enterprise_llm.security.described import JSON, Answer, Described, Parameter

_Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
_Type = Annotated[str, Meta(min_length=1, max_length=MAX_TYPE, pattern="^[A-Za-z0-9._-]+$")]
_Offset = Annotated[int, Meta(ge=-1, le=MAX_OFFSET)]
_Epoch = Annotated[str, Meta(min_length=1, max_length=MAX_EPOCH)]


class _Named(TypedDict):
    type: _Type


class SentEvent(_Named, total=False):
    """An event as it is sent: CloudEvents 1.0, or the short form. What is missing or null is filled in."""

    specversion: Literal["1.0"] | None
    id: _Id | None
    source: _Text | None
    time: str | None
    subject: _Text | None
    datacontenttype: _Text | None
    dataschema: _Text | None
    data: Any


class StoredEvent(TypedDict):
    """An event of the log, with extension attributes as they were sent."""

    offset: int
    specversion: Literal["1.0"]
    id: _Id
    source: _Text
    type: _Type
    time: str
    subject: NotRequired[_Text]
    datacontenttype: NotRequired[_Text]
    dataschema: NotRequired[_Text]
    data: NotRequired[Any]
    data_base64: NotRequired[str]


class Place(TypedDict):
    """Where one event is. `duplicate`: it was there already."""

    offset: int
    duplicate: bool


class Accepted(TypedDict):
    """All events are stored."""

    events: list[Place]
    epoch: str


class Page(TypedDict):
    """Events, and `next`, where the scan ended: go on with `after=next` until it is `head`, even without events."""

    events: list[StoredEvent]
    next: int
    epoch: str
    first: int
    head: int


class AppendLimits(TypedDict):
    """What one append may carry."""

    max_batch_events: int
    max_batch_bytes: int
    max_event_bytes: int


class LogState(TypedDict):
    """What the log holds, and how it is."""

    epoch: str
    first: int
    head: int
    durable: bool
    status: Literal["ok", "read_only", "down"]
    reason: str
    bytes: int
    limits: AppendLimits


_ONE, _ALL = SentEvent, list[SentEvent]
_AFTER = Parameter(
    "after", "Offset to go on after; earliest or -1: whatever is still there", _Offset | Literal["earliest"]
)
_WHERE = (
    _AFTER,
    Parameter("epoch", "Epoch that the offset belongs to", _Epoch),
    Parameter("type", "Patterns of types, separated by commas"),
)

POST = Described(
    parameters=(Parameter("partial", "Store what is good, in order, in several records", bool),),
    request={
        JSON: _ONE | _ALL,
        "application/cloudevents+json": _ONE,
        "application/cloudevents-batch+json": _ALL,
        "application/x-ndjson": str,
    },
    answers=(Answer("All events are on disk", Accepted, status=202),),
    refusals=(503,),
)
GET = Described(
    parameters=(*_WHERE, Parameter("limit", "Most events", Annotated[int, Meta(ge=1, le=10_000)])),
    answers=(Answer("Events beyond `after`", Page),),
    refusals=(409, 410, 503),
)
STREAM = Described(
    parameters=(
        *_WHERE,
        Parameter("limit", "Most events", Annotated[int, Meta(ge=1, le=MAX_OFFSET)]),
        Parameter("wait", "Whether to go on at the head", bool),
    ),
    answers=(Answer("A line an event, `OFFSET JSON`, and lines of progress", str, "text/plain"),),
    refusals=(409, 410, 503),
    endless=True,
)
BOUNDS = Described(answers=(Answer("What the log holds", LogState),))
