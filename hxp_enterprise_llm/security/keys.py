"""API keys: made once and shown once, kept as digests in a file, compared in constant time.

The file is YAML, one line a key, as `hxp keys new` prints it:

    - {"id": "ci", "sha256": "…64 hexadecimal digits…", "scopes": ["publish"], "expires": "2027-01-01T00:00:00Z"}
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, Literal

import yaml

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.event.model import parse_rfc3339
from hxp_enterprise_llm.runtime.yaml_text import BaseLoader
from hxp_enterprise_llm.security.model import KEY_SCOPES
from hxp_enterprise_llm.telemetry.text import clean

PREFIX = "hxk"
MAX_FILE_BYTES = 1024 * 1024
SECRET_BYTES = 32

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEMBERS = ("id", "sha256", "scopes", "expires")
_NOBODY = bytes(32)
"""Compared with when no key has the id, so that an unknown id takes as long as a wrong secret."""


class KeysError(ConfigError):
    """A file of keys that cannot be used. `place` names the entry, empty for the whole file."""

    def __init__(self, file: str, place: str, reason: str) -> None:
        super().__init__(file, place, reason)
        self.file, self.place, self.reason = file, place, reason

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.place, self.reason) if part)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key: never the key itself."""

    id: str
    digest: bytes
    """SHA-256 of the whole key text."""
    scopes: frozenset[str]
    expires: float | None = None
    """Wall-clock seconds from which on it is worth nothing; None: never."""


class Keyring:
    """The keys that are taken. Immutable: a reload makes a new one."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys = {key.id: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, text: str, now: float) -> ApiKey | Literal["unknown", "expired"]:
        """The key that a client presents. It learns that a key has expired only when it holds it."""
        digest = digest_of(text)
        key = self._keys.get(_id_of(text))
        if not hmac.compare_digest(digest, key.digest if key is not None else _NOBODY) or key is None:
            return "unknown"
        return "expired" if key.expires is not None and now >= key.expires else key


NO_KEYS = Keyring()


def digest_of(text: str) -> bytes:
    """What the file keeps of a key. A key has 256 random bits: a slow hash would protect nothing more."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def new_key(id: str) -> str:
    """A key for an id. Raises ValueError when the id cannot be one."""
    check_id(id)
    return f"{PREFIX}_{id}_{token_urlsafe(SECRET_BYTES)}"


def check_id(id: str) -> None:
    """Raises ValueError that says how an id is written."""
    if not _ID.fullmatch(id):
        raise ValueError(f"{clean(id, 60)!r} is no id: write up to 32 of a-z 0-9 -, not beginning with -")


def check_scopes(scopes: Sequence[str]) -> None:
    """Raises ValueError that names the scope that there is not."""
    if not scopes:
        raise ValueError(f"a key without scopes opens nothing; scopes are {', '.join(sorted(KEY_SCOPES))}")
    for scope in scopes:
        if scope not in KEY_SCOPES:
            raise ValueError(f"{clean(scope, 60)!r} is no scope; scopes are {', '.join(sorted(KEY_SCOPES))}")


def _id_of(text: str) -> str:
    prefix, _, rest = text.partition("_")
    return rest.partition("_")[0] if prefix == PREFIX else ""


def load_keys(path: str) -> Keyring:
    """The keys in a file; none when no file is configured. Raises KeysError with the entry that is wrong."""
    if not path:
        return NO_KEYS
    try:
        # Every scalar stays text: a digest of digits alone must not become a number, nor a date an object.
        entries = yaml.load(_content(path), Loader=BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise KeysError(path, "", f"is no YAML: {clean(' '.join(str(error).split()))}") from None
    if entries in (None, ""):
        return NO_KEYS
    if not isinstance(entries, list):
        raise KeysError(path, "", "must be a list, one line a key: - {id: …, sha256: …, scopes: […]}")
    return Keyring(_keys(path, entries))


def _keys(path: str, entries: Sequence[Any]) -> list[ApiKey]:
    found: dict[str, ApiKey] = {}
    for number, entry in enumerate(entries, 1):
        try:
            key = _key(entry)
            if key.id in found:
                raise ValueError(f"the id {key.id!r} is there twice")
        except ValueError as error:
            raise KeysError(path, f"entry {number}", str(error)) from None
        found[key.id] = key
    return list(found.values())


def _key(entry: Any) -> ApiKey:
    if not isinstance(entry, dict):
        raise ValueError("must be a map with id, sha256 and scopes")
    for name in entry:
        if name not in _MEMBERS:
            raise ValueError(f"{clean(str(name), 60)!r} is not known here; an entry has {', '.join(_MEMBERS)}")
    id, digest, scopes = (entry.get(name) for name in _MEMBERS[:3])
    if not isinstance(id, str) or not isinstance(digest, str) or not isinstance(scopes, list):
        raise ValueError("must have id and sha256, both text, and scopes, a list")
    check_id(id)
    if not _DIGEST.fullmatch(digest):
        raise ValueError("sha256 must have 64 digits 0-9 a-f; the key itself does not belong into this file")
    check_scopes(list(map(str, scopes)))
    return ApiKey(id, bytes.fromhex(digest), frozenset(scopes), _expires(entry.get("expires")))


def _expires(text: Any) -> float | None:
    if text in (None, "", "null"):
        return None
    try:
        return parse_rfc3339(text)
    except (ValueError, TypeError):
        raise ValueError(f"expires: {clean(str(text), 60)!r} is no time such as 2027-01-01T00:00:00Z") from None


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe must not hold us up


def _content(path: str) -> bytes:
    try:
        with open(path, "rb", opener=_open) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeysError(path, "", "must be a regular file")
            if mode & stat.S_IWOTH:
                raise KeysError(path, "", f"every user may add keys to it; run: chmod o-w {path}")
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; create it or correct security.api_keys_file"
        raise KeysError(path, "", reason) from None
    if len(content) > MAX_FILE_BYTES:
        raise KeysError(path, "", f"is larger than {MAX_FILE_BYTES:,} bytes")
    return content
