"""A throw-away machine with a real systemd as its first process, on hosts whose own may be something else."""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.box import host

ROOT = Path(__file__).parents[2]
BOOT = Path(__file__).with_name("boot.sh")
BOOT_SECONDS = 90.0
"""Half a second on a machine with nothing else to do."""
APART = (
    *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("--propagation", "private"),
)
"""In namespaces of its own, and gone with whoever has started it, however that ends."""
GATEWAY = "citadel-data-streaming-api"
PROCESSING = "citadel-event-processing"
ADDRESSES = ("192.168.10.29", "192.168.10.37")
"""The hosts of the seed: its own, and that of the metrics."""


class Failed(AssertionError):
    """A command in the box ended otherwise than it should."""


def _children(process: int) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def _descendants(process: int) -> Iterator[int]:
    for child in _children(process):
        yield child
        yield from _descendants(child)


def _own_numbers() -> list[str]:
    return Path("/proc/self/status").read_text().partition("\nNSpid:")[2].partition("\n")[0].split()


class Box:
    """Boots on entry, is gone at the exit. The source tree is at /src, `share` at /share."""

    def __init__(self, share: Path) -> None:
        self.share = share
        self.name = f"{host.PREFIX}{os.getpid()}-{secrets.token_hex(3)}"
        self._leader = 0

    def __enter__(self) -> Box:
        host.sweep()
        if why := host.hindrance():
            raise Failed(f"the box cannot boot: {why}")
        self._state = Path(tempfile.mkdtemp(prefix="box-", dir=self.share.parent))
        arguments = [str(self._state), self.name, str(ROOT), str(self.share)]
        with (self.share / "console").open("wb") as console:
            self._outer = subprocess.Popen(
                [*APART, "sh", str(BOOT), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._await_boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _await_boot(self) -> None:
        end, state = time.monotonic() + BOOT_SECONDS, "no first process"
        while time.monotonic() < end and self._outer.poll() is None:
            self._leader = self._leader or self._find_leader()
            if self._leader:
                state = self.run("systemctl is-system-running 2>&1", status=None).strip()
                if state in {"running", "degraded"}:
                    self.run("ip link set lo up", *(f"ip address add {each}/32 dev lo" for each in ADDRESSES))
                    return
            time.sleep(0.05)
        raise Failed(
            f"the box did not boot within {BOOT_SECONDS} s: systemd says {state!r}, {self._outer.poll()=}.\n"
            f"{host.hindrance()}\n{(self.share / 'console').read_text(errors='replace')}\n{self._standstill()}"
        )

    def _standstill(self) -> str:
        """What a systemd waits for that does not come up, and what it has said."""
        if not self._leader:
            return ""
        looks = ("list-jobs", "--failed", "status --lines=0 'dbus*'")
        lines = [f"timeout 5 systemctl --no-pager {look} 2>&1 || true" for look in looks]
        return self.run(*lines, "ps axf", "timeout 5 journalctl --no-pager --lines=100 2>&1 || true", status=None)

    def _find_leader(self) -> int:
        """The first process of the box, as this machine numbers it; 0 as long as there is none.

        Two PID namespaces below our own. Before, nspawn has children that see all of this machine.
        """
        for child in _descendants(self._outer.pid):
            with suppress(FileNotFoundError):
                status = Path(f"/proc/{child}/status").read_text()
                numbers = status.partition("\nNSpid:")[2].partition("\n")[0].split()
                if len(numbers) == len(_own_numbers()) + 2 and numbers[-1] == "1":
                    return child
        return 0

    def __exit__(self, *_: object) -> None:
        """Nothing in it is worth an orderly end: with the first process of the outer namespace all others are gone."""
        for child in _children(self._outer.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._outer.wait()
        for hierarchy in host.HIERARCHIES:
            host.remove(hierarchy / self.name)
        self._state.rmdir()

    def command(self, script: str) -> list[str]:
        """What runs a shell script in the box."""
        enter = ["nsenter", "--target", str(self._leader), "--all", "--"]
        environ = [
            "env",
            "-i",
            "--chdir=/",
            "PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin",
            "HOME=/root",
            "LANG=C.UTF-8",
        ]
        return [*enter, *environ, "sh", "-c", f"umask 022\n{script}"]

    def run(self, *lines: str, status: int | None = 0, within: float = 60) -> str:
        """Run lines of shell, the first that fails ends it; answers what they print. None: any status will do."""
        script = "set -e\n" + "\n".join(lines)
        ended = subprocess.run(
            self.command(script), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within, check=False
        )
        output = ended.stdout + ended.stderr
        if status is not None and ended.returncode != status:
            raise Failed(f"status {ended.returncode} instead of {status} of:\n{script}\n{output}")
        return output

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run(f"systemctl show --property={name} --value {shlex.quote(unit)}").strip()

    def journal(self, unit: str) -> str:
        """All that a service has said, and systemd about it."""
        return self.run(f"journalctl --unit={unit} --output=cat --no-pager")

    def until(self, script: str, wanted: str, within: float = 20) -> str:
        """Run a script until its output has these words; answers the output."""
        end = time.monotonic() + within
        while True:
            output = self.run(script, status=None)
            if wanted in output:
                return output
            if time.monotonic() > end:
                raise Failed(f"no {wanted!r} within {within} s from {script}:\n{output}")
            time.sleep(0.1)
