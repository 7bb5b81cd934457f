"""HTTP routes of the dashboards: data, status, refresh, the page and its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.config.forms import body_fault
from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.event.dashboards import described, editing, feedback
from hxp_enterprise_llm.event.dashboards.asking import asked
from hxp_enterprise_llm.event.dashboards.assets import (
    FOR_EVER,
    POLICY,
    Asset,
    Boot,
    NoPage,
    accepted,
    parts,
    without_user,
)
from hxp_enterprise_llm.event.dashboards.described import RefreshRequest
from hxp_enterprise_llm.event.dashboards.model import Panel
from hxp_enterprise_llm.event.dashboards.service import Dashboards
from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.gate import PRINCIPAL
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.security.parameters import known
from hxp_enterprise_llm.security.problems import Problem, json_response

MOST_BODY_BYTES = 4096
WAIT_SECONDS = 1.0
"""How long the data of a dashboard wait for a Prometheus."""
_OPTIONAL = ("/api/v2/", "/analytics", "/sources", "/feedback")


def routes(
    dashboards: Dashboards,
    *,
    node: str = "localhost",
    ports: Mapping[int, str] | None = None,
    budget: BodyBudget | None = None,
    patience: float = 5.0,
    events_in: str = "",
) -> list[Route]:
    """The routes.

    `ports` maps a local TCP port to the dashboard whose page answers at `/` there; it is asked with each request,
    so that it may be filled in when the ports are bound. `patience`: seconds that a request for data waits until
    the log's tail is read. `events_in`: where events are taken in, for the commands that the page shows.
    """
    api = _Api(dashboards, node, ports if ports is not None else {}, budget or BodyBudget(), patience, events_in)
    return [
        *_data_routes(api),
        *_page_routes(api),
        *editing.routes(dashboards, api.budget),
        *feedback.routes(dashboards, api.budget),
    ]


def _page_routes(api: _Api) -> list[Route]:
    page, asset = described.PAGE, described.ASSET
    return [
        Route("GET", "/", api.root, "read", "The live page", described=page),
        Route("GET", "/view/{name}", api.view, "read", "The live page at one of its views", described=page),
        Route("GET", "/static/{file}", api.asset, "read", "Parts of the page", described=asset),
        Route("GET", "/dashboards/{name}", api.dashboard, "read", "The page of one dashboard", described=page),
    ]


def _data_routes(api: _Api) -> list[Route]:
    words = {
        "query": "Answers to queries of panels, computed now",
        "status": "Each dashboard: ok or its faults, last update",
        "refresh": "Compute and send all dashboards now, or the one that is named",
    }
    refresh = "/dashboards/refresh"
    return [
        Route("GET", "/dashboards/query", api.query, "read", words["query"], described=described.QUERY),
        Route("GET", "/dashboards/status", api.status, "read", words["status"], described=described.STATUS),
        Route(
            "POST",
            refresh,
            api.refresh,
            "dashboards:refresh",
            words["refresh"],
            body=JSON_BODY,
            described=described.REFRESH,
        ),
        Route("GET", "/dashboards/{name}/data", api.data, "read", "Data of one dashboard", described=described.DATA),
    ]


class _Api:
    def __init__(
        self,
        dashboards: Dashboards,
        node: str,
        ports: Mapping[int, str],
        budget: BodyBudget,
        patience: float,
        events_in: str,
    ) -> None:
        self._dashboards, self._node, self._ports, self.budget = dashboards, node, ports, budget
        self._patience, self._events_in = patience, without_user(events_in)

    async def root(self, request: web.Request) -> web.StreamResponse:
        return self._page(request)

    async def view(self, request: web.Request) -> web.StreamResponse:
        # Which views there are the page knows; it says so itself when there is none of this name.
        return self._page(request)

    async def dashboard(self, request: web.Request) -> web.StreamResponse:
        # A browser gets the page, which says itself that there is none of this name; a program gets the refusal.
        if "text/html" not in request.headers.get("Accept", ""):
            self._known(request.match_info["name"])
        return self._page(request)

    async def asset(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        part = parts().get(name)
        if part is None:
            raise Problem(404, "unknown_file", f"the page has no part {name[:80]!r}", "open / for the page")
        return _answer(request, part, FOR_EVER)

    async def query(self, request: web.Request) -> web.StreamResponse:
        self._require_enabled()
        queries = asked(request.query.items())
        _require_trust(request, queries)
        await self._until_ready()
        await self._dashboards.look_outside(queries)
        health = await self._dashboards.log_health()
        log = {"bytes": health.bytes, "first": health.first, "head": health.head, "status": health.status}
        response = json_response(self._dashboards.answers(queries) | {"log": log})
        response.enable_compression()
        return response

    async def data(self, request: web.Request) -> web.StreamResponse:
        name = self._known(request.match_info["name"])
        await self._until_ready()
        anew = await self._dashboards.look_outside(self._dashboards.panels(name), WAIT_SECONDS)
        health = await self._dashboards.log_health()
        log = {"bytes": health.bytes, "first": health.first, "head": health.head, "status": health.status}
        response = json_response(self._dashboards.data(name, anew=anew) | {"log": log})
        if self._dashboards.is_compressed(name):
            response.enable_compression()
        return response

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._dashboards.follower.ready.wait()
        except TimeoutError:
            text, hint = "the event log has not been read yet", "GET /health tells how the log is"
            raise Problem(503, "not_ready", text, hint, headers={"Retry-After": "1"}) from None

    async def status(self, request: web.Request) -> web.StreamResponse:
        return json_response(self._dashboards.status())

    async def refresh(self, request: web.Request) -> web.StreamResponse:
        # A name in the address would be passed over, and all be sent.
        hint = 'name a dashboard in the body: {"dashboard": "system_health"}'
        known(request.query, "/dashboards/refresh", (), hint)
        body = await read_body(request, limit=MOST_BODY_BYTES, budget=self.budget)
        wanted = _refresh_request(body).dashboard
        self._require_enabled()
        names = None if wanted is None else [self._known(wanted)]
        try:
            refreshed = await self._dashboards.refresh(names)
        except LogError as error:
            hint = "try again; GET /health tells how the log is"
            raise Problem(503, "not_stored", str(error), hint, headers={"Retry-After": "1"}) from error
        return json_response({"refreshed": [each._asdict() for each in refreshed]})

    def _page(self, request: web.Request) -> web.StreamResponse:
        first = next(iter(self._dashboards.boards), "")
        home = self._known(self._ports.get(_local_port(request), first))
        titles = [(board.name, board.title) for board in self._dashboards.boards.values()]
        boot = Boot(self._node, __version__, home, titles, _optional(request.app), self._events_in)
        try:
            return _answer(request, boot.asset(), "no-cache")
        except NoPage as error:
            hint = "make run builds it; GET /dashboards/{name}/data has the data"
            raise Problem(503, "no_page", str(error), hint) from None

    def _known(self, name: str) -> str:
        self._require_enabled()
        known = list(self._dashboards.boards)
        if name in known:
            return name
        hint = f"there are {', '.join(known)}" if known else "none is configured: see live_dashboard.dashboards"
        text = f"no dashboard is named {name[:80]!r}{suggestion(name, known)}"
        raise Problem(404, "unknown_dashboard", text, hint, dashboards=known)

    def _require_enabled(self) -> None:
        if not self._dashboards.enabled:
            raise Problem(404, "dashboards_off", "dashboards are off", "set live_dashboard.enabled: true and restart")


def _require_trust(request: web.Request, queries: list[Panel]) -> None:
    """PromQL of one's own choice is work for another server: it takes the right to write it into a definition."""
    if any(each.query and each.query.kind == "promql" for each in queries):
        principal = request[PRINCIPAL]
        if "dashboards:write" not in principal.scopes:
            hint = "an operator can grant it; what a dashboard's own panels show needs only the scope read"
            raise Problem(403, "missing_scope", "a promql query takes the scope dashboards:write", hint)


def _optional(app: web.Application) -> list[str]:
    """Addresses of other rooms that the page makes use of where they are served."""
    known = {resource.canonical for resource in app.router.resources()}
    return sorted(path for path in known if path.startswith(_OPTIONAL))


def _refresh_request(body: bytes) -> RefreshRequest:
    if not body.strip():
        return RefreshRequest()
    hint = 'send no body, or {"dashboard": NAME}'
    try:
        return msgspec.json.decode(body, type=RefreshRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        fault = body_fault(error, RefreshRequest)
        raise Problem(400, "bad_body", f"the body cannot be used: {fault}", hint) from None


def _local_port(request: web.Request) -> int:
    name: Any = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return name[1] if isinstance(name, tuple) else 0


def _answer(request: web.Request, asset: Asset, caching: str) -> web.StreamResponse:
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": caching,
        "Vary": "Accept-Encoding",
    }
    response: web.StreamResponse
    if asset.etag in [tag.value for tag in request.if_none_match or ()]:
        response = web.Response(status=304, headers=headers)
    else:
        coding, body = asset.best(accepted(request.headers.get("Accept-Encoding", "")))
        if coding:
            headers["Content-Encoding"] = coding
        response = web.Response(body=body, content_type=asset.content_type, charset="utf-8", headers=headers)
    response.etag = asset.etag
    return response
