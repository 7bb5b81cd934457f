"""A throw-away machine with a real systemd as its first process, on hosts whose own may be something else."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
BOOT = Path(__file__).with_name("boot.sh")
BOOT_SECONDS = 30.0
HIERARCHIES = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
GATEWAY = "citadel-data-streaming-api"
PROCESSING = "citadel-event-processing"
ADDRESSES = ("192.168.10.29", "192.168.10.37")
"""The hosts of the seed: its own, and that of the metrics."""


class Failed(AssertionError):
    """A command in the box ended otherwise than it should."""


class Box:
    """Boots on entry, is gone at the exit. The source tree is at /src, `share` at /share."""

    def __init__(self, share: Path) -> None:
        self.share = share
        self.name = f"hxp-box-{os.getpid()}"
        self._state = Path(tempfile.mkdtemp(prefix="hxp-box-", dir="/run"))
        self._console = (share / "console").open("wb")

    def __enter__(self) -> Box:
        command = ["unshare", "--mount", "--propagation", "private", "sh", str(BOOT)]
        arguments = [str(self._state), self.name, str(ROOT), str(self.share)]
        self._outer = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
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
        end = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < end and self._outer.poll() is None:
            with suppress(Failed, StopIteration):
                state = self.run("systemctl is-system-running 2>/dev/null", status=None)
                if state.strip() in {"running", "degraded"}:
                    self.run("ip link set lo up", *(f"ip address add {each}/32 dev lo" for each in ADDRESSES))
                    return
            time.sleep(0.05)
        raise Failed("the box did not boot:\n" + (self.share / "console").read_text(errors="replace"))

    def __exit__(self, *_: object) -> None:
        with suppress(Failed, StopIteration, subprocess.TimeoutExpired):
            self.run("systemctl poweroff --force", status=None)
            self._outer.wait(10)
        if self._outer.poll() is None:
            self._outer.kill()
        self._outer.wait()
        self._console.close()
        for hierarchy in HIERARCHIES:
            for directory, _, _ in os.walk(f"{hierarchy}/{self.name}", topdown=False):
                with suppress(OSError):  # its last process is still going
                    os.rmdir(directory)
        self._state.rmdir()

    @property
    def _leader(self) -> int:
        """The first process of the box, as this machine numbers it."""
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text()
        return int(next(iter(children.split())))

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
        return [*enter, *environ, "sh", "-c", script]

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
