"""Log lines: forms, levels, greps, hostile text, secrets, repeats."""

from __future__ import annotations

import io
import json
import logging
import os
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.telemetry.lines import FORMS, make_line
from hxp_enterprise_llm.telemetry.logs import Logs, choose_form, configure
from hxp_enterprise_llm.telemetry.redaction import Redactor
from hxp_enterprise_llm.telemetry.repeats import Repeats
from hxp_enterprise_llm.telemetry.text import clean, pair


class FakeClock:
    """Time that moves by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return 1_795_199_671.25 + self.now

    def monotonic(self) -> float:
        return self.now

    def new_id(self) -> str:
        raise AssertionError("logging needs no ids")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Set:
    """A configured logger, its stream and its clock."""

    def __init__(self) -> None:
        self.stream, self.clock = io.StringIO(), FakeClock()
        self.logs: Logs | None = None

    def up(self, format: str = "journal", level: str = "DEBUG", **more: Any) -> Logs:
        more = {"stream": self.stream, "environ": {}, "clock": self.clock} | more
        self.logs = configure(level, format, **more)
        return self.logs

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def at() -> Iterator[Set]:
    made = Set()
    yield made
    if made.logs is not None:
        made.logs.close()


def test_journal_line_has_priority_level_and_component(at: Set) -> None:
    at.up()
    structlog.get_logger("websocket").error("websocket.queue_full", peer="10.0.0.7", bytes=8192)
    structlog.get_logger("dashboards").warning("dashboard.slow", name="system_health")
    structlog.get_logger("notifications").info("notification.sent", channel="email")
    structlog.get_logger("hub").debug("hub.idle")
    assert at.lines == [
        "<3>ERROR websocket: queue_full peer=10.0.0.7 bytes=8192",
        "<4>WARNING dashboards: dashboard.slow name=system_health",
        "<6>INFO notifications: notification.sent channel=email",
        "<7>DEBUG hub: idle",
    ]


@pytest.mark.parametrize("word", ["websocket", "dashboard", "notification", "ERROR"])
@pytest.mark.parametrize("format", ["journal", "json", "auto"])
def test_the_words_that_operators_grep_for_are_in_the_text(at: Set, word: str, format: str) -> None:
    at.up(format)
    for component in ("websocket", "dashboards", "notifications"):
        structlog.get_logger(component).error("failed")
    assert any(word in line for line in at.lines)


def test_plain_line_has_the_time(at: Set) -> None:
    at.up("auto")
    structlog.get_logger("websocket").info("websocket.opened", channel="events")
    assert at.lines == ["2026-11-20T18:36:11.250Z INFO websocket: opened channel=events"]


def test_a_terminal_gets_colour_unless_no_color_is_set(at: Set) -> None:
    at.stream = Terminal()
    at.up("auto")
    structlog.get_logger("hub").warning("behind", by=3)
    assert at.stream.getvalue() == "\x1b[2m18:36:11.250\x1b[0m \x1b[33mWARNING \x1b[0m hub: behind\x1b[2m by=3\x1b[0m\n"
    assert choose_form("auto", at.stream, {"NO_COLOR": "1"}) == "plain"
    assert choose_form("console", at.stream, {}) == "console"
    assert choose_form("console", io.StringIO(), {}) == "plain"


def test_the_journal_is_told_by_device_and_inode(tmp_path: Any) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        here = f"{status.st_dev}:{status.st_ino}"
        assert choose_form("auto", stream, {"JOURNAL_STREAM": here}) == "journal"
        assert choose_form("auto", stream, {"JOURNAL_STREAM": "8:1"}) == "plain"
        assert choose_form("json", stream, {"JOURNAL_STREAM": here}) == "json"
    assert choose_form("auto", stream, {"JOURNAL_STREAM": here}) == "plain"


HOSTILE = ["x\n<0>EMERG forged", "a\r\nb", "\x1b[2Jcleared", "\x9b31m", "abc\u202edef", "a\u2028b", "\u2066x", "\ud800"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("format", ["journal", "auto", "json"])
def test_hostile_text_makes_one_line_without_controls(at: Set, text: str, format: str) -> None:
    at.up(format)
    structlog.get_logger("websocket").info(
        "websocket.refused", origin=text, nested={"k": [text]}, raw=text.encode("utf-8", "replace")
    )
    logging.getLogger("aiohttp.server").error("Error handling request from %s", text)
    out = at.stream.getvalue()
    assert out.count("\n") == 2
    assert all(line.isprintable() for line in out.split("\n"))
    assert "\n<0>" not in out
    assert (at.lines[0].startswith("<6>INFO") and at.lines[1].startswith("<3>ERROR")) or format != "journal"


@given(st.text(max_size=400))
def test_cleaned_text_is_printable_and_bounded(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.isprintable()
    assert len(cleaned) <= 256 * 10 + 12
    if len(text) <= 256 and text.isprintable():
        assert cleaned == text


def test_long_text_is_cut_and_counted() -> None:
    assert clean("a" * 300) == "a" * 256 + "…(+44)"
    assert clean("\U000e0001\t") == "\\U000e0001\\t"


def test_values_that_are_no_word_are_quoted() -> None:
    assert [pair("a", value) for value in ("b", "b c", "", 'say "x"', "k=v", 3, None)] == [
        "a=b",
        'a="b c"',
        'a=""',
        'a="say \\"x\\""',
        'a="k=v"',
        "a=3",
        "a=None",
    ]


def test_maps_and_lists_are_written_for_people() -> None:
    line = make_line("INFO", "c", "e", {"labels": {"team": "llm", "n": 1}, "keys": ["a", "b"], "none": {}}, None, str)
    assert dict(line.values) == {"labels": "team=llm n=1", "keys": "a, b", "none": ""}


def test_json_is_one_object_a_line(at: Set) -> None:
    at.up("json")
    structlog.get_logger("hub").info(
        "hub.opened", count=3, ratio=0.5, ok=True, none=None, level="mine", nan=float("nan")
    )
    try:
        raise ValueError("first\nsecond\x1b[2J")
    except ValueError:
        structlog.get_logger("hub").exception("hub.failed")
    opened, failed = [json.loads(line) for line in at.lines]
    assert opened == {
        "time": "2026-11-20T18:36:11.250Z",
        "level": "INFO",
        "component": "hub",
        "event": "hub.opened",
        "count": 3,
        "ratio": 0.5,
        "ok": True,
        "none": None,
        "level_": "mine",
        "nan": None,
    }
    assert failed["exception"].startswith("Traceback")
    assert failed["exception"].endswith("ValueError: first\nsecond\\x1b[2J")


def test_every_line_of_a_traceback_carries_the_priority(at: Set) -> None:
    at.up()
    error = ValueError("no\n<0>EMERG forged")
    structlog.get_logger("hub").error("hub.failed", exc_info=error)
    structlog.get_logger("hub").error("hub.failed_again", exc_info=(ValueError, error, None))
    structlog.get_logger("hub").error("hub.no_error", exc_info=(None, None, None))
    assert at.lines[0] == "<3>ERROR hub: failed"
    assert all(line.startswith("<3>") for line in at.lines)
    assert at.lines[2] == "<3>    <0>EMERG forged"
    assert at.lines[-1] == "<3>ERROR hub: no_error"


def test_a_deep_traceback_is_shortened() -> None:
    def deep(n: int) -> None:
        if n == 0:
            raise ValueError("\n".join(["x"] * 500))
        deep(n - 1)

    with pytest.raises(ValueError) as caught:
        deep(3)
    line = make_line("ERROR", "hub", "failed", {}, caught.value, str)
    assert len(line.trace) == 61
    assert "lines left out" in line.trace[30]
    assert line.trace[0].startswith("Traceback")


CANARY = 'k4nary/+ "geheim" ä\\'


@pytest.mark.parametrize("format", ["journal", "auto", "json"])
def test_a_secret_never_reaches_a_line_in_any_form(at: Set, format: str) -> None:
    at.up(format).hide(CANARY + "\n")
    log = structlog.get_logger("email")
    from base64 import b64encode
    from urllib.parse import quote

    log.error("x", plain=CANARY, quoted=quote(CANARY, safe=""), b64=b64encode(CANARY.encode()).decode())
    log.error("y", nested={"password": [CANARY]}, body=json.dumps({"p": CANARY}), late="z" * 250 + CANARY)
    log.error("z", exc_info=RuntimeError(f"login with {CANARY} failed"))
    logging.getLogger("slack_sdk").warning("sent %s", CANARY)
    out = at.stream.getvalue()
    assert out.count("***") >= 7
    assert "k4nary" not in out
    assert "geheim" not in out


def test_short_texts_are_no_secrets_and_keys_are_hidden_line_by_line() -> None:
    redact = Redactor()
    redact.hide("ab")
    assert redact("ab cab") == "ab cab"
    redact.hide("-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----\n")
    assert redact("found MIIEvQIBADANBgkqhkiG9w0B here") == "found *** here"


def test_a_secret_inside_a_longer_one_does_not_uncover_it() -> None:
    redact = Redactor()
    redact.hide("hunter22")
    redact.hide("hunter22-and-more")
    assert redact("p=hunter22-and-more") == "p=***"


def test_identical_lines_are_counted(at: Set) -> None:
    at.up()
    log = structlog.get_logger("hub")
    for _ in range(42):
        log.error("hub.retry", reason="refused")
    log.error("hub.retry", reason="other")
    at.clock.now += 10
    log.info("hub.ready")
    assert at.lines == [
        "<3>ERROR hub: retry reason=refused",
        "<3>ERROR hub: retry reason=other",
        "<3>ERROR hub: retry … 41 more in 10 s reason=refused",
        "<6>INFO hub: ready",
    ]


def test_what_is_held_back_is_told_at_the_end(at: Set) -> None:
    logs = at.up()
    for _ in range(3):
        structlog.get_logger("hub").error("hub.retry")
    at.clock.now += 2
    logs.close()
    assert at.lines[-1] == "<3>ERROR hub: retry … 2 more in 2 s"
    logs.close()
    assert len(at.lines) == 2


def test_repeats_are_bounded() -> None:
    repeats: Repeats[int] = Repeats(window=10, size=4)
    told = []
    for number in range(100):
        told += repeats.due(0.0)
        assert repeats.admit(number, 0.0)
        assert not repeats.admit(number, 0.0)
    assert [item.key for item in told] == list(range(96))
    assert len(repeats.rest(0.0)) == 4


def test_the_level_changes_at_once_for_loggers_that_exist(at: Set) -> None:
    logs = at.up(level="INFO")
    log = structlog.get_logger("hub")
    log.debug("one")
    logs.set_level("DEBUG")
    log.debug("two")
    logs.set_level("ERROR")
    log.warning("three")
    logging.getLogger("asyncio").warning("four")
    assert at.lines == ["<7>DEBUG hub: two"]
    with pytest.raises(KeyError):
        logs.set_level("LOUD")


def test_libraries_log_warnings_and_never_their_debug(at: Set) -> None:
    logs = at.up(level="INFO")
    logging.getLogger("alembic").info("noise")
    logging.getLogger("alembic").warning("odd")
    assert at.lines == ["<4>WARNING alembic: odd"]
    at.stream.truncate(0)
    at.stream.seek(0)
    logs.set_level("DEBUG")
    logging.getLogger("slack_sdk").debug("body=%s", "token")
    logging.getLogger("slack_sdk").info("ok")
    logging.getLogger("x").critical("down")
    assert at.lines == ["<6>INFO slack_sdk: ok", "<2>CRITICAL x: down"]


@pytest.mark.parametrize(("level", "word"), [(10, "DEBUG"), (25, "INFO"), (30, "WARNING"), (99, "CRITICAL")])
def test_a_library_message_that_cannot_be_formatted_is_still_told(at: Set, level: int, word: str) -> None:
    at.up()
    record = logging.LogRecord("x", level, "x.py", 1, "100%d", ("wrong",), None)
    logging.getLogger().handlers[-1].handle(record)
    assert f"{word} x: 100%d (not formatted: " in at.lines[0]


def test_a_library_exception_keeps_its_traceback(at: Set) -> None:
    at.up()
    try:
        raise KeyError("missing")
    except KeyError:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    assert at.lines[0] == "<3>ERROR aiohttp.server: Error handling request"
    assert at.lines[-1] == "<3>    KeyError: 'missing'"


def test_bound_values_and_a_logger_without_a_name(at: Set) -> None:
    at.up()
    structlog.get_logger().bind(peer="p").info("up")
    assert at.lines == ["<6>INFO service: up peer=p"]


class Ascii(io.TextIOWrapper):
    def __init__(self) -> None:
        self.raw_bytes = io.BytesIO()
        super().__init__(self.raw_bytes, encoding="ascii")


def test_a_stream_that_knows_only_ascii(at: Set) -> None:
    stream = Ascii()
    at.up(stream=stream)
    structlog.get_logger("hub").info("up", name="Zoë")
    stream.flush()
    assert stream.raw_bytes.getvalue() == b"<6>INFO hub: up name=Zo\\xeb\n"


def test_a_stream_that_is_gone_does_not_stop_the_service(at: Set) -> None:
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    at.up(stream=stream)
    structlog.get_logger("hub").info("up")
    with pytest.raises(BrokenPipeError):
        stream.close()
    structlog.get_logger("hub").info("still up")


def test_close_leaves_no_handler_behind(at: Set) -> None:
    before = list(logging.getLogger().handlers)
    at.up().close()
    assert logging.getLogger().handlers == before
    assert not structlog.is_configured()


def test_a_second_set_up_takes_the_place_of_the_first(at: Set) -> None:
    first = io.StringIO()
    configure("INFO", "journal", stream=first, environ={})
    at.up()
    logging.getLogger("x").warning("once")
    structlog.get_logger("hub").info("up")
    assert first.getvalue() == ""
    assert at.lines == ["<4>WARNING x: once", "<6>INFO hub: up"]


def test_every_form_is_one_line_without_a_trace() -> None:
    line = make_line("INFO", "a\nb", "e\nf", {"k\n": "v\n"}, None, str)
    for render in FORMS.values():
        assert "\n" not in render(line, 0.0)


def test_a_secret_is_found_in_base64_wherever_it_stands() -> None:
    redact = Redactor()
    redact.hide("correct-horse-battery")
    for user in ("", "a", "ab", "abc"):
        for after in (b"", b"x", b"xy"):
            text = b64encode(user.encode() + b"correct-horse-battery" + after).decode()
            hidden = redact(f"AUTH PLAIN {text}")
            assert "***" in hidden
            assert len(hidden) <= len("AUTH PLAIN ***") + 10, "a few digits that others share stay"


def test_of_a_secret_address_the_path_is_hidden_too() -> None:
    redact = Redactor()
    redact.hide("https://hooks.example.org/services/T0001/B0002/abcdefghijkl\n")
    assert redact("POST /services/T0001/B0002/abcdefghijkl") == "POST ***"
    assert redact("no abcdefghijkl here") == "no *** here"
    assert redact("https://hooks.example.org is up") == "https://hooks.example.org is up"
