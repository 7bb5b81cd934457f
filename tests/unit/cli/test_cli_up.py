"""`hxp up`: one process out of the configurations of two services."""

from __future__ import annotations

from pathlib import Path

import pytest

from hxp_enterprise_llm.cli.up import Launch
from hxp_enterprise_llm.config.processing import SourcesConfig

SEED = Path(__file__).parents[2] / "data" / "seed003" / "data-streaming-api.yaml"
NAMES = ("METRICS_SERVER_ENDPOINT", "CUSTOM_METRICS_ENDPOINT", "API_GATEWAY_ENDPOINT")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def sources(tmp_path: Path, config: Path | None, processing: str = "") -> SourcesConfig:
    file = tmp_path / "event-processing.yaml"
    file.write_text(processing)
    settings = Launch(config, file, tmp_path / "data", None, free_ports=True).settings()
    assert settings.processing is not None
    return settings.processing.sources


def endpoints(found: SourcesConfig) -> list[str]:
    return [found.prometheus.endpoint, found.scrape.endpoint, found.gateway.endpoint]


def test_what_the_platforms_file_names_is_asked(tmp_path: Path) -> None:
    expected = ["http://192.168.10.37:9090", "http://192.168.10.29:9091", "http://192.168.10.29:8000"]
    assert endpoints(sources(tmp_path, SEED)) == expected


def test_nothing_is_asked_by_default(tmp_path: Path) -> None:
    assert endpoints(sources(tmp_path, None)) == ["", "", ""]


def test_what_event_processing_says_itself_holds(tmp_path: Path) -> None:
    said = "sources: {prometheus: {endpoint: ''}, scrape: {endpoint: http://10.0.0.1:9, interval: 3}}"
    found = sources(tmp_path, SEED, said)
    assert endpoints(found) == ["", "http://10.0.0.1:9", "http://192.168.10.29:8000"]
    assert found.scrape.interval == 3
