"""What a check says, what it is told, and the checks of values that both services have."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from hxp_enterprise_llm.config.addresses import stays_one_link
from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.faults import masked, shown
from hxp_enterprise_llm.config.types import seconds

MAX_DURATION_DAYS = 3650

_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_ALL_OF_IPV4 = ipaddress.ip_network("::ffff:0:0/96")  # peers in mapped form are compared as IPv4

Given = Callable[[str], bool]
"""Whether the operator set the value at a dotted path, or one inside it; else it is a default."""


class Finding(NamedTuple):
    """Something that does not make sense at a dotted path; a warning does not stop the load."""

    path: str
    message: str
    warning: bool = False


class Check(NamedTuple):
    """A check and the sections that it reads: it is left out when one of them has faults already."""

    reads: tuple[str, ...]
    run: Callable[[Any, Given], Iterator[Finding]]


def networks(security: SecurityConfig) -> Iterator[Finding]:
    """Trusted networks are CIDR, written exactly, and never the whole Internet."""
    yield from _networks("trusted_networks", security.trusted_networks)
    faults = list(_networks("service_networks", security.service_networks))
    yield from faults or _strangers(security)


def _strangers(security: SecurityConfig) -> Iterator[Finding]:
    """Services that nobody lets in: to be one of ours opens no door by itself."""
    trusted = [network for text in security.trusted_networks if (network := _network(text)) is not None]
    for index, text in enumerate(security.service_networks):
        if not any(_lies_in(text, network) for network in trusted):
            path = f"security.service_networks[{index}]"
            yield Finding(path, f"{text} lies in none of trusted_networks, so nobody comes in from there without a key")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _lies_in(text: str, whole: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    part = _network(text)
    if isinstance(part, ipaddress.IPv4Network) and isinstance(whole, ipaddress.IPv4Network):
        return part.subnet_of(whole)
    if isinstance(part, ipaddress.IPv6Network) and isinstance(whole, ipaddress.IPv6Network):
        return part.subnet_of(whole)
    return False


def _networks(key: str, texts: list[str]) -> Iterator[Finding]:
    for index, text in enumerate(texts):
        path = f"security.{key}[{index}]"
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield Finding(path, f"must be a network such as 192.168.10.0/24, is {shown(text)}")
            continue
        if network.prefixlen == 0 or network == _ALL_OF_IPV4:
            yield Finding(path, f"{text} would let every address in without a credential; name the networks you mean")
        elif network.network_address != ipaddress.ip_interface(text).ip:
            yield Finding(path, f"{text} has bits set behind the prefix; write {network} for the network")


def origins(security: SecurityConfig) -> Iterator[Finding]:
    """Origins are scheme, host and port; hosts are names without either."""
    for index, text in enumerate(security.allowed_origins):
        url = _url(text)
        if url is None or url.path not in ("", "/") or url.query or url.fragment or "@" in text:
            message = f"must be an origin such as https://ops.example.org, without a path, is {shown(text)}"
            yield Finding(f"security.allowed_origins[{index}]", message)
    for index, text in enumerate(security.allowed_hosts):
        if not _HOST.fullmatch(text):
            message = f"must be a host name such as llm.example.org, without scheme, port or path, is {shown(text)}"
            yield Finding(f"security.allowed_hosts[{index}]", message)


def endpoint(path: str, text: str) -> Iterator[Finding]:
    """An endpoint is an http or https URL with a host."""
    if _url(text) is None:
        yield Finding(path, f"must be a URL such as http://192.168.10.37:9090, is {shown(masked(text))}")


def page(path: str, text: str) -> Iterator[Finding]:
    """Where people find the page: links are made of it, and mails carry it, so that no password may be in it."""
    url = _url(text)
    if url is None or "@" in url.netloc or "?" in text or "#" in text or not stays_one_link(text):
        example = "https://citadel.example.org, without user, password, query and fragment"
        yield Finding(path, f"must be a URL such as {example}, is {shown(masked(text))}")


def server(
    path: str, text: str, schemes: tuple[str, ...], example: str, *, numbered: bool = False
) -> Iterator[Finding]:
    """A scheme of these, a host, and perhaps a port; who logs in stands elsewhere. `numbered`: `/NUMBER` may follow."""
    scheme, _, place = text.partition("://")
    url = _url(f"http://{place}")
    behind = url.path.strip("/") if url else ""
    number = numbered and behind.isascii() and behind.isdigit() and len(behind) < 6
    if scheme not in schemes or url is None or (behind and not number) or url.query or url.fragment or "@" in place:
        example = f"{schemes[0]}://{example}"
        yield Finding(path, f"must be an address such as {example}, without a user, is {shown(masked(text))}")


def duration(path: str, text: str, *, least: float = 0.0) -> Iterator[Finding]:
    """A duration lies above `least` seconds (0 is allowed when `least` is negative) and below ten years."""
    try:
        length = seconds(text)
    except ValueError:
        yield Finding(path, f"must be a duration such as 30s, 5m, 1h30m or 7d, is {shown(text)}")
        return
    if length <= least:
        yield Finding(path, f"must be longer than {least:g}s, is {text}")
    elif length > MAX_DURATION_DAYS * 86_400:
        yield Finding(path, f"must be at most {MAX_DURATION_DAYS}d, is {text}")


def unique(path: str, names: Iterable[str], key: str = "") -> Iterator[Finding]:
    """Each name occurs once; `key` is the member of the items that holds it."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            place = f"{path}[{index}]" + (f".{key}" if key else "")
            yield Finding(place, f"{shown(name)} is there twice, first as {path}[{first[name]}]")
        first.setdefault(name, index)


def _url(text: str) -> SplitResult | None:
    """The parts of an http or https URL, None when it is none."""
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return None
    return url if usable and not any(sign.isspace() for sign in text) else None
