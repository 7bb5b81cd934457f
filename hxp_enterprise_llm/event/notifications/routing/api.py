"""HTTP routes of the way: decisions, acknowledgements, Alertmanager's webhook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from aiohttp import web

from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.guard import stored
from hxp_enterprise_llm.event.notifications.routing import described
from hxp_enterprise_llm.event.notifications.routing.acknowledgements import LONGEST_SECONDS
from hxp_enterprise_llm.event.notifications.routing.asking import asked, body_of, complaint, foreign_problem
from hxp_enterprise_llm.event.notifications.routing.desk import Desk
from hxp_enterprise_llm.event.notifications.routing.foreign import ForeignFault, Sent, parse_webhook
from hxp_enterprise_llm.event.notifications.routing.views import decision_taken, delivery_made
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.security.parameters import only
from hxp_enterprise_llm.security.problems import Problem, json_response

MAX_BODY_BYTES = 64 * 1024
MAX_ALERTS_BYTES = 8 * 1024 * 1024
_EPISODES = 5
"""The newest of those decided about, whose deliveries are shown."""


def routes(desk: Desk, *, clock: Clock, budget: BodyBudget) -> list[Route]:
    """The routes over a desk."""
    view = RoutingApi(desk, clock, budget)
    return [
        Route(
            "GET",
            "/notifications/log",
            view.log,
            "read",
            "What was decided about alerts, and why",
            described=described.LOG,
        ),
        Route(
            "POST",
            "/notifications/acknowledge",
            view.acknowledge,
            "notify",
            "Take an alert on for a while",
            body=JSON_BODY,
            described=described.ACKNOWLEDGE,
        ),
        Route(
            "POST",
            "/notifications/alertmanager",
            view.alertmanager,
            "notify",
            "Alerts from Alertmanager's webhook",
            body=JSON_BODY,
            described=described.ALERTMANAGER,
        ),
    ]


class RoutingApi:
    """Answers of the three routes."""

    def __init__(self, desk: Desk, clock: Clock, budget: BodyBudget) -> None:
        self._desk, self._clock, self._budget = desk, clock, budget

    async def log(self, request: web.Request) -> web.Response:
        """The newest decisions that are asked for."""
        only(request.query, "/notifications/log", [parameter.name for parameter in described.LOG.parameters])
        found = await stored(lambda: self._desk.decisions(asked(request.query)))
        episodes = list(dict.fromkeys(each.episode for each in reversed(found)))[:_EPISODES]
        made = await stored(lambda: self._desk.deliveries(episodes))
        decisions, deliveries = [decision_taken(each) for each in found], [delivery_made(each) for each in made]
        return json_response({"decisions": decisions, "deliveries": deliveries})

    async def acknowledge(self, request: web.Request) -> web.Response:
        """An event in the log, which the engine follows."""
        body = await read_body(request, limit=MAX_BODY_BYTES, budget=self._budget)
        wish = body_of(body, described.Acknowledge, "bad_acknowledgement")
        await stored(self._desk.taken_up)
        known = self._desk.episode(wish.episode)
        if known is None or not known.fires:
            hint = "see GET /api/v2/alerts or /notifications/status for those that fire"
            raise Problem(404, "unknown_episode", f"no alert fires with the episode {wish.episode!r}", hint)
        lasts = seconds(wish.lasts)
        if lasts > LONGEST_SECONDS:
            raise Problem(400, "bad_acknowledgement", "for: an acknowledgement lasts at most 30d")
        try:
            await self._desk.acknowledge(wish.episode, wish.by, wish.comment, wish.lasts)
        except LogError as error:
            raise Problem(503, "log_unavailable", str(error), "try again", headers={"Retry-After": "5"}) from None
        until = rfc3339(self._clock.time() + lasts)
        return json_response({"episode": wish.episode, "by": wish.by, "until": until})

    async def alertmanager(self, request: web.Request) -> web.Response:
        """Version 4 of the webhook."""
        lasts = self._desk.router.config.foreign.webhook_timeout
        body = await alerts_body(request, self._desk, self._budget)
        results = await taken(self._desk, body, parse_webhook, seconds(lasts))
        return json_response({"received": dict(results)})


async def alerts_body(request: web.Request, desk: Desk, budget: BodyBudget) -> bytes:
    """The body of a request that brings alerts."""
    if not desk.router.config.enabled:
        raise off()
    return await read_body(request, limit=MAX_ALERTS_BYTES, budget=budget)


async def taken(desk: Desk, body: bytes, parse: Callable[[bytes], Sent], lasts: float) -> Counter[str]:
    """What became of the alerts in a body; durable when it returns. Raises Problem when one of them is not taken."""
    try:
        sent = parse(body)
    except ForeignFault as fault:
        raise foreign_problem(fault) from None
    results = await stored(lambda: desk.receive(sent, lasts))
    problem = complaint(sent, results, desk.router.config.foreign.max_alerts)
    if problem is not None:
        raise problem
    return results


def off() -> Problem:
    """The answer while notifications are switched off."""
    return Problem(409, "notifications_off", "notifications are off", "set real_time_notifications.enabled")
