"""Answers of an OTLP receiver, in the encoding of the request.

`google.rpc.Status` and the export responses are two fields each: written by hand, they need no further package.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hxp_enterprise_llm.telemetry.text import MESSAGE_LIMIT, clean

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
Signal = Literal["traces", "metrics", "logs"]
RETRYABLE = frozenset({429, 502, 503, 504})
"""Statuses upon which an exporter sends the same again."""
REJECTED = {"traces": "rejectedSpans", "metrics": "rejectedDataPoints", "logs": "rejectedLogRecords"}
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 408: 3, 413: 3, 415: 3, 429: 8, 500: 13, 503: 14}
_UNKNOWN = 2


def success(signal: Signal, media: str, rejected: int = 0, message: str = "") -> bytes:
    """The body of a 200: empty when everything was taken, or else how many were not, and why."""
    if not rejected and not message:
        return b"{}" if media == JSON else b""
    message = clean(message, MESSAGE_LIMIT)
    if media == JSON:
        partial = {REJECTED[signal]: str(rejected), "errorMessage": message}
        return msgspec.json.encode({"partialSuccess": partial})
    return _field(1, (_number(1, rejected) if rejected else b"") + _field(2, message.encode()))


def status(http: int, message: str, media: str) -> bytes:
    """The body of a refusal."""
    code, message = _CODES.get(http, _UNKNOWN), clean(message, MESSAGE_LIMIT)
    if media == JSON:
        return msgspec.json.encode({"code": code, "message": message})
    return _number(1, code) + _field(2, message.encode())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
