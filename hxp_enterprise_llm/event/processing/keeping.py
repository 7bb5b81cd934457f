"""A state on disk: one file that holds what was made of the log and the place up to which it was taken in, or neither.

The file is written beside the old one and put in its place in one step, so that a process that is killed at any moment
leaves a whole one. What came after it is read from the log again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar
from zlib import crc32

import msgspec

from hxp_enterprise_llm.runtime.files import put

T = TypeVar("T")

_MAGIC_BYTES = 8
_HEAD_BYTES = _MAGIC_BYTES + 4


class Unusable(Exception):
    """A file that is no state of ours, or a damaged one."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Form(Generic[T]):
    """How states of one kind are written: eight bytes that say which form it is, a checksum, MessagePack."""

    def __init__(
        self,
        magic: bytes,
        kind: type[T],
        dump: Callable[[Any], Any] | None = None,
        load: Callable[[type, Any], Any] | None = None,
    ) -> None:
        """`magic`: a newer form has another, and the state is then made anew. `dump`, `load`: of types of our own."""
        assert len(magic) == _MAGIC_BYTES
        self._magic = magic
        self._encode = msgspec.msgpack.Encoder(enc_hook=dump).encode
        self._decode = msgspec.msgpack.Decoder(kind, dec_hook=load).decode

    def encoded(self, saved: T) -> bytes:
        """The content of the file."""
        body = self._encode(saved)
        return self._magic + crc32(body).to_bytes(4, "big") + body

    def decoded(self, path: Path, content: bytes) -> T:
        """What a file holds. Raises Unusable."""
        if content[:_MAGIC_BYTES] != self._magic:
            raise Unusable(path, "is no state of this release")
        body = content[_HEAD_BYTES:]
        if crc32(body).to_bytes(4, "big") != content[_MAGIC_BYTES:_HEAD_BYTES]:
            raise Unusable(path, "its checksum does not fit its content")
        try:
            return self._decode(body)
        except (msgspec.DecodeError, TypeError, ValueError) as error:
            raise Unusable(path, str(error)) from error


class StateFile(Generic[T]):
    """The file at `path`."""

    def __init__(self, path: Path, form: Form[T]) -> None:
        self.path, self.form = path, form

    def read(self) -> T | None:
        """What is there; None when nothing is. Raises Unusable, OSError."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        return self.form.decoded(self.path, content)

    def write(self, content: bytes) -> None:
        """Put new content in place of the old, durably. Raises OSError, and then the old one is still there."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        put(self.path, content)

    def set_aside(self, name: str) -> Path:
        """Keep the file under another name. Raises OSError."""
        aside = self.path.with_name(f"{self.path.name}.{name}")
        self.path.replace(aside)
        return aside
