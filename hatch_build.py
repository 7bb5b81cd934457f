"""The wheel carries the built page: made here when it is missing, and no wheel without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = Path("hxp_enterprise_llm/event/dashboards/static")


class PageHook(BuildHookInterface[Any]):
    """Runs before a wheel or a source archive is put together."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page where its sources are; fail when there is none in the end."""
        if version == "editable":
            return
        root = Path(self.root)
        script = root / "scripts" / "web"
        if script.exists():
            subprocess.run([script], check=True, env=os.environ | {"PYTHON": sys.executable})
        missing = [name for name in self._expected(root / STATIC) if not (root / STATIC / name).is_file()]
        if missing:
            raise RuntimeError(
                f"the page is not complete, {', '.join(missing)} is missing in {STATIC}: run scripts/web"
            )

    def _expected(self, static: Path) -> list[str]:
        scripts = [path.name for path in static.glob("*.js")] or ["app-….js"]
        styles = [path.name for path in static.glob("*.css")] or ["index-….css"]
        return ["index.html", *(name + form for name in (*scripts, *styles) for form in ("", ".br", ".gz"))]
