"""Checks of ProcessingConfig: metrics that say all they need, windows and sizes that fit each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from hxp_enterprise_llm.config.faults import shown
from hxp_enterprise_llm.config.findings import (
    Check,
    Finding,
    Given,
    duration,
    endpoint,
    networks,
    origins,
    server,
    unique,
)
from hxp_enterprise_llm.config.platform import MEMORY_TIERS
from hxp_enterprise_llm.config.processing import (
    AnalyticsConfig,
    MetricConfig,
    ProcessingConfig,
    label_fields,
    label_names,
)
from hxp_enterprise_llm.config.sources import RedisConfig
from hxp_enterprise_llm.config.types import seconds

ATTRIBUTES = ("id", "source", "type", "time", "subject", "datacontenttype", "dataschema")
"""Attributes that CloudEvents defines."""

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN_LABELS = ("alertname", "severity", "rule")
_EXTENSION = re.compile(r"[a-z0-9]+")
_OF_A_FIELD = ("sum", "mean", "min", "max", "last", "quantile", "distinct")


def workers(config: ProcessingConfig, _given: Given) -> Iterator[Finding]:
    """The log has one owner."""
    if config.service.workers > 1:
        message = f"event processing is one process; {config.service.workers} are taken as 1"
        yield Finding("service.workers", message, warning=True)


def security(config: ProcessingConfig, _given: Given) -> Iterator[Finding]:
    """Networks, origins and hosts."""
    yield from networks(config.security)
    yield from origins(config.security)


def log(config: ProcessingConfig, _given: Given) -> Iterator[Finding]:
    """One event fits a batch, one segment fits the disk budget."""
    limits = config.log.limits
    yield from duration("log.window_age", config.log.window_age)
    if limits.max_event_bytes > limits.max_batch_bytes:
        message = f"must be at most max_batch_bytes ({limits.max_batch_bytes}), is {limits.max_event_bytes}"
        yield Finding("log.limits.max_event_bytes", message)
    if config.log.disk_budget_bytes < config.log.segment_bytes:
        message = f"must be at least segment_bytes ({config.log.segment_bytes}), is {config.log.disk_budget_bytes}"
        yield Finding("log.disk_budget_bytes", message)


def ingest(config: ProcessingConfig, _given: Given) -> Iterator[Finding]:
    """The span of times that an event may have is not empty."""
    yield from duration("ingest.max_future", config.ingest.max_future, least=-1)
    yield from duration("ingest.max_age", config.ingest.max_age)


def sources(config: ProcessingConfig, _given: Given) -> Iterator[Finding]:
    """Endpoints are URLs, queries have names of their own."""
    section = config.sources
    for name in ("analytics_engine", "prometheus", "scrape", "gateway"):
        text = getattr(section, name).endpoint
        if text:
            yield from endpoint(f"sources.{name}.endpoint", text)
    yield from unique("sources.prometheus.queries", [query.name for query in section.prometheus.queries], "name")
    if section.nats.endpoint:
        yield from server("sources.nats.endpoint", section.nats.endpoint, ("nats", "tls"), "192.168.10.29:4222")
    yield from _subjects([each.subject for each in section.nats.subjects])
    yield from _redis(section.redis)


def _redis(section: RedisConfig) -> Iterator[Finding]:
    """A server, streams that are there once, a name for what is read in a field once."""
    if section.endpoint:
        address = "192.168.10.29:6379/0"
        yield from server("sources.redis.endpoint", section.endpoint, ("redis", "rediss"), address, numbered=True)
        if not section.streams:
            yield Finding("sources.redis.streams", "names no stream; write e.g. - {stream: agents:events}")
    yield from duration("sources.redis.claim_after", section.claim_after, least=-1)
    yield from unique("sources.redis.streams", [each.stream for each in section.streams], "stream")


def activity(config: ProcessingConfig, _given: Given) -> Iterator[Finding]:
    """Each directory once, and none in which we write ourselves: each event would bring the next."""
    watched = [PurePosixPath(each.path) for each in config.sources.activity.directories]
    yield from unique("sources.activity.directories", map(str, watched), "path")
    state = PurePosixPath(config.state.directory)
    for index, path in enumerate(watched):
        if state.is_relative_to(path) or path.is_relative_to(state):
            message = f"{path} and state.directory ({state}) lie in each other: what we write there would be told on"
            yield Finding(f"sources.activity.directories[{index}].path", message)


def _subjects(subjects: list[str]) -> Iterator[Finding]:
    """No message is on two of them: it would be two events."""
    for index, subject in enumerate(subjects):
        for other in subjects[:index]:
            if _overlap(subject.split("."), other.split(".")):
                message = f"{subject} and {other} have messages in common, which would come twice; name one of them"
                yield Finding(f"sources.nats.subjects[{index}].subject", message)


def _overlap(left: list[str], right: list[str]) -> bool:
    for one, other in zip(left, right, strict=False):
        if ">" in (one, other):
            return True
        if "*" not in (one, other) and one != other:
            return False
    return len(left) == len(right)


def analytics(config: ProcessingConfig, given: Given) -> Iterator[Finding]:
    """Windows and metrics: complete, each once, and every metric over a window that is computed."""
    section = config.analytics
    faulty = list(_windows(section))
    yield from faulty
    yield from unique("analytics.metrics", [metric.name for metric in section.metrics], "name")
    for index, metric in enumerate(section.metrics):
        yield from _complete(f"analytics.metrics[{index}]", metric)
        yield from _breakdowns(f"analytics.metrics[{index}]", metric)
    if not faulty:
        yield from _metric_windows(section, given("analytics.metrics"))


def history(config: ProcessingConfig, _given: Given) -> Iterator[Finding]:
    """Times that are times, detail that is not kept longer than what it becomes."""
    section = config.history
    found = [*duration("history.detail", section.detail), *duration("history.aggregates", section.aggregates)]
    yield from found
    if not found and seconds(section.detail) > seconds(section.aggregates):
        message = f"must be at most history.aggregates ({section.aggregates}), is {section.detail}"
        yield Finding("history.detail", message)


def forecast(config: ProcessingConfig, _given: Given) -> Iterator[Finding]:
    """Whole minutes, and no more intervals asked for than are looked at."""
    section = config.forecast.anomaly
    found = list(duration("forecast.anomaly.interval", section.interval))
    yield from found
    if not found and (seconds(section.interval) % 60 or seconds(section.interval) > 3600):
        message = f"must be whole minutes, at most 1h, is {section.interval}"
        yield Finding("forecast.anomaly.interval", message)
    if section.least > section.of:
        yield Finding("forecast.anomaly.least", f"must be at most `of` ({section.of}), is {section.least}")


def platform(config: ProcessingConfig, _given: Given) -> Iterator[Finding]:
    """Durations, names that are there once, budgets of one thing each."""
    section = config.platform
    yield from duration("platform.active_within", section.active_within)
    yield from duration("platform.task_timeout", section.task_timeout)
    for name in section.memory_costs:
        if name not in MEMORY_TIERS:
            yield Finding(f"platform.memory_costs.{name}", f"is no memory tier; there are {', '.join(MEMORY_TIERS)}")
    yield from unique("platform.budgets", [budget.name for budget in section.budgets], "name")
    yield from unique("platform.business", [figure.name for figure in section.business], "name")
    for index, budget in enumerate(section.budgets):
        chosen = [name for name in ("agent", "model", "user") if getattr(budget, name)]
        if len(chosen) > 1:
            message = f"a budget is for one thing, this one for {' and '.join(chosen)}"
            yield Finding(f"platform.budgets[{index}].{chosen[1]}", message)
    for index, figure in enumerate(section.business):
        yield from _field(f"platform.business[{index}].field", figure.field)
        for at, path in enumerate(figure.by):
            yield from _field(f"platform.business[{index}].by[{at}]", path)


CHECKS = (
    Check(("service",), workers),
    Check(("security",), security),
    Check(("log",), log),
    Check(("ingest",), ingest),
    Check(("sources",), sources),
    Check(("sources", "state"), activity),
    Check(("analytics",), analytics),
    Check(("history",), history),
    Check(("forecast",), forecast),
    Check(("platform",), platform),
)


def _windows(section: AnalyticsConfig) -> Iterator[Finding]:
    """Each window is longer than a tick, and none is there twice, as `60s` and `1m` are."""
    first: dict[float, str] = {}
    for index, text in enumerate(section.windows):
        path = f"analytics.windows[{index}]"
        problems = list(duration(path, text))
        yield from problems
        if problems:
            continue
        length = seconds(text)
        if length < section.tick:
            yield Finding(path, f"must be at least as long as analytics.tick ({section.tick:g}s), is {text}")
        if length in first:
            yield Finding(path, f"{text} is there twice, first as {first[length]}")
        first.setdefault(length, text)


def _metric_windows(section: AnalyticsConfig, given: bool) -> Iterator[Finding]:
    lengths = {seconds(text) for text in section.windows}
    for index, metric in enumerate(section.metrics):
        if _length(metric.window) in lengths:
            continue
        if not given:
            message = f"lacks {metric.window}, over which the shipped metrics are computed; add it or declare metrics"
            yield Finding("analytics.windows", message)
            return
        message = f"must be one of analytics.windows ({', '.join(section.windows)}), is {shown(metric.window)}"
        yield Finding(f"analytics.metrics[{index}].window", message)


def _length(text: str) -> float:
    try:
        return seconds(text)
    except ValueError:
        return -1.0


def _breakdowns(path: str, metric: MetricConfig) -> Iterator[Finding]:
    """Each breakdown is by fields that are one label each, and is there once."""
    seen: dict[frozenset[str], int] = {}
    for index, text in enumerate(metric.by):
        place, names = f"{path}.by[{index}]", label_names(text)
        for field in label_fields(text):
            yield from _field(place, field)
        for name in names:
            if not _LABEL.fullmatch(name) or name in _TAKEN_LABELS:
                yield Finding(place, f"{shown(name)} cannot be the name of a label")
        if len(set(names)) < len(names):
            yield Finding(place, f"two of its fields have the label {shown(names[0])}")
        if frozenset(names) in seen:
            yield Finding(place, f"by {', '.join(names)} is there twice, first as {path}.by[{seen[frozenset(names)]}]")
        seen.setdefault(frozenset(names), index)


def _complete(path: str, metric: MetricConfig) -> Iterator[Finding]:
    if metric.kind in _OF_A_FIELD and not metric.field:
        yield Finding(f"{path}.field", f"a metric of the kind {metric.kind} needs a field such as data.latency_ms")
    elif metric.field:
        for part in metric.field.split("+"):
            yield from _field(f"{path}.field", part.strip())
    if metric.kind == "ratio" and not metric.of:
        yield Finding(f"{path}.of", "a ratio needs the event types of its numerator")


def _field(path: str, field: str) -> Iterator[Finding]:
    """A field is an attribute or a path into data; a name of neither kind is most likely one that lacks `data.`."""
    head, *rest = field.split(".")
    if field in ATTRIBUTES or (head == "data" and rest and all(rest)):
        return
    if field != "data" and _EXTENSION.fullmatch(field):
        message = f"{field} is taken for an extension attribute of events; the member of data is data.{field}"
        yield Finding(path, message, warning=True)
        return
    near = "data.latency_ms" if head == "data" else f"data.{field}"
    yield Finding(
        path, f"must be an attribute such as source or a path into data, is {shown(field)}; write e.g. {near}"
    )
