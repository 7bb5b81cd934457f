"""The core of analytics against brute force, and what it does with late, early and timeless events."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.processing import MetricConfig
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.analytics import Analytics, Arrival
from hxp_enterprise_llm.event.processing.metrics import compile_metrics
from hxp_enterprise_llm.event.processing.plan import Planner
from hxp_enterprise_llm.event.processing.windows import Timeline

from .events import NOW, WINDOWS, stored

COUNT = MetricConfig(name="count", types=["*"], exclude=["analytics.*"], kind="count")
SUM = MetricConfig(name="sum", types=["a.*"], kind="sum", field="data.x")
SHARE = MetricConfig(name="share", types=["*"], of=["a.*"], exclude=["analytics.*"], kind="ratio")
LOWEST = MetricConfig(name="lowest", types=["*"], kind="min", field="data.x")
KINDS = MetricConfig(name="kinds", types=["*"], kind="distinct", field="type")
ALL = [COUNT, SUM, SHARE, LOWEST, KINDS]


def analytics(*configs: MetricConfig, now: float = NOW) -> Analytics:
    core = Analytics(compile_metrics(configs or ALL, WINDOWS), Timeline(WINDOWS))
    core.advance(now)
    return core


def counts(core: Analytics, now: float = NOW) -> list[float | None]:
    return [core.values(now)[label]["count"] for label in WINDOWS]


TYPES = st.sampled_from(["a.b", "a.c", "b", "analytics.snapshot"])
STEPS = st.lists(
    st.tuples(TYPES, st.floats(-400, 5), st.integers(-5, 5), st.sampled_from([0.0, 0.2, 1.0, 7.5, 70.0])),
    max_size=60,
)


def brute_force(came: list[tuple[str, int, int]], now: float) -> dict[str, dict[str, Any]]:
    answer = {}
    for label, length in WINDOWS.items():
        inside = [(type, x) for type, slot, x in came if int(now) - length <= slot]
        counted = [type for type, _ in inside if type != "analytics.snapshot"]
        answer[label] = {
            "count": len(counted),
            "sum": sum(x for type, x in inside if type.startswith("a.")),
            "share": sum(type.startswith("a.") for type in counted) / len(counted) if counted else None,
            "lowest": min((x for _, x in inside), default=None),
            "kinds": len({type for type, _ in inside}),
        }
    return answer


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_windows_are_what_brute_force_says(steps: list[tuple[str, float, int, float]]) -> None:
    core, now = analytics(), NOW
    came: list[tuple[str, int, int]] = []
    late = 0
    for number, (type, back, x, step) in enumerate(steps, start=1):
        now += step
        core.advance(now)
        core.take([stored(number, type, round(now + back, 3), x=x)])
        slot = min(int(round(now + back, 3)), int(now))
        if slot < int(now) - 300:
            late += 1
        else:
            came.append((type, slot, x))
        assert core.values(now) == brute_force(came, now)
    assert core.totals.late == late
    assert core.totals.events == sum(type != "analytics.snapshot" for type, *_ in steps)


def test_an_event_from_the_future_counts_as_of_now() -> None:
    core = analytics()
    core.take([stored(1, "b", NOW + 250)])
    assert counts(core) == [1, 1, 1]
    assert counts(core, NOW + 11) == [0, 1, 1]


def test_an_event_without_a_time_counts_as_of_its_arrival() -> None:
    core = analytics()
    core.take([stored(1, "b", None), stored(2, "b")._replace(raw=b'{"time":"yesterday"}')])
    core.take([stored(3, "b")._replace(raw=b'{"time":"2027-01-15T08:00:00"}')])
    core.take([stored(4, "b")._replace(raw=b'{"time":42}')])
    assert counts(core) == [4, 4, 4]


def test_an_event_older_than_the_largest_window_is_late_and_left_out() -> None:
    core = analytics()
    core.take([stored(1, "b", NOW - 301), stored(2, "b", NOW - 300), stored(3, "b", NOW - 59)])
    assert counts(core) == [0, 1, 2]
    assert (core.totals.late, core.totals.events) == (1, 3)


def test_what_no_metric_touches_is_not_decoded() -> None:
    core = analytics(SUM)
    core.take([stored(1, "analytics.snapshot")._replace(raw=b"not JSON")])
    assert core.totals.ignored == 0


def test_a_clock_set_back_a_little_stands_still() -> None:
    core = analytics()
    core.take([stored(1, "b", NOW)])
    assert core.advance(NOW - 100) is False
    core.take([stored(2, "b", NOW - 100)])
    assert counts(core, NOW - 100) == [1, 1, 2]


def test_a_clock_set_back_by_much_begins_afresh() -> None:
    core = analytics()
    core.take([stored(1, "b", NOW)])
    assert core.advance(NOW - 3600) is True
    assert counts(core, NOW - 3600) == [0, 0, 0]
    core.take([stored(2, "b", NOW - 3600)])
    assert counts(core, NOW - 3600) == [1, 1, 1]


def test_a_clock_set_forward_empties_the_windows() -> None:
    core = analytics()
    core.take([stored(1, "b", NOW)])
    assert counts(core, NOW + 86_400) == [0, 0, 0]


def test_read_again_from_the_log_an_event_arrives_when_it_did() -> None:
    core = analytics()
    arrival = Arrival(int(NOW) - 30, int(NOW) - 29)
    core.take([stored(1, "b", None), stored(2, "b", NOW + 100)], arrival, count=False)
    assert counts(core) == [0, 2, 2]
    assert counts(core, NOW + 31) == [0, 1, 2]
    assert core.totals.events == 0


def test_another_list_of_metrics_keeps_what_it_shares() -> None:
    rate = MetricConfig(name="rate", types=["*"], kind="rate", exclude=["analytics.*"])
    core = analytics(COUNT)
    core.take([stored(n, "a.b", NOW - n, x=1) for n in range(5)])
    core.adopt(compile_metrics([COUNT, rate, SUM], WINDOWS))
    values = core.values(NOW)["1m"]
    assert (values["count"], values["sum"]) == (5, 0)
    assert values["rate"] == 5 / 4, "over the time that its accumulator has watched"
    core.take([stored(9, "a.b", NOW, x=7)])
    assert core.values(NOW)["1m"]["sum"] == 7


def test_a_new_rate_divides_by_its_own_time() -> None:
    rate = MetricConfig(name="rate", types=["b"], kind="rate")
    core = analytics(COUNT, now=NOW - 100)
    core.take([stored(1, "b", NOW - 100)])
    core.advance(NOW)
    core.adopt(compile_metrics([rate], WINDOWS))
    core.take([stored(2, "b", NOW)])
    assert core.values(NOW + 4)["1m"]["rate"] == 1 / 4
    core.adopt(compile_metrics([rate, COUNT], WINDOWS))
    assert core.values(NOW + 5)["1m"]["rate"] == 1 / 5, "another change of the list takes nothing from it"


def test_units_are_told() -> None:
    core = analytics(MetricConfig(name="m", types=["*"], kind="count", unit="events"))
    assert core.units() == {"m": "events"}


def test_types_of_a_kind_share_a_plan_and_what_is_known_is_bounded() -> None:
    planner = Planner(analytics()._series)
    assert planner.kinds_of(["a.b", "b", "a.c", "analytics.snapshot"]) == [0, 1, 0, 2]
    assert [kind.own for kind in planner.kinds] == [False, False, True]
    assert planner.plan(frozenset([0, 1])) is planner.plan(frozenset([1, 0]))
    planner.kinds_of(f"b.{number}" for number in range(5000))
    assert len(planner._by_type) <= 4096
    assert len(planner.kinds) == 3


def test_a_batch_of_nothing_begins_no_observation() -> None:
    core = analytics(MetricConfig(name="rate", types=["*"], kind="rate"))
    core.take([])
    core.advance(NOW + 30)
    core.take([Stored(*stored(1, "b", NOW + 30))])
    assert core.values(NOW + 32)["1m"]["rate"] == 1 / 2
