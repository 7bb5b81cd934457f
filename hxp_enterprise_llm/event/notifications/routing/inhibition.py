"""Inhibition: alerts that are superfluous while another one fires. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hxp_enterprise_llm.config.matchers import Matcher, all_match
from hxp_enterprise_llm.event.notifications.routing.model import Known


class InhibitRule(NamedTuple):
    """While an alert matches `source`, those that match `target` and have the same `equal` labels are inhibited."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]

    def key(self, known: Known) -> tuple[str, ...]:
        """The labels that must be the same; a missing one counts as empty."""
        return tuple(known.labels.get(name, "") for name in self.equal)


class Inhibitor:
    """The inhibitions of one moment: the alerts that fire, sorted by what they inhibit."""

    def __init__(self, rules: Iterable[InhibitRule], alerts: Iterable[Known]) -> None:
        self._rules = tuple(rules)
        self._sources: list[dict[tuple[str, ...], list[Known]]] = [{} for _ in self._rules]
        for known in alerts if self._rules else ():
            for rule, sources in zip(self._rules, self._sources, strict=True):
                if known.fires and all_match(rule.source, known.labels):
                    sources.setdefault(rule.key(known), []).append(known)

    def inhibits(self, known: Known) -> Known | None:
        """The alert that inhibits this one. None inhibits itself, nor one that is its equal in both roles."""
        for rule, sources in zip(self._rules, self._sources, strict=True):
            if not all_match(rule.target, known.labels):
                continue
            both = all_match(rule.source, known.labels)
            for source in sources.get(rule.key(known), ()):
                if source.fingerprint != known.fingerprint and not (both and all_match(rule.target, source.labels)):
                    return source
        return None
