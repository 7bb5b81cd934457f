"""What a look at an installation finds."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from hxp_enterprise_llm.config.loader import Loaded
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.store.database import lock_of

Level = Literal["ok", "warning", "fault"]


class Finding(NamedTuple):
    """One thing looked at. `name` is stable, for scripts; `mend` says what to do, empty when nothing is to be done."""

    name: str
    level: Level
    what: str
    mend: str = ""


class Installation(NamedTuple):
    """What is looked at: a configuration that could be loaded, and where the state is."""

    processing: Loaded[ProcessingConfig] | None
    streaming: Loaded[StreamingConfig] | None
    processing_state: Path
    streaming_state: Path
    under_systemd: bool = False
    """Whether units run it, not `hxp up`."""

    @property
    def log(self) -> Path:
        return self.processing_state / "log"

    @property
    def log_lock(self) -> Path:
        """Names the process of event processing."""
        return self.log / "lock"

    @property
    def store_lock(self) -> Path:
        """Names the process of the gateway."""
        return lock_of(self.store)

    @property
    def platform(self) -> Path:
        return self.processing_state / "platform" / "state"

    @property
    def history(self) -> Path:
        return self.processing_state / "history" / "history.db"

    @property
    def store(self) -> Path:
        return self.streaming_state / "state.db"


def runbook(name: str) -> str:
    """Where a page of the runbooks is: in the installation that this program is part of, else in a checkout."""
    pages = Path(sys.prefix).parent / "hxp-enterprise-llm" / "docs" / "runbooks"
    return str((pages if pages.is_dir() else Path("docs/runbooks")) / f"{name}.md")


def worst(findings: Iterable[Finding]) -> Level:
    """The worst of the levels."""
    levels = {finding.level for finding in findings}
    return "fault" if "fault" in levels else "warning" if "warning" in levels else "ok"
