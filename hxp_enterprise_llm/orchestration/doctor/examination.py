"""All looks at an installation, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hxp_enterprise_llm.config.common import SecurityConfig, ServiceConfig
from hxp_enterprise_llm.config.faults import ConfigFaults
from hxp_enterprise_llm.config.loader import Loaded
from hxp_enterprise_llm.event.log.sqlite import directory as files
from hxp_enterprise_llm.orchestration.check import CheckReport
from hxp_enterprise_llm.orchestration.doctor import host, limits, network, state
from hxp_enterprise_llm.orchestration.doctor.access import User, look_at_readers, read_by
from hxp_enterprise_llm.orchestration.doctor.by_hand import by_hand
from hxp_enterprise_llm.orchestration.doctor.files import (
    look_at_configuration_file,
    look_at_credentials,
    look_at_credstore,
    look_at_state,
    secret_files,
)
from hxp_enterprise_llm.orchestration.doctor.model import Finding, Installation
from hxp_enterprise_llm.orchestration.doctor.network import Way
from hxp_enterprise_llm.orchestration.doctor.trust import look_at_trust
from hxp_enterprise_llm.orchestration.doctor.units import look_at_units, units_of
from hxp_enterprise_llm.telemetry.text import clean


def configuration_faults(error: ConfigFaults) -> Iterator[Finding]:
    """Each fault with its place."""
    for line in str(error).splitlines():
        yield Finding("configuration.fault", "fault", clean(line, 1024), "correct the line; hxp check-config FILE")


def configuration_findings(report: CheckReport) -> Iterator[Finding]:
    """A configuration that can be used: what it holds, and what is odd."""
    loaded = report.loaded
    found = ", ".join(f"{count} {name}" for name, count in report.found.items())
    yield Finding("configuration.good", "ok", f"{loaded.path or 'defaults'}: {found}")
    if loaded.path is not None:
        yield from look_at_configuration_file(loaded.path)
    for warning in report.warnings:
        yield Finding("configuration.odd", "warning", warning, "correct it, or leave it if it is meant")


def examine(installation: Installation, environ: Mapping[str, str], now: float, way: Way) -> Iterator[Finding]:
    """Everything beyond the configuration itself. `now`: seconds since 1970; `way`: how the services are asked."""
    yield from host.look_at_versions()
    yield from host.look_at_clock(host.clock_state(), now, state.newest_record(installation.log))
    yield from _disks(installation)
    services = (
        (installation.processing, installation.processing_state),
        (installation.streaming, installation.streaming_state),
    )
    for loaded, directory in services:
        if loaded is not None:
            yield from _of_service(loaded, directory, environ)
    if installation.under_systemd:
        yield from look_at_credstore()
        yield from look_at_units(units_of())
    yield from _limits(installation)
    for _, directory in services:
        yield from look_at_state(directory)
    yield from state.look_at_log(installation.log)
    yield from state.look_at_platform(installation.platform)
    yield from state.look_at_history(installation.history)
    yield from state.look_at_store(installation.store)
    for finding in _running(installation, way):
        yield finding if installation.under_systemd else by_hand(finding, installation)


def _of_service(loaded: Loaded[Any], directory: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    service: ServiceConfig = loaded.config.service
    security: SecurityConfig = loaded.config.security
    yield from look_at_trust(service, security)
    yield from look_at_credentials(loaded, environ)
    if user := User.owner_of(directory):
        secrets = [Path(file) for _, file in secret_files(loaded)]
        yield from look_at_readers([*read_by(loaded), *secrets], user)


def _nearest(path: Path) -> Path:
    return next(each for each in (path.resolve(), *path.resolve().parents) if each.exists())


def _disks(installation: Installation) -> Iterator[Finding]:
    table = Path("/proc/self/mounts").read_text()
    config = installation.processing.config if installation.processing else None
    budget = config.log.disk_budget_bytes + config.history.disk_budget_bytes if config else 0
    used = files.size_of_all(installation.log) + sum(each.stat().st_size for each in _databases(installation.history))
    for what, directory in (("the log", installation.log), ("the store", installation.store)):
        at = _nearest(directory)
        yield from host.look_at_durability(what, host.mount_of(at, table))
        yield from host.look_at_disk(what, host.Room.of(at), used=used, budget=budget if what == "the log" else 0)


def _databases(path: Path) -> Iterator[Path]:
    """A database and the files beside it, as far as they are there."""
    return path.parent.glob(path.name + "*")


def _limits(installation: Installation) -> Iterator[Finding]:
    """Of the processes that run: those of this shell say nothing of what a unit would give."""
    streaming, processing = installation.streaming, installation.processing
    gateway, events = state.owner_of(installation.store_lock), state.owner_of(installation.log_lock)
    if gateway is not None and streaming is not None:
        found = limits.limits_of(gateway)
        yield from limits.look_at_descriptors(found.descriptors, streaming.config)
        yield from limits.look_at_cgroup(streaming.config.service.name, streaming.config.performance, found)
    # One process of `hxp up` has one set of limits.
    if events is not None and events != gateway and processing is not None:
        found = limits.limits_of(events)
        yield from limits.look_at_cgroup(processing.config.service.name, processing.config.performance, found)


def _running(installation: Installation, way: Way) -> Iterator[Finding]:
    processing = installation.processing.config if installation.processing else None
    streaming = installation.streaming.config if installation.streaming else None
    down = set()
    for config in (processing, streaming):
        if config is not None:
            service = config.service
            for finding in network.look_at_service(service.name, service.host, service.port, way):
                down |= {service.name} if finding.name == "service.down" else set()
                yield finding
    if streaming is not None:
        if streaming.service.name not in down:
            # A gateway that does not run has no ports either: once is enough.
            yield from network.look_at_dashboard_ports(streaming)
        yield from network.look_at_peers(streaming, processing)
        yield from network.look_at_links(streaming.real_time_notifications)
