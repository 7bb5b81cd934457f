"""What is worth a warning about deliveries, and where the page is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import load, parse
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


@pytest.mark.parametrize(
    ("settings", "page_url"),
    [
        ("", ""),
        ("external_url: https://citadel.example.org", "https://citadel.example.org"),
        ("external_url: http://10.0.0.7:9102/", "http://10.0.0.7:9102"),
        ("external_url: https://example.org/citadel/", "https://example.org/citadel"),
        ("webhook: {external_url: https://old.example.org/}", "https://old.example.org"),
    ],
)
def test_where_people_reach_the_page(settings: str, page_url: str) -> None:
    loaded = parse(StreamingConfig, f"real_time_notifications: {{{settings}}}", {})
    assert (loaded.config.real_time_notifications.page_url, loaded.warnings) == (page_url, [])


def test_two_addresses_for_one_page_are_worth_a_warning() -> None:
    settings = "external_url: https://new.example, webhook: {external_url: https://old.example}"
    loaded = parse(StreamingConfig, f"real_time_notifications: {{{settings}}}", {})
    assert loaded.config.real_time_notifications.page_url == "https://new.example"
    (warning,) = map(str, loaded.warnings)
    assert warning.endswith("webhook.external_url: real_time_notifications.external_url holds instead: remove it here")


@pytest.mark.parametrize("key", ["external_url", "webhook.external_url"])
@pytest.mark.parametrize(
    "url",
    [
        "citadel.example.org",
        "ftp://citadel.example.org",
        "https://",
        "https://citadel.example.org:0",
        "https://u:p@citadel.example.org",
        "https://citadel.example.org/?a=b",
        "https://citadel.example.org?",
        "https://citadel.example.org/#a",
        "https://citadel.example.org/|other",
        "https://citadel.example.org/<a>",
        "https://citadel.example.org/ a",
        "https://citadel.example.org/\u202e",
    ],
)
def test_an_address_that_is_none_is_a_fault(key: str, url: str) -> None:
    outer, _, inner = key.rpartition(".")
    text = msgspec.json.encode({outer: {inner: url}} if outer else {key: url}).decode()
    with pytest.raises(ConfigFaults) as caught:
        parse(StreamingConfig, f"real_time_notifications: {text}", {})
    (fault,) = caught.value.faults
    assert fault.path == f"real_time_notifications.{key}"
    assert "must be a URL such as https://citadel.example.org, without user, password, query" in fault.message
    assert "u:p" not in str(caught.value)
