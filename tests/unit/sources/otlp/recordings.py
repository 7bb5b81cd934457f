"""What was recorded of four ways to trace a crew (tests/data/otlp/record.py), and what the model was asked for."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import NamedTuple

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
