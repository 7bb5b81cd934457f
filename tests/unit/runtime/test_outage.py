"""An outage is logged when it begins and when it ends."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from hxp_enterprise_llm.runtime.outage import Outage


def test_is_said_once_at_each_end() -> None:
    with capture_logs() as lines:
        outage = Outage(structlog.get_logger("test"), "disk.write")
        outage.worked()
        for number in range(3):
            outage.failed(OSError(f"try {number}"))
        assert (outage.failures, outage.reason) == (3, "try 2")
        outage.worked()
        outage.worked()
        assert (outage.failures, outage.reason) == (0, "")
    assert lines == [
        {"event": "disk.write.failing", "error": "try 0", "kind": "OSError", "log_level": "error"},
        {"event": "disk.write.recovered", "failures": 3, "log_level": "info"},
    ]


def test_an_error_without_words_is_told_by_its_name() -> None:
    outage = Outage(structlog.get_logger("test"), "disk.write")
    with capture_logs():
        outage.failed(TimeoutError())
    assert outage.reason == "TimeoutError"
