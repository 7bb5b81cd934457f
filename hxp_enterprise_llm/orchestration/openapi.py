"""The OpenAPI document of a service, made of the routes that it serves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from hxp_enterprise_llm.security.described import EVENTS, JSON, Answer, Parameter, Refusal
from hxp_enterprise_llm.security.model import Route

_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)(?::[^}]*)?\}")
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key"},
}
_ABOUT = "Loopback and trusted networks need no credential."

Json = dict[str, Any]


def document(title: str, version: str, routes: Iterable[Route]) -> Json:
    """OpenAPI 3.1 of these routes."""
    routes = sorted(routes, key=lambda route: (route.path, route.method))
    types = list(dict.fromkeys([Refusal, *(kind for route in routes for kind in _types(route))]))
    found, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schemas = dict(zip(types, found, strict=True))
    paths: dict[str, Json] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _Operation(route, schemas).build()
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def _types(route: Route) -> Iterator[Any]:
    described = route.described
    for kind in (
        *(parameter.type for parameter in described.parameters),
        *described.request.values(),
        *(answer.type for answer in described.answers),
        *described.refused.values(),
    ):
        if kind is not None:
            yield kind


class _Operation:
    """One method of one path."""

    def __init__(self, route: Route, schemas: dict[Any, Json]) -> None:
        self._route, self._schemas = route, schemas

    def build(self) -> Json:
        route = self._route
        operation: Json = {
            "operationId": "_".join([route.method.lower(), *re.findall(r"\w+", _PARAMETER.sub(r"\1", route.path))]),
            "summary": route.summary,
            "responses": self._responses(),
            "security": [] if route.scope == "open" else [{}, *({name: [route.scope]} for name in _SECURITY)],
            "x-scope": route.scope,
        }
        if parameters := [*self._in_path(), *map(self._parameter, route.described.parameters)]:
            operation["parameters"] = parameters
        if route.body:
            content = {media: self._content(route.described.request.get(media)) for media in route.body}
            operation["requestBody"] = {"content": content, "required": not route.described.optional_body}
        if self._endless:
            operation["x-endless"] = True
        return operation

    @property
    def _endless(self) -> bool:
        return bool(self._route.upgrade) or self._route.described.endless

    def _in_path(self) -> Iterator[Json]:
        for name in _PARAMETER.findall(self._route.path):
            yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}

    def _parameter(self, parameter: Parameter) -> Json:
        return {
            "name": parameter.name,
            "in": parameter.where,
            "description": parameter.description,
            "schema": self._schemas[parameter.type],
        }

    def _content(self, kind: Any) -> Json:
        return {} if kind is None else {"schema": self._schemas[kind]}

    def _responses(self) -> Json:
        responses: Json = {}
        for answer in self._answers():
            said = responses.setdefault(str(answer.status), {"description": answer.description})
            if answer.media:
                said.setdefault("content", {})[answer.media] = self._content(answer.type)
        for status in sorted(refusals(self._route)):
            content = self._refused()
            responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
        return responses

    def _refused(self) -> Json:
        """Whoever is refused at the edge is so in our form; the handler may have one of its own."""
        content: Json = {JSON: self._content(Refusal)}
        for media, kind in self._route.described.refused.items():
            own = self._content(kind)
            content[media] = {"schema": {"anyOf": [content[media]["schema"], own["schema"]]}} if media == JSON else own
        return content

    def _answers(self) -> Sequence[Answer]:
        if self._route.described.answers:
            return self._route.described.answers
        if self._route.upgrade == "websocket":
            return (Answer("The connection is a WebSocket", media="", status=101),)
        if self._route.upgrade == "sse":
            return (Answer("The stream", media=EVENTS),)
        return (Answer("What was asked for"),)


def refusals(route: Route) -> set[int]:
    """Statuses with which a request may be refused."""
    found = {400, 403, 421, 500, *route.described.refusals}
    if route.scope != "open":
        # 429: keys that are wrong again and again.
        found |= {401, 429}
    if route.body:
        found |= {408, 413, 415, 503}
    elif route.method != "GET":
        found.add(415)
    if "{" in route.path:
        found.add(404)
    if route.upgrade:
        found |= {404, 409, 410, 429, 503}
    return found
