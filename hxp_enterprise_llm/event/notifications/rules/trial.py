"""Rules put to the test: what fires of them, moment by moment, on series that are made up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.rule_tests import AlertTest, ExpectedAlert, RuleTest
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.notifications.rules.alerts import Moment
from hxp_enterprise_llm.event.notifications.rules.compiled import Rule
from hxp_enterprise_llm.event.notifications.rules.evaluation import Evaluator, evaluate
from hxp_enterprise_llm.event.notifications.rules.series import Series, snapshot_at
from hxp_enterprise_llm.event.notifications.rules.telling import Watched

Shown = tuple[dict[str, str], dict[str, str] | None]
"""Labels and annotations."""


class Mismatch(NamedTuple):
    """A moment at which other alerts fire than expected."""

    test: str
    check: AlertTest
    expected: list[str]
    got: list[str]


def try_rules(rules: Sequence[Rule], test: RuleTest, series: list[Series], every: float) -> Iterator[Mismatch]:
    """Run one test, evaluating every so many seconds."""
    evaluator, alerts, now = Evaluator(rules), dict[str, Watched](), 0.0
    interval = seconds(test.interval)
    for check in sorted(test.alert_rule_test, key=lambda check: seconds(check.eval_time)):
        while now <= seconds(check.eval_time) + 1e-9:
            snapshot = snapshot_at(series, now, interval)
            alerts = evaluate(evaluator, alerts, snapshot, Moment(now, now)).alerts
            now += every
        mismatch = _compare(test.name, check, list(alerts.values()))
        if mismatch is not None:
            yield mismatch


def _compare(test: str, check: AlertTest, alerts: list[Watched]) -> Mismatch | None:
    firing = [alert for alert in alerts if alert.state.open and alert.labels["alertname"] == check.alertname]
    got: list[Shown] = [(dict(alert.labels), _annotations(alert)) for alert in firing]
    expected: list[Shown] = [_expected(check.alertname, each) for each in check.exp_alerts]
    left = list(got)
    for labels, texts in expected:
        same = [each for each in left if each[0] == labels and texts in (None, each[1])]
        if not same:
            break
        left.remove(same[0])
    else:
        if not left:
            return None
    with_annotations = any(texts is not None for _, texts in expected)
    return Mismatch(test, check, _shown(expected, True), _shown(got, with_annotations))


def _annotations(alert: Watched) -> dict[str, str]:
    return alert.notification.alerts[0].annotations if alert.notification else {}


def _expected(name: str, each: ExpectedAlert) -> Shown:
    return {"alertname": name} | each.exp_labels, each.exp_annotations


def _shown(alerts: list[Shown], with_annotations: bool) -> list[str]:
    return sorted(
        _map(labels) + (f" annotations {_map(texts)}" if with_annotations and texts is not None else "")
        for labels, texts in alerts
    )


def _map(items: dict[str, Any]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(items.items())) + "}"
