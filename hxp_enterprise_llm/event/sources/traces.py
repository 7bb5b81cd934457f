"""Traces of real LLM services as files: Azure's CSV and Mooncake's JSON lines, read into one form.

Azure: `TIMESTAMP,ContextTokens,GeneratedTokens`, the time as in `2023-11-16 18:15:46.6805900`.
Mooncake: `{"timestamp": <ms>, "input_length": n, "output_length": n, …}`, one object a line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

AZURE_HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
_LONGEST_LINE = 1024 * 1024

Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class TraceFault(ValueError):
    """A file that is no trace; `line` counts from 1."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(path, line, problem)
        self.path, self.line, self.problem = path, line, problem

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}"


class TraceRequest(NamedTuple):
    """One request: its line in the file, seconds after the first request, tokens in and out."""

    line: int
    at_s: float
    input_tokens: int
    output_tokens: int


class Trace(NamedTuple):
    """A whole trace. `digest` is the SHA-256 of the file in hex, `name` the file's name."""

    name: str
    digest: str
    requests: tuple[TraceRequest, ...]


class _Row(NamedTuple):
    seconds: float
    input_tokens: int
    output_tokens: int


class _MooncakeLine(msgspec.Struct):
    timestamp: Annotated[float, msgspec.Meta(ge=0)]
    input_length: Tokens
    output_length: Tokens


_decode_line = msgspec.json.Decoder(_MooncakeLine).decode


def load_trace(path: Path) -> Trace:
    """Read a whole trace. Raises TraceFault, OSError."""
    requests = tuple(read_trace(path))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Trace(path.name, digest, requests)


def read_trace(path: Path) -> Iterator[TraceRequest]:
    """The requests of a trace in the order of time. Raises TraceFault for the first faulty line, OSError."""
    lines = _lines(path)
    number, first = next(lines, (1, ""))
    parse: Callable[[str], _Row]
    if first == AZURE_HEADER:
        parse = _azure
    elif first.startswith("{"):
        parse, lines = _mooncake, _again((number, first), lines)
    else:
        raise TraceFault(
            path,
            number,
            f"is no trace: it must begin with {AZURE_HEADER!r} (Azure LLM inference trace) or be JSON lines with"
            " timestamp, input_length and output_length (Mooncake)",
        )
    yield from _requests(path, lines, parse)


def _again(first: tuple[int, str], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(_LONGEST_LINE):
            number += 1
            if len(raw) == _LONGEST_LINE:
                raise TraceFault(path, number, f"has a line of {_LONGEST_LINE:,} bytes or more; that is no trace")
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise TraceFault(path, number, f"is not UTF-8 at byte {error.start + 1} of the line") from error
            if text:
                yield number, text


def _requests(path: Path, lines: Iterator[tuple[int, str]], parse: Callable[[str], _Row]) -> Iterator[TraceRequest]:
    start = last = None
    number = 1
    for number, text in lines:
        try:
            row = parse(text)
        except ValueError as error:
            raise TraceFault(path, number, str(error)) from error
        start = row.seconds if start is None else start
        if last is not None and row.seconds < last:
            raise TraceFault(path, number, f"lies {last - row.seconds:.3f} s before the line above; sort it by time")
        last = row.seconds
        yield TraceRequest(number, row.seconds - start, row.input_tokens, row.output_tokens)
    if start is None:
        raise TraceFault(path, number, "has no requests")


def _azure(text: str) -> _Row:
    fields = text.split(",")
    if len(fields) != 3:
        raise ValueError(f"has {len(fields)} fields, 3 are expected: {AZURE_HEADER}")
    try:
        moment = datetime.fromisoformat(fields[0])
    except ValueError:
        raise ValueError(f"TIMESTAMP: {fields[0]!r} is no time such as '2023-11-16 18:15:46.6805900'") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _Row(moment.timestamp(), _tokens("ContextTokens", fields[1]), _tokens("GeneratedTokens", fields[2]))


def _tokens(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError(f"{name}: {text!r} is no number of tokens")
    return int(text)


def _mooncake(text: str) -> _Row:
    # msgspec's errors are ValueErrors and name the member.
    line = _decode_line(text)
    return _Row(line.timestamp / 1000, line.input_length, line.output_length)
