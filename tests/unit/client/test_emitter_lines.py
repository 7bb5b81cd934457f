"""What an emitter makes of events that are not quite JSON, and what it says of those that it cannot take."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from hxp_enterprise_llm.client import BadHeader, Emitter, Subscription, Unreachable
from hxp_enterprise_llm.client.emitting.post import Outcome, Poster
from tests.ports import free_port
from tests.unit.client.fake_service import FakeService, serving


@pytest.fixture
def service() -> Iterator[FakeService]:
    with serving() as server:
        yield server


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        ({"text": "cut \ud83d"}, {"text": "cut �"}),
        ({"text": "\ud83d\ude00"}, {"text": "😀"}),
        ({"\udcff": [("a", "\udcff"), {"b": {"\udcff"}}]}, {"�": [["a", "�"], {"b": ["�"]}]}),
        ({"error": ValueError("no \udcff")}, {"error": "no �"}),
    ],
)
def test_halves_of_characters_do_not_cost_the_event(service: FakeService, data: Any, stored: Any) -> None:
    with Emitter(service.url) as emitter:
        assert emitter.emit({"type": "x", "data": data})
        assert emitter.flush()
        assert emitter.stats.dropped == 0
    assert service.events[0]["data"] == stored


def test_each_reason_of_a_drop_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    emitter = Emitter(f"http://127.0.0.1:{free_port()}", memory_events=1, linger=0.0)
    endless: dict[str, Any] = {}
    endless["again"] = endless
    for event in ("text", "text", {"data": "x" * 2_000_000}, {"data": endless}, None):
        assert not emitter.emit(event)  # type: ignore[arg-type]
    while emitter.emit({"type": "x"}):
        pass
    emitter.close(0.0)
    assert not emitter.emit({"type": "x"})
    said = [record.message for record in caplog.records if record.message.startswith("dropped: an event")]
    assert len(said) == len(set(said)) == 6
    for reason in ("'str' object is not a mapping", "1,048,576 are taken", "no room", "after close()"):
        assert sum(reason in each for each in said) == 1


def test_reasons_without_end_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    emitter = Emitter(f"http://127.0.0.1:{free_port()}")
    for size in range(300):
        assert not emitter.emit({"data": "x" * (1_100_000 + size)})
    assert len(caplog.records) == 100
    assert emitter.stats.dropped == 300


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://",
        "http://host/a b",
        "http://host/ü",
        "http://ho\nst",
        "http://[::1",
        "http://host:99999",
        "http://host:port",
        "ftp://host",
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(Unreachable, match="this is no address; it begins with http:// or https://"):
        Emitter(address)


def test_a_key_from_a_file_may_end_with_a_line_feed(service: FakeService) -> None:
    with Emitter(service.url, headers={"Authorization": "Bearer hxk_a_b\n"}) as emitter:
        emitter.emit({"type": "x"})
        assert emitter.flush()
    assert service.headers[0]["Authorization"] == "Bearer hxk_a_b"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"X": "a\r\nY: b"}, r"^headers: 'X' has a value that no header can carry: '\\r' at 2$"),
        ({"X": "kéy"}, r"^headers: 'X' has a value that no header can carry: 'é' at 2$"),
        ({"X Y": "a"}, r"^headers: 'X Y' is no name of a header: letters, digits and - are taken, e.g. 'X-API-Key'$"),
        ({"": "a"}, r"^headers: '' is no name of a header"),
    ],
)
def test_headers_that_cannot_be_sent_are_said_at_once(headers: dict[str, str], said: str) -> None:
    with pytest.raises(BadHeader, match=said):
        Emitter("http://127.0.0.1:9100", headers=headers)
    with pytest.raises(ValueError, match=said):
        Subscription("ws://127.0.0.1:9102", "events", headers=headers)


def test_the_thread_survives_what_nobody_has_thought_of(
    service: FakeService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, fails = Poster.__call__, [RuntimeError("new")]

    def faulty(poster: Poster, lines: Sequence[bytes]) -> Outcome:
        if fails:
            raise fails.pop()
        return post(poster, lines)

    monkeypatch.setattr(Poster, "__call__", faulty)
    with Emitter(service.url, jitter=lambda: 0.0) as emitter:
        emitter.emit({"type": "x"})
        assert emitter.flush()
    assert len(service.events) == 1
    assert "events cannot be posted" in caplog.text


class Reports(logging.Handler):
    """A handler that emits what is logged, from a thread of its own while the one that logs waits."""

    def __init__(self, emitter: Emitter) -> None:
        super().__init__()
        self.emitter, self.done = emitter, 0

    def createLock(self) -> None:
        self.lock = None  # what the thread drops is logged as well

    def emit(self, record: logging.LogRecord) -> None:
        event = {"type": "log.line", "data": record.getMessage()}
        thread = threading.Thread(target=self.emitter.emit, args=(event,), daemon=True)
        thread.start()
        thread.join(10)
        self.done += not thread.is_alive()


def test_a_handler_of_the_log_may_emit() -> None:
    emitter = Emitter(f"http://127.0.0.1:{free_port()}", memory_events=1, linger=0.0)
    reports, log = Reports(emitter), logging.getLogger("hxp.client")
    log.addHandler(reports)
    try:
        emitter.emit("text")  # type: ignore[arg-type]
        while emitter.emit({"type": "x"}):
            pass
        assert not emitter.close(0.0)
        emitter.emit({"type": "x"})
    finally:
        log.removeHandler(reports)
    assert reports.done >= 4
