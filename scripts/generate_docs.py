"""Writes the generated parts of the documents: configuration reference, log lines, endpoint tables."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from log_lines import page as log_lines

from hxp_enterprise_llm.cli.up import Launch
from hxp_enterprise_llm.config.reference import reference_page
from hxp_enterprise_llm.orchestration.endpoints import HEAD, rows
from hxp_enterprise_llm.orchestration.streaming_orchestrator import StreamingOrchestrator
from hxp_enterprise_llm.telemetry import logs

ROOT = Path(__file__).resolve().parent.parent


async def endpoint_tables() -> list[str]:
    """The rows of event processing and of the gateway, as the running program has them."""
    with tempfile.TemporaryDirectory() as directory:
        launch = Launch(None, None, Path(directory), None, free_ports=True)
        orchestrator = StreamingOrchestrator(launch.settings())
        await orchestrator.start()
        try:
            return [rows(orchestrator.servers[name].routes()) for name in ("processing", "streaming")]
        finally:
            await orchestrator.stop()


def with_tables(text: str, tables: list[str]) -> str:
    """A page with both endpoint tables replaced, in their order."""
    found = iter(tables)
    return re.sub(re.escape(HEAD) + r"(?:\|.*\n)+", lambda _: HEAD + next(found), text)


def documents() -> dict[Path, str]:
    """Every generated document with its text."""
    endpoints = ROOT / "docs" / "endpoints.md"
    tables = asyncio.run(endpoint_tables())
    return {
        ROOT / "docs" / "configuration.md": reference_page(),
        ROOT / "docs" / "log-lines.md": log_lines(),
        endpoints: with_tables(endpoints.read_text(encoding="utf-8"), tables),
    }


def main() -> int:
    """Write the documents; with --check only say which are out of date."""
    logs.configure("ERROR", "console", stream=sys.stderr, environ={})
    stale = {
        path: text
        for path, text in documents().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        if "--check" in sys.argv:
            sys.stderr.write(f"{path.name} is out of date: run `make docs`\n")
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
