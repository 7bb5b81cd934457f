"""What is worth a warning about deliveries."""

from __future__ import annotations

from pathlib import Path

from hxp_enterprise_llm.config.loader import load
from hxp_enterprise_llm.config.streaming import StreamingConfig


def test_recipients_of_a_channel_that_may_not_be_used_are_worth_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "data-streaming-api.yaml"
    path.write_text(
        "real_time_notifications:\n"
        "  webhook: {endpoints: [{name: pager, url: 'https://x.example/'}]}\n"
        "  alertmanager: {urls: ['http://127.0.0.1:9093']}\n"
    )
    advice = "add it to real_time_notifications.notification_channels"
    assert [str(warning).partition(": real")[2] for warning in load(StreamingConfig, path, {}).warnings] == [
        f"_time_notifications.webhook.endpoints: nobody is told by webhook: {advice}",
        f"_time_notifications.alertmanager.urls: nobody is told by alertmanager: {advice}",
    ]
