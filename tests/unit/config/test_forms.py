"""What was sent in another form than it should have is said as faults of a configuration are."""

from __future__ import annotations

import msgspec
import pytest

from hxp_enterprise_llm.config.forms import form_fault


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    by: str
    count: int | None = None
    inner: list[Inner] = []
    is_open: bool = msgspec.field(default=False, name="isOpen")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "by: is required and missing"),
        ('{"by": "a", "cuont": 1}', "cuont: unknown key (did you mean count?)"),
        ('{"by": "a", "isopen": true}', "isopen: unknown key (did you mean isOpen?)"),
        ('{"by": 1}', "by: must be text, is a whole number"),
        ('{"by": "a", "count": "x"}', "count: must be a whole number or null, is text"),
        ('{"by": "a", "inner": [{}]}', "inner[0].name: is required and missing"),
        ('{"by": "a", "inner": [{"name": "n", "by": 1}]}', "inner[0].by: unknown key"),
        ("[]", "$: must be an object, is a list"),
    ],
)
def test_the_fault_and_its_place(text: str, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(text, type=Outer)
    assert str(form_fault(caught.value, Outer)) == said


def test_a_fault_that_it_has_no_words_for_is_left_as_it_is() -> None:
    fault = form_fault(msgspec.ValidationError("Expected `str` of length >= 1 - at `$.comment`"), list)
    assert (fault.path, fault.message) == ("comment", "Expected `str` of length >= 1")
