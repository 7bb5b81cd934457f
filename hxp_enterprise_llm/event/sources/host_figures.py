"""What the kernel counts about this machine, and the figures that two readings of it give."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

Figures = dict[str, Any]


class CoreTimes(NamedTuple):
    """Seconds of one core since the start of the machine."""

    total: float
    idle: float


class Transfer(NamedTuple):
    """Bytes since the start of the machine: read and written, or received and sent; `errors` is a count."""

    inward: int
    outward: int
    errors: int = 0


class Usage(NamedTuple):
    """A space in bytes."""

    total: int
    used: int
    percent: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the machine. None: it has no such thing, or it could not be read."""

    moment: float
    """Seconds of the monotonic clock."""
    cores: tuple[CoreTimes, ...]
    load_1m: float
    memory: Usage
    swap_percent: float
    disk: Usage | None
    disk_transfer: Transfer | None
    network: Transfer | None


def read_host(disk_path: Path, moment: float) -> Reading:
    """Look at the machine now; may block, e.g. on a network disk. Raises OSError, psutil.Error."""
    memory = psutil.virtual_memory()
    return Reading(
        moment=moment,
        cores=tuple(_core(times) for times in psutil.cpu_times(percpu=True)),
        load_1m=os.getloadavg()[0],
        memory=Usage(memory.total, memory.used, memory.percent),
        swap_percent=psutil.swap_memory().percent,
        disk=_disk(disk_path),
        disk_transfer=_disk_transfer(),
        network=_network(),
    )


def _core(times: Any) -> CoreTimes:
    # Linux counts the time of guests within user and nice as well.
    total = sum(times) - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0)
    return CoreTimes(total, times.idle + getattr(times, "iowait", 0))


def _disk(path: Path) -> Usage | None:
    try:
        usage = psutil.disk_usage(str(path))
    except OSError:
        return None
    return Usage(usage.total, usage.used, usage.percent)


def _disk_transfer() -> Transfer | None:
    counters = psutil.disk_io_counters()
    return Transfer(counters.read_bytes, counters.write_bytes) if counters else None


def _network() -> Transfer | None:
    counters = psutil.net_io_counters()
    return Transfer(counters.bytes_recv, counters.bytes_sent, counters.errin + counters.errout) if counters else None


def figures(before: Reading, now: Reading, disk_path: Path) -> dict[str, Figures]:
    """Data of the events by type. Rates are per second between the readings; what is unknown is left out."""
    seconds = now.moment - before.moment
    found: dict[str, Figures] = {"host.cpu": _cpu_figures(before, now), "host.memory": _memory_figures(now)}
    if now.disk:
        rates = _rates(before.disk_transfer, now.disk_transfer, seconds)
        found["host.disk"] = {
            "percent": now.disk.percent,
            "used_bytes": now.disk.used,
            "total_bytes": now.disk.total,
            "path": str(disk_path),
            **dict(zip(("read_bytes_per_second", "written_bytes_per_second"), rates, strict=False)),
        }
    rates = _rates(before.network, now.network, seconds)
    if rates:
        names = ("received_bytes_per_second", "sent_bytes_per_second", "errors_per_second")
        found["host.network"] = dict(zip(names, rates, strict=True))
    return found


def _cpu_figures(before: Reading, now: Reading) -> Figures:
    spans = [
        CoreTimes(max(0.0, new.total - old.total), max(0.0, new.idle - old.idle))
        for old, new in zip(before.cores, now.cores, strict=False)
    ]
    figures: Figures = {"cores": len(now.cores), "load_1m": round(now.load_1m, 2)}
    total = sum(span.total for span in spans)
    if total > 0:
        figures["percent"] = _busy(CoreTimes(total, sum(span.idle for span in spans)))
        figures["per_core"] = [_busy(span) for span in spans]
    return figures


def _busy(span: CoreTimes) -> float:
    return round(100 * (1 - min(1.0, span.idle / span.total)), 1) if span.total else 0.0


def _memory_figures(now: Reading) -> Figures:
    return {
        "percent": now.memory.percent,
        "used_bytes": now.memory.used,
        "total_bytes": now.memory.total,
        "swap_percent": now.swap_percent,
    }


def _rates(before: Transfer | None, now: Transfer | None, seconds: float) -> tuple[float, ...]:
    """Per second; a counter that went back (a disk or network card was taken out) gives 0, no counter gives nothing."""
    if before is None or now is None or seconds <= 0:
        return ()
    return tuple(round(max(0, new - old) / seconds, 1) for old, new in zip(before, now, strict=True))
