"""The metrics page, in the form that the scraper asks for."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder


def render(registry: CollectorRegistry, accept: str = "") -> tuple[str, bytes]:
    """Content type and page for an `Accept` header: OpenMetrics when it is asked for, else Prometheus' text form."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)


def instrument_process(registry: CollectorRegistry) -> None:
    """Add the figures of the process and the interpreter: `process_*`, `python_*`. Once a registry."""
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
