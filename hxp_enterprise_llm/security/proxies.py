"""The proxies whose word is taken on who the client is. Everybody else's forwarding headers prove only a proxy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from hxp_enterprise_llm.security.networks import Address, parse_address, parse_network

_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")


class Proxies:
    """The networks of `security.trusted_proxies`, compiled."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        """Raises ValueError that names the faulty network."""
        self._networks = tuple(parse_network(text) for text in trusted)
        self._kept = lru_cache(maxsize=4096)(self._look)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, peer: object) -> bool:
        return isinstance(peer, str) and self._kept(peer)

    def _look(self, peer: str) -> bool:
        address = parse_address(peer)
        return address is not None and self._has(address)

    def _has(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)

    def client(self, forwarded: Sequence[str]) -> str | None:
        """The client that X-Forwarded-For names; None when that cannot be told.

        Each proxy adds at the right whom it saw. So the first from the right that is no proxy of ours is the client,
        and what stands left of it is only its own claim.
        """
        address = None
        for text in reversed(",".join(forwarded).split(",")):
            address = _parse(text.strip(" \t"))
            if address is None or not self._has(address):
                break
        return None if address is None else str(address)


def _parse(text: str) -> Address | None:
    """An address as proxies write it: bare, or with a port, IPv6 in brackets then. A zone is no address of a client."""
    match = _WITH_PORT.fullmatch(text)
    return parse_address((match[1] or match[2]) if match else text) if "%" not in text else None
