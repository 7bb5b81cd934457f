"""What the routes of deliveries take and answer."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

import msgspec
from msgspec import Meta

from hxp_enterprise_llm.config.delivery import DeliveryChannel
from hxp_enterprise_llm.config.rules import Priority
from hxp_enterprise_llm.event.notifications.requests import MAX_MESSAGE, MOST_IDS
from hxp_enterprise_llm.security.described import JSON, Answer, Described


class Drill(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A drill: either a channel or a receiver."""

    channel: DeliveryChannel | None = None
    receiver: str = ""
    target: str = ""
    message: Annotated[str, Meta(max_length=MAX_MESSAGE)] = ""


class Outcome(TypedDict):
    """What became of it at one recipient."""

    channel: str
    target: str
    state: Literal["delivered", "failed"]
    reason: NotRequired[str]


class Drilled(TypedDict):
    """The outcome at each recipient."""

    id: str
    delivered: bool
    deliveries: list[Outcome]


class DeadLetter(TypedDict):
    """A delivery that was given up."""

    id: int
    channel: str
    target: str
    kind: str
    priority: Priority
    title: str
    notification: str
    attempts: int
    created_at: str
    given_up_at: str
    reason: str
    tells: int


class DeadLetters(TypedDict):
    """The newest first, at most 500."""

    dead: list[DeadLetter]


class Replay(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which dead letters to send again: either ids or all."""

    ids: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1, max_length=MOST_IDS)] | None = None
    all: Literal[True] | None = None


class Replayed(TypedDict):
    """What is queued again, and what was asked for but is not dead."""

    replayed: list[int]
    unknown: list[int]


TEST = Described(request={JSON: Drill}, answers=(Answer("The outcome", Drilled),), refusals=(404, 409, 503))
DEAD = Described(answers=(Answer("Deliveries that were given up", DeadLetters),), refusals=(503,))
REPLAY = Described(request={JSON: Replay}, answers=(Answer("Queued again", Replayed, status=202),), refusals=(503,))
