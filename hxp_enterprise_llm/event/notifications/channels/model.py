"""What a delivery channel is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.notifications.model import Delivery, Kept

FailureClass = Literal["clientError", "serverError", "timeout", "authError", "rateLimited", "other"]
"""Whose fault it was, in Alertmanager's terms."""
Scope = Literal["delivery", "target", "channel"]
"""What a pause holds: this delivery, all to this recipient, or the whole channel."""


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

    def reaches(self, target: str) -> Readiness:
        """Whether it can deliver to this recipient, who need not be among its targets: a receiver may name others."""
        ...

    async def send(self, delivery: Delivery, timeout: float) -> Kept | None:
        """Return once the peer has accepted it, within `timeout` seconds. Raises Retry or Dead.

        What is returned comes back with the next delivery of the thread; None changes nothing.
        """
        ...


ChannelFactory = Callable[[NotificationsConfig], Sequence[Channel]]
"""Makes the channels of a configuration; raises ChannelFault when it cannot."""


class Secret(Protocol):
    """A text that is shown nowhere."""

    def reveal(self) -> str: ...


class Plain:
    """A text that is no secret, where one may stand."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


class ChannelFault(ConfigError):
    """A channel that cannot be made from its configuration; `path` as `Loaded.fault` takes it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path, self.message = path, message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class Retry(Exception):
    """Not accepted now. `after`: seconds for which the peer, or the state of the channel, bars what `scope` says."""

    def __init__(
        self,
        reason: str,
        *,
        after: float | None = None,
        scope: Scope | None = None,
        failure: FailureClass = "other",
    ) -> None:
        """Without a scope, `after` holds the whole channel."""
        super().__init__(reason, after)
        self.reason, self.after, self.failure = reason, after, failure
        self.scope: Scope = scope or ("delivery" if after is None else "channel")

    def redacted(self, redact: Callable[[str], str]) -> Retry:
        """The same without secrets: a peer may say back what it was told."""
        return Retry(redact(self.reason), after=self.after, scope=self.scope, failure=self.failure)

    def __str__(self) -> str:
        return self.reason


class Dead(Exception):
    """Refused for good: the same message to the same recipient will never be accepted."""

    def __init__(self, reason: str, *, failure: FailureClass = "clientError") -> None:
        super().__init__(reason)
        self.reason, self.failure = reason, failure

    def redacted(self, redact: Callable[[str], str]) -> Dead:
        """As Retry's."""
        return Dead(redact(self.reason), failure=self.failure)

    def __str__(self) -> str:
        return self.reason
