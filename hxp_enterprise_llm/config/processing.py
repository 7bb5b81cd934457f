"""ProcessingConfig: the event-processing service (ways in, log, analytics)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hxp_enterprise_llm.config.common import (
    LoggingConfig,
    PerformanceConfig,
    SecurityConfig,
    ServiceConfig,
    StateConfig,
)
from hxp_enterprise_llm.config.history import ForecastConfig, HistoryConfig
from hxp_enterprise_llm.config.platform import PlatformConfig
from hxp_enterprise_llm.config.sources import (
    ActivityConfig,
    AnalyticsEngineConfig,
    GatewaySourceConfig,
    NatsConfig,
    PrometheusSourceConfig,
    RedisConfig,
    ScrapeConfig,
)
from hxp_enterprise_llm.config.types import Duration, Port, Positive, Seconds, Section, TypePattern, about


class ProcessingServiceConfig(ServiceConfig, frozen=True, kw_only=True):
    name: Annotated[str, about("Name of the service in /health and in logs")] = "event-processing"
    port: Annotated[Port, about("TCP port; 0 takes a free one")] = 9100
    aggregation_process: Annotated[
        Literal["auto", "own", "shared"],
        about(
            "own: analytics, platform, history and forecast run in a second process, beside the one that takes events"
            " in; shared: in that one; auto: own under `hxp serve`, shared under `hxp up`"
        ),
    ] = "auto"


class LogLimitsConfig(Section, frozen=True, kw_only=True):
    max_batch_events: Annotated[Positive, about("Most events of one append; a larger POST is 413")] = 4096
    max_batch_bytes: Annotated[Positive, about("Most bytes of one append")] = 32 * 1024 * 1024
    max_event_bytes: Annotated[Positive, about("Most bytes of one event")] = 1024 * 1024


class LogConfig(Section, frozen=True, kw_only=True):
    """The event log: SQLite segments in `state.directory`/log."""

    limits: LogLimitsConfig = msgspec.field(default_factory=LogLimitsConfig)
    segment_bytes: Annotated[Positive, about("Size at which a segment file is closed and the next begun")] = (
        256 * 1024 * 1024
    )
    disk_budget_bytes: Annotated[
        Positive, about("Oldest segments are dropped so that the log stays below this", live=True)
    ] = 20 * 1024 * 1024 * 1024
    reserve_bytes: Annotated[
        int, about("Disk space held back by a file that is given up when the disk is full; 0 for none", ge=0)
    ] = 64 * 1024 * 1024
    scrub_bytes_per_second: Annotated[
        int, about("How fast the log is looked through for damaged records; 0 turns it off", ge=0, live=True)
    ] = 4 * 1024 * 1024
    window_events: Annotated[Positive, about("Events among which a repeat is recognised")] = 1_000_000
    window_age: Annotated[Duration, about("Time within which a repeat is recognised")] = "10m"
    append_deadline: Annotated[Seconds, about("Seconds after which an append gives up with 503")] = 10


class IngestConfig(Section, frozen=True, kw_only=True):
    max_body_bytes: Annotated[Positive, about("Most bytes of a request body after decompression")] = 20 * 1024 * 1024
    unknown_types: Annotated[
        Literal["accept", "refuse"], about("What to do with event types that have no schema", live=True)
    ] = "accept"
    schemas_directory: Annotated[
        str, about("Directory with the operator's own JSON Schemas, one file TYPE.json a type", live=True)
    ] = "config/schemas"
    max_future: Annotated[Duration, about("How far an event's time may lie in the future", live=True)] = "5m"
    max_age: Annotated[Duration, about("How far an event's time may lie in the past", live=True)] = "30d"


class MetricConfig(Section, frozen=True, kw_only=True):
    """One metric over a sliding window of events."""

    name: Annotated[str, about("Name in /analytics and in conditions", pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    types: Annotated[list[TypePattern], about("Event types that count: names, prefixes 'llm.*', or '*'", min_length=1)]
    kind: Annotated[
        Literal["count", "rate", "ratio", "sum", "mean", "min", "max", "last", "quantile", "distinct"],
        about(
            "count: events; rate: events a second; ratio: share of `of` among `types`; sum, mean, min, max, last: of"
            " `field`; quantile: of `field`, the nearest rank, within 1 %; distinct: different values of `field`"
        ),
    ]
    field: Annotated[
        str,
        about("Where the value is: an attribute (`source`) or a path into data (`data.latency_ms`); `+` adds several"),
    ] = ""
    of: Annotated[list[TypePattern], about("ratio: the event types in the numerator")] = []
    exclude: Annotated[list[TypePattern], about("Event types that do not count although `types` names them")] = []
    quantile: Annotated[float, about("quantile: which, between 0 and 1", gt=0, lt=1)] = 0.95
    window: Annotated[Duration, about("Window whose value stands under the metric's name")] = "1m"
    by: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1)]],
        about(
            "Breakdowns for rules with `by`: an attribute or path for each (`data.model`), its last part is the label;"
            " several joined by a comma are one breakdown by their combinations"
        ),
    ] = []
    limit: Annotated[
        Positive, about("Most label sets of a breakdown; beyond it those with the fewest events are left out", le=1000)
    ] = 100
    unit: Annotated[str, about("Unit of the value, shown beside it")] = ""
    description: Annotated[str, about("One line for people")] = ""


def label_fields(by: str) -> tuple[str, ...]:
    """The fields of a breakdown: `data.agent, data.model` has two."""
    return tuple(part.strip() for part in by.split(","))


def label_names(by: str) -> tuple[str, ...]:
    """The names of its labels, the last part of each field."""
    return tuple(field.rpartition(".")[2] for field in label_fields(by))


OWN_TYPES = ["analytics.*", "alert.*", "dashboard.*", "notification.*", "platform.*", "forecast.*", "anomaly.*"]
"""Types of events that the system itself makes of others; load figures leave them out."""


_REQUESTS = ["llm.request.completed", "llm.request.failed"]
_BY, _BY_LIMIT = ["data.model", "data.agent"], 25


def default_metrics() -> list[MetricConfig]:
    """The shipped set: gives the seed's `error_rate`, `latency` and `throughput`."""
    return [
        _of_all("throughput", "rate", "Events a second, without those that the system makes itself", unit="1/s"),
        MetricConfig(
            name="request_rate",
            types=_REQUESTS,
            kind="rate",
            unit="1/s",
            description="LLM requests a second",
            by=_BY,
            limit=_BY_LIMIT,
        ),
        MetricConfig(
            name="error_rate",
            types=_REQUESTS,
            of=["llm.request.failed"],
            kind="ratio",
            description="Share of LLM requests that failed, 0 to 1",
            by=_BY,
            limit=_BY_LIMIT,
        ),
        _latency("latency", 0.95, "95th percentile", by=_BY),
        _latency("latency_p50", 0.5, "median"),
        _latency("latency_p95", 0.95, "95th percentile"),
        _latency("latency_p99", 0.99, "99th percentile"),
        MetricConfig(
            name="tokens",
            types=["llm.request.completed", "llm.usage.corrected"],
            kind="sum",
            field="data.input_tokens + data.output_tokens",
            unit="tokens",
            description="Tokens in and out within the window",
            by=_BY,
            limit=_BY_LIMIT,
        ),
        _of_all("active_sources", "distinct", "Sources that sent events", field="source", window="1m"),
        _host_percent("cpu", "CPU use of the host"),
        _host_percent("memory", "Memory use of the host"),
        _host_percent("disk", "Fill of the disk that holds the state directory"),
    ]


def _of_all(
    name: str,
    kind: Literal["rate", "distinct"],
    description: str,
    *,
    field: str = "",
    unit: str = "",
    window: str = "10s",
) -> MetricConfig:
    return MetricConfig(
        name=name,
        types=["*"],
        exclude=OWN_TYPES,
        kind=kind,
        field=field,
        unit=unit,
        window=window,
        description=description,
    )


def _latency(name: str, quantile: float, which: str, *, by: list[str] | None = None) -> MetricConfig:
    return MetricConfig(
        name=name,
        types=_REQUESTS,
        kind="quantile",
        field="data.latency_ms",
        quantile=quantile,
        unit="ms",
        description=f"Latency of LLM requests, {which}",
        by=by or [],
        limit=_BY_LIMIT if by else 100,
    )


def _host_percent(part: str, description: str) -> MetricConfig:
    return MetricConfig(
        name=f"{part}_percent",
        types=[f"host.{part}"],
        kind="last",
        field="data.percent",
        window="10s",
        unit="%",
        description=description,
    )


class AnalyticsConfig(Section, frozen=True, kw_only=True):
    tick: Annotated[Seconds, about("Seconds between snapshots")] = 1
    windows: Annotated[list[Duration], about("Sliding windows that every metric is computed over", min_length=1)] = (
        msgspec.field(default_factory=lambda: ["10s", "1m", "5m"])
    )
    metrics: Annotated[list[MetricConfig], about("The metrics; a list here replaces the shipped set", live=True)] = (
        msgspec.field(default_factory=default_metrics)
    )


class HostSourceConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, about("Whether the host's own CPU, memory, disk and network are published")] = True
    interval: Annotated[Seconds, about("Seconds between readings")] = 1


class OtlpSourceConfig(Section, frozen=True, kw_only=True):
    quiet: Annotated[
        Duration,
        about(
            "Time without a new span after which tokens that only an agent states are counted, or found to be counted"
        ),
    ] = "30s"
    max_spans: Annotated[
        int,
        about("Spans that are remembered for counting tokens once, a trace as four more; 500 bytes each", ge=20_000),
    ] = 200_000


class SourcesConfig(Section, frozen=True, kw_only=True):
    host: HostSourceConfig = msgspec.field(default_factory=HostSourceConfig)
    analytics_engine: AnalyticsEngineConfig = msgspec.field(default_factory=AnalyticsEngineConfig)
    prometheus: PrometheusSourceConfig = msgspec.field(default_factory=PrometheusSourceConfig)
    scrape: ScrapeConfig = msgspec.field(default_factory=ScrapeConfig)
    gateway: GatewaySourceConfig = msgspec.field(default_factory=GatewaySourceConfig)
    nats: NatsConfig = msgspec.field(default_factory=NatsConfig)
    redis: RedisConfig = msgspec.field(default_factory=RedisConfig)
    activity: ActivityConfig = msgspec.field(default_factory=ActivityConfig)
    otlp: OtlpSourceConfig = msgspec.field(default_factory=OtlpSourceConfig)


class ProcessingConfig(Section, frozen=True, kw_only=True):
    """Configuration of event processing (:9100): ways in, the log, analytics."""

    service: ProcessingServiceConfig = msgspec.field(default_factory=ProcessingServiceConfig)
    ingest: IngestConfig = msgspec.field(default_factory=IngestConfig)
    log: LogConfig = msgspec.field(default_factory=LogConfig)
    analytics: AnalyticsConfig = msgspec.field(default_factory=AnalyticsConfig)
    history: HistoryConfig = msgspec.field(default_factory=HistoryConfig)
    forecast: ForecastConfig = msgspec.field(default_factory=ForecastConfig)
    platform: PlatformConfig = msgspec.field(default_factory=PlatformConfig)
    sources: SourcesConfig = msgspec.field(default_factory=SourcesConfig)
    security: SecurityConfig = msgspec.field(default_factory=SecurityConfig)
    state: StateConfig = msgspec.field(default_factory=StateConfig)
    performance: PerformanceConfig = msgspec.field(default_factory=PerformanceConfig)
    logging: LoggingConfig = msgspec.field(default_factory=LoggingConfig)
