"""The catalogue of event types: the shipped JSON Schemas and the operator's own, compiled for the hot path.

A schema describes an event's `data`. An operator's file `TYPE.json` takes the place of a shipped schema of that type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jsonschema_rs

from hxp_enterprise_llm.event.sources.faults import Finding
from hxp_enterprise_llm.event.sources.schema_files import (
    SchemaError,
    SchemaFault,
    operator_files,
    parse_schema,
    shipped_files,
)
from hxp_enterprise_llm.telemetry.text import clean

SHOWN_FINDINGS = 20
_ARTICLES = {"array": "an array", "object": "an object", "integer": "an integer", "null": "null", "string": "text"}


class SchemaCatalogue:
    """Schemas by event type. Immutable: a reload makes a new one."""

    def __init__(self, schemas: Mapping[str, dict[str, Any]]) -> None:
        """Raises SchemaError when a schema cannot be compiled."""
        self._schemas = dict(schemas)
        self._validators = {type: _compile(type, schema) for type, schema in schemas.items()}

    @classmethod
    def load(cls, directory: Path | None = None) -> SchemaCatalogue:
        """The shipped schemas and those of `directory`. Raises SchemaError with all that is wrong in its files."""
        # Tests hold the shipped ones to the meta-schema; to look again at each load would take a tenth of a second.
        schemas = {type: json.loads(content) for type, content in shipped_files()}
        faults: list[SchemaFault] = []
        for path, content in operator_files(directory) if directory else ():
            try:
                schema = parse_schema(str(path), path.stem, content)
                _compile(str(path), schema)
                schemas[path.stem] = schema
            except SchemaError as error:
                faults += error.faults
        if faults:
            raise SchemaError(tuple(faults))
        return cls(schemas)

    @property
    def types(self) -> tuple[str, ...]:
        """Event types that have a schema, sorted."""
        return tuple(sorted(self._schemas))

    @property
    def all(self) -> Mapping[str, dict[str, Any]]:
        """The schemas by type, as they are written."""
        return {type: self._schemas[type] for type in self.types}

    def schema(self, type: str) -> dict[str, Any] | None:
        """The schema of a type as it is written."""
        return self._schemas.get(type)

    def nearest(self, type: str) -> str | None:
        """The known type that was probably meant."""
        return next(iter(get_close_matches(type, self._schemas, n=1)), None)

    def knows(self, types: Iterable[str]) -> bool:
        """Whether each of these types has a schema."""
        return self._schemas.keys() >= set(types)

    def accepts(self, types: Sequence[str], datas: Sequence[Any]) -> bool:
        """Whether `check` would find nothing wrong with any of these data, each of the type beside it."""
        if len(set(types)) == 1:
            validator = self._validators.get(types[0])
            return validator is None or all(map(validator.is_valid, datas))
        validators = map(self._validators.get, types)
        return all(
            validator is None or validator.is_valid(data) for validator, data in zip(validators, datas, strict=True)
        )

    def check(self, type: str, data: Any) -> tuple[Finding, ...]:
        """What is wrong with the data of an event of this type; nothing when the type has no schema."""
        validator = self._validators.get(type)
        if validator is None or validator.is_valid(data):
            return ()
        found = []
        for error in validator.iter_errors(data):
            found.append(_finding(error))
            if len(found) == SHOWN_FINDINGS:
                break
        return tuple(found)


def _compile(file: str, schema: dict[str, Any]) -> Any:
    try:
        # Offline: a $ref to elsewhere is a fault of the file, never a request from here.
        return jsonschema_rs.validator_for(schema, offline=True)
    except jsonschema_rs.ValidationError as error:
        raise SchemaError((SchemaFault(file, "", str(error.message)),)) from None


def _finding(error: Any) -> Finding:
    path = "data"
    for step in error.instance_path:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    kind = error.kind.as_dict()
    if error.kind.name == "anyOf" and (choices := _choices(kind)):
        return Finding(path, f"has neither {' nor '.join(choices)}")
    if error.kind.name == "required":
        return Finding(f"{path}.{clean(kind['property'], 60)}", "is missing")
    wording = _WORDINGS.get(error.kind.name)
    message = wording(_shown(error.instance), kind) if wording else error.message
    return Finding(clean(path), clean(message))


def _choices(kind: Mapping[str, Any]) -> list[str]:
    """What is missing, when each of several choices only lacks members."""
    lacking = [[fault.kind for fault in choice] for choice in kind["context"]]
    if any(each.name != "required" for choice in lacking for each in choice):
        return []
    return [" and ".join(repr(clean(each.as_dict()["property"], 60)) for each in choice) for choice in lacking]


def _shown(value: Any) -> str:
    return clean(json.dumps(value, ensure_ascii=False), 60)


def _types(kind: Mapping[str, Any]) -> str:
    return " or ".join(_ARTICLES.get(name, f"a {name}") for name in kind["types"])


_WORDINGS: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    "type": lambda shown, kind: f"{shown} is not {_types(kind)}",
    "enum": lambda shown, kind: f"{shown} is not one of {', '.join(json.dumps(option) for option in kind['options'])}",
    "minimum": lambda shown, kind: f"{shown} is below {kind['limit']}",
    "maximum": lambda shown, kind: f"{shown} is above {kind['limit']}",
    "minLength": lambda shown, kind: "is empty" if kind["limit"] == 1 else f"{shown} is too short",
    "additionalProperties": lambda shown, kind: f"does not know {', '.join(map(repr, kind['unexpected']))}",
}
