"""Secrets: read from files or systemd credentials, never from the configuration itself, and never shown."""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from typing import NoReturn

from hxp_enterprise_llm.config.faults import ConfigError

MAX_SECRET_BYTES = 64 * 1024


class Secret:
    """Text that no log line, message or traceback shows; only `reveal` gives it out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: hand it to the library that needs it, keep it nowhere."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither copied nor stored")


class SecretError(ConfigError):
    """A secret that cannot be used. `file` is where it should be, `reason` what is wrong, `advice` what to do."""

    def __init__(self, file: str, reason: str, advice: str) -> None:
        super().__init__(file, reason, advice)
        self.file, self.reason, self.advice = file, reason, advice

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}; {self.advice}"


def read_secret(file: str, credential: str, environ: Mapping[str, str]) -> Secret | None:
    """The secret in `file`, or in `$CREDENTIALS_DIRECTORY/<credential>` when `file` is empty.

    None when neither is configured. One trailing line end is dropped. Raises SecretError: a file that is configured
    and missing, that others may read, that is empty, too large or no text.
    """
    if file:
        return _read(file)
    directory = environ.get("CREDENTIALS_DIRECTORY", "")
    if not directory:
        return None
    path = os.path.join(directory, credential)
    try:
        return _read(path)
    except SecretError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def _read(path: str) -> Secret:
    content = _content(path)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SecretError(path, "the secret is not UTF-8 text", "write it again") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretError(path, "the file with the secret is empty", "write the secret into it")
    return Secret(text)


def _content(path: str) -> bytes:
    """The bytes of the file, after a look at its mode through the same descriptor."""
    try:
        with open(path, "rb", opener=_open) as stream:
            _admit(path, os.fstat(stream.fileno()).st_mode)
            content = stream.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        reason = f"the secret cannot be read: {error.strerror}"
        raise SecretError(path, reason, "create the file or correct the path") from error
    if len(content) > MAX_SECRET_BYTES:
        raise SecretError(path, f"the secret is larger than {MAX_SECRET_BYTES} bytes", "name the right file")
    return content


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe must not hold us up


def _admit(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise SecretError(path, "the secret must be in a regular file", "correct the path in the configuration")
    if mode & stat.S_IRWXO:
        reason = f"every user may use the secret (mode {stat.S_IMODE(mode):04o})"
        raise SecretError(path, reason, f"run: chmod o-rwx {path}")
