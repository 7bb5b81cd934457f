"""What is wrong with a configuration, and where: one fault a line, all of them at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_SHOWN = 60


class ConfigError(Exception):
    """Base of everything that makes a configuration unusable, in whatever room it is found.

    The text says what, where and what to do. A process ends with status 78 and is not started again.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `name` is the file, or the variable when the source is the environment.

    `line` and `column` begin at 1; 0 stands for "no place in the file": a default, a file that cannot be read,
    or the environment. `path` is dotted and empty for the whole document.
    """

    source: Literal["file", "environment"]
    name: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        if self.source == "environment":
            place = f"environment {self.name}"
        else:
            place = f"{self.name}:{self.line}:{self.column}" if self.line else self.name
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigFaults(ConfigError):
    """A configuration that cannot be used. Carries every fault, in the order of the file."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=_order))
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def shown(value: Any) -> str:
    """A value as a message quotes it: at most one short line, without credentials of URLs."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    text = masked(value) if isinstance(value, str) else value
    if isinstance(text, str) and len(text) > _SHOWN:
        text = text[:_SHOWN] + "…"
    return json.dumps(text, ensure_ascii=False)


def masked(text: str) -> str:
    """The text with the user and password of any URL in it hidden."""
    return _USERINFO.sub("***", text)


def _order(fault: Fault) -> tuple[bool, int, int]:
    return fault.source == "environment", fault.line, fault.column
