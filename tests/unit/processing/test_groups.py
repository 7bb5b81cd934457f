"""Metrics by label set: against brute force, within their bounds, and the same after a restart."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import parse
from hxp_enterprise_llm.config.processing import AnalyticsConfig, MetricConfig, ProcessingConfig, default_metrics
from hxp_enterprise_llm.event.log.model import Stored
from hxp_enterprise_llm.event.processing.analytics import Analytics
from hxp_enterprise_llm.event.processing.metrics import compile_metrics
from hxp_enterprise_llm.event.processing.windows import Timeline

from .events import NOW, WINDOWS, event, stored
from .virtual import VirtualClock, engine_of, opened, running

ERRORS = MetricConfig(name="errors", types=["ok", "bad"], of=["bad"], kind="ratio", by=["data.model", "data.agent"])
SUM = MetricConfig(name="sum", types=["*"], kind="sum", field="data.x", by=["data.agent, data.model"])
P95 = MetricConfig(name="p95", types=["*"], kind="quantile", field="data.x", by=["source"])


def analytics(*metrics: MetricConfig, now: float = NOW) -> Analytics:
    core = Analytics(compile_metrics(metrics, WINDOWS), Timeline(WINDOWS))
    core.advance(now)
    return core


def shown(core: Analytics, name: str, now: float = NOW) -> dict[tuple[str, ...], float]:
    """The values of a metric by the values of its labels, in the order of their names."""
    core.values(now)
    return {tuple(each.labels.values()): each.value for each in core.groups(now)[name].values}


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ok", "bad"]),
        st.integers(-90, 0),
        st.sampled_from(["a", "b", 7, None, "", True, ["a"]]),
        st.sampled_from(["m", "n", None]),
        st.sampled_from([1, 2, 5, None, "x"]),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.integers(1, 7))
def test_each_label_set_is_what_its_events_alone_would_be(came: list[tuple[Any, ...]], cut: int) -> None:
    core = analytics(ERRORS, SUM)
    events = [
        stored(number, type, NOW + back, agent=agent, model=model, x=x)
        for number, (type, back, agent, model, x) in enumerate(came, start=1)
    ]
    for start in range(0, len(events), cut):
        core.take(events[start : start + cut])
    inside = [(type, _text(agent), _text(model), x) for type, back, agent, model, x in came if back >= -60]
    expected = {}
    for label in ("m", "n"):
        of_model = [type == "bad" for type, _, model, _ in inside if model == label]
        if of_model:
            expected[label,] = sum(of_model) / len(of_model)
    found = core.values(NOW) and core.groups(NOW)["errors"].values
    assert {tuple(v.labels.values()): v.value for v in found if "model" in v.labels} == expected
    sums: dict[tuple[str, str], int] = {}
    for _, agent, model, x in inside:
        if agent and model and isinstance(x, int):
            sums[agent, model] = sums.get((agent, model), 0) + x
    assert shown(core, "sum") == sums


def _text(value: Any) -> str:
    return str(value) if type(value) in (str, int) else ""


def test_a_label_set_leaves_when_its_events_leave_the_window() -> None:
    core = analytics(P95)
    core.take([stored(1, "a", NOW, source="/one", x=5)])
    assert shown(core, "p95") == {("/one",): 5}
    assert shown(core, "p95", NOW + 61) == {}


def test_beyond_the_limit_the_busiest_are_shown_and_the_rest_is_counted() -> None:
    core = analytics(msgspec.structs.replace(SUM, limit=2))
    for second in range(3):
        core.advance(NOW + second)
        agents = ["busy", "busy", "busy", "often", "often", f"rare-{second}"]
        core.take([stored(10 * second + n, "a", NOW + second, agent=a, model="m", x=1) for n, a in enumerate(agents)])
    found = core.values(NOW + 2) and core.groups(NOW + 2)["sum"]
    assert [(each.labels["agent"], each.value) for each in found.values] == [("busy", 9), ("often", 6)]
    assert found.ungrouped == 3


def test_memory_is_bounded_whatever_names_are_sent() -> None:
    core = analytics(msgspec.structs.replace(SUM, limit=5))
    for second in range(80):
        core.advance(NOW + second)
        core.take([stored(n, "a", NOW + second, agent=f"{second}-{n}", model="m", x=1) for n in range(50)])
    found = core.values(NOW + 79) and core.groups(NOW + 79)["sum"]
    assert len(found.values) == 5
    assert sum(each.value for each in found.values) + found.ungrouped == 61 * 50


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([3, 100]))
async def test_a_rebuilt_engine_shows_the_same_label_sets(seed: int, limit: int) -> None:
    metrics = [msgspec.structs.replace(metric, limit=limit) for metric in (ERRORS, SUM, P95)]
    config = AnalyticsConfig(metrics=metrics)
    chance, clock = random.Random(seed), VirtualClock(NOW + 0.5)
    log = await opened(clock)
    async with running(engine_of(log, clock, config)) as uninterrupted:
        for _ in range(70):
            await log.append([_random(chance, clock) for _ in range(chance.randrange(1, 9))])
            await clock.advance(1)
        restarted = engine_of(log, clock, config)
        await restarted.rebuild()
        assert restarted.snapshot() == uninterrupted.snapshot()
        assert uninterrupted.snapshot().groups["sum"]


def _random(chance: random.Random, clock: VirtualClock) -> Any:
    return event(
        int(clock.new_id()[2:]),
        chance.choice(["ok", "bad"]),
        clock.time() - chance.choice([0, 0, 3, 45]),
        source=f"/s{chance.randrange(9)}",
        agent=f"a{chance.randrange(8)}",
        model=f"m{chance.randrange(3)}",
        x=chance.randrange(100),
    )


def test_what_is_not_broken_down_costs_nothing() -> None:
    plain = [msgspec.structs.replace(metric, by=[]) for metric in default_metrics()]
    core = analytics(*plain)
    core.take([Stored(1, "llm.request.completed", b'{"data":{"model":"m","latency_ms":5}}')])
    assert core.groups(NOW) == {}
    assert not any(accumulator.by for metric in core.metrics for accumulator in metric.accumulators)


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("[model]", "WARNING"),
        ("[data.model, data.model]", "by[1]: by model is there twice, first as analytics.metrics[0].by[0]"),
        ("[data.]", 'by[0]: must be an attribute such as source or a path into data, is "data."; write e.g.'),
        ("[data.severity]", 'by[0]: "severity" cannot be the name of a label'),
        ("[data.a-b]", 'by[0]: "a-b" cannot be the name of a label'),
        ('["data.model, data.x.model"]', 'by[0]: two of its fields have the label "model"'),
    ],
)
def test_a_breakdown_that_makes_no_sense_is_refused_with_its_place(by: str, message: str) -> None:
    text = f"analytics:\n  metrics:\n    - {{name: n, types: [a], kind: count, by: {by}}}\n"
    if message == "WARNING":
        assert "data.model" in parse(ProcessingConfig, text, {}).warnings[0]
        return
    with pytest.raises(ConfigFaults) as caught:
        parse(ProcessingConfig, text, {}, name="f.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("f.yaml:3:")
