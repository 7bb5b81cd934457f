"""Tokens and the files of their keys."""

from __future__ import annotations

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from hxp_enterprise_llm.config.secrets import Secret, SecretError, read_secret
from hxp_enterprise_llm.config.streaming import CentrifugeConfig
from hxp_enterprise_llm.event.streaming.centrifuge.keys import load_verifier
from hxp_enterprise_llm.event.streaming.centrifuge.signatures import hmac_key, public_key
from hxp_enterprise_llm.event.streaming.centrifuge.tokens import ExpiredToken, InvalidToken, Verifier, expiry

OLD, NEW = "the old secret, long enough it is", "the new secret, long enough it is"
EC, RSA = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)


def pem(key):
    return Secret(key.as_pem(private=False).decode())


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_both_secrets_of_a_rotation_are_good(algorithm):
    verifier = Verifier([hmac_key(Secret(NEW), "new"), hmac_key(Secret(OLD), "old")])
    for secret in (NEW, OLD):
        token = jwt.encode({"alg": algorithm}, {"sub": "ann"}, OctKey.import_key(secret), algorithms=[algorithm])
        assert verifier.connection(token, 0).sub == "ann"


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256"), (RSA, "RS512")])
def test_public_keys_in_pem(key, algorithm):
    verifier = Verifier([public_key(pem(key), "test")])
    token = jwt.encode({"alg": algorithm}, {"sub": "ann"}, key, algorithms=[algorithm])
    assert verifier.connection(token, 0).sub == "ann"
    with pytest.raises(InvalidToken):
        verifier.connection(token[:-4] + "AAAA", 0)


def test_no_token_chooses_how_it_is_checked():
    """Unsigned, or signed with the public key as if it were a secret: both old tricks."""
    text = pem(RSA).reveal()
    verifier = Verifier([public_key(Secret(text), "test")])
    unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."
    with pytest.raises(InvalidToken):
        verifier.connection(unsigned, 0)
    forged = _hs256_with(text)
    with pytest.raises(InvalidToken):
        verifier.connection(forged, 0)
    with pytest.raises(InvalidToken):
        verifier.connection("x" * 20_000, 0)


def _hs256_with(text):
    import base64
    import hashlib
    import hmac

    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    head = part(b'{"alg":"HS256"}') + b"." + part(b'{"sub":"ann"}')
    return (head + b"." + part(hmac.digest(text.encode(), head, hashlib.sha256))).decode()


def test_claims_are_checked():
    key = OctKey.import_key(NEW)
    verifier = Verifier([hmac_key(Secret(NEW), "test")], audience="us", issuer="me")

    def check(**claims):
        return verifier.connection(jwt.encode({"alg": "HS256"}, claims, key), 100)

    good = {"aud": ["them", "us"], "iss": "me"}
    assert expiry(check(**good, exp=101)) == 101
    assert expiry(check(**good, exp=101, expire_at=0)) == 0
    for bad in ({"aud": "them", "iss": "me"}, {"aud": "us"}, {"iss": "me"}, {**good, "nbf": 101}):
        with pytest.raises(InvalidToken) as fault:
            check(**bad)
        assert "not valid" in str(fault.value)
    with pytest.raises(ExpiredToken) as late:
        check(**good, exp=100)
    assert "expired" in str(late.value)


def test_what_a_token_says_is_in_one_line():
    key = OctKey.import_key(NEW)
    token = jws.serialize_compact({"alg": "HS256"}, b'{"sub":"ann",\n"info":{\n"a":\n1}}', key)
    assert bytes(Verifier([hmac_key(Secret(NEW), "test")]).connection(token, 0).info) == b'{"a":1}'


def test_keys_come_from_files(tmp_path):
    files = {}
    for name, text in (("new", NEW), ("old", OLD), ("public", pem(EC).reveal())):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        files[name] = str(path)
    config = CentrifugeConfig(
        hmac_secret_file=files["new"], hmac_previous_secret_file=files["old"], public_key_file=files["public"]
    )
    verifier = load_verifier(config, lambda file, credential: read_secret(file, credential, {}))
    assert verifier is not None
    token = jwt.encode({"alg": "ES256"}, {"sub": "ann"}, EC)
    assert verifier.connection(token, 0).sub == "ann"
    assert load_verifier(CentrifugeConfig(), lambda file, credential: read_secret(file, credential, {})) is None


def test_bad_keys_are_named():
    with pytest.raises(SecretError, match="less than 16 bytes"):
        hmac_key(Secret("short"), "f")
    with pytest.raises(SecretError, match="neither an RSA nor an EC"):
        public_key(Secret("no key at all"), "f")
