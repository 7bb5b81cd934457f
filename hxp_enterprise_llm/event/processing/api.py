"""GET /analytics: the metrics as they are now."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from hxp_enterprise_llm.event.processing.engine import AnalyticsEngine
from hxp_enterprise_llm.event.processing.snapshot import Snapshot
from hxp_enterprise_llm.security.described import Answer, Described, Parameter
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import Problem, json_response


class Analysed(Snapshot, frozen=True, kw_only=True):
    """The metrics now."""

    service: str
    lag: int
    """Offsets of the log that are not taken in yet."""


_DESCRIBED = Described(
    parameters=(Parameter("window", "One of the windows alone"),),
    answers=(Answer("The metrics", Analysed),),
    refusals=(503,),
)


def routes(engine: AnalyticsEngine, *, service: str = "event-processing") -> list[Route]:
    """The routes of analytics. `service` is the name that the answer carries."""

    async def analytics(request: web.Request) -> web.Response:
        window = _window(request, engine.windows)
        if not engine.ready:
            raise Problem(
                503,
                "analytics_rebuilding",
                "the windows are being rebuilt from the log",
                "ask again in a few seconds",
                headers={"Retry-After": "2"},
            )
        answer: dict[str, Any] = {"service": service, **msgspec.structs.asdict(engine.snapshot()), "lag": engine.lag}
        if window is not None:
            answer["windows"] = {window: answer["windows"][window]}
        return json_response(answer)

    what = "Metrics over sliding windows, now; `?window=1m` for one"
    return [Route("GET", "/analytics", analytics, "read", what, described=_DESCRIBED)]


def _window(request: web.Request, allowed: tuple[str, ...]) -> str | None:
    for name in request.query:
        if name != "window":
            raise Problem(
                400,
                "unknown_parameter",
                f"{name!r} is no parameter of /analytics",
                "it takes `window`",
                allowed=["window"],
            )
    window = request.query.get("window")
    if window is not None and window not in allowed:
        raise Problem(
            400,
            "unknown_window",
            f"window: {window!r} is not computed",
            f"ask for one of {', '.join(allowed)}; others go into analytics.windows",
            allowed=list(allowed),
        )
    return window
