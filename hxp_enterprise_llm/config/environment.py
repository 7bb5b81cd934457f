"""Environment variables: a table per service, name to dotted path, and how their text becomes a value.

The gateway's names are given by the platform's .env and follow no one rule, so they are written down.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.fields import leaves
from hxp_enterprise_llm.config.paths import KeyPath, dotted, split, suggestion
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.schema import json_schema, subschema
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.config.types import Section

STREAMING_VARIABLES = {
    "DATA_STREAMING_API_PORT": "service.port",
    "DATA_STREAMING_API_MEMORY_GB": "performance.memory_limit_gb",
    "DATA_STREAMING_API_CPU_CORES": "performance.cpu_cores",
    "DATA_STREAMING_TIMEOUT": "service.timeout",
    "LIVE_DASHBOARD_ENABLED": "live_dashboard.enabled",
    "LIVE_DASHBOARD_UPDATE_INTERVAL": "live_dashboard.update_interval",
    "LIVE_DASHBOARD_MAX_CONNECTIONS": "live_dashboard.max_connections",
    "LIVE_DASHBOARD_COMPRESSION_ENABLED": "live_dashboard.compression_enabled",
    "LIVE_DASHBOARD_CACHING_ENABLED": "live_dashboard.caching_enabled",
    "REAL_TIME_NOTIFICATIONS_ENABLED": "real_time_notifications.enabled",
    "REAL_TIME_NOTIFICATIONS_CRITICAL_ENABLED": "real_time_notifications.critical_enabled",
    "REAL_TIME_NOTIFICATIONS_WARNING_ENABLED": "real_time_notifications.warning_enabled",
    "REAL_TIME_NOTIFICATIONS_INFO_ENABLED": "real_time_notifications.info_enabled",
    "REAL_TIME_NOTIFICATIONS_DELIVERY_TIMEOUT": "real_time_notifications.delivery_timeout",
    "WEBSOCKET_ENABLED": "websocket.enabled",
    "WEBSOCKET_MAX_CONNECTIONS": "websocket.max_connections",
    "WEBSOCKET_HEARTBEAT_INTERVAL": "websocket.heartbeat_interval",
    "WEBSOCKET_MESSAGE_SIZE_LIMIT": "websocket.message_size_limit",
    "WEBSOCKET_COMPRESSION_ENABLED": "websocket.compression_enabled",
    "SSE_ENABLED": "sse.enabled",
    "SSE_MAX_CONNECTIONS": "sse.max_connections",
    "SSE_RETRY_TIMEOUT": "sse.retry_timeout",
    "SSE_KEEP_ALIVE_INTERVAL": "sse.keep_alive_interval",
    "SSE_COMPRESSION_ENABLED": "sse.compression_enabled",
    "DASHBOARD_REFRESH_ENABLED": "dashboard_refresh.enabled",
    "DASHBOARD_REFRESH_INTERVAL": "dashboard_refresh.interval",
    "DASHBOARD_REFRESH_MODE": "dashboard_refresh.mode",
    "DASHBOARD_REFRESH_BATCH_SIZE": "dashboard_refresh.batch_size",
    "DASHBOARD_REFRESH_PRIORITY_QUEUE": "dashboard_refresh.priority_queue",
    "STREAMING_PERFORMANCE_OPTIMIZATION_ENABLED": "performance_optimization.enabled",
    "STREAMING_BUFFER_SIZE": "performance_optimization.buffer_size",
    "STREAMING_FLUSH_INTERVAL": "performance_optimization.flush_interval",
    "STREAMING_BATCH_SIZE": "performance_optimization.batch_size",
    "STREAMING_COMPRESSION_ENABLED": "performance_optimization.compression_enabled",
    "HIGH_FREQUENCY_STREAMS_ENABLED": "high_frequency_streams.enabled",
    "HIGH_FREQUENCY_STREAMS_UPDATE_RATE": "high_frequency_streams.update_rate",
    "HIGH_FREQUENCY_STREAMS_BUFFER_SIZE": "high_frequency_streams.buffer_size",
    "HIGH_FREQUENCY_STREAMS_COMPRESSION_ENABLED": "high_frequency_streams.compression_enabled",
    "HIGH_FREQUENCY_STREAMS_PRIORITY": "high_frequency_streams.priority",
    "REAL_TIME_EVENT_PROCESSING_ENDPOINT": "monitoring.real_time_event_processing_endpoint",
    "METRICS_SERVER_ENDPOINT": "monitoring.metrics_server_endpoint",
    "CUSTOM_METRICS_ENDPOINT": "monitoring.custom_metrics_endpoint",
    "API_GATEWAY_ENDPOINT": "monitoring.api_gateway_endpoint",
    # The names above are the ones of the platform's .env; those below are ours, for containers.
    "DATA_STREAMING_API_HOST": "service.host",
    "DATA_STREAMING_API_WORKERS": "service.workers",
    "DATA_STREAMING_STATE_DIRECTORY": "state.directory",
    "DATA_STREAMING_LOG_LEVEL": "performance.log_level",
    "DATA_STREAMING_LOG_FORMAT": "logging.format",
}

PROCESSING_PREFIX = "EVENT_PROCESSING_"
_PLATFORM_NAMES = {
    "sources.prometheus.endpoint": "METRICS_SERVER_ENDPOINT",
    "sources.scrape.endpoint": "CUSTOM_METRICS_ENDPOINT",
    "sources.gateway.endpoint": "API_GATEWAY_ENDPOINT",
}
"""What has a name in the platform's .env keeps it: the same variable tells both services."""


def _upper_cased(config: type[Section], prefix: str) -> dict[str, str]:
    """A variable for each key that holds one value: the prefix and the upper-cased path without `service.`."""
    schema = json_schema(config)
    paths = [field.path for field in leaves(config)]
    plain = [dotted(path) for path in paths if subschema(schema, path).get("type") not in ("array", "object")]
    made = {path: prefix + path.removeprefix("service.").upper().replace(".", "_") for path in plain}
    return {_PLATFORM_NAMES.get(path, name): path for path, name in made.items()}


PROCESSING_VARIABLES = _upper_cased(ProcessingConfig, PROCESSING_PREFIX)
"""`EVENT_PROCESSING_PORT` and so on. Lists and maps are set in the file."""

_VARIABLES: dict[type[Section], dict[str, str]] = {
    StreamingConfig: STREAMING_VARIABLES,
    ProcessingConfig: PROCESSING_VARIABLES,
}
_PREFIXES: dict[type[Section], tuple[str, ...]] = {
    StreamingConfig: (
        "DATA_STREAMING_",
        "LIVE_DASHBOARD_",
        "REAL_TIME_NOTIFICATIONS_",
        "WEBSOCKET_",
        "SSE_",
        "DASHBOARD_REFRESH_",
        "STREAMING_",
        "HIGH_FREQUENCY_STREAMS_",
    ),
    ProcessingConfig: (PROCESSING_PREFIX,),
}
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,30})?|\.[0-9]{1,30})(e[+-]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Overlay:
    """What the environment sets: nested data, and the variable of each path."""

    data: dict[str, Any]
    names: dict[KeyPath, str]
    warnings: tuple[str, ...]


class Variable(NamedTuple):
    """One line of the table of environment names."""

    service: str
    name: str
    path: str
    description: str


def overlay(config: type[Section], environ: Mapping[str, str]) -> Overlay:
    """The part of `environ` that is meant for this configuration.

    Text that cannot be read as the key's type stays text, so that validation says what it expected.
    """
    schema, data, names = json_schema(config), dict[str, Any](), dict[KeyPath, str]()
    for name, place in _VARIABLES.get(config, {}).items():
        if name in environ:
            path = split(place)
            names[path] = name
            _put(data, path, parsed(environ[name], str(subschema(schema, path).get("type", "string"))))
    return Overlay(data, names, tuple(_unknown(config, environ)))


def beneath(config: type[Section], environ: Mapping[str, str]) -> Overlay:
    """What the service manager offers where neither the file nor a variable says anything: its StateDirectory=."""
    offered = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if not offered or config not in _VARIABLES:
        return Overlay({}, {}, ())
    return Overlay({"state": {"directory": offered}}, {("state", "directory"): "STATE_DIRECTORY"}, ())


def parsed(text: str, kind: str) -> Any:
    """The value of a variable for a JSON type; the text itself when it is none of that type."""
    trimmed = text.strip()
    if kind == "boolean":
        return _WORDS.get(trimmed.lower(), text)
    if kind in ("integer", "number") and _INTEGER.fullmatch(trimmed):
        return int(trimmed)
    if kind == "number" and _NUMBER.fullmatch(trimmed) and math.isfinite(float(trimmed)):
        return float(trimmed)
    return text


def environment_table() -> list[Variable]:
    """Every variable of both services, in the order of the tables."""
    return [*_rows(StreamingConfig), *_rows(ProcessingConfig)]


def _rows(config: type[StreamingConfig] | type[ProcessingConfig]) -> list[Variable]:
    schema, service = json_schema(config), config().service.name
    return [
        Variable(service, name, path, subschema(schema, split(path))["description"])
        for name, path in _VARIABLES[config].items()
    ]


def _unknown(config: type[Section], environ: Mapping[str, str]) -> list[str]:
    table, prefixes = _VARIABLES.get(config, {}), _PREFIXES.get(config, ())
    return [
        f"environment {name}: unknown name, ignored{suggestion(name, table)}"
        for name in sorted(environ)
        if name.startswith(prefixes) and name not in table
    ]


def _put(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    for step in path[:-1]:
        data = data.setdefault(str(step), {})
    data[str(path[-1])] = value
