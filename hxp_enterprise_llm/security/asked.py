"""A plain request, as its handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from multidict import CIMultiDict, MultiDict, MultiDictProxy, MultiMapping
from yarl import URL

from hxp_enterprise_llm.security.admit import RequestHead
from hxp_enterprise_llm.security.plainhead import PlainHead

_NOTHING: MultiMapping[str] = MultiDictProxy(MultiDict[str]())


class Peer(NamedTuple):
    """Both ends of a connection: who is there, and the port and address that were dialled."""

    address: str
    port: int
    local: str = ""


class PlainRequest:
    """Has the members of `Asked`."""

    __slots__ = ("_head", "match_info", "peer", "scopes", "transport")

    def __init__(
        self, head: PlainHead, match_info: Mapping[str, str], peer: Peer, transport: asyncio.Transport | None
    ) -> None:
        self._head, self.match_info, self.peer, self.transport = head, match_info, peer, transport
        self.scopes: frozenset[str] = frozenset()
        """What whoever asks may do; nothing until that is decided."""

    @property
    def method(self) -> str:
        return self._head.method

    @property
    def path(self) -> str:
        return self._head.path

    @property
    def headers(self) -> CIMultiDict[str]:
        return self._head.headers

    @property
    def host(self) -> str:
        return self._head.headers["Host"]

    @property
    def remote(self) -> str:
        return self.peer.address

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self._head.size

    @property
    def query(self) -> MultiMapping[str]:
        """The parameters, read by the code that reads those of all other requests."""
        if not self._head.query:
            return _NOTHING
        return URL.build(path=self._head.path, query_string=self._head.query, encoded=True).query

    def head(self, now: float) -> RequestHead:
        """What `admit` looks at; `now` is in wall-clock seconds."""
        head, peer = self._head, self.peer
        return RequestHead(peer.address, (1, 1), head.method, head.target, head.headers, peer.port, now, peer.local)
