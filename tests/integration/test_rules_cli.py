"""Rules by label set through the whole program, and a dry run over what its log has recorded."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.rules import RuleConfig
from tests.integration.daemon import embedded_settings, running, url

RULE = RuleConfig(
    name="model_fails", condition="error_rate > 0.5", by=["model"], channel="sse", summary="{model} fails"
)


def requests(number: int) -> list[dict[str, Any]]:
    """One model that answers, one that fails."""
    kinds = (("llm.request.completed", "good"), ("llm.request.failed", "bad"))
    return [
        {
            "type": type,
            "id": f"{model}-{number}",
            "source": "/t",
            "data": {"model": model, "error": "timeout"},
        }
        for type, model in kinds
    ]


async def test_a_model_that_fails_is_told_and_found_again_in_the_log(tmp_path: Path) -> None:
    settings = embedded_settings(tmp_path)
    assert settings.streaming is not None
    notifications = NotificationsConfig(notification_rules=[RULE], directory=str(tmp_path / "rules"))
    settings = msgspec_replace(settings, notifications)
    async with running(settings) as orchestrator, aiohttp.ClientSession() as session:
        events, gateway = url(orchestrator, "processing"), url(orchestrator, "streaming")
        alert = await _until_firing(session, events, gateway)
        assert alert["labels"] == {"model": "bad"}
        async with session.get(f"{events}/analytics") as answer:
            groups = (await answer.json())["groups"]["error_rate"]
        assert {"labels": {"model": "bad"}, "value": 1.0} in groups
        config = tmp_path / "rules.yaml"
        config.write_text("rules: [{name: again, condition: error_rate > 0.5, by: [model], summary: '{model} fails'}]")
        command = [sys.executable, "-m", "hxp_enterprise_llm.cli.main", "rules", "dry-run"]
        child = await asyncio.create_subprocess_exec(
            *(*command, "--since", "1h", "--url", events, "--config", str(config)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(child.communicate(), 60)
    lines = out.decode().splitlines()
    assert child.returncode == 0, errors.decode()
    assert "firing   again severity=warning model=bad: bad fails" in lines[0]
    assert lines[-1].endswith("fired 1 times, 1 open at the end")


def msgspec_replace(settings: Any, notifications: NotificationsConfig) -> Any:
    """The same settings with other notifications."""
    streaming = msgspec.structs.replace(settings.streaming, real_time_notifications=notifications)
    return type(settings)(settings.processing, streaming)


async def _until_firing(session: aiohttp.ClientSession, events: str, gateway: str) -> dict[str, Any]:
    """Publish until the status has an alert that fires."""
    async with asyncio.timeout(30):
        for number in range(10_000):
            async with session.post(f"{events}/events", json=requests(number)) as answer:
                assert answer.status == 202, await answer.text()
            async with session.get(f"{gateway}/notifications/status") as answer:
                (rule,) = (await answer.json())["rules"]
            firing = [each for each in rule["label_sets"] if each["state"] == "firing"]
            if firing:
                return firing[0]
            await asyncio.sleep(0.05)
    raise AssertionError("it never fired")
