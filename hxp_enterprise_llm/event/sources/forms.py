"""The forms in which events come over HTTP, split into single events: structured, batched, binary, plain, lines."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from hxp_enterprise_llm.event.sources.decode import Item
from hxp_enterprise_llm.event.sources.faults import Finding, Invalid
from hxp_enterprise_llm.event.sources.strict_json import JsonFault, read, syntax_fault
from hxp_enterprise_llm.telemetry.text import clean

Headers = CIMultiDictProxy[str] | CIMultiDict[str]

SUSPICIOUS_COMMAS = 500_000
"""Above this an array is first read in a way that cannot take much memory, whatever is in it."""

_STRUCTURED = "application/cloudevents"
_NDJSON = "application/x-ndjson"
_LINES = re.compile(rb"[^\r\n]*[^\s][^\r\n]*")
_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Typed(msgspec.Struct, gc=False):
    type: str


_typed = msgspec.json.Decoder(list[_Typed]).decode


class Elements:
    """The events of a JSON array, each as its own text; `body` is the whole of it. Iterating may raise JsonFault."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        return map(bytes, _elements(self.body))


def media_type(content_type: str) -> str:
    """The media type of a Content-Type header, without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def split(body: bytes, content_type: str, headers: Headers) -> Iterable[Item]:
    """The events of a body, lazily. Raises JsonFault, also while they are iterated, when the body as a whole cannot
    be read, Invalid (binary mode).
    """
    media = media_type(content_type)
    if "ce-specversion" in headers and not media.startswith(_STRUCTURED):
        return (_binary(body, content_type, headers),)
    if not body.strip():
        raise JsonFault("", 'the body is empty: send an event, e.g. {"type": "demo.hello", "data": {}}')
    if media == _NDJSON:
        return (match[0] for match in _LINES.finditer(body))
    is_array = body.lstrip()[:1] == b"["
    if media == "application/cloudevents-batch+json" and not is_array:
        raise JsonFault("", "a batch is a JSON array of events")
    if media == "application/cloudevents+json" and is_array:
        raise JsonFault("", "this is an array: send it as application/cloudevents-batch+json")
    return Elements(body) if is_array else (body,)


def _elements(body: bytes) -> list[msgspec.Raw]:
    """The elements of an array, unread. They are not kept as text of their own, so that a large batch stays small."""
    try:
        if body.count(b",") > SUSPICIOUS_COMMAS:
            _typed(body)
        return _raws(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise syntax_fault(error, body) from None


def _binary(body: bytes, content_type: str, headers: Headers) -> dict[str, Any]:
    """An event in binary mode: attributes in headers, the body is the data."""
    members: dict[str, Any] = {}
    for header, value in headers.items():
        name = header.lower()
        if name.startswith("ce-"):
            if name[3:] in members:
                raise Invalid([Finding(name, "is there twice")])
            members[name[3:]] = _header_text(name, value)
    for name in ("data", "data_base64", "datacontenttype"):
        if name in members:
            raise Invalid([Finding(f"ce-{name}", "is no attribute of the binary mode: the body is the data")])
    if content_type:
        members["datacontenttype"] = _utf8("content-type", content_type)
    return members | (_binary_data(body, content_type) if body else {})


def _header_text(name: str, value: str) -> str:
    try:
        return _utf8(name, unquote(value, errors="strict"))
    except UnicodeDecodeError:
        raise Invalid([Finding(name, f"'{clean(value, 60)}' is not UTF-8")]) from None


def _utf8(name: str, value: str) -> str:
    """The value of a header. Raises Invalid when its bytes were none of UTF-8."""
    try:
        value.encode()
        return value
    except UnicodeEncodeError:
        raise Invalid([Finding(name, f"'{clean(value, 60)}' is not UTF-8")]) from None


def _binary_data(body: bytes, content_type: str) -> dict[str, Any]:
    media = media_type(content_type)
    if media == "application/json" or media.endswith("+json"):
        try:
            return {"data": read(body)[0]}
        except JsonFault as fault:
            path = f"data.{fault.path}" if fault.path else "data"
            raise Invalid([Finding(path, fault.message)]) from None
    if media.startswith("text/"):
        try:
            return {"data": body.decode()}
        except UnicodeDecodeError:
            pass  # text in another encoding is kept byte for byte
    return {"data_base64": base64.b64encode(body).decode()}
