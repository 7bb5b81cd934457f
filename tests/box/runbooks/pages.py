"""A runbook as its reader has it: the commands of each section. And time made short: a minute is a second."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.box.box import ROOT

RULES = ROOT / "config/prometheus/rules/data_streaming_alerts.yml"
FASTER = 60
"""A minute of the rules and pages is a second in the box."""
_DURATION = re.compile(r"(\[|for: |--since \")(\d+) ?(m|h|minutes?|hours?|min)\b")
_THRESHOLD = {"> 900": "> 15", "< 3600": "< 60", "> 120": "> 2", "< 1073741824": "< 33554432"}
"""Those of the rules that are a number of seconds, and of bytes: the disk in the box is small."""


@dataclass(frozen=True)
class Page:
    """The commands of a runbook, as they stand there."""

    look: list[str]
    """Lines of Diagnosis."""
    mend: str
    """The text of Mitigation, in which every command that is followed must be found."""
    verify: list[str]
    """Lines of "Verify it is over"."""


def page(alert: str) -> Page:
    """The runbook of an alert."""
    text = (ROOT / f"docs/runbooks/{alert}.md").read_text()
    parts = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    return Page(_lines(parts["Diagnosis"]), parts["Mitigation"], _lines(parts["Verify it is over"]))


def _lines(section: str) -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def alerts() -> list[str]:
    """The names of all alerts that we ship."""
    return re.findall(r"- alert: (\w+)", RULES.read_text())


def hastened(text: str) -> str:
    """Durations of rules, queries and questions to the journal, divided: 5m is 5s, 1h is 60s."""
    return _DURATION.sub(_shorter, text)


def _shorter(found: re.Match[str]) -> str:
    before, number, unit = found.groups()
    seconds = int(number) * (60 if unit.startswith("h") else 1)
    return f"{before}{seconds}s" if not before.startswith("--") else f"{before}{seconds} seconds"


def hastened_rules() -> str:
    """Our rules, with all their times divided."""
    text = hastened(RULES.read_text())
    for old, new in _THRESHOLD.items():
        text = re.sub(rf"(expr: .*){re.escape(old)}$", rf"\g<1>{new}", text, flags=re.MULTILINE)
    return text
