"""The codes of the protocol: errors of a command, ends of a connection, ends of a subscription.

A connection ended with 3500–3999 does not come back; one ended with 3000–3499 does. A subscription ended with 2500 or
more asks for its channel again.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Error(NamedTuple):
    """What answers a command that cannot be done."""

    code: int
    message: str
    temporary: bool = False

    def members(self) -> dict[str, Any]:
        """As it is sent."""
        members: dict[str, Any] = {"code": self.code, "message": self.message}
        return members | {"temporary": True} if self.temporary else members


class End(NamedTuple):
    """Why a connection or a subscription is over."""

    code: int
    reason: str

    def members(self) -> dict[str, Any]:
        """As it is sent."""
        return {"code": self.code, "reason": self.reason}


INTERNAL = Error(100, "internal server error", temporary=True)
UNKNOWN_CHANNEL = Error(102, "unknown channel")
PERMISSION_DENIED = Error(103, "permission denied")
ALREADY_SUBSCRIBED = Error(105, "already subscribed")
LIMIT_EXCEEDED = Error(106, "limit exceeded")
BAD_REQUEST = Error(107, "bad request")
NOT_AVAILABLE = Error(108, "not available")
TOKEN_EXPIRED = Error(109, "token expired")
EXPIRED = Error(110, "expired")
UNRECOVERABLE = Error(112, "unrecoverable position")

SHUTDOWN = End(3001, "shutdown")
SERVER_ERROR = End(3004, "internal server error")
CONNECTION_EXPIRED = End(3005, "connection expired")
SUBSCRIPTION_EXPIRED = End(3006, "subscription expired")
SLOW = End(3008, "slow")
INSUFFICIENT_STATE = End(3010, "insufficient state")
NO_PONG = End(3012, "no pong")
TOO_MANY_REQUESTS = End(3013, "too many requests")
INVALID_TOKEN = End(3500, "invalid token")
BAD_CONNECTION_REQUEST = End(3501, "bad request")
STALE = End(3502, "stale")
CHANNEL_LIMIT = End(3505, "channel limit")
CONNECTION_DENIED = End(3507, "permission denied")

UNSUBSCRIBED_INSUFFICIENT = End(2500, "insufficient state")
UNSUBSCRIBED_EXPIRED = End(2501, "subscription expired")


class Refused(Exception):
    """A command is answered with an error."""

    def __init__(self, error: Error) -> None:
        super().__init__(error)
        self.error = error

    def __str__(self) -> str:
        return f"error {self.error.code}: {self.error.message}"


class Ended(Exception):
    """A command ends its connection."""

    def __init__(self, end: End) -> None:
        super().__init__(end)
        self.end = end

    def __str__(self) -> str:
        return f"disconnect {self.end.code}: {self.end.reason}"


def end_of(error: Error) -> End:
    """How a unidirectional connection ends where a command would have been answered with an error.

    The code of an error that has none of its own is the server's; the reason is the error's all the same.
    """
    return {
        TOKEN_EXPIRED: CONNECTION_EXPIRED,
        EXPIRED: CONNECTION_EXPIRED,
        PERMISSION_DENIED: CONNECTION_DENIED,
    }.get(error, End(SERVER_ERROR.code, error.message))
