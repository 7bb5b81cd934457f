"""GET /api/v2/…: what is known of the LLM platform, as it is now."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from hxp_enterprise_llm.event.processing.history import asking
from hxp_enterprise_llm.event.processing.platform.described import described
from hxp_enterprise_llm.event.processing.platform.engine import PlatformEngine
from hxp_enterprise_llm.event.processing.platform.memory import MOST_HOURS
from hxp_enterprise_llm.event.processing.platform.platform import Views
from hxp_enterprise_llm.event.views import PLATFORM_VIEWS, View
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import Problem, json_response

_DEFAULT_HOURS = 24

Answering = Callable[[Views, web.Request], dict[str, Any]]

_ANSWERS: dict[str, Answering] = {
    "/api/v2/agents/active": lambda views, _: views.active_agents(),
    "/api/v2/agents": lambda views, _: views.agents(),
    "/api/v2/memory/tier-stats": lambda views, request: views.tier_stats(_tier_hours(request)),
    "/api/v2/tokens": lambda views, _: views.tokens(),
    "/api/v2/costs": lambda views, _: views.costs(),
    "/api/v2/knowledge": lambda views, _: views.knowledge(),
    "/api/v2/knowledge/gaps": lambda views, _: views.gaps(),
    "/api/v2/collaboration": lambda views, _: views.collaboration(),
    "/api/v2/hypotheses": lambda views, _: views.hypotheses(),
    "/api/v2/models": lambda views, _: views.models(),
    "/api/v2/recommendations": lambda views, _: views.recommendations(),
    "/api/v2/business": lambda views, _: views.business(),
}


def routes(engine: PlatformEngine) -> list[Route]:
    """The routes of the platform."""
    return [
        Route("GET", view.path, _handler(engine, view), "read", view.summary, described=described(view))
        for view in PLATFORM_VIEWS
    ]


def _handler(engine: PlatformEngine, view: View) -> Callable[[web.Request], Any]:
    answer, known = _ANSWERS[view.path], [name for name, _ in view.parameters]

    async def handle(request: web.Request) -> web.StreamResponse:
        _refuse_unknown(request, view.path, known)
        if not engine.ready:
            raise Problem(
                503,
                "platform_rebuilding",
                "the state of the platform is being made from the log",
                "ask again in a few seconds",
                headers={"Retry-After": "2"},
            )
        return json_response(answer(engine.views(), request))

    return handle


def _refuse_unknown(request: web.Request, path: str, known: list[str]) -> None:
    for name in request.query:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise Problem(400, "unknown_parameter", f"{name!r} is no parameter of {path}", takes, allowed=known)


def _tier_hours(request: web.Request) -> tuple[int, int] | int:
    """The hours from `from` to `to`, or how many back from now."""
    query = request.query
    if "from" not in query and "to" not in query:
        return _hours(request)
    if "window_hours" in query:
        raise Problem(400, "bad_parameter", "window_hours together with from and to", "send one or the other")
    begin, end = asking.span(query, time.time())
    return begin // 3600, (end - 1) // 3600


def _hours(request: web.Request) -> int:
    text = request.query.get("window_hours", str(_DEFAULT_HOURS))
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST_HOURS:
        return int(text)
    raise Problem(
        400,
        "bad_window",
        f"window_hours: {text!r} is no number of hours from 1 to {MOST_HOURS}",
        "ask for e.g. window_hours=24; what is older is in GET /analytics/range",
    )
