"""What the types cannot say: values that must fit each other. Runs on configurations whose types are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hxp_enterprise_llm.config import checks_processing, checks_rules, checks_streaming
from hxp_enterprise_llm.config.findings import Check, Finding
from hxp_enterprise_llm.config.paths import KeyPath, split
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.rules import RuleFile
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.config.types import Section

_CHECKS: dict[type[Section], tuple[Check, ...]] = {
    StreamingConfig: checks_streaming.CHECKS,
    ProcessingConfig: checks_processing.CHECKS,
    RuleFile: checks_rules.CHECKS,
}


def findings(config: Section, given: Callable[[KeyPath], bool], faulty: frozenset[str]) -> Iterator[Finding]:
    """Everything that does not make sense, leaving out checks that read a section with faults.

    `given` tells whether the operator set the value at a path; what is not given is a default.
    """
    for check in _CHECKS.get(type(config), ()):
        if faulty.isdisjoint(check.reads):
            yield from check.run(config, lambda path: given(split(path)))
