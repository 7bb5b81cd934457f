"""Query parameters that a route has not: a misspelt one that is passed over would widen what is answered."""

from __future__ import annotations

from collections.abc import Collection

from multidict import MultiMapping

from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.security.problems import Problem
from hxp_enterprise_llm.telemetry.text import clean


def known(query: MultiMapping[str], route: str, allowed: Collection[str], hint: str = "") -> None:
    """Refuse what is no parameter of a route, with a hint of its own if it has one. Raises Problem."""
    for name in query:
        if name not in allowed:
            text = f"{clean(name, 60)!r} is no parameter of {route}{suggestion(name[:60], allowed)}"
            hint = hint or f"it takes {', '.join(allowed)}"
            raise Problem(400, "unknown_parameter", text, hint, allowed=list(allowed))


def only(query: MultiMapping[str], route: str, allowed: Collection[str]) -> None:
    """Refuse what is no parameter of a route, and what is there twice. Raises Problem."""
    known(query, route, allowed)
    for name in query:
        if len(query.getall(name)) > 1:
            raise Problem(400, "bad_parameter", f"{name} is there {len(query.getall(name))} times", "send it once")
