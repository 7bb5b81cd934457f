"""Writes the snapshot of model prices that the package carries, out of an installed `genai-prices` (MIT).

    pip install genai-prices && python scripts/price_snapshot.py 2026-11-29

The argument is the day on which the package was fetched. Prices become integers: nano-USD per million tokens, nano-USD
per request. What is priced by other things than tokens and requests (audio hours, pages) is left out of a model; one of
which nothing is left stays without prices: they are not known, and no other model's are to be taken for it.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "hxp_enterprise_llm/event/processing/prices/snapshot.json"
NANO = 10**9
KEYS = {
    "input_mtok": "in",
    "output_mtok": "out",
    "cache_read_mtok": "read",
    "cache_write_mtok": "write",
    "output_reasoning_mtok": "reason",
    "requests_kcount": "request",
}
CLAUSES = ("starts_with", "ends_with", "contains", "regex", "equals")


def nano(price: Decimal, key: str) -> int:
    """USD per million tokens (or per thousand requests) as nano-USD per million tokens (or per request)."""
    # Some prices are floating point in the source, such as 0.18000000000000002.
    return round(price * NANO / (1000 if key == "requests_kcount" else 1))


def rate(prices: Any) -> dict[str, Any]:
    """The prices of one period. Tiers: `[more than so many input tokens, price]`, ascending."""
    found: dict[str, Any] = {}
    for key, name in KEYS.items():
        price = getattr(prices, key)
        if price is None:
            continue
        if isinstance(price, Decimal):
            found[name] = nano(price, key)
        else:
            tiers = [[tier.start, nano(tier.price, key)] for tier in price.tiers]
            found[name] = [[-1, nano(price.base, key)], *tiers]
    return found


def periods(prices: Any) -> list[dict[str, Any]]:
    """The prices by time; the last whose condition holds counts, the first when none does."""
    if not isinstance(prices, list):
        return [rate(prices)]
    return [condition(each.constraint) | rate(each.prices) for each in prices]


def condition(constraint: Any) -> dict[str, Any]:
    if constraint is None:
        return {}
    if hasattr(constraint, "start_date"):
        return {"from": constraint.start_date.isoformat()}
    return {"between": [constraint.start_time.isoformat(), constraint.end_time.isoformat()]}


def clause(match: Any) -> dict[str, Any]:
    for name in CLAUSES:
        if hasattr(match, name):
            return {name: getattr(match, name)}
    name = "or" if hasattr(match, "or_") else "and"
    return {name: [clause(each) for each in getattr(match, name + "_")]}


def model(each: Any) -> dict[str, Any]:
    found = periods(each.prices)
    if not any(name in period for period in found for name in ("in", "out", "request")):
        found = [{"in": 0, "out": 0}] if each.id.endswith(":free") else []
    return {"id": each.id, "match": clause(each.match), "prices": found}


def provider(each: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": each.id}
    if each.model_match is not None:
        answer["model_match"] = clause(each.model_match)
    if each.provider_match is not None:
        answer["provider_match"] = clause(each.provider_match)
    if each.fallback_model_providers:
        answer["fallback"] = list(each.fallback_model_providers)
    return answer | {"models": [model(one) for one in each.models]}


def main(day: str) -> None:
    """Write the snapshot."""
    from genai_prices.data import providers

    snapshot = {
        "provenance": {
            "package": "genai-prices",
            "version": version("genai-prices"),
            "fetched": day,
            "url": "https://github.com/pydantic/genai-prices",
            "licence": "MIT, Copyright (c) Pydantic Services Inc. 2025 to present",
            "unit": "nano-USD per million tokens; request: nano-USD each",
            "note": "Prices are collected from the providers' pages and are not guaranteed to be right.",
        },
        "providers": [provider(each) for each in providers],
    }
    # A line a provider, so that a newer snapshot can be compared.
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in snapshot["providers"])
    head = json.dumps(snapshot["provenance"], indent=1)
    TARGET.write_text(f'{{"provenance": {head},\n"providers": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
