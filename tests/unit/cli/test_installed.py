"""An installation's own files: found wherever it is, and read with the variables that its units read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from hxp_enterprise_llm.cli import installed

Hxp = Callable[..., Result]


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of an installation with a PREFIX of its own."""
    directory = tmp_path / "config/services"
    directory.mkdir(parents=True)
    (tmp_path / "hxp-enterprise-llm").mkdir()
    (directory / "data-streaming-api.yaml").write_text(
        f"service: {{port: 9102}}\nstate: {{directory: {tmp_path}/streaming}}\n"
    )
    (directory / "event-processing.yaml").write_text(f"state: {{directory: {tmp_path}/processing}}\n")
    monkeypatch.setattr(installed, "_HOME", tmp_path)
    return directory


def test_the_variables_of_the_unit_win_over_the_file_and_the_shell(hxp: Hxp, services: Path) -> None:
    (services / "data-streaming-api.env").write_text("DATA_STREAMING_API_PORT=9112\n")
    file = services / "data-streaming-api.yaml"
    shown = hxp("config", "show", str(file), env={"DATA_STREAMING_API_PORT": "1"})
    assert yaml.safe_load(shown.stdout)["service"]["port"] == 9112
    assert "# environment DATA_STREAMING_API_PORT" in shown.stdout
    checked = hxp("check-config", str(file))
    assert checked.stdout.startswith(f"{file}, data-streaming-api.env\n  SUCCESS: ")
    assert "service.port: not in force: the variable DATA_STREAMING_API_PORT says 9112" in checked.stderr


def test_a_fault_in_the_variables_is_a_fault(hxp: Hxp, services: Path) -> None:
    """A start would end with 78; a check that says SUCCESS would leave its reader without an answer."""
    (services / "data-streaming-api.env").write_text("DATA_STREAMING_API_PORT=91O2\nexport WEBSOCKET_ENABLED=true\n")
    checked = hxp("check-config", str(services / "data-streaming-api.yaml"))
    assert checked.exit_code == 78
    assert "DATA_STREAMING_API_PORT" in checked.stderr
    (services / "data-streaming-api.env").write_text("export WEBSOCKET_ENABLED=true\n")
    checked = hxp("check-config", str(services / "data-streaming-api.yaml"))
    assert checked.exit_code == 0
    assert "data-streaming-api.env:1: systemd ignores this line" in checked.stderr


def test_an_installed_file_without_a_state_directory_has_that_of_its_unit(hxp: Hxp, services: Path) -> None:
    file = services / "data-streaming-api.yaml"
    file.write_text("service: {port: 9102}\n")
    shown = hxp("config", "show", str(file))
    assert yaml.safe_load(shown.stdout)["state"]["directory"] == "/var/lib/citadel/data-streaming-api"
    file.write_text("state: {directory: /srv/citadel}\n")
    assert yaml.safe_load(hxp("config", "show", str(file)).stdout)["state"]["directory"] == "/srv/citadel"


def test_a_file_elsewhere_is_read_by_no_unit(hxp: Hxp, services: Path, tmp_path: Path) -> None:
    (tmp_path / "data-streaming-api.yaml").write_text("service: {port: 9102}\n")
    (tmp_path / "data-streaming-api.env").write_text("DATA_STREAMING_API_PORT=9112\n")
    shown = hxp("config", "show", str(tmp_path / "data-streaming-api.yaml"))
    assert yaml.safe_load(shown.stdout)["service"]["port"] == 9102


def test_the_doctor_looks_where_the_service_listens(hxp: Hxp, services: Path) -> None:
    (services / "data-streaming-api.env").write_text(
        "DATA_STREAMING_API_PORT=1\nMETRICS_SERVER_ENDPOINT=http://[::1]:2\n"
    )
    result = hxp("doctor", "-q")
    assert "data-streaming-api does not run: nobody listens on 127.0.0.1:1" in result.output
    assert "monitoring.metrics_server_endpoint: nobody answers at ::1:2" in result.output


def test_a_faulty_file_does_not_hide_where_the_state_is(hxp: Hxp, services: Path) -> None:
    (services / "event-processing.yaml").write_text("service: [")
    assert "/var/lib/citadel/event-processing" in hxp("doctor").output


def test_a_backup_of_an_installation_elsewhere(hxp: Hxp, services: Path, tmp_path: Path) -> None:
    refused = hxp("backup", str(tmp_path / "b"))
    assert f"there is neither a log in {tmp_path}/processing/log nor a store at {tmp_path}/streaming/" in refused.output


def test_variables_that_only_root_may_read_do_not_hinder_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd has read them for the unit, whose user checks the file. As somebody else, in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        services = Path(home) / "config/services"
        services.mkdir(parents=True)
        (Path(home) / "hxp-enterprise-llm").mkdir()
        (services / "a.env").write_text("DATA_STREAMING_API_PORT=9112\n")
        for path, mode in ((Path(home), 0o755), (services.parent, 0o755), (services, 0o755), (services / "a.env", 0)):
            path.chmod(mode)
        monkeypatch.setattr(installed, "_HOME", Path(home))
        assert as_somebody_else(lambda: "left out of account" in warnings_of(services / "a.yaml"))


def warnings_of(path: Path) -> str:
    file = installed.beside(path)
    assert file is not None
    assert not file.variables
    return "".join(file.warnings)


def as_somebody_else(holds: Callable[[], bool]) -> bool:
    """In a process that is not root, whoever runs the tests."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            status = 0 if holds() else 2
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended) == 0


def test_who_may_not_read_the_configuration_is_told_so(services: Path) -> None:
    """As somebody who is neither root nor in the group; root may read everything."""
    services.parent.chmod(0)
    told = as_somebody_else(lambda: refusal(services))
    services.parent.chmod(0o755)
    assert told


def refusal(services: Path) -> bool:
    with pytest.raises(installed.Unreadable, match="use sudo, or be in the group citadel") as raised:
        installed.file_of(services, "event-processing.yaml")
    return raised.value.exit_code == 78
