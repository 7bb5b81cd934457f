"""The templates of an operator: read, and checked without running anything of them.

A template is parsed and its names are looked at. It is not compiled here: the compiler computes constants, and one can
be written that takes minutes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, TemplateSyntaxError, nodes

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.templates.data import data_of
from hxp_enterprise_llm.event.notifications.templates.sandbox import PARTS, SUFFIX, environment

MAX_BYTES = 64 * 1024
MAX_FILES = 32
_SAMPLE = Notification(id="", episode="", seq=0, kind="message", priority="info", title="", text="", at=0.0)
NAMES = frozenset(data_of(_SAMPLE)) | {"left_out"}
"""What a template may name."""
_BUILT_IN = frozenset({"loop", "self", "varargs", "kwargs", "caller", "range", "dict", "namespace", "super"})


class Fault(NamedTuple):
    """Something in a template that cannot work. `line` 0: the file as a whole."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


class TemplateFaults(ConfigError):
    """All faults of a set of templates."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def shipped() -> dict[str, str]:
    """The templates that come with the program, by file name."""
    place = files("hxp_enterprise_llm.event.notifications.templates") / "shipped"
    return {part + SUFFIX: (place / (part + SUFFIX)).read_text(encoding="utf-8") for part in PARTS}


def load(directory: str) -> dict[str, str]:
    """The shipped templates with those of the directory over them; empty: the shipped ones. Raises TemplateFaults."""
    if not directory:
        return shipped()
    own, faults = _read(Path(directory))
    sources = shipped() | own
    for name, source in own.items():
        faults += [fault._replace(path=os.path.join(directory, name)) for fault in _check(name, source, sources)]
    if faults:
        raise TemplateFaults(tuple(sorted(faults)))
    return sources


def unused(directory: str) -> list[Fault]:
    """Files of the directory that no message is made with. One that cannot be read has none: `load` says why."""
    if not directory:
        return []
    own, _ = _read(Path(directory))
    used, parts = _reached(shipped() | own), [part + SUFFIX for part in PARTS]
    try:
        names = sorted(entry.name for entry in Path(directory).iterdir() if not entry.name.startswith("."))
    except OSError:
        return []
    return [
        Fault(os.path.join(directory, name), 0, f"no message uses it{suggestion(name, parts)}")
        for name in names
        if name not in used
    ]


def _reached(sources: Mapping[str, str]) -> set[str]:
    """The templates that messages are made with, and what these name."""
    used: set[str] = set()
    waiting = [part + SUFFIX for part in PARTS]
    while waiting:
        name = waiting.pop()
        if name not in used and name in sources:
            used.add(name)
            waiting += _named(sources[name])
    return used


def _named(source: str) -> Iterator[str]:
    try:
        tree = environment({}, "text").parse(source)
    except (TemplateSyntaxError, RecursionError):
        return
    yield from (other for _, other in _others(tree) if other is not None)


def _others(tree: nodes.Template) -> Iterator[tuple[int, str | None]]:
    """Where a template names another, and which; None when it is not a plain text that says so."""
    for each in tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)):
        named = getattr(each, "template", None)
        other = named.value if isinstance(named, nodes.Const) else None
        yield each.lineno, other if isinstance(other, str) else None


def _read(directory: Path) -> tuple[dict[str, str], list[Fault]]:
    found: dict[str, str] = {}
    faults: list[Fault] = []
    try:
        names = sorted(entry.name for entry in directory.iterdir() if entry.name.endswith(SUFFIX))
    except OSError as error:
        return {}, [Fault(str(directory), 0, f"the templates cannot be read: {error.strerror}")]
    if len(names) > MAX_FILES:
        return {}, [Fault(str(directory), 0, f"has {len(names)} templates, at most {MAX_FILES} are taken")]
    for name in names:
        path = str(directory / name)
        try:
            found[name] = _text(path)
        except OSError as error:
            faults.append(Fault(path, 0, f"cannot be read: {error.strerror or error}"))
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            faults.append(Fault(path, line, "is not UTF-8 text"))
    return found, faults


def _text(path: str) -> str:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError("it is no regular file")
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(f"it is larger than {MAX_BYTES // 1024} kB")
    return content.decode()


def _check(name: str, source: str, sources: Mapping[str, str]) -> Iterator[Fault]:
    """What can be seen of a template by reading it."""
    made = environment({}, "text")
    try:
        tree = made.parse(source, name)
    except TemplateSyntaxError as error:
        yield Fault(name, error.lineno, error.message or "it cannot be read")
        return
    except RecursionError:
        yield Fault(name, 0, "it is nested too deeply")
        return
    yield from _unknown(name, tree, made, sources)


def _unknown(name: str, tree: nodes.Template, made: Environment, sources: Mapping[str, str]) -> Iterator[Fault]:
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        table, word = (made.filters, "filter") if isinstance(node, nodes.Filter) else (made.tests, "test")
        if node.name not in table:
            yield Fault(name, node.lineno, f"unknown {word} {node.name!r}{suggestion(node.name, table)}")
    for line, other in _others(tree):
        if other is None:
            yield Fault(name, line, "another template must be named by a plain text")
        elif other not in sources:
            yield Fault(name, line, f"there is no template {other!r}{suggestion(other, sources)}")
    for scoped in tree.find_all(nodes.ScopedEvalContextModifier):
        yield Fault(name, scoped.lineno, "escaping cannot be switched")
    yield from _unknown_names(name, tree)


def _unknown_names(name: str, tree: nodes.Template) -> Iterator[Fault]:
    made = {each.name for each in tree.find_all(nodes.Name) if each.ctx in ("store", "param")}
    made |= {each.name for each in tree.find_all(nodes.Macro)}
    made |= {each.target for each in tree.find_all(nodes.Import)}
    for imported in tree.find_all(nodes.FromImport):
        made |= {each if isinstance(each, str) else each[1] for each in imported.names}
    for each in tree.find_all(nodes.Name):
        if each.ctx == "load" and each.name not in made | NAMES | _BUILT_IN:
            yield Fault(name, each.lineno, f"unknown name {each.name!r}{suggestion(each.name, NAMES)}")
