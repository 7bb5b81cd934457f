"""Declared metrics, compiled: which accumulators they read, and how a value comes out of them.

Metrics that ask the same of the same events share an accumulator: p50, p95 and p99 of a field are one sketch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, NamedTuple, Protocol

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.processing import OWN_TYPES, MetricConfig, label_fields, label_names
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.model import TypePatterns
from hxp_enterprise_llm.event.processing.aggregates import Aggregate, Count, Distinct, Numbers
from hxp_enterprise_llm.event.processing.groups import Groups, Key
from hxp_enterprise_llm.event.processing.sketch import Sketch

Family = Literal["count", "numbers", "quantiles", "distinct"]

MAKERS: Mapping[Family, Callable[[], Aggregate]] = {
    "count": Count,
    "numbers": Numbers,
    "quantiles": Sketch,
    "distinct": Distinct,
}

_FAMILIES: Mapping[str, Family] = {
    "count": "count",
    "rate": "count",
    "ratio": "count",
    "sum": "numbers",
    "mean": "numbers",
    "min": "numbers",
    "max": "numbers",
    "last": "numbers",
    "quantile": "quantiles",
    "distinct": "distinct",
}


class MetricFault(ConfigError):
    """A metric that cannot be computed as it is declared."""

    def __init__(self, metric: str, problem: str) -> None:
        super().__init__(metric, problem)
        self.metric, self.problem = metric, problem

    def __str__(self) -> str:
        return f"metric {self.metric}: {self.problem}"


class Selection(NamedTuple):
    """Which events count: those of `types` without `exclude`, and of `of` as well when it is not empty."""

    types: TypePatterns
    exclude: TypePatterns
    of: TypePatterns

    def matches(self, type: str) -> bool:
        """Whether events of this type count."""
        chosen = self.types.matches(type) and not self.exclude.matches(type)
        return chosen and (not self.of.patterns or self.of.matches(type))


class Accumulator(NamedTuple):
    """The identity of an accumulator: equal ones are one.

    `fields` are the paths of the numbers that make up its value, added; empty for counts.
    """

    family: Family
    selection: Selection
    fields: tuple[tuple[str, ...], ...]
    by: tuple[tuple[str, ...], ...] = ()
    """The paths of the labels by which it is broken down; empty: it is not."""
    limit: int = 0
    """Most label sets."""

    def make(self) -> Aggregate:
        """The empty memory of a slot."""
        maker = MAKERS[self.family]
        return Groups(maker, self.limit) if self.by else maker()


SOURCES = Accumulator(
    "distinct", Selection(TypePatterns(["*"]), TypePatterns(OWN_TYPES), TypePatterns([])), (("source",),)
)
"""Always kept: the snapshot says how many sources sent events."""


class Window(Protocol):
    """What the accumulators hold over one window."""

    def read(self, accumulator: Accumulator) -> Aggregate | None:
        """Its memory of the window; None when nothing happened."""
        ...

    def observed_seconds(self, accumulator: Accumulator) -> float:
        """The part of the window that it has been watching, above 0."""
        ...


class Breakdown(NamedTuple):
    """A metric by label set: the names of the labels, and the accumulators that it reads instead of the metric's."""

    labels: tuple[str, ...]
    source: Accumulator
    part: Accumulator | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric ready to be computed. `window` is the label of the window whose value stands under its name."""

    name: str
    kind: str
    unit: str
    window: str
    source: Accumulator
    part: Accumulator | None = None
    quantile: float = 0.0
    breakdowns: tuple[Breakdown, ...] = ()

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        """What it reads."""
        pairs = [(self.source, self.part), *((each.source, each.part) for each in self.breakdowns)]
        return tuple(accumulator for pair in pairs for accumulator in pair if accumulator)

    def value(self, window: Window) -> float | None:
        """The value over a window. Counts, sums and rates of nothing are 0; ratios, means, quantiles … are None.

        A rate is events a second of the time observed: a service that started 20 s ago divides by 20, not by 60.
        """
        found = window.read(self.source)
        if isinstance(found, Numbers):
            return _finite(_figure(self.kind, found))
        if isinstance(found, Sketch):
            value = found.quantile(self.quantile)
            return None if value is None else float(f"{value:.6g}")
        events = found.n if isinstance(found, Count | Distinct) else 0
        match self.kind:
            case "rate":
                return events / window.observed_seconds(self.source)
            case "ratio":
                return self._share(window, events)
            case "count" | "distinct" | "sum":
                return events
            case _:
                return None

    def _share(self, window: Window, events: int) -> float | None:
        found = window.read(self.part) if self.part else None
        return (found.n if isinstance(found, Count) else 0) / events if events else None


class OneOf:
    """One label set of a breakdown as a window of its own."""

    def __init__(self, window: Window, metric: Metric, breakdown: Breakdown, key: Key) -> None:
        self._window, self._metric, self._breakdown, self._key = window, metric, breakdown, key

    def read(self, accumulator: Accumulator) -> Aggregate | None:
        """What the window holds of this label set."""
        instead = self._breakdown.source if accumulator == self._metric.source else self._breakdown.part
        found = self._window.read(instead) if instead else None
        return found.get(self._key) if isinstance(found, Groups) else None

    def observed_seconds(self, accumulator: Accumulator) -> float:
        """As of the window."""
        return self._window.observed_seconds(accumulator)


def _figure(kind: str, numbers: Numbers) -> float:
    match kind:
        case "sum":
            return numbers.total
        case "mean":
            return numbers.total / numbers.n
        case "min":
            return numbers.minimum
        case "max":
            return numbers.maximum
        case _:
            return numbers.last


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def compile_metrics(configs: Sequence[MetricConfig], windows: Mapping[str, float]) -> tuple[Metric, ...]:
    """Metrics in the order of their declaration. `windows`: seconds by label. Raises MetricFault."""
    metrics = tuple(_compile(config, windows) for config in configs)
    seen: set[str] = set()
    for metric in metrics:
        if metric.name in seen:
            raise MetricFault(metric.name, "is declared twice; give one of them another name")
        seen.add(metric.name)
    return metrics


def _compile(config: MetricConfig, windows: Mapping[str, float]) -> Metric:
    family = _FAMILIES[config.kind]
    if family != "count" and not config.field:
        raise MetricFault(config.name, f"kind {config.kind} needs `field`, e.g. data.latency_ms")
    if config.kind == "ratio" and not config.of:
        raise MetricFault(config.name, "kind ratio needs `of`, the types of the numerator")
    types, exclude, of, none = (TypePatterns(p) for p in (config.types, config.exclude, config.of, ()))
    parts = config.field.split("+") if family != "count" else []
    paths = tuple(tuple(part.strip().split(".")) for part in parts)
    source = Accumulator(family, Selection(types, exclude, none), paths)
    part = Accumulator("count", Selection(types, exclude, of), ()) if config.kind == "ratio" else None
    return Metric(
        name=config.name,
        kind=config.kind,
        unit=config.unit,
        window=_label(config, windows),
        source=source,
        part=part,
        quantile=config.quantile,
        breakdowns=tuple(_breakdown(fields, config.limit, source, part) for fields in config.by),
    )


def _breakdown(text: str, limit: int, source: Accumulator, part: Accumulator | None) -> Breakdown:
    by = tuple(tuple(field.split(".")) for field in label_fields(text))
    return Breakdown(
        label_names(text), source._replace(by=by, limit=limit), part._replace(by=by, limit=limit) if part else None
    )


def _label(config: MetricConfig, windows: Mapping[str, float]) -> str:
    wanted = seconds(config.window)
    for label, length in windows.items():
        if length == wanted:
            return label
    raise MetricFault(
        config.name, f"window {config.window} is not computed; analytics.windows has {', '.join(windows)}"
    )
