"""The lean routes of an application: found by a plain head, behind the same `admit`, counted in the same metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security import cors
from hxp_enterprise_llm.security.front.answer import Answers
from hxp_enterprise_llm.security.front.asked import Peer, PlainRequest
from hxp_enterprise_llm.security.front.plainhead import PlainHead
from hxp_enterprise_llm.security.gate import CLIENT_GONE, Gate
from hxp_enterprise_llm.security.model import LeanPost, LeanStream, Refusal, Route, StepAside
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

SWITCHED, STREAMING = 101, 200
_NO_NAMES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Stream:
    """A request for a stream that may come in."""

    asked: PlainRequest
    route: Route
    open: LeanStream


@dataclass(frozen=True, slots=True)
class Post:
    """A request with a body that may come in."""

    asked: PlainRequest
    route: Route
    lean: LeanPost
    policy: Policy
    expires: float
    """By that policy, and until then (wall-clock seconds), a request with the same head may come in as well."""


class Door:
    """Made once for an application, shared by its listeners."""

    def __init__(self, gate: Gate, routes: Sequence[Route], metrics: ServiceMetrics, clock: Clock) -> None:
        self._gate, self._metrics, self._clock = gate, metrics, clock
        self._exact: dict[tuple[str, str], Route] = {}
        self._below: dict[tuple[str, str], tuple[Route, str]] = {}
        for route in routes:
            if route.lean is not None:
                self._add(route)
        self._answers = Answers(clock.time)

    def _add(self, route: Route) -> None:
        before, mark, name = route.path.partition("{")
        if mark:
            self._below[route.method, before] = route, name.removesuffix("}")
        else:
            self._exact[route.method, route.path] = route

    def is_local(self, address: str) -> bool:
        """Whether an address is of this host."""
        return self._gate.policy.networks.classify(address) == "loopback"

    def no_room(self) -> bytes:
        """The whole answer to a connection beyond the limit of the process."""
        text, hint = "this process has no descriptor left for another connection", "try again in some seconds"
        self._metrics.refused.labels("no_room").inc()
        body = Problem(503, "no_room", text, hint).content()
        return self._answers.make(503, body, {"Retry-After": "5", "Connection": "close"})

    @property
    def beginnings(self) -> tuple[bytes, ...]:
        """How the requests begin that may be for one of these routes."""
        return tuple(f"{method} {path}".encode() for method, path in (*self._exact, *self._below))

    @property
    def max_half_open_per_address(self) -> int:
        """As the policy in force has it."""
        return self._gate.policy.max_half_open_per_address

    def closed_half_open(self, bound: str, count: int) -> None:
        """Count connections that were closed because no request came together."""
        self._metrics.half_open_closed.labels(bound).inc(count)

    def admit(self, head: PlainHead, peer: Peer, transport: asyncio.Transport) -> Stream | Post | None:
        """What becomes of a request here; None: it is for no lean route, or may not come in."""
        route, names = self._find(head)
        if route is None:
            return None
        asked = PlainRequest(head, names, peer, transport)
        decision = self._gate.admit(asked.head(self._clock.time()), route)
        if isinstance(decision, Refusal):
            return None
        asked.scopes = decision.scopes
        if decision.address != peer.address:
            asked.peer = peer._replace(address=decision.address)
        if isinstance(route.lean, LeanPost):
            return Post(asked, route, route.lean, self._gate.policy, decision.expires)
        # aiohttp reads a request for an upgrade in another way, whatever it is for.
        if route.lean is None or ("Upgrade" in head.headers) is not (route.upgrade == "websocket"):
            return None
        return Stream(asked, route, route.lean)

    def admits_again(self, post: Post) -> bool:
        """Whether a request with the very same head would be admitted now as this one was."""
        return post.policy is self._gate.policy and self._clock.time() < post.expires

    def _find(self, head: PlainHead) -> tuple[Route | None, Mapping[str, str]]:
        route = self._exact.get((head.method, head.path))
        if route is not None:
            return route, _NO_NAMES
        before, mark, last = head.path.rpartition("/")
        found = self._below.get((head.method, before + mark))
        # What begins with a dot could be a step in the path.
        return (None, _NO_NAMES) if found is None or not last or last[0] == "." else (found[0], {found[1]: last})

    def open(self, stream: Stream) -> bool:
        """Let the stream have its connection; False: it does not take it, and nothing has changed."""
        start = self._clock.monotonic()
        try:
            stream.open(stream.asked)
        except (StepAside, Problem):
            return False
        status = SWITCHED if stream.route.upgrade == "websocket" else STREAMING
        self._gate.note(stream.asked, stream.route, status, self._clock.monotonic() - start)
        return True

    def begin(self, post: Post, body: bytes, told: Callable[[bytes | None], None]) -> bool:
        """Have a request answered without a task; whether that is possible.

        `told` gets the whole answer in a later turn of the loop, or None: `answer` has to be asked after all.
        """
        if post.lean.begin is None:
            return False
        return post.lean.begin(post.asked, body, partial(self._begun, post, self._clock.monotonic(), told))

    def _begun(
        self,
        post: Post,
        start: float,
        told: Callable[[bytes | None], None],
        outcome: tuple[int, bytes] | Exception | None,
    ) -> None:
        told(None if outcome is None else self._made(post, outcome, start))

    async def answer(self, post: Post, body: bytes) -> bytes:
        """The whole answer to a request with its body."""
        start = self._clock.monotonic()
        try:
            return self._made(post, await post.lean.answer(post.asked, body), start)
        except Exception as error:  # the fault of one handler is that request's answer
            return self._made(post, error, start)
        except asyncio.CancelledError:
            self.gone(post)
            raise

    def _made(self, post: Post, outcome: tuple[int, bytes] | Exception, start: float) -> bytes:
        """The answer to an outcome, counted and, when it is a fault of ours, logged."""
        headers: Mapping[str, str] = {}
        if isinstance(outcome, tuple):
            status, content = outcome
        elif isinstance(outcome, Problem):
            status, content, headers = _refusal(outcome)
        else:
            status, content, headers = _refusal(self._gate.fault(post.asked, post.route, outcome))
        origin = post.asked.headers.get("Origin")
        if origin is not None:
            headers = {**headers, **cors.answer_headers(origin, self._gate.policy)}
        closed = post.asked.transport.is_closing()
        self._gate.note(post.asked, post.route, CLIENT_GONE if closed else status, self._clock.monotonic() - start)
        return self._answers.make(status, content, headers)

    def gone(self, post: Post) -> None:
        """The client got no answer."""
        self._gate.note(post.asked, post.route, CLIENT_GONE, 0.0)


def _refusal(problem: Problem) -> tuple[int, bytes, Mapping[str, str]]:
    return problem.status, problem.content(), problem.headers


DOOR = web.AppKey("DOOR", Door)
"""Where a listener finds the door of its application."""
