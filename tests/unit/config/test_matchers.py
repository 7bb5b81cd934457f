"""Matchers in Alertmanager's text form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.config.matchers import Matcher, MatcherFault, parse_matcher, parse_matchers

LABELS = {"alertname": "slow", "team": "payments", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ('alertname="slow"', True),
        ("alertname=slow", True),
        (' alertname = "slow" ', True),
        ('alertname!="slow"', False),
        ('team=~"pay.*|bill.*"', True),
        ('team=~"pay"', False),
        ('team!~"pay"', True),
        ('missing=""', True),
        ('missing!=""', False),
        ('empty=""', True),
        ('missing=~".*"', True),
        ('missing=~".+"', False),
    ],
)
def test_one_matcher(text: str, matches: bool) -> None:
    assert parse_matcher(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ['{a="b,c",d!~"x|}"}', 'a="b,c", d!~"x|}"', '{ a="b,c" , d!~"x|}" , }'])
def test_several_matchers(text: str) -> None:
    assert parse_matchers(text) == (Matcher("a", "=", "b,c"), Matcher("d", "!~", "x|}"))


@given(st.text(max_size=50), st.sampled_from(["=", "!="]))
def test_what_is_written_is_read(value: str, operator) -> None:
    matcher = Matcher("a", operator, value)
    assert parse_matchers("{" + str(matcher) + "}") == (matcher,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", """'' is no matcher: write label="value", label!="value", label=~"regex" or label!~"regex\""""),
        ("1a=b", """'1a=b' is no matcher: write label="value", label!="value", label=~"regex" or label!~"regex\""""),
        ('a=~"("', """'a=~"("' is no matcher: the regular expression cannot be read: """),
        (f'a="{"x" * 1025}"', "'a' is no matcher: its value has 1,025 characters, at most 1,024 do"),
    ],
)
def test_what_is_no_matcher_says_why(text: str, message: str) -> None:
    with pytest.raises(MatcherFault) as refused:
        parse_matcher(text)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "reason"), [('{a="b"', "a brace is missing"), ('a="b" c="d"', 'it cannot be read from \'a="b" c="d"\' on')]
)
def test_what_is_no_list_of_matchers_says_why(text: str, reason: str) -> None:
    with pytest.raises(MatcherFault) as refused:
        parse_matchers(text)
    assert refused.value.reason == reason
