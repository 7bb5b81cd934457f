"""Bombs, slow lorises and readers that do not read, all at once, while a stream goes on."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.siege import siege

MOST_BYTES = 600 * 1024 * 1024


async def test_a_crowd_of_attackers_within_600_mb(tmp_path: Path) -> None:
    """Memory stays bounded, every bomb is refused, every loris cut off, and the stream loses nothing."""
    outcome = await siege(tmp_path, bombs=200, lorises=1000, silent=50)
    assert outcome.most_bytes < MOST_BYTES, outcome
    assert outcome.ends["bombs"].keys() <= {"400", "413", "503"}, outcome
    assert outcome.ends["lorises"].keys() <= {"closed", "408"}, outcome
    assert outcome.descriptors_left <= 2, outcome
    assert outcome.delivered > 100
    # Bodies have a budget that bombs share: now and then one of the good ones is told to come back.
    assert outcome.refused == 0, outcome
