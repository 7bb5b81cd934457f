from __future__ import annotations

import pytest

from hxp_enterprise_llm.config.faults import ConfigFaults, Fault, masked, shown


def test_a_fault_of_the_file() -> None:
    assert str(Fault("file", "x.yaml", 3, 9, "service.port", "is wrong")) == "x.yaml:3:9: service.port: is wrong"
    assert str(Fault("file", "x.yaml", 0, 0, "", "cannot be read")) == "x.yaml: cannot be read"


def test_a_fault_of_the_environment_names_the_variable() -> None:
    fault = Fault("environment", "SSE_ENABLED", 0, 0, "sse.enabled", "is wrong")
    assert str(fault) == "environment SSE_ENABLED: sse.enabled: is wrong"


def test_faults_stand_in_the_order_of_the_file_and_the_environment_last() -> None:
    later, first = Fault("file", "f", 2, 1, "b", "m"), Fault("file", "f", 1, 9, "a", "m")
    variable = Fault("environment", "A", 0, 0, "c", "m")
    faults = ConfigFaults([variable, later, first])
    assert faults.faults == (first, later, variable)
    assert str(faults) == "f:1:9: a: m\nf:2:1: b: m\nenvironment A: c: m"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("91O2", '"91O2"'),
        ("é\n", '"é\\n"'),
        (5, "5"),
        (True, "true"),
        (None, "nothing"),
        ({}, "a map"),
        ([1], "a list"),
        ("x" * 61, '"' + "x" * 60 + '…"'),
        ("http://user:pw@host/x", '"http://***@host/x"'),
    ],
)
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_masked_leaves_other_text_alone() -> None:
    assert masked("see http://a.b/c and ops@example.org") == "see http://a.b/c and ops@example.org"
    assert masked("amqp://u:p@h http://t@g") == "amqp://***@h http://***@g"
