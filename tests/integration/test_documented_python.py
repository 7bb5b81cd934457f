"""The programs on the page of the Python client run as they stand against a real daemon."""

from __future__ import annotations

import asyncio
import re
import sys
import textwrap
from pathlib import Path

from tests.integration.daemon import Daemon

PAGE = Path(__file__).parents[2] / "docs" / "python-client.md"
BLOCK = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
PRELUDE = """
import asyncio, types
answer = types.SimpleNamespace(usage={"input_tokens": 1, "output_tokens": 1})
client = types.SimpleNamespace(
    chat=types.SimpleNamespace(completions=types.SimpleNamespace(create=lambda asked: answer))
)
async def main():
"""
"""What the reader has: a client of a provider."""


def programs() -> list[str]:
    """Every block that imports the client."""
    blocks = [textwrap.dedent(block).strip() for block in BLOCK.findall(PAGE.read_text())]
    return [block for block in blocks if "from hxp_enterprise_llm" in block]


async def begun(program: str, daemon: Daemon, scratch: Path) -> asyncio.subprocess.Process:
    """The program, running where the daemon is."""
    places = {"http://127.0.0.1:9102": daemon.gateway, "http://127.0.0.1:9100": daemon.events}
    places |= {"ws://127.0.0.1:9102": daemon.gateway, "/var/lib/crew": str(scratch)}
    for documented, real in places.items():
        program = program.replace(documented, real)
    whole = f"{PRELUDE}{textwrap.indent(program, '    ')}\nasyncio.run(main())\n"
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-W", "error", "-u", "-c", whole)
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, cwd=scratch)


async def fault(program: str, daemon: Daemon, scratch: Path) -> str:
    """What goes wrong with a program that ends; empty when nothing does."""
    process = await begun(program, daemon, scratch)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    return "" if process.returncode == 0 and not said else f"{program}\n{process.returncode}: {said.decode()[-800:]}"


async def test_programs_of_the_page_run(tmp_path: Path) -> None:
    ending = [program for program in programs() if "Subscription(" not in program]
    (following,) = [program for program in programs() if "Subscription(" in program]
    assert len(ending) == 4, ending
    async with Daemon(tmp_path / "data") as daemon:
        assert [said for program in ending if (said := await fault(program, daemon, tmp_path))] == []
        follower = await begun(following, daemon, tmp_path)
        assert follower.stdout is not None
        line = await asyncio.wait_for(follower.stdout.readline(), 60)
        follower.terminate()
        await follower.communicate()
    assert line.startswith(b"{'name': 'orders', 'value': 3} keep ")
    assert (tmp_path / "events.ndjson").stat().st_size > 0
