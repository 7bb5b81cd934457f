"""The shortest story of an installation under a real systemd, part of `make test`: from nothing to validated.

`make box` has the long ones. The tests are one story, in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box.acts import STREAMING_YAML, edit, restart_under_load, start_prometheus, validate
from tests.box.box import GATEWAY, PROCESSING, Box
from tests.box.installing import install

SEED = Path(__file__).parents[1] / "data" / "seed003" / "data-streaming-api.yaml"
pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def box(share: Path, wheels: Path) -> Iterator[Box]:
    """A machine with nothing of ours."""
    with Box(share) as box:
        yield box


def test_an_installation_starts_nothing_and_its_units_are_without_a_fault(box: Box) -> None:
    """Every word of `verify` is a fault: its status is 0 even for unknown keys."""
    assert "systemctl enable --now citadel.target" in install(box)
    assert box.run("systemctl is-active citadel.target", status=None).strip() == "inactive"
    assert box.run("systemd-analyze verify /etc/systemd/system/citadel*") == ""
    for unit in (GATEWAY, PROCESSING):
        box.run(f"systemd-analyze security --threshold=12 {unit}.service >/dev/null")


def test_all_is_ready_a_good_reload_is_taken_and_a_bad_one_is_refused_by_systemctl(box: Box) -> None:
    """The same process before and after, which refuses the faulty file by itself as well."""
    box.run("systemctl start citadel.target", f"systemctl start {GATEWAY} {PROCESSING}")
    assert box.show(f"{GATEWAY}.service", "StatusText").startswith("Serving data-streaming-api on 0.0.0.0:9102, ")
    process = box.show(GATEWAY, "MainPID")
    edit(box, "  workers: 2", "&\\n  drain_seconds: 4")
    box.run(f"systemctl reload {GATEWAY}")
    edit(box, "drain_seconds: 4", "drain_secondss: 4")
    assert "Job for citadel-data-streaming-api.service failed" in box.run(f"systemctl reload {GATEWAY}", status=1)
    box.run(f"systemctl kill --kill-who=main --signal=HUP {GATEWAY}")
    box.until(f"journalctl --unit={GATEWAY} --output=cat", 'config.refused kept="the configuration in force"')
    assert f"{STREAMING_YAML}:" in box.journal(GATEWAY)
    edit(box, "drain_secondss: 4", "drain_seconds: 4")
    assert (box.show(GATEWAY, "MainPID"), box.show(GATEWAY, "NRestarts")) == (process, "0")


def test_the_platforms_own_file_starts_as_it_stands(box: Box, share: Path) -> None:
    """It names no state directory, and trusts no network: the unit knows the one, loopback needs none of the other."""
    (share / "seed.yaml").write_bytes(SEED.read_bytes())
    box.run(f"cp -p {STREAMING_YAML} /tmp/shipped.yaml", f"cp /share/seed.yaml {STREAMING_YAML}")
    box.run(f"systemctl restart {GATEWAY}")
    box.until("curl --silent http://127.0.0.1:9102/health", '"status":"healthy"')
    assert "/var/lib/citadel/data-streaming-api" in box.run(f"hxp config show {STREAMING_YAML}")
    box.run("test -e /var/lib/citadel/data-streaming-api/state.db", "test ! -e /opt/citadel/data")
    box.run(f"cp -p /tmp/shipped.yaml {STREAMING_YAML}", f"systemctl restart {GATEWAY}")


def test_the_commands_of_the_task_validate_it(box: Box) -> None:
    start_prometheus(box)
    assert validate(box) == ""


def test_a_restart_under_load_refuses_nobody_and_all_stops_in_time(box: Box) -> None:
    found = restart_under_load(box, rate=100)
    assert (found.answers, found.ready) == ({"200"}, {"200", "503"})
    assert (found.clients["close_code"], found.clients["reset"], found.clients["went on"]) == (1012, False, True)
    box.run("systemctl stop 'citadel*'", within=45)
    for unit in (GATEWAY, PROCESSING):
        assert (box.show(unit, "Result"), box.show(unit, "ActiveState")) == ("success", "inactive")
