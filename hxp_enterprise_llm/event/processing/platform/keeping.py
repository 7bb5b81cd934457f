"""The state on disk: one file that holds the state and the place in the log up to which it is taken in, or neither.

The file is written beside the old one and put in its place in one step, so that a process that is killed at any moment
leaves a whole one. What came after it is read from the log again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from hxp_enterprise_llm.event.processing.platform.platform import State
from hxp_enterprise_llm.event.processing.sketch import Sketch
from hxp_enterprise_llm.runtime.sqlite_copy import sync

_MAGIC = b"HXPP0002"
"""Of the form: a newer one has another number, and the state is then made anew from the log."""
_HEAD = len(_MAGIC) + 4


class Saved(msgspec.Struct):
    """A state, and the offset up to which the log of this epoch is in it. Empty: of whichever epoch it opens with."""

    epoch: str
    position: int
    state: State


class Unusable(Exception):
    """A file that is no state of ours, or a damaged one."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def _dump(value: Any) -> Any:
    if isinstance(value, Sketch):
        return value.dump()
    raise NotImplementedError(type(value))


def _load(type: type, value: Any) -> Any:
    if type is Sketch:
        return Sketch.load(value)
    raise NotImplementedError(type)


_encode = msgspec.msgpack.Encoder(enc_hook=_dump).encode
_decode = msgspec.msgpack.Decoder(Saved, dec_hook=_load).decode


def encoded(saved: Saved) -> bytes:
    """The content of the file."""
    body = _encode(saved)
    return _MAGIC + crc32(body).to_bytes(4, "big") + body


def unbound(saved: Saved) -> bytes:
    """The content of the file for the same log put back: what its offsets mean is the same, its epoch another."""
    return encoded(Saved("", saved.position, saved.state))


def decoded(path: Path, content: bytes) -> Saved:
    """What a file holds. Raises Unusable."""
    if content[: len(_MAGIC)] != _MAGIC:
        raise Unusable(path, "is no state of this release")
    body = content[_HEAD:]
    if crc32(body).to_bytes(4, "big") != content[len(_MAGIC) : _HEAD]:
        raise Unusable(path, "its checksum does not fit its content")
    try:
        return _decode(body)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise Unusable(path, str(error)) from error


class StateFile(NamedTuple):
    """The file at `path`."""

    path: Path

    def read(self) -> Saved | None:
        """What is there; None when nothing is. Raises Unusable, OSError."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        return decoded(self.path, content)

    def write(self, content: bytes) -> None:
        """Put new content in place of the old, durably. Raises OSError, and then the old one is still there."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        making = self.path.with_name(self.path.name + ".making")
        handle = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            making.replace(self.path)
        except OSError:
            making.unlink(missing_ok=True)
            raise
        sync(self.path.parent)

    def set_aside(self, name: str) -> Path:
        """Keep the file under another name. Raises OSError."""
        aside = self.path.with_name(f"{self.path.name}.{name}")
        self.path.replace(aside)
        return aside
