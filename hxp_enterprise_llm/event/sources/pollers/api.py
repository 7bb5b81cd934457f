"""GET /sources/status and POST /sources/{name}/retry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.sources.pollers import described
from hxp_enterprise_llm.event.sources.pollers.poller import Poller
from hxp_enterprise_llm.event.views import RETRY_VIEW, STATUS_VIEW
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import Problem, json_response
from hxp_enterprise_llm.telemetry.text import clean

_SHOWN_ITEMS = 20


def routes(pollers: Callable[[], Mapping[str, Poller]], clock: Clock) -> list[Route]:
    """The routes of sources that are asked; `pollers` by name, those that run now."""
    api = _Api(pollers, clock)
    return [
        Route("GET", STATUS_VIEW.path, api.status, STATUS_VIEW.scope, STATUS_VIEW.summary, described=described.STATUS),
        Route("POST", RETRY_VIEW.path, api.retry, RETRY_VIEW.scope, RETRY_VIEW.summary, described=described.RETRY),
    ]


def state_of(poller: Poller, clock: Clock) -> dict[str, Any]:
    """One source as it is now."""
    breaker, now = poller.breaker, clock.time()
    wait = breaker.due - clock.monotonic()
    return {
        "state": breaker.state,
        "since": rfc3339(breaker.history[-1].at),
        "reason": breaker.reason or poller.problem,
        "failures": poller.failures,
        "stale": poller.stale,
        "last_answer": None if poller.last_at is None else rfc3339(poller.last_at),
        "next_try": rfc3339(now + max(0.0, wait)),
        "data": [{"type": item.type, **item.data} for item in poller.last[:_SHOWN_ITEMS]],
        "items": len(poller.last),
        "history": [
            {"state": change.state, "at": rfc3339(change.at), "reason": change.reason} for change in breaker.history
        ],
    }


class _Api:
    def __init__(self, pollers: Callable[[], Mapping[str, Poller]], clock: Clock) -> None:
        self._pollers, self._clock = pollers, clock

    async def status(self, request: web.Request) -> web.Response:
        """All sources that are configured."""
        found = {name: state_of(poller, self._clock) for name, poller in self._pollers().items()}
        return json_response({"sources": found})

    async def retry(self, request: web.Request) -> web.Response:
        """202: the source is being asked."""
        pollers, name = self._pollers(), request.match_info["name"]
        poller = pollers.get(name)
        if poller is None:
            running = ", ".join(pollers) or "none; configure one under `sources`"
            raise Problem(404, "unknown_source", f"no source {clean(name, 64)!r} is asked", f"there are: {running}")
        poller.retry()
        return json_response({"name": name, "state": poller.breaker.state}, status=202)
