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
from hxp_enterprise_llm.config.loader import load
from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.log.sqlite.segment import segment_paths
from hxp_enterprise_llm.event.processing.history.database import Budget, Database, Meta
from hxp_enterprise_llm.event.processing.platform.keeping import Saved, StateFile, encoded
from hxp_enterprise_llm.event.processing.platform.platform import State
from hxp_enterprise_llm.orchestration import doctor
from hxp_enterprise_llm.orchestration.doctor import host, limits, network, state
from hxp_enterprise_llm.orchestration.doctor.files import (
    look_at_configuration_file,
    look_at_credentials,
    look_at_state,
)
from hxp_enterprise_llm.orchestration.doctor.model import Finding, worst
from hxp_enterprise_llm.orchestration.doctor.trust import look_at_trust
from hxp_enterprise_llm.store.database import Store, newest_revision
from hxp_enterprise_llm.store.keeping import keep_copy
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
        assert state.owner_of(log) == os.getpid()  # the number stays in the lock; the process still lives

    def test_none(self, tmp_path: Path) -> None:
        assert names(state.look_at_log(tmp_path / "log")) == {"log.none"}
        assert state.owner_of(tmp_path / "log") is None
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
def answering(health: object, version: str = __version__) -> Iterator[int]:
    """A service that says this of itself; gives its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = health if self.path == "/health" else {"info": {"version": version}}
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


def nobodys_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


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
        ],
    )
    def test_what_a_service_says(self, health: object, version: str, found: set[str]) -> None:
        with answering(health, version) as port:
            assert names(network.look_at_service("x", "0.0.0.0", port)) == found

    def test_nobody(self) -> None:
        assert names(network.look_at_service("x", "127.0.0.1", nobodys_port())) == {"service.down"}

    def test_ports_of_dashboards(self) -> None:
        config = StreamingConfig()
        ports = {"system_health": nobodys_port(), "off": 0}
        live = msgspec.structs.replace(config.live_dashboard, ports=ports)
        findings = network.look_at_dashboard_ports(msgspec.structs.replace(config, live_dashboard=live))
        assert names(findings) == {"service.dashboard_port"}

    def test_peers(self) -> None:
        def config(port: int) -> StreamingConfig:
            shipped = StreamingConfig()
            url = f"http://127.0.0.1:{port}"
            monitoring = msgspec.structs.replace(
                shipped.monitoring,
                real_time_event_processing_endpoint=url,
                metrics_server_endpoint=url,
                custom_metrics_endpoint=url,
                api_gateway_endpoint="",
            )
            notifications = shipped.real_time_notifications
            email = msgspec.structs.replace(notifications.email, to=["a@b"], host="127.0.0.1", port=port)
            notifications = msgspec.structs.replace(notifications, email=email)
            return msgspec.structs.replace(shipped, monitoring=monitoring, real_time_notifications=notifications)

        nobody = config(nobodys_port())
        assert names(network.look_at_peers(nobody, None)) == {"peers.events", "peers.unreachable", "peers.mail"}
        assert names(network.look_at_peers(nobody, ProcessingConfig())) == {"peers.unreachable", "peers.mail"}
        with answering(GOOD) as port:
            assert names(network.look_at_peers(config(port), None)) == {"peers.reachable"}


def test_every_finding_has_a_test_that_makes_it_happen() -> None:
    text = "\n".join(path.read_text() for path in SOURCE.glob("*.py"))
    told = set(re.findall(r'Finding\(\s*"([a-z]+\.[a-z_]+)"', text)) | set(re.findall(r'"(peers\.[a-z_]+)"', text))
    tests = Path(__file__).read_text() + (Path(__file__).parents[2] / "cli/test_cli_doctor.py").read_text()
    assert len(told) > 35
    assert {name for name in told if f'"{name}"' not in tests} == set()
