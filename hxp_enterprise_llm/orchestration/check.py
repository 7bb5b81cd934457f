"""All that can be checked of a configuration without starting: the file itself, conditions, dashboards, schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hxp_enterprise_llm.config.common import SecurityConfig
from hxp_enterprise_llm.config.faults import ConfigFaults, Fault
from hxp_enterprise_llm.config.loader import Loaded, load
from hxp_enterprise_llm.config.processing import AnalyticsConfig, ProcessingConfig
from hxp_enterprise_llm.config.rule_files import placed_rules
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.event.dashboards.definitions import load_definitions
from hxp_enterprise_llm.event.notifications.routing.table import check_routing
from hxp_enterprise_llm.event.notifications.rules.compiled import check_rules
from hxp_enterprise_llm.event.notifications.rules.vocabulary import vocabulary
from hxp_enterprise_llm.event.notifications.templates.loading import TemplateFaults
from hxp_enterprise_llm.event.notifications.templates.loading import load as load_templates
from hxp_enterprise_llm.event.notifications.templates.loading import unused as unused_templates
from hxp_enterprise_llm.event.sources.schema_files import SchemaError
from hxp_enterprise_llm.event.sources.schemas import SchemaCatalogue
from hxp_enterprise_llm.security.keys import KeysError, load_keys

PROCESSING_FILE = "event-processing.yaml"
STREAMING_FILE = "data-streaming-api.yaml"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a file holds, in counts; `loaded` is the configuration itself."""

    loaded: Loaded[Any]
    found: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def _faults_of_keys(loaded: Loaded[Any], security: SecurityConfig) -> list[Fault]:
    try:
        load_keys(security.api_keys_file)
    except KeysError as error:
        return [loaded.fault("security.api_keys_file", str(error))]
    return []


def check_processing(loaded: Loaded[ProcessingConfig]) -> CheckReport:
    """Check what only event processing knows: keys, the operator's schemas. Raises ConfigFaults."""
    config = loaded.config
    faults = _faults_of_keys(loaded, config.security)
    try:
        catalogue = SchemaCatalogue.load(Path(config.ingest.schemas_directory))
    except SchemaError as error:
        faults += [Fault("file", fault.file, 0, 0, fault.place, fault.message) for fault in error.faults]
        raise ConfigFaults(faults) from error
    if faults:
        raise ConfigFaults(faults)
    found = {"metrics": len(config.analytics.metrics), "schemas": len(catalogue.types)}
    return CheckReport(loaded, found, tuple(loaded.warnings))


def declared_metrics(path: Path | None, environ: Mapping[str, str]) -> AnalyticsConfig:
    """The analytics that conditions refer to: from the sibling file when there is one, else the shipped set."""
    sibling = path.with_name(PROCESSING_FILE) if path is not None else None
    if sibling is not None and sibling.is_file():
        return load(ProcessingConfig, sibling, environ).config.analytics
    return AnalyticsConfig()


def _faults_of_templates(directory: str) -> list[Fault]:
    try:
        load_templates(directory)
    except TemplateFaults as error:
        return [Fault("file", each.path, each.line, int(bool(each.line)), "", each.message) for each in error.faults]
    return []


def check_streaming(loaded: Loaded[StreamingConfig], analytics: AnalyticsConfig) -> CheckReport:
    """Check what only the gateway knows: keys, conditions against the declared metrics, dashboard definitions."""
    config = loaded.config
    notifications = config.real_time_notifications
    faults = _faults_of_keys(loaded, config.security)
    faults += [
        fault.located or loaded.fault(fault.path, fault.message)
        for fault in check_rules(notifications, vocabulary(analytics))
    ]
    faults += [loaded.fault(path, message) for path, message in check_routing(notifications)]
    faults += _faults_of_templates(notifications.templates)
    if faults:
        raise ConfigFaults(faults)
    definitions = load_definitions(Path(config.live_dashboard.directory), config.live_dashboard.dashboards)
    broken = [str(fault) for definition in definitions.values() for fault in definition.faults]
    found = {
        "channels": len(config.all_channels()),
        "rules": len(placed_rules(notifications)),
        "dashboards": len(definitions),
    }
    idle = map(str, unused_templates(notifications.templates))
    return CheckReport(loaded, found, (*loaded.warnings, *broken, *idle))
