"""Dashboard definitions from files: the operator's directory first, the shipped set for what it does not have.

A faulty file costs its own dashboard at most: every fault is named with its place, the others go on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from hxp_enterprise_llm.config.faults import Fault, shown
from hxp_enterprise_llm.config.paths import KeyPath, dotted
from hxp_enterprise_llm.config.wording import describe
from hxp_enterprise_llm.event.dashboards.model import Definition, Loaded, Panel
from hxp_enterprise_llm.event.dashboards.positions import DuplicateKey, Position, parse, place_of_fault, positions
from hxp_enterprise_llm.event.dashboards.queries import Query, QueryFault, check_panel
from hxp_enterprise_llm.event.dashboards.queries import parse as parse_query

RESERVED = ("status", "refresh", "query")
"""Words that stand for something else in the addresses of dashboards."""

_PACKAGE = files("hxp_enterprise_llm.event.dashboards")


def load_definitions(directory: Path, names: Iterable[str]) -> dict[str, Loaded]:
    """Read NAME.json for each name. Nothing is raised: faults are part of the answer."""
    return {name: _load(directory, name) for name in names}


def shipped_names() -> list[str]:
    """Names of the definitions in the package, sorted."""
    return sorted(entry.name.removesuffix(".json") for entry in _PACKAGE.joinpath("shipped").iterdir())


def load_text(name: str, file: str, text: str) -> Loaded:
    """Understand one definition."""
    try:
        data = parse(text)
    except json.JSONDecodeError as error:
        return Loaded(name, None, (Fault("file", file, error.lineno, error.colno, "", f"not valid JSON: {error.msg}"),))
    except (DuplicateKey, ValueError, RecursionError) as error:
        line, column = place_of_fault(text, error)
        return Loaded(name, None, (Fault("file", file, line, column, "", f"not valid JSON: {_reason(error)}"),))
    source = _Source(file, positions(text))
    faults = source.schema_faults(data)
    if faults:
        return Loaded(name, None, tuple(faults))
    panels, panel_faults = source.panels(data.get("panels", []))
    return Loaded(name, _definition(name, file, data, panels), tuple(panel_faults))


@cache
def schema_validator() -> Draft202012Validator:
    """The seed's JSON Schema with our optional members, formats checked."""
    schema = json.loads(_PACKAGE.joinpath("schema.json").read_text("utf-8"))
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _load(directory: Path, name: str) -> Loaded:
    path = directory / f"{name}.json"
    if name in RESERVED:
        return _unreadable(name, str(path), f"{name!r} is an address of the service; give the dashboard another name")
    try:
        return load_text(name, str(path), path.read_text("utf-8"))
    except FileNotFoundError:
        return _load_shipped(path, name)
    except UnicodeDecodeError as error:
        return _unreadable(name, str(path), f"not UTF-8 text (byte {error.start + 1})")
    except OSError as error:
        return _unreadable(name, str(path), f"cannot be read: {error.strerror}")


def _load_shipped(path: Path, name: str) -> Loaded:
    shipped = _PACKAGE.joinpath("shipped", f"{name}.json")
    if not shipped.is_file():
        known = ", ".join(shipped_names())
        return _unreadable(name, str(path), f"no such file, and none of that name is shipped (shipped: {known})")
    return load_text(name, f"{name}.json (shipped)", shipped.read_text("utf-8"))


def _unreadable(name: str, file: str, message: str) -> Loaded:
    return Loaded(name, None, (Fault("file", file, 0, 0, "", message),))


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _definition(name: str, file: str, data: Mapping[str, Any], panels: tuple[Panel, ...]) -> Definition:
    streaming = data.get("streaming_config", {})
    return Definition(
        name=name,
        file=file,
        dashboard_id=data["dashboard_id"],
        dashboard_type=data["dashboard_type"],
        title=data.get("title", _words(name)),
        update_frequency=int(data["update_frequency"]),
        data_sources=tuple(data["data_sources"]),
        panels=panels,
        pushed=streaming.get("websocket_enabled", True) or streaming.get("sse_enabled", True),
        compressed=streaming.get("compression_enabled", True),
    )


class _Source:
    """One file while it is understood: it knows where everything stands."""

    def __init__(self, file: str, places: Mapping[KeyPath, Position]) -> None:
        self._file, self._places = file, places

    def fault(self, path: KeyPath, message: str, *, shift: int = 0) -> Fault:
        """A fault at a member, or at what encloses it when it is missing; `shift` characters into its text."""
        at = path
        while at not in self._places:
            at = at[:-1]
        line, column = self._places[at]
        return Fault("file", self._file, line, column + (shift if at == path else 0), dotted(path), message)

    def schema_faults(self, data: Any) -> list[Fault]:
        """Everything that the schema does not allow, each once, in the order of the file."""
        found = (sentence for error in schema_validator().iter_errors(data) for sentence in _sentences(error))
        faults = [self.fault(path, message) for path, message in dict.fromkeys(found)]
        return sorted(faults, key=lambda fault: (fault.line, fault.column))

    def panels(self, items: list[Mapping[str, Any]]) -> tuple[tuple[Panel, ...], list[Fault]]:
        panels: dict[str, Panel] = {}
        faults: list[Fault] = []
        for number, item in enumerate(items):
            fallback = f"panel-{number + 1}"
            panel, fault = self._panel(("panels", number), item, fallback)
            if panel.panel_id in panels:
                fault = self.fault(("panels", number, "panel_id"), f"{panel.panel_id!r} is given twice")
                panel = _panel(item, fallback, fault=str(fault))
            panels[panel.panel_id] = panel
            faults += [fault] if fault else []
        return tuple(panels.values()), faults

    def _panel(self, path: KeyPath, item: Mapping[str, Any], fallback: str) -> tuple[Panel, Fault | None]:
        panel_id = item.get("panel_id") or fallback
        for key in ("panel_id", "panel_type", "data_query"):
            if not item.get(key):
                fault = self.fault((*path, key), "is missing: a panel needs panel_id, panel_type and data_query")
                return _panel(item, panel_id, fault=str(fault)), fault
        try:
            query = parse_query(item["data_query"])
            check_panel(query, item["panel_type"])
        except QueryFault as error:
            fault = self.fault((*path, "data_query"), error.message, shift=error.column)
            return _panel(item, panel_id, fault=str(fault)), fault
        return _panel(item, panel_id, query=query), None


def _sentences(error: ValidationError) -> Iterator[tuple[KeyPath, str]]:
    if error.validator == "format":
        yield tuple(error.absolute_path), f"must be a UUID, is {shown(error.instance)}"
        return
    for violation in describe(error, {}):
        yield violation.path, violation.message


def _panel(item: Mapping[str, Any], panel_id: str, *, query: Query | None = None, fault: str = "") -> Panel:
    return Panel(
        panel_id=panel_id,
        panel_type=item.get("panel_type", "stat"),
        title=item.get("title") or _words(panel_id),
        unit=item.get("unit"),
        scale=item.get("scale", 1.0),
        limit=item.get("limit"),
        description=item.get("description", ""),
        width=item.get("width"),
        refresh_interval=int(item.get("refresh_interval", 0)),
        text=item.get("data_query", ""),
        query=query,
        fault=fault,
    )
