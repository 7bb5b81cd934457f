"""What event processing asks others for, on its own: an analytics engine, Prometheus, a page of metrics, a gateway."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hxp_enterprise_llm.config.types import Positive, Seconds, Section, about

MetricName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,127}$")]
UrlPath = Annotated[str, msgspec.Meta(pattern=r"^/[^\s?#]*$")]


class AnalyticsEngineConfig(Section, frozen=True, kw_only=True):
    """An analytics engine that answers three paths with JSON; each is a source of its own."""

    endpoint: Annotated[
        str, about("Its address, such as http://192.168.10.31:8090; empty: none is asked", live=True)
    ] = ""
    interval: Annotated[float, about("Seconds between two questions", live=True, ge=0.1, le=3600)] = 2
    timeout: Annotated[Seconds, about("Seconds that an answer may take", live=True)] = 2
    connections: Annotated[Positive, about("Most connections to it, kept open", live=True)] = 3
    system_path: Annotated[
        UrlPath, about("Path of the system's figures: events engine.system, channel analytics", live=True)
    ] = "/system"
    memory_path: Annotated[
        UrlPath, about("Path of memory's figures: events engine.memory, channel memory", live=True)
    ] = "/memory"
    graph_path: Annotated[
        UrlPath, about("Path of the graph's figures: events engine.graph, channel graph", live=True)
    ] = "/graph"
    fields: Annotated[
        dict[str, str],
        about(
            "Our name of a figure → its place in the engine's answers, such as active_nodes: graph.nodes.active",
            live=True,
        ),
    ] = {}
    failures: Annotated[
        Positive, about("Failures in a row after which it counts as away, and its data as stale", live=True)
    ] = 3


class QueryConfig(Section, frozen=True, kw_only=True):
    name: Annotated[MetricName, about("Name of the metric in events poll.metric")]
    query: Annotated[str, about("PromQL; an instant vector or a scalar", min_length=1)]


class PrometheusSourceConfig(Section, frozen=True, kw_only=True):
    """Values of a Prometheus server, by PromQL."""

    endpoint: Annotated[
        str, about("Its address, such as http://192.168.10.37:9090; empty: none is asked", live=True)
    ] = ""
    interval: Annotated[float, about("Seconds between two rounds of queries", live=True, ge=0.1, le=3600)] = 15
    timeout: Annotated[Seconds, about("Seconds that an answer may take", live=True)] = 5
    queries: Annotated[list[QueryConfig], about("What is asked", live=True)] = msgspec.field(
        default_factory=lambda: [QueryConfig(name="up", query="up")]
    )
    max_series: Annotated[
        Positive, about("Most series of one query; what is beyond is left out, and said", live=True)
    ] = 100
    failures: Annotated[Positive, about("Failures in a row after which it counts as away", live=True)] = 3


class ScrapeConfig(Section, frozen=True, kw_only=True):
    """A page of metrics in Prometheus' text form."""

    endpoint: Annotated[
        str, about("Its address, such as http://192.168.10.29:9091; without a path /metrics. Empty: none", live=True)
    ] = ""
    interval: Annotated[float, about("Seconds between two looks", live=True, ge=0.1, le=3600)] = 15
    timeout: Annotated[Seconds, about("Seconds that an answer may take", live=True)] = 5
    families: Annotated[list[MetricName], about("Names of the metrics that are taken; empty: all", live=True)] = []
    max_series: Annotated[
        Positive, about("Most values of one look; what is beyond is left out, and said", live=True)
    ] = 500
    failures: Annotated[Positive, about("Failures in a row after which it counts as away", live=True)] = 3


class GatewaySourceConfig(Section, frozen=True, kw_only=True):
    """Whether the platform's API gateway is well: a poll.metric api_gateway_up, 1 or 0."""

    endpoint: Annotated[
        str, about("Its address, such as http://192.168.10.29:8000; empty: none is asked", live=True)
    ] = ""
    interval: Annotated[float, about("Seconds between two questions", live=True, ge=0.1, le=3600)] = 5
    timeout: Annotated[Seconds, about("Seconds that an answer may take", live=True)] = 2
    path: Annotated[UrlPath, about("Path that answers 2xx when it is well", live=True)] = "/health"
    failures: Annotated[Positive, about("Failures in a row after which it counts as away", live=True)] = 3
