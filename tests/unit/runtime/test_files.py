"""Directories are listed, or it is said why not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.rule_files import read_rule_files
from hxp_enterprise_llm.event.sources.schema_files import SchemaError, operator_files
from hxp_enterprise_llm.runtime.files import listed

NOBODY = 65534


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A directory with files that may be used, and not be listed."""
    directory = tmp_path / "closed"
    directory.mkdir()
    for name in ("a.yaml", "a.json"):
        (directory / name).write_text("{}")
    is_root = os.geteuid() == 0
    directory.chmod(0o311)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield directory
    finally:
        if is_root:
            os.seteuid(0)
        directory.chmod(0o700)


def test_by_name_and_those_that_end_so(tmp_path: Path) -> None:
    for name in ("b.db", "a.db", "c.db-wal", "d"):
        (tmp_path / name).touch()
    assert listed(tmp_path, ".db") == [tmp_path / "a.db", tmp_path / "b.db"]
    assert listed(tmp_path / "none", ".db") == []


def test_what_cannot_be_read_is_not_taken_for_empty(closed: Path) -> None:
    with pytest.raises(PermissionError):
        listed(closed, ".yaml")


def test_rules_that_cannot_be_read_are_a_fault(closed: Path) -> None:
    with pytest.raises(ConfigFaults) as caught:
        read_rule_files(closed)
    assert str(caught.value) == f"{closed}: cannot be read: Permission denied"


def test_schemas_that_cannot_be_read_are_a_fault(closed: Path) -> None:
    with pytest.raises(SchemaError, match=rf"{closed}: cannot be read: Permission denied"):
        list(operator_files(closed))
