"""Rules out of the configuration, and what one evaluation of them changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import parse
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.processing import AnalyticsConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.notifications.rules.compiled import (
    RuleFaults,
    check_rules,
    compile_rules,
    fill_in,
    fingerprint,
)
from hxp_enterprise_llm.event.notifications.rules.evaluation import ERRORS_IN_A_ROW, Evaluation, Evaluator, evaluate
from hxp_enterprise_llm.event.notifications.rules.snapshots import Snapshot, read_snapshot
from hxp_enterprise_llm.event.notifications.rules.vocabulary import vocabulary
from tests.unit.notifications.support import NAMES, NOW, config, groups, mark, moment, rule, snapshot


class Watch:
    """Rules that are evaluated at one moment after the other."""

    def __init__(self, *rules: RuleConfig) -> None:
        self.alerts: Mapping[str, Any] = {}
        self.use(*rules)

    def use(self, *rules: RuleConfig) -> None:
        self.evaluator = Evaluator(compile_rules(config(*rules), NAMES))

    def at(self, seconds: float, *, groups: dict[str, Any] | None = None, **values: Any) -> Evaluation:
        snap = read_snapshot(snapshot(NOW + seconds, groups=groups, **values).raw, NOW)
        return self._take(snap, seconds)

    def _take(self, snap: Snapshot | None, seconds: float) -> Evaluation:
        result = evaluate(self.evaluator, self.alerts, snap, moment(seconds))
        self.alerts = result.alerts
        return result

    def look(self, seconds: float) -> Evaluation:
        return self._take(None, seconds)


def kinds(result: Evaluation) -> list[tuple[str, str, str]]:
    """Rule or labels, kind and reason of all that is told."""
    return [(_who(told.notification), told.notification.kind, told.notification.reason) for told in result.told]


def _who(notification: Any) -> str:
    labels = notification.alerts[0].labels
    further = [labels[name] for name in sorted(labels) if name not in ("alertname", "severity")]
    return "/".join([labels["alertname"], *further])


def test_the_shipped_rules_are_sound() -> None:
    assert [one.name for one in compile_rules(NotificationsConfig(), vocabulary(AnalyticsConfig()))] == [
        "critical_alert",
        "performance_warning",
        "system_info",
    ]


def test_all_faults_are_told_at_once_with_their_paths() -> None:
    rules = config(
        rule("a", "eror_rate > 0.2", summary="{latency} and {latncy}"),
        rule("b"),
        rule("c", "latency > 1 and true", resolve_condition="latency <"),
        rule("d", by=["agent"]),
        rule("e", "error_rate > 1 && latency > 1", by=["model"], resolve_condition="throughput < 1"),
        rule("f", annotations={"x": "{severity} {modl}"}, by=["model"]),
    )
    with pytest.raises(RuleFaults) as caught:
        compile_rules(rules, NAMES)
    path = "real_time_notifications.notification_rules"
    assert str(caught.value).split("; real_") == [
        f"{path}[0].summary: unknown metric 'latncy' (did you mean latency?)",
        *(
            text.removeprefix("real_")
            for text in (
                f"{path}[0].condition: column 1: unknown metric 'eror_rate' (did you mean error_rate?)",
                f"{path}[2].condition: column 13: 'and' is not an operator: write &&",
                f"{path}[2].resolve_condition: column 10: the condition cannot be read: it ends where a value is"
                " expected",
                f"{path}[3].condition: error_rate is not broken down by agent: declare it in analytics.metrics[].by",
                f"{path}[4].resolve_condition: throughput is not broken down by model: declare it in"
                " analytics.metrics[].by; these are: error_rate, latency",
                f"{path}[5].annotations.x: unknown metric 'modl' (did you mean model?)",
            )
        ),
    ]
    assert check_rules(rules, NAMES) == caught.value.faults
    assert check_rules(config(rule(summary="{whatever}", by=["agent"])), None) == ()


def test_rules_in_files_stand_beside_those_of_the_service_and_faults_have_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules:\n  - {name: one, condition: latency > 1}\n")
    settings = config(rule(), directory=str(tmp_path))
    assert [one.name for one in compile_rules(settings, NAMES)] == ["critical_alert", "one"]
    (tmp_path / "b.yaml").write_text(
        "rules:\n  - name: one\n    condition: latncy > 1\n  - {name: critical_alert, condition: latency > 1}\n"
    )
    with pytest.raises(RuleFaults) as caught:
        compile_rules(settings, NAMES)
    place = tmp_path / "b.yaml"
    assert str(caught.value).split("; ") == [
        f"{place}:2:11: rules[0].name: the rule 'one' is there twice, first at {tmp_path / 'a.yaml'}:2:12",
        f"{place}:3:16: rules[0].condition: column 1: unknown metric 'latncy' (did you mean latency?)",
        f"{place}:4:12: rules[1].name: the rule 'critical_alert' is there twice, first at"
        " real_time_notifications.notification_rules[0]",
    ]


def test_rules_that_have_not_changed_are_not_compiled_again(tmp_path: Path) -> None:
    before = compile_rules(config(rule("a"), rule("b")), NAMES)
    after = compile_rules(config(rule("b"), rule("a", summary="new"), rule("c")), NAMES, before)
    assert [one.name for one in after] == ["b", "a", "c"]
    assert after[0] is before[1]
    assert after[1].config.summary == "new"


def test_a_file_of_rules_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules:\n  - {name: one, condition: latency > 1, four: 5m}\n")
    (tmp_path / "b.yaml").write_text("rules:\n  - {name: two, condition: latency > 1, for: 99999d}\n")
    with pytest.raises(ConfigFaults) as caught:
        compile_rules(config(directory=str(tmp_path)), NAMES)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path / 'a.yaml'}:2:41: rules[0].four: unknown key")
    assert second == f"{tmp_path / 'b.yaml'}:2:46: rules[0].for: must be at most 3650d, is 99999d"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("labels: {severity: x}", "notification_rules[0].labels.severity: severity is set by the rule itself"),
        ("by: [alertname]", "notification_rules[0].by[0]: alertname is set by the rule itself"),
        ("by: [model, model]", 'notification_rules[0].by[1]: "model" is there twice'),
        ("by: [model], labels: {model: x}", 'notification_rules[0].labels.model: "model" is a label of `by` already'),
        ("no_data_after: 9999d", "notification_rules[0].no_data_after: must be at most 3650d"),
    ],
)
def test_labels_that_clash_are_refused(key: str, message: str) -> None:
    text = f"real_time_notifications:\n  notification_rules:\n    - {{name: a, condition: x > 1, {key}}}\n"
    with pytest.raises(ConfigFaults, match=r"f.yaml:3:") as caught:
        parse(StreamingConfig, text, {}, name="f.yaml")
    assert message in str(caught.value)


def test_the_name_of_the_engines_own_alert_is_taken() -> None:
    text = "real_time_notifications: {notification_rules: [{name: RuleEvaluationFailing, condition: x > 1}]}"
    with pytest.raises(ConfigFaults, match="take another name"):
        parse(StreamingConfig, text, {})


def test_a_rule_stays_itself_when_only_its_words_change() -> None:
    def definition(**more: Any) -> str:
        return compile_rules(config(rule(**more)), NAMES)[0].definition

    assert definition() == definition(summary="{error_rate}", annotations={"a": "b"}, runbook_url="http://x")
    changes: list[dict[str, Any]] = [
        {"condition": "error_rate > 0.3"},
        {"for_": "1m"},
        {"keep_firing_for": "1m"},
        {"priority": "info"},
        {"channel": "sse"},
        {"resolve_condition": "error_rate < 0.1"},
        {"by": ["model"]},
        {"labels": {"team": "a"}},
        {"no_data": "ok"},
        {"no_data_after": "5m"},
    ]
    assert len({definition(), *(definition(**change) for change in changes)}) == 11


def test_fingerprints_are_of_the_labels() -> None:
    assert fingerprint({"x": "1", "y": "2"}) == fingerprint({"y": "2", "x": "1"})
    assert len({fingerprint({}), fingerprint({"x": "12"}), fingerprint({"x1": "2"}), fingerprint({"x": "1"})}) == 4
    assert fingerprint({"agent": "\udc80"}) != fingerprint({"agent": "\udc81"})


def test_a_text_is_filled_in() -> None:
    values = {"error_rate": 0.31415926, "latency": None}
    assert fill_in("{error_rate} {latency} {other} {}", values) == "0.314159 no value no value {}"
    assert fill_in("{agent}: {error_rate}", values, {"agent": "{latency}"}) == "{latency}: 0.314159"


def test_an_alert_that_fires_is_told_with_all_there_is_to_know() -> None:
    watch = Watch(
        rule(
            summary="error rate {error_rate}",
            channel="sse",
            labels={"team": "llm"},
            annotations={"dashboard": "of {team}"},
            runbook_url="https://runbooks.example.org/errors",
        )
    )
    result = watch.at(0, error_rate=0.5)
    (told,) = result.told
    key = mark(team="llm")
    assert told.choice == "sse"
    assert told.notification.id == f"{key}-{int(NOW * 1000)}.firing"
    assert (told.notification.text, told.notification.values) == ("error rate 0.5", {"error_rate": 0.5})
    assert (told.notification.rule, told.notification.condition) == ("critical_alert", "error_rate > 0.2")
    assert told.notification.alerts[0].labels == {
        "alertname": "critical_alert", "severity": "critical", "team": "llm",
    }  # fmt: skip
    assert told.notification.alerts[0].annotations == {
        "summary": "error rate 0.5",
        "runbook_url": "https://runbooks.example.org/errors",
        "dashboard": "of llm",
    }
    assert result.alerts[key].state.phase == "firing"
    assert result.changed == (result.alerts[key],)


def test_a_rule_without_a_summary_says_the_values() -> None:
    assert Watch(rule()).at(0, error_rate=0.5, latency=9).told[0].notification.text == "error_rate is 0.5"


def test_nothing_changes_while_nothing_happens() -> None:
    watch = Watch(rule(), rule("quiet", "latency > 1"))
    watch.at(0, error_rate=0.5, latency=0)
    result = watch.at(1, error_rate=0.6, latency=0)
    assert (result.changed, result.told, result.dropped) == ((), (), ())
    assert result.alerts[mark()].values == {"error_rate": 0.6}


def test_a_rule_is_looked_at_again_only_when_a_value_has_changed_or_time_matters() -> None:
    watch = Watch(rule("still", "latency > 1"), rule("waits", "error_rate > 0.2", for_="2s"))
    watch.at(0, error_rate=0.5, latency=0)
    assert set(watch.at(1, error_rate=0.5, latency=0).outcomes) == {"waits"}
    assert kinds(watch.at(2, error_rate=0.5, latency=0)) == [("waits", "firing", "")]
    assert kinds(watch.at(3, error_rate=0.5, latency=2)) == [("still", "firing", "")]


def test_what_could_not_be_stored_is_looked_at_again() -> None:
    watch = Watch(rule())
    watch.at(0, error_rate=0.1)
    begun = watch.evaluator.begin({}, read_snapshot(snapshot(NOW, error_rate=0.5).raw, NOW), moment(1))
    assert list(begun.stretches()) is not None
    assert len(begun.result().told) == 1
    watch.evaluator.doubt()
    assert len(watch.at(2, error_rate=0.5).told) == 1


def test_a_rule_that_is_removed_resolves_its_alert() -> None:
    watch = Watch(rule(), rule("quiet"))
    watch.at(0, error_rate=0.5)
    watch.use(rule("other", "latency > 1"))
    result = watch.at(5, latency=0)
    assert kinds(result) == [("critical_alert", "resolved", "rule_changed"), ("quiet", "resolved", "rule_changed")]
    assert set(result.dropped) == {mark(), mark("quiet")}


def test_a_rule_that_is_edited_begins_anew() -> None:
    watch = Watch(rule())
    watch.at(0, error_rate=0.5)
    watch.use(rule(condition="error_rate > 0.3"))
    result = watch.at(5, error_rate=0.5)
    assert [(told.notification.kind, told.notification.condition) for told in result.told] == [
        ("resolved", "error_rate > 0.2"),
        ("firing", "error_rate > 0.3"),
    ]
    assert result.told[0].notification.episode != result.told[1].notification.episode
    assert result.dropped == ()


def test_a_rule_edited_while_pending_is_forgotten_in_silence() -> None:
    watch = Watch(rule(for_="1m"))
    assert kinds(watch.at(0, error_rate=0.5)) == [("critical_alert", "pending", "")]
    watch.use(rule(for_="2m"))
    result = watch.at(5, error_rate=0.1)
    assert (result.told, result.alerts, result.dropped) == ((), {}, (mark(),))


def test_without_a_snapshot_only_the_rules_are_looked_at() -> None:
    watch = Watch(rule())
    watch.at(0, error_rate=0.5)
    assert (watch.look(1).outcomes, set(watch.look(1).alerts)) == ({}, {mark()})


def test_each_label_set_has_an_alert_of_its_own() -> None:
    watch = Watch(rule(by=["model"], for_="2s"))
    watch.at(0, groups=groups(error_rate={"model=a": 0.5, "model=b": 0.1}))
    result = watch.at(2, groups=groups(error_rate={"model=a": 0.5, "model=b": 0.6, "model=c": 0}))
    assert kinds(result) == [("critical_alert/a", "firing", ""), ("critical_alert/b", "pending", "")]
    alert = result.told[0].notification.alerts[0]
    assert alert.labels == {"alertname": "critical_alert", "severity": "critical", "model": "a"}
    assert (alert.fingerprint, alert.values) == (mark(model="a"), {"error_rate": 0.5})
    assert alert.annotations["summary"] == "error_rate is 0.5 for model=a"
    assert set(result.alerts) == {mark(model="a"), mark(model="b")}


def test_only_label_sets_of_exactly_these_labels_count() -> None:
    watch = Watch(rule(by=["model"]), rule("both", by=["model", "agent"]))
    result = watch.at(0, groups=groups(error_rate={"model=a": 0.5, "agent=x model=a": 0.7, "agent=x": 0.9}))
    assert kinds(result) == [("critical_alert/a", "firing", ""), ("both/x/a", "firing", "")]


def test_a_label_set_needs_a_value_of_each_metric() -> None:
    watch = Watch(rule(condition="error_rate > 0.2 && latency > 1", by=["model"]))
    found = groups(error_rate={"model=a": 0.5, "model=b": 0.5}, latency={"model=b": 9})
    assert kinds(watch.at(0, groups=found)) == [("critical_alert/b", "firing", "")]


def test_a_label_set_that_vanishes_while_others_report_resolves_after_the_grace() -> None:
    watch = Watch(rule(by=["model"], no_data_after="10s"))
    watch.at(0, groups=groups(error_rate={"model=a": 0.5, "model=b": 0.1}))
    assert kinds(watch.at(1, groups=groups(error_rate={"model=b": 0.1}))) == []
    assert kinds(watch.at(11, groups=groups(error_rate={"model=b": 0.1}))) == [
        ("critical_alert/a", "resolved", "missing_series")
    ]
    assert watch.alerts == {}


def test_when_no_label_set_reports_the_rule_says_what_becomes_of_them() -> None:
    watch = Watch(
        rule("keep", by=["model"], no_data_after="10s"),
        rule("ok", by=["model"], no_data_after="10s", no_data="ok"),
        rule("alert", by=["model"], no_data_after="10s", no_data="alert"),
    )
    watch.at(0, groups=groups(error_rate={"model=a": 0.5}))
    assert kinds(watch.at(1)) == []
    assert kinds(watch.at(11)) == [("ok/a", "resolved", "no_data")]
    assert kinds(watch.at(12, groups=groups(error_rate={"model=a": 0.1}))) == [
        ("keep/a", "resolved", ""),
        ("alert/a", "resolved", ""),
    ]
    assert kinds(watch.at(13)) == []
    assert kinds(watch.at(23)) == [("alert", "firing", "no_data")]
    assert kinds(watch.at(24, groups=groups(error_rate={"model=z": 0.1}))) == [("alert", "resolved", "")]
    assert watch.alerts == {}


def test_more_label_sets_than_allowed_are_an_error_and_change_nothing() -> None:
    watch = Watch(rule(by=["model"], limit=2))
    watch.at(0, groups=groups(error_rate={"model=a": 0.5}))
    result = watch.at(1, groups=groups(error_rate={"model=a": 0.1, "model=b": 0.9, "model=c": 0.9}))
    assert str(result.outcomes["critical_alert"]) == "3 label sets, at most 2 are allowed (limit)"
    assert (result.told, set(result.alerts)) == ((), {mark(model="a")})


def test_a_rule_that_fails_again_and_again_is_told_once_and_ends() -> None:
    watch = Watch(rule(condition="latency / throughput > 1"), rule("fine"))
    told = [kinds(watch.at(second, latency=0, throughput=0, error_rate=0)) for second in range(ERRORS_IN_A_ROW + 5)]
    assert [second for second, one in enumerate(told) if one] == [ERRORS_IN_A_ROW - 1]
    assert told[ERRORS_IN_A_ROW - 1] == [("RuleEvaluationFailing/critical_alert", "firing", "")]
    alert = next(iter(watch.alerts.values())).notification.alerts[0]
    assert "the rule critical_alert cannot be evaluated: " in alert.annotations["summary"]
    assert kinds(watch.look(30)) == []
    assert kinds(watch.at(40, latency=0, throughput=1, error_rate=0)) == [
        ("RuleEvaluationFailing/critical_alert", "resolved", "")
    ]


def test_the_alert_about_a_failing_rule_ends_with_the_rule() -> None:
    watch = Watch(rule(condition="latency / throughput > 1"))
    for second in range(ERRORS_IN_A_ROW):
        watch.at(second, latency=0, throughput=0)
    watch.use(rule("other"))
    assert kinds(watch.look(20)) == [("RuleEvaluationFailing/critical_alert", "resolved", "rule_changed")]


def test_a_clear_condition_of_its_own_keeps_an_alert_from_flapping() -> None:
    watch = Watch(rule(condition="latency > 2000", resolve_condition="latency < 1000", keep_firing_for="5s"))
    told = []
    for second, latency in enumerate([2500, 1500, 900, 900, 1500, 900, 900, 900, 900, 900, 900]):
        told += [(second, *kind) for kind in kinds(watch.at(second, latency=latency))]
    assert told == [(0, "critical_alert", "firing", ""), (10, "critical_alert", "resolved", "")]
