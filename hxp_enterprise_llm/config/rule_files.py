"""The rules of a configuration: those in the service's file, and those in the files of a directory beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.faults import ConfigFaults, Fault
from hxp_enterprise_llm.config.loader import Loaded, load
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.rules import RuleConfig, RuleFile
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.runtime.files import listed

_RULES = re.compile(r"^(rules|\{\s*\"?rules\"?)\s*:", re.MULTILINE)
_INLINE = "real_time_notifications.notification_rules"


class PlacedRule(NamedTuple):
    """A rule, and where it stands."""

    rule: RuleConfig
    path: str
    """Dotted, within its file."""
    fault: Callable[[str, str], Fault] | None = None
    """The fault of a key and a message; None: the rule is in the service's own file."""
    problems: tuple[tuple[str, str], ...] = ()
    """Keys and messages: what makes no sense beside the other rules."""


def placed_rules(config: NotificationsConfig) -> list[PlacedRule]:
    """The rules of the service's file, then those of the directory, by name of the file. Raises ConfigFaults."""
    rules = [PlacedRule(rule, f"{_INLINE}[{index}]") for index, rule in enumerate(config.notification_rules)]
    first = {placed.rule.name: placed.path for placed in rules}
    for loaded in read_rule_files(Path(config.directory)):
        for placed in _of_file(loaded):
            rules.append(placed._replace(problems=tuple(_problems(placed.rule, config, first))))
            first.setdefault(placed.rule.name, _place(placed))
    return rules


def read_rule_files(directory: Path) -> list[Loaded[RuleFile]]:
    """The files `*.yaml` of a directory; one that is not there has none. Raises ConfigFaults with all faults of all."""
    found, faults = [], list[Fault]()
    try:
        paths = listed(directory, ".yaml")
    except OSError as error:
        raise ConfigFaults([Fault("file", str(directory), 0, 0, "", f"cannot be read: {error.strerror}")]) from error
    for path in paths:
        try:
            found.append(load(RuleFile, path, {}))
        except ConfigFaults as refused:
            faults += refused.faults
    if faults:
        raise ConfigFaults(faults)
    return found


def _of_file(loaded: Loaded[RuleFile]) -> Iterator[PlacedRule]:
    for index, rule in enumerate(loaded.config.rules):
        path = f"rules[{index}]"
        yield PlacedRule(rule, path, partial(_fault, loaded, path))


def _fault(loaded: Loaded[Any], path: str, key: str, message: str) -> Fault:
    return loaded.fault(f"{path}.{key}", message)


def _problems(rule: RuleConfig, config: NotificationsConfig, first: dict[str, str]) -> Iterator[tuple[str, str]]:
    if rule.name in first:
        yield "name", f"the rule {rule.name!r} is there twice, first at {first[rule.name]}"
    if rule.channel != "all" and rule.channel not in config.notification_channels:
        yield "channel", f"the rule {rule.name!r} goes to {rule.channel}, which notification_channels does not list"


def _place(placed: PlacedRule) -> str:
    if placed.fault is None:
        return placed.path
    at = placed.fault("name", "")
    return f"{at.name}:{at.line}:{at.column}"


def read_rules(path: Path) -> list[PlacedRule]:
    """The rules of one file: of `rules`, or the configuration of a service. Raises ConfigFaults."""
    if _is_rule_file(path):
        return list(_of_file(load(RuleFile, path, {})))
    loaded = load(StreamingConfig, path, {})
    return [
        PlacedRule(rule, f"{_INLINE}[{index}]", partial(_fault, loaded, f"{_INLINE}[{index}]"))
        for index, rule in enumerate(loaded.config.real_time_notifications.notification_rules)
    ]


def _is_rule_file(path: Path) -> bool:
    try:
        return _RULES.search(path.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return False  # whoever loads it says why
