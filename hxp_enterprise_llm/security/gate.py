"""Where every request passes before its handler runs, and every answer on its way out.

Asks `admit`, and gives every refusal and every fault the one JSON form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

import structlog
from aiohttp import web
from prometheus_client import Counter

from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security import cors
from hxp_enterprise_llm.security.admit import RequestHead, admit, behind_proxies
from hxp_enterprise_llm.security.asked import PlainRequest
from hxp_enterprise_llm.security.body import LEASE
from hxp_enterprise_llm.security.local import asker_of
from hxp_enterprise_llm.security.model import Asked, Handler, Principal, Refusal, Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.security.rates import Dear, Rates
from hxp_enterprise_llm.telemetry.debugging import debugging
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics
from hxp_enterprise_llm.telemetry.text import clean

log = structlog.get_logger("edge")

PRINCIPAL = web.RequestKey("PRINCIPAL", Principal)
"""Who asks; set before the handler runs."""

COUNTED = web.RequestKey("COUNTED", bool)
"""Set when another process answered the request and counted it."""

ROUTES = web.AppKey("ROUTES", dict[web.AbstractRoute, Route])
"""The declaration behind each of the router's routes."""

_PREPARED = web.RequestKey("_PREPARED", web.StreamResponse)

_DEAR: Mapping[Dear, tuple[str, str]] = {
    "bad_credentials": ("wrong API keys", "refused_credentials_per_minute"),
    "notify": ("notifications by hand", "notify_per_minute"),
}
CLIENT_GONE = 499
"""Status in metrics and logs of a request whose client left before the answer."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def request_head(request: web.Request, now: float) -> RequestHead:
    """What `admit` looks at; `now` is in wall-clock seconds."""
    asker = asker_of(request)
    return RequestHead(
        asker.peer, asker.version, request.method, asker.target, request.headers, asker.port, now, asker.local
    )


def address_of(asked: Asked) -> str:
    """Address of the client, behind the trusted proxies; empty for a socket without one."""
    if isinstance(asked, web.Request) and PRINCIPAL in asked:
        return asked[PRINCIPAL].address
    return asked.remote or ""


def scopes_of(asked: Asked) -> frozenset[str]:
    """What whoever asks may do."""
    if isinstance(asked, web.Request):
        return asked[PRINCIPAL].scopes if PRINCIPAL in asked else frozenset()
    return asked.scopes if isinstance(asked, PlainRequest) else frozenset()


class Gate:
    """What stands between the sockets and the handlers of one application."""

    def __init__(
        self, policy: Callable[[], Policy], metrics: ServiceMetrics, clock: Clock, paths: Sequence[str]
    ) -> None:
        self._policy, self._metrics, self._clock, self._paths = policy, metrics, clock, paths
        self._rates = Rates(clock.monotonic)
        self._counters: dict[tuple[str, int], Counter] = {}
        # Stands for an unknown path, so that strangers learn nothing there either.
        self._nowhere = Route("GET", "unmatched", self._answer_unmatched, "read", "", body=("*/*",))

    @property
    def policy(self) -> Policy:
        """The one in force."""
        return self._policy()

    def admit(self, head: RequestHead, route: Route) -> Principal | Refusal:
        """Decide on a request by the policy in force. Counts nothing."""
        return admit(head, route, self._policy())

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Admit, handle, count."""
        start = self._clock.monotonic()
        route = request.app[ROUTES].get(request.match_info.route, self._nowhere)
        status = CLIENT_GONE
        try:
            response = await self._answer(request, handler, route)
            status = response.status
            return response
        except web.HTTPException as redirect:
            status = redirect.status
            raise
        finally:
            if (lease := request.get(LEASE)) is not None:
                lease.release()
            self._note(request, route, status, self._clock.monotonic() - start)

    async def expect(self, request: web.Request) -> web.StreamResponse | None:
        """`Expect: 100-continue`: a client that will be refused is told before it sends its body."""
        route = request.app[ROUTES].get(request.match_info.route, self._nowhere)
        head = request_head(request, self._clock.time())
        decision = self.admit(head, route)
        if isinstance(decision, Refusal):
            response = self._refuse(self._limit_refusals(head, decision))
            self._note(request, route, response.status, 0.0)
            return response
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            # The head of the answer proper is yet to come.
            request.writer.output_size = 0
        return None

    async def on_prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """The headers that every answer has."""
        request[_PREPARED] = response
        headers = response.headers
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.popall("Server", None)
        if response.status >= 400 and (request.method == "CONNECT" or "Upgrade" in request.headers):
            # What comes behind it was meant for another protocol: read as HTTP it would be somebody's hidden request.
            response.force_close()
            headers["Connection"] = "close"
        headers.update(cors.answer_headers(request.headers.get("Origin"), self._policy()))

    async def _answer(self, request: web.Request, handler: Handler, route: Route) -> web.StreamResponse:
        head = request_head(request, self._clock.time())
        decision = self.admit(head, route)
        if isinstance(decision, Refusal):
            return self._refuse(self._limit_refusals(head, decision))
        if (too_often := self._limit(decision, route)) is not None:
            return self._refuse(too_often)
        request[PRINCIPAL] = decision
        try:
            return await (handler if route is not self._nowhere else route.handler)(request)
        except Problem as problem:
            return self._end(request, problem)
        except web.HTTPException as answer:
            if answer.status < 400:
                raise
            return self._end(request, _problem_of(answer))
        except ConnectionError as error:
            if request.transport is None or request.transport.is_closing():
                raise
            return self._fault(request, route, error)
        except Exception as error:  # the fault of one handler is that request's answer, and is logged here
            return self._fault(request, route, error)

    def _limit_refusals(self, head: RequestHead, refusal: Refusal) -> Refusal:
        """The refusal, or another one for whoever tries wrong credentials again and again."""
        policy = self._policy()
        client = behind_proxies(head, policy)
        if refusal.code != "bad_credentials" or isinstance(client, Refusal):
            return refusal
        return self._take("bad_credentials", client.peer, policy.refused_credentials_per_minute) or refusal

    def _limit(self, caller: Principal, route: Route) -> Refusal | None:
        """Keeps those who need no credential from waking people without end."""
        if route.scope != "notify" or caller.kind != "anonymous" or caller.network != "trusted":
            return None
        return self._take("notify", caller.address, self._policy().notify_per_minute)

    def _take(self, kind: Dear, address: str, per_minute: int) -> Refusal | None:
        seconds = self._rates.take(kind, address, per_minute)
        if not seconds:
            return None
        what, key = _DEAR[kind]
        text = f"more than {per_minute} {what} a minute from {clean(address)}"
        hint = f"try again in {seconds} s; the bound is security.{key}"
        return Refusal(429, "too_often", text, hint, {"Retry-After": str(seconds)})

    def _refuse(self, refusal: Refusal) -> web.Response:
        self._metrics.refused.labels(refusal.code).inc()
        return Problem(refusal.status, refusal.code, refusal.message, refusal.hint, headers=refusal.headers).response()

    def _fault(self, request: web.Request, route: Route, error: Exception) -> web.StreamResponse:
        return self._end(request, self.fault(request, route, error))

    def fault(self, asked: Asked, route: Route, error: Exception) -> Problem:
        """Log a fault of a handler; the answer to its request."""
        reference = self._clock.new_id()
        log.error("request.failed", route=route.path, method=asked.method, reference=reference, exc_info=error)
        text = "the service failed to answer; this is a fault of ours"
        return Problem(500, "internal", text, "look for the reference in the log", reference=reference)

    def _end(self, request: web.Request, problem: Problem) -> web.StreamResponse:
        begun: web.StreamResponse | None = request.get(_PREPARED)
        if begun is None:
            return problem.response()
        # The head is out already: a cut connection is the only honest end, a proper one would look complete.
        if request.transport is not None:
            request.transport.abort()
        return begun

    async def _answer_unmatched(self, request: web.Request) -> web.StreamResponse:
        fault = request.match_info.http_exception
        if isinstance(fault, web.HTTPMethodNotAllowed):
            return self._answer_wrong_method(request, sorted(fault.allowed_methods))
        near = get_close_matches(request.path, self._paths, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "GET /openapi.json lists what there is"
        raise Problem(404, "not_found", f"there is nothing at {clean(request.path)}", hint)

    def _answer_wrong_method(self, request: web.Request, allowed: Sequence[str]) -> web.StreamResponse:
        preflight = cors.preflight_headers(request.headers.get("Origin"), self._policy(), allowed)
        if request.method == "OPTIONS" and preflight:
            return web.Response(status=204, headers=preflight)
        names = ", ".join(allowed)
        text = f"{clean(request.method)} is not possible at {clean(request.path)}"
        raise Problem(405, "method_not_allowed", text, f"use {names}", headers={"Allow": names})

    def _note(self, request: web.Request, route: Route, status: int, seconds: float) -> None:
        self.note(request, route, status, seconds, counted=COUNTED in request)

    def note(self, asked: Asked, route: Route, status: int, seconds: float, *, counted: bool = False) -> None:
        """Count an answer, and log it. `counted`: by somebody else."""
        if not counted:
            self._count(route.path, status)
        if not debugging():
            return
        # Values of the query may be private: only their names are logged.
        log.debug(
            "request.answered",
            method=asked.method,
            path=clean(asked.path),
            parameters=sorted(map(clean, asked.query)),
            status=status,
            peer=asked.remote,
            ms=round(seconds * 1000, 3),
        )

    def _count(self, path: str, status: int) -> None:
        counter = self._counters.get((path, status))
        if counter is None:
            # Looking the labels up takes longer than counting.
            counter = self._counters[path, status] = self._metrics.requests.labels(path, status)
        counter.inc()


def _problem_of(answer: web.HTTPException) -> Problem:
    code = (answer.reason or "refused").lower().replace(" ", "_")
    return Problem(answer.status, code, clean(answer.text or answer.reason))
