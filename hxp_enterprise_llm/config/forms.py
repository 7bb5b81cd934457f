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
_BOUND = re.compile(r"Expected `([a-z]+)` (of length )?([<>]=?) (\S+)")
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_PARTS = {"str": "characters", "array": "entries", "object": "keys"}


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
    if bound := _BOUND.fullmatch(text):
        return FormFault(path, _bounded(*bound.groups()))
    return FormFault(path, text)


def _bounded(kind: str, of_length: str | None, sign: str, number: str) -> str:
    if not of_length:
        return f"must be {_BOUNDS[sign]} {number}"
    if (sign, number) == (">=", "1"):
        return "must not be empty"
    return f"must have {_BOUNDS[sign]} {number} {_PARTS.get(kind, 'parts')}"


def body_fault(error: Exception, type: Any) -> str:
    """What is wrong with a body that should be the JSON of a `type`; it may be no JSON at all."""
    return str(form_fault(error, type)) if isinstance(error, msgspec.ValidationError) else f"it is no JSON: {error}"


def _member(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _keys(type: Any) -> Iterable[str]:
    is_struct = isinstance(type, msgspec.StructMeta)
    return [field.encode_name for field in msgspec.structs.fields(type)] if is_struct else ()
