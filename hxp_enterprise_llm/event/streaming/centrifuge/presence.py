"""Who is on which channel: in this process by himself, and in the others as they tell of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

import msgspec

from hxp_enterprise_llm.event.streaming.centrifuge.wire import push


class Info(msgspec.Struct, frozen=True):
    """A client as others see it."""

    user: str
    client: str
    conn_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    chan_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Move(msgspec.Struct, array_like=True, frozen=True):
    """A client came to a channel, or left it: then there is no `info`. How processes tell each other."""

    channel: str
    client: str
    info: Info | None = None

    def kept(self) -> Move:
        """The same, apart from the message that it was decoded from: what is kept must not keep all of that."""
        if self.info is None:
            return self
        user, client, conn_info, chan_info = msgspec.structs.astuple(self.info)
        return Move(self.channel, self.client, Info(user, client, _copied(conn_info), _copied(chan_info)))


def _copied(raw: msgspec.Raw | msgspec.UnsetType) -> msgspec.Raw | msgspec.UnsetType:
    return raw.copy() if isinstance(raw, msgspec.Raw) else raw


class Notice:
    """Somebody came or went. Encoded once for each way of naming the channel."""

    __slots__ = ("_encoded", "_info", "channel", "kind")

    def __init__(self, kind: Literal["join", "leave"], channel: str, info: Info) -> None:
        self.kind, self.channel, self._info = kind, channel, info
        self._encoded: dict[tuple[int, bool], bytes] = {}

    def encoded(self, id: int, bare: bool) -> bytes:
        """The push, the channel named by `id` when that is not 0."""
        key = (id, bare)
        if key not in self._encoded:
            name: dict[str, Any] = {"id": id} if id else {"channel": self.channel}
            self._encoded[key] = push(name | {self.kind: {"info": self._info}}, bare=bare)
        return self._encoded[key]


class Member(Protocol):
    """A subscription, as those beside it on its channel know it."""

    @property
    def info(self) -> Info: ...

    def notice(self, notice: Notice) -> None:
        """Somebody came or went."""
        ...


class Presence:
    """The members of each channel. `announces`: those on a channel are told who comes and goes."""

    def __init__(self, *, announces: bool) -> None:
        self.announces = announces
        self.moved: Callable[[Move], object] = lambda move: None
        """Told of each change among the members of this process."""
        self._channels: dict[str, dict[str, Member]] = {}
        self._elsewhere: dict[str, dict[str, Info]] = {}

    def join(self, channel: str, member: Member) -> None:
        """Take a member in; it is told of itself, too."""
        members = self._channels.setdefault(channel, {})
        members[member.info.client] = member
        self._tell("join", channel, member.info)
        self.moved(Move(channel, member.info.client, member.info))

    def leave(self, channel: str, member: Member) -> None:
        """Let a member go. Idempotent."""
        members = self._channels.get(channel, {})
        if members.get(member.info.client) is not member:
            return
        del members[member.info.client]
        if not members:
            del self._channels[channel]
        self._tell("leave", channel, member.info)
        self.moved(Move(channel, member.info.client))

    # Other processes

    def follow(self, move: Move, *, news: bool = True) -> None:
        """Take in a change in another process. `news` False: it was so before, and nobody is told."""
        there = self._elsewhere.setdefault(move.channel, {})
        before = there.pop(move.client, None)
        if move.info is not None:
            there[move.client] = move.info
        elif not there:
            del self._elsewhere[move.channel]
        if not news:
            return
        if move.info is not None and before is None:
            self._tell("join", move.channel, move.info)
        elif move.info is None and before is not None:
            self._tell("leave", move.channel, before)

    def picture(self) -> Iterator[Move]:
        """The members of this process, each as if he came now."""
        for channel, members in self._channels.items():
            for client, member in members.items():
                yield Move(channel, client, member.info)

    # Questions

    def clients(self, channel: str) -> dict[str, Info]:
        """Who is there, in all processes, by the identity of the connection."""
        return self._elsewhere.get(channel, {}) | self.own(channel)

    def own(self, channel: str) -> dict[str, Info]:
        """Who is there in this process."""
        return {client: member.info for client, member in self._channels.get(channel, {}).items()}

    def stats(self, channel: str) -> dict[str, int]:
        """Connections, and different users among them."""
        infos = self.clients(channel).values()
        counts = {"num_clients": len(infos), "num_users": len({info.user for info in infos})}
        return {name: count for name, count in counts.items() if count}

    def _tell(self, kind: Literal["join", "leave"], channel: str, info: Info) -> None:
        members = self._channels.get(channel)
        if not self.announces or not members:
            return
        notice = Notice(kind, channel, info)
        for member in list(members.values()):
            member.notice(notice)
