"""Bytes made out of other bytes: cut, doubled, flipped, joined, and with words of the language put in."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

MOST_BYTES = 64 * 1024
BLOWN_UP_BYTES = 256 * 1024

EVERYWHERE = (
    *(b"\x00", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\r\n", b"\n", b"\x1b["),
    *(b"-1", b"0", b"9223372036854775807", b"9223372036854775808", b"1e400", b"-0.0", b"1" * 400, b"%00", b"\\ud800"),
)
"""What is awkward in every language."""
_NUMBER = re.compile(rb"[0-9]+")

Mutation = Callable[[random.Random, bytes, Sequence[bytes], Sequence[bytes]], bytes]


def mutated(chance: random.Random, seeds: int, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """An input near to one of the corpus; every second time to one of the well-formed ones, which come first there."""
    data = corpus[chance.randrange(seeds if chance.random() < 0.5 else len(corpus))]
    for _ in range(chance.choice((1, 1, 1, 1, 2, 3, 6))):
        data = chance.choice(_MUTATIONS)(chance, data, corpus, words)[:BLOWN_UP_BYTES]
    return data if chance.random() < 0.02 else data[:MOST_BYTES]


def _span(chance: random.Random, data: bytes) -> tuple[int, int]:
    begin = chance.randint(0, len(data))
    return begin, min(len(data), begin + chance.choice((1, 2, 4, 16, 64, 1024)))


def _flip(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    if not data:
        return data
    made = bytearray(data)
    made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
    return bytes(made)


def _overwrite(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    begin, end = _span(chance, data)
    return data[:begin] + chance.randbytes(end - begin) + data[end:]


def _cut(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    begin, end = _span(chance, data)
    return data[:begin] + data[end:]


def _truncate(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    return data[: chance.randint(0, len(data))]


def _double(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    begin, end = _span(chance, data)
    return data[:end] + data[begin:end] + data[end:]


def _blow_up(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """A piece many times over: depth, width and length beyond every limit."""
    begin, end = _span(chance, data)
    return data[:end] + data[begin : begin + 8] * chance.choice((10, 100, 1000, 20_000)) + data[end:]


def _word(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    begin, end = _span(chance, data)
    return data[:begin] + chance.choice((*words, *EVERYWHERE)) + data[chance.choice((begin, end)) :]


def _number(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data[:4096]))
    if not found:
        return data
    place = chance.choice(found)
    value = chance.choice((b"0", b"-1", b"255", b"65536", b"4294967296", b"18446744073709551616", b"1e308", b"00"))
    return data[: place.start()] + value + data[place.end() :]


def _splice(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    other = chance.choice(corpus)
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _move(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    begin, end = _span(chance, data)
    rest = data[:begin] + data[end:]
    place = chance.randint(0, len(rest))
    return rest[:place] + data[begin:end] + rest[place:]


def _tree(chance: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """JSON that stays JSON: a member gets another value, another name, or goes."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places = list(_places(value))
    if not places:
        return data
    inside, key = chance.choice(places)
    match chance.randrange(4):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, dict):
            inside[chance.choice((*_NAMES, key + "x", ""))] = inside.pop(key)
        case 2:
            other, at = chance.choice(places)
            if (isinstance(other, dict) and at in other) or (isinstance(other, list) and at < len(other)):
                inside[key] = json.loads(json.dumps(other[at]))
        case _:
            inside[key] = chance.choice(_VALUES)
    return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from _places(inner)


_NAMES = ("id", "type", "data", "time", "offset", "channel", "\u2028", "a.b")
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, float("inf"), float("nan")),
    *(
        "",
        "x" * 2000,
        "\x00",
        "\ud800",
        "\U0001f600",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:60Z",
        "*",
        "llm.*",
    ),
    *([], {}, [[[[[[]]]]]], {"a": {"a": {"a": {}}}}, [1, "a", None]),
)

_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _overwrite, _cut, _truncate, _double, _word, _word, _number, _splice, _move),
    *(_tree, _tree, _tree, _tree, _tree),
    _blow_up,
)
