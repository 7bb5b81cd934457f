"""Batches: however the log is cut, analytics says what a plain model says that takes one event at a time."""

from __future__ import annotations

import json
from itertools import pairwise
from math import ceil, isclose
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.processing import MetricConfig
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.model import Offset, rfc3339
from hxp_enterprise_llm.event.processing.analytics import Analytics
from hxp_enterprise_llm.event.processing.metrics import compile_metrics
from hxp_enterprise_llm.event.processing.sketch import ACCURACY, LARGEST, SMALLEST
from hxp_enterprise_llm.event.processing.windows import Timeline

from .events import NOW, WINDOWS

HORIZON = 300
X_OR_Y = ["a", "b"]
METRICS = [
    MetricConfig(name="count", types=["*"], exclude=["analytics.*"], kind="count"),
    MetricConfig(name="share", types=["a", "b"], of=["b"], kind="ratio"),
    *[MetricConfig(name=kind, types=X_OR_Y, kind=kind, field="data.x") for kind in ("mean", "min", "max", "last")],
    MetricConfig(name="both", types=["*"], kind="sum", field="data.x + data.y"),
    MetricConfig(name="deep", types=["b"], kind="last", field="data.d.x"),
    MetricConfig(name="p95", types=["a", "c"], kind="quantile", field="data.x"),
    MetricConfig(name="kinds", types=["*"], kind="distinct", field="data.x"),
]


class Taken(NamedTuple):
    """What the model keeps of an event."""

    slot: int
    type: str
    event: dict[str, Any]


class Model:
    """Keeps every event and works everything out when it is asked."""

    def __init__(self) -> None:
        self.now = int(NOW)
        self.events = self.late = self.ignored = 0
        self.kept: list[Taken] = []

    def advance(self, seconds: float) -> None:
        slot = int(seconds)
        if slot < self.now - HORIZON:
            self.kept, self.now = [], slot
        self.now = max(self.now, slot)

    def take(self, stored: Stored) -> None:
        own = stored.type.startswith("analytics.")
        self.events += not own
        try:
            event = json.loads(stored.raw)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            self.ignored += 1
            return
        slot = self.slot(event.get("time"))
        if slot < self.now - HORIZON:
            self.late += 1
            return
        self.kept.append(Taken(slot, stored.type, event))
        self.ignored += not own and not isinstance(event["source"], str | int)
        asked = [(("a", "b"), x_of, number), (("a", "c"), x_of, number), (("b",), deep_of, number)]
        everything = ("a", "b", "c", "analytics.snapshot")
        for types, read, accepts in [*asked, (everything, both_of, number), (everything, x_of, scalar)]:
            value = read(event)
            self.ignored += stored.type in types and value is not None and not accepts(value)

    def slot(self, time: Any) -> int:
        """Times of this test are `now + seconds`, or no times at all."""
        known = isinstance(time, str) and time.startswith("20")
        return min(SLOTS[time], self.now) if known else self.now

    def values(self, length: int) -> dict[str, float | None]:
        kept = sorted((k for k in self.kept if k.slot >= self.now - length), key=lambda k: k.slot)
        ab = [x for k in kept if k.type in "ab" and number(x := x_of(k.event))]
        ac = sorted(x for k in kept if k.type in "ac" and number(x := x_of(k.event)))
        deep = [x for k in kept if k.type == "b" and number(x := deep_of(k.event))]
        asked = [k.type for k in kept if k.type in "ab"]
        return {
            "count": sum(k.type != "analytics.snapshot" for k in kept),
            "share": asked.count("b") / len(asked) if asked else None,
            "mean": sum(ab) / len(ab) if ab else None,
            "min": min(ab, default=None),
            "max": max(ab, default=None),
            "last": ab[-1] if ab else None,
            "both": sum(x for k in kept if number(x := both_of(k.event))),
            "deep": deep[-1] if deep else None,
            "p95": ac[ceil(len(ac) * 95 / 100) - 1] if ac else None,
            "kinds": len({(type(x) is bool, x) for k in kept if scalar(x := x_of(k.event))}),
        }


def number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and -(2**63) <= value < 2**64)


def scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def x_of(event: Any, name: str = "x") -> Any:
    data = event.get("data")
    return data.get(name) if isinstance(data, dict) else None


def deep_of(event: Any) -> Any:
    inner = x_of(event, "d")
    return inner.get("x") if isinstance(inner, dict) else None


def both_of(event: Any) -> Any:
    there = [value for value in (x_of(event), x_of(event, "y")) if value is not None]
    spoiled = [value for value in there if not number(value)]
    return spoiled[0] if spoiled else sum(there) if there else None


SECONDS = [-4000, -301, -300, -299, -60, -11, -10, -1.25, -1, -0.5, 0, 0.5, 2, 7, 100]
SLOTS = {rfc3339(NOW + seconds): int(NOW + seconds) for seconds in SECONDS}
TIMES = st.one_of(st.sampled_from(list(SLOTS)), st.sampled_from([None, "yesterday", 42, True, [1], {"t": 1}, ""]))
NUMBERS = st.one_of(
    st.integers(-50, 5000), st.sampled_from([0, 0.5, -2.25, 1e-12, 1024.0, 2**63, -(2**63), 2**48, 2**48 - 1])
)
ODD: st.SearchStrategy[Any] = st.sampled_from([None, True, "12", [], {"x": 1}, 2**64, 2**70])
VALUES = st.one_of(NUMBERS, NUMBERS, NUMBERS, ODD)
OBJECTS = st.fixed_dictionaries({}, optional={"x": VALUES, "y": VALUES, "z": VALUES, "d": st.one_of(VALUES, ODD)})
DEEP = st.builds(lambda x: {"d": {"x": x}}, VALUES)
DATA = st.one_of(OBJECTS, OBJECTS, DEEP, ODD)
TYPES = st.sampled_from(["a", "a", "b", "c", "analytics.snapshot"])
MALFORMED = st.sampled_from([b"", b"[1]", b'"text"', b'{"time":', b'{"a":1},{"b":2}', b'{"a":1}x'])
SOURCES = st.sampled_from(["/one", "/two", 3, ["/four"]])


def _raw(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


WELL_FORMED = st.fixed_dictionaries({"source": SOURCES}, optional={"time": TIMES, "data": DATA}).map(_raw)
EVENTS = st.tuples(TYPES, st.one_of(*[WELL_FORMED] * 9, MALFORMED))
BATCHES = st.lists(EVENTS, max_size=30)
MOVES = st.sampled_from([0, 0, 0.3, 1, 12, 250, -5, -299, -1000])
STEPS = st.lists(st.tuples(MOVES, BATCHES), max_size=5)


def core() -> Analytics:
    analytics = Analytics(compile_metrics(METRICS, WINDOWS), Timeline(WINDOWS))
    analytics.advance(NOW)
    return analytics


def everything(analytics: Analytics, now: float) -> tuple[Any, ...]:
    return analytics.values(now), analytics.totals, analytics.since, analytics.sources


@settings(max_examples=150, deadline=None)
@given(STEPS, st.data())
def test_any_cut_into_batches_gives_what_the_model_says(
    steps: list[tuple[float, list[tuple[str, bytes]]]], data: st.DataObject
) -> None:
    model, one_by_one, in_batches, waiting, now = Model(), core(), core(), core(), NOW
    for move, pairs in steps:
        now += move
        for each in (model, one_by_one, in_batches, waiting):
            each.advance(now)
        batch = [Stored(Offset(n), type, raw) for n, (type, raw) in enumerate(pairs, start=1)]
        cuts = sorted(data.draw(st.sets(st.integers(0, len(batch)), max_size=3)) | {0, len(batch)})
        for event in batch:
            model.take(event)
            one_by_one.take([event])
            assert one_by_one.totals.events == model.events, "who asks has it taken in at once"
        for begin, end in pairwise(cuts):
            in_batches.take(batch[begin:end])
            waiting.take(batch[begin:end])
            assert in_batches.totals.events <= model.events
        assert everything(in_batches, now) == everything(one_by_one, now) == everything(waiting, now)
        check(in_batches, model, now)


def check(analytics: Analytics, model: Model, now: float) -> None:
    totals = analytics.totals
    assert (totals.events, totals.late, totals.ignored) == (model.events, model.late, model.ignored)
    values = analytics.values(now)
    for label, length in WINDOWS.items():
        for name, expected in model.values(int(length)).items():
            assert alike(name, values[label][name], expected), (label, name)


def alike(name: str, found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    if name == "p95":
        return isclose(within_sketch(found), within_sketch(expected), rel_tol=1.01 * ACCURACY, abs_tol=SMALLEST)
    return isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def within_sketch(value: float) -> float:
    return max(-LARGEST, min(value, LARGEST))


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_sum_of_floats_does_not_depend_on_the_cut(size: int) -> None:
    analytics = core()
    events = [Stored(Offset(n), "a", _raw({"source": "/s", "data": {"x": 0.1 * n}})) for n in range(1, 4097)]
    for begin in range(0, len(events), size):
        analytics.take(events[begin : begin + size])
    expected = 0.0
    for n in range(1, 4097):
        expected += 0.1 * n
    assert analytics.values(NOW)["1m"]["both"] == expected


def test_last_keeps_the_order_of_the_log_across_types() -> None:
    analytics = core()
    pairs = [("a", 1), ("c", 2), ("b", 3), ("c", 4)]
    analytics.take([Stored(Offset(n), type, _raw({"source": "/s", "data": {"x": n}})) for type, n in pairs])
    assert analytics.values(NOW)["1m"]["last"] == 3


def test_the_view_of_a_member_and_of_what_lies_in_it_is_one() -> None:
    metrics = [
        MetricConfig(name="whole", types=["*"], kind="distinct", field="data.x"),
        MetricConfig(name="part", types=["*"], kind="sum", field="data.x.y.z"),
    ]
    analytics = Analytics(compile_metrics(metrics, WINDOWS), Timeline(WINDOWS))
    analytics.advance(NOW)
    inner = [{"y": {"z": 5}}, {"y": 7}, "text", None]
    analytics.take([Stored(Offset(n), "a", _raw({"source": "/s", "data": {"x": x}})) for n, x in enumerate(inner, 1)])
    assert (analytics.values(NOW)["1m"]["part"], analytics.values(NOW)["1m"]["whole"]) == (5, 1)
    assert analytics.totals.ignored == 2


def test_distinct_sums_of_several_paths() -> None:
    analytics = Analytics(
        compile_metrics([MetricConfig(name="n", types=["*"], kind="distinct", field="data.x + data.y")], WINDOWS),
        Timeline(WINDOWS),
    )
    analytics.advance(NOW)
    data: list[dict[str, Any]] = [{"x": 1, "y": 2}, {"x": 2, "y": 1}, {"y": 4}, {}, {"x": "text", "y": 1}]
    analytics.take([Stored(Offset(n), "a", _raw({"source": "/s", "data": each})) for n, each in enumerate(data, 1)])
    assert analytics.values(NOW)["1m"]["n"] == 3


def test_one_faulty_event_costs_its_batch_nothing() -> None:
    analytics = core()
    good = [Stored(Offset(n), "a", _raw({"source": "/s", "data": {"x": n}})) for n in range(1, 6)]
    analytics.take([*good[:2], good[2]._replace(raw=b'{"data":'), *good[3:]])
    values = analytics.values(NOW)["1m"]
    assert (values["count"], values["both"], values["last"]) == (4, 12, 5)
    assert (analytics.totals.events, analytics.totals.ignored) == (5, 1)
