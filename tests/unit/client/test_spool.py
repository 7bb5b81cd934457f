"""The spool: order, bounds, what survives a process that died, and a disk that is full."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.client import Emitter
from hxp_enterprise_llm.client.emitting import spool as module
from hxp_enterprise_llm.client.emitting.memory import Memory
from hxp_enterprise_llm.client.emitting.spool import Spool, SpoolFull
from tests.ports import free_port
from tests.unit.client.fake_service import serving
from tests.unit.client.test_emitter import until

LARGE = 1 << 20


class Names:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"spool-{self.count}"


def claim(base: Path, names: Names, max_bytes: int = LARGE) -> list[Spool]:
    return Spool.claim(base, max_bytes, names)


def abandon(spool: Spool) -> None:
    """The process dies: the lock goes, the files stay."""
    spool.forget()


def drained(spool: Spool, events: int = 3, size: int = 50) -> list[bytes]:
    lines: list[bytes] = []
    while not spool.empty:
        some = spool.peek(events, size)
        assert some
        lines += some
        spool.advance(some)
    return lines


def lines(first: int, last: int) -> list[bytes]:
    return [b'{"n":%d}' % n for n in range(first, last)]


def test_lines_come_out_in_the_order_in_which_they_went_in(tmp_path: Path) -> None:
    (spool,) = claim(tmp_path, Names())
    spool.append(lines(0, 10))
    spool.append(lines(10, 11))
    assert drained(spool) == lines(0, 11)
    assert spool.bytes == 0
    assert not list(spool.directory.glob("*.ndjson"))
    spool.release()
    assert not list(tmp_path.iterdir())


def test_what_a_process_leaves_behind_goes_on_where_it_was(tmp_path: Path) -> None:
    names = Names()
    (spool,) = claim(tmp_path, names)
    spool.append(lines(0, 10))
    spool.advance(spool.peek(4, LARGE))
    abandon(spool)
    left, own = claim(tmp_path, names)
    assert own.empty
    assert drained(left) == lines(4, 10)
    left.release()
    own.release()
    assert not list(tmp_path.iterdir())


def test_a_process_that_lives_keeps_its_spool(tmp_path: Path) -> None:
    names = Names()
    (mine,) = claim(tmp_path, names)
    mine.append(lines(0, 1))
    (other,) = claim(tmp_path, names)
    assert other.directory != mine.directory
    for spool in (mine, other):
        spool.release()


def test_a_torn_end_is_cut_off(tmp_path: Path) -> None:
    names = Names()
    (spool,) = claim(tmp_path, names)
    spool.append(lines(0, 3))
    abandon(spool)
    (segment,) = spool.directory.glob("*.ndjson")
    with segment.open("ab") as file:
        file.write(b'{"n":3')
    left, own = claim(tmp_path, names)
    left.append(lines(4, 5))
    assert drained(left) == [*lines(0, 3), *lines(4, 5)]
    for each in (left, own):
        each.release()


@pytest.mark.parametrize("cursor", ["", "1", "1 9999", "7 4", "1 3", "nonsense\n", "1 -4"])
def test_a_cursor_that_means_nothing_is_the_beginning(tmp_path: Path, cursor: str) -> None:
    names = Names()
    (spool,) = claim(tmp_path, names)
    spool.append(lines(0, 3))
    (spool.directory / "cursor").write_text(cursor)
    abandon(spool)
    left, own = claim(tmp_path, names)
    assert drained(left) == lines(0, 3)
    for each in (left, own):
        each.release()


def test_the_bound_holds_and_takes_all_or_nothing(tmp_path: Path) -> None:
    (spool,) = claim(tmp_path, Names(), max_bytes=40)
    spool.append(lines(0, 4))
    with pytest.raises(SpoolFull, match="it may hold 40 bytes and holds 32"):
        spool.append(lines(4, 6))
    spool.append(lines(4, 5))
    assert drained(spool) == lines(0, 5)
    spool.release()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (spool,) = claim(tmp_path, Names())
    spool.append(lines(0, 2))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SpoolFull, match="No space left on device"):
        spool.append(lines(2, 4))
    monkeypatch.undo()
    spool.append(lines(4, 5))
    assert drained(spool) == [*lines(0, 2), *lines(4, 5)]
    spool.release()


def test_nobody_else_reads_the_files(tmp_path: Path) -> None:
    base = tmp_path / "spool"
    (spool,) = claim(base, Names())
    spool.append(lines(0, 1))
    for path in (base, *base.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    spool.release()


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 5)),
            st.tuples(st.just("send"), st.integers(1, 4)),
            st.tuples(st.just("die"), st.just(0)),
        ),
        max_size=30,
    )
)
def test_nothing_is_lost_or_reordered_however_often_it_is_opened(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base, names, count = tmp_path_factory.mktemp("spool"), Names(), 0
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "SEGMENT_BYTES", 40)
    sent: list[bytes] = []
    (spool,) = claim(base, names)
    for step, number in steps:
        if step == "append":
            spool.append(lines(count, count + number))
            count += number
        elif step == "send":
            some = spool.peek(number, 30)
            sent += some
            if some:
                spool.advance(some)
        else:
            abandon(spool)
            spool, *others = claim(base, names)
            for other in others:
                other.release()
    patch.undo()
    assert sent + drained(spool) == lines(0, count)
    spool.release()


def test_many_who_claim_at_once_get_each_line_once(tmp_path: Path) -> None:
    """Locks are of open files: threads stand for processes."""
    taken: list[bytes] = []
    number = itertools.count()
    errors: list[BaseException] = []

    def live(start: threading.Barrier) -> None:
        try:
            start.wait(10)
            for _ in range(15):
                *left, own = Spool.claim(tmp_path, LARGE, lambda: uuid.uuid4().hex)
                for spool in left:
                    taken.extend(drained(spool))
                    spool.release()
                own.append([b"%d" % next(number)])
                own.forget()
        except BaseException as error:
            errors.append(error)

    start = threading.Barrier(8)
    threads = [threading.Thread(target=live, args=(start,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    *left, own = Spool.claim(tmp_path, LARGE, lambda: uuid.uuid4().hex)
    for spool in left:
        taken += drained(spool)
        spool.release()
    own.release()
    assert sorted(map(int, taken)) == list(range(120))
    assert not list(tmp_path.iterdir())


def test_memory_is_bounded_in_events_and_bytes() -> None:
    memory = Memory(3, 20)
    assert [memory.put(b"x" * 8) for _ in range(4)] == [True, True, False, False]
    assert memory.half_full
    assert memory.take(10, 8) == [b"x" * 8]
    assert memory.put(b"y" * 12)
    assert memory.put(b"")
    assert not memory.put(b"")
    assert memory.take(10, 1) == [b"x" * 8]
    assert (len(memory), memory.bytes) == (2, 12)


def empty_segments(base: Path) -> None:
    for segment in base.rglob("*.ndjson"):
        os.truncate(segment, 0)


@pytest.mark.parametrize("harm", [shutil.rmtree, empty_segments])
def test_a_spool_that_somebody_removes_does_not_hold_up_what_follows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    port, base = free_port(), tmp_path / "spool"
    emitter = Emitter(f"http://127.0.0.1:{port}", spool=base, linger=0.0, jitter=lambda: 0.0)
    for number in range(3):
        assert emitter.emit({"type": "x", "data": {"n": number}})
    until(lambda: emitter.stats.spooled_bytes > 0 and not emitter.stats.waiting)
    harm(base)
    until(lambda: emitter.stats.dropped == 3)
    assert emitter.emit({"type": "x", "data": {"n": 3}})
    with serving(port) as service:
        assert emitter.flush()
        assert service.numbers == [3]
    assert emitter.stats.stored == 1
    assert not emitter.close()
    assert "3 events are lost with the spool" in caplog.text
