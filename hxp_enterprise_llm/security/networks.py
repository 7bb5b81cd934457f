"""Where a peer comes from: loopback, a trusted network, or elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

PeerKind = Literal["loopback", "trusted", "other"]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")


@lru_cache(maxsize=1024)
def parse_address(text: str) -> Address | None:
    """The address in `text`, without IPv6 zone and unmapped from ::ffff:0:0/96; None when it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def parse_network(text: str) -> Network:
    """A CIDR from the configuration. Raises ValueError with what is wrong and what was probably meant."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no network: write it as CIDR, e.g. 192.168.10.0/24") from None
    if "/" in text and ip_network(text, strict=False).network_address != ip_address(text.partition("/")[0]):
        raise ValueError(f"{text!r} has bits beyond its prefix: did you mean {network}?")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        network = IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} trusts every address there is: name the networks that are yours")
    return network


def network(address: str) -> str:
    """What counts as one peer: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed) >> 64 << 64, 64)))


class Networks:
    """The trusted networks, compiled; classifies the address of a peer."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """Raises ValueError that names the faulty network."""
        self._trusted = tuple(parse_network(text) for text in trusted)
        # Peers repeat: the answer for each is worth keeping, for a bounded number of them.
        self._kept = lru_cache(maxsize=4096)(self._look)

    def classify(self, peer: str) -> PeerKind:
        """What kind of peer this is; anything that is no address is `other`."""
        return self._kept(peer)

    def _look(self, peer: str) -> PeerKind:
        address = parse_address(peer)
        if address is None:
            return "other"
        if address.is_loopback:
            return "loopback"
        if any(address.version == network.version and address in network for network in self._trusted):
            return "trusted"
        return "other"
