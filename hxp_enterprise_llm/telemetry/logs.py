"""Set-up of logging: structlog and the standard library's loggers write to one sink."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

from hxp_enterprise_llm.runtime.clock import Clock, SystemClock
from hxp_enterprise_llm.telemetry.journal import SOCKET, Journal
from hxp_enterprise_llm.telemetry.lines import FORMS, Form, Line, make_line
from hxp_enterprise_llm.telemetry.redaction import Redactor
from hxp_enterprise_llm.telemetry.repeats import Repeated, Repeats

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_METHOD_LEVEL = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}


def choose_form(format: str, stream: TextIO, environ: Mapping[str, str]) -> Form:
    """The form of lines. auto: journal when the stream is the journal's, console on a terminal, else plain."""
    terminal = _is_terminal(stream)
    if format == "journal" or (format == "auto" and _is_journal(stream, environ)):
        return "journal"
    if format == "json":
        return "json"
    return "console" if terminal and "NO_COLOR" not in environ else "plain"


def _is_terminal(stream: TextIO) -> bool:
    return not stream.closed and stream.isatty()


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """systemd names the journal's end of stdout or stderr by device and inode in $JOURNAL_STREAM."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class Sink:
    """Writes lines to a journal or a stream, from any thread. A stream that is gone never stops the service."""

    def __init__(
        self, stream: TextIO, form: Form, clock: Clock, *, window: float, journal: Journal | None = None
    ) -> None:
        self._journal = journal
        self._stream, self._render, self._clock = stream, FORMS[form], clock
        self._window = window
        self._repeats: Repeats[Line] = Repeats(window=window)
        self._lock = threading.Lock()
        self.redact = Redactor()

    def emit(self, line: Line) -> None:
        """Write a line, unless the same was written within the window; then count it."""
        now = self._clock.monotonic()
        with self._lock:
            for repeated in self._repeats.due(now):
                self._write(_summary(repeated))
            if self._repeats.admit(line, now):
                self._write(line)

    def flush(self) -> None:
        """Tell what is still held back."""
        with self._lock:
            for repeated in self._repeats.rest(self._clock.monotonic()):
                self._write(_summary(repeated))

    def close(self) -> None:
        """Let go of the journal; the stream is not ours."""
        if self._journal is not None:
            self._journal.close()

    def _write(self, line: Line) -> None:
        if self._journal is not None and self._journal.send(line):
            return
        text = self._render(line, self._clock.time()) + "\n"
        try:
            self._stream.write(text)
            self._stream.flush()
        except UnicodeEncodeError:
            self._stream.write(text.encode("ascii", "backslashreplace").decode())
        except (OSError, ValueError):
            # The reader of the pipe has gone or the stream is closed: there is nowhere left to say so.
            return


def _summary(repeated: Repeated[Line]) -> Line:
    line = repeated.key
    return line._replace(event=f"{line.event} … {repeated.times} more in {repeated.seconds:.0f} s", trace=())


class ComponentLogger:
    """What structlog wraps: `structlog.get_logger("websocket")` gives the component its name."""

    def __init__(self, sink: Sink, component: str = "service") -> None:
        self._sink, self.component = sink, component

    def emit(self, line: Line) -> None:
        self._sink.emit(line)

    debug = info = warning = error = critical = emit


class _StandardHandler(logging.Handler):
    """Brings what libraries log by the standard `logging` module to the same sink."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError) as fault:
            message = f"{record.msg!s} (not formatted: {fault})"
        error = record.exc_info[1] if record.exc_info else None
        self._sink.emit(make_line(_standard_level(record.levelno), record.name, message, {}, error, self._sink.redact))


def _standard_level(number: int) -> str:
    for level in ("CRITICAL", "ERROR", "WARNING", "INFO"):
        if number >= getattr(logging, level):
            return level
    return "DEBUG"


def _error(value: object) -> BaseException | None:
    if isinstance(value, BaseException):
        return value
    if isinstance(value, tuple):
        return value[1] if isinstance(value[1], BaseException) else None
    return sys.exc_info()[1] if value else None


class Logs:
    """Logging in force. One at a time in a process, as structlog and `logging` are the process's own."""

    def __init__(self, sink: Sink, level: str) -> None:
        self._sink = sink
        self._handler = _StandardHandler(sink)
        root = logging.getLogger()
        for earlier in [handler for handler in root.handlers if isinstance(handler, _StandardHandler)]:
            root.removeHandler(earlier)
        root.addHandler(self._handler)
        self.set_level(level)

    def hide(self, secret: str) -> None:
        """Never show this text in a line from now on."""
        self._sink.redact.hide(secret)

    def set_level(self, level: str) -> None:
        """Apply another least level at once.

        Libraries log warnings; at DEBUG their INFO as well, but never their DEBUG, which shows what is sent.
        """
        number = logging.getLevelNamesMapping()[level]
        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, self._line],
            wrapper_class=structlog.make_filtering_bound_logger(number),
            logger_factory=self._logger,
            cache_logger_on_first_use=False,
        )
        logging.getLogger().setLevel(logging.INFO if number < logging.INFO else max(number, logging.WARNING))

    def close(self) -> None:
        """Tell what is held back and leave structlog and `logging` as they were. Idempotent."""
        self._sink.flush()
        self._sink.close()
        logging.getLogger().removeHandler(self._handler)
        logging.getLogger().setLevel(logging.WARNING)
        structlog.reset_defaults()

    def _logger(self, *names: Any) -> ComponentLogger:
        return ComponentLogger(self._sink, *names[:1])

    def _line(self, logger: Any, method: str, fields: MutableMapping[str, Any]) -> tuple[tuple[Line], dict[str, Any]]:
        event = str(fields.pop("event", ""))
        error = _error(fields.pop("exc_info", None))
        line = make_line(_METHOD_LEVEL[method], logger.component, event, fields, error, self._sink.redact)
        return (line,), {}


def configure(
    level: str = "INFO",
    format: str = "auto",
    *,
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    repeat_window: float = 10.0,
    journal: str = SOCKET,
) -> Logs:
    """Set up logging for the process; `close` the answer to undo it.

    `level` is one of DEBUG, INFO, WARNING, ERROR; `format` one of auto, console, journal, json (see `choose_form`).
    `stream` defaults to stderr; where it is the journal's, lines go to the socket `journal` instead, as entries with
    fields. The same line again within `repeat_window` seconds is counted, not written.
    """
    out = sys.stderr if stream is None else stream
    environment = os.environ if environ is None else environ
    form = choose_form(format, out, environment)
    native = None
    if form == "journal" and _is_journal(out, environment):
        native = Journal(journal, environment.get("SYSLOG_IDENTIFIER", ""))
    return Logs(Sink(out, form, clock or SystemClock(), window=repeat_window, journal=native), level)
