"""How a floor is scaled by what the machine is worth."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.performance.pace import EVENT, REFERENCE_READ_US, REFERENCE_STORED, Pace, measure
from tests.performance.report import FLOOR_COLUMNS, Floor, page


def test_the_reference_machine_has_pace_one():
    pace = Pace(REFERENCE_READ_US, REFERENCE_STORED)
    assert (pace.reading, pace.taking_in) == (1, 1)


def test_a_machine_half_as_fast_at_both_has_half_the_pace():
    pace = Pace(2 * REFERENCE_READ_US, REFERENCE_STORED / 2)
    assert (pace.reading, pace.taking_in) == pytest.approx((0.5, 0.5))


def test_a_slow_disk_counts_by_its_share_of_an_event():
    pace = Pace(REFERENCE_READ_US, REFERENCE_STORED / 3)
    read, stored = REFERENCE_READ_US, 1e6 / REFERENCE_STORED
    assert pace.reading == 1
    assert pace.taking_in == pytest.approx((read + stored) / (read + 3 * stored))


def test_what_is_measured_is_positive_and_of_an_event_of_200_bytes(tmp_path: Path):
    found = measure(tmp_path)
    assert len(EVENT) == 200
    assert found.read_us > 0 < found.stored


def test_a_floor_is_judged_as_it_is_and_beside_that_as_it_is_scaled():
    floor = Floor("events a second", 60_000, 100_000, pace=0.5)
    assert floor.row() == ["events a second", "≥ 100,000", "60,000", "**no**", "≥ 50,000", "yes"]
    assert Floor("times nchan", 9, 8).row()[4:] == ["", ""]


def test_the_page_says_which_column_is_no_floor_of_the_project():
    assert "scaled" in FLOOR_COLUMNS[4]
    assert "scaled" in FLOOR_COLUMNS[5]
    assert "no measurement" in page([], 0.0)
