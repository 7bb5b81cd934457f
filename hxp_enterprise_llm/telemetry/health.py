"""Health in words: each part of a service says how it is and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Status = Literal["ok", "degraded", "down"]


class Part(NamedTuple):
    """One part of a service: `degraded` works with less, `down` does not work; `reason` says why."""

    status: Status
    reason: str = ""
    facts: Mapping[str, Any] = {}


_WORD = {"ok": "healthy", "degraded": "degraded", "down": "unhealthy"}
_ORDER: tuple[Status, ...] = ("ok", "degraded", "down")


def worst(parts: Mapping[str, Part]) -> Status:
    """The worst status among the parts; `ok` when there are none."""
    return max((part.status for part in parts.values()), key=_ORDER.index, default="ok")


def report(service: str, timestamp: str, parts: Mapping[str, Part]) -> dict[str, Any]:
    """The body of /health: the seed's three keys first, then each part."""
    return {
        "status": _WORD[worst(parts)],
        "service": service,
        "timestamp": timestamp,
        "parts": {
            name: {"status": part.status, **({"reason": part.reason} if part.reason else {}), **part.facts}
            for name, part in parts.items()
        },
    }
