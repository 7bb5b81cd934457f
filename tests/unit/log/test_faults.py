"""Power cuts and single flipped bits; `make torture` does many times as many."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults import cuts, flips, kills

CUTS = 300
WEAK_CUTS = 60
FLIPS = 800
KILLS = 5


def test_power_cuts_lose_nothing(tmp_path: Path) -> None:
    """Acknowledged is there, once, in its place, under its epoch; no offset is given out again."""
    root, operations = cuts.record(tmp_path)
    kinds = {operation.op for operation in operations}
    assert kinds == set("CWSDTRU")
    failed = [cut for cut in cuts.cuts(root, operations, tmp_path, CUTS, seed=1) if cut.faults]
    assert failed == []


def test_power_cuts_are_noticed_when_commits_are_not_synced(tmp_path: Path) -> None:
    """The same check with synchronous=NORMAL finds what is lost: so it can fail."""
    root, operations = cuts.record(tmp_path, "normal")
    failed = [cut for cut in cuts.cuts(root, operations, tmp_path, WEAK_CUTS, seed=1) if cut.faults]
    assert len(failed) > WEAK_CUTS // 20
    assert any("was acknowledged and is not there" in fault for cut in failed for fault in cut.faults)


@pytest.mark.timeout(120)
def test_flipped_bits_are_corrected_or_reported(tmp_path: Path) -> None:
    """A sample of all bits of a small log and its write-ahead file."""
    original = flips.make_original(tmp_path / "original")
    names = {name for name, _ in original.files()}
    assert names == {"log.head", "log/0001.db", "log/0002.db", "log/0002.db-wal"}
    bits = [(name, bit) for name, size in original.files() for bit in range(size)]
    sample = random.Random(5).sample(bits, FLIPS)
    outcomes = list(flips.flips(original, tmp_path, iter(sample)))
    assert [flip for flip in outcomes if flip.outcome not in ("same", "reported")] == []
    assert {flip.outcome for flip in outcomes} == {"same", "reported"}


def test_kills_at_operations_on_the_disk(tmp_path: Path) -> None:
    """The same log lives through all of them."""
    failed = [kill for kill in kills.kills(tmp_path / "disk", KILLS, seed=11) if kill.faults]
    assert failed == []


@pytest.mark.parametrize("action", ["short", "eio", "enospc", "stay-eio", "stay-enospc"])
def test_operations_that_fail(tmp_path: Path, action: str) -> None:
    """The process ends or goes on; what it had acknowledged is there either way."""
    points = [1, 17, 60, 333]
    failed = [kill for kill in kills.kills_at(tmp_path / "disk", points, action) if kill.faults]
    assert failed == []


def test_a_failed_sync_ends_the_process(tmp_path: Path) -> None:
    """Of the write-ahead log, that is: SQLite does not care for one of the directory."""
    assert kills.live(tmp_path / "disk", 0, "s:25:eio") == 70
