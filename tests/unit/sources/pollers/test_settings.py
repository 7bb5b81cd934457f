"""Settings of sources: what is taken from a request, and what is kept in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.event.sources.pollers.api import changed
from hxp_enterprise_llm.event.sources.pollers.kept import read_settings, write_settings
from hxp_enterprise_llm.event.sources.pollers.model import Settings
from hxp_enterprise_llm.security.problems import Problem

USUAL = Settings(True, 0.25, 3.0, 3, 0)


def test_what_is_asked_for_changes_and_the_rest_stays() -> None:
    assert changed(USUAL, {}) == USUAL
    asked = {"live": "false", "first_pause": "0.5", "longest_pause": "60", "failures": "5", "tries": "100"}
    assert changed(USUAL, asked) == Settings(False, 0.5, 60.0, 5, 100)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"live": "yes"}, "live: 'yes', and that must be true or false"),
        ({"first_pause": "0"}, "first_pause: '0', and that must be a number from 0.05 to 3600"),
        ({"first_pause": "nan"}, "first_pause: 'nan'"),
        ({"longest_pause": "0.1"}, "first_pause: '0.25', and that must be at most longest_pause, 0.1"),
        ({"failures": "1.5"}, "failures: '1.5', and that must be a whole number from 1 to 1000"),
        ({"tries": "-1"}, "tries: '-1'"),
        ({"retries": "1"}, "'retries' is no setting of a source"),
    ],
)
def test_what_cannot_be_is_refused_in_words(asked: dict[str, str], words: str) -> None:
    with pytest.raises(Problem) as refused:
        changed(USUAL, asked)
    assert refused.value.status == 400
    assert words in refused.value.message


@given(st.dictionaries(st.sampled_from([*Settings._fields, "x"]), st.text(max_size=12)))
def test_any_text_gives_settings_that_hold_or_a_refusal(asked: dict[str, str]) -> None:
    try:
        made = changed(USUAL, asked)
    except Problem:
        return
    assert 0.05 <= made.first_pause <= made.longest_pause <= 3600
    assert made.failures >= 1


def test_the_file_gives_back_what_was_set_and_rubbish_is_none(tmp_path: Path) -> None:
    path = tmp_path / "sources.json"
    assert read_settings(path) == {}
    write_settings(path, {"gateway": USUAL._replace(live=False)})
    assert read_settings(path) == {"gateway": USUAL._replace(live=False)}
    assert path.stat().st_mode & 0o777 == 0o600
    for rubbish in (b"", b"{", b'{"gateway": [1]}', b"\xff"):
        path.write_bytes(rubbish)
        assert read_settings(path) == {}
