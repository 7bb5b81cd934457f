"""JSON read strictly: no repeated keys, no unbounded depth or width, no number that would be rounded.

msgspec reads at full speed but lets some of this pass. Cheap counts over the bytes tell when nothing can be wrong;
only what they cannot clear is looked at in Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hxp_enterprise_llm.telemetry.text import clean

MAX_DEPTH = 64
MAX_KEYS = 10_000
MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_POSITION = re.compile(r"JSON is malformed: (.*) \(byte ([0-9]+)\)")
_DIGITS = bytes(0x30 if chr(byte).isdigit() and byte < 0x80 else 0x20 for byte in range(256))
_MARKS = bytes(0x7B if chr(byte) in "{[" else _DIGITS[byte] for byte in range(256))
_BIG = b"0" * 19
"""Nineteen digits in a row: the shortest integer that may lie beyond 2^63."""


class JsonFault(ValueError):
    """What is wrong with a JSON text, and where: a path such as `data.user`, empty for the whole."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path, self.message = path, message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def syntax_fault(error: Exception, text: bytes) -> JsonFault:
    """What msgspec says, in our words, with the byte position."""
    if isinstance(error, RecursionError):
        return JsonFault("", f"the JSON is nested deeper than {MAX_DEPTH} levels")
    if isinstance(error, UnicodeDecodeError):
        return JsonFault("", f"the JSON is not UTF-8: byte 0x{error.object[error.start]:02x} has no place in it")
    match = _POSITION.fullmatch(str(error))
    if match:
        return JsonFault("", f"the JSON is not valid at byte {match[2]}: {match[1]}")
    if "truncated" in str(error):
        return _cut_off(text)
    message, _, path = str(error).partition(" - at `$")
    # Members of an object appear there as "...", which tells nobody anything.
    place = "" if "..." in path else path.strip(".`")
    return JsonFault(place, f"the JSON is not valid: {message[:1].lower()}{message[1:]}")


def _cut_off(text: bytes) -> JsonFault:
    # msgspec says "truncated" of a lone surrogate as well; the standard library tells the two apart.
    try:
        json.loads(text)
    except ValueError:
        return JsonFault("", f"the JSON is cut off at byte {len(text)}")
    except RecursionError:
        return JsonFault("", f"the JSON is nested deeper than {MAX_DEPTH} levels")
    return JsonFault("", "the JSON has half of a surrogate pair, which is no character")


def read(text: bytes) -> tuple[Any, bytes]:
    """The value of a JSON text and the text of it without spaces. Raises JsonFault."""
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise syntax_fault(error, text) from None
    compact = _encode(value)
    if _may_be_deep_or_wide(compact):
        _check_shape(value)
    if may_repeat_keys(text, compact):
        _check_keys(text)
    if _BIG in compact.translate(_DIGITS):
        _check_numbers(value, "")
    return value, compact


def check_objects(values: Sequence[Any], compacts: Sequence[bytes], text: bytes, least_brackets: int) -> None:
    """The same checks for many objects at once, each with its text without spaces; `text` is that of all as it came.

    `least_brackets`: so many opening ones there are at least, one or two an object. Raises JsonFault.
    """
    whole = b",".join(compacts)
    if may_repeat_keys(text, whole):
        raise JsonFault("", "a key may be there twice")
    marks = whole.translate(_MARKS)
    # One that is too deep would have more than MAX_DEPTH of them; of those counted on it has at most two.
    deep = marks.count(b"{") > MAX_DEPTH + least_brackets - 2
    if deep or max(map(len, compacts)) > 2 * MAX_KEYS:
        for value, compact in zip(values, compacts, strict=True):
            if _may_be_deep_or_wide(compact):
                _check_shape(value)
    if _BIG in marks:
        for value, compact in zip(values, compacts, strict=True):
            if _BIG in compact.translate(_DIGITS):
                _check_numbers(value, "")


def _may_be_deep_or_wide(compact: bytes) -> bool:
    # A level takes two bytes, a key at least two: most events are cleared by their length.
    size = len(compact)
    if size > 2 * MAX_DEPTH and compact.count(b"{") + compact.count(b"[") > MAX_DEPTH:
        return True
    return size > 2 * MAX_KEYS and compact.count(b":") > MAX_KEYS


def may_repeat_keys(text: bytes, compact: bytes) -> bool:
    """Whether an object in `text` may have a key twice, of which `compact`, its value encoded again, tells nothing.

    `compact` may leave out the brackets of an array.
    """
    # What is encoded again to the same bytes, which is the common case, has lost nothing.
    if text in (compact, b"[%b]" % compact):
        return False
    # A repeated key is lost in decoding, and its colon with it; only an escaped colon could make up for that. Most
    # texts have no escape at all, which one byte tells sooner than five.
    return text.count(b":") != compact.count(b":") or (b"\\" in text and b"\\u003" in text)


def _check_shape(value: Any) -> None:
    """Depth and number of keys, level by level, so that nothing here is recursive."""
    level, keys = [value], 0
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                keys += len(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if keys > MAX_KEYS:
            raise JsonFault("", f"the event has more than {MAX_KEYS:,} keys")
        level = [item for item in below if isinstance(item, dict | list)]
        if not level:
            return
    raise JsonFault("", f"the JSON is nested deeper than {MAX_DEPTH} levels")


def _check_keys(text: bytes) -> None:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise JsonFault("", f"the key {_repeated(names)!r} is there twice in one object")
        return found

    json.loads(text, object_pairs_hook=members)


def _repeated(names: list[str]) -> str:
    return next(name for at, name in enumerate(names) if name in names[:at])


def _check_numbers(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _check_numbers(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            _check_numbers(item, f"{path}[{at}]")
    elif isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise JsonFault(path, f"{clean(str(value), 40)} is beyond 64 bits: send it as text")
