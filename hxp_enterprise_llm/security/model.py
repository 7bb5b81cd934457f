"""Principals, refusals, and the declaration that every route must make."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping

from hxp_enterprise_llm.security.described import NOTHING, Described

if TYPE_CHECKING:
    from hxp_enterprise_llm.security.body import BodyBudget

Scope = Literal[
    "open",  # liveness only: says nothing that an outsider may not know
    "read",  # events, streams, dashboards, state
    "publish",  # put events into the log
    "publish:own",  # put events into the log of the types that the services make themselves: alerts, snapshots
    "notify",  # send a notification by hand, hand alerts in, acknowledge
    "silence",  # silence alerts
    "dashboards:refresh",
    "dashboards:write",  # save definitions of dashboards
    "metrics",
]

KEY_SCOPES: frozenset[str] = frozenset(get_args(Scope)) - {"open"}
"""What an API key may be given."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Asked(Protocol):
    """What there is to know of a request, whoever has read it: aiohttp's has the same members."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def headers(self) -> CIMultiDictProxy[str] | CIMultiDict[str]: ...
    @property
    def query(self) -> MultiMapping[str]: ...
    @property
    def match_info(self) -> Mapping[str, str]: ...
    @property
    def remote(self) -> str | None: ...
    @property
    def transport(self) -> asyncio.Transport | None: ...


class StepAside(Exception):
    """A lean handler leaves the request to the one that aiohttp runs; it has changed nothing and counted nothing."""


OpenStream = Callable[[asyncio.Transport, str], None]
"""Takes a connection: gives its transport another protocol and writes the head of the answer, all in one step.

The text is the key of a WebSocket, the one thing in a head that is another for each connection; empty without one.
Raises StepAside or Problem when it would not; then the request is put before the handler of the route.
"""

LeanStream = Callable[[Asked], OpenStream]
"""Reads all that a head says but that key, once for the requests of an address whose heads are the same.

Raises StepAside or Problem, as `OpenStream` does. What can change meanwhile, `OpenStream` asks each time.
"""


Begun = Callable[[tuple[int, bytes] | Exception | None], None]
"""Told once, in a later turn of the loop, status and JSON, or the Problem; None: `answer` has to be asked after all."""

Begin = Callable[[bytes, Begun], bool]
"""Has a body answered without a task: True when `Begun` will be told the answer."""


@dataclass(frozen=True, slots=True)
class LeanPost:
    """A route whose small plain bodies are answered before aiohttp."""

    answer: Callable[[Asked, bytes], Awaitable[tuple[int, bytes]]]
    """Status and JSON. Raises Problem."""
    limit: Callable[[], int]
    """Most bytes of a body."""
    budget: BodyBudget
    prepare: Callable[[Asked], Begin | None] = lambda asked: None
    """Reads all that the head says, once for the requests of a client whose heads are the same.

    The answer has their bodies answered without a task, as far as they are usual; None: they take one.
    """


JSON_BODY = ("application/json",)
EVENT_BODY = (
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/x-ndjson",
)


@dataclass(frozen=True, slots=True)
class Route:
    """One way in. A route without a scope cannot be written down."""

    method: Literal["GET", "POST", "DELETE", "PUT"]
    path: str
    handler: Handler
    scope: Scope
    summary: str
    """One line for the endpoint table."""
    body: tuple[str, ...] = ()
    """Content types taken; empty: the route has no body. `*/*` stands for any (CloudEvents binary mode)."""
    upgrade: Literal["", "websocket", "sse"] = ""
    """What the connection becomes."""
    lean: LeanStream | LeanPost | None = None
    """Answers plain requests before aiohttp. The path has at most one parameter, at its end."""
    described: Described = NOTHING
    """Parameters, bodies and answers, for the OpenAPI document."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    kind: Literal["anonymous", "service"]
    """service: whoever holds an API key."""
    network: Literal["loopback", "trusted", "other"]
    address: str
    scopes: frozenset[str]
    id: str = ""
    """Id of the API key."""
    expires: float = math.inf
    """Until when that key is good, in wall-clock seconds."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not let in: what, and what to do."""

    status: int
    code: str
    message: str
    hint: str = ""
    headers: dict[str, str] = field(default_factory=dict)
