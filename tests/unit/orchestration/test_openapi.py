"""The OpenAPI document of routes that say nothing of themselves, and what it makes of their kind."""

from __future__ import annotations

import pytest
from aiohttp import web
from openapi_spec_validator import validate

from hxp_enterprise_llm.orchestration.openapi import document, refusals
from hxp_enterprise_llm.security.model import JSON_BODY, Route


async def handler(request: web.Request) -> web.Response:
    return web.Response()


ROUTES = [
    Route("GET", "/plain", handler, "read", "Plain"),
    Route("POST", "/plain", handler, "publish", "With a body", JSON_BODY),
    Route("GET", "/open", handler, "open", "For everybody"),
    Route("GET", "/ws/{channel}", handler, "read", "A socket", upgrade="websocket"),
    Route("GET", "/sse/{stream:[a-z]+}", handler, "read", "A stream", upgrade="sse"),
    Route("DELETE", "/thing/{name}", handler, "notify", "Without a body"),
]


@pytest.fixture
def paths():
    found = document("t", "1", ROUTES)
    validate(found)
    return found["paths"]


def test_each_kind_of_route_has_its_usual_answer(paths):
    assert paths["/plain"]["get"]["responses"]["200"]["content"] == {"application/json": {}}
    assert "content" not in paths["/ws/{channel}"]["get"]["responses"]["101"]
    assert list(paths["/sse/{stream}"]["get"]["responses"]["200"]["content"]) == ["text/event-stream"]
    assert paths["/sse/{stream}"]["get"]["parameters"][0]["name"] == "stream"
    assert [path for path, methods in paths.items() if methods.get("get", {}).get("x-endless")] == [
        "/sse/{stream}",
        "/ws/{channel}",
    ]


def test_a_scope_is_what_a_key_must_have(paths):
    assert paths["/plain"]["post"]["security"] == [{}, {"bearer": ["publish"]}, {"header": ["publish"]}]
    assert paths["/open"]["get"]["security"] == []


def test_names_of_operations_differ(paths):
    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert sorted(names) == sorted(set(names))
    assert "get_sse_stream" in names


def test_refusals_follow_from_the_declaration():
    by_place = {(route.method, route.path): refusals(route) for route in ROUTES}
    assert by_place["GET", "/plain"] == {400, 401, 403, 421, 429, 500}
    assert by_place["GET", "/open"] == {400, 403, 421, 500}
    assert by_place["POST", "/plain"] == {400, 401, 403, 408, 413, 415, 421, 429, 500, 503}
    assert by_place["DELETE", "/thing/{name}"] == {400, 401, 403, 404, 415, 421, 429, 500}
    assert by_place["GET", "/ws/{channel}"] >= {404, 409, 410, 429, 503}
