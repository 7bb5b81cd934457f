"""The published JavaScript client, installed from its lock file and driven over a pipe."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "driver.mjs")


def installed(here: Path = HERE, files: Sequence[str] = FILES) -> Path:
    """A directory with the locked packages, made once for each state of the lock and the driver."""
    digest = hashlib.sha256(b"".join((here / name).read_bytes() for name in files)).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"hxp-clients-{os.getuid()}-{digest}"
    if not place.exists():
        work = Path(tempfile.mkdtemp(prefix="hxp-clients-"))
        for name in files:
            shutil.copy(here / name, work / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=50)
        try:
            work.rename(place)
        except OSError:  # another process was quicker
            shutil.rmtree(work)
    return place


class JavaScript:
    """One client in a process of its own. `seen` holds all that it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: list[dict[str, Any]] = []
        self._moved = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.seen.append(msgspec.json.decode(line))
            self._moved.set()

    def do(self, action: str, **members: Any) -> None:
        """Ask for something."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"do": action} | members) + b"\n")

    async def until(
        self, event: str, count: int = 1, check: Callable[[dict[str, Any]], bool] = lambda each: True, **members: Any
    ) -> list[dict[str, Any]]:
        """Wait until so many events with these members have come that pass the check; answers them."""
        wanted = {"event": event} | members
        try:
            async with asyncio.timeout(30):
                while (
                    len(found := [each for each in self.seen if wanted.items() <= each.items() and check(each)]) < count
                ):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise AssertionError(f"{count} × {wanted} did not come; seen: {self.seen}") from None
        return found

    async def ask(self, query: str, **members: Any) -> Any:
        """Ask and wait for the answer, or for the code of the refusal."""
        start = len(self.seen)
        self.do(query, **members)
        async with asyncio.timeout(30):
            while True:
                for each in self.seen[start:]:
                    if each["event"] in ("answer", "refused") and each["of"] == query:
                        return each.get("answer", each.get("code"))
                self._moved.clear()
                await self._moved.wait()

    async def end(self) -> None:
        """Close its input, upon which it ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(30):
            await self._process.wait()
            await self._reader


@asynccontextmanager
async def javascript() -> AsyncIterator[JavaScript]:
    place = await asyncio.to_thread(installed)
    process = await asyncio.create_subprocess_exec(
        "node", "driver.mjs", cwd=place, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 22
    )
    client = JavaScript(process)
    try:
        yield client
    finally:
        await client.end()
