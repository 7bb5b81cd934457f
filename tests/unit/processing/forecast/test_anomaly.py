"""Anomalies: one value is chance, several are not, and what is out of the ordinary does not become the rule."""

from __future__ import annotations

import random

import pytest

from hxp_enterprise_llm.event.processing.forecast.anomaly import Detector


def usual(detector: Detector, count: int = 200, seed: int = 1) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        assert detector.learn(chance.gauss(1000, 100))[1] is None


def test_one_value_is_chance_and_several_are_an_anomaly() -> None:
    detector = Detector(8, 3, 5)
    usual(detector)
    changes = [detector.learn(value)[1] for value in (5000, 1000, 5000, 1000, 5000)]
    assert [change is not None for change in changes] == [False, False, False, False, True]
    assert changes[-1].started
    assert detector.active


def test_it_ends_when_none_of_the_last_stands_out() -> None:
    detector = Detector(8, 3, 5)
    usual(detector)
    for _ in range(4):
        detector.learn(9000)
    changes = [detector.learn(1000)[1] for _ in range(6)]
    assert [change is not None for change in changes] == [False, False, False, False, True, False]
    assert not changes[4].started


def test_too_little_is_an_anomaly_as_well() -> None:
    detector = Detector(8, 3, 5)
    usual(detector)
    changes = [detector.learn(0)[1] for _ in range(3)]
    assert changes[-1].judged.score < -8


def test_an_anomaly_does_not_become_the_rule() -> None:
    """An hour of ten times as much moves what is usual by no more than a few deviations."""
    detector = Detector(8, 3, 5)
    usual(detector)
    for _ in range(12):
        judged, _ = detector.learn(10_000)
        assert judged.stands_out
    assert judged.usual < 1100


def test_before_enough_is_seen_nothing_is_judged() -> None:
    detector = Detector(8, 1, 1)
    chance = random.Random(2)
    assert all(detector.learn(chance.expovariate(1e-6))[1] is None for _ in range(36))


@pytest.mark.parametrize("level", [0.0, 1000.0])
def test_a_flat_line_is_no_reason_for_an_alarm(level: float) -> None:
    """A deviation of nothing does not make a hair's breadth an anomaly."""
    detector = Detector(8, 3, 5)
    for _ in range(300):
        detector.learn(level)
    for _ in range(10):
        assert detector.learn(level * 1.2 + 3)[1] is None
