"""What a browser must be told so that a page of an allowed origin may use the service."""

from __future__ import annotations

from collections.abc import Iterable

from hxp_enterprise_llm.security.hosts import parse_origin
from hxp_enterprise_llm.security.policy import Policy

_REQUEST_HEADERS = "Content-Type, Content-Encoding, Last-Event-ID, Authorization, X-API-Key"


def answer_headers(origin: str | None, policy: Policy) -> dict[str, str]:
    """Headers of an answer to a page; empty for our own pages and for programs."""
    parsed = parse_origin(origin) if origin else None
    if origin is None or parsed not in policy.allowed_origins:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def preflight_headers(origin: str | None, policy: Policy, methods: Iterable[str]) -> dict[str, str]:
    """Headers of the answer to a preflight; empty when the page may not come."""
    answer = answer_headers(origin, policy)
    if not answer:
        return {}
    return answer | {
        "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
        "Access-Control-Allow-Headers": _REQUEST_HEADERS,
        "Access-Control-Max-Age": "600",
    }
