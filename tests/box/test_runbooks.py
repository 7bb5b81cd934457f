"""A fault from each runbook, seen by a real Prometheus and mended by following the page to the letter.

In a box with an installation, where a minute of rules and pages is a second. The nights are one story, in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box.box import Box
from tests.box.installing import install
from tests.box.runbooks.faults import NIGHTS
from tests.box.runbooks.night import await_ends, spend
from tests.box.runbooks.pages import alerts, hastened, hastened_rules
from tests.box.runbooks.watch import configure, watch

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def box(share: Path, wheels: Path) -> Iterator[Box]:
    """A machine on which everything runs and is watched."""
    with Box(share) as box:
        install(box)
        configure(box)
        watch(box)
        yield box


@pytest.mark.parametrize("night", NIGHTS)
def test_a_night_in_which(night: str, box: Box) -> None:
    spend(box, NIGHTS[night])


def test_in_the_end_all_is_over(box: Box) -> None:
    await_ends(box, [fault for faults in NIGHTS.values() for fault in faults if fault.lasts])


def test_every_alert_has_its_night() -> None:
    nights = [fault.alert for faults in NIGHTS.values() for fault in faults]
    assert sorted(nights) == sorted(alerts())


def test_a_minute_is_a_second() -> None:
    """Every duration and threshold of the rules is divided: none is forgotten."""
    text = 'rate(x[5m]) [1h] for: 10m --since "15 min ago"'
    assert hastened(text) == 'rate(x[5s]) [60s] for: 10s --since "15 seconds ago"'
    rules = hastened_rules()
    assert re.findall(r"\[\d+[mh]\]|for: \d+[mh]\b", rules) == []
    assert all(threshold in rules for threshold in ("> 15\n", "< 60\n", "> 2\n", "< 33554432\n"))
