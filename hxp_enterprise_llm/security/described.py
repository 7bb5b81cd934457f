"""What a route tells of itself beyond its name: parameters, bodies, answers, as types that msgspec knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

JSON = "application/json"
EVENTS = "text/event-stream"
HTML = "text/html"


class Refused(TypedDict):
    """Why it was not done."""

    code: str
    message: str
    hint: NotRequired[str]


class Refusal(TypedDict):
    """The one form in which a service says no. Further members of `error` tell more, by `code`."""

    error: Refused


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query, or a header."""

    name: str
    description: str
    type: Any = str
    where: Literal["query", "header"] = "query"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered when all goes well."""

    description: str
    type: Any = None
    """None: any content of this media type."""
    media: str = JSON
    """Content type; empty: no content."""
    status: int = 200


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """One route."""

    parameters: tuple[Parameter, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)
    """Media type → type of the body, where it has one."""
    optional_body: bool = False
    answers: tuple[Answer, ...] = ()
    """Empty: what the route's kind answers."""
    refusals: tuple[int, ...] = ()
    """Statuses beyond those that every route of its kind refuses with."""
    refused: Mapping[str, Any] = field(default_factory=dict)
    """Media type → type of a refusal by the handler itself, where a protocol wants another form than ours."""
    endless: bool = False
    """Whether the answer goes on until somebody ends it."""


NOTHING = Described()
"""A route that has nothing to add to its kind."""
