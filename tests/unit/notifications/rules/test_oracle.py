"""`for`, `keep_firing_for` and label sets against Prometheus' own rule engine, on random series."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.event.notifications.rules.alerts import Moment
from hxp_enterprise_llm.event.notifications.rules.compiled import compile_rules
from hxp_enterprise_llm.event.notifications.rules.evaluation import Evaluator, evaluate
from hxp_enterprise_llm.event.notifications.rules.snapshots import LabelledValue, Snapshot
from tests.unit.notifications.support import NAMES, NOW, config

MINUTE = 60


class Case(NamedTuple):
    """A rule, and by label set a value for each minute; None: the series is not there."""

    hold: int
    keep: int
    series: dict[str, list[float | None]]


def runs(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Series that stay the same for a while."""
    run = st.tuples(values, st.integers(1, 5)).map(lambda pair: [pair[0]] * pair[1])
    return st.lists(run, min_size=4, max_size=10).map(lambda parts: [x for part in parts for x in part][:20])


DURATIONS = st.integers(0, 290)
STEADY = st.builds(Case, DURATIONS, DURATIONS, st.fixed_dictionaries({"a": runs(st.sampled_from([0.3, 0.1]))}))
GAPS = st.sampled_from([0.3, 0.1, None])
COMING_AND_GOING = st.builds(
    Case, DURATIONS, st.just(0), st.fixed_dictionaries({name: runs(GAPS) for name in ("a", "b", "c")})
)


@settings(max_examples=30, deadline=None)
@given(st.lists(STEADY, min_size=8, max_size=16))
def test_firing_agrees_with_prometheus(cases: list[Case]) -> None:
    compare(cases)


@settings(max_examples=30, deadline=None)
@given(st.lists(COMING_AND_GOING, min_size=5, max_size=10))
def test_label_sets_that_come_and_go_agree_with_prometheus(cases: list[Case]) -> None:
    compare(cases)


def compare(cases: list[Case]) -> None:
    """Prometheus is asked whether it sees what we see, minute by minute."""
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: install the package prometheus"
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": f'm{number}{{model="{name}"}}', "values": " ".join(map(_notation, values))}
                    for number, case in enumerate(cases)
                    for name, values in case.series.items()
                ],
                "alert_rule_test": [check for number, case in enumerate(cases) for check in _seen(number, case)],
            }
        ],
    }
    rules = [
        {
            "alert": f"a{number}",
            "expr": f"m{number} > 0.2",
            "for": f"{case.hold}s",
            "keep_firing_for": f"{case.keep}s",
        }
        for number, case in enumerate(cases)
    ]
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
        Path(directory, "test.yml").write_text(json.dumps(document))
        command = [promtool, "test", "rules", f"{directory}/test.yml"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def _notation(value: float | None) -> str:
    return "stale" if value is None else str(value)


def _seen(number: int, case: Case) -> list[dict[str, Any]]:
    """What our engine has firing at each minute. Without a value Prometheus forgets at once, and so do we here."""
    rule = RuleConfig(
        name=f"a{number}",
        condition="error_rate > 0.2",
        by=["model"],
        for_=f"{case.hold}s",
        keep_firing_for=f"{case.keep}s",
        no_data="ok",
        no_data_after="0s",
    )
    evaluator = Evaluator(compile_rules(config(rule), NAMES))
    alerts: Any = {}
    checks = []
    longest = max(map(len, case.series.values()))
    for minute in range(longest):
        # Series that have ended keep their last value for some minutes there: only the common time is compared.
        values = {name: series[minute] if minute < len(series) else None for name, series in case.series.items()}
        if any(minute >= len(series) for series in case.series.values()):
            break
        groups = [LabelledValue({"model": name}, value) for name, value in values.items() if value is not None]
        snapshot = Snapshot(NOW + minute * MINUTE, {}, {"error_rate": groups})
        alerts = evaluate(evaluator, alerts, snapshot, Moment(snapshot.at, minute * MINUTE)).alerts
        firing = sorted(alert.labels["model"] for alert in alerts.values() if alert.state.open)
        expected = [{"exp_labels": {"alertname": f"a{number}", "model": model}} for model in firing]
        checks.append({"eval_time": f"{minute}m", "alertname": f"a{number}", "exp_alerts": expected})
    return checks
