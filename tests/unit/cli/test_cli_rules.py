"""`hxp rules lint|test|dry-run`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Hxp = Callable[..., Result]

RULES = """\
rules:
  - name: errors
    condition: error_rate > 0.2
    for: 2m
    keep_firing_for: 3m
    by: [model]
    summary: "{model} fails"
    labels: {team: llm}
"""
TESTS = """\
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
  - name: a burst
    interval: 1m
    input_series:
      - series: error_rate{model="a"}
        values: 0.3x3 0.1x10
      - series: 'error_rate{model="b"}'
        values: 0.1x13
    alert_rule_test:
      - {eval_time: 1m, alertname: errors}
      - eval_time: 2m
        alertname: errors
        exp_alerts:
          - exp_labels: {severity: warning, model: a, team: llm}
            exp_annotations: {summary: a fails}
      - eval_time: 6m
        alertname: errors
        exp_alerts: [{exp_labels: {severity: warning, model: a, team: llm}}]
      - {eval_time: 7m, alertname: errors}
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(RULES)
    return tmp_path


def ran(hxp: Hxp, text: str) -> Result:
    Path("tests.yaml").write_text(text)
    return hxp("rules", "test", "tests.yaml")


def test_tests_that_pass(hxp: Hxp) -> None:
    result = ran(hxp, TESTS)
    assert (result.exit_code, result.stderr, result.stdout) == (0, "", "tests.yaml\n  SUCCESS: 1 test\n")


def test_a_test_that_fails_shows_what_was_expected_and_what_came(hxp: Hxp) -> None:
    text = TESTS.replace("a fails", "b fails").replace("eval_time: 7m", "eval_time: 5m")
    result = ran(hxp, text)
    assert result.exit_code == 1
    labels = '{alertname="errors", model="a", severity="warning", team="llm"}'
    assert result.stderr.splitlines() == [
        "  FAILED: a burst: errors at 2m",
        f'    exp: {labels} annotations {{summary="b fails"}}',
        f'    got: {labels} annotations {{summary="a fails"}}',
        "  FAILED: a burst: errors at 5m",
        "    exp: nothing",
        f"    got: {labels}",
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("0.3x3", "0.3y3", "tests.yaml:8:17: tests[0].input_series[0].values: '0.3y3' is no value: write numbers,"),
        ("0.3x3", "0.3+1", "'0.3+1' lacks how often: write 0.3+1x5"),
        ("0.3x3", "0.3x999999", "more than 100,000 values"),
        ('{model="a"}', '{model=\\"a}', "the labels of "),
        (
            "1m, alertname: errors",
            "1m, alertname: erors",
            "tests.yaml:12:36: tests[0].alert_rule_test[0].alertname",
        ),
        ("[rules.yaml]", "[rule.yaml]", "tests.yaml:1:14: rule_files[0]: there is no file rule.yaml"),
        ("rule_files: [rules.yaml]", "", "rule_files: is missing: a file of tests has both"),
        ("interval: 1m\n    input", "intervall: 1m\n    input", "tests.yaml:5:5: tests[0].intervall: unknown key"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(hxp: Hxp, old: str, new: str, fault: str) -> None:
    assert old in TESTS
    result = ran(hxp, TESTS.replace(old, new, 1))
    assert result.exit_code == 78
    assert fault in result.stderr


def test_a_rule_that_cannot_be_used_is_refused_with_its_place(hxp: Hxp) -> None:
    Path("rules.yaml").write_text(RULES.replace("> 0.2", "> 0.2 and 1"))
    result = ran(hxp, TESTS)
    assert result.exit_code == 78
    assert result.stderr.startswith("rules.yaml:3:16: rules[0].condition: column 18: 'and' is not an operator")


WORDS = st.sampled_from(["0.3", "0.1", "_", "stale", "0.1x3", "0.3x2", "0.1+0.05x4", "0.4-0.1x3", "_x2", "_x6"])
SERIES = st.dictionaries(st.sampled_from("abc"), st.lists(WORDS, min_size=1, max_size=7), min_size=1)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SERIES, st.sampled_from(["0s", "90s", "2m"]), st.sampled_from(["30s", "1m", "2m"]))
def test_series_mean_what_they_mean_to_prometheus(
    hxp: Hxp, given: dict[str, list[str]], hold: str, interval: str
) -> None:
    """What fires with us, minute by minute, is written down as expected: both tools find it so."""
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: install the package prometheus"
    series = [{"series": f'error_rate{{model="{name}"}}', "values": " ".join(words)} for name, words in given.items()]
    ours = {"name": "errors", "condition": "error_rate > 0.2", "by": ["model"], "for": hold}
    Path("rules.yaml").write_text(yaml.safe_dump({"rules": [ours | {"no_data": "ok", "no_data_after": "0s"}]}))
    theirs = {"alert": "errors", "expr": "error_rate > 0.2", "for": hold, "labels": {"severity": "warning"}}
    Path("theirs.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [theirs]}]}))

    def document(firing: dict[int, list[str]], rules: str) -> str:
        checks = [
            {
                "eval_time": f"{minute}m",
                "alertname": "errors",
                "exp_alerts": [{"exp_labels": {"model": model, "severity": "warning"}} for model in models],
            }
            for minute, models in firing.items()
        ]
        test = {"interval": interval, "input_series": series, "alert_rule_test": checks}
        return json.dumps({"rule_files": [rules], "evaluation_interval": "1m", "tests": [test]})

    firing: dict[int, list[str]] = {minute: [] for minute in range(16)}
    minute = 0
    for line in ran(hxp, document(firing, "rules.yaml")).stderr.splitlines():
        minute = int(line.split()[-1][:-1]) if line.startswith("  FAILED") else minute
        firing[minute] += re.findall(r'model="(.)"', line)
    assert ran(hxp, document(firing, "rules.yaml")).exit_code == 0
    Path("theirs-test.yaml").write_text(document(firing, "theirs.yaml"))
    asked = subprocess.run([promtool, "test", "rules", "theirs-test.yaml"], capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stdout + asked.stderr


def linted(hxp: Hxp, *rules: dict[str, Any]) -> tuple[int, list[str]]:
    Path("r.yaml").write_text(json.dumps({"rules": list(rules)}))
    result = hxp("rules", "lint", "r.yaml")
    return result.exit_code, [line.partition("].")[2] for line in result.stderr.splitlines()]


def one(condition: str, **more: Any) -> dict[str, Any]:
    return {"name": "r", "condition": condition, "summary": "s", "for": "1m"} | more


@pytest.mark.parametrize(
    ("rule", "doubts"),
    [
        (one("error_rate > 0.2"), []),
        (one("error_rate > 0.2", summary=""), ["name: has no summary: people read the values alone"]),
        (one("error_rate > 1"), ["condition: can never fire: error_rate lies between 0 and 1"]),
        (one("error_rate_5m >= 20 && latency > 1"), ["condition: can never fire: error_rate_5m lies between 0 and 1"]),
        (one("cpu_percent > 100.0"), ["condition: can never fire: cpu_percent lies between 0 and 100"]),
        (one("request_rate >= 0.0"), ["condition: always fires: request_rate is never below 0"]),
        (one("error_rate > 0.2 && error_rate < 0.1"), ["condition: can never fire: error_rate lies between 0 and 1"]),
        (one("latency > tokens"), []),
        (one("error_rate * 100 > 20"), []),
        (one("latency > 100 - 3"), []),
        (
            one("latency > 100", **{"for": "0s"}),
            ["condition: latency is a quantile: without `for` one slow request among few makes it fire"],
        ),
        (
            one("latency > 100", resolve_condition="latency < 120"),
            ["resolve_condition: may hold while the condition does: leave a gap between the two"],
        ),
        (
            one("error_rate > 0.5", resolve_condition="error_rate < 0"),
            ["resolve_condition: can never hold, so that the alert never ends: error_rate lies between 0 and 1"],
        ),
        (
            one("error_rate > 0.5", by=["model"], limit=3),
            ["by: error_rate may have 25 label sets; beyond 3 (limit) the rule fails"],
        ),
    ],
)
def test_what_is_doubtful_is_said(hxp: Hxp, rule: dict[str, Any], doubts: list[str]) -> None:
    assert linted(hxp, rule) == (0, doubts)


def test_all_faults_of_all_files_are_said_with_their_places(hxp: Hxp) -> None:
    Path("a.yaml").write_text("rules:\n  - {name: errors, condition: eror_rate > 1, summary: '{x}'}\n")
    Path("b.yaml").write_text("rules:\n  - {name: z, condition: x, four: 1}\n")
    result = hxp("rules", "lint", "rules.yaml", "a.yaml", "b.yaml")
    assert result.exit_code == 78
    assert result.stderr.splitlines() == [
        "a.yaml:2:12: rules[0].name: the rule 'errors' is there twice, first at rules.yaml:2:11",
        "a.yaml:2:55: rules[0].summary: unknown metric 'x'",
        "a.yaml:2:31: rules[0].condition: column 1: unknown metric 'eror_rate' (did you mean error_rate?)",
        "b.yaml:2:29: rules[0].four: unknown key (did you mean for?)",
    ]


def test_the_metrics_are_those_of_event_processing(hxp: Hxp) -> None:
    Path("p.yaml").write_text("analytics: {metrics: [{name: mine, types: ['*'], kind: count}]}")
    assert hxp("rules", "lint", "rules.yaml", "--processing-config", "p.yaml").exit_code == 78
    Path("rules.yaml").write_text("rules: [{name: a, condition: mine > 1, summary: s}]")
    result = hxp("rules", "lint", "rules.yaml", "--processing-config", "p.yaml")
    assert (result.exit_code, result.stdout) == (0, "1 rule, 0 warnings\n")


def test_the_configuration_of_the_gateway_is_read_as_well(hxp: Hxp) -> None:
    Path("data-streaming-api.yaml").write_text(
        "real_time_notifications:\n  notification_rules:\n    - {name: a, condition: latncy > 1}\n"
    )
    result = hxp("rules", "lint", "data-streaming-api.yaml")
    place = "data-streaming-api.yaml:3:28: real_time_notifications.notification_rules[0].condition"
    assert result.stderr == f"{place}: column 1: unknown metric 'latncy' (did you mean latency?)\n"


def test_a_file_without_rules_says_which_are_looked_at(hxp: Hxp) -> None:
    Path("none.yaml").write_text("# nothing yet\n")
    result = hxp("rules", "lint", "none.yaml")
    assert result.exit_code == 0
    assert result.stderr.startswith("none.yaml has no rules: the shipped ones hold, and are looked at\nWARNING ")
    Path("empty.yaml").write_text("rules: []\n")
    result = hxp("rules", "lint", "empty.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "0 rules, 0 warnings\n", "")
    Path("one.yaml").write_text(RULES)
    assert "has no rules" not in hxp("rules", "lint", "one.yaml").stderr


def test_a_dry_run_without_a_service_says_what_to_do(hxp: Hxp) -> None:
    result = hxp("rules", "dry-run", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 69
    assert "Start it with `hxp up`" in result.stderr


def test_a_span_that_is_none_is_refused(hxp: Hxp) -> None:
    result = hxp("rules", "dry-run", "--since", "yesterday")
    assert (result.exit_code, "'yesterday' is no duration" in result.stderr) == (2, True)
