"""Tokens of connections and subscriptions: what they must say. `signatures` has the keys they are signed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

MAX_TOKEN_BYTES = 16 * 1024

Audience = str | list[str] | None


class InvalidToken(Exception):
    """Not signed by anybody known, or not meant for what it was sent for."""

    def __str__(self) -> str:
        return "the token is not valid"


class ExpiredToken(Exception):
    """Properly signed, but of the past: the client should fetch a new one."""

    def __str__(self) -> str:
        return "the token has expired"


class _Granted(msgspec.Struct):
    info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class ConnectionClaims(msgspec.Struct):
    """What a connection token says."""

    sub: str = ""
    exp: float = 0
    expire_at: float | None = None
    nbf: float = 0
    iss: str = ""
    aud: Audience = None
    info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    channels: list[str] = []
    subs: dict[str, _Granted] = {}
    channel: str = ""

    def granted(self) -> dict[str, msgspec.Raw | msgspec.UnsetType]:
        """Channels that the server subscribes the client to, and the client's info on each."""
        plain: dict[str, msgspec.Raw | msgspec.UnsetType] = dict.fromkeys(self.channels, msgspec.UNSET)
        return plain | {name: grant.info for name, grant in self.subs.items()}


class SubscriptionClaims(msgspec.Struct):
    """What a subscription token says."""

    channel: str
    sub: str = ""
    client: str = ""
    exp: float = 0
    expire_at: float | None = None
    nbf: float = 0
    iss: str = ""
    aud: Audience = None
    info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


Claims = TypeVar("Claims", ConnectionClaims, SubscriptionClaims)


def expiry(claims: ConnectionClaims | SubscriptionClaims) -> float:
    """When what was granted ends, in seconds since 1970; 0: never."""
    return claims.exp if claims.expire_at is None else claims.expire_at


class Key(Protocol):
    """A key that tokens are signed with."""

    def payload(self, token: str) -> bytes | None:
        """What a token says that is signed with this key; None: it is not."""


class Verifier:
    """Checks tokens. `audience` and `issuer` must be in the token when they are not empty."""

    def __init__(self, keys: Sequence[Key], *, audience: str = "", issuer: str = "") -> None:
        self._keys, self._audience, self._issuer = keys, audience, issuer

    def connection(self, token: str, now: float) -> ConnectionClaims:
        """The claims of a connection token. Raises InvalidToken, ExpiredToken."""
        claims = self._check(token, ConnectionClaims, now)
        if claims.channel:
            raise InvalidToken
        return claims

    def subscription(self, token: str, now: float) -> SubscriptionClaims:
        """The claims of a subscription token. Raises InvalidToken, ExpiredToken."""
        return self._check(token, SubscriptionClaims, now)

    def _check(self, token: str, kind: type[Claims], now: float) -> Claims:
        try:
            # In one line: what it says of a client becomes part of replies, which line feeds separate.
            claims = msgspec.json.decode(msgspec.json.format(self._payload(token), indent=-1), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidToken from None
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud or []
        if (self._audience and self._audience not in audiences) or (self._issuer and claims.iss != self._issuer):
            raise InvalidToken
        if claims.nbf > now:
            raise InvalidToken
        if claims.exp and claims.exp <= now:
            raise ExpiredToken
        return claims

    def _payload(self, token: str) -> bytes:
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken
        for key in self._keys:
            if (payload := key.payload(token)) is not None:
                return payload
        raise InvalidToken
