"""What is wrong with a `platform` section is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import load
from hxp_enterprise_llm.config.processing import ProcessingConfig

FAULTS = {
    "budgets: [{name: a, usd: 1}, {name: a, usd: 2}]": '"a" is there twice',
    "budgets: [{name: a, usd: 1, agent: x, user: y}]": "a budget is for one thing, this one for agent and user",
    "budgets: [{name: a, usd: 0}]": "must be greater than 0",
    "budgets: [{name: a, usd: 1, period: week}]": "must be",
    "memory_costs: {tape: 1}": "is no memory tier; there are redis, postgresql, chromadb",
    "memory_costs: {redis: -1}": "must be at least 0",
    "business: [{name: a, types: [x], field: amount}]": "amount",
    "prices: [{model: '', input_usd: 1}]": "must have at least 1 character",
    "prices: [{model: m, input_usd: -1}]": "must be at least 0",
    "active_within: never": "must be a duration",
    "limits: {agents: 0}": "must be at least 1",
}


@pytest.mark.parametrize("text", FAULTS)
def test_faults_are_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "event-processing.yaml"
    path.write_text(f"platform:\n  {text}\n")
    try:
        loaded = load(ProcessingConfig, path, {})
    except ConfigFaults as faults:
        said = str(faults)
    else:
        said = "\n".join(map(str, loaded.warnings))
    assert FAULTS[text] in said
    assert ":2:" in said
