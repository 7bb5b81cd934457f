"""The AsyncAPI document of a service: its channels, the events on each, and the schema of each event's data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.streaming import ChannelConfig
from hxp_enterprise_llm.event.model import parse_patterns
from hxp_enterprise_llm.event.streaming.publication import PUBLICATION

Json = dict[str, Any]

_FORMAT = "application/schema+json;version=draft-2020-12"
_TEXT: Json = {"type": "string"}
_OFFSET: Json = {"type": "integer", "minimum": 1, "description": "Place in the log"}
_ATTRIBUTES: Json = {
    "specversion": {"const": "1.0"},
    "id": _TEXT,
    "source": _TEXT,
    "time": {"type": "string", "description": "RFC 3339"},
    "subject": _TEXT,
}
_OTHER = "other"
"""Message of events whose type has no schema."""
_CONTROL = "control"
"""Message about the stream itself."""


class _Way(NamedTuple):
    """How a channel may be had: by which route, in which words of AsyncAPI."""

    name: str
    route: str
    binding: str
    upgraded: bool

    def address(self, channel: str) -> str:
        return self.route.partition("{")[0] + channel


_WAYS = (_Way("websocket", "/ws/{channel}", "ws", True), _Way("sse", "/sse/{stream}", "http", False))
_FOLLOW, _APPEND = "/events/stream", "/events"


def document(
    title: str,
    version: str,
    host: str,
    *,
    paths: Collection[str],
    channels: Mapping[str, ChannelConfig],
    schemas: Mapping[str, Json],
) -> Json:
    """AsyncAPI 3.0 of a service with these paths. `schemas`: those of the data, by type of event."""
    parts = _Parts(schemas)
    for name, channel in channels.items():
        for way in _WAYS:
            if way.route in paths:
                parts.add_channel(name, channel, way)
    if _FOLLOW in paths:
        parts.add_log()
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version},
        "defaultContentType": "application/json",
        "servers": {"http": {"host": host, "protocol": "http"}, "websocket": {"host": host, "protocol": "ws"}},
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {"messages": dict(_messages(schemas))},
    }


class _Parts:
    """Channels and operations, put together one after the other."""

    def __init__(self, schemas: Mapping[str, Json]) -> None:
        self._types = tuple(schemas)
        self.channels: Json = {}
        self.operations: Json = {}

    def add_channel(self, name: str, channel: ChannelConfig, way: _Way) -> None:
        """A channel of the gateway, by WebSocket or SSE."""
        messages = [*self._carried(channel), _CONTROL]
        about = channel.description or f"Events of {', '.join(channel.types)}"
        self._add(f"{name}.{way.name}", way.address(name), about, messages, "send", way)

    def add_log(self) -> None:
        """The log itself: events in, events out."""
        everything = [*self._types, _OTHER]
        self._add("log", _FOLLOW, "The log as lines `OFFSET EVENT`", everything, "send")
        self._add("ingest", _APPEND, "Events for the log, by POST", everything, "receive")

    def _carried(self, channel: ChannelConfig) -> Iterator[str]:
        patterns = parse_patterns(channel.types)
        yield from (
            type for type in self._types if patterns.matches(type) or (type == PUBLICATION and channel.publications)
        )
        if not set(channel.types) <= set(self._types):
            yield _OTHER

    def _add(
        self, name: str, address: str, about: str, messages: list[str], action: str, way: _Way | None = None
    ) -> None:
        server = "websocket" if way is not None and way.upgraded else "http"
        channel: Json = {
            "address": address,
            "description": about,
            "servers": [{"$ref": f"#/servers/{server}"}],
            "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
        }
        if server == "websocket":
            channel["bindings"] = {"ws": {"method": "GET"}}
        self.channels[name] = channel
        self.operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in messages],
        }


def _messages(schemas: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for type, schema in schemas.items():
        payload = _envelope({"type": {"const": type}, "data": schema}, "data" if schema.get("required") else "type")
        yield type, _message(type, str(schema.get("title", type)), payload)
    yield _OTHER, _message(_OTHER, "An event of another type", _envelope({"type": _TEXT, "data": {}}, "type"))
    about = "What happened to the stream: `control` by WebSocket, the name of the event by SSE"
    yield _CONTROL, _message(_CONTROL, about, {"type": "object", "properties": {"control": _TEXT}})


def _message(name: str, title: str, schema: Json) -> Json:
    return {"name": name, "title": title, "payload": {"schemaFormat": _FORMAT, "schema": schema}}


def _envelope(members: Json, required: str) -> Json:
    place = {"offset": _OFFSET, "epoch": _TEXT}
    return {
        "type": "object",
        "properties": place | _ATTRIBUTES | members,
        "required": list(dict.fromkeys(["specversion", "id", "source", "type", required])),
    }
