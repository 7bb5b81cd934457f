"""Conditions: what they may say, how faults are worded, and that nothing gets past the guards."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.event.notifications.rules.conditions import (
    Condition,
    ConditionFault,
    EvaluationError,
    NoData,
    compile_condition,
)
from hxp_enterprise_llm.event.notifications.rules.tokens import tokens, with_float_literals
from hxp_enterprise_llm.event.notifications.rules.vocabulary import variable_names, vocabulary

NAMES = variable_names(["error_rate", "latency", "throughput"], ["10s", "5m"])


def compiled(text: str) -> Condition:
    return compile_condition(text, NAMES)


def fault(text: str) -> str:
    with pytest.raises(ConditionFault) as caught:
        compiled(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("error_rate > 0.2", {"error_rate": 0.21}, True),
        ("error_rate > 0.2", {"error_rate": 0.2}, False),
        ("latency > 2000", {"latency": 2000.5}, True),
        ("latency > 2000", {"latency": 2001}, True),
        ("latency * 2 > 3 + 1", {"latency": 2.1}, True),
        ("latency / 0 > 1", {"latency": 1.0}, True),
        ("latency >= 0x10 && latency <= 17u", {"latency": 16}, True),
        ("!(latency > 1) || throughput == 3", {"latency": 2, "throughput": 3}, True),
        ("latency in [1, 2]", {"latency": 2}, True),
        ("latency > 1 ? throughput > 1 : true", {"latency": 0, "throughput": 0}, True),
        ("latency_5m > 1 // over five minutes", {"latency_5m": 2}, True),
        ("latency\n  > .5e1", {"latency": 5.1}, True),
        ("-latency < 0", {"latency": float("inf")}, True),
    ],
)
def test_conditions_are_decided(text: str, values: dict[str, float], expected: bool) -> None:
    assert compiled(text).evaluate(values) is expected


@pytest.mark.parametrize("value", [None, float("nan"), "0.3", True, [1]])
def test_an_input_that_is_no_number_is_no_data(value: object) -> None:
    outcome = compiled("latency > 1 && error_rate > 0.2").evaluate({"error_rate": value, "latency": 2})
    assert outcome == NoData(("error_rate",))
    assert str(outcome) == "no value for error_rate"


def test_a_missing_input_is_no_data_even_where_the_other_side_decides() -> None:
    assert compiled("latency > 1 || error_rate > 0.2").evaluate({"latency": 2}) == NoData(("error_rate",))


def test_values_that_cannot_be_computed_are_an_error_not_an_exception() -> None:
    outcome = compiled("latency - latency < 1").evaluate({"latency": float("inf")})
    assert isinstance(outcome, EvaluationError)
    assert str(outcome) == (
        "No such overload: the operation is not defined for the given operand types (with latency = inf)"
    )


def test_a_quotient_of_metrics_is_taken_although_some_values_have_none() -> None:
    condition = compiled("latency / throughput > 2")
    assert condition.evaluate({"latency": 5, "throughput": 2}) is True
    assert isinstance(condition.evaluate({"latency": 0, "throughput": 0}), EvaluationError)


def test_observed_values_are_those_of_the_condition() -> None:
    condition = compiled("latency > 1 && error_rate > 0.2")
    assert condition.observed({"latency": 2, "throughput": 7}) == {"latency": 2.0, "error_rate": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("error_rte > 0.2", "column 1: unknown metric 'error_rte' (did you mean error_rate?)"),
        ("latency > 1 && xyz > 2", "column 16: unknown metric 'xyz'"),
        ("error_rate >", "column 13: the condition cannot be read: it ends where a value is expected"),
        ("latency >\n 1 1", "column 14: the condition cannot be read: '1' is not expected here"),
        (
            "error_rate > 20%",
            "column 17: the condition cannot be read: it ends where a value is expected; "
            "a share is written as 0.2, not as 20%",
        ),
        ("if > 1", "column 1: the condition cannot be read: reserved identifier: if"),
        ("error_rate > 0.2 and latency > 1", "column 18: 'and' is not an operator: write &&"),
        ("error_rate > 0.2 OR latency > 1", "column 18: 'OR' is not an operator: write ||"),
        ("not error_rate > 0.2", "column 1: 'not' is not an operator: write !"),
        ("error_rate > 0.2 && and", "column 21: 'and' is not an operator: write &&"),
        ("latency = 2", "column 9: '=' is not understood: write =="),
        ("latency > 2 # why", "column 13: '#' is not understood"),
        ("latency", "the condition gives no yes or no: the result is 1.0, not true or false"),
        ("latency % 2 > 1", "the condition gives no yes or no: Unsupported operation: float % float"),
        ("1 > 0", "the condition names no metric, e.g. error_rate > 0.2"),
        ("", "the condition is empty: compare a metric, e.g. error_rate > 0.2"),
        ("// latency > 1", "the condition is empty: compare a metric, e.g. error_rate > 0.2"),
        ("latency > 'x'", "column 11: metrics are numbers, a text has no place in a condition"),
        ("latency.p95 > 1", "column 8: metrics have no fields: write a name alone, e.g. latency_p95_5m"),
        ("abs(latency) > 1", "column 1: functions such as abs() are not allowed in a condition"),
        ("latency > 1 " + "+ 1" * 400, "the condition has 1,212 characters, at most 1,024 are taken"),
        ("(" * 33 + "latency" + ")" * 33, "column 33: brackets are nested deeper than 32"),
        ("!" * 129 + "(latency > 1)", "column 129: more than 128 operators: make several rules of it"),
        ("latency > " + "9" * 30, "column 11: the condition cannot be read: invalid int literal"),
    ],
)
def test_faults_say_what_where_and_what_to_do(text: str, message: str) -> None:
    assert fault(text) == message


MACROS = [
    "[1].all(x, x > 0)",
    "latency > 1 || [1] . all (x, x > 0)",
    "[1].// why\nall(x, x > 0)",
    "[1].exists // c\n (x, x > 0)",
    "[1]\n.\nexists_one\n(x, x > 0)",
    "[1].map(x, x)[0] > 0",
    "[1].filter(x, x > 0) == [1]",
    "[1].existsOne(x, x > 0)",
    "[1].transformList(i, x, x)[0] > 0",
    "cel.bind(x, latency, x > 1)",
    "has(latency.x)",
]


@pytest.mark.parametrize("text", MACROS)
def test_macros_are_refused_however_they_are_spelled(text: str) -> None:
    assert "not allowed" in fault(text) or "have no fields" in fault(text)


def test_names_are_not_checked_when_they_are_not_known() -> None:
    assert compile_condition("anything > 1", None).evaluate({}) == NoData(("anything",))


@given(st.text(alphabet="ab() .&|!<>=+-*/%?:,[]{}'\"\\\n\t/0123456789.eExXuU_éandorlmp\x00", max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_text_is_compiled_or_refused_in_no_time(text: str) -> None:
    started = time.perf_counter()
    try:
        outcome = compile_condition(text, None).evaluate({"a": 1.0, "b": 2.0})
    except ConditionFault:
        outcome = False
    assert isinstance(outcome, bool | NoData | EvaluationError)
    assert time.perf_counter() - started < 5  # a hang, not slowness, is what this finds


NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(NUMBERS, NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
@settings(max_examples=100, deadline=None)
def test_comparisons_are_those_of_python(left: float, right: float, operator: str) -> None:
    expected = eval(f"left {operator} right")
    assert compiled(f"latency {operator} throughput").evaluate({"latency": left, "throughput": right}) is expected


def test_the_words_of_a_condition_have_their_columns() -> None:
    assert [(t.kind, t.text, t.column) for t in tokens("a >= 1.5 // x\n&& (b)")] == [
        ("name", "a", 1),
        ("operator", ">=", 3),
        ("number", "1.5", 6),
        ("operator", "&&", 15),
        ("open", "(", 18),
        ("name", "b", 19),
        ("close", ")", 20),
    ]


def test_whole_numbers_become_floats_and_nothing_else_changes() -> None:
    assert with_float_literals("a1 > 2 && b >= 0x1F - 3u // 4\n|| c == 5.5e3") == (
        "a1 > 2.0 && b >= 31.0 - 3.0 // 4\n|| c == 5.5e3"
    )


def test_values_that_are_no_declared_metrics_are_names_too() -> None:
    known = vocabulary(AnalyticsConfig(metrics=[]))
    assert {"cost_usd_today", "tokens_anomaly"} <= known.names
    assert "cost_usd_today_5m" not in known.names, "it has no windows"
    assert known.broken_down(["budget"]) == {"budget_used_ratio"}
