"""What was recorded of four ways to trace a crew (tests/data/otlp/record.py), and what the model was asked for."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import NamedTuple

import msgspec

from hxp_enterprise_llm.event.sources.genai.model import Span
from hxp_enterprise_llm.event.sources.genai.reading import read_span
from hxp_enterprise_llm.event.sources.otlp import protobuf

WAYS = ("native", "openllmetry", "openinference", "openinference_events")
_PLACE = Path(__file__).parents[3] / "data" / "otlp"


class Recording(NamedTuple):
    """Requests in protobuf; calls of the model and its tokens, counted by the model itself."""

    requests: list[bytes]
    calls: int
    input: int
    output: int
    cached: int


def recording(way: str) -> Recording:
    found = json.loads((_PLACE / f"{way}.json").read_text(encoding="utf-8"))
    requests = [gzip.decompress(base64.b64decode(text)) for text in found["requests"]]
    return Recording(requests, *(found["truth"][name] for name in ("calls", "input", "output", "cached")))


def spans_of(way: str) -> list[Span]:
    """The spans of a recording, in their order."""
    return [span for request in recording(way).requests for span in protobuf.traces(request) if isinstance(span, Span)]


def twice_told(spans: list[Span]) -> list[Span]:
    """The same as two instrumentations tell it: around each call of a model stands another span that says the same."""
    told: list[Span] = []
    for span in spans:
        if read_span(span).role == "inference":
            around = msgspec.structs.replace(span, span=bytes(byte ^ 0xFF for byte in span.span))
            span = msgspec.structs.replace(span, parent=around.span)
            told.append(around)
        told.append(span)
    return told
