"""The habits of the house that a machine can hold: sizes, docstrings, links, and what may stand in no file."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "hxp_enterprise_llm").rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").rglob("*.md")])
LONGEST_FILE, LONGEST_FUNCTION = 400, 45


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_files_and_functions_stay_small_and_say_what_they_are(module):
    """At most 400 lines a file and 45 a function; each file begins with its purpose."""
    text = module.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= LONGEST_FILE
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    """Every relative link and picture of a page exists."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def test_no_file_names_a_registry_or_a_path_of_somebodys_machine():
    """The locks carry hashes, not hosts; nothing knows where it was written."""
    hosts = ["py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js", "deb.deb" + "ian.org", "/wo" + "rk/"]
    for name in tracked():
        path = ROOT / name
        if path.suffix in {".png", ".db"} or not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        assert not [host for host in hosts if host in text], name
