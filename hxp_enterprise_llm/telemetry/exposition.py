"""The metrics page, in the form that the scraper asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_SAMPLES_AT_ONCE = 150
"""Some millisecond."""
_BYTES_AT_ONCE = 5000
"""As much: most families have few samples."""

Encode = Callable[[Collector], bytes]


class Given(Collector):
    """Families that are there already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


async def page(registry: Collector, accept: str = "") -> tuple[str, bytes]:
    """As `render`, while others run: the page of ten thousand rules takes half a second."""
    encode, content_type = choose_encoder(accept)
    written, since = bytearray(), 0
    for piece in _pieces(registry, encode):
        written += piece
        since += len(piece)
        if since >= _BYTES_AT_ONCE:
            since = 0
            await asyncio.sleep(0)
    return content_type, bytes(written)


def _pieces(registry: Collector, encode: Encode) -> Iterator[bytes]:
    end = encode(Given(()))  # OpenMetrics has a last line
    for family in registry.collect():
        samples = iter(family.samples)
        named = False
        while (some := list(islice(samples, _SAMPLES_AT_ONCE))) or not named:
            part = Metric(family.name, family.documentation, family.type, family.unit)
            part.samples = some
            text = encode(Given([part])).removesuffix(end)
            yield _without_head(text) if named else text
            named = True
    yield end


def _without_head(text: bytes) -> bytes:
    """The samples, without the lines that name their family."""
    while text.startswith(b"#"):
        text = text.partition(b"\n")[2]
    return text


def render(registry: Collector, accept: str = "") -> tuple[str, bytes]:
    """Content type and page for an `Accept` header: OpenMetrics when it is asked for, else Prometheus' text form."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)


def instrument_process(registry: CollectorRegistry) -> None:
    """Add the figures of the process and the interpreter: `process_*`, `python_*`. Once a registry."""
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
