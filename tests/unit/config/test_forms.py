"""What was sent in another form than it should have is said as faults of a configuration are."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from hxp_enterprise_llm.config.forms import body_fault, form_fault


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
    fault = form_fault(msgspec.ValidationError("Expected `int` that's a multiple of 5 - at `$.count`"), list)
    assert (fault.path, fault.message) == ("count", "Expected `int` that's a multiple of 5")


class Bounded(msgspec.Struct):
    rating: Annotated[int, Meta(ge=1, le=5)] = 1
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    text: Annotated[str, Meta(min_length=1, max_length=4)] = "a"
    names: Annotated[list[str], Meta(min_length=2, max_length=3)] = msgspec.field(default_factory=lambda: ["a", "b"])
    counts: Annotated[dict[str, int], Meta(max_length=1)] = {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"rating": 0}', "rating: must be at least 1"),
        ('{"rating": 6}', "rating: must be at most 5"),
        ('{"share": 0}', "share: must be more than 0.0"),
        ('{"share": 1}', "share: must be less than 1.0"),
        ('{"text": ""}', "text: must not be empty"),
        ('{"text": "abcde"}', "text: must have at most 4 characters"),
        ('{"names": ["a"]}', "names: must have at least 2 entries"),
        ('{"counts": {"a": 1, "b": 2}}', "counts: must have at most 1 keys"),
    ],
)
def test_a_value_beyond_its_bounds(text: str, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(text, type=Bounded)
    assert str(form_fault(caught.value, Bounded)) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"by": 1}', "by: must be text, is a whole number"),
        (b"{", "it is no JSON: Input data was truncated"),
        (b'{"by": "\xff"}', "it is no JSON: "),
    ],
)
def test_a_body_that_cannot_be_used(body: bytes, said: str) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError, RecursionError)) as caught:
        msgspec.json.decode(body, type=Outer)
    assert body_fault(caught.value, Outer).startswith(said)
