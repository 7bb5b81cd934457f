"""Small batches wait to be taken in together, and what waits is seen all the same."""

from __future__ import annotations

from hxp_enterprise_llm.config.processing import MetricConfig
from hxp_enterprise_llm.event.log.columns import StoredColumns
from hxp_enterprise_llm.event.processing.analytics import Analytics
from hxp_enterprise_llm.event.processing.backlog import ENOUGH_EVENTS, Backlog
from hxp_enterprise_llm.event.processing.history.collector import Collector
from hxp_enterprise_llm.event.processing.metrics import compile_metrics
from hxp_enterprise_llm.event.processing.windows import Timeline

from .events import NOW, WINDOWS, stored

COUNT = compile_metrics([MetricConfig(name="count", types=["*"], kind="count")], WINDOWS)


def batch(first: int, count: int, at: float | None = NOW, **data: object) -> StoredColumns:
    return StoredColumns.of([stored(first + n, "a", at, **data) for n in range(count)])


def test_batches_wait_in_their_order_until_there_are_enough_events() -> None:
    backlog = Backlog()
    assert not backlog.add(batch(1, ENOUGH_EVENTS - 1))
    assert backlog.add(batch(ENOUGH_EVENTS, 1))
    found = backlog.drain()
    assert found is not None
    assert list(found.offsets) == list(range(1, ENOUGH_EVENTS + 1))
    assert backlog.drain() is None
    assert not backlog.add(batch(1, ENOUGH_EVENTS - 1)), "it begins anew"


def test_few_large_events_are_enough() -> None:
    backlog = Backlog()
    large = batch(1, 1, text="x" * 1024 * 1024)
    assert [backlog.add(large) for _ in range(4)] == [False, False, False, True]


def test_an_event_without_a_time_that_waited_belongs_to_when_it_came() -> None:
    core = Analytics(COUNT, Timeline(WINDOWS))
    core.advance(NOW)
    core.take(batch(1, 2, None))
    core.advance(NOW + 30)
    core.take(batch(3, 1, None))
    values = core.values(NOW + 30)
    assert (values["10s"]["count"], values["1m"]["count"]) == (1, 3)


def test_a_metric_that_is_new_does_not_see_what_waited() -> None:
    core = Analytics(COUNT, Timeline(WINDOWS))
    core.advance(NOW)
    core.take(batch(1, 2))
    added = compile_metrics([MetricConfig(name="added", types=["a"], kind="count")], WINDOWS)
    core.adopt([*COUNT, *added])
    core.take(batch(3, 1))
    assert core.values(NOW)["1m"] == {"count": 3, "added": 1}


def test_what_waits_is_in_what_is_kept_and_in_the_totals() -> None:
    core = Analytics(COUNT, Timeline(WINDOWS))
    core.advance(NOW)
    core.take(batch(1, 2))
    again = Analytics(COUNT, Timeline(WINDOWS))
    again.restore(core.kept())
    assert again.values(NOW)["1m"]["count"] == 2
    assert (again.totals.events, core.totals.events, core.sources, core.since) == (2, 2, 1, NOW)


def test_the_history_drains_what_waits_by_the_second_in_which_it_came() -> None:
    collector = Collector(COUNT[0].accumulators)
    collector.take(batch(1, 2, None), NOW)
    collector.take(batch(3, 1, None), NOW + 5)
    assert collector.taken == 3
    (slots,) = collector.drain().values()
    assert {second: memory.n for second, memory in slots.items()} == {int(NOW): 2, int(NOW) + 5: 1}
    assert collector.drain() == {}
