"""The last hour in memory, against the plain list of what was recorded."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.dashboards.history import (
    EVENTS_PER_TYPE,
    HORIZON,
    KEPT_BYTES,
    MOST_METRICS,
    MOST_POINTS,
    MOST_TYPES,
    EventCounts,
    Grid,
    LatestEvents,
    MetricHistory,
    grid,
    scalars,
)
from hxp_enterprise_llm.event.model import TypePatterns, rfc3339
from tests.unit.dashboards.support import START, event

ALL = TypePatterns(["*"])


@given(st.floats(5, 3600), st.floats(0, 10_000), st.sampled_from([1, 5]))
def test_a_grid_covers_the_window_with_closed_steps(window: float, past: float, least: int) -> None:
    now = START + past
    places = grid(now, window, least_step=least)
    end = places.start + places.points * places.step
    assert places.points <= MOST_POINTS
    assert places.step >= least
    assert places.points * places.step >= window
    assert end <= now - 1 < end + places.step
    assert places.start % places.step == 0


@given(st.dictionaries(st.integers(0, 200), st.none() | st.floats(-1e6, 1e6), max_size=60), st.sampled_from([1, 5, 10]))
@settings(max_examples=60)
def test_a_series_has_the_last_value_of_each_step(values: dict[int, float | None], step: int) -> None:
    history = MetricHistory()
    for second in sorted(values):
        history.record(START + second, {"m": values[second]})
    series = history.series("m", Grid(int(START), step, 200 // step))
    for index, value in enumerate(series):
        kept = [values.get(second) for second in range(index * step, (index + 1) * step)]
        expected = [v for v in kept if v is not None]
        assert value == (float(f"{expected[-1]:.5g}") if expected else None)


def test_what_is_older_than_the_horizon_is_gone() -> None:
    history = MetricHistory()
    history.record(START, {"m": 1.0})
    history.record(START + HORIZON, {"m": 2.0})
    assert history.series("m", Grid(int(START), 1, 1)) == [None]
    assert history.series("m", Grid(int(START) + HORIZON, 1, 1)) == [2.0]


def test_a_metric_that_is_left_out_has_no_value() -> None:
    history = MetricHistory()
    history.record(START, {"m": 1.0})
    history.record(START + 1, {})
    assert history.series("m", Grid(int(START), 1, 2)) == [1.0, None]
    assert history.series("unknown", Grid(int(START), 1, 2)) == [None, None]


def test_the_number_of_metrics_is_bounded() -> None:
    history = MetricHistory()
    history.record(START, {f"m{n}": 1.0 for n in range(MOST_METRICS + 5)})
    assert len(history._values) == MOST_METRICS


def test_counts_by_slot_and_in_total() -> None:
    counts = EventCounts()
    for second, type in [(0, "a.x"), (1, "a.x"), (4, "a.y"), (5, "a.x"), (14, "b")]:
        counts.record(START + second, type)
    places = Grid(int(START), 5, 3)
    assert counts.types(TypePatterns(["a.*"])) == ["a.x", "a.y"]
    assert counts.series(["a.x"], places) == [2, 1, 0]
    assert counts.series(["a.x", "a.y", "b"], Grid(int(START), 10, 2)) == [4, 1]
    assert counts.total(["a.x", "a.y", "b"], START + 14, 5) == 1
    assert counts.total(["a.x", "a.y", "b"], START + 14, 10) == 2
    assert counts.total(["a.x"], START + 14, 3600) == 3


def test_an_event_beyond_the_horizon_is_not_counted_as_new() -> None:
    counts = EventCounts()
    counts.record(START + HORIZON, "a")
    counts.record(START, "a")
    assert counts.total(["a"], START + HORIZON, 5) == 1


def test_the_type_that_was_silent_longest_is_forgotten() -> None:
    counts = EventCounts()
    for number in range(MOST_TYPES):
        counts.record(START, f"t{number}")
    counts.record(START, "t0")
    counts.record(START, "new")
    assert len(counts.types(ALL)) == MOST_TYPES
    assert counts.types(TypePatterns(["t0", "t1", "new"])) == ["new", "t0"]


def test_the_latest_events_come_in_the_order_of_the_log() -> None:
    latest = LatestEvents()
    for offset in range(1, EVENTS_PER_TYPE + 20):
        type = "llm.a" if offset % 2 else "llm.b"
        latest.add(offset, type, event(type, START + offset, {"n": offset}).raw)
    latest.add(500, "host.cpu", event("host.cpu").raw)
    rows = latest.latest(TypePatterns(["llm.*"]), 3)
    assert [row["offset"] for row in rows] == [67, 68, 69]
    assert rows[-1] == {
        "offset": 69,
        "time": rfc3339(START + 69),
        "type": "llm.a",
        "source": "/test",
        "subject": "one",
        "data": {"n": 69},
    }


def test_types_of_latest_events_are_bounded() -> None:
    latest = LatestEvents()
    for number in range(MOST_TYPES + 1):
        latest.add(number + 1, f"t{number}", event(f"t{number}").raw)
    assert latest.latest(TypePatterns(["t0"]), 5) == []
    assert len(latest.latest(TypePatterns(["t1"]), 5)) == 1


def test_a_large_event_is_kept_without_what_a_line_does_not_show() -> None:
    raw = event("llm.a", data={"model": "m", "prompt": "x" * KEPT_BYTES, "nested": {"a": 1}}).raw
    latest = LatestEvents()
    latest.add(1, "llm.a", raw)
    (kept,) = latest._by_type["llm.a"]
    assert len(kept[1]) < 400
    assert latest.latest(ALL, 1)[0]["data"] == {"model": "m", "prompt": "x" * 79 + "…"}


def test_scalars_of_a_line() -> None:
    assert scalars([1, 2]) == {}
    assert scalars({"a": None, "b": True, "c": {}, "d": [1], "e": 1.5}) == {"a": None, "b": True, "e": 1.5}
    assert len(scalars({f"k{n}": n for n in range(50)})) == 12
    assert msgspec.json.encode(scalars({"k" * 500: 1})) == b'{"' + b"k" * 80 + b'":1}'
