"""What the routes of the OTLP receiver take and answer."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from hxp_enterprise_llm.event.sources.otlp.answers import JSON, PROTOBUF, Signal
from hxp_enterprise_llm.security.described import Answer, Described

_Count = Annotated[str, Meta(pattern="^[0-9]+$")]


class Traces(TypedDict, total=False):
    """`ExportTraceServiceRequest`."""

    resourceSpans: list[dict[str, Any]]


class Metrics(TypedDict, total=False):
    """`ExportMetricsServiceRequest`."""

    resourceMetrics: list[dict[str, Any]]


class Logs(TypedDict, total=False):
    """`ExportLogsServiceRequest`."""

    resourceLogs: list[dict[str, Any]]


class Partial(TypedDict):
    """How many were refused, and why the first was; they are not to be sent again."""

    errorMessage: str
    rejectedSpans: NotRequired[_Count]
    rejectedDataPoints: NotRequired[_Count]
    rejectedLogRecords: NotRequired[_Count]


class Exported(TypedDict):
    """Everything is stored, but for what `partialSuccess` tells."""

    partialSuccess: NotRequired[Partial]


class Status(TypedDict):
    """`google.rpc.Status`: why nothing was taken."""

    code: int
    message: str


_REQUESTS: dict[Signal, type] = {"traces": Traces, "metrics": Metrics, "logs": Logs}


def of(signal: Signal) -> Described:
    """One of the three routes."""
    return Described(
        request={JSON: _REQUESTS[signal], PROTOBUF: None},
        answers=(
            Answer("Everything is stored, but for what is said to be refused", Exported),
            Answer("The same as protobuf", media=PROTOBUF),
        ),
        refusals=(503,),
        refused={JSON: Status, PROTOBUF: None},
    )
