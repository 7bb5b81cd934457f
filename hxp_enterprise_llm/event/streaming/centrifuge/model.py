"""What the session core knows of the world: questions it may ask, the port it acts through, what all share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec

from hxp_enterprise_llm.config.streaming import CentrifugeConfig
from hxp_enterprise_llm.event.streaming.centrifuge.codes import End
from hxp_enterprise_llm.event.streaming.centrifuge.presence import Info, Notice, Presence
from hxp_enterprise_llm.event.streaming.centrifuge.tags import TagsFilter
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import Verifier
from hxp_enterprise_llm.event.streaming.centrifuge.wire import Position
from hxp_enterprise_llm.event.streaming.encode import Message
from hxp_enterprise_llm.runtime.clock import Clock


class Standing(NamedTuple):
    """Where a channel is: a cursor from `floor` to `offset` can be served without a look into the log."""

    epoch: str
    offset: int
    floor: int
    cached: bool = False
    """Whether only its newest publication counts for those who come back."""
    publications: bool = True
    """Whether it carries what is published to it."""


class AskBounds(NamedTuple):
    """What the log holds; answered with Bounds."""


class AskHistory(NamedTuple):
    """Publications of a channel; answered with a list of members."""

    channel: str
    limit: int
    since: Position | None
    reverse: bool


class AskNewest(NamedTuple):
    """The newest publication of a channel that the log has; answered with a Message, or None."""

    channel: str
    filter: TagsFilter | None


class AskPublish(NamedTuple):
    """An event for the log; answered with None."""

    channel: str
    data: bytes
    info: Info
    """Of who publishes it."""


Question = AskBounds | AskHistory | AskNewest | AskPublish


@dataclass(slots=True, eq=False)
class Attachment:
    """A channel of one session, from the moment its subscribe request is granted."""

    channel: str
    info: Info
    port: Port
    cursor: int = 0
    epoch: str = ""
    id: int = 0
    bare: bool = False
    delta: bool = False
    filter: TagsFilter | None = None
    server_side: bool = False
    recovered: bool = False
    """Whether the client was given the channel's last publication with the reply already."""
    returning: bool = False
    """Whether the client came back with a position that could be served."""
    expires: float = 0.0
    """Seconds since 1970; 0: never."""

    def notice(self, notice: Notice) -> None:
        """Somebody came or went."""
        self.port.send([notice.encoded(self.id, self.bare)])


class Port(Protocol):
    """What a session does to the world. Nothing here calls back into the session before it returns."""

    def send(self, replies: Sequence[bytes]) -> None:
        """Write replies, in one piece where the transport can."""
        ...

    def ping(self) -> None: ...

    def end(self, end: End) -> None:
        """Say why, and close."""
        ...

    def ask(self, question: Question) -> None:
        """Find an answer; `session.answer` or `session.fail` follows, but not before this returns."""
        ...

    def standing(self, channel: str, filter: TagsFilter | None) -> Standing:
        """Raises Refused: no such channel, too many filters."""
        ...

    def recover(self, attachment: Attachment) -> list[msgspec.Raw]:
        """Publications beyond the cursor of an attachment that are at hand, and the cursor moved behind them."""
        ...

    def newest(self, attachment: Attachment) -> Message | None:
        """The newest publication that is at hand."""
        ...

    def give(self, attachment: Attachment, message: Message) -> list[msgspec.Raw]:
        """A publication as it is sent with the reply."""
        ...

    def unrecovered(self) -> None:
        """Take note that a client came back and cannot be given all that it missed."""
        ...

    def attach(self, attachment: Attachment) -> None:
        """Begin to give publications beyond its cursor. `session.lost` may follow at any time, later."""
        ...

    def detach(self, attachment: Attachment) -> None:
        """Give no more. Idempotent."""
        ...


@dataclass(slots=True)
class Shared:
    """What all sessions of a process have in common."""

    config: CentrifugeConfig
    clock: Clock
    version: str
    verifier: Verifier | None = None
    read_json: ReadJson = field(kw_only=True)
    presence: Presence = field(default_factory=lambda: Presence(announces=False))
    ids: dict[str, int] = field(default_factory=dict)

    @property
    def tracks(self) -> bool:
        """Whether it is kept who is where."""
        return self.config.presence or self.presence.announces

    def id_of(self, channel: str) -> int:
        """The number that stands for a channel in pushes."""
        return self.ids.setdefault(channel, len(self.ids) + 1)


ReadJson = Callable[[bytes], tuple[Any, bytes]]
"""Reads JSON strictly: the value, and its text without spaces. Raises ValueError."""
Infos = dict[str, msgspec.Raw | msgspec.UnsetType]
