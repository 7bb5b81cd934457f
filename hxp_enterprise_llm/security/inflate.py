"""Decompression in small steps that never makes more than it was allowed to. No waiting."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

STEP_BYTES = 64 * 1024
RATIO_FROM_BYTES = 1024 * 1024
MAX_RATIO = 200
MAX_MEMBERS = 1024

_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15


class InflateError(Exception):
    """Base of what decompression raises."""


class Corrupt(InflateError):
    def __init__(self, encoding: str, reason: str) -> None:
        super().__init__(encoding, reason)
        self.encoding, self.reason = encoding, reason

    def __str__(self) -> str:
        return f"the body is no valid {self.encoding}: {self.reason}"


class Bomb(InflateError):
    def __init__(self, taken: int, made: int) -> None:
        super().__init__(taken, made)
        self.taken, self.made = taken, made

    def __str__(self) -> str:
        return (
            f"{self.taken:,} compressed bytes became more than {self.made:,}, which is over {MAX_RATIO} times as much"
        )


class Inflater:
    """Decompresses one body, `gzip` (several members too) or `deflate` (with or without zlib header)."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.taken = 0  # compressed bytes that came in
        self.made = 0  # bytes that went out
        self._members = 0
        self._inner: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Pieces of at most STEP_BYTES. Raises Corrupt, Bomb; stop iterating and no more is made."""
        for start in range(0, len(chunk), STEP_BYTES):
            yield from self._feed(chunk[start : start + STEP_BYTES])

    def _feed(self, pending: bytes) -> Iterator[bytes]:
        self.taken += len(pending)
        while pending:
            if self._inner is None or self._inner.eof:
                self._inner = self._next_member(pending)
            piece = self._decompress(self._inner, pending)
            pending = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
            self.made += len(piece)
            self._check_ratio(len(pending))
            if piece:
                yield piece

    def _decompress(self, inner: zlib._Decompress, pending: bytes) -> bytes:
        try:
            return inner.decompress(pending, STEP_BYTES)
        except zlib.error as error:
            raise Corrupt(self.encoding, str(error)) from None

    def _next_member(self, pending: bytes) -> zlib._Decompress:
        self._members += 1
        if self._members > (MAX_MEMBERS if self.encoding == "gzip" else 1):
            reason = "too many members" if self.encoding == "gzip" else "something follows its end"
            raise Corrupt(self.encoding, reason)
        if self.encoding == "gzip":
            return zlib.decompressobj(_GZIP)
        # `deflate` means zlib's format, yet some send the bare stream: the first byte tells them apart.
        return zlib.decompressobj(_ZLIB if pending[0] & 0x0F == 8 else _RAW_DEFLATE)

    def _check_ratio(self, waiting: int) -> None:
        used = self.taken - waiting
        if self.made > RATIO_FROM_BYTES and self.made > MAX_RATIO * used:
            raise Bomb(used, self.made)

    def finish(self) -> None:
        """The body is over. Raises Corrupt when the compressed stream is not."""
        if self._inner is None or not self._inner.eof:
            raise Corrupt(self.encoding, f"it is cut off after {self.taken:,} bytes")
