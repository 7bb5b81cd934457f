"""Every route of the running program: it has a scope, the scope is enforced, and docs/endpoints.md lists it."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec
import pytest
from multidict import CIMultiDict

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.orchestration.endpoints import HEAD, rows
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings
from hxp_enterprise_llm.security.admit import Policy, RequestHead, admit
from hxp_enterprise_llm.security.edge import walk
from hxp_enterprise_llm.security.model import Principal, Refusal
from tests.integration.daemon import embedded_settings, running, url

ENDPOINTS = Path(__file__).parents[2] / "docs" / "endpoints.md"


@pytest.fixture
async def program(tmp_path):
    async with running(embedded_settings(tmp_path)) as orchestrator:
        yield orchestrator


async def test_no_route_lacks_a_scope(program):
    """Whatever the routers answer was declared as a Route."""
    for server in program.servers.values():
        for method, path, route in walk(server.app):
            assert route is not None, f"{method} {path} has no scope"


async def test_every_route_refuses_a_stranger(program):
    """The table of `admit` over every route: loopback and trusted pass, others pass on `open` alone."""
    policy = Policy.of(
        msgspec.structs.replace(program.settings.streaming.security, trusted_networks=["192.168.10.0/24"])
    )
    for server in program.servers.values():
        for route in server.routes():
            # Nobody silences or changes dashboards from elsewhere without a name.
            trusted, stranger = route.scope not in ("silence", "dashboards:write"), route.scope == "open"
            for peer, welcome in (("127.0.0.1", True), ("192.168.10.7", trusted), ("10.1.2.3", stranger)):
                decision = admit(head_of(route, peer), route, policy)
                assert isinstance(decision, Principal) is welcome, (route.method, route.path, peer, decision)
                if isinstance(decision, Refusal):
                    near = peer == "192.168.10.7"
                    assert decision.status == (403 if near else 401)
                    assert ("a key with this scope" if near else "security.trusted_networks") in decision.hint


def head_of(route, peer: str) -> RequestHead:
    headers = CIMultiDict({"Host": "192.168.10.29:9102"})
    if route.body:
        headers["Content-Type"] = route.body[0].replace("*/*", "text/plain")
    return RequestHead(peer, (1, 1), route.method, route.path, headers, 9102)


async def test_nobody_passes_when_anonymous_is_none(tmp_path):
    """401 with a reason on every route and stream of the running program, except the open ones."""
    settings = embedded_settings(tmp_path)
    closed = SecurityConfig(anonymous="none")
    settings = Settings(
        msgspec.structs.replace(settings.processing, security=closed),
        msgspec.structs.replace(settings.streaming, security=closed),
    )
    async with running(settings) as program, aiohttp.ClientSession() as session:
        for name, server in program.servers.items():
            for route in server.routes():
                headers = {"Content-Type": route.body[0].replace("*/*", "text/plain")} if route.body else {}
                path = route.path.replace("{", "").replace("}", "")
                async with session.request(route.method, url(program, name) + path, headers=headers) as answer:
                    expected = 200 if route.scope == "open" else 401
                    assert answer.status == expected, (route.method, route.path)
                    if expected == 401:
                        error = (await answer.json())["error"]
                        assert error["code"]
                        assert error["message"]


async def test_the_documents_list_every_endpoint(program):
    """The tables are what the running services answer; `make docs` writes them."""
    text = ENDPOINTS.read_text(encoding="utf-8")
    for name, server in program.servers.items():
        assert HEAD + rows(server.routes()) in text, f"the table of {name} is out of date: run `make docs`"
