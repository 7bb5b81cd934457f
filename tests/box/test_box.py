"""An installation and its units under a real systemd: one machine in a box, from the upgrade to the purge.

The tests are one story, in the order of the file.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.store.database import newest_revision
from tests.box import last_release, next_release
from tests.box.acts import (
    BASE,
    STREAMING_YAML,
    drop_in,
    edit,
    get,
    placed,
    restart_under_load,
    rules,
    start_prometheus,
    validate,
)
from tests.box.box import GATEWAY, PROCESSING, ROOT, Box
from tests.box.installing import ENVIRON, install, make

pytestmark = pytest.mark.timeout(400)

NOT_CHECKED_IN = " ".join(
    f"--exclude={name}" for name in (".git", ".venv", ".cache", "node_modules", "build", "dist", "static")
)
STATE = "/var/lib/citadel/data-streaming-api"


@pytest.fixture(scope="module")
def deb(share: Path, wheels: Path) -> Iterator[subprocess.Popen[str]]:
    """The package, being built while the box is used."""
    with subprocess.Popen(
        make("deb", f"OUT={share}", "LEVEL=1"),
        env=ENVIRON,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as build:
        yield build
        build.kill()


@pytest.fixture(scope="module")
def box(share: Path, deb: object) -> Iterator[Box]:
    """A machine on which the release before is installed."""
    last_release.make(share)
    next_release.make(share)
    with Box(share) as box:
        last_release.lay(box)
        yield box


def operations(heading: str) -> list[str]:
    """The commands below a heading of the page for operators."""
    section = (ROOT / "docs/operations.md").read_text().partition(f"{heading}\n")[2].partition("\n##")[0]
    return re.findall(r"^    (\S.*)$", section, re.MULTILINE)


def test_an_upgrade_in_place_keeps_what_was_edited_and_starts_nothing(box):
    """What was as shipped is replaced, the edited file has the new one beside it, the old environment is kept."""
    output = install(box)
    assert f"Kept your /opt/citadel/{last_release.EDITED}; the new one is beside it: data-streaming-api.yaml.new" in (
        output.replace("services/data-streaming-api.yaml.new", "data-streaming-api.yaml.new")
    )
    assert "systemctl restart 'citadel-*.service'" in output
    assert last_release.OWN_RULE in box.run(f"cat {STREAMING_YAML}")
    box.run(
        f"cmp /src/{last_release.EDITED} {STREAMING_YAML}.new",
        f"cmp /src/{last_release.UNTOUCHED} /opt/citadel/{last_release.UNTOUCHED}",
        "test -e /opt/citadel/env.previous/last-release",
        f"cmp /share/old/{last_release.UNTOUCHED} /opt/citadel/config.previous/services/event-processing.yaml",
        "test ! -e /opt/citadel/env.new",
    )
    assert box.run("stat -c '%a %U %G' /opt/citadel/config /opt/citadel/config/services/*.yaml").splitlines() == [
        "750 root citadel",
        *["640 root citadel"] * 2,
    ]
    states = box.run(f"systemctl is-active citadel.target {GATEWAY}.socket {PROCESSING}", status=None).split()
    assert states == ["inactive"] * 3
    assert box.run(f"systemctl is-enabled citadel.target {PROCESSING}", status=None).split() == ["disabled"] * 2
    assert "/opt/citadel/env/bin/hxp" in box.run("readlink /usr/local/bin/hxp")


def test_a_release_that_does_not_take_the_configuration_changes_nothing(box):
    """It is told before anything is exchanged. Shown with an environment that is there already."""
    edit(box, "update_interval: 5", "update_intervall: 5")
    script = box.run("sed 's/^    make_env$/    cp -a $home\\/env $home\\/env.new/' /src/scripts/install")
    box.share.joinpath("install").write_text(script.replace('$(dirname "$0")/..', "/src"))
    output = box.run("PYTHON=/usr/bin/python3 sh /share/install install", status=1)
    assert "update_intervall: unknown key (did you mean update_interval?)" in output
    assert "mend it and install again. Nothing was changed." in output
    box.run("test -e /opt/citadel/env.previous/last-release", "test ! -e /opt/citadel/env.new")
    edit(box, "update_intervall: 5", "update_interval: 5")


def test_the_units_are_without_a_fault_and_closed(box):
    """Every word of `verify` is a fault: its status is 0 even for unknown keys."""
    assert box.run("systemd-analyze verify /etc/systemd/system/citadel*") == ""
    for unit in (GATEWAY, PROCESSING):
        box.run(f"systemd-analyze security --threshold=12 {unit}.service >/dev/null")


def test_the_target_starts_everything_with_the_data_in_place(box):
    """Ready means serving: the store is migrated with a copy kept, the events of before are there, all ports answer."""
    box.run("systemctl start citadel.target", f"systemctl start {GATEWAY} {PROCESSING}")
    assert box.show(f"{GATEWAY}.service", "StatusText").startswith("Serving data-streaming-api on 0.0.0.0:9102, ")
    assert placed(box) == list(range(last_release.EVENTS))
    assert '"ops@x"' in get(box, "/notifications/dead")
    box.run("test -s /var/lib/citadel/data-streaming-api/state.db.revision-0001")
    assert rules(box)[0] == last_release.OWN_RULE
    for port in (8501, 8502, 8503):
        assert "<!doctype html>" in get(box, "/", port).lower()
    assert "process_resident_memory_bytes " in get(box, "/metrics")
    assert box.run(f"ps -o user= -p {box.show(GATEWAY, 'MainPID')}").strip() == "citadel"
    # Each process of the gateway has a queue of its own, as deep as the unit says.
    queues = box.run("ss --listening --tcp --numeric --no-header 'sport = :9102'").splitlines()
    assert [line.split()[2] for line in queues] == ["4096", "4096"]
    start_prometheus(box)


def test_a_good_reload_is_taken_and_a_bad_one_is_refused_by_systemctl(box):
    """The same process before and after; a faulty file does not even reach it."""
    process = box.show(GATEWAY, "MainPID")
    edit(box, f"name: {last_release.OWN_RULE}", "name: renamed_rule")
    box.run(f"systemctl reload {GATEWAY}")
    box.until(f"curl --silent {BASE}:9102/notifications/status", '"renamed_rule"')
    edit(box, "latency > 1000000", "latencyy > 1000000")
    assert "Job for citadel-data-streaming-api.service failed" in box.run(f"systemctl reload {GATEWAY}", status=1)
    assert "did you mean latency" in box.journal(GATEWAY)
    assert rules(box)[0] == "renamed_rule"
    edit(box, "latencyy > 1000000", "latency > 1000000")
    box.run(f"systemctl reload {GATEWAY}")
    assert (box.show(GATEWAY, "MainPID"), box.show(GATEWAY, "NRestarts")) == (process, "0")


def test_a_restart_under_load_refuses_nobody_and_streams_resume(box):
    """200 new connections a second; not ready is told first, streams end with 1012 and a spread retry, and go on."""
    found = restart_under_load(box, rate=200)
    assert found.answers == {"200"}
    assert found.ready == {"200", "503"}
    assert 5000 <= found.clients.pop("retry") <= 10000
    assert found.clients == {"close_code": 1012, "reset": False, "went on": True, "stayed": "HTTP/1.1 101"}


def test_secrets_are_given_and_everything_else_is_denied(box):
    """Tried in the service's own sandbox, as its user."""
    box.run("mkdir -p -m 0700 /etc/credstore", "printf s3cret >/etc/credstore/smtp-password")
    drop_in(box, "probe", "ExecStartPre=/usr/bin/python3 /src/tests/box/probe.py")
    box.run(f"systemctl restart {GATEWAY}")
    drop_in(box, "probe")
    assert json.loads(box.run("cat /var/lib/citadel/data-streaming-api/probe.json")) == {
        "user": "citadel",
        "credential": "s3cret",
        "other credentials": "No such file or directory",
        "the credential's source": "Permission denied",
        "write /etc": "Read-only file system",
        "write /opt/citadel/config": "Read-only file system",
        "write the other's state": "Read-only file system",
        "read /etc/shadow": "Permission denied",
        "look into /root": "Permission denied",
        "raw socket": "Operation not permitted",
        "packet socket": "Address family not supported by protocol",
        "name space": "Operation not permitted",
        "memory to write and execute": "Operation not permitted",
        "renice": "Operation not permitted",
    }
    assert "s3cret" not in box.journal(GATEWAY)


def test_a_process_that_stands_still_is_killed_and_replaced(box):
    """The watchdog is fed from the loop: what does not turn does not feed it."""
    drop_in(box, "watchdog", "WatchdogSec=2", "RestartSec=0")
    box.run(f"systemctl restart {GATEWAY}")
    process = box.show(GATEWAY, "MainPID")
    box.run(f"kill -STOP {process}")
    box.until(f"journalctl --unit={GATEWAY} --output=cat", "Watchdog timeout (limit 2s)!")
    box.until(f"systemctl is-active {GATEWAY}; systemctl show -P NRestarts {GATEWAY}", "active\n1")
    assert box.show(GATEWAY, "MainPID") not in {process, "0"}
    drop_in(box, "watchdog")
    box.run(f"systemctl restart {GATEWAY}")


def test_a_faulty_configuration_ends_with_78_and_is_not_tried_again(box):
    """Although the gateway keeps knocking at its port, which would start it: the port is closed. A start opens it."""
    file = f"/opt/citadel/{last_release.UNTOUCHED}"
    edit(box, "port: 9100", 'port: "91O0"', file)
    since = box.run("date +%s.%N").strip()
    box.run(f"systemctl restart {PROCESSING}", status=1)
    box.until(f"systemctl is-active {PROCESSING}.socket", "inactive")
    box.until(f"systemctl is-active {PROCESSING}", "failed")
    properties = [box.show(f"{PROCESSING}.service", name) for name in ("ExecMainStatus", "NRestarts", "Result")]
    assert properties == ["78", "0", "exit-code"]
    said = box.run(f"journalctl --unit={PROCESSING} --since=@{since} --priority=err --output=cat")
    assert f'{file}:10:9: service.port: expected an integer, got "91O0"' in said
    # One more start at most, by a connection that was waiting already.
    assert said.count("service.port") <= 2
    edit(box, 'port: "91O0"', "port: 9100", file)
    box.run(f"systemctl start {PROCESSING}")
    assert box.run(f"systemctl is-active {PROCESSING} {PROCESSING}.socket").split() == ["active", "active"]


def test_ports_of_systemd_that_are_not_configured_are_told(box):
    """Nobody would answer there: a fault of the configuration, with both addresses and what to do."""
    environment = "/opt/citadel/config/services/data-streaming-api.env"
    edit(box, "API_PORT=9102", "API_PORT=9112", environment)
    box.run(f"systemctl restart {GATEWAY}", status=1)
    box.until(f"systemctl is-active {GATEWAY}.socket citadel-dashboards.socket", "inactive\ninactive")
    box.until(f"systemctl is-active {GATEWAY}", "failed")
    assert box.show(GATEWAY, "ExecMainStatus") == "78"
    assert "systemd listens on 0.0.0.0:9102 (citadel-data-streaming-api.socket)" in box.journal(GATEWAY)
    edit(box, "API_PORT=9112", "API_PORT=9102", environment)
    box.run(f"systemctl start {GATEWAY}")


def test_the_validation_commands_of_the_task(box):
    """One after the other, as they stand in the task."""
    assert validate(box) == ""


def test_the_next_release_and_back_again(box):
    """By the commands of the page: what was taken in under the newer release stays, its tables are refused."""
    box.run("PYTHON=/usr/bin/python3 sh /share/next/scripts/install install", within=200)
    box.run(*operations("### Upgrade")[1:], f"test {next_release.VERSION} = $(hxp --version | cut -d' ' -f3)")
    box.run("hxp publish order.placed number=25")
    revision = newest_revision()
    box.run(f"test -s {STATE}/state.db.revision-{revision}")

    stop, exchange, away, check, put_away, put_back, look, *copy, start, _ = operations("### Roll back")
    box.run(stop, exchange, away)
    # Nobody has edited the file; the newer release has laid its own there.
    assert "state.must_be_given: unknown key" in box.run(check, status=78)
    box.run(put_away, put_back, check)
    assert f"has revision {next_release.REVISION}, this release knows {revision}" in box.run(look, status=2)
    box.run(f"systemctl start {GATEWAY}", status=1)
    box.until(f"systemctl is-active {GATEWAY}.socket", "inactive")
    # A connection that waited at the port may have started it once more.
    box.until(f"systemctl is-active {GATEWAY}", "failed")
    assert [box.show(GATEWAY, name) for name in ("ExecMainStatus", "NRestarts")] == ["78", "0"]
    assert "was written by a newer release" in box.run(f"journalctl --unit={GATEWAY} --priority=err --output=cat")
    box.run(*(line.replace("NUMBER", revision) for line in copy), start)
    assert f"hxp, version {__version__}" in box.run("hxp --version")
    assert placed(box) == list(range(last_release.EVENTS + 1))
    assert '"ops@x"' in get(box, "/notifications/dead")
    box.until(f"curl --silent {BASE}:9102/health", '"status":"healthy"')
    assert "store.whole" in box.run("hxp doctor", status=None)
    box.run(f"rm -r /opt/citadel/env.failed /opt/citadel/config.failed {STATE}/newer")


def test_everything_stops_in_time(box):
    """With streams open: within the time of the unit, without a kill, and the ports are closed."""
    stream = subprocess.Popen(box.command(f"exec curl -sN {BASE}:9102/sse/events"), stdout=subprocess.PIPE)
    assert stream.stdout is not None
    assert stream.stdout.readline()
    box.run("systemctl stop 'citadel*'", within=45)
    for unit in (GATEWAY, PROCESSING):
        assert (box.show(unit, "Result"), box.show(unit, "ActiveState")) == ("success", "inactive")
        assert "process: stopped" in box.journal(unit)
    assert box.run("ss --listening --tcp --no-header 'sport = :9102 or sport = :9100 or sport = :8501'") == ""
    stream.communicate(timeout=10)


def test_an_installation_elsewhere_is_staged(box, share):
    """DESTDIR and PREFIX: nothing outside of the stage, every path the final one, and it runs once it is there.

    From a fresh checkout, which has no page yet: that of the wheels is taken.
    """
    stage = "DESTDIR=/tmp/stage PREFIX=/srv/citadel"
    box.run(
        f"mkdir /tmp/fresh && tar -C /src {NOT_CHECKED_IN} -cf - . | tar -C /tmp/fresh -xf -",
        f"make --silent -C /tmp/fresh install {stage} PYTHON=/usr/bin/python3 WHEELS=/src/build/wheels",
        within=200,
    )
    parts = ("env/bin", "config", "hxp-enterprise-llm")
    named = ("/tmp/stage/etc", *(f"/tmp/stage/srv/citadel/{part}" for part in parts))
    assert box.run(f"grep -rIl -e /opt/citadel {' '.join(named)} || true") == ""
    assert box.run("grep -rIl /tmp/stage /tmp/stage || true") == ""
    box.run("test ! -e /srv/citadel", "mv /tmp/stage/srv/citadel /srv/")
    assert f"hxp, version {__version__}" in box.run("/srv/citadel/env/bin/hxp --version")
    box.run("mv /srv/citadel /tmp/stage/srv/", f"make --silent -C /src uninstall {stage}")
    assert box.run("find /tmp/stage -type f") == ""
    box.run("rm -r /tmp/stage /tmp/fresh")


def test_a_package_does_not_go_over_it(box, deb, share):
    """dpkg runs the scripts of the refused package all the same, to clean up: nothing of ours is theirs to remove."""
    output, _ = deb.communicate(timeout=120)
    assert deb.returncode == 0, output
    [package] = share.glob("citadel_*.deb")
    before = box.run("find /opt/citadel /var/lib/citadel -type f | sort | md5sum")
    assert "run `make uninstall` first" in box.run(f"dpkg --install /share/{package.name}", status=1)
    assert box.run("find /opt/citadel /var/lib/citadel -type f | sort | md5sum") == before
    # One that was removed and not purged, before the installation.
    box.run("sh /src/deploy/debian/postrm purge")
    assert box.run("find /opt/citadel /var/lib/citadel -type f | sort | md5sum") == before
    assert f"hxp, version {__version__}" in box.run("hxp --version")


def test_who_may_not_look_at_it_is_told_so(box):
    """Nobody's own user, as any program of the host may be: words, no traceback."""
    for command in ("doctor", "backup /tmp/never"):
        said = box.run(f"setpriv --reuid nobody --regid nogroup --clear-groups hxp {command}", status=78)
        assert said.strip().endswith("cannot be read by this user: use sudo, or be in the group citadel")


def test_uninstall_keeps_what_is_the_operators(box):
    """Refused while something runs; then data and edited configuration stay, all else goes."""
    uninstall = "make --silent -C /src uninstall"
    box.run(f"systemctl start {PROCESSING}.socket")
    assert "The services run: systemctl stop 'citadel*'" in box.run(uninstall, status=2)
    box.run(f"systemctl stop {PROCESSING}.socket", f"systemctl enable citadel.target {GATEWAY}")
    output = box.run(uninstall)
    assert "Kept what you have edited: config/services/data-streaming-api.yaml" in output
    assert "Kept the data in /var/lib/citadel" in output
    assert box.run("find /opt/citadel -type f").split() == [STREAMING_YAML]
    assert box.run("find /etc /usr /opt -name 'citadel*' \\( -type f -o -type l \\)").split() == []
    assert "citadel" not in box.run("systemctl list-unit-files", "ls /usr/local/bin")


def test_the_package_installs_upgrades_and_is_purged(box, deb, share):
    """dpkg keeps what was edited; nothing is started by it; a removal keeps the data, a purge does not."""
    [package] = share.glob("citadel_*.deb")
    box.run(f"dpkg --force-confold --install /share/{package.name}")
    assert "renamed_rule" in box.run(f"cat {STREAMING_YAML}")
    box.run(f"cmp /src/{last_release.EDITED} {STREAMING_YAML}.dpkg-dist")
    assert box.run("systemctl is-active citadel.target", status=None).strip() == "inactive"
    assert box.run("systemctl is-enabled citadel.target", status=None).strip() == "disabled"
    box.run("systemctl start citadel.target", f"systemctl start {GATEWAY} {PROCESSING}")
    assert placed(box) == list(range(last_release.EVENTS + 1))
    assert rules(box)[0] == "renamed_rule"
    process = box.show(PROCESSING, "MainPID")

    box.run(
        f"dpkg-deb --raw-extract /share/{package.name} /tmp/next",
        "sed -i 's/^Version: .*/&.post1/' /tmp/next/DEBIAN/control",
        "echo '# the next release' >>/tmp/next/opt/citadel/config/services/event-processing.yaml",
        "dpkg-deb --root-owner-group -Znone --build /tmp/next /tmp/next.deb",
    )
    assert "systemctl restart 'citadel-*.service'" in box.run("dpkg --force-confold --install /tmp/next.deb")
    assert "# the next release" in box.run("cat /opt/citadel/config/services/event-processing.yaml")
    assert "renamed_rule" in box.run(f"cat {STREAMING_YAML}")
    assert box.show(PROCESSING, "MainPID") == process
    box.run("systemctl restart 'citadel-*.service'")

    # An upgrade that fails before it has begun, and a `make install` beside dpkg: all stays as it is.
    box.run(
        "echo 'exit 1' >/tmp/next/DEBIAN/preinst",
        "dpkg-deb --root-owner-group -Znone --build /tmp/next /tmp/bad.deb >/dev/null",
    )
    box.run("dpkg --force-confold --install /tmp/bad.deb", status=1)
    assert "The package citadel is installed" in box.run("make --silent -C /src install", status=2)
    assert placed(box) == list(range(last_release.EVENTS + 1))
    box.run("hxp --version", "systemctl restart 'citadel-*.service'", "dpkg --remove citadel")
    assert box.run("systemctl is-active 'citadel-*'", status=None).split() == []
    box.run("test -s /var/lib/citadel/data-streaming-api/state.db", f"test -s {STREAMING_YAML}")
    box.run("dpkg --purge citadel", "test ! -e /opt/citadel", "test ! -e /var/lib/citadel")
