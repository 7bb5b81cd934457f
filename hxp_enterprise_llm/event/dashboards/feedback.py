"""What people say about the page: stored as `feedback` events, and listed."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from hxp_enterprise_llm.config.forms import body_fault
from hxp_enterprise_llm.event.dashboards import described
from hxp_enterprise_llm.event.dashboards.service import Dashboards
from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.security.problems import Problem, json_response

MOST_FEEDBACK_BYTES = 16 * 1024


class Feedback(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that somebody wants changed, or likes. `rating`: 1 bad to 5 good."""

    text: Annotated[str, Meta(min_length=1, max_length=4000)]
    rating: Annotated[int, Meta(ge=1, le=5)] | None = None
    view: Annotated[str, Meta(max_length=200)] = ""
    by: Annotated[str, Meta(max_length=100)] = ""


def routes(dashboards: Dashboards, budget: BodyBudget) -> list[Route]:
    """The routes of feedback."""
    view = _Feedback(dashboards, budget)
    return [
        Route("GET", "/feedback", view.listed, "read", "What people said", described=described.FEEDBACK),
        Route(
            "POST",
            "/feedback",
            view.give,
            "publish",
            "Say something about the page",
            body=JSON_BODY,
            described=described.give(Feedback),
        ),
    ]


class _Feedback:
    def __init__(self, dashboards: Dashboards, budget: BodyBudget) -> None:
        self._dashboards, self._budget = dashboards, budget

    async def give(self, request: web.Request) -> web.StreamResponse:
        """202 once it is in the log."""
        said = _understood(await read_body(request, limit=MOST_FEEDBACK_BYTES, budget=self._budget))
        try:
            offset = await self._dashboards.publish("feedback", msgspec.to_builtins(said))
        except LogError as error:
            hint = "send it again in a moment"
            raise Problem(503, "not_stored", str(error), hint, headers={"Retry-After": "1"}) from error
        return json_response({"offset": offset}, status=202)

    async def listed(self, request: web.Request) -> web.StreamResponse:
        """The latest of them, as far as the log was looked through."""
        rows: list[dict[str, Any]] = self._dashboards.latest(["feedback"])
        return json_response({"feedback": rows})


def _understood(body: bytes) -> Feedback:
    try:
        return msgspec.json.decode(body, type=Feedback)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        hint = 'send {"text": …, "rating"?: 1 to 5, "view"?: …, "by"?: …}'
        raise Problem(400, "bad_body", f"the body cannot be used: {body_fault(error, Feedback)}", hint) from None
