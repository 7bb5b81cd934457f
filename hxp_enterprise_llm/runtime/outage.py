"""A thing that fails over and over is logged when it begins and when it is over, not each time in between."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger


class Outage:
    """State of one thing that may fail. `name` is the constant part of its log events."""

    def __init__(self, log: FilteringBoundLogger, name: str) -> None:
        self._log, self._name = log, name
        self.failures = 0
        """Failures in a row."""
        self.reason = ""
        """Why it fails now; empty when it works."""

    def failed(self, error: BaseException) -> None:
        """It failed; logged for the first time in a row."""
        if not self.failures:
            self._log.error(f"{self._name}.failing", error=str(error), kind=type(error).__name__)
        self.failures += 1
        self.reason = str(error) or type(error).__name__

    def worked(self) -> None:
        """It worked; logged when it had failed before."""
        if self.failures:
            self._log.info(f"{self._name}.recovered", failures=self.failures)
        self.failures, self.reason = 0, ""
