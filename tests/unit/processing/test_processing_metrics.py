"""Metrics: what each kind computes, of which events, and which declarations are refused."""

from __future__ import annotations

from typing import Any

import pytest

from hxp_enterprise_llm.config.processing import MetricConfig, default_metrics
from hxp_enterprise_llm.event.processing.analytics import Analytics
from hxp_enterprise_llm.event.processing.metrics import MetricFault, compile_metrics
from hxp_enterprise_llm.event.processing.windows import Timeline

from .events import NOW, WINDOWS, stored

REQUESTS = ["llm.request.completed", "llm.request.failed"]


def analytics_of(*metrics: MetricConfig) -> Analytics:
    core = Analytics(compile_metrics(metrics, WINDOWS), Timeline(WINDOWS))
    core.advance(NOW)
    return core


def value(config: MetricConfig, *events: Any) -> float | None:
    core = analytics_of(config)
    core.take(events)
    return core.values(NOW)[config.window][config.name]


FIGURES = [stored(n, "llm.request.completed", NOW - n, latency_ms=ms) for n, ms in enumerate([10, 40, 20], start=1)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("count", 3), ("sum", 70), ("mean", 70 / 3), ("min", 10), ("max", 40), ("last", 10), ("distinct", 3)],
)
def test_each_kind(kind: Any, expected: float) -> None:
    config = MetricConfig(name="m", types=["llm.*"], kind=kind, field="data.latency_ms")
    assert value(config, *FIGURES) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        *[(kind, 0) for kind in ("count", "rate", "sum", "distinct")],
        *[(kind, None) for kind in ("ratio", "mean", "min", "max", "last", "quantile")],
    ],
)
def test_nothing_is_0_where_it_adds_up_and_none_elsewhere(kind: Any, expected: float | None) -> None:
    assert value(MetricConfig(name="m", types=["*"], kind=kind, field="data.x", of=["a"])) == expected


def test_last_is_the_latest_by_time_and_within_a_slot_by_log_order() -> None:
    config = MetricConfig(name="m", types=["*"], kind="last", field="data.x")
    events = [stored(1, "a", NOW - 1, x=1), stored(2, "a", NOW - 1.0, x=2), stored(3, "a", NOW - 9, x=3)]
    assert value(config, *events) == 2


def test_ratio_is_the_share_of_its_own_types() -> None:
    config = MetricConfig(name="error_rate", types=REQUESTS, of=["llm.request.failed", "other.*"], kind="ratio")
    events = [stored(n, REQUESTS[n % 5 == 0], NOW) for n in range(10)] + [stored(11, "other.thing", NOW)]
    assert value(config, *events) == 0.2


def test_excluded_types_do_not_count() -> None:
    config = MetricConfig(name="m", types=["*"], exclude=["analytics.*"], kind="count")
    assert value(config, stored(1, "analytics.snapshot"), stored(2, "bench.tick")) == 1


def test_a_rate_divides_by_the_time_observed() -> None:
    config = MetricConfig(name="m", types=["*"], kind="rate", window="1m")
    core = analytics_of(config)
    core.take([stored(1, "a", NOW), stored(2, "a", NOW)])
    assert core.values(NOW)["1m"]["m"] == 2, "never by less than a slot"
    assert core.values(NOW + 20)["1m"]["m"] == 2 / 20
    assert core.values(NOW + 20)["10s"]["m"] == 0
    assert core.values(NOW + 60)["1m"]["m"] == 2 / 60
    assert core.values(NOW + 60.5)["1m"]["m"] == 2 / 60.5
    assert core.values(NOW + 61)["1m"]["m"] == 0


def test_attributes_extensions_and_deep_paths_are_fields() -> None:
    extension = stored(1, "a", NOW)._replace(raw=b'{"source":"/s","tenant":"t1","data":{"u":{"v":[7]},"x":{"y":4}}}')
    assert value(MetricConfig(name="m", types=["a"], kind="distinct", field="source"), extension) == 1
    assert value(MetricConfig(name="m", types=["a"], kind="distinct", field="tenant"), extension) == 1
    assert value(MetricConfig(name="m", types=["a"], kind="sum", field="data.x.y"), extension) == 4
    assert value(MetricConfig(name="m", types=["a"], kind="sum", field="data.x.y.z"), extension) == 0
    assert value(MetricConfig(name="m", types=["a"], kind="count"), extension) == 1


@pytest.mark.parametrize("bad", ["12", True, [1], {"ms": 1}, 2**70, -(2**64)])
def test_what_is_no_number_is_ignored_and_counted(bad: Any) -> None:
    core = analytics_of(MetricConfig(name="m", types=["a"], kind="mean", field="data.x"))
    core.take([stored(1, "a", x=bad), stored(2, "a", x=3), stored(3, "a"), stored(4, "a", x=None)])
    assert core.values(NOW)["1m"]["m"] == 3
    assert core.totals.ignored == 1


def test_lists_and_objects_are_no_distinct_values() -> None:
    core = analytics_of(MetricConfig(name="m", types=["a"], kind="distinct", field="data.x"))
    core.take([stored(n, "a", x=x) for n, x in enumerate(["a", 1, True, [1], {"b": 1}])])
    assert core.values(NOW)["1m"]["m"] == 3
    assert core.totals.ignored == 2


@pytest.mark.parametrize("raw", [b"", b"[1]", b'"text"', b'{"time":', b"\xff{}"])
def test_an_event_that_cannot_be_read_is_ignored_and_counted(raw: bytes) -> None:
    core = analytics_of(MetricConfig(name="m", types=["a"], kind="count"))
    core.take([stored(1, "a")._replace(raw=raw), stored(2, "a")])
    assert core.values(NOW)["1m"]["m"] == 1
    assert core.totals.ignored == 1


def test_a_sum_beyond_all_floats_has_no_value() -> None:
    config = MetricConfig(name="m", types=["a"], kind="sum", field="data.x")
    assert value(config, stored(1, "a", x=1e308), stored(2, "a", x=1e308)) is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"input_tokens": 7, "output_tokens": 3}, 10),
        ({"input_tokens": 7}, 7),
        ({"input_tokens": 7, "output_tokens": "three"}, 0),
        ({}, 0),
    ],
)
def test_a_field_may_add_several_paths(data: Any, expected: float) -> None:
    """What is there is added; something that is no number spoils the value of its event."""
    config = MetricConfig(name="m", types=["t"], kind="sum", field="data.input_tokens + data.output_tokens")
    assert value(config, stored(1, "t", NOW - 1, **data)) == expected


def test_metrics_that_ask_the_same_share_one_accumulator() -> None:
    metrics = {metric.name: metric for metric in compile_metrics(default_metrics(), WINDOWS)}
    assert metrics["latency_p50"].accumulators == metrics["latency_p99"].accumulators
    assert metrics["request_rate"].accumulators[0] == metrics["error_rate"].accumulators[0]
    assert metrics["tokens"].accumulators != metrics["latency"].accumulators
    core = Analytics(tuple(metrics.values()), Timeline(WINDOWS))
    assert len(core._series) == 9 + 2 * 4  # each broken down by two labels: request_rate and error_rate share one


def test_the_shipped_set_over_a_minute_of_requests() -> None:
    core = analytics_of(*default_metrics())
    for n in range(100):
        at = NOW - 60 + 0.6 * n
        failed = n % 4 == 0
        core.take(
            [stored(n, REQUESTS[failed], at, source=f"/gw/{n % 3}", latency_ms=n + 1, input_tokens=7, output_tokens=3)]
        )
    values = core.values(NOW)["1m"]
    assert values["request_rate"] == 100 / 60
    assert values["error_rate"] == 0.25
    assert values["tokens"] == 750
    assert values["active_sources"] == core.sources == 3
    assert values["latency"] == pytest.approx(95, rel=0.011)
    assert values["latency_p50"] == pytest.approx(50, rel=0.011)
    assert values["cpu_percent"] is None


def test_one_slow_request_of_two_shows_in_the_high_quantiles() -> None:
    """An alert on p95 or p99 must not stay silent because there are few requests."""
    core = analytics_of(*default_metrics())
    core.take([stored(n, REQUESTS[0], latency_ms=ms) for n, ms in enumerate([840, 8000], start=1)])
    values = core.values(NOW)["1m"]
    assert values["latency_p50"] == pytest.approx(840, rel=0.01)
    assert values["latency_p95"] == values["latency_p99"] == pytest.approx(8000, rel=0.01)


FAULTS = [
    ({"kind": "quantile"}, "metric m: kind quantile needs `field`, e.g. data.latency_ms"),
    ({"kind": "sum"}, "metric m: kind sum needs `field`, e.g. data.latency_ms"),
    ({"kind": "ratio"}, "metric m: kind ratio needs `of`, the types of the numerator"),
    (
        {"kind": "count", "window": "2m"},
        "metric m: window 2m is not computed; analytics.windows has 10s, 1m, 5m",
    ),
]


@pytest.mark.parametrize(("declaration", "message"), FAULTS)
def test_a_faulty_declaration_says_what_is_wrong(declaration: dict[str, Any], message: str) -> None:
    with pytest.raises(MetricFault) as fault:
        compile_metrics([MetricConfig(name="m", types=["*"], **declaration)], WINDOWS)
    assert str(fault.value) == message


def test_a_name_is_declared_once() -> None:
    twice = [MetricConfig(name="m", types=["*"], kind="count")] * 2
    with pytest.raises(MetricFault, match="metric m: is declared twice; give one of them another name"):
        compile_metrics(twice, WINDOWS)


def test_a_window_may_be_written_in_another_way() -> None:
    metric = compile_metrics([MetricConfig(name="m", types=["*"], kind="count", window="60s")], WINDOWS)[0]
    assert metric.window == "1m"
