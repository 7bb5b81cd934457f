"""GET /api/v2/forecast/tokens: what the next hours will bring."""

from __future__ import annotations

from aiohttp import web
from multidict import MultiMapping

from hxp_enterprise_llm.event.processing.forecast.forecaster import Forecaster
from hxp_enterprise_llm.event.processing.forecast.model import TokensForecast
from hxp_enterprise_llm.event.processing.forecast.outlook import MOST_HOURS
from hxp_enterprise_llm.event.views import FORECAST_VIEW
from hxp_enterprise_llm.security.described import Answer, Described, Parameter
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.parameters import only
from hxp_enterprise_llm.security.problems import Problem, json_response
from hxp_enterprise_llm.telemetry.text import clean

_USUAL_HOURS = 24
_MOST_TOKENS = 10**15
_DESCRIBED = Described(
    parameters=tuple(Parameter(*each, type=int) for each in FORECAST_VIEW.parameters),
    answers=(Answer("The forecast", TokensForecast),),
)


def routes(forecaster: Forecaster) -> list[Route]:
    """The routes of the forecast."""

    async def tokens(request: web.Request) -> web.Response:
        only(request.query, FORECAST_VIEW.path, [name for name, _ in FORECAST_VIEW.parameters])
        hours = _number(request.query, "hours", 1, MOST_HOURS)
        tokens_left = _number(request.query, "tokens", 0, _MOST_TOKENS)
        return json_response(forecaster.answer(hours or _USUAL_HOURS, tokens_left))

    return [Route("GET", FORECAST_VIEW.path, tokens, "read", FORECAST_VIEW.summary, described=_DESCRIBED)]


def _number(query: MultiMapping[str], name: str, least: int, most: int) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
        hint = f"send a whole number from {least} to {most}"
        raise Problem(400, "bad_parameter", f"{name}={clean(text, 60)} is not taken", hint)
    return int(text)
