"""The release after this one: a higher number, tables of a newer revision, a key of the configuration that is new."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from hxp_enterprise_llm.store.database import newest_revision
from tests.box.box import ROOT

VERSION = "99.0.0"
REVISION = "9999"
PARTS = ("hxp_enterprise_llm", "config", "deploy", "docs", "requirements", "scripts")
MIGRATION = f'''
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{REVISION}", "{newest_revision()}", None, None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("must_be_given", sa.String(8), nullable=False, server_default=""))
'''
WHEELS_INSTALLED = re.compile(r'^    pip "\$new" install .*--require-hashes.*$', re.MULTILINE)
KEY = (
    "class StateConfig(Section, frozen=True, kw_only=True):\n",
    'class StateConfig(Section, frozen=True, kw_only=True):\n    must_be_given: Annotated[str, about("New")] = ""\n',
)


def put(file: Path, old: str, new: str) -> None:
    """Replace something that is there."""
    text = file.read_text()
    assert old in text, old
    file.write_text(text.replace(old, new))


def make(share: Path) -> None:
    """Its source tree at share/next. What it needs of other projects is what this release needs."""
    tree = share / "next"
    for part in PARTS:
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "hatch_build.py"):
        shutil.copy(ROOT / name, tree)
    project = (ROOT / "pyproject.toml").read_text()
    (tree / "pyproject.toml").write_text(re.sub(r'(?m)^version = ".*"$', f'version = "{VERSION}"', project))
    (tree / "hxp_enterprise_llm/store/migrations/versions" / f"{REVISION}_next.py").write_text(MIGRATION)
    put(tree / "hxp_enterprise_llm/config/common.py", *KEY)
    put(tree / "config/services/event-processing.yaml", "\nstate:\n", "\nstate:\n  must_be_given: soon\n")
    package = tree / "hxp_enterprise_llm/__init__.py"
    package.write_text(re.sub(r"(?m)^__version__ = .*$", f'__version__ = "{VERSION}"', package.read_text()))
    script = tree / "scripts/install"
    text, found = WHEELS_INSTALLED.subn('    rm -rf "$new" && cp -a "$home/env" "$new"', script.read_text())
    assert found == 1
    script.write_text(text)
