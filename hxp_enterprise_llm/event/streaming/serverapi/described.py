"""What the server API takes and answers: a `result` or an `error` for each command."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from hxp_enterprise_llm.event.streaming.serverapi.commands import KINDS, Batch
from hxp_enterprise_llm.event.streaming.serverapi.who import Node
from hxp_enterprise_llm.security.described import JSON, Answer, Described


class CommandError(TypedDict):
    """Why a command was not done, in Centrifugo's codes."""

    code: int
    message: str


class _MayFail(TypedDict, total=False):
    error: CommandError


class Position(TypedDict):
    """Where a publication is in the log."""

    offset: int
    epoch: str


class Published(_MayFail, total=False):
    """The answer to `publish`."""

    result: Position


class PublishedToAll(TypedDict):
    """One answer for each channel, in their order."""

    responses: list[Published]


class Broadcasted(_MayFail, total=False):
    """The answer to `broadcast`."""

    result: PublishedToAll


class PastPublication(TypedDict):
    """What a channel carried."""

    data: Any
    offset: int
    tags: NotRequired[dict[str, str]]


class Past(TypedDict):
    """Publications, and where the log stands."""

    publications: list[PastPublication]
    epoch: str
    offset: int


class PastAnswer(_MayFail, total=False):
    """The answer to `history`."""

    result: Past


class Present(TypedDict):
    """A client. `conn_info` and `chan_info` are what its tokens say."""

    client: str
    user: str
    conn_info: NotRequired[Any]
    chan_info: NotRequired[Any]


class PresentClients(TypedDict):
    """Clients by their id."""

    presence: dict[str, Present]


class PresenceAnswer(_MayFail, total=False):
    """The answer to `presence`."""

    result: PresentClients


class Counts(TypedDict):
    """How many there are."""

    num_clients: int
    num_users: int


class StatsAnswer(_MayFail, total=False):
    """The answer to `presence_stats`."""

    result: Counts


class Clients(TypedDict):
    """How many are on a channel."""

    num_clients: int


class ActiveChannels(TypedDict):
    """Channels by name."""

    channels: dict[str, Clients]


class ChannelsAnswer(_MayFail, total=False):
    """The answer to `channels`."""

    result: ActiveChannels


class Nodes(TypedDict):
    """The processes of the gateway."""

    nodes: list[Node]


class InfoAnswer(_MayFail, total=False):
    """The answer to `info`."""

    result: Nodes


class Replies(_MayFail, total=False):
    """The answer to `batch`: for each command its result under the name of its method, or `error`."""

    replies: list[dict[str, Any]]


_ANSWERS: dict[str, Any] = {
    "publish": Published,
    "broadcast": Broadcasted,
    "history": PastAnswer,
    "presence": PresenceAnswer,
    "presence_stats": StatsAnswer,
    "channels": ChannelsAnswer,
    "info": InfoAnswer,
}


def _described(request: Any, answer: Any) -> Described:
    return Described(request={JSON: request}, optional_body=True, answers=(Answer("`result`, or `error`", answer),))


METHODS = {method: _described(KINDS[method], answer) for method, answer in _ANSWERS.items()}
"""Method → its route."""

BATCH = _described(Batch, Replies)
