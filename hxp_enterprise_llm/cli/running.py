"""Running a process from the command line: configuration, logs, event loop, and failures said in one line."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
import uvloop
from rich.console import Console

from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.event.log.model import LogCorrupt, LogError, LogLocked
from hxp_enterprise_llm.orchestration.activation import handed_sockets
from hxp_enterprise_llm.orchestration.process import EX_CONFIG, Process
from hxp_enterprise_llm.orchestration.streaming_orchestrator import Settings, StreamingOrchestrator
from hxp_enterprise_llm.orchestration.systemd import process_notifier, watchdog_seconds
from hxp_enterprise_llm.runtime.collecting import collect_seldom
from hxp_enterprise_llm.security.capacity import raise_descriptor_limit
from hxp_enterprise_llm.security.listener import ListenError
from hxp_enterprise_llm.store.errors import StoreError, StoreTooNew, StoreUnavailable
from hxp_enterprise_llm.telemetry import logs

log = structlog.get_logger("process")

EX_CANTCREAT = 73
console = Console(stderr=True, highlight=False, soft_wrap=True)

OnReady = Callable[[StreamingOrchestrator], Awaitable[None]]


def run(load: Callable[[], Settings], on_ready: OnReady | None = None, *, read: str | None = None) -> int:
    """Load, run until told to stop, answer the exit status; 78 for what another try does not mend.

    `read`: what the configuration is read from, for the log.
    """
    fill_standard_descriptors()
    try:
        settings = load()
    except ConfigError as error:
        say_failure(str(error))
        return EX_CONFIG
    records = _configure_logs(settings)
    if read is not None:
        log.info("config.loaded", file=read)
    raise_descriptor_limit()
    os.umask(0o077)
    collect_seldom()
    try:
        return _run(settings, load, on_ready, records)
    finally:
        # What was held back as a repeat is told.
        records.close()


def _run(settings: Settings, load: Callable[[], Settings], on_ready: OnReady | None, records: logs.Logs) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_serve(settings, load, on_ready, records))
        except ConfigError as error:
            say_failure(str(error))
            return EX_CONFIG
        except LogCorrupt as error:
            say_failure(_what_to_do(error, settings))
            return EX_CANTCREAT
        except StoreTooNew as error:
            say_failure(str(error))
            return EX_CONFIG  # as a faulty configuration, it does not go away by being tried again
        except LogLocked as error:
            say_failure(f"{error}\nhint: end that one first, or give this one its own: hxp up --data DIRECTORY")
            return EX_CANTCREAT
        except StoreUnavailable as error:
            say_failure(f"{error}\n{_without_store(error)}")
            return EX_CANTCREAT
        except (ListenError, LogError, StoreError, OSError) as error:
            say_failure(str(error))
            return EX_CANTCREAT


def _without_store(error: StoreUnavailable) -> str:
    """Alerts are found anew by an empty store, but silences and what waits to be told are lost: a person's decision."""
    page = "docs/runbooks/CitadelStoreErrors.md"
    return f"if it is damaged, put a backup back (hxp restore), or move {error.path}* aside to begin with none: {page}"


def _what_to_do(error: LogCorrupt, settings: Settings) -> str:
    """The very commands: to go on without knowing the newest events would store their repeats as new ones."""
    directory = Path(settings.processing.state.directory if settings.processing else ".", "log").absolute()
    return (
        f"the log cannot be opened, nothing was changed: {error}\n"
        f"what would be lost: hxp log check {directory}\n"
        f"to keep what is whole and start again: hxp log repair {directory}\n"
        "or put a backup back: hxp restore (docs/runbooks/CitadelLogDamaged.md)"
    )


async def _serve(settings: Settings, load: Callable[[], Settings], on_ready: OnReady | None, records: logs.Logs) -> int:
    handed = handed_sockets(os.environ)
    orchestrator = StreamingOrchestrator(settings, environ=os.environ, hide=records.hide, handed=handed)

    def applied(reloaded: Settings) -> None:
        records.set_level(reloaded.performance.log_level)

    watchdog = watchdog_seconds(os.environ, os.getpid())
    process = Process(orchestrator, load, notify=process_notifier(), applied=applied, watchdog=watchdog)

    async def ready() -> None:
        if on_ready is not None:
            await on_ready(orchestrator)

    try:
        return await process.run(ready)
    finally:
        handed.close()


def fill_standard_descriptors() -> None:
    """Open what the starter has closed, onto nothing.

    Else a segment or a socket of ours gets the number that others write to, and libuv aborts when it closes one.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            if getattr(sys, name) is None:
                setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _configure_logs(settings: Settings) -> logs.Logs:
    return logs.configure(
        settings.performance.log_level, settings.logging.format, stream=sys.stderr, environ=os.environ
    )


def say_failure(text: str) -> None:
    """Print why the process ends; under systemd each line carries the priority, and the word, of an error."""
    prefix = "<3>ERROR process: " if os.environ.get("JOURNAL_STREAM") else ""
    for line in text.splitlines():
        print(prefix + line, file=sys.stderr)
