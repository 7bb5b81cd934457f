"""Times that are looked at together pass as each alone does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.sources import times as module
from hxp_enterprise_llm.event.sources.decode import Terms, time_passes
from hxp_enterprise_llm.event.sources.times import times_pass

NOW = 1_795_196_071.25
TERMS = Terms(NOW, rfc3339(NOW), "/here", lambda: "made", 300.0, 86400.0)
NEAR = st.floats(-86520, 420).map(lambda past: rfc3339(NOW + past)) | st.floats(-60, 60).map(
    lambda past: rfc3339(NOW + past)
)
CHANGES = st.sampled_from(
    [
        ("Z", "Z"),
        ("Z", "+00:00"),
        ("Z", "+01:30"),
        ("Z", "+25:00"),
        ("T", " "),
        ("Z", "123Z"),
        (".", ".0"),
        (".", ","),
        ("2026", "2O26"),
        ("20", "٢0"),
        ("Z", ""),
        (":3", ":6"),
        ("T1", "T3"),
        ("Z", "\n"),
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.sets(NEAR, min_size=1, max_size=12), CHANGES, st.lists(CHANGES | st.none(), max_size=2), st.booleans())
def test_together_as_alone(texts: set[str], to_all: tuple[str, str], to_one: list[Any], odd: bool) -> None:
    times: set[Any] = {text.replace(*to_all) for text in texts}
    for change in to_one:
        text = times.pop()
        times.add(text.replace(*change) if change and isinstance(text, str) else 7)
    assert times_pass(times, TERMS) == all(time_passes(time, TERMS) for time in times)


@pytest.mark.parametrize("form", ["{}", "{}|Z|+00:00", "{}|Z|456Z", "{}|T| "])
def test_a_hundred_times_are_few_looks(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, *change = form.split("|")
    texts = [rfc3339(NOW - n / 10) for n in range(100)]
    times = {text.replace(*change) if change else text for text in texts}
    looked: list[str] = []
    monkeypatch.setattr(module, "time_passes", lambda time, terms: looked.append(time) or time_passes(time, terms))
    assert times_pass(times, TERMS)
    assert len(looked) < 8


LIMIT = Terms(NOW + 28.25, rfc3339(NOW + 28.25), "/here", lambda: "made", 300.0, 86400.0)
"""What lies ahead is taken up to 17:39:59.500."""
FINE = [f"2026-11-20T17:34:{second}.250+01:00" for second in (10, 20, 30, 40)]


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([*FINE, "2026-11-20T17:34:60.250+01:00"], id="no second"),
        pytest.param([*FINE, "2026-11-20T17:34:10.250+25:00"], id="no zone"),
        pytest.param([*FINE, "2026-11-20T17:34:10.250-09:00"], id="hours ahead by its zone"),
        pytest.param([*FINE, "2026-11-20T25:34:10.250+01:00"], id="no hour"),
        pytest.param([*FINE, FINE[0] + "2", FINE[1][1:]], id="shifted"),
        pytest.param([f"2026-11-20T17:39:59.{n}00Z" for n in (1, 2, 3, 4, 9)], id="later in its second"),
        pytest.param([f"2026-11-20T17:39:{n}.900Z" for n in (10, 20, 30, 40, 59)], id="later in its minute"),
        pytest.param([f"2026-11-19T17:34:{n}.900Z" for n in (59, 58, 57, 56, 10)], id="earlier in its minute"),
    ],
)
def test_one_that_is_bad_among_others_like_it(times: list[str]) -> None:
    passes = [time_passes(time, LIMIT) for time in times]
    assert not all(passes)
    assert passes[0]
    # The keys of a dict are a set with an order.
    assert not times_pass(dict.fromkeys(times).keys(), LIMIT)
