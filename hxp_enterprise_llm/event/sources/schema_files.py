"""Schema files read and checked: what is wrong with one is told with its name and place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import jsonschema.validators

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.runtime.files import listed

MAX_FILE_BYTES = 1024 * 1024


class SchemaFault(NamedTuple):
    """What is wrong with a schema file; `place` is `line:column` or a path within the schema."""

    file: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.place}: {self.message}" if self.place else f"{self.file}: {self.message}"


_TYPE = re.compile(r"[A-Za-z0-9._-]+")


class SchemaError(ConfigError):
    """Schemas that cannot be used, with everything that is wrong with them."""

    def __init__(self, faults: tuple[SchemaFault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def shipped_files() -> Iterator[tuple[str, bytes]]:
    """Type and content of each schema that comes with the program."""
    for entry in sorted(
        resources.files("hxp_enterprise_llm.event").joinpath("schemas").iterdir(), key=lambda e: e.name
    ):
        if entry.name.endswith(".json"):
            yield entry.name.removesuffix(".json"), entry.read_bytes()


def operator_files(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """The operator's schema files; none when there is no such directory. Raises SchemaError."""
    try:
        paths = listed(directory, ".json")
    except OSError as error:
        raise SchemaError((SchemaFault(str(directory), "", f"cannot be read: {error.strerror}"),)) from error
    for path in paths:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise SchemaError((SchemaFault(str(path), "", f"is larger than {MAX_FILE_BYTES:,} bytes"),))
            yield path, path.read_bytes()
        except OSError as error:
            raise SchemaError((SchemaFault(str(path), "", f"cannot be read: {error.strerror}"),)) from error


def parse_schema(file: str, type: str, content: bytes) -> dict[str, Any]:
    """The schema of one event type. Raises SchemaError."""
    try:
        schema = json.loads(content)
    except json.JSONDecodeError as error:
        raise SchemaError((SchemaFault(file, f"{error.lineno}:{error.colno}", error.msg.lower()),)) from None
    except (ValueError, RecursionError) as error:
        raise SchemaError((SchemaFault(file, "", f"is no JSON in UTF-8: {error}"),)) from None
    if not isinstance(schema, dict):
        raise SchemaError((SchemaFault(file, "", "a schema is a JSON object"),))
    faults = tuple(_faults(file, type, schema))
    if faults:
        raise SchemaError(faults)
    return schema


def _faults(file: str, type: str, schema: dict[str, Any]) -> Iterator[SchemaFault]:
    if not _TYPE.fullmatch(type):
        yield SchemaFault(file, "", f"{type!r} is no event type: files are named TYPE.json, of A-Z a-z 0-9 . _ -")
    if schema.get("$id", type) != type:
        yield SchemaFault(file, "$id", f"is {schema['$id']!r}, but the file is named after the type {type!r}")
    checker = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    for error in sorted(checker(checker.META_SCHEMA).iter_errors(schema), key=lambda error: error.json_path):
        yield SchemaFault(file, ".".join(map(str, error.absolute_path)), error.message)
