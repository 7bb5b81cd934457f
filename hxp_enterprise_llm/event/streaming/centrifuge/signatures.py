"""JSON Web Tokens signed with a shared secret or a private key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

from hxp_enterprise_llm.config.secrets import Secret, SecretError

HMAC = ("HS256", "HS384", "HS512")
RSA = ("RS256", "RS384", "RS512")
ELLIPTIC = ("ES256", "ES384", "ES512")
LEAST_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and the algorithms it may be used with, so that no public key passes for a shared secret."""

    key: Any
    algorithms: tuple[str, ...]

    def payload(self, token: str) -> bytes | None:
        """What a token says that is signed with this key; None: it is not."""
        try:
            return jws.deserialize_compact(token, self.key, algorithms=list(self.algorithms)).payload
        except (JoseError, ValueError, TypeError):
            return None


def hmac_key(secret: Secret, file: str) -> SigningKey:
    """A shared secret. Raises SecretError when it is too short to be one."""
    if len(secret.reveal().encode()) < LEAST_SECRET_BYTES:
        advice = "make one with: openssl rand -hex 32"
        raise SecretError(file, f"the secret has less than {LEAST_SECRET_BYTES} bytes", advice)
    return SigningKey(OctKey.import_key(secret.reveal()), HMAC)


def public_key(pem: Secret, file: str) -> SigningKey:
    """An RSA or EC key in PEM. Raises SecretError when it is neither."""
    for kind, algorithms in ((RSAKey, RSA), (ECKey, ELLIPTIC)):
        try:
            return SigningKey(kind.import_key(pem.reveal()), algorithms)
        except (JoseError, ValueError, TypeError):
            continue  # the other kind
    raise SecretError(file, "it holds neither an RSA nor an EC public key in PEM", "write the public key into it")
