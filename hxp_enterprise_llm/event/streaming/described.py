"""What the gateway's routes take and answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from hxp_enterprise_llm.event.streaming.cursor import MAX_LAST
from hxp_enterprise_llm.security.described import EVENTS, Answer, Described, Parameter


class Carried(TypedDict):
    """What a channel carries."""

    types: list[str]
    description: str


class Streams(TypedDict):
    """Names by transport, and all channels."""

    streams: list[str]
    sse: list[str]
    high_frequency: list[str]
    channels: dict[str, Carried]


class ChannelState(TypedDict):
    """One channel. `lag` in offsets, of its slowest client."""

    subscribers: int
    behind: int
    lag: int
    ring_events: int
    ring_bytes: int
    settled: int
    messages: int
    messages_per_second: float


class StreamsState(TypedDict):
    """How far the gateway has read, and each channel."""

    status: Literal["ok", "degraded"]
    reason: str
    epoch: str
    offset: int
    behind_head: int
    filtered_channels: int
    most_filtered_channels: int
    connections: dict[str, int]
    max_connections: dict[str, int]
    messages_per_second: float
    channels: dict[str, ChannelState]


class WebSocketState(TypedDict):
    """The WebSocket service as an operator asks for it."""

    enabled: bool
    connections: int
    max_connections: int
    behind: int
    lag: int
    messages_per_second: float
    heartbeat_interval: float
    message_size_limit: int
    channels: dict[str, int]


class Latest(TypedDict):
    """The latest events of a stream."""

    stream: str
    update_rate: float
    events: list[dict[str, Any]]


_Last = Annotated[int, Meta(ge=1, le=MAX_LAST)]
_WISH = (
    Parameter("after", "Go on after this event: `EPOCH.OFFSET`, an offset, or `earliest`"),
    Parameter("last", "Begin with so many of the newest", _Last),
    Parameter("type", "Patterns of types, separated by commas"),
    Parameter("filter", "A condition over the event, e.g. `data.latency_ms > 2000`"),
)
_RESUME = Parameter("Last-Event-ID", "Go on after this event; wins over `after`", where="header")

WEBSOCKET = Described(
    parameters=_WISH,
    answers=(Answer("The connection is a WebSocket", media="", status=101),),
    refusals=(426,),
    endless=True,
)
SSE = Described(parameters=(*_WISH, _RESUME), answers=(Answer("The stream", media=EVENTS),), endless=True)
STREAMS = Described(answers=(Answer("All streams", Streams),))
STATUS = Described(answers=(Answer("The state", StreamsState),))
WEBSOCKET_STATUS = Described(answers=(Answer("The state", WebSocketState),))
HIGH_FREQUENCY = Described(
    parameters=(Parameter("last", "So many of the newest", _Last),),
    answers=(Answer("The latest events", Latest), Answer("The stream", media=EVENTS)),
    refusals=(409, 410, 429, 503),
)
