"""Loading: defaults below the file below the environment, validated as a whole, every value with its origin."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from hxp_enterprise_llm.config.checks import findings
from hxp_enterprise_llm.config.environment import Overlay, beneath, overlay
from hxp_enterprise_llm.config.faults import ConfigFaults, Fault
from hxp_enterprise_llm.config.fields import fields
from hxp_enterprise_llm.config.paths import KeyPath, dotted, split
from hxp_enterprise_llm.config.positions import Document, Place, place_of, read
from hxp_enterprise_llm.config.types import Section
from hxp_enterprise_llm.config.validation import violations

MAX_FILE_BYTES = 1024 * 1024

T = TypeVar("T", bound=Section)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where values come from: places in the file, variables of the environment, else the defaults."""

    name: str
    places: Mapping[KeyPath, Place]
    variables: Mapping[KeyPath, str]
    offered: Mapping[KeyPath, str] = field(default_factory=dict)
    """Variables of the service manager, for what neither of both says."""

    def given(self, path: KeyPath) -> bool:
        """Whether the operator set this value, or one inside it."""
        return path in self.places or path in self.variables

    def origin(self, path: KeyPath) -> str:
        """`environment NAME`, `file:line` or `default`."""
        if path in self.variables:
            return f"environment {self.variables[path]}"
        if path in self.places:
            return f"{self.name}:{self.places[path].key.line}"
        if path in self.offered:
            return f"environment {self.offered[path]}"
        return "default"

    def fault(self, path: KeyPath, message: str, *, at_key: bool = False) -> Fault:
        """A fault at the value (or its key); when the file does not have it, at the nearest thing around it."""
        if path in self.variables:
            return Fault("environment", self.variables[path], 0, 0, dotted(path), message)
        above = next((path[:length] for length in range(len(path), 0, -1) if path[:length] in self.places), ())
        place = self.places.get(above)
        if place is None or (not above and path):  # a key that the file does not have has no line
            return Fault("file", self.name, 0, 0, dotted(path), message)
        line, column = place.key if at_key else place.value
        return Fault("file", self.name, line, column, dotted(path), message)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A configuration that is valid, and where each of its values came from."""

    config: T
    path: Path | None
    origins: dict[str, str]
    """Dotted path of each value → `default`, `file:line` or `environment NAME`."""
    warnings: list[str]
    sources: Sources

    def fault(self, path: str, message: str) -> Fault:
        """A fault that a room above found in a value, at the place where the operator wrote it."""
        return self.sources.fault(split(path), message)


def load(config: type[T], path: Path | None, environ: Mapping[str, str]) -> Loaded[T]:
    """Load a file (none: defaults and environment only). Raises ConfigFaults with everything that is wrong."""
    if path is None:
        return _loaded(config, None, Document(None, {}, ()), Sources("defaults", {}, {}), environ)
    text = _text(path)
    return parse(config, text, environ, name=str(path), path=path)


def parse(
    config: type[T], text: str, environ: Mapping[str, str], *, name: str = "<text>", path: Path | None = None
) -> Loaded[T]:
    """Load from text; `name` stands for the file in faults and origins. Raises ConfigFaults."""
    document = read(text, name)
    return _loaded(config, path, document, Sources(name, document.places, {}), environ)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigFaults([_unreadable(path, f"not a configuration: larger than {MAX_FILE_BYTES} bytes")])
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise ConfigFaults([_unreadable(path, f"cannot be read: {error.strerror}")]) from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        line, column = place_of(before, len(before))
        fault = Fault("file", str(path), line, column, "", f"not UTF-8: the byte 0x{content[error.start]:02X}")
        raise ConfigFaults([fault]) from error


def _unreadable(path: Path, message: str) -> Fault:
    return Fault("file", str(path), 0, 0, "", message)


def _loaded(
    config: type[T], path: Path | None, document: Document, sources: Sources, environ: Mapping[str, str]
) -> Loaded[T]:
    variables, offered = overlay(config, environ), beneath(config, environ)
    sources = replace(sources, variables=variables.names, offered=offered.names)
    given = {} if document.data is None else document.data
    faults, faulty = _structure(config, given, document.faults, variables, sources)
    said = _merged(_without(given, faulty), _without(variables.data, faulty))
    result = msgspec.convert(_merged(offered.data, said), config)
    warnings = [*variables.warnings, *_overruled(given, variables, replace(sources, variables={}))]
    for finding in findings(result, sources.given, faulty):
        located = sources.fault(split(finding.path), finding.message)
        if finding.warning:
            warnings.append(str(located))
        else:
            faults.append(located)
    if faults:
        raise ConfigFaults(faults)
    return Loaded(result, path, dict(_origins(msgspec.to_builtins(result), (), sources)), warnings, sources)


def _structure(
    config: type[Section], given: Any, unreadable: tuple[Fault, ...], variables: Overlay, sources: Sources
) -> tuple[list[Fault], frozenset[str]]:
    """Faults against the types, and the sections that have any; the others can still be checked for sense.

    The file is checked alone, so that a variable over a wrong value does not hide it.
    """
    faults = list(unreadable)
    paths = [split(fault.path) for fault in unreadable]
    file = replace(sources, variables={})
    for source, data in ((file, given), (sources, variables.data)):
        for violation in violations(config, data):
            if source is sources or violation.path not in paths:  # what could not be read is said once
                faults.append(source.fault(violation.path, violation.message, at_key=violation.at_key))
            paths.append(violation.path)
    everything = [str(field.path[0]) for field in fields(config)]
    return faults, frozenset(str(name) for path in paths for name in (path[:1] or everything))


def _overruled(given: dict[str, Any], variables: Overlay, file: Sources) -> Iterator[str]:
    """A warning for each value of the file that a variable replaces by another: who edits the file changes nothing."""
    for path, name in variables.names.items():
        if path not in file.places:
            continue
        there = _at(variables.data, path)
        if _at(given, path) != there:
            yield str(file.fault(path, f"not in force: the variable {name} says {there}"))


def _at(data: Any, path: KeyPath) -> Any:
    for step in path:
        data = data[step]
    return data


def _without(data: Any, sections: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in sections} if isinstance(data, dict) else {}


def _merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Both maps; where both have a value, the high one's."""
    both = {key: _merged(low[key], high[key]) for key in low.keys() & high.keys() if isinstance(high[key], dict)}
    return low | high | both


def _origins(value: Any, path: KeyPath, sources: Sources) -> Iterator[tuple[str, str]]:
    """Origin of each scalar and each empty collection."""
    if isinstance(value, dict) and value:
        inner: Iterable[tuple[str | int, Any]] = value.items()
    elif isinstance(value, list) and value:
        inner = enumerate(value)
    else:
        yield dotted(path), sources.origin(path)
        return
    for step, item in inner:
        yield from _origins(item, (*path, step), sources)
