"""The lean routes of an application: found by a plain head, behind the same `admit`, counted in the same metrics.

Thousands who come back at once send one head, but for the random key of each WebSocket. `admit` is pure and looks at no
such key: so what was found in a head without a credential holds for all of the same address, by the same policy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security import cors
from hxp_enterprise_llm.security.asked import Peer, PlainRequest
from hxp_enterprise_llm.security.body import Lease
from hxp_enterprise_llm.security.front.answer import Answers
from hxp_enterprise_llm.security.gate import CLIENT_GONE, Gate
from hxp_enterprise_llm.security.model import (
    Begin,
    LeanPost,
    OpenStream,
    Principal,
    Refusal,
    Route,
    StepAside,
)
from hxp_enterprise_llm.security.plainhead import PlainHead, parse, without_key
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

SWITCHED, STREAMING = 101, 200
MOST_KEPT, MOST_KEPT_BYTES = 256, 2048
"""Heads that are remembered, and the size of the longest of them."""
_NO_NAMES: Mapping[str, str] = {}

_Place = tuple[bytes, bool, Peer]
"""A head without its key, whether it has one, and who sent it."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A request for a stream that may come in, whatever its key."""

    asked: PlainRequest
    """Without a connection: there may be several."""
    route: Route
    open: OpenStream
    caller: Principal
    policy: Policy
    """By which it may."""


@dataclass(frozen=True, slots=True)
class Post:
    """A request with a body that may come in."""

    asked: PlainRequest
    route: Route
    lean: LeanPost
    begin: Begin | None
    """What its head says, as whoever answers has read it."""
    origin: str | None
    """The page that asks, if one does."""
    lease: Lease
    """For one body at a time."""
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
        self._streams: dict[_Place, Stream] = {}

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
    def has_streams(self) -> bool:
        """Whether connections may become streams here."""
        return any(route.upgrade for route, _ in self._below.values())

    @property
    def max_half_open_per_address(self) -> int:
        """As the policy in force has it."""
        return self._gate.policy.max_half_open_per_address

    def closed_half_open(self, bound: str, count: int) -> None:
        """Count connections that were closed because no request came together."""
        self._metrics.half_open_closed.labels(bound).inc(count)

    def decide(self, text: bytes, peer: Peer, transport: asyncio.Transport, *, alone: bool) -> Post | bool:
        """What becomes of a request, by its head.

        True: it is a stream, which has the connection now. False: aiohttp is to have it, and nothing has changed. Its
        head is not plain or for no lean route, it may not come in, or it is a stream's and more than its head is there.
        """
        keyless, key = without_key(text)
        place = keyless, bool(key), peer
        stream = self._streams.get(place)
        if stream is None or stream.policy is not self._gate.policy:
            found = self._admit(text, peer, transport)
            if not isinstance(found, Stream):
                return found or False
            if not key and found.route.upgrade == "websocket":
                return False  # in an unusual form: for aiohttp, which has words for what is wrong with it
            stream = found
            self._keep(place, stream)
        return alone and self._open(stream, transport, key)

    def _admit(self, text: bytes, peer: Peer, transport: asyncio.Transport) -> Stream | Post | None:
        head = parse(text)
        route, names = self._find(head) if head is not None else (None, _NO_NAMES)
        if head is None or route is None:
            return None
        asked = PlainRequest(head, names, peer, transport if isinstance(route.lean, LeanPost) else None)
        decision = self._gate.admit(asked.head(self._clock.time()), route)
        if isinstance(decision, Refusal):
            return None
        asked.scopes = decision.scopes
        if decision.address != peer.address:
            asked.peer = peer._replace(address=decision.address)
        if isinstance(route.lean, LeanPost):
            return self._post(asked, route, route.lean, decision.expires)
        return self._stream(asked, route, decision)

    def _stream(self, asked: PlainRequest, route: Route, caller: Principal) -> Stream | None:
        # aiohttp reads a request for an upgrade in another way, whatever it is for.
        if not callable(route.lean) or ("Upgrade" in asked.headers) is not (route.upgrade == "websocket"):
            return None
        try:
            return Stream(asked, route, route.lean(asked), caller, self._gate.policy)
        except (StepAside, Problem):
            return None

    def _keep(self, place: _Place, stream: Stream) -> None:
        """Remember a head, but no credential: that has an expiry, and no business in memory after its connection."""
        if stream.caller.kind != "anonymous" or len(place[0]) > MOST_KEPT_BYTES:
            return
        if len(self._streams) >= MOST_KEPT:
            self._streams.clear()
        self._streams[place] = stream

    def _post(self, asked: PlainRequest, route: Route, lean: LeanPost, expires: float) -> Post:
        origin, lease = asked.headers.get("Origin"), lean.budget.lease()
        return Post(asked, route, lean, lean.prepare(asked), origin, lease, self._gate.policy, expires)

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

    def _open(self, stream: Stream, transport: asyncio.Transport, key: str) -> bool:
        """Let the stream have its connection; False: it does not take it, and nothing has changed."""
        start = self._clock.monotonic()
        try:
            stream.open(transport, key)
        except (StepAside, Problem):
            return False
        status = SWITCHED if stream.route.upgrade == "websocket" else STREAMING
        self._gate.note(stream.asked, stream.route, status, self._clock.monotonic() - start)
        return True

    def begin(self, post: Post, body: bytes, told: Callable[[bytes | None], None]) -> bool:
        """Have a request answered without a task; whether that is possible.

        `told` gets the whole answer in a later turn of the loop, or None: `answer` has to be asked after all.
        """
        if post.begin is None:
            return False
        return post.begin(body, partial(self._begun, post, self._clock.monotonic(), told))

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
        if post.origin is not None:
            headers = {**headers, **cors.answer_headers(post.origin, self._gate.policy)}
        closed = post.asked.transport is None or post.asked.transport.is_closing()
        self._gate.note(post.asked, post.route, CLIENT_GONE if closed else status, self._clock.monotonic() - start)
        return self._answers.make(status, content, headers)

    def gone(self, post: Post) -> None:
        """The client got no answer."""
        self._gate.note(post.asked, post.route, CLIENT_GONE, 0.0)


def _refusal(problem: Problem) -> tuple[int, bytes, Mapping[str, str]]:
    return problem.status, problem.content(), problem.headers


DOOR = web.AppKey("DOOR", Door)
"""Where a listener finds the door of its application."""
