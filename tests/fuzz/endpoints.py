"""schemathesis over a running service: what its OpenAPI document says, tried out."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.integration.daemon import Daemon

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
)
"""No 5xx; every answer has a status, content type and form that the document names; 405 for every other method."""


async def try_out(base: str, place: Path, *, examples: int, seed: int) -> tuple[int, str]:
    """Exit status and report. `place`: a directory for its notes; `examples` are for each endpoint.

    Answers without an end are left out: a test of requests and answers has no use for them.
    """
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{base}/openapi.json"),
        *("--checks", ",".join(CHECKS), "--exclude-by", "/x-endless==true"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--seed", str(seed)),
        *("--continue-on-failure", "--request-timeout", "20", "--warnings", "off"),
        *("--generation-database", "none", "--no-color"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=place, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        process.kill()
        raise
    return process.returncode or 0, output.decode(errors="replace")


async def all_endpoints(examples: int, seed: int, say: Callable[[str], None]) -> int:
    """Both services of a real daemon; answers how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        notes = Path(place) / "notes"
        notes.mkdir()
        async with Daemon(Path(place) / "data") as daemon:
            for base in (daemon.events.removesuffix("/events"), daemon.gateway):
                status, report = await try_out(base, notes, examples=examples, seed=seed)
                say(report)
                failed += status != 0
            faults = [line for line in daemon.output if " ERROR " in line]
    for line in faults:
        say(line.rstrip())
    return failed + len(faults)
