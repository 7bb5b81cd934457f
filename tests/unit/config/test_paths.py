from __future__ import annotations

import pytest

from hxp_enterprise_llm.config.paths import KeyPath, dotted, split, suggestion


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("service", "port"), "service.port"),
        (("rules", 0, "name"), "rules[0].name"),
        (("a", 1, 2, "b"), "a[1][2].b"),
    ],
)
def test_dotted_and_back(path: KeyPath, text: str) -> None:
    assert dotted(path) == text
    assert split(text) == path


def test_suggestion_only_when_near() -> None:
    assert suggestion("prot", ["port", "host"]) == " (did you mean port?)"
    assert suggestion("weather", ["port", "host"]) == ""
