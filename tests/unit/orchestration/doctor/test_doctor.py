"""Each finding of `hxp doctor` is made to happen; the last test says which are left."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import re
import socket
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.requirements import Requirement

from hxp_enterprise_llm import __version__
from hxp_enterprise_llm.config.common import PerformanceConfig, SecurityConfig, ServiceConfig
from hxp_enterprise_llm.config.loader import load, parse
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.log.sqlite import directory
from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from hxp_enterprise_llm.event.processing.history.database import Budget, Database, Meta
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, StateFile, encoded
from hxp_enterprise_llm.event.processing.platform.platform import State
from hxp_enterprise_llm.orchestration import doctor
from hxp_enterprise_llm.orchestration.doctor import host, limits, network, state, units
from hxp_enterprise_llm.orchestration.doctor.access import User, look_at_readers, read_by
from hxp_enterprise_llm.orchestration.doctor.files import (
    CREDENTIALS,
    look_at_configuration_file,
    look_at_credentials,
    look_at_credstore,
    look_at_state,
)
from hxp_enterprise_llm.orchestration.doctor.model import Finding, worst
from hxp_enterprise_llm.orchestration.doctor.trust import look_at_trust
from hxp_enterprise_llm.runtime.ownership import FileLock
from hxp_enterprise_llm.store.database import Store, lock_of, newest_revision
from hxp_enterprise_llm.store.keeping import keep_copy
from tests.ports import free_port
from tests.unit.log.damage import four_segments

SOURCE = Path(doctor.__file__).parent


def names(findings: Iterable[Finding]) -> set[str]:
    """Names of what was found; each that is not well says how to mend it."""
    found = list(findings)
    for finding in found:
        assert bool(finding.mend) == (finding.level != "ok"), finding
        assert finding.what
    return {finding.name for finding in found}


class TestHost:
    def test_versions(self) -> None:
        assert names(host.look_at_versions((3, 51, 3))) == {"version.program"}
        assert names(host.look_at_versions((3, 40, 1))) == {"version.program", "version.sqlite_reset"}
        assert names(host.look_at_versions((3, 36, 0))) == {"version.program", "version.sqlite_old"}
        assert worst(host.look_at_versions((3, 40, 1))) == "ok"

    @pytest.mark.parametrize("text", ["no-such-package>=1", "click>=99", "aiohttp<1"])
    def test_a_package_that_is_missing_or_another(self, text: str) -> None:
        assert names(host.look_at_package(Requirement(text))) == {"version.package"}

    def test_clock(self) -> None:
        assert names(host.look_at_clock(0, 100.0, 99.0)) == {"clock.kept"}
        assert names(host.look_at_clock(5, 100.0, None)) == {"clock.unsynchronised"}
        assert names(host.look_at_clock(0, 100.0, 161.0)) == {"clock.set_back"}
        assert host.clock_state() in range(-1, 6)

    def test_the_mount_is_the_innermost(self) -> None:
        table = "/dev/a / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/b /var/my\\040disk ext4 rw,nobarrier 0 0\n"
        assert host.mount_of(Path("/run/x"), table).kind == "tmpfs"
        assert host.mount_of(Path("/runs"), table).at == "/"
        assert host.mount_of(Path("/var/my disk/log"), table).options == {"rw", "nobarrier"}

    @pytest.mark.parametrize(
        ("kind", "options", "found"),
        [
            ("ext4", "rw,noatime", "disk.durable"),
            ("tmpfs", "rw", "disk.memory"),
            ("nfs4", "rw", "disk.network"),
            ("ext4", "rw,nobarrier", "disk.unsafe_options"),
            ("ext4", "rw,data=writeback", "disk.unsafe_options"),
        ],
    )
    def test_durability(self, kind: str, options: str, found: str) -> None:
        mount = host.Mount("/x", kind, frozenset(options.split(",")))
        assert names(host.look_at_durability("the log", mount)) == {found}

    def test_disk(self) -> None:
        room = host.Room(10 << 30, 100_000)
        assert names(host.look_at_disk("the log", room, used=11 << 30, budget=20 << 30)) == {"disk.room"}
        assert names(host.look_at_disk("the log", room, used=1 << 30, budget=20 << 30)) == {"disk.budget"}
        assert names(host.look_at_disk("the log", host.Room(1 << 20, 100_000))) == {"disk.full"}
        assert names(host.look_at_disk("the log", host.Room(10 << 30, 3))) == {"disk.full"}
        assert host.Room.of(Path("/")).bytes > 0


def some_limits(root: Path, cgroup: str, files: dict[str, str], soft: str = "1024") -> limits.Limits:
    process = root / "proc/7"
    process.mkdir(parents=True)
    (process / "limits").write_text(f"Limit  Soft Limit  Hard Limit  Units\nMax open files  {soft}  4096  files\n")
    (process / "cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return limits.limits_of(7, root / "proc", root / "cgroup")


class TestLimits:
    def test_the_narrowest_of_all_groups_counts(self, tmp_path: Path) -> None:
        files = {
            "citadel.slice/memory.max": "2147483648\n",
            "citadel.slice/a.service/memory.max": "max\n",
            "citadel.slice/a.service/cpu.max": "400000 100000\n",
        }
        found = some_limits(tmp_path, "0::/citadel.slice/a.service\n", files)
        assert found == limits.Limits(1024, 2 << 30, 4.0)
        performance = PerformanceConfig(memory_limit_gb=2, cpu_cores=4)
        assert names(limits.look_at_cgroup("x", performance, found)) == set()

    def test_the_old_controllers(self, tmp_path: Path) -> None:
        files = {
            "memory/a/memory.limit_in_bytes": "1073741824",
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "cpu/a/cpu.cfs_quota_us": "50000",
            "cpu/a/cpu.cfs_period_us": "100000",
        }
        found = some_limits(tmp_path, "3:memory:/a\n2:cpu:/a\n", files, "unlimited")
        assert found == limits.Limits(None, 1 << 30, 0.5)
        assert names(limits.look_at_cgroup("x", PerformanceConfig(), found)) == {"limits.memory", "limits.cores"}
        assert names(limits.look_at_descriptors(found.descriptors, StreamingConfig())) == {"limits.files"}

    def test_no_limits_at_all(self, tmp_path: Path) -> None:
        found = some_limits(tmp_path, "0::/\n", {})
        assert names(limits.look_at_cgroup("x", PerformanceConfig(), found)) == {"limits.memory", "limits.cores"}

    def test_descriptors(self) -> None:
        assert names(limits.look_at_descriptors(20_000, StreamingConfig())) == {"limits.files"}
        assert names(limits.look_at_descriptors(600, StreamingConfig())) == {"limits.descriptors"}

    def test_of_this_process(self) -> None:
        assert limits.limits_of(os.getpid()).descriptors != 0


class TestTrust:
    @pytest.mark.parametrize(
        ("address", "security", "found"),
        [
            ("127.0.0.1", SecurityConfig(), set()),
            ("0.0.0.0", SecurityConfig(trusted_networks=["192.168.10.0/24"]), set()),
            ("0.0.0.0", SecurityConfig(trusted_networks=["8.8.8.0/24"]), {"trust.public_network"}),
            ("0.0.0.0", SecurityConfig(trusted_networks=["10.0.0.0/8"]), {"trust.wide_network"}),
            ("0.0.0.0", SecurityConfig(), {"trust.nobody"}),
            ("127.0.0.1", SecurityConfig(anonymous="none"), {"trust.no_keys"}),
            ("0.0.0.0", SecurityConfig(anonymous="none", api_keys_file="/keys"), set()),
        ],
    )
    def test_who(self, address: str, security: SecurityConfig, found: set[str]) -> None:
        service = ServiceConfig(name="x", host=address)
        assert names(look_at_trust(service, security)) == found | {"trust.who"}


class TestFiles:
    def test_a_configuration_that_everybody_may_write(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.touch(0o640)
        path.chmod(0o640)
        assert names(look_at_configuration_file(path)) == {"permissions.written_by"}
        path.chmod(0o666)
        assert names(look_at_configuration_file(path)) == {"permissions.configuration"}

    def test_state(self, tmp_path: Path) -> None:
        assert names(look_at_state(tmp_path / "none")) == {"permissions.no_state"}
        directory = tmp_path / "state"
        directory.mkdir(mode=0o700)
        (directory / "a.db").touch(0o600)
        assert names(look_at_state(directory)) == set()
        (directory / "a.db").chmod(0o640)
        assert names(look_at_state(directory)) == {"permissions.state"}

    def test_state_of_others(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Root may give files away; who is not root cannot make them another's, and is another itself."""
        directory = tmp_path / "state"
        directory.mkdir(mode=0o700)
        (directory / "a.db").touch(0o600)
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert names(look_at_state(directory)) == {"permissions.other_user"}
        monkeypatch.undo()
        real = Path.lstat

        def another(path: Path) -> os.stat_result:
            fields = list(real(path))
            fields[4] += 1
            return os.stat_result(fields)

        monkeypatch.setattr(Path, "lstat", another)
        assert names(look_at_state(directory)) == {"permissions.owner"}

    def test_state_that_is_hidden(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def hidden(_: Path) -> os.stat_result:
            raise PermissionError

        monkeypatch.setattr(Path, "stat", hidden)
        assert names(look_at_state(tmp_path)) == {"permissions.hidden"}

    def test_credentials(self, tmp_path: Path) -> None:
        secret, config = tmp_path / "secret", tmp_path / "data-streaming-api.yaml"
        config.write_text(f"real_time_notifications:\n  email: {{password_file: {secret}}}\n")
        loaded = load(StreamingConfig, config, {})
        (missing,) = look_at_credentials(loaded, {})
        assert missing.name == "credentials.file"
        assert missing.what.startswith("real_time_notifications.email.password_file: ")
        secret.write_text("swordfish")
        secret.chmod(0o644)
        (open_to_all,) = look_at_credentials(loaded, {})
        assert "chmod o-rwx" in open_to_all.mend
        secret.chmod(0o600)
        (good,) = look_at_credentials(loaded, {})
        assert (good.name, "swordfish" in str(good)) == ("credentials.readable", False)


class TestCredstore:
    @pytest.mark.parametrize(
        ("name", "mode", "text", "found"),
        [
            ("smtp-password", 0o600, "x", set()),
            ("smtp-password", 0o644, "x", {"credentials.open"}),
            ("smtp-password", 0o640, "x", {"credentials.open"}),
            ("webhook-secret-pager", 0o600, "", {"credentials.empty"}),
            ("of-another-program", 0o644, "", set()),
        ],
    )
    def test_a_secret(self, tmp_path: Path, name: str, mode: int, text: str, found: set[str]) -> None:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        assert names(look_at_credstore(tmp_path)) == found
        assert names(look_at_credstore(tmp_path / "none")) == set()

    def test_every_credential_of_the_configuration_is_known(self) -> None:
        """And given to a service by its unit. A public key is no secret."""
        root = Path(__file__).parents[4]
        page = (root / "docs/configuration.md").read_text()
        told = set(re.findall(r"\$CREDENTIALS_DIRECTORY/([a-z-]+)", page))
        assert {each for each in told if not each.startswith("webhook-secret")} <= CREDENTIALS
        units = "".join(path.read_text() for path in (root / "deploy/systemd").glob("*.service"))
        given = set(re.findall(r"^LoadCredential=(\S+)$", units, re.MULTILINE))
        assert given == CREDENTIALS | {"centrifuge-public-key"}


NOBODY = User("nobody", 65534, frozenset({65534}))


class TestReaders:
    @pytest.fixture
    def place(self) -> Iterator[Path]:
        """A directory that everybody may enter: those of pytest are closed."""
        with tempfile.TemporaryDirectory() as directory:
            Path(directory).chmod(0o755)
            yield Path(directory)

    def test_what_everybody_may_read(self, place: Path) -> None:
        (place / "boards").mkdir()
        (place / "boards/a.json").touch()
        for path, mode in ((place / "boards", 0o755), (place / "boards/a.json", 0o644)):
            path.chmod(mode)
        assert names(look_at_readers([place / "boards", place / "none"], NOBODY)) == set()

    def test_a_file_of_roots_alone(self, place: Path) -> None:
        """As an editor leaves it that writes a new file in the place of the old one."""
        path = place / "a.yaml"
        path.touch(0o600)
        (finding,) = look_at_readers([path], NOBODY)
        assert finding.name == "permissions.unreadable"
        assert finding.mend == f"sudo chgrp nobody {path} && sudo chmod g+r {path}"
        path.chmod(0o604)
        assert names(look_at_readers([path], NOBODY)) == set()

    def test_the_group_and_the_owner_have_rights_of_their_own(self, place: Path) -> None:
        path = place / "a.yaml"
        path.touch()
        path.chmod(0o640)
        group = User("x", os.getuid() + 1, frozenset({path.stat().st_gid}))
        assert names(look_at_readers([path], group)) == set()
        path.chmod(0o604)
        assert names(look_at_readers([path], group)) == {"permissions.unreadable"}

    def test_the_outermost_directory_is_named_once(self, place: Path) -> None:
        inner = place / "config/services"
        inner.mkdir(parents=True)
        for name in ("a.yaml", "b.yaml"):
            (inner / name).touch(0o600)
        (place / "config").chmod(0o700)
        (finding,) = look_at_readers([inner / "a.yaml", inner / "b.yaml"], NOBODY)
        assert finding.mend == f"sudo chgrp nobody {place}/config && sudo chmod g+rx {place}/config"

    def test_whose_the_state_is_runs_the_service(self, tmp_path: Path) -> None:
        assert User.owner_of(tmp_path / "none") is None
        found = User.owner_of(tmp_path)
        assert (found is None) == (os.getuid() == 0), "root reads everything"

    def test_what_a_configuration_names(self, tmp_path: Path) -> None:
        path = tmp_path / "a-streaming.yaml"
        path.write_text("security: {api_keys_file: /keys}\nlive_dashboard: {directory: /boards}\n")
        assert {path, Path("/keys"), Path("/boards")} <= set(read_by(load(StreamingConfig, path, {})))
        processing = parse(ProcessingConfig, "ingest: {schemas_directory: /schemas}", {})
        assert set(read_by(processing)) == {Path("/schemas")}


class TestUnits:
    SHOWN = """Id=citadel.target
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no

Id=citadel-event-processing.service
LoadState=loaded
ActiveState=active
Result=success
ExecMainStatus=0
UnitFileState=disabled
NeedDaemonReload=no

Id=citadel-data-streaming-api.service
LoadState=not-found
ActiveState=inactive
"""

    @pytest.mark.parametrize(
        ("old", "new", "found"),
        [
            ("", "", {"unit.well"}),
            ("UnitFileState=enabled", "UnitFileState=disabled", {"unit.not_enabled"}),
            ("NeedDaemonReload=no", "NeedDaemonReload=yes", {"unit.changed"}),
            ("ActiveState=active\nResult=success", "ActiveState=failed\nResult=exit-code", {"unit.failed"}),
        ],
    )
    def test_what_systemd_says(self, old: str, new: str, found: set[str]) -> None:
        assert names(units.look_at_units(units.parsed(self.SHOWN.replace(old, new)))) == found

    def test_one_that_was_given_up_says_why_and_how_it_starts_again(self) -> None:
        text = self.SHOWN.replace("ActiveState=active\nResult", "ActiveState=failed\nResult")
        for status, means in (("78", True), ("70", False)):
            (finding,) = units.look_at_units(units.parsed(text.replace("ExecMainStatus=0", f"ExecMainStatus={status}")))
            assert ("its configuration" in finding.what) == means
            assert "sudo journalctl -u citadel-event-processing.service -p err" in finding.mend
            assert "reset-failed citadel-event-processing.service" in finding.mend

    def test_without_our_units(self) -> None:
        assert names(units.look_at_units(units.parsed("LoadState=not-found\n"))) == set()

    def test_where_systemd_does_not_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(units, "_BOOTED", tmp_path / "none")
        assert units.units_of() == []


@pytest.fixture
def log(tmp_path: Path) -> Path:
    asyncio.run(four_segments(tmp_path / "log"))
    return tmp_path / "log"


class TestLog:
    def test_whole(self, log: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in log.parent.rglob("*") if path.is_file()}
        assert names(state.look_at_log(log)) == {"log.holds"}
        assert state.newest_record(log) is not None
        after = {path: path.stat().st_mtime_ns for path in before}
        assert before == after
        with directory.owned(log):
            assert state.owner_of(log / "lock") == os.getpid()
        assert str(os.getpid()) in (log / "lock").read_text()  # the number stays behind
        assert state.owner_of(log / "lock") is None

    def test_none(self, tmp_path: Path) -> None:
        assert names(state.look_at_log(tmp_path / "log")) == {"log.none"}
        assert state.owner_of(tmp_path / "log" / "lock") is None
        assert state.newest_record(tmp_path / "log") is None

    def test_a_hole(self, log: Path) -> None:
        segment_paths(log)[1].unlink()
        assert names(state.look_at_log(log)) == {"log.holds", "log.hole"}

    def test_shorter_than_noted(self, log: Path) -> None:
        segment_paths(log)[-1].unlink()
        assert names(state.look_at_log(log)) == {"log.holds", "log.short"}

    def test_without_a_note(self, log: Path) -> None:
        log.with_name("log.head").unlink()
        assert names(state.look_at_log(log)) == {"log.holds", "log.no_note"}

    def test_unreadable(self, log: Path) -> None:
        segment_paths(log)[-1].write_bytes(b"no database" * 1000)
        assert names(state.look_at_log(log)) == {"log.unreadable"}
        assert state.newest_record(log) is None


class TestStore:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Path:
        async def make() -> None:
            store = Store(tmp_path / "state.db")
            await store.open()
            await store.close()

        asyncio.run(make())
        return tmp_path / "state.db"

    def test_whole(self, store: Path) -> None:
        assert names(state.look_at_store(store)) == {"store.whole"}
        assert names(state.look_at_store(store.with_name("none.db"))) == {"store.none"}

    def test_who_holds_it(self, store: Path) -> None:
        assert state.owner_of(lock_of(store)) is None
        lock = FileLock(lock_of(store))
        lock.acquire()
        assert state.owner_of(lock_of(store)) == os.getpid()
        lock.release()
        assert state.owner_of(lock_of(store)) is None

    def test_newer(self, store: Path) -> None:
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        (finding,) = state.look_at_store(store)
        assert (finding.name, finding.mend) == (
            "store.newer",
            "run that release, or restore the backup made before the upgrade",
        )

    def test_the_way_back_from_a_newer_one_can_be_copied(self, store: Path) -> None:
        keep_copy(store, newest_revision())
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        (finding,) = state.look_at_store(store)
        _, _, commands = finding.mend.partition("before the upgrade: ")
        subprocess.run(["sh", "-c", commands], check=True)
        assert names(state.look_at_store(store)) == {"store.whole"}

    @pytest.mark.parametrize("start", [0, 4096 * 3])
    def test_damaged(self, store: Path, start: int) -> None:
        content = bytearray(store.read_bytes())
        content[start : start + 4096] = b"\xff" * 4096
        store.write_bytes(content)
        assert names(state.look_at_store(store)) == {"store.damaged"}


class TestPlatformAndHistory:
    def test_platform(self, tmp_path: Path) -> None:
        path = tmp_path / "platform" / "state"
        assert names(state.look_at_platform(path)) == {"platform.whole"}
        StateFile(path).write(encoded(Saved("e", 1234, State())))
        (finding,) = state.look_at_platform(path)
        assert (finding.level, finding.what) == ("ok", f"{path} is whole, up to 1,234")

    def test_a_state_of_the_platform_that_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        path.write_bytes(encoded(Saved("e", 1234, State()))[:-1])
        (finding,) = state.look_at_platform(path)
        assert (finding.name, finding.level) == ("platform.unusable", "warning")
        assert "hxp restore a backup" in finding.mend

    def test_history(self, tmp_path: Path) -> None:
        """Also while the service has it open."""
        path = tmp_path / "history" / "history.db"
        assert names(state.look_at_history(path)) == {"history.none"}
        database = Database(path, Budget(16 << 20))
        with database.transaction() as connection:
            Meta(connection).put("position", 77)
        (finding,) = state.look_at_history(path)
        database.connection.close()
        assert (finding.name, finding.what) == ("history.whole", f"{path}: 0 series, up to 77")

    def test_a_history_that_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "history.db"
        path.write_bytes(b"no database" * 1000)
        assert names(state.look_at_history(path)) == {"history.damaged"}


@contextmanager
def answering(health: object, version: str = __version__, key: str = "") -> Iterator[int]:
    """A service that says this of itself, to those who bring its key; gives its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = health if self.path == "/health" else {"info": {"version": version}}
            if key and self.headers.get("Authorization") != key:
                body = {"error": {"code": "anonymous_off", "message": "nobody comes in"}}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


GOOD = {"service": "x", "parts": {"log": {"status": "ok", "durable": True}}}


class TestServices:
    @pytest.mark.parametrize(
        ("health", "version", "found"),
        [
            (GOOD, __version__, {"service.healthy"}),
            (GOOD, "0.0.1", {"service.healthy", "service.version"}),
            ({"service": "y"}, __version__, {"service.port_taken"}),
            ([], __version__, {"service.port_taken"}),
            (GOOD | {"parts": {"log": {"status": "down", "reason": "disk"}}}, __version__, {"service.part"}),
            (
                GOOD | {"parts": {"log": {"status": "ok", "durable": False}}},
                __version__,
                {"service.healthy", "service.not_durable"},
            ),
            # Nothing is known of a log that is not reached.
            (GOOD | {"parts": {"log": {"status": "degraded", "durable": False}}}, __version__, {"service.part"}),
            ({"error": {"code": "anonymous_off", "message": "nobody"}}, __version__, {"service.closed"}),
        ],
    )
    def test_what_a_service_says(self, health: object, version: str, found: set[str]) -> None:
        with answering(health, version) as port:
            assert names(network.look_at_service("x", "0.0.0.0", port, network.Way())) == found

    def test_nobody(self) -> None:
        assert names(network.look_at_service("x", "127.0.0.1", free_port(), network.Way())) == {"service.down"}

    def test_one_that_stands_still_is_not_taken_for_a_stranger(self) -> None:
        """As behind a port that systemd keeps open: somebody takes the connection, nobody answers."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            (finding,) = network.look_at_service("x", "127.0.0.1", silent.getsockname()[1], network.Way({}, 0.05))
        assert finding.name == "service.silent"
        assert "sudo systemctl restart citadel-x.service" in finding.mend

    def test_a_key_goes_along(self) -> None:
        with answering(GOOD, key="Bearer k") as port:
            assert names(network.look_at_service("x", "127.0.0.1", port, network.Way())) == {"service.closed"}
            way = network.Way({"Authorization": "Bearer k"})
            assert names(network.look_at_service("x", "127.0.0.1", port, way)) == {"service.healthy"}

    def test_ports_of_dashboards(self) -> None:
        config = StreamingConfig()
        ports = {"system_health": free_port(), "off": 0}
        live = msgspec.structs.replace(config.live_dashboard, ports=ports)
        findings = network.look_at_dashboard_ports(msgspec.structs.replace(config, live_dashboard=live))
        assert names(findings) == {"service.dashboard_port"}

    @pytest.mark.parametrize(
        ("notifications", "told"),
        [
            ("", ""),
            ("email: {to: [a@b.example]}", "email"),
            ("email: {to: [a@b.example]}, slack: {channel: '#ops'}", "email and slack"),
            ("email: {to: [a@b.example]}, notification_channels: [sse]", ""),
            ("email: {to: [a@b.example]}, external_url: https://citadel.example", ""),
            ("slack: {channel: '#ops'}, webhook: {external_url: https://citadel.example}", ""),
        ],
    )
    def test_messages_that_lead_nowhere(self, notifications: str, told: str) -> None:
        config = parse(StreamingConfig, f"real_time_notifications: {{{notifications}}}", {}).config
        found = [*network.look_at_links(config.real_time_notifications)]
        assert names(found) == ({"notifications.no_links"} if told else set())
        assert all(f"messages by {told} do not link" in each.what for each in found)

    @pytest.mark.parametrize(
        ("notifications", "processing", "found"),
        [
            ("", None, {"peers.events"}),
            ("", "", {"peers.unreachable"}),
            ("email: {host: 127.0.0.1, port: PORT, to: [a@b]}", "", {"peers.mail"}),
            ('alertmanager: {urls: ["http://127.0.0.1:PORT"]}', "", {"peers.told"}),
            ('heartbeats: {a: {every: 1m, url: "http://127.0.0.1:PORT/x"}}', "", {"peers.told"}),
            ('webhook: {endpoints: [{name: w, url: "http://127.0.0.1:PORT"}]}', "", {"peers.told"}),
            ("", "nats: {endpoint: nats://127.0.0.1:PORT}", {"peers.unreachable"}),
            ("", "redis: {endpoint: redis://127.0.0.1:PORT/0, streams: [{stream: s}]}", {"peers.unreachable"}),
        ],
    )
    def test_a_peer_that_is_away(self, notifications: str, processing: str | None, found: set[str]) -> None:
        """Told once, whoever names it, and as bad as it is for the one who needs it most."""
        keys = "real_time_event_processing", "metrics_server", "custom_metrics", "api_gateway"
        text = f"monitoring: {{{', '.join(f'{key}_endpoint: URL' for key in keys)}}}\n"
        text += f"real_time_notifications: {{{notifications}}}\n"
        sources = f"sources: {{prometheus: {{endpoint: URL}}, {processing}}}"

        def looked_at(port: int) -> set[str]:
            def put(each: str) -> str:
                return each.replace("URL", f"http://127.0.0.1:{port}").replace("PORT", str(port))

            streaming = parse(StreamingConfig, put(text), {}).config
            events = None if processing is None else parse(ProcessingConfig, put(sources), {}).config
            findings = list(network.look_at_peers(streaming, events))
            assert len(findings) == 1
            return names(findings)

        assert looked_at(free_port()) == found
        with answering(GOOD) as port:
            assert looked_at(port) == {"peers.reachable"}


def test_every_finding_has_a_test_that_makes_it_happen() -> None:
    text = "\n".join(path.read_text() for path in SOURCE.glob("*.py"))
    told = set(re.findall(r'Finding\(\s*"([a-z]+\.[a-z_]+)"', text)) | set(re.findall(r'"(peers\.[a-z_]+)"', text))
    tests = Path(__file__).read_text() + (Path(__file__).parents[2] / "cli/test_cli_doctor.py").read_text()
    assert len(told) > 35
    assert {name for name in told if f'"{name}"' not in tests} == set()
