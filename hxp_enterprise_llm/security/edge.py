"""The application made out of routes, each behind `admit`; nothing is served that has not declared a scope."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from aiohttp import web

from hxp_enterprise_llm.runtime.clock import Clock, SystemClock
from hxp_enterprise_llm.security.front.door import DOOR, Door
from hxp_enterprise_llm.security.gate import PRINCIPAL, ROUTES, Gate, request_head
from hxp_enterprise_llm.security.model import Route
from hxp_enterprise_llm.security.policy import Policy
from hxp_enterprise_llm.telemetry.metrics import ServiceMetrics

__all__ = ["PRINCIPAL", "build_app", "ends_with_service", "request_head", "walk"]

_LONG_LIVED = web.AppKey("_LONG_LIVED", set[asyncio.Task[object]])


def build_app(
    routes: Sequence[Route],
    *,
    policy: Callable[[], Policy],
    metrics: ServiceMetrics,
    clock: Clock | None = None,
) -> web.Application:
    """The application that serves these routes. `policy` is asked anew for each request.

    A handler finds the Principal in `request[PRINCIPAL]`. Raises ValueError when two routes are the same.
    """
    clock = clock or SystemClock()
    gate = Gate(policy, metrics, clock, sorted({route.path for route in routes}))
    app = web.Application(middlewares=[gate.middleware])
    app[DOOR] = Door(gate, routes, metrics, clock)
    app[ROUTES] = {}
    app[_LONG_LIVED] = set()
    for route in routes:
        _register(app, route, gate)
    app.on_response_prepare.append(gate.on_prepare)
    app.on_shutdown.append(_end_long_lived)
    return app


def _register(app: web.Application, route: Route, gate: Gate) -> None:
    methods = ["GET", "HEAD"] if route.method == "GET" and not route.upgrade else [route.method]
    for method in methods:
        try:
            added = app.router.add_route(method, route.path, route.handler, expect_handler=gate.expect)
        except RuntimeError:
            raise ValueError(f"{method} {route.path} is declared twice") from None
        app[ROUTES][added] = route


def walk(app: web.Application) -> Iterator[tuple[str, str, Route | None]]:
    """Every (method, path, declared route) that the application answers; None: nobody declared a scope for it."""
    for added in app.router.routes():
        path = added.resource.canonical if added.resource is not None else ""
        yield added.method, path, app[ROUTES].get(added)


@contextmanager
def ends_with_service(request: web.Request) -> Iterator[None]:
    """Within this, the request is cancelled as soon as the service shuts down: for answers that never end."""
    tasks, task = request.app[_LONG_LIVED], asyncio.current_task()
    if task is None:
        raise RuntimeError("not called from a request's task")
    tasks.add(task)
    try:
        yield
    finally:
        tasks.discard(task)


async def _end_long_lived(app: web.Application) -> None:
    tasks = app[_LONG_LIVED]
    for task in tuple(tasks):
        task.cancel()
