"""StreamingConfig: the data-streaming API (gateway, dashboards, notifications), seed keys and ours beside them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from hxp_enterprise_llm.config.common import (
    LoggingConfig,
    PerformanceConfig,
    SecurityConfig,
    ServiceConfig,
    StateConfig,
)
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.types import (
    Name,
    Port,
    Positive,
    Seconds,
    Section,
    TypePattern,
    about,
)

Slow = Literal["catch_up", "conflate", "disconnect"]

_RATE: dict[str, Any] = {"ge": 0, "live": True}


class StreamingServiceConfig(ServiceConfig, frozen=True, kw_only=True):
    name: Annotated[str, about("Name of the service in /health and in logs")] = "data-streaming-api"
    port: Annotated[Port, about("TCP port; 0 takes a free one")] = 9102
    drain_seconds: Annotated[
        float,
        about(
            "Seconds over which a stop sends the clients of streams away, at least 200 a second; never more than half "
            "of `timeout`, less two seconds",
            ge=0,
            live=True,
        ),
    ] = 5


class LiveDashboardConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, about("Whether dashboards are served")] = True
    update_interval: Annotated[Seconds, about("Seconds between updates of a dashboard", live=True)] = 5
    max_connections: Annotated[
        Positive, about("Most open dashboard pages, WebSocket and SSE together; one more is answered 503", live=True)
    ] = 100
    compression_enabled: Annotated[bool, about("Compress dashboard answers")] = True
    caching_enabled: Annotated[bool, about("Serve the last computed data within one update interval", live=True)] = True
    dashboards: Annotated[list[Name], about("Dashboards served, each defined in `directory`/NAME.json")] = (
        msgspec.field(
            default_factory=lambda: [
                "operational_overview",
                "business_intelligence",
                "performance_metrics",
                "system_health",
                "real_time_analytics",
            ]
        )
    )
    directory: Annotated[
        str, about("Directory of the definitions; one that is missing is taken from the shipped set")
    ] = "config/dashboards"
    ports: Annotated[dict[Name, Port], about("Ports on which a dashboard's page answers at / as well; empty: none")] = (
        msgspec.field(
            default_factory=lambda: {
                "operational_overview": 8501,
                "business_intelligence": 8502,
                "performance_metrics": 8503,
            }
        )
    )

    def own_ports(self) -> dict[str, int]:
        """The ports of the dashboards that are served."""
        return {name: port for name, port in self.ports.items() if self.enabled and name in self.dashboards}


class WebSocketConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, about("Whether /ws/{channel} is served")] = True
    max_connections: Annotated[Positive, about("Most WebSocket connections; one more is answered 503", live=True)] = 200
    connection_rate: Annotated[
        float, about("Most new connections a second, as many at once; one more is answered 503. 0: no limit", **_RATE)
    ] = 0
    connection_rate_per_address: Annotated[
        float, about("The same for each IPv4 address or IPv6 /64. 0: no limit", **_RATE)
    ] = 0
    heartbeat_interval: Annotated[Seconds, about("Seconds between pings", live=True)] = 30
    message_size_limit: Annotated[Positive, about("Most bytes of a message from a client; above: close 1009")] = 1048576
    compression_enabled: Annotated[bool, about("Compress what is sent to clients that offer it")] = True
    channels: Annotated[list[Name], about("Channels listed in /streams")] = msgspec.field(
        default_factory=lambda: ["metrics_updates", "system_alerts", "business_events", "performance_data"]
    )


class SseConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, about("Whether /sse/{stream} is served")] = True
    max_connections: Annotated[Positive, about("Most SSE connections; one more is answered 503", live=True)] = 100
    connection_rate: Annotated[
        float, about("Most new connections a second, as many at once; one more is answered 503. 0: no limit", **_RATE)
    ] = 0
    connection_rate_per_address: Annotated[
        float, about("The same for each IPv4 address or IPv6 /64. 0: no limit", **_RATE)
    ] = 0
    retry_timeout: Annotated[Positive, about("Milliseconds a browser waits before it connects again")] = 5000
    keep_alive_interval: Annotated[
        Seconds, about("Seconds between comments that keep the connection open", live=True)
    ] = 30
    compression_enabled: Annotated[bool, about("Compress what is sent to clients that offer it")] = True
    streams: Annotated[list[Name], about("Streams listed under `sse` in /streams")] = msgspec.field(
        default_factory=lambda: [
            "real_time_metrics",
            "system_status",
            "business_analytics",
            "operational_data",
        ]
    )


class CentrifugeConfig(Section, frozen=True, kw_only=True):
    """Clients of the Centrifuge protocol, on the same channels as /ws and /sse and within their limits."""

    enabled: Annotated[bool, about("Whether /connection/* and /emulation are served")] = True
    presence: Annotated[bool, about("Whether clients may ask who is on a channel")] = True
    join_leave: Annotated[
        bool, about("Tell all clients on a channel who comes and goes; costs one message each client and change")
    ] = False
    history_limit: Annotated[
        int, about("Most publications in an answer to `history`; 0 refuses it", ge=0, le=10_000)
    ] = 300
    publish_from_clients: Annotated[
        bool, about("Whether clients may publish; each publication becomes an event `stream.publication`")
    ] = False
    delta: Annotated[bool, about("Send differences to the publication before to clients that ask for it")] = True
    tags_filter: Annotated[bool, about("Whether clients may filter publications by tags")] = True
    max_subscriptions: Annotated[Positive, about("Most channels of one connection; above: error 106")] = 128
    message_size_limit: Annotated[Positive, about("Most bytes of a message from a client; above: close 1009")] = 65536
    queue_size_limit: Annotated[
        Positive, about("Bytes of answers that a client may leave unread; above: disconnect 3008")
    ] = 1048576
    ping_interval: Annotated[Seconds, about("Seconds between pings")] = 25
    pong_timeout: Annotated[Seconds, about("Seconds that the answer to a ping may take; above: disconnect 3012")] = 10
    connect_timeout: Annotated[Seconds, about("Seconds until `connect` must have come; above: disconnect 3502")] = 15
    expiry_grace: Annotated[
        Seconds, about("Seconds that a client may be late with a new token; above: disconnect 3005")
    ] = 25
    hmac_secret_file: Annotated[
        str,
        about("File with the secret of HS256/384/512 tokens; empty: $CREDENTIALS_DIRECTORY/centrifuge-hmac-secret"),
    ] = ""
    hmac_previous_secret_file: Annotated[str, about("File with the secret before, for the time of a rotation")] = ""
    public_key_file: Annotated[str, about("PEM file with the public key of RS or ES tokens; empty: none")] = ""
    token_required: Annotated[
        bool, about("End connections without a token once there is a key (3501); false lets them in as anonymous")
    ] = True
    token_audience: Annotated[str, about("Value that the `aud` of a token must contain; empty: not checked")] = ""
    token_issuer: Annotated[str, about("Value that the `iss` of a token must have; empty: not checked")] = ""


class DashboardRefreshConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, about("Whether dashboards are refreshed by push", live=True)] = True
    interval: Annotated[Seconds, about("Seconds between refreshes", live=True)] = 5
    mode: Annotated[Literal["full", "incremental", "delta", "smart"], about("What a refresh carries", live=True)] = (
        "incremental"
    )
    batch_size: Annotated[Positive, about("Most panels refreshed in one go", live=True)] = 50
    priority_queue: Annotated[bool, about("Refresh system health before business", live=True)] = True
    refresh_strategies: Annotated[
        list[dict[str, bool]], about("Strategies, each a map of one name to on or off", live=True)
    ] = msgspec.field(
        default_factory=lambda: [
            {"full_refresh": False},
            {"incremental_update": True},
            {"delta_sync": True},
            {"smart_refresh": True},
        ]
    )


class OptimizationConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, about("Whether the settings of this section apply")] = True
    buffer_size: Annotated[
        int, about("Bytes a connection may hold back before it reads from the log at its own pace", ge=1024)
    ] = 8192
    flush_interval: Annotated[
        int, about("Milliseconds for joining events and writing them; no pause to join is longer", ge=0, live=True)
    ] = 100
    batch_size: Annotated[Positive, about("Events that make a flush due before the interval is over", live=True)] = 10
    compression_enabled: Annotated[bool, about("Whether joined batches are compressed at all")] = True
    optimization_strategies: Annotated[
        list[Literal["data_compression", "connection_pooling", "message_batching", "priority_queuing"]],
        about("Which optimisations are used; connection_pooling: connections to event processing are kept open"),
    ] = msgspec.field(
        default_factory=lambda: [
            "data_compression",
            "connection_pooling",
            "message_batching",
            "priority_queuing",
        ]
    )


class HighFrequencyConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, about("Whether high-frequency streams are served")] = True
    update_rate: Annotated[
        Seconds, about("Seconds between updates of a high-frequency answer; what is streamed does not wait")
    ] = 1
    buffer_size: Annotated[Positive, about("Events kept ready in memory for each channel")] = 4096
    compression_enabled: Annotated[bool, about("Compress what is sent to clients that offer it")] = True
    priority: Annotated[Literal["high", "normal", "low"], about("Turn among the channels when all are due")] = "high"
    streams: Annotated[list[Name], about("The streams under /streams/high_frequency/")] = msgspec.field(
        default_factory=lambda: [
            "system_metrics",
            "performance_data",
            "real_time_analytics",
            "operational_events",
        ]
    )


class MonitoringConfig(Section, frozen=True, kw_only=True):
    real_time_event_processing_endpoint: Annotated[str, about("Event processing, whose log this service follows")] = (
        "http://127.0.0.1:9100"
    )
    metrics_server_endpoint: Annotated[
        str,
        about(
            "Prometheus: it answers panels with a `promql` query; event processing asks it under `sources.prometheus`"
        ),
    ] = "http://127.0.0.1:9090"
    custom_metrics_endpoint: Annotated[
        str, about("A page of metrics, which event processing reads under `sources.scrape`")
    ] = "http://127.0.0.1:9091"
    api_gateway_endpoint: Annotated[
        str, about("The platform's API gateway, which event processing watches under `sources.gateway`")
    ] = "http://127.0.0.1:8000"
    api_key_file: Annotated[
        str,
        about(
            "File with the API key sent to event processing, scopes read, publish and publish:own; empty: "
            "$CREDENTIALS_DIRECTORY/event-log-api-key, else none"
        ),
    ] = ""


class ChannelConfig(Section, frozen=True, kw_only=True):
    """What a channel carries."""

    types: Annotated[list[TypePattern], about("Event types: names, prefixes 'llm.*', or '*'", min_length=1)]
    description: Annotated[str, about("One line for people")] = ""
    publications: Annotated[
        bool, about("Whether POST /api/publish may address it, and it carries what is addressed to it")
    ] = True
    slow: Annotated[
        Slow,
        about(
            "What a client gets that falls behind: catch_up, everything at its own pace; conflate, the newest of each "
            "type, source and subject; disconnect, a close with code 4408",
            live=True,
        ),
    ] = "catch_up"
    recovery_mode: Annotated[
        Literal["stream", "cache"],
        about(
            "What a Centrifuge client that comes back gets: stream, all it missed; cache, the newest alone", live=True
        ),
    ] = "stream"


def default_channels() -> dict[str, ChannelConfig]:
    """The seed's eight channels and four high-frequency streams (one name is both), and `events` with everything."""
    table = {
        "events": (["*"], "Everything, in the order of the log"),
        "metrics_updates": (["analytics.snapshot"], "The metrics snapshot, each tick"),
        "system_alerts": (
            ["alert.*", "notification.*"],
            "Alerts as they fire and resolve, and messages sent by hand",
        ),
        "business_events": (["business.*", "llm.*", "agent.*"], "What the platform did for its users"),
        "performance_data": (["llm.request.*", "host.*"], "Latencies of requests and the load of the host"),
        "real_time_metrics": (["analytics.snapshot"], "The metrics snapshot, each tick"),
        "system_status": (["host.*", "alert.*"], "Host and alerts"),
        "business_analytics": (["business.*", "cost.*"], "Business metrics and costs"),
        "operational_data": (
            ["host.*", "llm.*", "agent.*", "tool.*", "memory.*"],
            "What happens on the platform",
        ),
        "system_metrics": (["host.*"], "CPU, memory, disk and network of the host"),
        "real_time_analytics": (["analytics.*"], "Everything that analytics computes"),
        "operational_events": (
            ["llm.*", "agent.*", "tool.*", "memory.*", "knowledge.*", "cost.*"],
            "Single operations",
        ),
        "analytics": (["engine.system"], "Figures of the analytics engine's system"),
        "memory": (["engine.memory"], "Figures of the analytics engine's memory"),
        "graph": (["engine.graph"], "Figures of the analytics engine's graph"),
        "dashboard_updates": (["dashboard.*"], "Refreshed dashboard data"),
        "feedback": (["feedback"], "What people said in the page"),
    }
    return {name: ChannelConfig(types=types, description=text) for name, (types, text) in table.items()}


class StreamingConfig(Section, frozen=True, kw_only=True):
    """Configuration of the data-streaming API (:9102): gateway, dashboards, rules and notifications."""

    service: StreamingServiceConfig = msgspec.field(default_factory=StreamingServiceConfig)
    live_dashboard: LiveDashboardConfig = msgspec.field(default_factory=LiveDashboardConfig)
    real_time_notifications: NotificationsConfig = msgspec.field(default_factory=NotificationsConfig)
    websocket: WebSocketConfig = msgspec.field(default_factory=WebSocketConfig)
    sse: SseConfig = msgspec.field(default_factory=SseConfig)
    centrifuge: CentrifugeConfig = msgspec.field(default_factory=CentrifugeConfig)
    dashboard_refresh: DashboardRefreshConfig = msgspec.field(default_factory=DashboardRefreshConfig)
    performance_optimization: OptimizationConfig = msgspec.field(default_factory=OptimizationConfig)
    high_frequency_streams: HighFrequencyConfig = msgspec.field(default_factory=HighFrequencyConfig)
    performance: PerformanceConfig = msgspec.field(default_factory=PerformanceConfig)
    monitoring: MonitoringConfig = msgspec.field(default_factory=MonitoringConfig)
    channels: Annotated[
        dict[Name, ChannelConfig],
        about("Channels; each can be had by WebSocket and by SSE. Adds to the shipped ones"),
    ] = msgspec.field(default_factory=dict)
    security: SecurityConfig = msgspec.field(default_factory=SecurityConfig)
    state: StateConfig = msgspec.field(default_factory=StateConfig)
    logging: LoggingConfig = msgspec.field(default_factory=LoggingConfig)

    def all_channels(self) -> dict[str, ChannelConfig]:
        """The shipped channels with those of the configuration over them."""
        return default_channels() | self.channels
