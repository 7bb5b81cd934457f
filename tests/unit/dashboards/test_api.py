"""The routes, asked over real sockets through the real edge."""

import html
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hxp_enterprise_llm.event.dashboards import assets
from hxp_enterprise_llm.event.dashboards.assets import accepted, parts, without_user
from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.model import LogUnavailable
from hxp_enterprise_llm.event.model import BEGINNING, TypePatterns
from tests.unit.dashboards.site import Site, serving
from tests.unit.dashboards.support import START, HandClock, alert, config, seconds_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'; require-trusted-types-for 'script'"
)


async def ask(site: Site, method: str, path: str, **more: Any) -> tuple[int, Any, aiohttp.ClientResponse]:
    decompress = more.pop("auto_decompress", True)
    async with (
        aiohttp.ClientSession(auto_decompress=decompress) as session,
        session.request(method, site.url + path, **more) as response,
    ):
        body = await response.read()
        is_json = response.content_type == "application/json" and decompress
        return response.status, json.loads(body) if is_json else body, response


async def log_with(*events: Any) -> MemoryLog:
    log = MemoryLog()
    await log.open()
    await log.append(list(events))
    return log


async def test_data() -> None:
    log = await log_with(*seconds_of(5), alert("firing", "slow", START + 4))
    async with serving(log=log, clock=HandClock(START + 5)) as site:
        status, data, _ = await ask(site, "GET", "/dashboards/operational_overview/data")
    assert status == 200
    assert (data["dashboard"], data["title"], data["stale"]) == ("operational_overview", "Operational overview", False)
    assert (data["position"] >= 6, data["epoch"] != "", data["tick_seconds"]) == (True, True, 1)
    assert [alert["rule"] for alert in data["alerts"]] == ["slow"]
    assert data["log"].keys() == {"bytes", "first", "head", "status"}
    panels = {panel["panel_id"]: panel for panel in data["panels"]}
    assert (panels["events"]["value"], panels["requests"]["value"], panels["requests"]["unit"]) == (120, 42, "/min")
    assert list(panels["request_latency"]["series"]) == ["latency_p50", "latency_p95", "latency_p99"]
    assert len(data["spine"]["values"]) == 240


async def test_data_before_the_log_is_read_is_refused_in_time() -> None:
    async with serving(running=False, patience=0.05) as site:
        status, body, response = await ask(site, "GET", "/dashboards/system_health/data")
    assert (status, body["error"]["code"], response.headers["Retry-After"]) == (503, "not_ready", "1")


async def test_an_unknown_dashboard_is_refused_with_what_was_meant() -> None:
    async with serving() as site:
        for path in ("/dashboards/system_helth/data", "/dashboards/system_helth"):
            status, body, _ = await ask(site, "GET", path)
            assert status == 404
            error = body["error"]
            assert error["code"] == "unknown_dashboard"
            assert error["message"] == "no dashboard is named 'system_helth' (did you mean system_health?)"
            assert error["dashboards"] == config().live_dashboard.dashboards


async def test_a_browser_gets_the_page_for_a_dashboard_that_it_must_say_is_not_there() -> None:
    async with serving() as site:
        accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        status, _, answer = await ask(site, "GET", "/dashboards/system_helth", headers=accept)
    assert (status, answer.content_type) == (200, "text/html")


async def test_status() -> None:
    async with serving() as site:
        status, body, _ = await ask(site, "GET", "/dashboards/status")
    assert (status, body["enabled"]) == (200, True)
    assert {name: each["status"] for name, each in body["dashboards"].items()} == dict.fromkeys(
        config().live_dashboard.dashboards, "ok"
    )


async def test_refresh_without_a_body_as_curl_sends_it() -> None:
    log = await log_with(*seconds_of(2))
    async with serving(log=log, running=False) as site:
        status, body, _ = await ask(site, "POST", "/dashboards/refresh")
        assert status == 200
        assert [each["dashboard"] for each in body["refreshed"]] == config().live_dashboard.dashboards
        batch = await log.read(BEGINNING, types=TypePatterns(["dashboard.*"]))
        assert [event.offset for event in batch.events] == [each["offset"] for each in body["refreshed"]]


async def test_refresh_of_one() -> None:
    async with serving(running=False) as site:
        status, body, _ = await ask(site, "POST", "/dashboards/refresh", json={"dashboard": "system_health"})
        assert (status, [each["dashboard"] for each in body["refreshed"]]) == (200, ["system_health"])


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ('{"dashboard": "x"}', 404, "unknown_dashboard", "no dashboard is named 'x'"),
        (
            '{"name": "x"}',
            400,
            "bad_body",
            "the body cannot be used: name: unknown key",
        ),
        ('{"dashboard": ', 400, "bad_body", "the body cannot be used: it is no JSON: Input data was truncated"),
        (
            '{"dashboard": "' + "x" * 5000 + '"}',
            413,
            "body_too_large",
            "the body has 5,017 bytes, at most 4,096 are taken",
        ),
    ],
)
async def test_refresh_with_a_wrong_body(body: str, status: int, code: str, message: str) -> None:
    async with serving(running=False) as site:
        headers = {"Content-Type": "application/json"}
        got, answer, _ = await ask(site, "POST", "/dashboards/refresh", data=body, headers=headers)
    assert (got, answer["error"]["code"], answer["error"]["message"]) == (status, code, message)


async def test_refresh_with_a_name_in_the_address() -> None:
    """It would be passed over, and all dashboards be sent."""
    async with serving(running=False) as site:
        status, answer, _ = await ask(site, "POST", "/dashboards/refresh?dashboard=system_health")
    assert (status, answer["error"]["code"]) == (400, "unknown_parameter")
    assert answer["error"]["message"] == "'dashboard' is no parameter of /dashboards/refresh"
    assert answer["error"]["hint"] == 'name a dashboard in the body: {"dashboard": "system_health"}'


async def test_refresh_that_cannot_be_stored() -> None:
    log = await log_with()
    async with serving(log=log, running=False) as site:
        log.fail_next(LogUnavailable("no connection", maybe_stored=False))
        status, body, response = await ask(site, "POST", "/dashboards/refresh")
    assert (status, body["error"]["code"], response.headers["Retry-After"]) == (503, "not_stored", "1")
    assert body["error"]["message"] == "the log is not available: no connection"


async def test_off_is_said(tmp_path: Path) -> None:
    async with serving(settings=config(live={"enabled": False})) as site:
        for method, path in [("GET", "/"), ("GET", "/dashboards/system_health/data"), ("POST", "/dashboards/refresh")]:
            status, body, _ = await ask(site, method, path)
            assert (status, body["error"]["code"]) == (404, "dashboards_off")
        _, body, _ = await ask(site, "GET", "/dashboards/status")
        assert body["enabled"] is False


async def test_no_dashboards_at_all_is_said() -> None:
    async with serving(settings=config(live={"dashboards": [], "ports": {}})) as site:
        status, body, _ = await ask(site, "GET", "/")
    assert (status, body["error"]["hint"]) == (404, "none is configured: see live_dashboard.dashboards")


def boot(page: bytes) -> Any:
    """What the page begins with."""
    found = re.search(r'<meta name="hxp" content="([^"]*)"', page.decode())
    assert found is not None
    return json.loads(html.unescape(found[1]))


async def test_the_page_is_that_of_the_port() -> None:
    async with serving() as site:
        _, page, response = await ask(site, "GET", "/")
        assert boot(page)["home"] == "operational_overview"
        assert boot(page)["node"] == "citadel-1"
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        site.ports[site.port] = "performance_metrics"
        _, page, _ = await ask(site, "GET", "/")
        assert boot(page)["home"] == "performance_metrics"
        assert ["system_health", "System health"] in boot(page)["dashboards"]
        for path in ("/dashboards/system_health", "/view/streams"):
            status, _, _ = await ask(site, "GET", path)
            assert status == 200


def test_the_page_is_told_no_password() -> None:
    assert without_user("https://hxp:secret@events.example.org:9100/in") == "https://events.example.org:9100/in"
    assert without_user("http://127.0.0.1:9100") == "http://127.0.0.1:9100"


async def test_a_hostile_title_is_text(tmp_path: Path) -> None:
    good = json.loads((Path(__file__).parents[3] / "config/dashboards/system_health.json").read_text())
    hostile = '"><img src=x onerror=alert(1)>{{boot}}'
    (tmp_path / "own.json").write_text(json.dumps(good | {"title": hostile}))
    async with serving(settings=config(str(tmp_path), live={"dashboards": ["own"], "ports": {}})) as site:
        _, page, _ = await ask(site, "GET", "/")
    assert b"<img" not in page
    assert boot(page)["dashboards"] == [["own", hostile]]


@pytest.mark.parametrize("coding", ["br", "gzip", ""])
async def test_parts_of_the_page(coding: str) -> None:
    assert {name.rpartition(".")[2] for name in parts()} == {"js", "css"}
    async with serving(running=False) as site:
        for name, part in parts().items():
            ask_for = {"Accept-Encoding": coding}
            path = f"/static/{name}"
            status, body, response = await ask(site, "GET", path, headers=ask_for, auto_decompress=False)
            assert (status, response.content_type) == (200, part.content_type)
            assert response.headers.get("Content-Encoding", "") == coding
            assert body == (part.compressed[coding] if coding else part.body)
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            tag = response.headers["ETag"]
            status, again, response = await ask(site, "GET", path, headers={"If-None-Match": tag})
            assert (status, again, response.headers["ETag"]) == (304, b"", tag)


async def test_the_page_is_small() -> None:
    assert sum(len(part.compressed["br"]) for part in parts().values()) < 150_000


def test_no_part_writes_html() -> None:
    sources = Path(__file__).parents[3] / "web" / "src"
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\(")
    assert [path.name for path in sources.rglob("*.ts*") if forbidden.search(path.read_text())] == []


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        ("gzip, br;q=0.9", {"gzip", "br"}),
        ("br;q=0, gzip", {"gzip"}),
        ("br; q=0.0", set()),
        ("", {""}),
    ],
)
def test_codings_that_a_client_takes(header: str, codings: set[str]) -> None:
    assert accepted(header) == codings


async def test_a_page_that_was_not_built_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(assets, "_directory", lambda: tmp_path)
    assets._index.cache_clear()
    try:
        async with serving(running=False) as site:
            status, body, _ = await ask(site, "GET", "/")
    finally:
        assets._index.cache_clear()
    assert (status, body["error"]["code"]) == (503, "no_page")


async def test_queries_are_answered_in_their_order() -> None:
    log = await log_with(*seconds_of(5), alert("firing", "slow", START + 4))
    async with serving(log=log, clock=HandClock(START + 5)) as site:
        path = "/dashboards/query?graph=metric:latency_p95[1h]&stat=metric:throughput&graph=metric:*[10m]"
        status, body, _ = await ask(site, "GET", path)
        assert status == 200
        assert [answer["kind"] for answer in body["answers"]] == ["series", "value", "series"]
        assert body["answers"][1]["value"] == 120
        assert (body["now"], body["stale"], body["position"] >= 6) == (START + 5, False, True)
        assert [each["rule"] for each in body["alerts"]] == ["slow"]


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("graf=metric:x", "bad_parameter", "'graf' is no type of panel (did you mean graph?)"),
        ("stat=metrics:x", "bad_query", "stat=metrics:x: 'metrics' is no kind of query"),
        ("graph=metric:x", "bad_query", "graph=metric:x: a graph needs a window, e.g. metric:x[10m]"),
        ("&".join(["stat=metric:x"] * 65), "too_many_queries", "65 queries, at most 64 are taken"),
    ],
)
async def test_a_query_that_cannot_be_answered_is_refused(query: str, code: str, message: str) -> None:
    async with serving(running=False) as site:
        status, body, _ = await ask(site, "GET", f"/dashboards/query?{query}")
    assert (status, body["error"]["code"]) == (400, code)
    assert body["error"]["message"].startswith(message)


@pytest.mark.parametrize("path", ["/static/index.html", "/static/..%2fapi.py", "/static/%2e%2e/schema.json"])
async def test_nothing_else_is_served(path: str) -> None:
    async with serving(running=False) as site:
        status, _, _ = await ask(site, "GET", path)
    assert status == 404


async def test_data_is_compressed_for_who_takes_it(tmp_path: Path) -> None:
    async with serving() as site:
        ask_for = {"Accept-Encoding": "gzip"}
        path = "/dashboards/system_health/data"
        _, body, response = await ask(site, "GET", path, headers=ask_for, auto_decompress=False)
        assert (response.headers["Content-Encoding"], body[:2]) == ("gzip", b"\x1f\x8b")
    async with serving(settings=config(live={"compression_enabled": False})) as site:
        _, _, response = await ask(site, "GET", path, headers=ask_for, auto_decompress=False)
        assert "Content-Encoding" not in response.headers
