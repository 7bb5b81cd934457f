"""What the routes that every service has take and answer."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from hxp_enterprise_llm.security.described import Answer, Described


class HealthReport(TypedDict):
    """How a service is, and each part of it."""

    status: Literal["healthy", "degraded", "unhealthy"]
    service: str
    timestamp: str
    parts: dict[str, dict[str, Any]]


class State(TypedDict):
    """In one word."""

    status: str


HEALTH = Described(answers=(Answer("It works", HealthReport), Answer("A part does not work", HealthReport, status=503)))
LIVE = Described(answers=(Answer("It answers", State),))
READY = Described(answers=(Answer("It takes traffic", State), Answer("Not yet, or no more", State, status=503)))
METRICS = Described(
    answers=(
        Answer("The metrics", media="text/plain"),
        Answer("The metrics", media="application/openmetrics-text"),
    )
)
DOCUMENT = Described(answers=(Answer("The document", dict[str, Any]),))
