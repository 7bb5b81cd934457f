"""The keys of tokens, out of the files that the configuration names."""

from __future__ import annotations

from collections.abc import Callable

from hxp_enterprise_llm.config.secrets import Secret
from hxp_enterprise_llm.config.streaming import CentrifugeConfig
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import Verifier, hmac_key, public_key

CREDENTIAL = "centrifuge-hmac-secret"
PREVIOUS_CREDENTIAL = "centrifuge-hmac-previous-secret"
PUBLIC_CREDENTIAL = "centrifuge-public-key"


def load_verifier(config: CentrifugeConfig, read_secret: Callable[[str, str], Secret | None]) -> Verifier | None:
    """What checks tokens; None when no key is configured.

    `read_secret` takes a file and the name of a credential. Raises SecretError.
    """
    keys = []
    files = ((config.hmac_secret_file, CREDENTIAL), (config.hmac_previous_secret_file, PREVIOUS_CREDENTIAL))
    for file, credential in files:
        secret = read_secret(file, credential)
        if secret is not None:
            keys.append(hmac_key(secret, file or credential))
    pem = read_secret(config.public_key_file, PUBLIC_CREDENTIAL)
    if pem is not None:
        keys.append(public_key(pem, config.public_key_file or PUBLIC_CREDENTIAL))
    if not keys:
        return None
    return Verifier(keys, audience=config.token_audience, issuer=config.token_issuer)
