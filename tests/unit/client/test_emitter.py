"""Emitting in the background against a real server that refuses, stalls, lies, vanishes and comes back."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hxp_enterprise_llm.client import Emitter, Unreachable
from hxp_enterprise_llm.client.emitting.post import Later, Stored, Unwanted, outcome
from tests.ports import free_port

from .fake_service import FakeService, serving


def problem(status: int, code: str, headers: dict[str, str] | None = None, **details: Any) -> Any:
    error = {"code": code, "message": code.replace("_", " "), "hint": "", **details}
    return lambda lines: (status, headers or {}, json.dumps({"error": error}).encode())


def event(n: int, **more: Any) -> dict[str, Any]:
    return {"type": "business.metric", "data": {"name": "orders", "value": 1, "n": n, **more}}


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def no_jitter() -> float:
    return 0.0


@pytest.fixture
def service() -> Iterator[FakeService]:
    with serving() as server:
        yield server


def test_events_are_joined_sent_in_order_and_complete(service: FakeService) -> None:
    with Emitter(service.url, source="/agents/a", headers={"Authorization": "Bearer k"}) as emitter:
        with service.lock:  # what has been sent so far is not answered yet: the rest is joined
            assert all(emitter.emit(event(n)) for n in range(1200))
        assert emitter.flush()
        assert service.numbers == list(range(1200))
        assert emitter.stats == (1200, 1200, 0, 0, 0, 0, 0, "")
    assert len(service.bodies) <= 4
    assert max(map(len, service.bodies)) == 500
    assert service.connections == 1
    assert service.headers[0]["Authorization"] == "Bearer k"
    first = service.events[0]
    assert set(first) == {"specversion", "id", "source", "type", "time", "data"}
    assert (first["specversion"], first["source"]) == ("1.0", "/agents/a")


def test_an_event_keeps_what_it_brings(service: FakeService) -> None:
    with Emitter(service.url) as emitter:
        emitter.emit({**event(1), "id": "x", "source": "/s", "time": "2026-01-02T03:04:05Z", "subject": "u"})
        emitter.flush()
    (stored,) = service.events
    assert (stored["id"], stored["source"], stored["time"], stored["subject"]) == (
        "x",
        "/s",
        "2026-01-02T03:04:05Z",
        "u",
    )


def test_many_threads_emit_at_once(service: FakeService) -> None:
    with Emitter(service.url) as emitter:
        threads = [
            threading.Thread(target=lambda base=base: [emitter.emit(event(base + n)) for n in range(200)])
            for base in range(0, 1600, 200)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert emitter.flush()
    assert sorted(service.numbers) == list(range(1600))
    for base in range(0, 1600, 200):
        own = [n for n in service.numbers if base <= n < base + 200]
        assert own == sorted(own)


async def test_an_event_loop_goes_on_while_its_events_are_sent(service: FakeService) -> None:
    gate = threading.Event()
    service.next.append(lambda lines: service.store(lines) if gate.wait(10) else None)
    async with Emitter(service.url, linger=0.0) as emitter:
        emitter.emit(event(1))
        flushing = asyncio.create_task(emitter.flush_async())
        await asyncio.sleep(0)
        gate.set()
        assert await flushing
    assert service.numbers == [1]


@pytest.mark.parametrize("with_spool", [False, True])
def test_a_service_that_is_away_gets_everything_once_it_is_back(tmp_path: Path, with_spool: bool) -> None:
    port, spool = free_port(), tmp_path if with_spool else None
    with Emitter(f"http://127.0.0.1:{port}", spool=spool, linger=0.0, jitter=no_jitter) as emitter:
        for n in range(700):
            assert emitter.emit(event(n))
        until(lambda: bool(emitter.stats.reason))
        assert "Connection refused" in emitter.stats.reason
        if with_spool:
            until(lambda: emitter.stats.waiting == 0)
            assert emitter.stats.spooled_bytes > 0
        with serving(port) as server:
            for n in range(700, 900):
                emitter.emit(event(n))
            assert emitter.flush()
            assert server.numbers == list(range(900))
        assert emitter.stats.reason == ""
        assert emitter.stats.spooled_bytes == 0


def test_a_lost_answer_stores_nothing_twice(service: FakeService) -> None:
    def stored_but_lost(lines: list[dict[str, Any]]) -> None:
        service.store(lines)

    service.next += [stored_but_lost]
    with Emitter(service.url, linger=0.0, jitter=no_jitter) as emitter:
        emitter.emit(event(1))
        assert emitter.flush()
        assert emitter.stats.repeats == 1
    assert service.numbers == [1]
    assert len(service.bodies) == 2


def test_a_kept_connection_that_the_service_has_closed_is_no_outage(service: FakeService) -> None:
    with Emitter(service.url, linger=0.0) as emitter:
        emitter.emit(event(1))
        assert emitter.flush()
        service.cut()
        emitter.emit(event(2))
        assert emitter.flush()
        assert emitter.stats.reason == ""
    assert service.numbers == [1, 2]


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "log_unavailable"),
        problem(500, "internal"),
        problem(404, "not_found"),
        problem(401, "unknown_key"),
        lambda lines: (302, {"Location": "http://127.0.0.1:1/"}, b""),
        lambda lines: (200, {}, b"<html>a proxy's page</html>"),
        lambda lines: (202, {}, b'{"events":[]}'),
        lambda lines: (202, {}, b'{"events":'),
        lambda lines: None,
    ],
)
def test_nothing_is_given_up_because_of_a_strange_answer(
    service: FakeService, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hxp_enterprise_llm.client.emitting.post._NO_RIGHT_PAUSE", 0.05)
    service.next += [answer, answer]
    with Emitter(service.url, linger=0.0, jitter=no_jitter) as emitter:
        emitter.emit(event(1))
        assert emitter.flush()
    assert service.numbers == [1]


def test_retry_after_is_waited_for(service: FakeService) -> None:
    times: list[float] = []

    def full(lines: list[dict[str, Any]]) -> Any:
        times.append(time.monotonic())
        return problem(503, "log_full", {"Retry-After": "1"})(lines)

    def store(lines: list[dict[str, Any]]) -> Any:
        times.append(time.monotonic())
        return service.store(lines)

    service.next += [full, store]
    with Emitter(service.url, linger=0.0) as emitter:
        emitter.emit(event(1))
        assert emitter.flush()
    assert times[1] - times[0] >= 1.0


def test_events_that_are_not_valid_do_not_hold_up_the_others(service: FakeService) -> None:
    def check(lines: list[dict[str, Any]]) -> Any:
        bad = [at for at, line in enumerate(lines) if line["data"]["n"] % 10 == 3][:2]
        if not bad:
            return service.store(lines)
        items = [{"index": at, "path": "data.n", "message": "is odd"} for at in bad]
        return problem(400, "invalid_events", items=items)(lines)

    service.next += [check] * 30
    with Emitter(service.url) as emitter:
        for n in range(50):
            emitter.emit(event(n))
        assert emitter.flush()
        assert emitter.stats.refused == 5
        assert emitter.stats.stored == 45
    assert service.numbers == [n for n in range(50) if n % 10 != 3]


def test_a_fault_without_a_place_is_found_by_halves(service: FakeService) -> None:
    def check(lines: list[dict[str, Any]]) -> Any:
        if any(line["data"]["n"] == 17 for line in lines):
            return problem(413, "too_large")(lines)
        return service.store(lines)

    service.next += [check] * 30
    with Emitter(service.url) as emitter:
        for n in range(40):
            emitter.emit(event(n))
        assert emitter.flush()
        assert emitter.stats.refused == 1
    assert service.numbers == [n for n in range(40) if n != 17]


def test_memory_is_bounded_and_says_what_it_dropped(caplog: pytest.LogCaptureFixture) -> None:
    with Emitter(f"http://127.0.0.1:{free_port()}", memory_events=50, linger=0.0) as emitter:
        taken = [emitter.emit(event(n)) for n in range(1000)]
        assert taken.count(True) + emitter.stats.dropped == 1000
        assert taken.count(True) <= 1000 - emitter.stats.dropped
        assert emitter.stats.dropped > 0
        assert not emitter.close(0.0)
    assert "an event for which there is no room" in caplog.text


def test_a_full_spool_leaves_events_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with Emitter(f"http://127.0.0.1:{port}", spool=tmp_path, spool_bytes=2000, linger=0.0, jitter=no_jitter) as emitter:
        for n in range(100):
            assert emitter.emit(event(n))
            time.sleep(0.0005)
        until(lambda: "takes no more events" in caplog.text)
        with serving(port) as server:
            assert emitter.flush()
            assert server.numbers == list(range(100))


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "x", "data": "y" * 2_000_000},
        {"type": "x", "data": Unprintable()},
        {},
        None,
        3,
    ],
)
def test_what_cannot_be_sent_raises_nothing(service: FakeService, bad: Any) -> None:
    service.next += [problem(400, "invalid_events", items=[{"index": 0}])] if bad == {} else []
    with Emitter(service.url) as emitter:
        assert emitter.emit(bad) in (False, True)
        emitter.emit(event(1))
        assert emitter.flush()
        assert emitter.stats.dropped + emitter.stats.refused == 1
    assert service.numbers == [1]


def test_objects_in_data_are_written_as_text(service: FakeService) -> None:
    with Emitter(service.url) as emitter:
        emitter.emit(event(1, path=Path("/a")))
        emitter.flush()
    assert service.events[0]["data"]["path"] == "/a"


def test_an_address_that_is_none_is_said_at_once() -> None:
    with pytest.raises(Unreachable, match="this is no address; it begins with http"):
        Emitter("localhost:9100")


def test_close_keeps_on_disk_what_the_next_process_sends(tmp_path: Path) -> None:
    port = free_port()
    emitter = Emitter(f"http://127.0.0.1:{port}", spool=tmp_path)
    for n in range(30):
        emitter.emit(event(n))
    assert emitter.close(0.2)
    assert not emitter.emit(event(99))
    with serving(port) as server, Emitter(f"http://127.0.0.1:{port}", spool=tmp_path) as later:
        later.emit(event(30))
        assert later.flush()
        assert server.numbers == list(range(31))
        assert later.stats.stored == 31
    assert not list(tmp_path.iterdir())


def test_a_spool_that_cannot_be_read_holds_up_nobody(
    service: FakeService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Emitter(f"http://127.0.0.1:{free_port()}", spool=tmp_path)
    gone.emit(event(0))
    assert gone.close(0.2)
    (segment,) = tmp_path.rglob("*.ndjson")
    segment.unlink()
    segment.mkdir()
    with Emitter(service.url, spool=tmp_path) as emitter:
        emitter.emit(event(1))
        assert emitter.flush()
    assert service.numbers == [1]
    assert "is left alone" in caplog.text


PROGRAM = """
import sys, time
from hxp_enterprise_llm.client import Emitter
emitter = Emitter(sys.argv[1], spool=sys.argv[2], linger=0.0)
for n in range(int(sys.argv[3])):
    emitter.emit({"type": "business.metric", "data": {"name": "orders", "value": 1, "n": n}})
if sys.argv[4] == "wait":
    while not emitter.stats.spooled_bytes or emitter.stats.waiting:
        time.sleep(0.01)
    print("spooled", flush=True)
    time.sleep(60)
"""


def program(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True)


def test_what_is_on_disk_survives_a_killed_process(tmp_path: Path) -> None:
    port = free_port()
    with program(f"http://127.0.0.1:{port}", str(tmp_path), "100", "wait") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "spooled\n"
        child.send_signal(signal.SIGKILL)
    with serving(port) as server, Emitter(f"http://127.0.0.1:{port}", spool=tmp_path):
        until(lambda: len(server.events) == 100)
        assert server.numbers == list(range(100))


def test_a_program_that_ends_without_close_has_sent_its_events(service: FakeService, tmp_path: Path) -> None:
    with program(service.url, str(tmp_path), "20", "end") as child:
        assert child.wait(30) == 0
    assert service.numbers == list(range(20))


def _in_child(emitter: Emitter) -> None:
    emitter.emit(event(1000))
    os._exit(0 if emitter.flush() else 1)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # that is the case which is tested
def test_a_forked_child_sends_its_own_events_and_not_those_of_its_parent(service: FakeService, tmp_path: Path) -> None:
    with Emitter(service.url, spool=tmp_path, linger=0.0) as emitter:
        emitter.emit(event(0))
        assert emitter.flush()
        child = multiprocessing.get_context("fork").Process(target=_in_child, args=(emitter,))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        emitter.emit(event(2))
        assert emitter.flush()
    assert service.numbers == [0, 1000, 2]


def test_what_answers_mean() -> None:
    accepted = json.dumps({"events": [{"offset": 1, "duplicate": True}, {"offset": 2}], "epoch": "e"}).encode()
    assert outcome(202, "", accepted, 2) == Stored(1)
    assert outcome(503, "30", b"", 1) == Later("no reason was given (503)", 30.0)
    assert outcome(503, "9999", b"", 1) == Later("no reason was given (503)", 60.0)
    assert outcome(503, "Wed, 21 Oct", b"", 1) == Later("no reason was given (503)")
    large = json.dumps({"error": {"code": "event_too_large", "message": "too large", "index": 1}}).encode()
    assert outcome(413, "", large, 2) == Unwanted(frozenset({1}), "too large (413 event_too_large)")
    items = [{"index": at, "path": "data.value", "message": f"is {at}"} for at in range(5)]
    faulty = json.dumps({"error": {"code": "x", "message": "m", "items": items}}).encode()
    said = "m (400 x); event 0, data.value: is 0; event 1, data.value: is 1; event 2, data.value: is 2"
    assert outcome(400, "", faulty, 5) == Unwanted(frozenset(range(5)), said)
    lying = json.dumps({"error": {"code": "x", "message": "m", "items": [{"index": 7}, 3, {"index": "0"}]}}).encode()
    assert outcome(400, "", lying, 2) == Unwanted(frozenset(), "m (400 x)")
