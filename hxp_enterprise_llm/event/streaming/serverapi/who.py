"""Who is connected to the gateway, and to which channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Protocol

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.event.streaming.gateway import Gateway
from hxp_enterprise_llm.runtime.clock import Clock


class Client(Protocol):
    """What presence tells of a client; encoded as it is."""

    @property
    def user(self) -> str: ...


class Who:
    """Answers of `presence`, `presence_stats`, `channels` and `info`, for this process."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        clock: Clock,
        node: str,
        members: Callable[[str], Mapping[str, Client]] = lambda channel: {},
    ) -> None:
        """`members`: who is on a channel by a protocol that gives clients a name, by their id."""
        self._gateway, self._clock, self._node, self._members = gateway, clock, node, members
        self._uid, self._begun = clock.new_id(), clock.monotonic()

    def presence(self, channel: str) -> dict[str, Any]:
        """Clients by id. A raw WebSocket or SSE client is known by its transport and address, and has no user."""
        raw = {id: {"client": id, "user": ""} for id in self._raw(channel)}
        return {"presence": raw | dict(self._members(channel))}

    def stats(self, channel: str) -> dict[str, int]:
        """Clients, and different users among them; all without a name count as one."""
        raw, members = self._raw(channel), self._members(channel)
        users = {member.user for member in members.values()} | ({""} if raw else set())
        return {"num_clients": len(raw) + len(members), "num_users": len(users)}

    def channels(self, pattern: str) -> dict[str, Any]:
        """Channels that somebody is on, with how many; `pattern` as of file names."""
        counts = {name: self._count(name) for name in self._gateway.hub.channels}
        found = {
            name: {"num_clients": count}
            for name, count in counts.items()
            if count and (not pattern or fnmatchcase(name, pattern))
        }
        return {"channels": found}

    def info(self) -> dict[str, Any]:
        """This gateway as the one node."""
        names = self._gateway.hub.channels
        counts = [self._count(name) for name in names]
        users = {member.user for name in names for member in self._members(name).values()}
        node = {
            "uid": self._uid,
            "name": self._node,
            "version": __version__,
            "num_clients": sum(map(len, self._gateway.places.values())),
            "num_users": len(users | ({""} if any(self._raw(name) for name in names) else set())),
            "num_channels": sum(1 for count in counts if count),
            "num_subs": sum(counts),
            "uptime": int(self._clock.monotonic() - self._begun),
        }
        return {"nodes": [node]}

    def _count(self, channel: str) -> int:
        return sum(len(each.subscribers) for each in self._gateway.hub.family(channel))

    def _raw(self, channel: str) -> list[str]:
        return [
            f"{link.transport}:{link.peer}"
            for places in self._gateway.places.values()
            for link in places
            if link.subscription is not None and link.subscription.channel.name == channel
        ]
