"""The Redis server of a configuration: where it is, how to log in, what is read."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import NamedTuple
from urllib.parse import urlsplit

from hxp_enterprise_llm.config.secrets import SecretError
from hxp_enterprise_llm.config.sources import RedisConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.sources.heard import SecretReader, connecting
from hxp_enterprise_llm.event.sources.redis.consumer import Consumer, Role
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.fetch import FetchError

PORT = 6379
_CLIENT = "hxp_enterprise_llm.event.sources.redis.client"


class Address(NamedTuple):
    """Where a server is; `text` for people."""

    host: str
    port: int
    database: int
    tls: bool
    text: str


def address_of(endpoint: str) -> Address:
    """Of `redis://HOST[:PORT][/DATABASE]`, or the same with `rediss`. Raises ValueError for anything else."""
    parts = urlsplit(endpoint)
    number = parts.path.strip("/") or "0"
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or not number.isdigit() or "@" in parts.netloc:
        raise ValueError(endpoint)
    text = f"{parts.scheme}://{parts.netloc if parts.port else f'{parts.netloc}:{PORT}'}/{number}"
    return Address(parts.hostname, parts.port or PORT, int(number), parts.scheme == "rediss", text)


class Wanted(NamedTuple):
    """What a connection is to be."""

    address: Address
    username: str
    password: str
    """Empty: there is none."""
    ca_file: str
    """PEM; empty: the system's authorities."""
    max_value_bytes: int
    """Larger values are not kept."""
    mark: str
    """What stands for them: a text that nobody else has."""


class RedisServer:
    """Connects as the configuration says. Secrets are read each time, so that new ones need no reload."""

    def __init__(
        self, config: RedisConfig, egress: Egress, read: SecretReader, max_message_bytes: int, node: str, clock: Clock
    ) -> None:
        """`node`: who we are in the group, unless the configuration says it."""
        self._config, self._egress, self._read, self._clock = config, egress, read, clock
        self._address, self._most = address_of(config.endpoint), max_message_bytes
        self._role = _role(config, node)
        self._places: dict[str, str] = {}

    async def connect(self) -> Consumer:
        """Raises FetchError."""
        wanted, timeout = self._wanted(), self._config.timeout
        # redis-py takes half a second to be read: whoever has no Redis does without, and nobody waits for it here.
        await asyncio.to_thread(import_module, _CLIENT)
        from hxp_enterprise_llm.event.sources.redis.client import connect

        with connecting(self._address.text, timeout):
            async with asyncio.timeout(timeout):
                client = await connect(wanted, self._egress)
                try:
                    consumer = Consumer(client, self._role, self._places, self._clock)
                    await consumer.begin()
                    return consumer
                except BaseException:
                    await client.close()
                    raise

    def _wanted(self) -> Wanted:
        config = self._config
        try:
            password = self._read(config.password_file, "redis-password")
        except SecretError as error:
            raise FetchError(str(error)) from error
        given = password.reveal() if password else ""
        return Wanted(self._address, config.username, given, config.ca_file, self._most, self._clock.new_id())


def _role(config: RedisConfig, node: str) -> Role:
    streams = [each.stream for each in config.streams]
    start = "$" if config.start == "new" else "0"
    return Role(streams, config.group, config.consumer or node, start, seconds(config.claim_after))
