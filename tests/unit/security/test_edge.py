from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.security.edge import PRINCIPAL, build_app, ends_with_service, walk
from hxp_enterprise_llm.security.keys import digest_of
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.security.problems import Problem, json_response
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from tests.unit.security.serving import Served, read_answer, serving

PORTAL = "https://portal.example.org"


async def hello(request: web.Request) -> web.Response:
    return json_response({"network": request[PRINCIPAL].network})


async def echo(request: web.Request) -> web.Response:
    return json_response({"size": len(await request.content.read())})


async def broken(request: web.Request) -> web.Response:
    raise ZeroDivisionError("secret")


async def backend_down(request: web.Request) -> web.Response:
    raise ConnectionRefusedError("a backend")


async def refusing(request: web.Request) -> web.Response:
    raise Problem(409, "ahead", "too far", "go back", head=7)


async def redirecting(request: web.Request) -> web.Response:
    raise web.HTTPFound("/hello")


async def forbidding(request: web.Request) -> web.Response:
    raise web.HTTPForbidden(text="not you")


async def breaking_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half")
    raise Problem(500, "late", "too late")


ROUTES = [
    Route("GET", "/hello", hello, "read", "Says hello"),
    Route("POST", "/echo", echo, "publish", "Counts", body=JSON_BODY),
    Route("GET", "/broken", broken, "read", ""),
    Route("GET", "/backend", backend_down, "read", ""),
    Route("GET", "/refusing", refusing, "read", ""),
    Route("GET", "/redirecting", redirecting, "read", ""),
    Route("GET", "/forbidding", forbidding, "read", ""),
    Route("GET", "/breaking", breaking_off, "read", ""),
    Route("GET", "/ws/{channel}", hello, "read", "", upgrade="websocket"),
]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving(ROUTES, SecurityConfig(allowed_origins=[PORTAL])) as found:
        yield found


def make_app(routes: list[Route]) -> web.Application:
    policy = Policy.of(SecurityConfig())
    return build_app(routes, policy=lambda: policy, metrics=ServiceMetrics(CollectorRegistry()))


def test_no_route_lacks_a_scope() -> None:
    found = list(walk(make_app(ROUTES)))
    assert {(method, path) for method, path, _ in found} >= {("GET", "/hello"), ("HEAD", "/hello"), ("POST", "/echo")}
    assert all(route is not None for _, _, route in found)
    assert ("HEAD", "/ws/{channel}") not in {(method, path) for method, path, _ in found}


def test_a_route_added_behind_our_back_is_found() -> None:
    app = make_app(ROUTES)
    app.router.add_get("/backdoor", hello)
    assert {path for _, path, route in walk(app) if route is None} == {"/backdoor"}


def test_a_route_declared_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="GET /hello is declared twice"):
        make_app([ROUTES[0], ROUTES[0]])


async def test_a_handler_knows_who_asks(served: Served) -> None:
    answer = await served.ask("GET", "/hello")
    assert (answer.status, answer.json) == (200, {"network": "loopback"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers
    assert served.sample("citadel_http_requests_total", route="/hello", status="200") == 1


async def test_a_key_opens_and_expires_by_the_clock(tmp_path: Path) -> None:
    """The real clock decides; what the key is for, its scopes do."""
    lines = []
    for id, scope, expires in (("reader", "read", "2999-01-01T00:00:00Z"), ("old", "read", "2026-01-01T00:00:00Z")):
        digest = digest_of(f"hxk_{id}_x").hex()
        lines.append(f"- {{id: {id}, sha256: {digest}, scopes: [{scope}], expires: '{expires}'}}\n")
    (tmp_path / "keys").write_text("".join(lines), encoding="utf-8")
    async with serving(ROUTES, SecurityConfig(anonymous="none", api_keys_file=str(tmp_path / "keys"))) as closed:
        assert (await closed.ask("GET", "/hello")).status == 401
        assert (await closed.ask("GET", "/hello", X_API_Key="hxk_reader_x")).status == 200
        assert (await closed.ask("GET", "/hello", Authorization="apikey hxk_reader_x")).status == 200
        assert (await closed.ask("POST", "/echo", b"{}", Content_Type="application/json")).status == 401
        answer = await closed.ask("GET", "/hello", X_API_Key="hxk_old_x")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.error["message"] == "the request carries an API key that has expired"
        assert closed.sample("citadel_http_refused_total", code="bad_credentials") == 1


async def test_head_answers_as_get_without_a_body(served: Served) -> None:
    answer = await served.ask("HEAD", "/hello")
    assert (answer.status, answer.headers["content-length"]) == (200, "23")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET /hello HTTP/1.1\r\nHost: evil\r\n\r\n", 421, "foreign_host"),
        (b"GET /hello HTTP/1.1\r\nHost: localhost.\r\n\r\n", 421, "foreign_host"),
        (b"GET /nothing HTTP/1.1\r\nHost: evil:9102\r\n\r\n", 421, "foreign_host"),
        (b"GET http://evil/hello HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", 400, "bad_host"),
        (b"GET http://127.0.0.1:{port}/hello HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", 200, ""),
        (b"GET http://evil/hello HTTP/1.1\r\nHost: evil\r\n\r\n", 421, "foreign_host"),
        (b"GET /hello HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n", 200, ""),
        (b"GET /hello HTTP/1.0\r\n\r\n", 401, "came_through_proxy"),
        (b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n", 401, "came_through_proxy"),
        (b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil\r\n\r\n", 403, "foreign_origin"),
        (b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: null\r\n\r\n", 403, "foreign_origin"),
        (
            b"GET /ws/a HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Content-Length: 4\r\n\r\nabcd",
            400,
            "upgrade_with_body",
        ),
    ],
)
async def test_requests_on_the_wire(served: Served, sent: bytes, status: int, code: str) -> None:
    answer = await served.raw(sent)
    assert answer.status == status
    if code:
        assert answer.error["code"] == code
        assert served.sample("citadel_http_refused_total", code=code) == 1


@pytest.mark.parametrize(
    "sent", [b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET /hello HTTP/1.1\r\n\r\n"]
)
async def test_two_hosts_or_none_are_bad_requests(served: Served, sent: bytes) -> None:
    assert (await served.raw(sent)).status == 400


async def test_an_unknown_path_is_answered_with_the_nearest(served: Served) -> None:
    answer = await served.ask("GET", "/helo")
    assert answer.status == 404
    assert answer.error == {"code": "not_found", "message": "there is nothing at /helo", "hint": "did you mean /hello?"}
    assert (await served.ask("GET", "/zzzzzz")).error["hint"] == "GET /openapi.json lists what there is"
    assert served.sample("citadel_http_requests_total", route="unmatched", status="404") == 2


async def test_a_wrong_method_is_answered_with_the_right_ones(served: Served) -> None:
    answer = await served.ask("DELETE", "/hello")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.error["message"] == "DELETE is not possible at /hello"


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/nowhere", 404), ("TRACE", "/echo", 405)])
async def test_a_body_for_nobody_is_answered_as_the_request_is(
    served: Served, method: str, path: str, status: int
) -> None:
    """Whatever the content type: nothing reads it."""
    for media in ("application/json", "text/plain", ""):
        answer = await served.ask(method, path, b"{}", Content_Type=media)
        assert answer.status == status
        assert answer.error["code"] in ("not_found", "method_not_allowed")


async def test_a_problem_of_a_handler_is_answered_as_json(served: Served) -> None:
    answer = await served.ask("GET", "/refusing")
    assert answer.status == 409
    assert answer.error == {"code": "ahead", "message": "too far", "hint": "go back", "head": 7}


async def test_a_fault_is_answered_with_a_reference_that_is_in_the_log(served: Served) -> None:
    with capture_logs() as lines:
        answer = await served.ask("GET", "/broken")
    assert (answer.status, answer.error["code"]) == (500, "internal")
    assert b"secret" not in answer.body
    failed = [line for line in lines if line["event"] == "request.failed"]
    assert [line["reference"] for line in failed] == [answer.error["reference"]]


async def test_a_backend_that_refuses_is_a_fault_and_no_vanished_client(served: Served) -> None:
    assert (await served.ask("GET", "/backend")).status == 500


async def test_aiohttp_s_own_answers_pass(served: Served) -> None:
    assert (await served.ask("GET", "/redirecting")).headers["location"] == "/hello"
    answer = await served.ask("GET", "/forbidding")
    assert (answer.status, answer.error) == (403, {"code": "forbidden", "message": "not you"})


async def test_a_failure_after_the_head_cuts_the_connection(served: Served) -> None:
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError, ValueError)):
        await served.ask("GET", "/breaking")


async def test_the_access_line_has_no_values_of_the_query(served: Served) -> None:
    with capture_logs() as lines:
        await served.ask("GET", "/hello?token=secret&a=%0a1")
    (line,) = [line for line in lines if line["event"] == "request.answered"]
    assert (line["path"], line["parameters"], line["status"]) == ("/hello", ["a", "token"], 200)
    assert line["log_level"] == "debug"
    assert "secret" not in str(line)


async def test_expect_continue_is_answered_before_the_body_is_sent(served: Served) -> None:
    head = (
        b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
        b"Expect: 100-continue\r\nContent-Type: %s\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head % b"application/json")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert b'{"size":2}' in await reader.readuntil(b"}\n")
    writer.close()
    assert (await served.raw(head % b"text/plain")).status == 415
    assert served.sample("citadel_http_requests_total", route="/echo", status="415") == 1


async def test_an_allowed_page_may_read_answers_and_ask_beforehand(served: Served) -> None:
    answer = await served.ask("GET", "/hello", Origin=PORTAL)
    assert answer.headers["access-control-allow-origin"] == PORTAL
    answer = await served.ask("OPTIONS", "/echo", Origin=PORTAL, Access_Control_Request_Method="POST")
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "POST")
    answer = await served.ask("OPTIONS", "/echo", Origin="http://evil", Access_Control_Request_Method="POST")
    assert (answer.status, "access-control-allow-origin" in answer.headers) == (403, False)
    assert (await served.ask("OPTIONS", "/echo")).status == 405
    assert "access-control-allow-origin" not in (await served.ask("GET", "/hello")).headers


async def test_an_endless_answer_ends_with_the_service() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        with ends_with_service(request):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
        raise AssertionError

    async with serving([Route("GET", "/endless", endless, "read", "")]) as served:
        asking = asyncio.create_task(served.ask("GET", "/endless"))
        await begun.wait()
    assert ended.is_set()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await asking
    assert served.sample("citadel_http_requests_total", route="/endless", status="499") == 1


@pytest.mark.parametrize("head", [b"CONNECT host:80 HTTP/1.1", b"GET /nowhere HTTP/1.1\r\nUpgrade: websocket"])
async def test_bytes_behind_a_refused_tunnel_are_no_request(served: Served, head: bytes) -> None:
    """Who expected another protocol sent them for that one: the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    behind = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
    writer.write(head + b"\r\nHost: localhost\r\n\r\n" + behind)
    answer = await read_answer(reader)
    assert (answer.status, answer.headers["connection"]) == (404, "close")
    assert await reader.read() == b""
    writer.close()
    assert served.sample("citadel_http_requests_total", route="/hello", status="200") == 0
