"""Several pages in one: what is added, what is shown once, and that a scraper can read it."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from hxp_enterprise_llm.telemetry.exposition import Given, render
from hxp_enterprise_llm.telemetry.joining import join, parse
from hxp_enterprise_llm.telemetry.quantiles import QuantileSummary


def page(scale: float, *, quiet: bool = False) -> str:
    """What one process says; `quiet`: its summary has seen nothing."""
    registry = CollectorRegistry()
    counter = Counter("citadel_events", "Events", ["kind"], registry=registry)
    counter.labels("a").inc(scale)
    counter.labels(f"only {scale:g}").inc()
    histogram = Histogram("citadel_wait_seconds", "Waits", buckets=(1, 2), registry=registry)
    histogram.observe(1.5)
    for name in ("streaming_connections_total", "citadel_connections_limit", "citadel_last_reload_successful"):
        Gauge(name, "A gauge", registry=registry).set(scale)
    summary = QuantileSummary("latency_seconds", "Latency", registry, lambda: 0.0)
    if not quiet:
        summary.observe(scale)
    return render(registry)[1].decode()


@pytest.fixture(params=[False, True], ids=["first quiet", "last quiet"])
def values(request):
    """Sample → value of two joined pages and a quiet third."""
    pages = [page(1), page(10), page(100, quiet=True)]
    if not request.param:
        pages.reverse()
    samples = [sample for family in join(map(parse, pages)) for sample in family.samples]
    made = {(sample.name, *sorted(sample.labels.values())): sample.value for sample in samples}
    assert len(made) == len(samples)
    return made


def test_counts_are_added(values):
    """Counters, histograms and what a gauge counts; a label of one process is kept."""
    assert values["citadel_events_total", "a"] == 111
    assert values["citadel_events_total", "only 10"] == 1
    assert values["citadel_wait_seconds_bucket", "1.0"] == 0
    assert values["citadel_wait_seconds_bucket", "2.0"] == 3
    assert values["citadel_wait_seconds_count",] == 3
    assert values["streaming_connections_total",] == 111


def test_what_all_see_alike_is_shown_once(values):
    """The limit is one; a reload that failed anywhere has failed."""
    assert values["citadel_connections_limit",] == 100
    assert values["citadel_last_reload_successful",] == 1


def test_a_summary_shows_the_slowest_and_the_sum(values):
    """One that has seen nothing takes nothing away."""
    assert values["latency_seconds", "0.99"] == 10
    assert values["latency_seconds_sum",] == 11
    assert values["latency_seconds_count",] == 2


def test_nothing_seen_anywhere_stays_unknown():
    families = join([parse(page(1, quiet=True)), parse(page(2, quiet=True))])
    (summary,) = [family for family in families if family.name == "latency_seconds"]
    assert math.isnan(summary.samples[0].value)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_the_page_can_be_read_again(accept):
    """In both forms, and a page joined with nothing says what it said."""
    families = join([parse(page(3))])
    content_type, body = render(Given(families), accept)
    read = parse_openmetrics if "openmetrics" in content_type else parse
    assert ("openmetrics" in content_type) == bool(accept)
    wanted = {(sample.name, str(sample.labels), sample.value) for family in families for sample in family.samples}
    found = {(s.name, str(s.labels), s.value) for family in read(body.decode()) for s in family.samples}
    assert {each[0] for each in wanted} == {each[0] for each in found}
    assert ("citadel_events_total", "{'kind': 'a'}", 3.0) in found
