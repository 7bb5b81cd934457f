"""Random histories of a SqliteLog against a list."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hxp_enterprise_llm.event.log.model import Ahead, Gone, Stored
from hxp_enterprise_llm.event.model import Offset
from tests.unit.log.support import event, read_all, sqlite_log


class LogMachine(RuleBasedStateMachine):
    """The model: all events ever stored, in order, and where the log begins now."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = Path(tempfile.mkdtemp(prefix="log-"))
        self.stored: list[Stored] = []
        self.by_id: dict[int, Offset] = {}
        self.open()

    def open(self) -> None:
        self.log = sqlite_log(self.directory / "log", segment_bytes=1, recent_bytes=20_000)
        bounds = self.loop.run_until_complete(self.log.open())
        assert bounds.head == (self.stored[-1].offset if self.stored else 0)
        self.epoch = bounds.epoch

    @rule(numbers=st.lists(st.integers(0, 200), min_size=1, max_size=30), size=st.sampled_from([0, 500, 20_000]))
    def append(self, numbers: list[int], size: int) -> None:
        batch = [event(n, type=f"t.{n % 3}", size=size) for n in numbers]
        answer = self.loop.run_until_complete(self.log.append(batch))
        for n, one, appended in zip(numbers, batch, answer, strict=True):
            assert appended.duplicate == (n in self.by_id)
            if not appended.duplicate:
                assert not self.stored or appended.offset > self.stored[-1].offset
                self.by_id[n] = appended.offset
                self.stored.append(Stored(appended.offset, one.type, one.raw))
            assert appended.offset == self.by_id[n]

    @rule(index=st.integers(0, 200), page=st.sampled_from([1, 5, 100]))
    def read(self, index: int, page: int) -> None:
        bounds = self.loop.run_until_complete(self.log.bounds())
        after = Offset(min(index, bounds.head))
        if after < bounds.first - 1:
            with pytest.raises(Gone):
                self.loop.run_until_complete(self.log.read(after, page))
        else:
            expected = [one for one in self.stored if one.offset > after]
            assert self.loop.run_until_complete(read_all(self.log, after, page)) == expected

    @rule(index=st.integers(0, 250))
    def trim(self, index: int) -> None:
        before = self.loop.run_until_complete(self.log.bounds()).first
        first = self.loop.run_until_complete(self.log.trim(Offset(index)))
        assert before <= first <= max(index + 1, before)

    @rule()
    def reopen(self) -> None:
        epoch = self.epoch
        self.loop.run_until_complete(self.log.close())
        self.open()
        assert self.epoch == epoch
        # The window is rebuilt from what the log still has.
        first = self.loop.run_until_complete(self.log.bounds()).first
        self.by_id = {n: offset for n, offset in self.by_id.items() if offset >= first}

    @precondition(lambda self: self.stored)
    @rule()
    def ahead(self) -> None:
        with pytest.raises(Ahead):
            self.loop.run_until_complete(self.log.read(Offset(self.stored[-1].offset + 1)))

    @invariant()
    def bounds_are_true(self) -> None:
        bounds = self.loop.run_until_complete(self.log.bounds())
        assert bounds.head == (self.stored[-1].offset if self.stored else 0)
        assert 1 <= bounds.first <= bounds.head + 1

    def teardown(self) -> None:
        self.loop.run_until_complete(self.log.close())
        self.loop.close()
        shutil.rmtree(self.directory)


TestSqliteLogHistories = LogMachine.TestCase
TestSqliteLogHistories.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
