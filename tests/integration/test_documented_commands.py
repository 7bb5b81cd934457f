"""Commands on the pages for operators are copied by people at night: those that can run, run against a real daemon."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from hxp_enterprise_llm.cli.main import COMMANDS
from tests.integration.daemon import Daemon

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "troubleshooting.md", DOCS / "maintenance.md", *sorted((DOCS / "runbooks").glob("*.md"))]
COPIED = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
HOST_ONLY = re.compile(r"sudo|/opt/citadel|/etc/citadel|https://|test email|PID|FILE|EPISODE")
"""Needs an installed host, a mail server, the Internet, or something that the reader fills in."""
RUNNABLE = re.compile(r"(curl|hxp (publish|tail|top|notify|log)) ")


def commands() -> list[str]:
    """Every line that a reader copies, each once, in order."""
    blocks = [block for page in PAGES for block in COPIED.findall(page.read_text())]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def runnable() -> list[str]:
    """Those that need no more than the daemon, and end: `tail` with a count, of events that it makes itself."""
    found = [line for line in commands() if RUNNABLE.match(line) and not HOST_ONLY.search(line)]
    return [line for line in found if "tail" not in line or ("--count" in line and "llm." not in line)]


async def ran(command: str, daemon: Daemon, scratch: Path) -> str:
    """Run a line in a shell, at the daemon's own addresses; empty when it did well."""
    places = {"http://127.0.0.1:9102": daemon.gateway, "http://127.0.0.1:9100": daemon.events}
    places["http://127.0.0.1:8501"] = daemon.gateway
    for documented, real in places.items():
        command = command.replace(documented, real)
    line = command.replace("curl ", "curl --fail-with-body --max-time 15 ", 1)
    if line.startswith("hxp") and "--url" not in line:
        # The default ports of the documents, which this daemon does not have.
        line += f" --url {daemon.events if line.startswith('hxp publish') else daemon.gateway}"
    process = await asyncio.create_subprocess_shell(
        line,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=scratch,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return "" if process.returncode == 0 else f"{command}: {process.returncode}: {output.decode()[-400:]}"


async def test_commands_that_can_run_do(tmp_path: Path) -> None:
    found = runnable()
    assert len(found) >= 20, found
    async with Daemon(tmp_path / "data") as daemon:
        faults = [fault for command in found if (fault := await ran(command, daemon, tmp_path))]
    assert not faults, "\n".join(faults)


def test_commands_of_ours_exist() -> None:
    """Every `hxp` command on these pages is one that there is."""
    named = set(re.findall(r"\bhxp ([a-z][a-z-]+)", "\n".join(page.read_text() for page in PAGES)))
    assert named - set(COMMANDS) == set()
    assert {"doctor", "backup", "restore", "publish", "tail"} <= named
