"""Every route of the running program: it has a scope, the scope is enforced, and docs/endpoints.md lists it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import msgspec
from multidict import CIMultiDict

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.orchestration.endpoints import HEAD, rows
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings
from hxp_enterprise_llm.security.admit import Policy, RequestHead, admit
from hxp_enterprise_llm.security.edge import walk
from hxp_enterprise_llm.security.keys import new_key
from hxp_enterprise_llm.security.model import KEY_SCOPES, Principal, Refusal
from tests.integration.daemon import embedded_settings, running, url
from tests.integration.test_api_keys import write_keys

ENDPOINTS = Path(__file__).parents[2] / "docs" / "endpoints.md"
CHANGED_BY_REQUESTS = ("outbox", "silence", "decision", "routed_alert", "alert_group")
OWN = ("analytics.", "dashboard.", "host.", "platform.", "system.")
"""What the program tells by itself, whoever asks."""


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
    async with (
        running(secured(tmp_path, SecurityConfig(anonymous="none"))) as program,
        aiohttp.ClientSession() as session,
    ):
        for name, server in program.servers.items():
            for route in server.routes():
                where = address(program, name, route)
                async with session.request(route.method, where, headers=asking(route)) as answer:
                    expected = 200 if route.scope == "open" else 401
                    assert answer.status == expected, (route.method, route.path)
                    if expected == 401:
                        error = (await answer.json())["error"]
                        assert error["code"]
                        assert error["message"]


async def test_each_key_opens_its_scope_and_no_other(tmp_path):
    """A key for each scope at every route of both services: refused by name wherever the route wants another one."""
    keys = {new_key(scope.replace(":", "-")): scope for scope in sorted(KEY_SCOPES)}
    write_keys(tmp_path / "keys.yaml", {key: (scope,) for key, scope in keys.items()})
    settings = secured(tmp_path, SecurityConfig(anonymous="none", api_keys_file=str(tmp_path / "keys.yaml")))
    refused = 0
    async with running(settings) as program, aiohttp.ClientSession() as session:
        for key, scope in keys.items():
            for name, route in (
                (name, route)
                for name, server in program.servers.items()
                for route in server.routes()
                if route.scope not in (scope, "open")
            ):
                headers = asking(route) | {"X-API-Key": key}
                async with session.request(route.method, address(program, name, route), headers=headers) as answer:
                    assert answer.status == 403, (scope, route.method, route.path)
                    assert (await answer.json())["error"]["code"] == "scope"
                    refused += 1
    assert refused > 300


async def test_no_get_changes_anything(tmp_path):
    """Every GET that has an end, with and without what it may be asked: tables, files and log are as before."""
    settings = embedded_settings(tmp_path)
    async with running(settings) as program, aiohttp.ClientSession() as session:
        gets = [(name, route) for name, s in program.servers.items() for route in s.routes() if reads_once(route)]
        before = await state(tmp_path, session, url(program, "processing"))
        for name, route in gets:
            for query in ("", "?force=true&refresh=true&confirm=true&delete=true&last=5"):
                async with session.get(address(program, name, route) + query) as answer:
                    assert answer.status < 500, (route.path, query)
                    await answer.read()
        assert await state(tmp_path, session, url(program, "processing")) == before
    assert len(gets) > 40


def secured(tmp_path: Path, security: SecurityConfig) -> Settings:
    settings = embedded_settings(tmp_path)
    return Settings(
        msgspec.structs.replace(settings.processing, security=security),
        msgspec.structs.replace(settings.streaming, security=security),
    )


def asking(route) -> dict[str, str]:
    return {"Content-Type": route.body[0].replace("*/*", "text/plain")} if route.body else {}


def address(program, name: str, route) -> str:
    return url(program, name) + route.path.replace("{name}", "operational_overview").replace("{", "").replace("}", "")


def reads_once(route) -> bool:
    return route.method == "GET" and not route.upgrade and not route.described.endless


async def state(directory: Path, session: aiohttp.ClientSession, base: str) -> dict[str, object]:
    """What a request may change: rows that are no clocks, files of definitions, events that are not our own."""
    found: dict[str, object] = {}
    for store in sorted(directory.rglob("state.db")):
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            for table in CHANGED_BY_REQUESTS:
                found[f"{store.parent.name}/{table}"] = connection.execute(f"SELECT * FROM {table}").fetchall()
    files = (path for path in directory.rglob("*") if path.suffix in (".json", ".yaml", ".yml"))
    found |= {str(path): path.read_bytes() for path in files}
    async with session.get(f"{base}/events?after=earliest&limit=1000") as answer:
        events = (await answer.json())["events"]
    return found | {"events": [event["id"] for event in events if not event["type"].startswith(OWN)]}


async def test_the_documents_list_every_endpoint(program):
    """The tables are what the running services answer; `make docs` writes them."""
    text = ENDPOINTS.read_text(encoding="utf-8")
    for name, server in program.servers.items():
        assert HEAD + rows(server.routes()) in text, f"the table of {name} is out of date: run `make docs`"
