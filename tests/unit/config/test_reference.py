from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hxp_enterprise_llm.config.environment import environment_table
from hxp_enterprise_llm.config.fields import leaves
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.reference import reference_page, value_words
from hxp_enterprise_llm.config.streaming import StreamingConfig

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_in_docs_is_current() -> None:
    assert PAGE.read_text() == reference_page(), "run: python -m hxp_enterprise_llm.config.reference > " + str(PAGE)


def test_the_command_writes_the_page() -> None:
    run = subprocess.run([sys.executable, "-m", "hxp_enterprise_llm.config.reference"], capture_output=True, check=True)
    assert run.stdout.decode() == reference_page()


def test_the_page_has_every_key_and_every_variable() -> None:
    page = reference_page()
    for config in (StreamingConfig, ProcessingConfig):
        for field in leaves(config):
            assert f"| `{field.path[-1]}` |" in page
    for row in environment_table():
        assert f"| `{row.name}` | {row.service} | `{row.path}` |" in page


def test_every_table_row_has_as_many_cells_as_its_head() -> None:
    rows = [line.replace("\\|", "") for line in reference_page().splitlines() if line.startswith("| ")]
    assert {row.count("|") for row in rows} == {4, 6}


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"type": "integer", "minimum": 0, "maximum": 9}, "integer, at least 0, at most 9"),
        ({"type": "number", "exclusiveMinimum": 0}, "number, more than 0"),
        ({"enum": ["a", "b"]}, "`a` or `b`"),
        ({"type": "array", "items": {"type": "string"}}, "list of: text"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "map of name to: `true` or `false`"),
        ({"$ref": "#/$defs/RuleConfig"}, "section below"),
    ],
)
def test_words_for_values(described: dict[str, Any], words: str) -> None:
    assert value_words(described, {}) == words
