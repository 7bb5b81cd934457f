"""What msgspec finds wrong with the form of a value that was sent, in the words of the configuration's faults."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from hxp_enterprise_llm.config.paths import suggestion

_MISSING = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_KIND = re.compile(r"Expected `([a-z |]+)`, got `([a-z]+)`")
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


class FormFault(NamedTuple):
    """`path` is empty where the whole is not as it should be."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path or '$'}: {self.message}"


def form_fault(error: msgspec.ValidationError, type: Any) -> FormFault:
    """The fault in a value that should be a `type`, which is a msgspec.Struct or another type."""
    text, _, place = str(error).partition(" - at `$")
    path = place.rstrip("`").removeprefix(".")
    if missing := _MISSING.fullmatch(text):
        return FormFault(_member(path, missing[1]), "is required and missing")
    if unknown := _UNKNOWN.fullmatch(text):
        return FormFault(_member(path, unknown[1]), f"unknown key{suggestion(unknown[1], () if path else _keys(type))}")
    if kind := _KIND.fullmatch(text):
        wanted = " or ".join(_KINDS.get(each, each) for each in kind[1].split(" | "))
        return FormFault(path, f"must be {wanted}, is {_KINDS.get(kind[2], kind[2])}")
    return FormFault(path, text)


def _member(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _keys(type: Any) -> Iterable[str]:
    is_struct = isinstance(type, msgspec.StructMeta)
    return [field.encode_name for field in msgspec.structs.fields(type)] if is_struct else ()
