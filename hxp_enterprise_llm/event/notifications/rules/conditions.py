"""Conditions of rules: CEL over the metrics, checked in full when a rule is loaded, never an exception afterwards.

The guards come before the compiler: it can be crashed by long or deep text, and its comprehension macros have no
budget. A condition is comparisons, arithmetic and logic over metric names; there are no functions and no texts.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.event.notifications.rules.tokens import Token, tokens, with_float_literals

# The package imports its command line, and with it a terminal's whole tool box: a tenth of a second of each start.
_NO_COMMANDS = ModuleType("cel.cli")
sys.modules.setdefault("cel.cli", _NO_COMMANDS)
import cel  # noqa: E402

if sys.modules["cel.cli"] is _NO_COMMANDS:  # whoever wants it gets the real one
    del sys.modules["cel.cli"]

MAX_LENGTH = 1024
MAX_NESTING = 32
MAX_OPERATORS = 128
_MACROS = frozenset(
    [
        "all",
        "exists",
        "exists_one",
        "existsOne",
        "map",
        "filter",
        "transformList",
        "transformMap",
        "transformMapEntry",
        "optMap",
        "optFlatMap",
        "bind",
        "has",
    ]
)
_WORDS = {"and": "&&", "or": "||", "not": "!"}
_SIGNS = {"=": "==", "&": "&&", "|": "||"}
_CONSTANTS = frozenset({"true", "false", "in", "null"})
_TRIALS = (1.0, 0.001, 700.0)


class ConditionFault(Exception):
    """A condition that is refused when it is loaded. `column` counts from 1; None when no place is to blame."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message, column)
        self.message, self.column = message, column

    def __str__(self) -> str:
        return self.message if self.column is None else f"column {self.column}: {self.message}"


class NoData(NamedTuple):
    """The condition could not be decided: these metrics are missing or have no value."""

    metrics: tuple[str, ...]
    vanished: bool = False
    """It is this label set alone that has none: others report."""

    def __str__(self) -> str:
        return f"no value for {', '.join(self.metrics)}"


class EvaluationError(NamedTuple):
    """The condition failed on these values."""

    reason: str

    def __str__(self) -> str:
        return self.reason


Outcome = bool | NoData | EvaluationError


class Inputs:
    """The values that conditions are decided over, made ready once for all of them. Not thread-safe."""

    __slots__ = ("context", "numbers")

    def __init__(self, numbers: Mapping[str, float | None]) -> None:
        self.numbers = numbers
        # What converts values for the evaluator costs more than the evaluation: once a tick, not once a rule.
        self.context = cel.Context({name: value for name, value in numbers.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. Not thread-safe."""

    text: str
    metrics: tuple[str, ...]
    """Names that it reads, in the order of their first appearance."""
    program: cel.Program

    def evaluate(self, values: Mapping[str, object]) -> Outcome:
        """Decide over the values of one snapshot. Missing, null and NaN inputs answer NoData; never raises."""
        return self.decide(Inputs(self.observed(values)))

    def decide(self, inputs: Inputs) -> Outcome:
        """As `evaluate`, over values that were made ready."""
        numbers = inputs.numbers
        for name in self.metrics:
            if numbers.get(name) is None:
                return NoData(tuple(name for name in self.metrics if numbers.get(name) is None))
        outcome = _execute(self.program, inputs.context)
        if isinstance(outcome, EvaluationError):
            seen = ", ".join(f"{name} = {numbers[name]:g}" for name in self.metrics)
            return EvaluationError(f"{outcome.reason} (with {seen})")
        return outcome

    def observed(self, values: Mapping[str, object]) -> dict[str, float | None]:
        """The values that it reads, as they are shown beside an alert."""
        return {name: number(values.get(name)) for name in self.metrics}


def number(value: object) -> float | None:
    """A metric's value as a finite or infinite float; None for everything that is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if math.isnan(value) else float(value)


def _execute(program: cel.Program, context: cel.Context) -> bool | EvaluationError:
    try:
        result = program.execute(context)
    except (TypeError, ValueError, ArithmeticError, RuntimeError, LookupError) as error:
        # These are what the evaluator raises for operands that do not fit; its text begins with the useful sentence.
        return EvaluationError(str(error).split(". ")[0].rstrip("."))
    if isinstance(result, bool):
        return result
    return EvaluationError(f"the result is {result!r}, not true or false")


def compile_condition(text: str, names: frozenset[str] | None) -> Condition:
    """Check and compile a condition. `names`: the metrics that exist; None when they are not known here.

    Raises ConditionFault.
    """
    words = _checked_tokens(text)
    _compile(text)  # the text as it was written, so that a syntax error has its column
    program = _compile(with_float_literals(text))
    metrics = _metrics(words, names)
    condition = Condition(text, metrics, program)
    _try_out(condition)
    return condition


def _checked_tokens(text: str) -> Sequence[Token]:
    if len(text) > MAX_LENGTH:
        raise ConditionFault(f"the condition has {len(text):,} characters, at most {MAX_LENGTH:,} are taken")
    words = list(tokens(text))
    if not words:
        raise ConditionFault("the condition is empty: compare a metric, e.g. error_rate > 0.2")
    _check_size(words)
    for word, following in zip(words, [*words[1:], None], strict=True):
        _check_token(word, following)
    return words


def _check_size(words: Sequence[Token]) -> None:
    depth = operators = 0
    for word in words:
        depth += (word.kind == "open") - (word.kind == "close")
        operators += word.kind == "operator"
        if depth > MAX_NESTING:
            raise ConditionFault(f"brackets are nested deeper than {MAX_NESTING}", word.column)
        if operators > MAX_OPERATORS:
            raise ConditionFault(f"more than {MAX_OPERATORS} operators: make several rules of it", word.column)


def _check_token(word: Token, following: Token | None) -> None:
    if word.kind == "text":
        raise ConditionFault("metrics are numbers, a text has no place in a condition", word.column)
    if word.kind == "other":
        hint = f": write {_SIGNS[word.text]}" if word.text in _SIGNS else ""
        raise ConditionFault(f"{word.text!r} is not understood{hint}", word.column)
    calls = following is not None and following.text in _MACROS
    if word.kind == "operator" and word.text == "." and not calls:
        raise ConditionFault("metrics have no fields: write a name alone, e.g. latency_p95_5m", word.column)
    if word.kind != "name":
        return
    if word.text.lower() in _WORDS:
        raise ConditionFault(f"{word.text!r} is not an operator: write {_WORDS[word.text.lower()]}", word.column)
    if following is not None and following.text == "(":
        what = "macros such as" if word.text in _MACROS else "functions such as"
        raise ConditionFault(f"{what} {word.text}() are not allowed in a condition", word.column)


_IN_OUR_WORDS = (
    (re.compile("mismatched input '<EOF>'"), "it ends where a value is expected"),
    (re.compile("(?:mismatched|extraneous) input ('.*?')"), r"\1 is not expected here"),
)
_PERCENT = re.compile(r"\d\s*%\s*($|[&|)])")
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")


def _compile(text: str) -> cel.Program:
    try:
        return cel.compile(text)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the compiler is no Exception
        raise _syntax_fault(text, str(error)) from None


def _syntax_fault(text: str, error: str) -> ConditionFault:
    match = _PLACE.search(error)
    if not match:
        return ConditionFault(f"the condition cannot be read: {error.splitlines()[0] if error else 'compiler failed'}")
    line, column, message = int(match[1]), int(match[2]), match[3]
    before = sum(len(part) + 1 for part in text.split("\n")[: line - 1])
    message = message.split(" expecting ")[0].removeprefix("Syntax error: ")
    for theirs, ours in _IN_OUR_WORDS:
        message = theirs.sub(ours, message)
    share = "; a share is written as 0.2, not as 20%" if _PERCENT.search(text) else ""
    return ConditionFault(f"the condition cannot be read: {message}{share}", before + column)


def _metrics(words: Sequence[Token], names: frozenset[str] | None) -> tuple[str, ...]:
    found = {word.text: word.column for word in reversed(words) if word.kind == "name" and word.text not in _CONSTANTS}
    if not found:
        raise ConditionFault("the condition names no metric, e.g. error_rate > 0.2")
    ordered = tuple(sorted(found, key=found.__getitem__))
    for name in ordered:
        if names is not None and name not in names:
            raise ConditionFault(f"unknown metric {name!r}{suggestion(name, names)}", found[name])
    return ordered


def _try_out(condition: Condition) -> None:
    """What fails on its types fails on any values: better at load than in the night. 0/0 fails on some only."""
    outcomes = [
        _execute(
            condition.program,
            Inputs({name: base * 3.0**place for place, name in enumerate(condition.metrics)}).context,
        )
        for base in _TRIALS
    ]
    failed = [outcome for outcome in outcomes if isinstance(outcome, EvaluationError)]
    if len(failed) == len(outcomes):
        raise ConditionFault(f"the condition gives no yes or no: {failed[0].reason}")
