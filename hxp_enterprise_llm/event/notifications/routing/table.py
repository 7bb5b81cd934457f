"""Routes, receivers, inhibition and times out of the configuration: compiled, and every fault with its path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import NamedTuple, get_args
from urllib.parse import urlsplit

from hxp_enterprise_llm.config.addresses import is_address
from hxp_enterprise_llm.config.delivery import DeliveryChannel
from hxp_enterprise_llm.config.faults import ConfigError
from hxp_enterprise_llm.config.matchers import Matcher, MatcherFault, all_match, parse_matchers, quoted
from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.config.paths import suggestion
from hxp_enterprise_llm.config.routing import ReceiverConfig, RouteConfig
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.notifications.routing.inhibition import InhibitRule
from hxp_enterprise_llm.event.notifications.routing.receivers import STREAMS
from hxp_enterprise_llm.event.notifications.routing.times import TimeFault, TimeInterval, compile_interval

_SECTION = "real_time_notifications"
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BUILT_IN = ("all", *get_args(DeliveryChannel))
"""Receivers that need no definition: the channels."""
EACH = "..."
"""In `group_by`: every label, so that each alert is a group."""


class RoutingFault(NamedTuple):
    """What is wrong with a key of the configuration; `path` as `Loaded.fault` takes it."""

    path: str
    message: str


class RoutingFaults(ConfigError):
    """Routing that is refused, all faults at once."""

    def __init__(self, faults: tuple[RoutingFault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "; ".join(f"{fault.path}: {fault.message}" for fault in self.faults)


class Escalation(NamedTuple):
    """Who else is told, so many seconds after the group was first told."""

    after: float
    unacked: bool
    receiver: str


class Pace(NamedTuple):
    """Seconds. A repeat interval of 0 repeats never."""

    wait: float
    interval: float
    repeat: float


class Path(NamedTuple):
    """A route that alerts take."""

    key: str
    matchers: tuple[Matcher, ...]
    receiver: str
    """Empty: the channel that the rule names."""
    goes_on: bool
    group_by: tuple[str, ...]
    pace: Pace
    muted: tuple[tuple[str, TimeInterval], ...]
    active: tuple[tuple[str, TimeInterval], ...]
    escalate: tuple[Escalation, ...]

    def labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Those of an alert's labels that its group has."""
        if EACH in self.group_by:
            return dict(sorted(labels.items()))
        return {name: labels[name] for name in sorted(self.group_by) if name in labels}

    def shut(self, wall: float) -> str:
        """The time interval because of which nothing is told now; empty: none."""
        for name, interval in self.muted:
            if interval.contains(wall):
                return f"the route is muted in {name}"
        if self.active and not any(interval.contains(wall) for _, interval in self.active):
            return f"the route is active only in {', '.join(name for name, _ in self.active)}"
        return ""


class Way(NamedTuple):
    """A group that an alert belongs to: by route, receiver and the labels of the group."""

    path: Path
    receiver: str
    labels: dict[str, str]
    key: str
    id: str


class RoutingTable:
    """Everything that the configuration says about the way of an alert."""

    def __init__(
        self,
        paths: tuple[Path, ...],
        default: Path,
        receivers: Mapping[str, ReceiverConfig],
        inhibit: tuple[InhibitRule, ...],
    ) -> None:
        self.paths, self.default, self.receivers, self.inhibit = paths, default, receivers, inhibit
        self.timed = any(path.muted or path.active for path in paths)
        """Whether what is told depends on the time of the day."""

    def ways(self, labels: Mapping[str, str], choice: str) -> list[Way]:
        """The groups of an alert; `choice` is the channel that its rule names, for routes that name nobody."""
        taken = []
        for path in self.paths:
            if all_match(path.matchers, labels):
                taken.append(path)
                if not path.goes_on:
                    break
        return [_way(path, labels, path.receiver or choice) for path in taken or (self.default,)]


def _way(path: Path, labels: Mapping[str, str], receiver: str) -> Way:
    grouped = path.labels(labels)
    inside = ", ".join(f"{name}={quoted(value)}" for name, value in grouped.items())
    key = f"{path.key}:{{{inside}}}"
    id = blake2b(f"{receiver}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return Way(path, receiver, grouped, key, id)


def compile_routing(config: NotificationsConfig) -> RoutingTable:
    """The routing of a configuration. Raises RoutingFaults."""
    compiler = _Compiler(config)
    table = compiler.table()
    if compiler.faults:
        raise RoutingFaults(tuple(compiler.faults))
    return table


def check_routing(config: NotificationsConfig) -> tuple[RoutingFault, ...]:
    """What `compile_routing` would refuse."""
    try:
        compile_routing(config)
    except RoutingFaults as refused:
        return refused.faults
    return ()


class _Compiler:
    """Collects the faults of one configuration."""

    def __init__(self, config: NotificationsConfig) -> None:
        self._config = config
        self.faults: list[RoutingFault] = []

    def table(self) -> RoutingTable:
        config = self._config
        self._receivers()
        self._heartbeats()
        intervals = dict(self._intervals())
        inhibit = tuple(self._inhibitions())
        grouping = config.grouping
        self._labels(f"{_SECTION}.grouping.group_by", grouping.group_by)
        pace = Pace(seconds(grouping.group_wait), seconds(grouping.group_interval), seconds(grouping.repeat_interval))
        default = Path("{}", (), "", False, tuple(grouping.group_by), pace, (), (), ())
        paths = tuple(self._path(index, route, default, intervals) for index, route in enumerate(config.routes))
        return RoutingTable(paths, default, config.receivers, inhibit)

    def _fault(self, path: str, message: str) -> None:
        self.faults.append(RoutingFault(path, message))

    def _receivers(self) -> None:
        for name, receiver in self._config.receivers.items():
            place = f"{_SECTION}.receivers.{name}"
            if name in BUILT_IN:
                self._fault(place, f"{name} is a channel, which is a receiver already; take another name")
            elif receiver.channel != "all" and receiver.channel not in self._config.notification_channels:
                self._fault(f"{place}.channel", f"notification_channels does not list {receiver.channel}")
            if receiver.channel in ("all", *STREAMS) and receiver.to:
                self._fault(f"{place}.to", f"recipients belong to one channel of their own, not to {receiver.channel}")
            self._named(place, receiver)

    def _named(self, place: str, receiver: ReceiverConfig) -> None:
        """Addresses must be some; programs must be known: their URLs and keys are in the section of their channel."""
        endpoints = [each.name for each in self._config.webhook.endpoints]
        known = {"webhook": endpoints, "alertmanager": self._config.alertmanager.urls}.get(receiver.channel)
        for index, target in enumerate(receiver.to):
            if receiver.channel == "email" and not is_address(target):
                self._fault(f"{place}.to[{index}]", f"{target!r} is no e-mail address such as ops@example.org")
            if known is not None and target not in known:
                where = "webhook.endpoints" if receiver.channel == "webhook" else "alertmanager.urls"
                near = suggestion(target, known) or f"; name it in {_SECTION}.{where}"
                self._fault(f"{place}.to[{index}]", f"unknown recipient {target!r}{near}")

    def _heartbeats(self) -> None:
        for name, beat in self._config.heartbeats.items():
            place = f"{_SECTION}.heartbeats.{name}"
            if seconds(beat.every) < 1:
                self._fault(f"{place}.every", f"must be at least 1s, is {beat.every}")
            if beat.receiver:
                self._known(f"{place}.receiver", beat.receiver)
            elif not beat.url:
                self._fault(place, "names neither a url nor a receiver")
            if beat.url and (urlsplit(beat.url).scheme not in ("http", "https") or not urlsplit(beat.url).hostname):
                self._fault(f"{place}.url", "must be a URL such as https://switch.example.org/abc")

    def _intervals(self) -> Iterator[tuple[str, TimeInterval]]:
        for name, interval in self._config.time_intervals.items():
            try:
                yield name, compile_interval(interval)
            except TimeFault as fault:
                self._fault(f"{_SECTION}.time_intervals.{name}.{fault.key}", fault.message)

    def _inhibitions(self) -> Iterator[InhibitRule]:
        for index, rule in enumerate(self._config.inhibit_rules):
            place = f"{_SECTION}.inhibit_rules[{index}]"
            source = self._matchers(f"{place}.source_matchers", rule.source_matchers)
            target = self._matchers(f"{place}.target_matchers", rule.target_matchers)
            self._labels(f"{place}.equal", rule.equal)
            for key, matchers in (("source_matchers", source), ("target_matchers", target)):
                if not matchers:
                    self._fault(f"{place}.{key}", "is empty: name the alerts that are meant")
            yield InhibitRule(source, target, tuple(rule.equal))

    def _path(self, index: int, route: RouteConfig, default: Path, intervals: Mapping[str, TimeInterval]) -> Path:
        place = f"{_SECTION}.routes[{index}]"
        matchers = self._matchers(f"{place}.matchers", route.matchers)
        if route.receiver:
            self._known(f"{place}.receiver", route.receiver)
        if route.group_by is not None:
            self._labels(f"{place}.group_by", route.group_by)
        return Path(
            "{}/{" + ",".join(map(str, matchers)) + "}",
            matchers,
            route.receiver,
            route.continue_,
            default.group_by if route.group_by is None else tuple(route.group_by),
            _pace(route, default.pace),
            self._times(f"{place}.mute_time_intervals", route.mute_time_intervals, intervals),
            self._times(f"{place}.active_time_intervals", route.active_time_intervals, intervals),
            tuple(self._escalations(place, route)),
        )

    def _escalations(self, place: str, route: RouteConfig) -> Iterator[Escalation]:
        before = -1.0
        for index, step in enumerate(route.escalate):
            self._known(f"{place}.escalate[{index}].receiver", step.receiver)
            after = seconds(step.after)
            if after <= before:
                self._fault(f"{place}.escalate[{index}].after", "must be later than the step before")
            before = after
            yield Escalation(after, step.if_ == "unacked", step.receiver)

    def _matchers(self, path: str, texts: list[str]) -> tuple[Matcher, ...]:
        found: list[Matcher] = []
        for index, text in enumerate(texts):
            try:
                found += parse_matchers(text)
            except MatcherFault as fault:
                self._fault(f"{path}[{index}]", str(fault))
        return tuple(found)

    def _known(self, path: str, name: str) -> None:
        known = (*BUILT_IN, *self._config.receivers)
        if name not in known:
            self._fault(path, f"unknown receiver {name!r}{suggestion(name, known) or '; define it under receivers'}")

    def _labels(self, path: str, names: list[str]) -> None:
        for index, name in enumerate(names):
            if name != EACH and not _LABEL.fullmatch(name):
                self._fault(f"{path}[{index}]", f"{name!r} is no name of a label")

    def _times(
        self, path: str, names: list[str], intervals: Mapping[str, TimeInterval]
    ) -> tuple[tuple[str, TimeInterval], ...]:
        for index, name in enumerate(names):
            if name not in self._config.time_intervals:
                near = suggestion(name, self._config.time_intervals) or "; define it under time_intervals"
                self._fault(f"{path}[{index}]", f"unknown time interval {name!r}{near}")
        return tuple((name, intervals[name]) for name in names if name in intervals)


def _pace(route: RouteConfig, default: Pace) -> Pace:
    given = (route.group_wait, route.group_interval, route.repeat_interval)
    return Pace(*(seconds(own) if own else inherited for own, inherited in zip(given, default, strict=True)))
