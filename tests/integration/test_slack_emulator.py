"""Slack against the published emulator: one message an incident, changed and answered; a deleted one is followed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.clients.javascript import installed

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "tests" / "clients" / "slack"
FIRING = "[CRITICAL] critical_alert: firing · error_rate is 0.31"
RESOLVED = "[CRITICAL] critical_alert: resolved · error_rate is 0.31"


async def test_an_incident_is_one_thread_in_slack() -> None:
    """The emulator listens on all interfaces, so it gets a network in which there is but loopback."""
    directory = await asyncio.to_thread(installed, PACKAGES, ("package.json", "package-lock.json"))
    network = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    driver = await asyncio.create_subprocess_exec(
        *network,
        sys.executable,
        "-m",
        "tests.clients.slack.drive",
        str(directory),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(150):
        output, _ = await driver.communicate()
    assert driver.returncode == 0
    assert json.loads(output) == {
        "firing": [FIRING],
        "resolved": [RESOLVED, RESOLVED],
        "a new one": [True, [RESOLVED]],
        "refusal": "Slack says channel_not_found",
        "webhook": "[CRITICAL] by hook · error_rate is 0.31",
    }
