"""The keys of tokens, out of the files that the configuration names."""

from __future__ import annotations

from collections.abc import Callable

from hxp_enterprise_llm.config.secrets import Secret
from hxp_enterprise_llm.config.streaming import CentrifugeConfig
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import Verifier

CREDENTIAL = "centrifuge-hmac-secret"
PREVIOUS_CREDENTIAL = "centrifuge-hmac-previous-secret"
PUBLIC_CREDENTIAL = "centrifuge-public-key"


def load_verifier(config: CentrifugeConfig, read_secret: Callable[[str, str], Secret | None]) -> Verifier | None:
    """What checks tokens; None when no key is configured.

    `read_secret` takes a file and the name of a credential. Raises SecretError.
    """
    hmac_files = ((config.hmac_secret_file, CREDENTIAL), (config.hmac_previous_secret_file, PREVIOUS_CREDENTIAL))
    secrets = [(read_secret(file, credential), file or credential) for file, credential in hmac_files]
    pem = read_secret(config.public_key_file, PUBLIC_CREDENTIAL)
    if pem is None and not any(secret for secret, _ in secrets):
        return None
    # Only now: the library takes time at each start, and most have no keys.
    from hxp_enterprise_llm.event.streaming.centrifuge.signatures import hmac_key, public_key

    keys = [hmac_key(secret, file) for secret, file in secrets if secret is not None]
    if pem is not None:
        keys.append(public_key(pem, config.public_key_file or PUBLIC_CREDENTIAL))
    return Verifier(keys, audience=config.token_audience, issuer=config.token_issuer)
