"""The table of endings in the documentation is the one in the program."""

from __future__ import annotations

import re
from pathlib import Path

from hxp_enterprise_llm.event.streaming.closing import BY_CODE, ENDINGS

PAGE = (Path(__file__).parents[3] / "docs" / "streams.md").read_text()


def test_the_page_has_every_ending_as_the_program_has_it() -> None:
    for ending in ENDINGS:
        cells = (str(ending.code or "–"), f"`{ending.word}`", ending.cause, ending.advice, ending.sse or "–")
        assert f"| {' | '.join(cells)} |" in PAGE


def test_the_page_has_no_other_code() -> None:
    section = PAGE[PAGE.index("## How a connection ends") : PAGE.index("## Refusals")]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == set(BY_CODE)


def test_codes_and_words_are_used_once() -> None:
    assert len(BY_CODE) == len([ending for ending in ENDINGS if ending.code])
    assert len({ending.word for ending in ENDINGS}) == len(ENDINGS)
    assert all(1000 <= code <= 1014 or 4000 <= code <= 4999 for code in BY_CODE)


def test_every_reason_under_which_a_link_ends_is_in_the_table() -> None:
    """Words written out in the code, and those that come from the table."""
    streaming = Path(__file__).parents[3] / "hxp_enterprise_llm" / "event" / "streaming"
    source = "".join((streaming / f"{name}.py").read_text() for name in ("link", "websocket", "sse", "gateway"))
    words = set(re.findall(r'(?:abort|finish|_end)\("(\w+)"', source))
    assert words <= {ending.word for ending in ENDINGS}
