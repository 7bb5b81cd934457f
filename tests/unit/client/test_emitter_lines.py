"""What an emitter makes of events that are not quite JSON, and what it says of those that it cannot take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hxp_enterprise_llm.client import Emitter, Unreachable
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
    "address", ["", "http://", "http://[::1", "http://host:99999", "http://host:port", "ftp://host"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(Unreachable, match="this is no address; it begins with http:// or https://"):
        Emitter(address)
