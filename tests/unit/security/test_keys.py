"""Keys: made, kept as digests, read from a file that says what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from hxp_enterprise_llm.security.keys import NO_KEYS, ApiKey, Keyring, KeysError, digest_of, load_keys, new_key

SCOPES = frozenset({"publish"})


def line(id: str, key: str, **more: object) -> str:
    return (
        "- " + msgspec.json.encode({"id": id, "sha256": digest_of(key).hex(), "scopes": ["publish"], **more}).decode()
    )


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "keys.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_new_key_has_its_id_and_256_random_bits() -> None:
    first, second = new_key("ci-1"), new_key("ci-1")
    assert first.startswith("hxk_ci-1_")
    assert len(first.removeprefix("hxk_ci-1_")) == 43
    assert first != second


@pytest.mark.parametrize("id", ["", "CI", "-ci", "a_b", "a" * 33, "a\n"])
def test_what_is_no_id(id: str) -> None:
    with pytest.raises(ValueError, match="is no id"):
        new_key(id)


def test_a_key_is_found_by_its_text() -> None:
    texts = {name: new_key(name) for name in ("one", "two")}
    ring = Keyring(ApiKey(name, digest_of(text), SCOPES) for name, text in texts.items())
    for name, text in texts.items():
        found = ring.find(text, 0.0)
        assert isinstance(found, ApiKey)
        assert found.id == name


@pytest.mark.parametrize(
    "change", [lambda k: k[:-1], lambda k: k + "x", lambda k: k.upper(), lambda k: "", lambda k: "\ud800"]
)
def test_any_other_text_is_unknown(change) -> None:
    key = new_key("one")
    assert Keyring([ApiKey("one", digest_of(key), SCOPES)]).find(change(key), 0.0) == "unknown"


def test_the_key_of_another_id_is_unknown() -> None:
    """The id in the text chooses whose digest is compared: a foreign id does not open with this secret."""
    key = new_key("one")
    ring = Keyring([ApiKey("two", digest_of(key), SCOPES)])
    assert ring.find(key, 0.0) == "unknown"


def test_nobody_holds_a_key_of_an_empty_ring() -> None:
    assert NO_KEYS.find(new_key("one"), 0.0) == "unknown"


def test_expiry_is_told_to_the_holder_alone() -> None:
    key = new_key("one")
    ring = Keyring([ApiKey("one", digest_of(key), SCOPES, expires=100.0)])
    assert isinstance(ring.find(key, 99.9), ApiKey)
    assert ring.find(key, 100.0) == "expired"
    assert ring.find(key + "x", 100.0) == "unknown"


def test_a_file_of_keys(tmp_path: Path) -> None:
    one, two = new_key("one"), new_key("two")
    text = f"# ours\n{line('one', one)}\n{line('two', two, expires='2027-01-01T00:00:00Z')}\n"
    ring = load_keys(written(tmp_path, text))
    assert len(ring) == 2
    assert ring.find(one, 2e9) == ApiKey("one", digest_of(one), SCOPES)
    assert ring.find(two, 1798761599.0) == ApiKey("two", digest_of(two), SCOPES, 1798761600.0)
    assert ring.find(two, 1798761600.0) == "expired"


def test_a_digest_of_digits_and_a_bare_date_stay_text(tmp_path: Path) -> None:
    ring = load_keys(
        written(tmp_path, f"- id: '1'\n  sha256: {'1' * 64}\n  scopes: [read]\n  expires: 2027-01-01T00:00:00Z\n")
    )
    assert len(ring) == 1


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[]", "null"])
def test_a_file_without_keys(tmp_path: Path, text: str) -> None:
    if text == "null":
        with pytest.raises(KeysError, match="must be a list"):
            load_keys(written(tmp_path, text))
    else:
        assert len(load_keys(written(tmp_path, text))) == 0
    assert load_keys("") is NO_KEYS


DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b", "must be a list, one line a key: - {id: …, sha256: …, scopes: […]}"),
        ("- [", "is no YAML"),
        ("- hxk_ci_secret", "entry 1: must be a map with id, sha256 and scopes"),
        (f"- {{id: ci, sha256: {DIGEST}, scopes: [publish], key: x}}", "'key' is not known here"),
        ("- {id: ci, scopes: [publish]}", "must have id and sha256, both text, and scopes, a list"),
        (f"- {{id: CI, sha256: {DIGEST}, scopes: [publish]}}", "'CI' is no id"),
        ("- {id: ci, sha256: hxk_ci_x, scopes: [publish]}", "the key itself does not belong into this file"),
        (f"- {{id: ci, sha256: {DIGEST}, scopes: []}}", "a key without scopes opens nothing"),
        (f"- {{id: ci, sha256: {DIGEST}, scopes: [admin]}}", "'admin' is no scope; scopes are dashboards:refresh, "),
        (f"- {{id: ci, sha256: {DIGEST}, scopes: [open]}}", "'open' is no scope"),
        (f"- {{id: ci, sha256: {DIGEST}, scopes: [[read]]}}", "is no scope"),
        (f"- {{id: ci, sha256: {DIGEST}, scopes: [read], expires: soon}}", "expires: 'soon' is no time such as"),
        (f"- {{id: ci, sha256: {DIGEST}, scopes: [read], expires: 2027-01-01}}", "is no time such as"),
        (f"- {{id: ci, sha256: {DIGEST}, scopes: [read], expires: [1]}}", "is no time such as"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(KeysError) as caught:
        load_keys(written(tmp_path, text))
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "keys.yaml"))


def test_an_id_is_there_once(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="entry 2: the id 'one' is there twice"):
        load_keys(written(tmp_path, f"{line('one', 'a')}\n{line('one', 'b')}\n"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="cannot be read: No such file or directory; create it or correct"):
        load_keys(str(tmp_path / "none"))


def test_a_file_to_which_everybody_may_add(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    os.chmod(path, 0o646)
    with pytest.raises(KeysError, match="every user may add keys to it; run: chmod o-w"):
        load_keys(path)


def test_a_pipe_and_a_flood(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KeysError, match="must be a regular file"):
        load_keys(str(tmp_path / "pipe"))
    with pytest.raises(KeysError, match="is larger than"):
        load_keys(written(tmp_path, "#" * (1024 * 1024 + 1)))
