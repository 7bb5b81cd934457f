"""Who is on which channel, in this process."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from hxp_enterprise_llm.event.streaming.centrifuge.wire import push


class Info(msgspec.Struct, frozen=True):
    """A client as others see it."""

    user: str
    client: str
    conn_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    chan_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


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
        self._channels: dict[str, dict[str, Member]] = {}

    def join(self, channel: str, member: Member) -> None:
        """Take a member in; it is told of itself, too."""
        members = self._channels.setdefault(channel, {})
        members[member.info.client] = member
        if self.announces:
            self._tell(members, Notice("join", channel, member.info))

    def leave(self, channel: str, member: Member) -> None:
        """Let a member go. Idempotent."""
        members = self._channels.get(channel, {})
        if members.get(member.info.client) is not member:
            return
        del members[member.info.client]
        if not members:
            del self._channels[channel]
        if self.announces:
            self._tell(members, Notice("leave", channel, member.info))

    def clients(self, channel: str) -> dict[str, Info]:
        """Who is there, by the identity of the connection."""
        return {client: member.info for client, member in self._channels.get(channel, {}).items()}

    def stats(self, channel: str) -> dict[str, int]:
        """Connections, and different users among them."""
        infos = self.clients(channel).values()
        counts = {"num_clients": len(infos), "num_users": len({info.user for info in infos})}
        return {name: count for name, count in counts.items() if count}

    def _tell(self, members: dict[str, Member], notice: Notice) -> None:
        for member in list(members.values()):
            member.notice(notice)
