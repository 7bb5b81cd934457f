"""Rules out of the configuration, and what one evaluation of them changes."""

from __future__ import annotations

import pytest

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.notifications.evaluation import StoredAlert, Watched, evaluate, restore
from hxp_enterprise_llm.event.notifications.rules import RuleFaults, check_rules, compile_rules, fill_in, fingerprint
from tests.unit.notifications.support import NAMES, NOW, config, moment, rule


def test_the_shipped_rules_are_sound() -> None:
    assert [one.name for one in compile_rules(NotificationsConfig(), NAMES)] == [
        "critical_alert",
        "performance_warning",
        "system_info",
    ]


def test_all_faults_are_told_at_once_with_their_paths() -> None:
    rules = config(
        rule("a", "eror_rate > 0.2", summary="{latency} and {latncy}"), rule("b"), rule("c", "latency > 1 and true")
    )
    with pytest.raises(RuleFaults) as caught:
        compile_rules(rules, NAMES)
    path = "real_time_notifications.notification_rules"
    assert str(caught.value).split("; ") == [
        f"{path}[0].summary: unknown metric 'latncy' (did you mean latency?)",
        f"{path}[0].condition: column 1: unknown metric 'eror_rate' (did you mean error_rate?)",
        f"{path}[2].condition: column 13: 'and' is not an operator: write &&",
    ]
    assert check_rules(rules, NAMES) == caught.value.faults
    assert check_rules(config(rule(summary="{whatever}")), None) == ()


def test_a_rule_stays_itself_when_only_its_words_change() -> None:
    def definition(**more: str) -> str:
        return compile_rules(config(rule(**more)), NAMES)[0].definition

    assert definition() == definition(summary="{error_rate}")
    changes = [{"condition": "error_rate > 0.3"}, {"for_": "1m"}, {"keep_firing_for": "1m"}, {"priority": "info"}]
    assert len({definition(), *(definition(**change) for change in [*changes, {"channel": "sse"}])}) == 6


def test_fingerprints_know_names_and_labels() -> None:
    assert fingerprint("a", {"x": "1", "y": "2"}) == fingerprint("a", {"y": "2", "x": "1"})
    assert len({fingerprint("a"), fingerprint("b"), fingerprint("a", {"x": "1"})}) == 3


def test_a_summary_is_filled_in() -> None:
    values = {"error_rate": 0.31415926, "latency": None}
    assert fill_in("{error_rate} {latency} {other} {}", values) == "0.314159 no value no value {}"


def evaluated(*rules, alerts=None, at: float = 0, **values):
    return evaluate(compile_rules(config(*rules), NAMES), alerts or {}, values, moment(at))


def test_an_alert_that_fires_is_told_with_all_there_is_to_know() -> None:
    result = evaluated(rule(summary="error rate {error_rate}", channel="sse"), error_rate=0.5)
    (told,) = result.told
    key = fingerprint("critical_alert")
    assert told.choice == "sse"
    assert told.notification.id == f"{key}-{int(NOW * 1000)}.firing"
    assert (told.notification.text, told.notification.values) == ("error rate 0.5", {"error_rate": 0.5})
    assert (told.notification.rule, told.notification.condition) == ("critical_alert", "error_rate > 0.2")
    assert result.alerts[key].state.phase == "firing"
    assert result.changed == (result.alerts[key],)


def test_a_rule_without_a_summary_says_the_values() -> None:
    assert evaluated(rule(), error_rate=0.5, latency=9).told[0].notification.text == "error_rate is 0.5"


def test_nothing_changes_while_nothing_happens() -> None:
    first = evaluated(rule(), error_rate=0.5)
    second = evaluated(rule(), alerts=first.alerts, at=1, error_rate=0.6)
    assert (second.changed, second.told, second.dropped) == ((), (), ())
    assert second.alerts[fingerprint("critical_alert")].values == {"error_rate": 0.6}


def test_a_rule_that_is_removed_resolves_its_alert() -> None:
    first = evaluated(rule(), rule("quiet"), error_rate=0.5)
    result = evaluated(rule("other", "latency > 1"), alerts=first.alerts, at=5, latency=0)
    assert [(told.notification.rule, told.notification.kind, told.notification.reason) for told in result.told] == [
        ("critical_alert", "resolved", "rule_changed"),
        ("quiet", "resolved", "rule_changed"),
    ]
    assert set(result.dropped) == {fingerprint("critical_alert"), fingerprint("quiet")}


def test_a_rule_that_is_edited_begins_anew() -> None:
    first = evaluated(rule(), error_rate=0.5)
    result = evaluated(rule(condition="error_rate > 0.3"), alerts=first.alerts, at=5, error_rate=0.5)
    assert [(told.notification.kind, told.notification.condition) for told in result.told] == [
        ("resolved", "error_rate > 0.2"),
        ("firing", "error_rate > 0.3"),
    ]
    assert result.told[0].notification.episode != result.told[1].notification.episode
    assert result.dropped == ()


def test_a_rule_edited_while_pending_is_forgotten_in_silence() -> None:
    first = evaluated(rule(for_="1m"), error_rate=0.5)
    assert [told.notification.kind for told in first.told] == ["pending"]
    result = evaluated(rule(for_="2m"), alerts=first.alerts, at=5, error_rate=0.1)
    assert (result.told, result.alerts[fingerprint("critical_alert")].state.phase) == ((), "ok")


def test_without_values_only_the_rules_are_looked_at() -> None:
    result = evaluate(compile_rules(config(rule()), NAMES), {}, None, moment(0))
    assert (result.outcomes, [alert.state.phase for alert in result.alerts.values()]) == ({}, ["ok"])


def test_an_alert_is_restored_as_it_was() -> None:
    alert: Watched = evaluated(rule(for_="30s"), error_rate=0.5).alerts[fingerprint("critical_alert")]
    state = alert.state
    stored = StoredAlert(
        alert.rule, alert.fingerprint, alert.definition, state.phase, state.since.wall, state.active.wall,
        None, state.episode, alert.values, alert.notification, NOW + 20,
    )  # fmt: skip
    later = moment(1000)
    assert restore(stored, later).state.active == (NOW, 980)
    alerts = {alert.fingerprint: restore(stored, later)}
    assert evaluated(rule(for_="30s"), alerts=alerts, at=1009, error_rate=0.5).told == ()
    assert len(evaluated(rule(for_="30s"), alerts=alerts, at=1010, error_rate=0.5).told) == 1
