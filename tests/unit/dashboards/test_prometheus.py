"""Panels that Prometheus answers: its numbers in place, and each way it can fail told in place."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.dashboards import prometheus as asking
from hxp_enterprise_llm.event.dashboards.history import Grid
from hxp_enterprise_llm.event.dashboards.model import Panel
from hxp_enterprise_llm.event.dashboards.prometheus import Prometheus
from hxp_enterprise_llm.event.dashboards.promql import Answer, Unusable, refused, shown, understood
from hxp_enterprise_llm.event.dashboards.queries import QueryFault, check_panel, parse
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.model import BEGINNING
from hxp_enterprise_llm.security.egress import Egress
from tests.peer import Peer, serving
from tests.unit.dashboards import site
from tests.unit.dashboards.support import START, HandClock, config, seconds_of


def panel(text: str, type: Any = "stat", **more: Any) -> Panel:
    return Panel(panel_id="p", panel_type=type, title="P", text=text, query=parse(text), **more)


def vector(*series: tuple[dict[str, str], str]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [START, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def matrix(*series: tuple[dict[str, str], list[tuple[float, str]]]) -> dict[str, Any]:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def test_all_behind_the_colon_is_promql() -> None:
    query = parse('promql[1h]: sum by (job) (rate(up{a="b"}[5m])) ')
    assert (query.kind, query.selectors, query.window) == ("promql", ('sum by (job) (rate(up{a="b"}[5m]))',), 3600)
    assert parse("promql:up").window is None


@pytest.mark.parametrize(
    ("text", "type", "said"),
    [
        ("promql:", "stat", "PromQL is missing"),
        ("promql[31d]:up", "graph", "30d can be asked for"),
        ("promql[x]:up", "graph", "'x'"),
        ("promql:up", "graph", "promql[1h]:up"),
        ("promql:up", "feed", "a feed shows events"),
        ("promql:" + "a" * 2001, "stat", "at most 2,000"),
    ],
)
def test_what_is_no_query_for_prometheus_is_said(text: str, type: Any, said: str) -> None:
    with pytest.raises(QueryFault, match=re.escape(said)):
        check_panel(parse(text), type)


def test_values_stand_at_the_end_of_their_steps_and_gaps_stay_gaps() -> None:
    body = json.dumps(matrix(({"job": "a"}, [(10, "1"), (30, "NaN"), (40, "4")]))).encode()
    assert understood(body, Grid(0, 10, 4)).series == {"a": [1.0, None, None, 4.0]}


def test_series_are_named_by_what_tells_them_apart() -> None:
    series = [({"__name__": "up", "job": "x", "instance": name}, "1") for name in ("a", "b")]
    assert list(understood(json.dumps(vector(*series)).encode(), Grid(0, 1, 1)).series) == ["a", "b"]
    same = [({}, "1"), ({}, "2")]
    assert list(understood(json.dumps(vector(*same)).encode(), Grid(0, 1, 1)).series) == ["value", "value'"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["NaN", "1e999", "x", ""]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["metric", "value", "values"]), inner)
        ),
    ),
    st.sampled_from(["scalar", "vector", "matrix", "string", ""]),
)
@example([1e308, "1"], "scalar")
@example([{"metric": {}, "values": [[1e308, "1"]]}], "matrix")
def test_whatever_it_answers_nothing_else_comes_out(result: Any, kind: str) -> None:
    body = json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()
    for raw in (body, body.replace(b"1e+308", b"1e999")):
        try:
            answer = understood(raw, Grid(0, 10, 4))
        except Unusable:
            continue
        json.dumps([list(values) for values in answer.series.values()], allow_nan=False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "not one of Prometheus"),
        (b"\xff", "not one of Prometheus"),
        (b'{"status":"error","error":"parse error"}', "parse error"),
        (b'{"status":"success"}', "neither data nor a reason"),
        (b'{"status":"success","data":{"resultType":"string","result":[1,"x"]}}', "panels show numbers"),
        (json.dumps(vector(*[({"n": str(n)}, "1") for n in range(51)])).encode(), "51 series"),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}', "not one of Prometheus"),
    ],
)
def test_an_answer_that_says_nothing_is_unusable(body: bytes, said: str) -> None:
    with pytest.raises(Unusable) as caught:
        understood(body, Grid(0, 1, 1))
    assert said in str(caught.value)


def test_a_refusal_is_told_in_prometheus_own_words() -> None:
    text = 'http://x/api/v1/query answers 400 {"status":"error","error":"1:3: parse error: unexpected \\"}\\""}'
    assert refused(text) == '1:3: parse error: unexpected "}"'
    assert refused("http://x does not answer") == "http://x does not answer"


def test_each_type_of_panel_shows_its_part() -> None:
    answer = Answer({"a": [1.0, 2.0]}, Grid(0, 10, 2))
    assert shown(panel("promql[1m]:x", "graph", scale=60), answer)["series"] == {"a": [60.0, 120.0]}
    assert shown(panel("promql[1m]:x"), answer) == {"kind": "value", "value": 2.0} | {
        "start": 0,
        "step": 10,
        "series": {"a": [1.0, 2.0]},
    }
    assert shown(panel("promql:x", "table"), answer)["rows"] == [["a", 2.0]]
    assert "sum or choose" in shown(panel("promql:x"), Answer({"a": [1.0], "b": [1.0]}))["fault"]
    assert shown(panel("promql:x"), None) == {"kind": "value", "value": None}
    assert shown(panel("promql:x"), Answer({})) == {"kind": "value", "value": None}


async def asked(peer: Peer, each: Panel, egress: Egress | None = None) -> Answer:
    prometheus = Prometheus(peer.url, egress or Egress(), clock=HandClock())
    await prometheus.ask([each])
    return prometheus.answers[each.text]


async def test_a_real_server_is_asked_once_for_what_is_fresh() -> None:
    async with serving() as peer:
        peer.answers["up"] = vector(({}, "3"))
        clock = HandClock()
        prometheus = Prometheus(peer.url, Egress(), clock=clock)
        for seconds in (0, 5, 5):
            clock.at += seconds
            await prometheus.ask([panel("promql:up"), panel("promql:up", "table")])
        assert prometheus.answers["promql:up"].series == {"value": [3.0]}
        assert len(peer.asked) == 2


async def test_a_history_is_a_range_query_over_the_grid() -> None:
    async with serving() as peer:
        peer.answers["up"] = matrix(({}, [(START - 60, "7")]))
        answer = await asked(peer, panel("promql[10m]:up", "graph"))
        assert 7.0 in answer.series["value"]
        assert "query_range" in peer.asked[0]


@pytest.mark.parametrize("mode", ["slow", "broken", "redirect", "endless", "drip", "packed", "cut", "garbage"])
async def test_a_server_that_misbehaves_is_a_fault_of_its_panel(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TIMEOUT_SECONDS", 0.3)
    async with serving() as peer:
        peer.mode = mode
        answer = await asked(peer, panel("promql:up"))
    assert answer.fault
    assert "\x1b" not in answer.fault
    assert len(answer.fault) < 600


async def test_one_that_is_away_and_one_that_may_not_be_reached_are_said() -> None:
    async with serving() as peer:
        pass
    assert "does not answer" in (await asked(peer, panel("promql:up"))).fault
    async with serving() as peer:
        fault = (await asked(peer, panel("promql:up"), Egress(deny_private=True))).fault
    assert "deny_private" in fault


def defined(directory: Path) -> None:
    definition = {
        "dashboard_id": "34ae2b7c-3c1e-4d0a-9b2e-6f0f5f1c7a01",
        "dashboard_type": "system_health",
        "update_frequency": 5,
        "data_sources": [],
        "panels": [
            {"panel_id": "up", "panel_type": "stat", "data_query": "promql:up"},
            {"panel_id": "cpu", "panel_type": "stat", "data_query": "metric:cpu_percent"},
        ],
    }
    (directory / "own.json").write_text(json.dumps(definition))


async def test_a_dashboard_shows_it_and_one_panels_fault_is_no_others(tmp_path: Path) -> None:
    defined(tmp_path)
    settings = config(str(tmp_path), live={"dashboards": ["own"], "ports": {}})
    async with serving() as peer, aiohttp.ClientSession() as session:
        peer.answers["up"] = vector(({}, "3"))
        async with site.serving(settings=settings, prometheus=peer.url) as served:
            await served.log.append(seconds_of(2))
            async with session.get(f"{served.url}/dashboards/own/data") as answer:
                up, cpu = (await answer.json())["panels"]
            async with session.get(f"{served.url}/dashboards/query?stat=promql:down") as answer:
                (down,) = (await answer.json())["answers"]
    assert (up["value"], cpu["kind"]) == (3.0, "value")
    assert down["kind"] == "fault"
    assert "404" in down["fault"]


async def test_a_slow_server_does_not_keep_a_page_waiting(tmp_path: Path) -> None:
    """The other panels come within the second; the slow one's fault comes with a refresh."""
    defined(tmp_path)
    settings = config(str(tmp_path), live={"dashboards": ["own"], "ports": {}, "caching_enabled": False})
    async with serving() as peer, aiohttp.ClientSession() as session:
        peer.mode = "slow"
        async with site.serving(settings=settings, prometheus=peer.url) as served:
            await served.log.append(seconds_of(2))
            async with asyncio.timeout(asking.TIMEOUT_SECONDS - 1):
                async with session.get(f"{served.url}/dashboards/own/data") as answer:
                    up, cpu = (await answer.json())["panels"]
    assert (up["value"], cpu["value"]) == (None, 38.0)


async def refreshed(log: MemoryLog) -> bool:
    batch = await log.read(BEGINNING)
    return any(event.type == "dashboard.refreshed" for event in batch.events)


async def test_a_slow_server_holds_up_no_refresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TIMEOUT_SECONDS", 60.0)
    defined(tmp_path)
    settings = config(str(tmp_path), live={"dashboards": ["own"], "ports": {}}, refresh={"interval": 0.05})
    async with serving() as peer:
        peer.mode = "slow"
        async with site.serving(settings=settings, prometheus=peer.url) as served:
            await served.log.append(seconds_of(2))
            async with asyncio.timeout(25):  # before the server answers, and before it is given up
                while not (peer.asked and await refreshed(served.log)):
                    await asyncio.sleep(0.02)
