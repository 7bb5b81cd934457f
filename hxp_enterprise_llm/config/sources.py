"""What event processing gets on its own: from an analytics engine, Prometheus, a page of metrics, a gateway, a NATS
server, Redis Streams, and from files."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hxp_enterprise_llm.config.types import Duration, Positive, Seconds, Section, about

MetricName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,127}$")]
UrlPath = Annotated[str, msgspec.Meta(pattern=r"^/[^\s?#]*$")]
EventType = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9._-]{1,128})?$")]
Subject = Annotated[str, msgspec.Meta(pattern=r"^([^\s.*>]+|\*)(\.([^\s.*>]+|\*))*(\.>)?$|^>$")]

Key = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,128}$")]
KeyOrNone = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{0,128}$")]

Interval = Annotated[float, about("Seconds between two questions", live=True, ge=0.1, le=3600)]
Timeout = Annotated[Seconds, about("Seconds that an answer may take", live=True)]
Failures = Annotated[Positive, about("Failures in a row after which it counts as away", live=True)]


class AnalyticsEngineConfig(Section, frozen=True, kw_only=True):
    """An analytics engine that answers three paths with JSON; each is a source of its own."""

    endpoint: Annotated[
        str, about("Its address, such as http://192.168.10.31:8090; empty: none is asked", live=True)
    ] = ""
    interval: Interval = 2
    timeout: Timeout = 2
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
    interval: Interval = 15
    timeout: Timeout = 5
    queries: Annotated[list[QueryConfig], about("What is asked", live=True)] = msgspec.field(
        default_factory=lambda: [QueryConfig(name="up", query="up")]
    )
    max_series: Annotated[
        Positive, about("Most series of one query; what is beyond is left out, and said", live=True)
    ] = 100
    failures: Failures = 3


class ScrapeConfig(Section, frozen=True, kw_only=True):
    """A page of metrics in Prometheus' text form."""

    endpoint: Annotated[
        str, about("Its address, such as http://192.168.10.29:9091; without a path /metrics. Empty: none", live=True)
    ] = ""
    interval: Interval = 15
    timeout: Timeout = 5
    families: Annotated[list[MetricName], about("Names of the metrics that are taken; empty: all", live=True)] = []
    max_series: Annotated[
        Positive, about("Most values of one look; what is beyond is left out, and said", live=True)
    ] = 500
    failures: Failures = 3


class GatewaySourceConfig(Section, frozen=True, kw_only=True):
    """Whether the platform's API gateway is well: a poll.metric api_gateway_up, 1 or 0."""

    endpoint: Annotated[
        str, about("Its address, such as http://192.168.10.29:8000; empty: none is asked", live=True)
    ] = ""
    interval: Interval = 5
    timeout: Timeout = 2
    path: Annotated[UrlPath, about("Path that answers 2xx when it is well", live=True)] = "/health"
    failures: Failures = 3


class WatchedConfig(Section, frozen=True, kw_only=True):
    """A directory with all below it; what begins with a dot, and symbolic links, are left out."""

    path: Annotated[str, about("The directory", live=True, pattern="^/")]
    topic: Annotated[str, about("What its files are about, told in the events; empty: nothing", live=True)] = ""
    include: Annotated[list[str], about("Names of files that count, such as *.md; empty: all", live=True)] = []


class ActivityConfig(Section, frozen=True, kw_only=True):
    """Files that come, change and go, as events file.activity."""

    directories: Annotated[list[WatchedConfig], about("What is watched; empty: nothing", live=True)] = []
    interval: Annotated[float, about("Seconds between two looks", live=True, ge=0.1, le=3600)] = 2
    max_files: Annotated[Positive, about("Most files that are watched in all", live=True, le=1_000_000)] = 20_000
    failures: Failures = 3


class SubjectConfig(Section, frozen=True, kw_only=True):
    """What is listened to."""

    subject: Annotated[Subject, about("A subject, or many by the wildcards * and >", live=True)]
    type: Annotated[EventType, about("Type of the events; empty: the subject of the message", live=True)] = ""


def default_subjects() -> list[SubjectConfig]:
    """The three of the EGOS platform."""
    names = ("egos.sparc.tasks", "egos.llm.logs", "egos.propagation.log")
    return [SubjectConfig(subject=name) for name in names]


class NatsConfig(Section, frozen=True, kw_only=True):
    """Messages of a NATS server; each becomes an event."""

    endpoint: Annotated[
        str, about("Its address, such as nats://127.0.0.1:4222, with TLS tls://…; empty: none is heard", live=True)
    ] = ""
    subjects: Annotated[
        list[SubjectConfig],
        about("What is listened to; the first that fits a message says its type", live=True, min_length=1),
    ] = msgspec.field(default_factory=default_subjects)
    username: Annotated[str, about("User to log in as; empty: none", live=True)] = ""
    password_file: Annotated[
        str, about("File with the user's password; empty: $CREDENTIALS_DIRECTORY/nats-password", live=True)
    ] = ""
    token_file: Annotated[
        str, about("File with a token, without a user; empty: $CREDENTIALS_DIRECTORY/nats-token", live=True)
    ] = ""
    ca_file: Annotated[
        str, about("PEM file with the authority of the server's certificate; empty: the system's", live=True)
    ] = ""
    timeout: Annotated[Seconds, about("Seconds that a connection may take to come about", live=True)] = 5
    failures: Failures = 3


class RedisStreamConfig(Section, frozen=True, kw_only=True):
    """A stream that is read, and what its entries are."""

    stream: Annotated[Key, about("Its key", live=True)]
    type: Annotated[EventType, about("Type of the events; empty: the key, with dots for its colons", live=True)] = ""
    type_field: Annotated[
        str, about("Field whose value is the type, where an entry has it; empty: none", live=True, max_length=128)
    ] = ""
    numbers: Annotated[list[str], about("Fields whose values are numbers; all others are text or JSON", live=True)] = []


class RedisConfig(Section, frozen=True, kw_only=True):
    """Streams of a Redis server, read in a consumer group; each entry becomes an event."""

    endpoint: Annotated[
        str, about("Its address, such as redis://127.0.0.1:6379/0, with TLS rediss://…; empty: none is read", live=True)
    ] = ""
    streams: Annotated[list[RedisStreamConfig], about("What is read", live=True)] = []
    group: Annotated[Key, about("The consumer group, made where it is missing", live=True)] = "citadel"
    consumer: Annotated[
        KeyOrNone, about("Our name in the group, and nobody else's; empty: that of the host", live=True)
    ] = ""
    start: Annotated[
        Literal["new", "beginning"],
        about("Where a group begins that we make: at the entries to come, or the first", live=True),
    ] = "new"
    claim_after: Annotated[
        Duration,
        about(
            "Time after which entries are taken over that another consumer of the group has left; 0s: never", live=True
        ),
    ] = "1m"
    username: Annotated[str, about("User to log in as; empty: the default user", live=True)] = ""
    password_file: Annotated[
        str, about("File with the password; empty: $CREDENTIALS_DIRECTORY/redis-password", live=True)
    ] = ""
    ca_file: Annotated[
        str, about("PEM file with the authority of the server's certificate; empty: the system's", live=True)
    ] = ""
    timeout: Annotated[Seconds, about("Seconds that a connection may take to come about", live=True)] = 5
    failures: Failures = 3
