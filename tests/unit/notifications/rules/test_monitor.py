"""What is said of the rules in the log, without holding up whoever else runs."""

from __future__ import annotations

from structlog.testing import capture_logs

from hxp_enterprise_llm.event.notifications.rules import monitor
from hxp_enterprise_llm.event.notifications.rules.compiled import compile_rules
from hxp_enterprise_llm.event.notifications.rules.evaluation import Evaluator, evaluate
from hxp_enterprise_llm.event.notifications.rules.snapshots import Snapshot
from tests.unit.notifications.support import NAMES, ManualClock, config, metrics, moment, rule


def test_many_alerts_are_said_in_slices() -> None:
    rules = compile_rules(config(*(rule(f"r{number}") for number in range(25))), NAMES)
    result = evaluate(Evaluator(rules), {}, Snapshot(0, {"error_rate": 0.5}), moment(1))
    assert len(result.told) == 25
    between: list[int] = []
    with capture_logs() as lines:
        for _ in monitor.RuleMonitor(metrics(), ManualClock()).say(result.told):
            between += [len(lines)]
    assert between == [monitor._LINES_AT_ONCE, 2 * monitor._LINES_AT_ONCE]
    assert [line["rule"] for line in lines] == [f"r{number}" for number in range(25)]
    assert {line["event"] for line in lines} == {"alert.firing"}
