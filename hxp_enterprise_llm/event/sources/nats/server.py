"""The NATS server of a configuration: where it is, how to log in, what is listened to."""

from __future__ import annotations

from hxp_enterprise_llm.config.secrets import SecretError
from hxp_enterprise_llm.config.sources import NatsConfig
from hxp_enterprise_llm.event.sources.heard import SecretReader
from hxp_enterprise_llm.event.sources.nats.connection import Connection, Wanted, address_of, connect
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.fetch import FetchError


class NatsServer:
    """Connects as the configuration says. Secrets are read each time, so that new ones need no reload."""

    def __init__(self, config: NatsConfig, egress: Egress, read: SecretReader, max_message_bytes: int) -> None:
        self._config, self._egress, self._read, self._most = config, egress, read, max_message_bytes

    async def connect(self) -> Connection:
        """Raises FetchError."""
        config = self._config
        subjects = [each.subject for each in config.subjects]
        login, place = self._login(), address_of(config.endpoint)
        return await connect(Wanted(place, subjects, login, config.ca_file, config.timeout, self._most), self._egress)

    def _login(self) -> dict[str, str]:
        try:
            if self._config.username:
                password = self._read(self._config.password_file, "nats-password")
                return {"user": self._config.username, "pass": password.reveal() if password else ""}
            token = self._read(self._config.token_file, "nats-token")
        except SecretError as error:
            raise FetchError(str(error)) from error
        return {"auth_token": token.reveal()} if token else {}
