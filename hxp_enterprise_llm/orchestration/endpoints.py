"""The endpoint tables of docs/endpoints.md, made of the routes that a running service has."""

from __future__ import annotations

from collections.abc import Iterable

from hxp_enterprise_llm.security.model import Route

HEAD = "| method | path | scope | what |\n|---|---|---|---|\n"


def rows(routes: Iterable[Route]) -> str:
    """One Markdown row a route, sorted by path."""
    return "".join(
        f"| {_method(route)} | `{route.path}` | {route.scope} | {route.summary} |\n"
        for route in sorted(routes, key=lambda route: (route.path, route.method))
    )


def _method(route: Route) -> str:
    return {"websocket": "WS", "sse": "SSE"}.get(route.upgrade, route.method)
