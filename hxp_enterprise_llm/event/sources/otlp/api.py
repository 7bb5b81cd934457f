"""HTTP routes of the OTLP receiver."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aiohttp import web

from hxp_enterprise_llm.event.log.model import LogError
from hxp_enterprise_llm.event.sources.answers import RETRY_SECONDS, problem_of
from hxp_enterprise_llm.event.sources.faults import IngestError
from hxp_enterprise_llm.event.sources.forms import media_type
from hxp_enterprise_llm.event.sources.otlp import described
from hxp_enterprise_llm.event.sources.otlp.answers import JSON, PROTOBUF, RETRYABLE, Signal, status, success
from hxp_enterprise_llm.event.sources.otlp.bounds import Undecodable
from hxp_enterprise_llm.event.sources.otlp.receiver import Receiver
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.problems import Problem

MAX_BODY_BYTES = 20 * 1024 * 1024
"""Most bytes of a body, on the wire and after decompression, as the specification advises."""
_SUMMARIES: dict[Signal, str] = {
    "traces": "Spans by OTLP; calls of models, agents and tools among them become events of their own",
    "metrics": "Data points of metrics by OTLP",
    "logs": "Log records by OTLP",
}


def routes(receiver: Receiver, budget: BodyBudget, limit: Callable[[], int]) -> list[Route]:
    """The routes of this room. `limit`: most bytes of any body, as it is configured."""
    api = _Api(receiver, budget, limit)
    return [
        Route(
            "POST",
            f"/v1/{signal}",
            partial(api.post, signal),
            "publish",
            summary,
            (PROTOBUF, JSON),
            described=described.of(signal),
        )
        for signal, summary in _SUMMARIES.items()
    ]


class _Api:
    def __init__(self, receiver: Receiver, budget: BodyBudget, limit: Callable[[], int]) -> None:
        self._receiver, self._budget, self._limit = receiver, budget, limit

    async def post(self, signal: Signal, request: web.Request) -> web.Response:
        """200 once everything is stored that can be; a refusal is a `google.rpc.Status` in the request's encoding."""
        media = media_type(request.headers.get("Content-Type", "")) or PROTOBUF
        try:
            content = await self._receive(signal, request, media)
        except Problem as problem:
            return _refusal(problem, media)
        return web.Response(body=content, content_type=media)

    async def _receive(self, signal: Signal, request: web.Request, media: str) -> bytes:
        try:
            body = await read_body(request, limit=min(MAX_BODY_BYTES, self._limit()), budget=self._budget)
            found = await self._receiver.receive(signal, body, media)
        except Undecodable as error:
            raise Problem(400, "undecodable", str(error), "send an Export request of OTLP 1.x") from None
        except (IngestError, LogError) as error:
            raise problem_of(error) from error
        return success(signal, media, found.refused, found.reason)


def _refusal(problem: Problem, media: str) -> web.Response:
    text = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
    headers = dict(problem.headers)
    if problem.status in RETRYABLE:
        headers.setdefault("Retry-After", str(RETRY_SECONDS))
    body = status(problem.status, text, media)
    return web.Response(body=body, status=problem.status, headers=headers, content_type=media)
