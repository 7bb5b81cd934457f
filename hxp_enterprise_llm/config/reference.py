"""The reference page of the configuration, out of the types: `python -m hxp_enterprise_llm.config.reference`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from hxp_enterprise_llm.config.environment import environment_table
from hxp_enterprise_llm.config.fields import fields
from hxp_enterprise_llm.config.paths import KeyPath, dotted
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.schema import json_schema, subschema
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.config.types import Section
from hxp_enterprise_llm.config.wording import PATTERNS

_HEAD = """\
# Configuration

This page is made from the types in `hxp_enterprise_llm/config`; do not edit it. To write it anew:
`python -m hxp_enterprise_llm.config.reference > docs/configuration.md`.

Each service has one YAML file: `config/services/data-streaming-api.yaml` and `config/services/event-processing.yaml`.
Every key may be left out. What counts is, from weak to strong: the default, the file, the environment.

- **Faults.** A file with any fault is refused as a whole, and all faults are reported at once as
  `file:line:column: path: what is wrong`, those of variables as `environment NAME: path: what is wrong`. Unknown and
  duplicate keys are faults. An unknown variable that begins like one of ours is a warning.
- **Reload.** Keys marked *live* take effect on SIGHUP; the others wait for a restart, and the reload names them.
- **Durations** are numbers with units, `ms`, `s`, `m`, `h` or `d`: `30s`, `1h30m`. Keys that are plain numbers of
  seconds or milliseconds say so.
- **Lists and maps** are set in the file only. A list in the file replaces the default list.
- **Secrets** do not belong in the file. Name a file that only the service's user and group may read, or leave the key
  empty and give the secret as a systemd credential, which is found in `$CREDENTIALS_DIRECTORY`.
- **Kubernetes** sets variables such as `EVENT_PROCESSING_PORT=tcp://…` for services of these names, which are refused
  as values. Set `enableServiceLinks: false` in the pod.
"""
_COLUMNS = "| key | value | default | reload | meaning |\n|---|---|---|---|---|\n"


def reference_page() -> str:
    """The page in Markdown."""
    parts = [_HEAD]
    for config in (StreamingConfig, ProcessingConfig):
        schema = json_schema(config)
        parts += [f"\n## {config().service.name}\n\n{subschema(schema, ())['description']}\n"]
        parts += _sections(config, (), schema)
    return "".join([*parts, *_variables()])


def _sections(section: type[Section], path: KeyPath, schema: dict[str, Any], reload: str = "") -> Iterator[str]:
    """The table of a section, then those of the sections inside it. `reload` is the mark of the list around it."""
    plain = [field for field in fields(section) if field.section is None]
    if plain:
        title, described = dotted(path).replace("[0]", "[]"), subschema(schema, path).get("description", "")
        yield f"\n### `{title}`\n\n" if path else "\n### Top level\n\n"
        yield f"{described}\n\n" if described and path else ""
        yield _COLUMNS
        yield from (_row(str(field.path[-1]), subschema(schema, path + field.path), schema, reload) for field in plain)
    for field in fields(section):
        if field.section is not None:
            yield from _sections(field.section, path + field.path, schema, reload)
        elif field.items is not None:
            around = subschema(schema, path + field.path)
            step: str | int = 0 if around["type"] == "array" else "NAME"
            yield from _sections(field.items, (*path, *field.path, step), schema, reload or around["x-reload"])


def _row(key: str, described: dict[str, Any], schema: dict[str, Any], reload: str) -> str:
    mark = reload or described["x-reload"]
    cells = [f"`{key}`", value_words(described, schema), _default(described), mark, _cell(described["description"])]
    return f"| {' | '.join(cells)} |\n"


def value_words(described: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a value may be, in words, e.g. `integer, 0 to 65535`."""
    if "$ref" in described:
        return "section below"
    if "enum" in described:
        return " or ".join(f"`{choice}`" for choice in described["enum"])
    if "anyOf" in described:
        return " or ".join(value_words(choice, schema) for choice in described["anyOf"])
    kind = described["type"]
    if kind == "null":
        return "`null`"
    if kind == "array":
        return f"list of: {value_words(described['items'], schema)}"
    if kind == "object":
        return f"map of name to: {value_words(described['additionalProperties'], schema)}"
    if kind == "boolean":
        return "`true` or `false`"
    if "pattern" in described:
        return _cell(PATTERNS[described["pattern"]])
    return ", ".join([{"string": "text"}.get(kind, kind), *_bounds(described)])


def _bounds(described: dict[str, Any]) -> Iterator[str]:
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
        "maxLength": "at most {} characters",
    }
    for key, text in words.items():
        if key in described:
            yield text.format(described[key])


def _default(described: dict[str, Any]) -> str:
    if "default" not in described:
        return "required"
    value = described["default"]
    if isinstance(value, list) and any(isinstance(item, dict) and "name" in item for item in value):
        return ", ".join(f"`{item['name']}`" for item in value)
    return _cell(f"`{json.dumps(value, ensure_ascii=False)}`")


def _variables() -> Iterator[str]:
    yield "\n## Environment\n\n`true`, `1`, `yes` and `false`, `0`, `no` are the words for switches.\n\n"
    yield "| variable | service | key |\n|---|---|---|\n"
    for row in environment_table():
        yield f"| `{row.name}` | {row.service} | `{row.path}` |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*") if "`" not in text else text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference_page())
