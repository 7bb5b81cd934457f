"""What the operator allows, compiled from the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.security.hosts import WebOrigin, parse_authority, parse_origin
from hxp_enterprise_llm.security.keys import NO_KEYS, Keyring, load_keys
from hxp_enterprise_llm.security.networks import Networks
from hxp_enterprise_llm.security.proxies import Proxies

NO_PROXIES = Proxies()
NO_NETWORKS = Networks(())


class PolicyError(ConfigError):
    """A key of the section `security` that cannot be used."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key, self.reason = key, reason

    def __str__(self) -> str:
        return f"security.{self.key}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who passes with and without a credential, and which Hosts and Origins are ours."""

    networks: Networks
    anonymous: Literal["trusted", "none"]
    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[WebOrigin]
    keys: Keyring = NO_KEYS
    max_half_open_per_address: int = 256
    proxies: Proxies = NO_PROXIES
    refused_credentials_per_minute: int = 30
    notify_per_minute: int = 10
    services: Networks = NO_NETWORKS

    @classmethod
    def of(cls, config: SecurityConfig) -> Policy:
        """Compile the section `security` and read the file of keys.

        Raises PolicyError that names the key and the faulty value, KeysError.
        """
        return cls(
            _networks(config.trusted_networks),
            config.anonymous,
            frozenset(map(_host, config.allowed_hosts)),
            frozenset(map(_origin, config.allowed_origins)),
            load_keys(config.api_keys_file),
            config.max_half_open_per_address,
            _proxies(config.trusted_proxies),
            config.refused_credentials_per_minute,
            config.notify_per_minute,
            _networks(config.service_networks, "service_networks"),
        )


def _networks(texts: Sequence[str], key: str = "trusted_networks") -> Networks:
    try:
        return Networks(texts)
    except ValueError as error:
        raise PolicyError(key, str(error)) from None


def _proxies(texts: Sequence[str]) -> Proxies:
    try:
        return Proxies(texts)
    except ValueError as error:
        raise PolicyError("trusted_proxies", str(error)) from None


def _host(text: str) -> str:
    authority = parse_authority(text)
    if authority is None or authority.port is not None:
        raise PolicyError("allowed_hosts", f"{text!r} is no host name: write it without scheme and port")
    return authority.host


def _origin(text: str) -> WebOrigin:
    origin = parse_origin(text.removesuffix("/"))
    if origin is None:
        raise PolicyError("allowed_origins", f"{text!r} is no origin: write e.g. https://portal.example.org:8443")
    return origin
