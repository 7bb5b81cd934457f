"""What a look at an installation finds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from hxp_enterprise_llm.config.loader import Loaded
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig

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

    @property
    def log(self) -> Path:
        return self.processing_state / "log"

    @property
    def platform(self) -> Path:
        return self.processing_state / "platform" / "state"

    @property
    def history(self) -> Path:
        return self.processing_state / "history" / "history.db"

    @property
    def store(self) -> Path:
        return self.streaming_state / "state.db"


def worst(findings: Iterable[Finding]) -> Level:
    """The worst of the levels."""
    levels = {finding.level for finding in findings}
    return "fault" if "fault" in levels else "warning" if "warning" in levels else "ok"
