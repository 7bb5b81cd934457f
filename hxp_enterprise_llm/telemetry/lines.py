"""A log line and the four forms it is written in. Pure: no clock, no stream."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec

from hxp_enterprise_llm.telemetry.text import MESSAGE_LIMIT, clean, pair

Form = Literal["console", "plain", "journal", "json"]
Scalar = str | int | float | bool | None

PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""Level as the journal counts it (sd-daemon's `<n>` at the start of a line)."""

_TRACE_LINES = 60
_COLOUR = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


class Line(NamedTuple):
    """What is logged, already clean: the parts hold no control characters and no secrets.

    Two lines are the same when all parts are.
    """

    level: str
    component: str
    event: str
    values: tuple[tuple[str, Scalar], ...]
    trace: tuple[str, ...] = ()


def make_line(
    level: str,
    component: str,
    event: str,
    values: Mapping[str, object],
    error: BaseException | None,
    redact: Callable[[str], str],
) -> Line:
    """Clean the parts of a line. Secrets go first: an escape or a cut could hide one from the search."""
    return Line(
        level,
        clean(redact(component)),
        clean(redact(event), MESSAGE_LIMIT),
        tuple((clean(key), _scalar(value, redact)) for key, value in values.items()),
        _trace(error, redact) if error is not None else (),
    )


def _scalar(value: object, redact: Callable[[str], str]) -> Scalar:
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean(redact(_plain(value)))


def _plain(value: object) -> str:
    """As people read it: maps and lists without Python's brackets and quotes."""
    if isinstance(value, Mapping):
        return " ".join(f"{key}={inner}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else repr(value)


def _trace(error: BaseException, redact: Callable[[str], str]) -> tuple[str, ...]:
    text = redact("".join(traceback.format_exception(error)))
    # Only the line feed divides: other characters that Python counts as line ends may come from outside.
    lines = [clean(line, MESSAGE_LIMIT) for line in text.rstrip("\n").split("\n")]
    if len(lines) > _TRACE_LINES:
        half = _TRACE_LINES // 2
        lines[half:-half] = [f"… {len(lines) - 2 * half} lines left out …"]
    return tuple(lines)


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _message(line: Line) -> str:
    """`websocket: opened` for the event `websocket.opened`: the component is said once."""
    return f"{line.component}: {line.event.removeprefix(line.component + '.')}"


def _values(line: Line) -> str:
    return "".join(" " + pair(key, value) for key, value in line.values)


def _below(line: Line, prefix: str) -> str:
    # A traceback is indented, and in the journal each of its lines carries the priority, so that none can forge one.
    return "".join(f"\n{prefix}    {text}" for text in line.trace)


def journal(line: Line, at: float) -> str:
    """For a service manager: `<3>ERROR websocket: opened peer=…`; the journal knows the time."""
    prefix = f"<{PRIORITY[line.level]}>"
    return f"{prefix}{message_of(line)}{_below(line, prefix)}"


def message_of(line: Line) -> str:
    """What a person reads of a line in the journal, without a traceback."""
    return f"{line.level} {_message(line)}{_values(line)}"


def plain(line: Line, at: float) -> str:
    """For a file or a pipe, with the time in UTC."""
    return f"{_utc(at)} {line.level} {_message(line)}{_values(line)}{_below(line, '')}"


def console(line: Line, at: float) -> str:
    """For a terminal, coloured."""
    time, level, values = _utc(at)[11:23], f"{line.level:<8}", _values(line)
    head = f"\x1b[2m{time}\x1b[0m \x1b[{_COLOUR[line.level]}m{level}\x1b[0m"
    return f"{head} {_message(line)}\x1b[2m{values}\x1b[0m{_below(line, '')}"


def json(line: Line, at: float) -> str:
    """One JSON object on one line. Values stand beside `time`, `level`, `component` and `event`, never over them."""
    fixed: dict[str, object] = {
        "time": _utc(at),
        "level": line.level,
        "component": line.component,
        "event": line.event,
    }
    if line.trace:
        fixed["exception"] = "\n".join(line.trace)
    values = {(f"{key}_" if key in fixed else key): value for key, value in line.values}
    return msgspec.json.encode(fixed | values).decode()


FORMS: Mapping[Form, Callable[[Line, float], str]] = {
    "console": console,
    "plain": plain,
    "journal": journal,
    "json": json,
}
