"""Who is connected to the gateway, and to which channels: this process' own knowledge, and that of all together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Protocol

import msgspec

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.event.streaming.gateway import Gateway
from hxp_enterprise_llm.runtime.clock import Clock


class Client(Protocol):
    """What presence tells of a client; encoded as it is."""

    @property
    def user(self) -> str: ...


class Node(msgspec.Struct, frozen=True):
    """A process of the gateway, in Centrifugo's words. `uptime` in seconds."""

    uid: str
    name: str
    version: str
    num_clients: int
    num_users: int
    num_channels: int
    num_subs: int
    uptime: int


class Known(msgspec.Struct, frozen=True):
    """What one process knows of its connections: of one channel, or as a whole."""

    node: Node | None = None
    counts: dict[str, int] = {}
    """Channel → connections on it, where there are any."""
    raw: list[str] = []
    """Raw clients of the channel: WebSocket and SSE connections by transport and address."""


Members = Callable[[str], Mapping[str, Client]]
"""Who is on a channel by a protocol that gives clients a name, by their id."""


async def _nowhere(channel: str) -> Sequence[Known]:
    return ()


def _nobody(channel: str) -> Mapping[str, Client]:
    return {}


class Who:
    """Answers of `presence`, `presence_stats`, `channels` and `info`."""

    def __init__(
        self, gateway: Gateway, *, clock: Clock, node: str, members: Members = _nobody, own: Members | None = None
    ) -> None:
        """`members` of all processes; `own`: those of this one, when there are others."""
        self._gateway, self._clock, self._node = gateway, clock, node
        self._members, self._own = members, own or members
        self._uid, self._begun = clock.new_id(), clock.monotonic()
        self.elsewhere: Callable[[str], Awaitable[Sequence[Known]]] = _nowhere
        """Asks the other processes what they know of a channel; of none: as a whole."""

    # All processes

    async def presence(self, channel: str) -> dict[str, Any]:
        """Clients by id. A raw WebSocket or SSE client is known by its transport and address, and has no user."""
        raw = {id: {"client": id, "user": ""} for known in await self._all(channel) for id in known.raw}
        return {"presence": raw | dict(self._members(channel))}

    async def stats(self, channel: str) -> dict[str, int]:
        """Clients, and different users among them; all without a name count as one."""
        raw, members = sum(len(known.raw) for known in await self._all(channel)), self._members(channel)
        users = {member.user for member in members.values()} | ({""} if raw else set())
        return {"num_clients": raw + len(members), "num_users": len(users)}

    async def channels(self, pattern: str) -> dict[str, Any]:
        """Channels that somebody is on, with how many; `pattern` as of file names."""
        found: dict[str, dict[str, int]] = {}
        for known in await self._all():
            for name, count in known.counts.items():
                if not pattern or fnmatchcase(name, pattern):
                    found.setdefault(name, {"num_clients": 0})["num_clients"] += count
        return {"channels": found}

    async def info(self) -> dict[str, Any]:
        """Each process of this gateway as a node."""
        return {"nodes": [known.node for known in await self._all()]}

    async def _all(self, channel: str = "") -> list[Known]:
        return [self.known(channel), *await self.elsewhere(channel)]

    # This process

    def known(self, channel: str = "") -> Known:
        """What this process knows of a channel; of none: as a whole."""
        if channel:
            return Known(raw=self._raw(channel))
        counts = {name: count for name in self._gateway.hub.channels if (count := self._count(name))}
        return Known(self._describe(counts), counts)

    def _describe(self, counts: Mapping[str, int]) -> Node:
        users = {member.user for name in counts for member in self._own(name).values()}
        places = self._gateway.places.values()
        nameless = {""} if any(link.subscription is not None for each in places for link in each) else set()
        return Node(
            uid=self._uid,
            name=self._node,
            version=__version__,
            num_clients=sum(map(len, places)),
            num_users=len(users | nameless),
            num_channels=len(counts),
            num_subs=sum(counts.values()),
            uptime=int(self._clock.monotonic() - self._begun),
        )

    def _count(self, channel: str) -> int:
        return sum(len(each.subscribers) for each in self._gateway.hub.family(channel))

    def _raw(self, channel: str) -> list[str]:
        return [
            f"{link.transport}:{link.peer}"
            for places in self._gateway.places.values()
            for link in places
            if link.subscription is not None and link.subscription.channel.name == channel
        ]
