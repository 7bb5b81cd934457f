"""Alertmanager's API, version 2, so that amtool, Prometheus and Karma work with us as they are."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.guard import stored
from hxp_enterprise_llm.event.notifications.routing import described
from hxp_enterprise_llm.event.notifications.routing.api import MAX_BODY_BYTES, alerts_body, taken
from hxp_enterprise_llm.event.notifications.routing.asking import chosen, filters, silence_of
from hxp_enterprise_llm.event.notifications.routing.desk import Desk, TooMany
from hxp_enterprise_llm.event.notifications.routing.foreign import parse_posted
from hxp_enterprise_llm.event.notifications.routing.model import Silence
from hxp_enterprise_llm.event.notifications.routing.table import BUILT_IN
from hxp_enterprise_llm.event.notifications.routing.views import Views
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.described import Described
from hxp_enterprise_llm.security.model import JSON_BODY, Handler, Route, Scope
from hxp_enterprise_llm.security.problems import Problem, json_response

_Method = Literal["GET", "POST", "DELETE"]


def routes(desk: Desk, *, clock: Clock, budget: BodyBudget) -> list[Route]:
    """The routes over a desk."""
    view = AlertmanagerApi(desk, clock, budget)
    table: list[tuple[_Method, str, Handler, Scope, str, Described]] = [
        ("GET", "status", view.status, "read", "What this is, for Alertmanager's clients", described.STATUS),
        ("GET", "receivers", view.receivers, "read", "Receivers", described.RECEIVERS),
        ("GET", "alerts", view.alerts, "read", "Alerts that fire, by filter", described.ALERTS),
        ("POST", "alerts", view.post_alerts, "notify", "Alerts from Prometheus", described.POST_ALERTS),
        ("GET", "alerts/groups", view.groups, "read", "Alerts by group and receiver", described.GROUPS),
        ("GET", "silences", view.silences, "read", "Silences, by filter", described.SILENCES),
        ("POST", "silences", view.post_silence, "silence", "Make or change a silence", described.POST_SILENCE),
        ("GET", "silence/{id}", view.silence, "read", "One silence", described.SILENCE),
        ("DELETE", "silence/{id}", view.expire, "silence", "End a silence now", described.EXPIRE),
    ]
    return [
        Route(
            method,
            f"/api/v2/{path}",
            handler,
            scope,
            summary,
            body=JSON_BODY if method == "POST" else (),
            described=told,
        )
        for method, path, handler, scope, summary, told in table
    ]


class AlertmanagerApi:
    """Answers in Alertmanager's JSON; what is refused is refused in our own."""

    def __init__(self, desk: Desk, clock: Clock, budget: BodyBudget) -> None:
        self._desk, self._clock, self._budget = desk, clock, budget
        self._started = clock.time()

    async def _views(self) -> Views:
        await stored(self._desk.taken_up)
        router = self._desk.router
        return Views(self._desk.state, router.table, router.now(), router.config.page_url)

    async def status(self, request: web.Request) -> web.Response:
        """There is no cluster, and the configuration is not shown."""
        unknown = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
        return json_response(
            {
                "cluster": {"status": "disabled", "peers": []},
                "versionInfo": {**unknown, "version": __version__},
                "config": {"original": ""},
                "uptime": rfc3339(self._started),
            }
        )

    async def receivers(self, request: web.Request) -> web.Response:
        """Those of the configuration, and the channels."""
        named = self._desk.router.config.receivers
        return json_response([{"name": name} for name in (*named, *BUILT_IN)])

    async def alerts(self, request: web.Request) -> web.Response:
        """The alerts that fire."""
        return json_response((await self._views()).alerts(chosen(request.query)))

    async def groups(self, request: web.Request) -> web.Response:
        """The groups with their alerts."""
        return json_response((await self._views()).groups(chosen(request.query)))

    async def post_alerts(self, request: web.Request) -> web.Response:
        """200 once the alerts are durable: Prometheus sends them again otherwise."""
        body = await alerts_body(request, self._desk, self._budget)
        await taken(self._desk, body, parse_posted, seconds(self._desk.router.config.foreign.resolve_timeout))
        return web.Response()

    async def silences(self, request: web.Request) -> web.Response:
        """All silences, also those that ended within five days."""
        return json_response((await self._views()).silences(filters(request.query)))

    async def silence(self, request: web.Request) -> web.Response:
        """One of them."""
        return json_response((await self._views()).silence(self._found(request)))

    async def post_silence(self, request: web.Request) -> web.Response:
        """200 once it is durable and in force."""
        body = await read_body(request, limit=MAX_BODY_BYTES, budget=self._budget)
        wish = silence_of(body, self._clock.time())
        try:
            id = await stored(lambda: self._desk.put_silence(wish))
        except KeyError:
            raise _unknown(wish.id) from None
        except TooMany as error:
            raise Problem(409, "too_many_silences", str(error), "let some of them end first") from None
        return json_response({"silenceID": id})

    async def expire(self, request: web.Request) -> web.Response:
        """It ends now; one that has ended stays as it is."""
        await stored(self._desk.taken_up)
        id = self._found(request).id
        await stored(lambda: self._desk.expire_silence(id))
        return web.Response()

    def _found(self, request: web.Request) -> Silence:
        id = request.match_info["id"]
        found = self._desk.state.silences.get(id)
        if found is None:
            raise _unknown(id)
        return found


def _unknown(id: str) -> Problem:
    return Problem(404, "unknown_silence", f"there is no silence {id[:60]!r}", "see GET /api/v2/silences")
