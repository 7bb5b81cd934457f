"""Rendering in Jinja2's immutable sandbox, where values stay values. It bounds rights; the process bounds cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jinja2 import DictLoader, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

PARTS = ("title", "text", "html", "slack")
"""What a notification is made of; the file of each is called so, with .j2 at its end."""
SUFFIX = ".j2"
MAX_OUTPUT = 64 * 1024
_KEPT_GLOBALS = ("range", "dict", "namespace")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Failure(NamedTuple):
    """Why a part could not be rendered. `line` 0: not known."""

    template: str
    line: int
    message: str


class Rendered(NamedTuple):
    """The parts that could be rendered, and why the others could not."""

    parts: dict[str, str]
    failures: dict[str, Failure]


class TooLong(Exception):
    """A template says more than anybody will read."""

    def __str__(self) -> str:
        return f"the result is longer than {MAX_OUTPUT // 1024} kB"


def slack_escaped(value: Any) -> str:
    """A value as Slack shows it letter by letter: no links, no mentions."""
    return str(value).translate(_ENTITIES)


def environment(sources: Mapping[str, str], part: str) -> ImmutableSandboxedEnvironment:
    """The environment of one part: HTML escapes by itself, Slack as Slack wants it."""
    made = ImmutableSandboxedEnvironment(
        loader=DictLoader(dict(sources)),
        autoescape=part == "html",
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=slack_escaped if part == "slack" else None,
        cache_size=50,
    )
    made.globals = {name: made.globals[name] for name in _KEPT_GLOBALS}
    # A value is never markup, whatever a template thinks of it.
    del made.filters["safe"]
    return made


class Sandbox:
    """A set of templates, ready to render."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        """`sources`: by file name."""
        self._environments = {part: environment(sources, part) for part in PARTS}

    def render(self, parts: tuple[str, ...], data: Mapping[str, Any]) -> Rendered:
        """Render some parts. Whatever a template does wrong is a Failure, unless it takes the process with it."""
        done, failures = {}, {}
        for part in parts:
            name = part + SUFFIX
            try:
                done[part] = self._render(self._environments[part], name, data)
            except RecursionError:
                failures[part] = Failure(name, 0, "it is nested too deeply")
            except MemoryError:
                failures[part] = Failure(name, 0, "it takes too much memory")
            except Exception as error:
                # A template is a program of somebody else: it may raise anything.
                failures[part] = _failure(name, error)
        return Rendered(done, failures)

    def _render(self, made: ImmutableSandboxedEnvironment, name: str, data: Mapping[str, Any]) -> str:
        pieces: list[str] = []
        size = 0
        for piece in made.get_template(name).generate({**data, "left_out": _left_out(data)}):
            size += len(piece)
            if size > MAX_OUTPUT:
                raise TooLong
            pieces.append(str(piece) if isinstance(piece, Markup) else piece)
        return "".join(pieces)


def _left_out(data: Mapping[str, Any]) -> Callable[[int], int]:
    def left_out(shown: int) -> int:
        """How many alerts are left out when so many are shown."""
        return max(0, len(data["alerts"]) - shown) + int(data["truncated"])

    return left_out


def _failure(name: str, error: Exception) -> Failure:
    line = 0
    if isinstance(error, TemplateError) and isinstance(getattr(error, "lineno", None), int):
        line, name = getattr(error, "lineno", 0), getattr(error, "name", None) or name
    trace = error.__traceback__
    while trace is not None:
        # Jinja2 rewrites the trace: a frame of a template carries its name and line.
        if trace.tb_frame.f_code.co_filename in ("<template>", "<unknown>") or trace.tb_frame.f_globals.get("blocks"):
            line = trace.tb_lineno
        trace = trace.tb_next
    text = (str(error) or type(error).__name__).splitlines()[0][:200]
    return Failure(name, line, text)
