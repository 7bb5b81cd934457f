"""Files of tests for rules, in the shape that `promtool test rules` reads."""

from __future__ import annotations

from typing import Annotated

from hxp_enterprise_llm.config.types import Duration, Section, about


class InputSeries(Section, frozen=True, kw_only=True):
    """A metric over time."""

    series: Annotated[str, about('Name, with labels for a label set: `error_rate{model="a"}`', min_length=1)]
    values: Annotated[str, about("One a step: numbers, `_`, `stale`, `1x9`, `0.1+0.05x4`", min_length=1)]


class ExpectedAlert(Section, frozen=True, kw_only=True):
    """An alert that is to fire."""

    exp_labels: Annotated[dict[str, str], about("All labels but alertname")] = {}
    exp_annotations: Annotated[dict[str, str] | None, about("All annotations; left out: whatever they are")] = None


class AlertTest(Section, frozen=True, kw_only=True):
    """What fires of a rule at one moment."""

    eval_time: Annotated[Duration, about("Time since the first step")]
    alertname: Annotated[str, about("Name of the rule", min_length=1)]
    exp_alerts: Annotated[list[ExpectedAlert], about("What is to fire; nothing: nothing")] = []


class RuleTest(Section, frozen=True, kw_only=True):
    """Series, and what they are to make fire."""

    name: Annotated[str, about("Name that is shown when it fails")] = ""
    interval: Annotated[Duration, about("Time between two values of the series")] = "1m"
    input_series: Annotated[list[InputSeries], about("The metrics")] = []
    alert_rule_test: Annotated[list[AlertTest], about("What is to fire, and when", min_length=1)]


class RuleTestFile(Section, frozen=True, kw_only=True):
    """Tests of the rules of some files."""

    rule_files: Annotated[
        list[str], about("Files of rules or of a service, beside this one; * stands for any", min_length=1)
    ] = []
    evaluation_interval: Annotated[Duration, about("Time between two evaluations")] = "1m"
    tests: Annotated[list[RuleTest], about("The tests", min_length=1)] = []
