"""Validation of plain data against a configuration type: every fault, none twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema

from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.schema import json_schema, key_places
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.config.types import Section
from hxp_enterprise_llm.config.wording import Violation, describe


def violations(config: type[Section], data: Any) -> Iterator[Violation]:
    """Everything in `data` that the types do not allow."""
    validator, elsewhere = _validator(config)
    neighbours = _neighbours(config)
    said: set[Violation] = set()
    for error in validator.iter_errors(data):
        for fault in describe(error, elsewhere, neighbours):
            if fault not in said:
                said.add(fault)
                yield fault


def _is_integer(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # 9102.0 is no integer to msgspec either


_extend: Any = jsonschema.validators.extend
_Validator = _extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


@cache
def _neighbours(config: type[Section]) -> dict[str, str]:
    """Sections of files that this one may have been taken for."""
    events, gateway = set(ProcessingConfig.__struct_fields__), set(StreamingConfig.__struct_fields__)
    owners = dict.fromkeys(events - gateway, "event processing") | dict.fromkeys(gateway - events, "the gateway")
    return {key: whose for key, whose in owners.items() if key not in config.__struct_fields__}


@cache
def _validator(config: type[Section]) -> tuple[Any, dict[str, str]]:
    document = json_schema(config)
    return _Validator(document), key_places(document)
