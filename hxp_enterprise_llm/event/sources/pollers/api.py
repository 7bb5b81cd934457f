"""GET /sources/status, POST /sources/{name}/retry and POST /sources/{name}/settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.sources.pollers import described
from hxp_enterprise_llm.event.sources.pollers.model import Settings
from hxp_enterprise_llm.event.sources.pollers.running import Pollers
from hxp_enterprise_llm.event.sources.pollers.tended import Tended
from hxp_enterprise_llm.event.views import RETRY_VIEW, SETTINGS_VIEW, STATUS_VIEW
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import Problem, json_response
from hxp_enterprise_llm.telemetry.text import clean

_SHOWN_ITEMS = 20
_PAUSES = (0.05, 3600.0)
_COUNTS = {"failures": (1, 1000), "tries": (0, 100_000)}
_FLAGS = {"true": True, "false": False}


def routes(pollers: Pollers, clock: Clock) -> list[Route]:
    """The routes of sources that are asked."""
    api = _Api(pollers, clock)
    return [
        Route(view.method, view.path, handler, view.scope, view.summary, described=about)
        for view, handler, about in (
            (STATUS_VIEW, api.status, described.STATUS),
            (RETRY_VIEW, api.retry, described.RETRY),
            (SETTINGS_VIEW, api.settings, described.SETTINGS),
        )
    ]


def state_of(source: Tended, clock: Clock) -> dict[str, Any]:
    """One source as it is now."""
    breaker, now = source.breaker, clock.time()
    wait = breaker.due - clock.monotonic()
    return {
        "state": breaker.state,
        "since": rfc3339(breaker.history[-1].at),
        "reason": breaker.reason or source.problem,
        "failures": source.failures,
        "stale": source.stale,
        "last_answer": None if source.last_at is None else rfc3339(source.last_at),
        "next_try": None if math.isinf(wait) else rfc3339(now + max(0.0, wait)),
        "settings": breaker.settings._asdict(),
        "data": [{"type": item.type, **item.data} for item in source.last[:_SHOWN_ITEMS]],
        "items": len(source.last),
        "history": [
            {"state": change.state, "at": rfc3339(change.at), "reason": change.reason} for change in breaker.history
        ],
    }


class _Api:
    def __init__(self, pollers: Pollers, clock: Clock) -> None:
        self._pollers, self._clock = pollers, clock

    async def status(self, request: web.Request) -> web.Response:
        """All sources that are configured."""
        found = {name: state_of(source, self._clock) for name, source in self._pollers.running.items()}
        return json_response({"sources": found})

    async def retry(self, request: web.Request) -> web.Response:
        """202: the source is being asked."""
        name, source = self._found(request)
        source.retry()
        return json_response({"name": name, "state": source.breaker.state}, status=202)

    async def settings(self, request: web.Request) -> web.Response:
        """202: it goes by these from now on, and after a restart."""
        name, source = self._found(request)
        settings = changed(source.breaker.settings, request.query)
        try:
            await self._pollers.change(name, settings)
        except OSError as error:
            hint = "look at the disk of the state directory; nothing was changed"
            raise Problem(503, "not_kept", f"the settings cannot be written: {error.strerror}", hint) from error
        state = source.breaker.state
        return json_response({"name": name, "state": state, "settings": settings._asdict()}, status=202)

    def _found(self, request: web.Request) -> tuple[str, Tended]:
        name = request.match_info["name"]
        if source := self._pollers.running.get(name):
            return name, source
        running = ", ".join(self._pollers.running) or "none; configure one under `sources`"
        raise Problem(404, "unknown_source", f"no source {clean(name, 64)!r} is asked", f"there are: {running}")


def changed(settings: Settings, asked: Mapping[str, str]) -> Settings:
    """The settings with what was asked for. Raises Problem for what cannot be."""
    for name in asked:
        if name not in Settings._fields:
            raise Problem(400, "unknown_parameter", f"{clean(name, 64)!r} is no setting of a source", _hint())
    made = Settings(**settings._asdict() | {name: _READ[name](name, text) for name, text in asked.items()})
    if made.first_pause > made.longest_pause:
        raise _bad("first_pause", f"{made.first_pause:g}", f"at most longest_pause, {made.longest_pause:g}")
    return made


def _flag(name: str, text: str) -> bool:
    if text not in _FLAGS:
        raise _bad(name, text, "true or false")
    return _FLAGS[text]


def _pause(name: str, text: str) -> float:
    least, most = _PAUSES
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise _bad(name, text, f"a number from {least:g} to {most:g}")
    return number


def _count(name: str, text: str) -> int:
    least, most = _COUNTS[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise _bad(name, text, f"a whole number from {least} to {most}")
    return int(text)


_READ: dict[str, Callable[[str, str], Any]] = {
    "live": _flag,
    "first_pause": _pause,
    "longest_pause": _pause,
    "failures": _count,
    "tries": _count,
}


def _bad(name: str, text: str, must: str) -> Problem:
    return Problem(400, "bad_setting", f"{name}: {clean(text, 64)!r}, and that must be {must}", _hint())


def _hint() -> str:
    return f"it takes {', '.join(Settings._fields)}"
