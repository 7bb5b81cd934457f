"""Limits of the system for the process that runs, or would run: descriptors, memory, cores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hxp_enterprise_llm.config.common import PerformanceConfig
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.doctor.model import Finding
from hxp_enterprise_llm.security.capacity import LEAST, SPARE

_GIB = 1024**3


class Limits(NamedTuple):
    """What the system grants; None where it sets no bound."""

    descriptors: int | None
    memory: int | None
    cores: float | None


def limits_of(pid: int | str, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Limits:
    """The limits of a process; its cgroup's and those above it. Raises OSError when the process is gone."""
    descriptors = None
    for line in (proc / str(pid) / "limits").read_text().splitlines():
        if line.startswith("Max open files"):
            soft = line.split()[3]
            descriptors = int(soft) if soft.isdecimal() else None
    memory: list[int] = []
    cores: list[float] = []
    for directory in _groups((proc / str(pid) / "cgroup").read_text(), cgroups):
        memory += _memory(directory)
        cores += _cores(directory)
    return Limits(descriptors, min(memory, default=None), min(cores, default=None))


def _groups(text: str, cgroups: Path) -> Iterator[Path]:
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        roots = [cgroups / name for name in controllers.split(",")] if controllers else [cgroups, cgroups / "unified"]
        for root in roots:
            here = root / path.lstrip("/")
            yield from (each for each in (here, *here.parents) if each.is_relative_to(root))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _memory(directory: Path) -> Iterator[int]:
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = _read(directory / name)
        # The old controllers write a huge number for no limit.
        if text.isdecimal() and int(text) < 1 << 60:
            yield int(text)


def _cores(directory: Path) -> Iterator[float]:
    quota, _, period = _read(directory / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(directory / "cpu.cfs_quota_us"), _read(directory / "cpu.cfs_period_us")
    if quota.isdecimal() and period.isdecimal():
        yield int(quota) / int(period)


def look_at_descriptors(granted: int | None, config: StreamingConfig | None) -> Iterator[Finding]:
    """Whether as many clients may connect as the configuration says."""
    wanted = LEAST
    if config is not None:
        wanted = config.websocket.max_connections + config.sse.max_connections
        wanted += config.live_dashboard.max_connections + SPARE
    if granted is not None and granted < wanted:
        yield Finding(
            "limits.descriptors",
            "fault",
            f"the process may open {granted:,} files, the configured connections need {wanted:,}",
            f"LimitNOFILE={max(16384, wanted)} in the unit, or `ulimit -n {wanted}`; or lower max_connections",
        )
    else:
        shown = "any number of" if granted is None else f"{granted:,}"
        yield Finding("limits.files", "ok", f"the process may open {shown} files, {wanted:,} are needed at most")


def look_at_cgroup(name: str, performance: PerformanceConfig, limits: Limits) -> Iterator[Finding]:
    """Whether `performance` says what the system enforces."""
    wanted = performance.memory_limit_gb * _GIB
    if limits.memory is None or abs(limits.memory - wanted) > 0.01 * wanted:
        there = "no limit" if limits.memory is None else f"{limits.memory / _GIB:.2f} GiB"
        yield Finding(
            "limits.memory",
            "warning",
            f"{name}: performance.memory_limit_gb is {performance.memory_limit_gb:g}, the system enforces {there}",
            f"MemoryMax={performance.memory_limit_gb:g}G in the unit, or correct the configuration",
        )
    if limits.cores is None or abs(limits.cores - performance.cpu_cores) > 0.01:
        there = "no limit" if limits.cores is None else f"{limits.cores:g}"
        yield Finding(
            "limits.cores",
            "warning",
            f"{name}: performance.cpu_cores is {performance.cpu_cores:g}, the system enforces {there}",
            f"CPUQuota={performance.cpu_cores * 100:.0f}% in the unit, or correct the configuration",
        )
