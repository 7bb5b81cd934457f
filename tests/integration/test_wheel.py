"""The wheel: it carries the page, serves it without node and without its sources, and is not built without the page."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import aiohttp
import pytest

from tests.integration.daemon import Daemon

ROOT = Path(__file__).parents[2]
STATIC = "hxp_enterprise_llm/event/dashboards/static"


def build(root: Path, into: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def installed(wheel: Path, at: Path) -> Path:
    """A virtual environment with the wheel; what it depends on is lent by ours, whose editable install is not."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", at], check=True)
    ours = Path(sysconfig.get_paths(vars={"base": str(at), "platbase": str(at)})["purelib"])
    shutil.unpack_archive(wheel, ours, "zip")
    (ours / "lent.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    return at / "bin" / "python"


def imported(python: Path) -> Path:
    """Where this Python has the program from."""
    where = [python, "-c", "import hxp_enterprise_llm; print(hxp_enterprise_llm.__file__)"]
    return Path(subprocess.run(where, cwd=python.parent, capture_output=True, text=True, check=True).stdout)


def daemon(python: Path, directory: Path) -> Daemon:
    """The installed program: elsewhere than the sources, with nothing on its PATH."""
    elsewhere = ["/bin/sh", "-c", f'shift; cd {directory} && exec "$0" "$@"', str(python)]
    return Daemon(directory / "data", environ={"PATH": "/nonexistent"}, within=elsewhere)


async def test_an_installed_wheel_serves_the_page_without_node(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    python = installed(wheel, tmp_path / "venv")
    assert imported(python).is_relative_to(tmp_path / "venv")
    async with daemon(python, tmp_path) as started, aiohttp.ClientSession(auto_decompress=False) as session:
        async with session.get(started.gateway + "/") as page:
            text = await page.text()
            assert page.status == 200
            assert "require-trusted-types-for 'script'" in page.headers["Content-Security-Policy"]
            assert page.headers["Cache-Control"] == "no-cache"
        parts = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
        assert {part.rpartition(".")[2] for part in parts} == {"js", "css"}
        for part in parts:
            await serves(session, started.gateway + part)


async def serves(session: aiohttp.ClientSession, address: str) -> None:
    """A part of the page in each coding that a client may ask for, for ever, and not twice to who has it."""
    plain, tag = await fetched(session, address, "identity", "")
    packed, _ = await fetched(session, address, "gzip", "gzip")
    assert gzip.decompress(packed) == plain
    smallest, _ = await fetched(session, address, "gzip, deflate, br", "br")
    assert len(smallest) < len(packed) < len(plain)
    async with session.get(address, headers={"If-None-Match": tag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


async def fetched(session: aiohttp.ClientSession, address: str, accepted: str, coding: str) -> tuple[bytes, str]:
    async with session.get(address, headers={"Accept-Encoding": accepted}) as answer:
        assert answer.status == 200
        assert answer.headers.get("Content-Encoding", "") == coding
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert "immutable" in answer.headers["Cache-Control"]
        return await answer.read(), answer.headers["ETag"]


@pytest.mark.parametrize("missing", ["the page", "a compressed part"])
def test_no_wheel_without_the_page(tmp_path: Path, missing: str) -> None:
    """A tree without `scripts/web`, as a source archive of somebody else's making might be."""
    root = tmp_path / "tree"
    shutil.copytree(
        ROOT / "hxp_enterprise_llm", root / "hxp_enterprise_llm", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, root / name)
    if missing == "the page":
        shutil.rmtree(root / STATIC)
    else:
        os.unlink(next((root / STATIC).glob("*.js.br")))
    done = build(root, tmp_path / "out")
    assert done.returncode != 0
    assert "the page is not complete" in done.stderr
    assert not list((tmp_path / "out").glob("*.whl"))
