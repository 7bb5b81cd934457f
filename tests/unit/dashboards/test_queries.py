"""The query language: what it understands, and the words with which it refuses."""

import pytest

from hxp_enterprise_llm.event.dashboards.queries import Kind, PanelType, Query, QueryFault, check_panel, choose, parse


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("metric:latency_p95", ("metric", ("latency_p95",), None, 0)),
        ("metric:latency_p50, latency_p95[10m]", ("metric", ("latency_p50", "latency_p95"), 600.0, 0)),
        ("metric:*[1h]", ("metric", ("*",), 3600.0, 0)),
        ("windows:latency*", ("windows", ("latency*",), None, 0)),
        ("events:llm.*,agent.*[20]", ("events", ("llm.*", "agent.*"), None, 20)),
        ("events:*", ("events", ("*",), None, 12)),
        ("count:llm.request.failed[5m]", ("count", ("llm.request.failed",), 300.0, 0)),
        ("count:llm.request.failed", ("count", ("llm.request.failed",), 60.0, 0)),
    ],
)
def test_what_is_understood(text: str, query: tuple[Kind, tuple[str, ...], float | None, int]) -> None:
    assert parse(text) == Query(*query, text)


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("latency", "'latency' is no query: write KIND:NAME or KIND:NAME[5m], e.g. metric:latency_p95[10m]", 1),
        (
            "metrc:latency",
            "'metrc' is no kind of query: metric, windows, events, count, platform or promql (did you mean metric?)",
            1,
        ),
        ("metric:", "a name is missing after 'metric:'", 8),
        ("metric:a,,b", "a name is missing after 'metric:'", 10),
        (
            "metric:a,P95",
            "'P95' is no metric name: lower-case letters, digits and _, perhaps * at its end",
            10,
        ),
        ("events:llm*", "'llm*' is no type pattern: write a type, a prefix such as 'llm.*', or '*'", 8),
        ("windows:latency[5m]", "windows: takes no [amount], it shows every window of the snapshot", 17),
        ("events:llm.*[0]", "'0' is no number of events: 1 to 50", 14),
        ("events:llm.*[ten]", "'ten' is no number of events: 1 to 50", 14),
        ("metric:a[soon]", "'soon' is no duration such as '30s', '1h30m' or '7d'", 10),
        ("metric:a[2h]", "'2h' is out of range: 5s to 1h of history are kept", 10),
        ("metric:a[1s]", "'1s' is out of range: 5s to 1h of history are kept", 10),
        (
            "metric:a[5m][5m]",
            "'metric:a[5m][5m]' is no query: write KIND:NAME or KIND:NAME[5m], e.g. metric:latency_p95[10m]",
            1,
        ),
    ],
)
def test_what_is_refused(text: str, message: str, column: int) -> None:
    with pytest.raises(QueryFault) as caught:
        parse(text)
    assert (str(caught.value), caught.value.column) == (message, column)


@pytest.mark.parametrize(
    ("text", "panel", "message"),
    [
        ("events:llm.*", "graph", "a graph shows metric, count or promql queries, not events"),
        ("metric:a,b", "stat", "a stat shows one metric; for several write a table or a graph"),
        ("metric:a*", "gauge", "a gauge shows one metric; for several write a table or a graph"),
        ("metric:a", "graph", "a graph needs a window, e.g. metric:a[10m]"),
    ],
)
def test_what_a_panel_cannot_show(text: str, panel: PanelType, message: str) -> None:
    with pytest.raises(QueryFault, match=r".") as caught:
        check_panel(parse(text), panel)
    assert str(caught.value) == message


def test_what_a_panel_can_show() -> None:
    check_panel(parse("metric:a,b*"), "table")
    check_panel(parse("count:llm.*"), "stat")
    check_panel(parse("metric:a,b[5m]"), "graph")


def test_names_are_chosen_in_the_order_of_the_query_and_once() -> None:
    known = ["latency", "latency_p50", "latency_p95", "tokens"]
    assert choose(parse("windows:tokens,latency*,latency"), known) == ["tokens", *known[:3]]


def test_an_unknown_metric_is_named_with_what_was_meant() -> None:
    with pytest.raises(QueryFault) as caught:
        choose(parse("metric:latncy_p95"), ["latency_p95", "tokens"])
    assert str(caught.value) == "no metric is named 'latncy_p95' (did you mean latency_p95?)"
