"""Results as tables: on the terminal, and in `docs/benchmarks.md` with the machine and the commit."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.performance.harness import CACHE, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
INTRODUCTION = Path(__file__).with_name("introduction.md")
AFTERWORD = Path(__file__).with_name("afterword.md")
FLOOR_COLUMNS = ["what", "floor", "measured", "met", "floor scaled to this machine", "met when scaled"]
_SCALED = """
The last two columns are no measurement and no floor of the project: absolute rates were asked of the reference machine
of November 2026, and there the floor stands multiplied by what this machine is worth beside that one, by a calibration
in the same run.
"""
QUIET = 0.25
"""Cores of other programs up to which figures may be trusted."""


@dataclass
class Floor:
    """What a figure should at least be, or at most."""

    what: str
    found: float
    wanted: float
    at_most: bool = False
    unit: str = ""
    pace: float | None = None
    """Of a rate that depends on the machine: what this one is worth, 1 for the one on which the floor was set."""

    @property
    def met(self) -> bool:
        return self._met(self.wanted)

    def _met(self, wanted: float) -> bool:
        return self.found <= wanted if self.at_most else self.found >= wanted

    def row(self) -> list[str]:
        """As in FLOOR_COLUMNS."""
        scaled = ["", ""] if self.pace is None else self._judged(self.wanted * self.pace)
        wanted, met = self._judged(self.wanted)
        return [self.what, wanted, f"{number(self.found)}{self.unit}", met, *scaled]

    def _judged(self, wanted: float) -> list[str]:
        sign = "≤" if self.at_most else "≥"
        return [f"{sign} {number(wanted)}{self.unit}", "yes" if self._met(wanted) else "**no**"]


@dataclass
class Table:
    """One scenario's outcome."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)
    foreign: float = 0.0
    """Cores that other programs used in the median window."""

    def text(self) -> str:
        body = markdown(self.columns, self.rows)
        return "\n".join([f"### {self.title}\n", body, *(f"\n{note}" for note in self.notes)]) + "\n"


def number(value: float) -> str:
    """Three figures that count, with thousands apart."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def markdown(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    drawn = [f"| {' | '.join(line)} |" for line in padded]
    drawn.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(drawn)


def ratio(mine: float, other: float) -> str:
    return f"{mine / other:.2f}" if other else "-"


def machine() -> str:
    """What the figures depend on, without anybody's names."""
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    parts = [
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()})",
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory",
        f"Linux {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in ("aiohttp", "uvloop", "websockets", "isal")),
    ]
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    nats = shutil.which("nats-server") or str(CACHE / "python" / "bin" / "nats-server")
    parts += map(first_line, ([nginx or "nginx", "-v"], [nats, "-v"], ["node", "--version"]))
    return ", ".join(filter(None, parts))


def first_line(words: list[str]) -> str:
    """What a program says of its version; empty when there is none."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    said = next(iter((done.stdout + done.stderr).strip().splitlines()), "")
    return f"node {said}" if words[0] == "node" else said.removeprefix("nginx version: ").replace(": v", " ")


def commit() -> str:
    found = first_line(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]) or "unknown"
    changed = first_line(["git", "-C", str(ROOT), "status", "--porcelain", "hxp_enterprise_llm"])
    return found + (" with changes that were not committed" if changed else "")


def page(tables: list[Table], foreign: float, left_out: tuple[str, ...] = ()) -> str:
    """The whole page; `left_out` names the scenarios that were not run."""
    floors = [floor.row() for table in tables for floor in table.floors]
    taken = (
        f"Taken on {time.strftime('%d %B %Y', time.gmtime())} at commit {commit()}. {machine()}. "
        f"Other programs used {foreign:.2f} cores in the median window."
    )
    if foreign > QUIET:
        taken += " **The machine was busy with other work: the figures are no measure of what either side can do.**"
    if left_out:
        taken += f" Not measured in this run, so neither met nor missed: {', '.join(left_out)}."
    parts = [
        INTRODUCTION.read_text(),
        taken,
        "\n## Floors\n",
        markdown(FLOOR_COLUMNS, floors),
        _SCALED,
        "\n## Figures\n",
        *(table.text() for table in tables),
        AFTERWORD.read_text(),
    ]
    return "\n".join(parts)
