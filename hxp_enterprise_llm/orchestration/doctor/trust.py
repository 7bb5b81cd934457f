"""Who may come in, in words; and what of it is probably not meant."""

from __future__ import annotations

from collections.abc import Iterator

from hxp_enterprise_llm.config.common import SecurityConfig, ServiceConfig
from hxp_enterprise_llm.orchestration.doctor.model import Finding
from hxp_enterprise_llm.security.networks import parse_network

_LOOPBACK = ("127.", "localhost", "::1")
_WIDEST = 16
"""A private network with fewer bits of prefix is larger than most sites are."""


def look_at_trust(service: ServiceConfig, security: SecurityConfig) -> Iterator[Finding]:
    """Who passes without a credential, with one, and through whom."""
    networks = [parse_network(text) for text in security.trusted_networks]
    if security.anonymous == "none":
        who = "nobody without a key"
    else:
        who = ", ".join(["this host", *map(str, networks)])
    keys = f"keys of {security.api_keys_file}" if security.api_keys_file else "no keys"
    yield Finding("trust.who", "ok", f"{service.name}: let in without a credential: {who}; {keys}")
    for network in networks:
        if not network.is_private:
            yield Finding(
                "trust.public_network",
                "fault",
                f"{service.name}: security.trusted_networks has {network}, which is on the Internet",
                "take it out, and give those who come from there a key: hxp keys new",
            )
        elif network.version == 4 and network.prefixlen < _WIDEST:
            yield Finding(
                "trust.wide_network",
                "warning",
                f"{service.name}: security.trusted_networks trusts {network.num_addresses:,} addresses of {network}",
                "name the networks that are yours, as small as they are",
            )
    open_to_all = not service.host.startswith(_LOOPBACK)
    if open_to_all and not networks and not security.api_keys_file:
        yield Finding(
            "trust.nobody",
            "warning",
            f"{service.name} listens on {service.host}, but lets nobody in from elsewhere",
            "name your network in security.trusted_networks, or make keys: hxp keys new",
        )
    if security.anonymous == "none" and not security.api_keys_file:
        yield Finding(
            "trust.no_keys",
            "fault",
            f"{service.name}: security.anonymous is none and there are no keys: everybody is refused",
            "make a key with `hxp keys new` and name its file in security.api_keys_file",
        )
