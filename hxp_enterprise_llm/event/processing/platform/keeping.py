"""The platform's state on disk, and the place in the log up to which it is taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hxp_enterprise_llm.event.processing import keeping
from hxp_enterprise_llm.event.processing.keeping import Form, Unusable
from hxp_enterprise_llm.event.processing.platform.platform import State
from hxp_enterprise_llm.event.processing.sketch import Sketch

__all__ = ["Saved", "StateFile", "Unusable", "decoded", "encoded", "unbound"]


class Saved(msgspec.Struct):
    """A state, and the offset up to which the log of this epoch is in it. Empty: of whichever epoch it opens with."""

    epoch: str
    position: int
    state: State


def _dump(value: Any) -> Any:
    if isinstance(value, Sketch):
        return value.dump()
    raise NotImplementedError(type(value))


def _load(type: type, value: Any) -> Any:
    if type is Sketch:
        return Sketch.load(value)
    raise NotImplementedError(type)


_FORM = Form(b"HXPP0002", Saved, _dump, _load)
encoded = _FORM.encoded
decoded = _FORM.decoded


def unbound(saved: Saved) -> bytes:
    """The content of the file for the same log put back: what its offsets mean is the same, its epoch another."""
    return encoded(Saved("", saved.position, saved.state))


class StateFile(keeping.StateFile[Saved]):
    """The file at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _FORM)
