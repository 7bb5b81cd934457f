from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import msgspec
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hxp_enterprise_llm.config.loader import load, parse
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.show import render_effective
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.config.types import Section

SEED = Path(__file__).parents[2] / "data" / "seed003" / "data-streaming-api.yaml"


class Vault(Section, frozen=True, kw_only=True):
    """A section whose keys hold secrets."""

    password: str = "hunter2"
    api_token: str = "hunter2"
    empty_secret: str = ""
    password_file: str = "/etc/citadel/password"
    keys: list[str] = msgspec.field(default_factory=list)


def test_each_value_stands_with_its_origin() -> None:
    text = render_effective(parse(StreamingConfig, "service:\n  port: 9200\n", {"SSE_ENABLED": "no"}, name="f.yaml"))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:3] == ["service:", "name: data-streaming-api # default", "port: 9200 # f.yaml:2"]
    assert "enabled: false # environment SSE_ENABLED" in lines
    assert "- name: critical_alert # default" in lines
    assert "channels: {} # default" in lines


def test_secrets_are_hidden_and_the_names_of_their_files_are_not() -> None:
    text = render_effective(parse(Vault, "keys: [a]", {}))
    assert yaml.safe_load(text) == {
        "password": "***",
        "api_token": "***",
        "empty_secret": "",
        "password_file": "/etc/citadel/password",
        "keys": ["a"],
    }


def test_credentials_in_urls_are_hidden() -> None:
    text = render_effective(load(StreamingConfig, None, {"API_GATEWAY_ENDPOINT": "http://me:hunter2@gateway:8000"}))
    assert "hunter2" not in text
    assert "api_gateway_endpoint: http://***@gateway:8000" in text


def test_the_seed_shown_and_loaded_is_the_same() -> None:
    loaded = load(StreamingConfig, SEED, {"SSE_RETRY_TIMEOUT": "77"})
    assert parse(StreamingConfig, render_effective(loaded), {}).config == loaded.config
    processing = load(ProcessingConfig, None, {})
    assert parse(ProcessingConfig, render_effective(processing), {}).config == processing.config


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    ["on", "1", "a: b", " # x", "***", "-", "~"]
)
NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=5) | st.sampled_from(
    ["on", "1e3", "0x1", "y"]
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    host=TEXTS,
    timeout=st.floats(1e-9, 1e300),
    summaries=st.lists(TEXTS, max_size=3),
    channels=st.dictionaries(NAMES, TEXTS, max_size=3),
)
def test_shown_and_loaded_is_the_same(
    host: str, timeout: float, summaries: list[str], channels: dict[str, str]
) -> None:
    rules = [{"name": f"r{n}", "condition": "a > 1", "summary": text} for n, text in enumerate(summaries)]
    data: dict[str, Any] = {
        "service": {"host": host, "timeout": timeout},
        "real_time_notifications": {"notification_rules": rules},
        "channels": {name: {"types": ["*"], "description": text} for name, text in channels.items()},
    }
    loaded = parse(StreamingConfig, yaml.safe_dump(data), {})
    assert parse(StreamingConfig, render_effective(loaded), {}).config == loaded.config
