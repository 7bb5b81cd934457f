"""All metrics of the two services, built from an injected registry so that several services live in one process.

The seed's names are kept to the letter; three of them are gauges that end in `_total`. Each has a clean twin.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.telemetry.channels import ChannelCollector
from hxp_enterprise_llm.telemetry.quantiles import QuantileSummary

disable_created_metrics()  # type: ignore[no-untyped-call]

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ServiceMetrics:
    """What every service measures: requests, reloads, refusals, the loop."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "citadel_http_requests",
            "HTTP requests by route and status",
            ["route", "status"],
            registry=registry,
        )
        self.refused = Counter("citadel_http_refused", "Requests refused at the edge", ["code"], registry=registry)
        self.half_open_closed = Counter(
            "citadel_http_half_open_closed",
            "Connections closed because no request came together on them, by what they went beyond",
            ["bound"],
            registry=registry,
        )
        for bound in ("deadline", "per_address"):
            self.half_open_closed.labels(bound)
        self.connections_limit = Gauge(
            "citadel_http_connections_limit",
            "Connections that the process may hold: its descriptors less a reserve",
            registry=registry,
        )
        self.turned_away = Counter(
            "citadel_http_turned_away", "Connections beyond what the process may hold", registry=registry
        )
        self.reload_ok = Gauge(
            "citadel_config_last_reload_successful", "Whether the last reload was taken", registry=registry
        )
        self.reload_time = Gauge(
            "citadel_config_last_reload_success_timestamp_seconds",
            "When a configuration was last taken",
            registry=registry,
        )
        self.config_hash = Gauge("citadel_config_hash", "CRC-32 of the configuration in force", registry=registry)
        self.loop_lag = Gauge(
            "citadel_event_loop_lag_seconds", "Worst lateness of a loop timer within 15 s", registry=registry
        )
        self.build = Gauge("citadel_build_info", "Version of the program", ["version"], registry=registry)


class LogMetrics:
    """The event log as one service sees it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.appended = Counter("citadel_log_events_appended", "Events stored", registry=registry)
        self.duplicates = Counter(
            "citadel_log_duplicates", "Repeats recognised and not stored again", registry=registry
        )
        self.append_seconds = Histogram(
            "citadel_log_append_duration_seconds",
            "Time of a commit",
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self.append_errors = Counter(
            "citadel_log_append_errors", "Appends that failed, by kind of error", ["reason"], registry=registry
        )
        self.head = Gauge("citadel_log_head_offset", "Offset of the last event", registry=registry)
        self.first = Gauge("citadel_log_first_offset", "Offset of the first event that is kept", registry=registry)
        self.bytes = Gauge("citadel_log_size_bytes", "Size of the log on disk", registry=registry)
        self.disk_free = Gauge(
            "citadel_log_disk_free_bytes",
            "What is free on the disk of the log; NaN where the log is elsewhere",
            registry=registry,
        )
        self.disk_free.set(float("nan"))
        self._make_findings(registry)
        # An alert on increase() misses the step from no series to 1.
        for reason in ("LogFull", "LogUnavailable", "LogClosed"):
            self.append_errors.labels(reason)

    def _make_findings(self, registry: CollectorRegistry) -> None:
        self.damaged = Gauge("citadel_log_damaged_events", "Events in the log that cannot be read", registry=registry)
        self.epoch_doubted = Gauge(
            "citadel_log_epoch_doubted_timestamp_seconds",
            "When the log was opened under a new epoch because its files were not what they had been; 0 if they were",
            registry=registry,
        )
        self.scrubbed = Counter("citadel_log_scrubbed_bytes", "Bytes of records looked through", registry=registry)
        self.scrub_finished = Gauge(
            "citadel_log_scrub_finished_timestamp_seconds",
            "When the whole log was last looked through",
            registry=registry,
        )


class ProcessingMetrics:
    """Ways in and analytics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.received = Counter("citadel_events_received", "Events received by way in", ["source"], registry=registry)
        self.rejected = Counter("citadel_events_rejected", "Events refused", ["code"], registry=registry)
        self.processed = Counter("citadel_events_processed", "Events seen by analytics", registry=registry)
        self.lag = Gauge(
            "citadel_processing_lag_events",
            "Distance of analytics from the head, in offsets",
            registry=registry,
        )
        self.tick_seconds = Histogram(
            "citadel_analytics_tick_duration_seconds",
            "Time to compute a snapshot",
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self.value = Gauge(
            "citadel_metric_value", "Declared metrics over their own window", ["metric"], registry=registry
        )
        self.ungrouped = Gauge(
            "citadel_metric_ungrouped_events",
            "Events of the window that found no room among the label sets of a metric",
            ["metric"],
            registry=registry,
        )
        self.save_seconds = Gauge(
            "citadel_analytics_save_duration_seconds", "Time that the last save of the windows took", registry=registry
        )
        self.state_bytes = Gauge("citadel_analytics_state_bytes", "Size of the saved windows", registry=registry)

    def saved_state(self, seconds: float, size: int) -> None:
        """The windows were saved."""
        self.save_seconds.set(seconds)
        self.state_bytes.set(size)


class StreamingMetrics:
    """The gateway: connections, deliveries, latency."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._make_connections(registry)
        self._make_pages(registry)
        self._make_deliveries(registry, clock)
        self._make_flow(registry)
        self.channels = ChannelCollector(registry)

    def _make_connections(self, registry: CollectorRegistry) -> None:
        # The seed's own names: current counts although they end in _total.
        self.seed_connections = Gauge(
            "streaming_connections_total", "Open connections (the seed's name)", registry=registry
        )
        self.seed_websocket = Gauge(
            "websocket_connections_total", "Open WebSockets (the seed's name)", registry=registry
        )
        self.seed_sse = Gauge("sse_connections_total", "Open SSE streams (the seed's name)", registry=registry)
        self.connections = Gauge("citadel_streaming_connections", "Open connections", ["transport"], registry=registry)
        self.limit = Gauge("citadel_streaming_connections_limit", "Most connections", ["transport"], registry=registry)
        self.opened = Counter(
            "citadel_streaming_connections_opened", "Connections opened", ["transport"], registry=registry
        )
        self.closed = Counter(
            "citadel_streaming_connections_closed",
            "Connections ended, by reason",
            ["transport", "reason"],
            registry=registry,
        )
        self.refused = Counter(
            "citadel_streaming_connections_refused",
            "Connections refused",
            ["transport", "reason"],
            registry=registry,
        )
        # An alert on increase() misses the step from no series to 1.
        for transport in ("websocket", "sse"):
            for reason in ("limit", "quota", "rate"):
                self.refused.labels(transport, reason)
        self.behind = Gauge(
            "citadel_streaming_connections_behind",
            "Connections that catch up from the log",
            registry=registry,
        )
        # Looking the labels up takes longer than counting, and a gauge longer than a number that it reads when asked.
        self._opened = {transport: self.opened.labels(transport) for transport in ("websocket", "sse")}
        self._open = dict.fromkeys(self._opened, 0)
        self.seed_connections.set_function(lambda: sum(self._open.values()))
        for transport, seed in (("websocket", self.seed_websocket), ("sse", self.seed_sse)):
            for gauge in (seed, self.connections.labels(transport)):
                gauge.set_function(partial(self._open.__getitem__, transport))

    def _make_pages(self, registry: CollectorRegistry) -> None:
        self.pages = Gauge(
            "citadel_dashboard_pages", "Connections of dashboard pages: who is looking now", registry=registry
        )
        self.pages_opened = Counter(
            "citadel_dashboard_pages_opened", "Connections that dashboard pages have made", registry=registry
        )

    def _make_deliveries(self, registry: CollectorRegistry, clock: Clock) -> None:
        self.latency = QuantileSummary(
            "data_streaming_latency_seconds",
            "From an event's time of entry into the log to the write to its subscribers",
            registry,
            clock.monotonic,
        )
        self.delivery_seconds = Histogram(
            "citadel_streaming_delivery_duration_seconds",
            "As data_streaming_latency_seconds, for aggregation",
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self.delivered = Counter(
            "citadel_streaming_messages_delivered", "Messages written", ["channel"], registry=registry
        )
        self.sent_bytes = Counter("citadel_streaming_sent_bytes", "Bytes written to subscribers", registry=registry)
        self.compression_input_bytes = Counter(
            "citadel_streaming_compression_input_bytes",
            "Bytes of events, before compression, of what was written compressed",
            registry=registry,
        )
        self.compression_saved_bytes = Counter(
            "citadel_streaming_compression_saved_bytes",
            "Bytes that compression has kept off the wire",
            registry=registry,
        )
        self.left_out = Counter(
            "citadel_streaming_messages_left_out",
            "Messages that a newer one stood in for, to clients that fell behind on a channel with slow: conflate",
            registry=registry,
        )
        self.resets = Counter("citadel_streaming_resets", "Cursors that the log no longer has", registry=registry)
        self.hub_lag = Gauge(
            "citadel_streaming_hub_lag_events",
            "Distance of the hub from the head, in offsets",
            registry=registry,
        )

    def _make_flow(self, registry: CollectorRegistry) -> None:
        labels = ["channel", "transport"]
        self._messages = Counter(
            "citadel_streaming_channel_messages", "Messages written, with those read again", labels, registry=registry
        )
        self._writes = Counter(
            "citadel_streaming_channel_writes", "Writes that carried messages", labels, registry=registry
        )
        self._bytes = Counter("citadel_streaming_channel_bytes", "Bytes of those writes", labels, registry=registry)
        self._flows: dict[tuple[str, str], tuple[Counter, Counter, Counter]] = {}
        self.recoveries = Counter(
            "citadel_streaming_recoveries",
            "Clients that came back with a cursor, and whether nothing was lost to them",
            ["recovered"],
            registry=registry,
        )
        self.recovered_messages = Counter(
            "citadel_streaming_recovered_messages", "Messages given to clients that came back", registry=registry
        )
        self.errors = Counter(
            "citadel_streaming_errors", "Reads of the log that failed, by who read", ["reader"], registry=registry
        )
        for recovered in ("yes", "no"):
            self.recoveries.labels(recovered)
        for reader in ("hub", "catch_up"):
            self.errors.labels(reader)

    def sent(self, channel: str, transport: str, messages: int, writes: int, size: int) -> None:
        """Count writes that carried so many messages and bytes. `channel` is a configured name."""
        flow = self._flows.get((channel, transport))
        if flow is None:
            # Looking a label up takes longer than the rest: once for each channel and transport.
            labels = (channel, transport)
            flow = self._messages.labels(*labels), self._writes.labels(*labels), self._bytes.labels(*labels)
            self._flows[channel, transport] = flow
        for counter, count in zip(flow, (messages, writes, size), strict=True):
            counter.inc(count)

    def compressed(self, plain: int, saved: int) -> None:
        """Count what was written compressed. A piece that compression made longer saves nothing."""
        self.compression_input_bytes.inc(plain)
        self.compression_saved_bytes.inc(max(saved, 0))

    def connected(self, transport: str, change: int) -> None:
        """Count a connection in (+1) or out (-1), under every name it has."""
        self._open[transport] += change
        if change > 0:
            self._opened[transport].inc()

    def looked(self, change: int) -> None:
        """Count a dashboard page in (+1) or out (-1); it is a connection besides."""
        self.pages.inc(change)
        if change > 0:
            self.pages_opened.inc()


RESTART_REASONS = ("died", "hung", "not_started")
"""Why a process beside the first was replaced: it ended, it stood still and was killed, none was to be had."""


class WorkerMetrics:
    """The processes of a service that has several."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.running = Gauge("citadel_workers_running", "Processes that serve the port", registry=registry)
        self.unreachable = Gauge(
            "citadel_workers_unreachable", "Processes that are not part of this page", registry=registry
        )
        self.restarts = Counter(
            "citadel_workers_restarts", "Processes that were replaced", ["worker", "reason"], registry=registry
        )
        self.silent = Gauge(
            "citadel_workers_silent_seconds",
            "Time since a process beside the first, while it served, was last heard",
            ["worker"],
            registry=registry,
        )

    def watch(self, worker: str, silent: Callable[[], float]) -> None:
        """All series of a process, from the start on. `silent`: seconds, asked for at each scrape."""
        for reason in RESTART_REASONS:
            self.restarts.labels(worker, reason)
        self.silent.labels(worker).set_function(silent)


class ApiMetrics:
    """The server API of the gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.commands = Counter(
            "citadel_api_commands",
            "Commands of the server API by method and error code; 0: done",
            ["method", "code"],
            registry=registry,
        )


class DashboardMetrics:
    """Dashboards."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.interval = Gauge(
            "dashboard_update_interval_seconds",
            "Time between the last two updates",
            ["dashboard"],
            registry=registry,
        )
        self.updates = Counter("citadel_dashboard_updates", "Updates computed", ["dashboard"], registry=registry)
        self.errors = Counter(
            "citadel_dashboard_errors", "Panels that could not be computed", ["dashboard"], registry=registry
        )
