"""The replay of `hxp up --replay`: a trace as LLM request events, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import structlog
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hxp_enterprise_llm.cli.running import console
from hxp_enterprise_llm.event.log.model import LogClosed
from hxp_enterprise_llm.event.model import Encoded
from hxp_enterprise_llm.event.sources.replay import Trace, TracePlayer, load_trace
from hxp_enterprise_llm.runtime.clock import SystemClock

log = structlog.get_logger("replay")

Append = Callable[[Sequence[Encoded]], Awaitable[Any]]


@dataclass(frozen=True)
class Replay:
    """A trace that was read before anything is started, so that a faulty file stops the start."""

    trace: Trace
    speed: float

    @classmethod
    def of(cls, path: Path, speed: float) -> Replay:
        """Read the trace; a faulty one ends the command with file and line."""
        try:
            return cls(load_trace(path), speed)
        except (ValueError, OSError) as error:
            raise click.ClickException(str(error)) from error

    async def play(self, append: Append) -> None:
        """Append the trace's requests at their pace."""
        clock = SystemClock()
        player = TracePlayer(self.trace, append, clock=clock, speed=self.speed)
        log.info("replay.started", trace=self.trace.name, requests=len(self.trace.requests), speed=self.speed)
        with self._bar() as progress:
            task = progress.add_task(f"Replay {self.trace.name}", total=len(self.trace.requests))
            try:
                await player.run(lambda done, total: progress.update(task, completed=done, total=total))
            except LogClosed:
                # The service is stopped.
                log.info("replay.ended", trace=self.trace.name, requests=int(progress.tasks[task].completed))
                return
        log.info("replay.finished", trace=self.trace.name)

    def _bar(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=console, disable=not sys.stderr.isatty())
