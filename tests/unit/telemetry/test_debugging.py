from __future__ import annotations

import io
import logging

import structlog

from hxp_enterprise_llm.telemetry.debugging import debugging
from hxp_enterprise_llm.telemetry.logs import configure


def test_lines_at_debug_are_worth_making_only_when_they_are_written() -> None:
    out = io.StringIO()
    logs = configure("INFO", "json", stream=out, environ={})
    try:
        assert not debugging()
        logs.set_level("DEBUG")
        assert debugging()
        structlog.get_logger("test").debug("written")
        logs.set_level("WARNING")
        assert not debugging()
    finally:
        logs.close()
    assert "written" in out.getvalue()
    assert debugging()  # as structlog comes, everything is written


def test_another_kind_of_logger_writes_all() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    assert not debugging()
    structlog.configure(wrapper_class=structlog.BoundLogger)
    assert debugging()
    structlog.reset_defaults()
