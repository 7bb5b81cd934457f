"""Matchers in Alertmanager's text form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxp_enterprise_llm.config.matchers import Matcher, MatcherFault, parse_matcher, parse_matchers

UNREAD = "the regular expression cannot be read: "
RE2 = "the syntax is RE2's, without "
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
        ('a=~"("', f"""'a=~"("' is no matcher: {UNREAD}missing ) at '('"""),
        (
            'a=~"(b)\\\\1"',
            rf"""'a=~"(b)\\\\1"' is no matcher: {UNREAD}invalid escape sequence at '\\1': {RE2}backreferences""",
        ),
        ('a=~"(?=b)"', f"""'a=~"(?=b)"' is no matcher: {UNREAD}invalid perl operator at '(?=': {RE2}look-ahead, """),
        (
            'a!~"(?<!b)c"',
            f"""'a!~"(?<!b)c"' is no matcher: {UNREAD}invalid perl operator at '(?<!': {RE2}look-ahead, """,
        ),
        (
            'a=~"((b{99}){99}){99}"',
            f"""'a=~"((b{{99}}){{99}}){{99}}"' is no matcher: {UNREAD}invalid repetition size at """,
        ),
        ('a=~"[^b]{990}"', f"""'a=~"[^b]{{990}}"' is no matcher: {UNREAD}it takes more than 128 KiB once compiled; """),
        (f'a="{"x" * 1025}"', "'a' is no matcher: its value has 1,025 characters, at most 1,024 do"),
    ],
)
def test_what_is_no_matcher_says_why(text: str, message: str) -> None:
    with pytest.raises(MatcherFault) as refused:
        parse_matcher(text)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("(a+)+$", "a" * 4095 + "b"),
        ("(a|a)*", "a" * 4095 + "b"),
        ("(a|aa)+", "a" * 4095 + "b"),
        ("(.*a){20}", "a" * 4095 + "b"),
        ("(x+x+)+y", "x" * 4096),
        ("(a?){900}b", "a" * 4096),
        (".*a.{200}b", "a" * 4096),
        ("(é*)*[^é]", "é" * 4096),
    ],
)
def test_a_hostile_pattern_takes_no_time(pattern: str, value: str) -> None:
    matcher = Matcher("a", "=~", pattern)
    # With backtracking most of them take years, which the time limit of a test catches.
    assert not matcher.matches({"a": value})


def test_half_a_surrogate_pair_is_no_pattern_and_breaks_none() -> None:
    assert not Matcher("a", "=~", "[a-z]+").matches({"a": "b\ud800c"})
    with pytest.raises(MatcherFault, match="it is no text: surrogates not allowed"):
        Matcher("a", "=~", "\ud800")


@pytest.mark.parametrize(
    ("text", "reason"), [('{a="b"', "a brace is missing"), ('a="b" c="d"', 'it cannot be read from \'a="b" c="d"\' on')]
)
def test_what_is_no_list_of_matchers_says_why(text: str, reason: str) -> None:
    with pytest.raises(MatcherFault) as refused:
        parse_matchers(text)
    assert refused.value.reason == reason
