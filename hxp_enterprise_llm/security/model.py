"""Principals, refusals, and the declaration that every route must make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from aiohttp import web

Scope = Literal[
    "open",  # liveness only: says nothing that an outsider may not know
    "read",  # events, streams, dashboards, state
    "publish",  # put events into the log
    "notify",  # send a notification by hand
    "dashboards:refresh",
    "metrics",
]

KEY_SCOPES: frozenset[str] = frozenset(get_args(Scope)) - {"open"}
"""What an API key may be given."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not let in: what, and what to do."""

    status: int
    code: str
    message: str
    hint: str = ""
    headers: dict[str, str] = field(default_factory=dict)
