"""`hxp doctor` as a command: exit status, JSON, what it says of a configuration."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hxp_enterprise_llm.cli.main import main


def doctor(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)])


def found(result: Result) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}


def configured(directory: Path, gateway: str = "", processing: str = "") -> list[object]:
    """The options for two files on ports where nobody listens."""
    paths = directory / "data-streaming-api.yaml", directory / "event-processing.yaml"
    for path, text, port in zip(paths, (gateway, processing), (1, 2), strict=True):
        path.write_text(f"service: {{port: {port}}}\n{text}\n")
    return ["--config", paths[0], "--processing-config", paths[1], "--data", directory / "data"]


def test_services_that_do_not_run(tmp_path: Path) -> None:
    result = doctor(*configured(tmp_path), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["status"] == "fault"
    assert {"configuration.good", "service.down", "log.none", "store.none"} <= found(result).keys()
    assert not (tmp_path / "data").exists(), "it looks, it makes nothing"


def test_a_faulty_configuration_is_named_with_its_place_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    result = doctor(*configured(tmp_path, "websocket: {heartbeat_intervall: 3}"), "--json")
    assert result.exit_code == 2
    findings = found(result)
    assert "data-streaming-api.yaml:2:13: websocket.heartbeat_intervall" in findings["configuration.fault"]["what"]
    assert "disk.durable" in findings or "disk.memory" in findings


def test_an_odd_configuration_is_said(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("WEBSOCKET_MAX_CONECTIONS", "3")
    assert "WEBSOCKET_MAX_CONECTIONS" in found(doctor(*configured(tmp_path), "--json"))["configuration.odd"]["what"]


def test_quiet_says_only_what_is_to_be_mended(tmp_path: Path) -> None:
    loud, quiet = doctor(*configured(tmp_path)), doctor(*configured(tmp_path), "-q")
    assert "ok      version.program: hxp " in loud.output
    assert "ok      " not in quiet.output
    assert "FAULT   service.down: data-streaming-api does not run: nobody listens on 127.0.0.1:1" in quiet.output
    assert f"        → hxp up --data {tmp_path / 'data'}\n" in quiet.output
    # A gateway that does not run is said once, not for each of its ports.
    assert "service.dashboard_port" not in quiet.output


def test_services_on_other_ports_are_looked_at_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HXP_GATEWAY_URL", "http://127.0.0.1:3")
    output = doctor(*configured(tmp_path), "-q").output
    assert "data-streaming-api does not run: nobody listens on 127.0.0.1:3" in output
    assert "event-processing does not run: nobody listens on 127.0.0.1:2" in output


def test_a_process_on_other_ports_is_seen_by_its_log(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "processing" / "log"
    directory.mkdir(parents=True)
    with (directory / "lock").open("w") as lock:
        lock.write(str(os.getpid()))
        lock.flush()
        down = found(doctor(*configured(tmp_path), "--json"))["service.down"]
    assert down["what"].endswith(f"; process {os.getpid()} has the log open, so it runs elsewhere")
    assert down["mend"].startswith("export HXP_PROCESSING_URL=… HXP_GATEWAY_URL=…, as hxp up printed it")


def test_without_a_configuration_it_looks_where_up_keeps_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hxp_enterprise_llm.cli.doctor.configuration", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    assert found(doctor("--json"))["log.none"]["what"].startswith("data/processing/log holds no log")
