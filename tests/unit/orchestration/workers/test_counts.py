"""Counters in shared memory: exact whatever the processes do at the same moment."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts

PROCESSES, LIMIT = 4, 500
TAKE_ALL = """
import sys
from hxp_enterprise_llm.orchestration.workers.counts import SharedCounts
counts = SharedCounts(int(sys.argv[1]), int(sys.argv[2]))
print(sum(counts.enter("sse", int(sys.argv[3])) for _ in range(int(sys.argv[3]))))
"""


@pytest.fixture
def counts():
    made = SharedCounts.create(PROCESSES)
    yield made
    made.close()


def test_a_limit_holds_for_the_sum_and_for_each_transport(counts):
    """Two processes, two transports."""
    other = SharedCounts(counts.handle, 1)
    assert counts.enter("sse", 2)
    assert other.enter("sse", 2)
    assert not counts.enter("sse", 2)
    assert counts.enter("websocket", 1)
    assert counts.enter("dashboard", 1)
    assert not other.enter("dashboard", 1)
    other.leave("sse")
    assert counts.enter("sse", 2)
    assert (counts.total("sse"), counts.total("websocket")) == (2, 1)


def test_the_places_of_a_process_that_is_gone_are_free(counts):
    """Its row is cleared, the others stay."""
    other = SharedCounts(counts.handle, 3)
    assert counts.enter("sse", 9)
    assert other.enter("sse", 9)
    assert other.enter("websocket", 9)
    counts.clear(3)
    assert (counts.total("sse"), counts.total("websocket")) == (1, 0)


def test_processes_that_ask_at_once_never_get_one_too_many(counts):
    """Each tries to take all places."""
    command = [sys.executable, "-c", TAKE_ALL, str(counts.handle)]
    running = [
        subprocess.Popen(
            [*command, str(number), str(LIMIT)], pass_fds=[counts.handle], stdout=subprocess.PIPE, text=True
        )
        for number in range(PROCESSES)
    ]
    got = [int(process.communicate(timeout=30)[0]) for process in running]
    assert sum(got) == LIMIT == counts.total("sse")


def test_close_is_idempotent():
    made = SharedCounts.create(1)
    made.close()
    made.close()
