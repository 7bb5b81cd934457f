"""What a delivery channel is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.notifications.model import Delivery


class Readiness(NamedTuple):
    """Whether a channel can deliver; if not, why and what to configure."""

    ready: bool
    reason: str = ""


class Channel(Protocol):
    """One way to reach people."""

    @property
    def name(self) -> str: ...

    @property
    def readiness(self) -> Readiness: ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Recipients; each is a delivery of its own, so that one who is refused does not stop the others."""
        ...

    async def send(self, delivery: Delivery, timeout: float) -> None:
        """Return once the peer has accepted it, within `timeout` seconds. Raises Retry or Dead."""
        ...


ChannelFactory = Callable[[NotificationsConfig], Sequence[Channel]]
"""Makes the channels of a configuration; raises ChannelFault when it cannot."""


class Secret(Protocol):
    """A text that is shown nowhere."""

    def reveal(self) -> str: ...


class ChannelFault(ConfigError):
    """A channel that cannot be made from its configuration; `path` as `Loaded.fault` takes it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path, self.message = path, message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class Retry(Exception):
    """Not accepted now. `after`: seconds for which the peer, or the state of the channel, bars every delivery."""

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason, after)
        self.reason, self.after = reason, after

    def redacted(self, redact: Callable[[str], str]) -> Retry:
        """The same without secrets: a peer may say back what it was told."""
        return Retry(redact(self.reason), after=self.after)

    def __str__(self) -> str:
        return self.reason


class Dead(Exception):
    """Refused for good: the same message to the same recipient will never be accepted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def redacted(self, redact: Callable[[str], str]) -> Dead:
        """As Retry's."""
        return Dead(redact(self.reason))

    def __str__(self) -> str:
        return self.reason
