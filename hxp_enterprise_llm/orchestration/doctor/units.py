"""What systemd says of the units of an installation."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from hxp_enterprise_llm.orchestration.doctor.model import Finding

TARGET = "citadel.target"
SERVICES = ("citadel-event-processing.service", "citadel-data-streaming-api.service")
_ENABLED = {"enabled", "enabled-runtime", "linked", "linked-runtime"}
_PROPERTIES = "Id,LoadState,ActiveState,Result,ExecMainStatus,UnitFileState,NeedDaemonReload"
_BOOTED = Path("/run/systemd/system")
_SECONDS = 10.0
_EX_CONFIG = "78"

Unit = Mapping[str, str]


def units_of() -> list[Unit]:
    """The properties of our units; none where systemd does not run, or does not answer."""
    if not _BOOTED.is_dir():
        return []
    command = ["systemctl", "show", f"--property={_PROPERTIES}", TARGET, *SERVICES]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parsed(shown)


def parsed(text: str) -> list[Unit]:
    """The blocks of `systemctl show`: NAME=value, an empty line between two units."""
    blocks = (block.splitlines() for block in text.strip().split("\n\n"))
    units = [dict(line.partition("=")[::2] for line in block if "=" in line) for block in blocks]
    return [unit for unit in units if unit.get("LoadState") == "loaded"]


def look_at_units(units: list[Unit]) -> Iterator[Finding]:
    """Whether they have failed, come back after a reboot, and are what is on the disk."""
    if not units:
        return
    findings = [*_failures(units), *_not_enabled(units), *_changed(units)]
    yield from findings or [Finding("unit.well", "ok", "systemd has no complaint about our units")]


def _failures(units: list[Unit]) -> Iterator[Finding]:
    for unit in units:
        if unit["ActiveState"] == "failed":
            name, status = unit["Id"], unit.get("ExecMainStatus", "")
            means = " (its configuration, its ports or its store do not fit)" if status == _EX_CONFIG else ""
            why = f"sudo journalctl -u {name} -p err -n 20 says why"
            yield Finding(
                "unit.failed",
                "fault",
                f"systemd has given {name} up: {unit.get('Result', '')}, status {status}{means}",
                f"{why}; then sudo systemctl reset-failed {name} && sudo systemctl start {name}",
            )


def _not_enabled(units: list[Unit]) -> Iterator[Finding]:
    enabled = {unit["Id"] for unit in units if unit.get("UnitFileState") in _ENABLED}
    if TARGET not in enabled:
        for name in sorted({unit["Id"] for unit in units} - enabled - {TARGET}):
            yield Finding(
                "unit.not_enabled",
                "warning",
                f"{name} is not enabled: after a reboot nobody starts it",
                f"sudo systemctl enable {TARGET}",
            )


def _changed(units: list[Unit]) -> Iterator[Finding]:
    if any(unit.get("NeedDaemonReload") == "yes" for unit in units):
        yield Finding(
            "unit.changed",
            "warning",
            "a unit was changed on the disk, and systemd goes by what it read before",
            "sudo systemctl daemon-reload, then restart the services",
        )
