"""Commands on the pages for operators are copied by people at night: those that can run, run against a real daemon."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from hxp_enterprise_llm.cli.main import COMMANDS
from tests.integration.daemon import Daemon

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
AT_NIGHT = [DOCS / "troubleshooting.md", DOCS / "maintenance.md", *sorted((DOCS / "runbooks").glob("*.md"))]
BY_DAY = [
    ROOT / "README.md",
    *(
        DOCS / f"{name}.md"
        for name in ("operations", "notifications", "rules", "routing", "delivery", "history", "forecast", "platform")
    ),
    *(DOCS / f"{name}.md" for name in ("pollers", "publishing", "dashboards")),
]
FENCED = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    (?:curl|hxp) (?:.*\\\n)*.*", re.MULTILINE)
HOST_ONLY = re.compile(r"sudo|/opt/citadel|/etc/citadel|/var/lib|https://|test email|PID|FILE|EPISODE")
"""Needs an installed host, a mail server, the Internet, or something that the reader fills in."""
SET_UP = re.compile(r'slack|"email"|--receiver|why model_fails|replay \d|event\.json|3f2a9c|/sources/|gateway\.yaml')
"""Needs what the page has set up before."""
ENDLESS = re.compile(r"curl -N|hxp top +#|hxp tail (?!.*--count)")
RUNNABLE = re.compile(r"(curl|hxp (publish|tail|top|notify|log|export|rules|check-config|config show|dashboards)) ")
OF_FILES = re.compile(r"hxp (check-config|config|rules lint|dashboards|notify render) ")
"""Asks no service."""


def commands(pages: Sequence[Path]) -> list[str]:
    """Every line that a reader copies, each once, in order."""
    texts = [page.read_text() for page in pages]
    fenced = [line for text in texts for block in FENCED.findall(text) for line in block.splitlines()]
    indented = [line for text in texts for line in INDENTED.findall(text)]
    lines = [line.strip() for line in (*fenced, *indented)]
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def runnable(pages: Sequence[Path]) -> list[str]:
    """Those that need no more than the daemon, and end: `tail` with a count, of events that it makes itself."""
    found = [line for line in commands(pages) if RUNNABLE.match(line)]
    found = [line for line in found if not any(without.search(line) for without in (HOST_ONLY, SET_UP, ENDLESS))]
    return [line for line in found if "tail" not in line or "llm." not in line]


async def ran(command: str, daemon: Daemon, scratch: Path) -> str:
    """Run a line in a shell, at the daemon's own addresses; empty when it did well."""
    places = {"http://127.0.0.1:9102": daemon.gateway, "http://127.0.0.1:9100": daemon.events}
    places["http://127.0.0.1:8501"] = daemon.gateway
    for documented, real in places.items():
        command = command.replace(documented, real)
    line = command.replace("curl ", "curl --fail-with-body --max-time 15 ", 1)
    if line.startswith("hxp") and "--url" not in line and not OF_FILES.match(line):
        # The default ports of the documents, which this daemon does not have.
        of_events = re.match(r"hxp (publish|export|rules|log) ", line)
        line = f"{line.partition(' #')[0]} --url {daemon.events if of_events else daemon.gateway}"
    process = await asyncio.create_subprocess_shell(
        line,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=scratch,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return "" if process.returncode == 0 else f"{command}: {process.returncode}: {output.decode()[-400:]}"


async def faults(found: Sequence[str], scratch: Path) -> str:
    """What fails of these, one after the other."""
    (scratch / "config").symlink_to(ROOT / "config")
    (scratch / "legacy.ndjson").write_text('{"type": "legacy.note", "data": {}}')
    async with Daemon(scratch / "data") as daemon:
        return "\n".join([fault for command in found if (fault := await ran(command, daemon, scratch))])


async def test_commands_that_are_copied_at_night_run(tmp_path: Path) -> None:
    found = runnable(AT_NIGHT)
    assert len(found) >= 20, found
    assert await faults(found, tmp_path) == ""


async def test_commands_of_the_first_pages_run(tmp_path: Path) -> None:
    found = runnable(BY_DAY)
    assert len(found) >= 25, found
    assert await faults(found, tmp_path) == ""


def test_commands_of_ours_exist() -> None:
    """Every `hxp` command on these pages is one that there is."""
    lines = [line for page in (*AT_NIGHT, *BY_DAY) for line in page.read_text().splitlines()]
    named = set(re.findall(r"(?:^    |`|^)(?:sudo )?hxp ([a-z][a-z-]+)", "\n".join(lines), re.MULTILINE))
    assert named - set(COMMANDS) == set()
    assert {"doctor", "backup", "restore", "publish", "tail"} <= named
