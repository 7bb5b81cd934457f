"""How to mend what no unit of systemd runs: `hxp up` in somebody's terminal."""

from __future__ import annotations

from hxp_enterprise_llm.orchestration.doctor.model import Finding, Installation, runbook
from hxp_enterprise_llm.orchestration.doctor.state import owner_of

_LINES = "the lines that hxp up prints say why"
_MEND = {
    "service.silent": f"{_LINES}; if it stands still, end it and start it again",
    "service.version": "end it, and start it again",
    "service.part": f"{_LINES}; {runbook('README')} names the page for it",
    "service.dashboard_port": f"{_LINES} (listener: opened)",
}


def by_hand(finding: Finding, installation: Installation) -> Finding:
    """The finding with a way to mend it that a terminal has."""
    if finding.name == "service.down":
        return _down(finding, installation)
    return finding._replace(mend=_MEND.get(finding.name, finding.mend))


def _down(finding: Finding, installation: Installation) -> Finding:
    owner = owner_of(installation.log_lock)
    if owner is None:
        state = installation.processing_state
        of_up = state.name == "processing"
        return finding._replace(mend=f"hxp up --data {state.parent}" if of_up else "hxp serve, with its file")
    what = f"{finding.what}; process {owner} has the log open, so it runs elsewhere"
    mend = "export HXP_PROCESSING_URL=… HXP_GATEWAY_URL=…, as hxp up printed it, then hxp doctor again"
    return finding._replace(what=what, mend=mend)
