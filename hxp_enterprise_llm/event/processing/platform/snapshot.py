"""The `platform.snapshot` event: what the live views need, small enough to be sent to everybody each tick."""

from __future__ import annotations

from typing import Any

import msgspec

from hxp_enterprise_llm.event.model import Encoded, Event, encode, rfc3339
from hxp_enterprise_llm.event.processing.platform.platform import Views

SNAPSHOT_TYPE = "platform.snapshot"
SOURCE = "/processing/platform"
MOST_BYTES = 60_000
"""Of the data; with its attributes the event stays below 64 kB."""
_LONGEST, _SHORTEST = 25, 3


def snapshot_data(views: Views, at: float, position: int) -> dict[str, Any]:
    """The data, with lists as long as fit into MOST_BYTES."""
    whole = _whole(views)
    length = _LONGEST
    while True:
        data = {"at": rfc3339(at), "position": position, **_shortened(whole, length)}
        if len(msgspec.json.encode(data)) <= MOST_BYTES or length <= _SHORTEST:
            return data
        length //= 2


def snapshot_event(data: dict[str, Any], epoch: str, sequence: str) -> Encoded:
    """The data as an event. `sequence` tells snapshots of one epoch apart."""
    return encode(
        Event(id=f"platform/{epoch}/{sequence}", source=SOURCE, type=SNAPSHOT_TYPE, time=data["at"], data=data)
    )


def _whole(views: Views) -> dict[str, Any]:
    tokens, costs, knowledge, hypotheses = views.tokens(), views.costs(), views.knowledge(), views.hypotheses()
    return {
        "agents": views.active_agents(),
        "tokens": {
            "total": tokens["total"],
            "today": tokens["today"],
            "last_hour": tokens["last_hour"],
            "projected_usd": costs["projected"],
            "month_usd": costs["month_usd"],
            "unpriced": costs["unpriced"],
            "budgets": costs["budgets"],
            "by": {kind: [_account(each) for each in found] for kind, found in tokens["by"].items()},
        },
        "memory": views.tier_stats(),
        "knowledge": {
            "accesses": knowledge["accesses"],
            "misses": knowledge["misses"],
            "items": [
                {key: each[key] for key in ("item", "count", "last_24h", "agents", "by_hour_of_day")}
                for each in knowledge["items"]
            ],
            "gaps": views.gaps()["gaps"],
        },
        "collaboration": views.collaboration(),
        "hypotheses": {key: value for key, value in hypotheses.items() if not key.startswith("by_")},
        "models": views.models()["models"],
        "recommendations": views.recommendations()["recommendations"],
    }


def _account(each: dict[str, Any]) -> dict[str, Any]:
    """An account in short; GET /api/v2/tokens has all of it. The one without a name is `other`."""
    today = each["today"]
    return {key: each[key] for key in ("name", "requests", "tokens", "cost_usd", "unpriced_requests")} | {
        "today_tokens": today["tokens"],
        "today_usd": today["cost_usd"],
    }


def _shortened(whole: dict[str, Any], length: int) -> dict[str, Any]:
    cut = False

    def short(value: Any) -> Any:
        nonlocal cut
        if isinstance(value, dict):
            return {key: short(inner) for key, inner in value.items()}
        if isinstance(value, list):
            # A list of numbers is by hour of the day: its places have a meaning.
            if value and not isinstance(value[0], dict | str):
                return value
            cut = cut or len(value) > length
            return [short(inner) for inner in value[:length]]
        return value

    data: dict[str, Any] = short(whole)
    return data | ({"truncated": True} if cut else {})
