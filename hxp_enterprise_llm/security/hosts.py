"""Host and Origin as text: parsed strictly, compared as a browser would."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from hxp_enterprise_llm.security.networks import parse_address

_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[0-9A-Za-z._~%-]+)?)\]|([A-Za-z0-9._~-]+))(?::([0-9]{0,5}))?")
_ORIGIN = re.compile(r"(https?)://([^/?#@\\\s]+)", re.IGNORECASE)
_DEFAULT_PORT = {"http": 80, "https": 443}


class Authority(NamedTuple):
    """`host[:port]`; the host in lower case, IPv6 without brackets; port None when none is written."""

    host: str
    port: int | None

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP literal, which cannot be rebound to another machine."""
        return parse_address(self.host) is not None


class WebOrigin(NamedTuple):
    """An Origin: scheme, host, and the port, the scheme's own when none is written."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORT[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    def is_of(self, authority: Authority) -> bool:
        """Whether a page of this origin came from this authority.

        A Host without a port means the default port of the scheme that the browser used, which is the Origin's.
        """
        port = _DEFAULT_PORT[self.scheme] if authority.port is None else authority.port
        return self.host == authority.host and self.port == port


@lru_cache(maxsize=256)
def parse_authority(text: str) -> Authority | None:
    """A Host header or the authority of a request target; None when it is malformed."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    literal, name, port = match.groups()
    if literal is not None and parse_address(literal) is None:
        return None
    if port and int(port) > 65535:
        return None
    return Authority((literal or name).lower(), int(port) if port else None)


def parse_origin(text: str) -> WebOrigin | None:
    """An Origin header or a configured origin; None for `null` and everything that is no http origin."""
    match = _ORIGIN.fullmatch(text)
    authority = parse_authority(match[2]) if match else None
    if match is None or authority is None:
        return None
    scheme = match[1].lower()
    return WebOrigin(scheme, authority.host, authority.port or _DEFAULT_PORT[scheme])
