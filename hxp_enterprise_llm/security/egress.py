"""Connections that the service makes to others: to which addresses, whatever the name of the host says.

The address is looked at when the socket for it is made, after the last look-up: a name that changes its mind in
between, or an unusual spelling of a number, makes no difference.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Any

import aiohttp

from hxp_enterprise_llm.security.networks import Address, parse_address

_NAT64 = IPv6Network("64:ff9b::/96")
_SERVES_SECRETS = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32")))
"""Link-local networks, and the addresses beyond them at which clouds hand their machines their credentials."""
_NOWHERE = tuple(map(ip_network, ("0.0.0.0/8", "240.0.0.0/4")))


class EgressRefused(OSError):
    """A connection that is not made. `address` is where it would have gone, `reason` why not."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address, self.reason = address, reason

    def __str__(self) -> str:
        return f"no connection to {self.address} is made: {self.reason}"


class RedirectRefused(aiohttp.ClientError):
    """An answer that sends us elsewhere."""

    def __str__(self) -> str:
        return "the answer is a redirect, and none is followed"


class Egress:
    """Makes connections to what is no excluded address."""

    def __init__(self, *, deny_private: bool = False) -> None:
        """`deny_private` excludes loopback and private networks as well."""
        self._deny_private = deny_private

    def check(self, address: str) -> None:
        """Raises EgressRefused for an excluded address, and for what is none."""
        parsed = parse_address(address)
        if parsed is None:
            raise EgressRefused(address, "it is no address")
        for each in (parsed, *_inside(parsed)):
            reason = self._reason(each)
            if reason:
                raise EgressRefused(address, reason)

    def _reason(self, address: Address) -> str:
        if address.is_unspecified or address.is_multicast or any(address in network for network in _NOWHERE):
            return "it is the address of no single host"
        if any(address in network for network in _SERVES_SECRETS):
            return "it is link-local, where clouds hand out credentials"
        if self._deny_private and not address.is_global:
            return "it is private, and security.egress.deny_private is set"
        return ""

    def session(self, seconds: float, *, keep: int = 0) -> aiohttp.ClientSession:
        """A session for HTTP within so many seconds a request. Follows no redirect: RedirectRefused is raised.

        `keep`: most connections, which then stay open between requests; 0: each request has one of its own.
        """
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(_refuse_redirect)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=self._socket, force_close=not keep, limit=keep or 100),
            timeout=aiohttp.ClientTimeout(total=seconds),
            trace_configs=[tracing],
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _socket(self, address_info: Any) -> socket.socket:
        family, kind, protocol, _, address = address_info
        self.check(address[0])
        return socket.socket(family, kind, protocol)

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket. Raises OSError with the last reason when no address of the host can be used."""
        loop = asyncio.get_running_loop()
        last: OSError = OSError(f"{host} has no address")
        for info in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                return await self._connect(loop, info)
            except OSError as error:
                last = error
        raise last

    async def _connect(self, loop: asyncio.AbstractEventLoop, info: Any) -> socket.socket:
        sock = self._socket(info)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, info[4])
        except BaseException:
            sock.close()
            raise
        return sock


def _inside(address: Address) -> list[IPv4Address]:
    """IPv4 addresses that an IPv6 address carries, and to which a translator would lead."""
    if not isinstance(address, IPv6Address):
        return []
    found = [address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


async def _refuse_redirect(*_: object) -> None:
    raise RedirectRefused
