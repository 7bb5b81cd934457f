"""The followers of the log in a process of their own, seen from the process that has the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as with_fields
from typing import Protocol

from hxp_enterprise_llm.config.processing import ProcessingConfig
from hxp_enterprise_llm.event.processing.part import Followers
from hxp_enterprise_llm.runtime.cleanup import CleanupStack
from hxp_enterprise_llm.security.model import Handler, Route
from hxp_enterprise_llm.telemetry.health import Part


class Elsewhere(Protocol):
    """The other process."""

    @property
    def hand_over(self) -> Handler:
        """Answers a request with what the other process answers to it."""
        ...

    async def parts(self, names: Sequence[str]) -> Mapping[str, Part]:
        """How the followers of these names are; that they are away, when they are."""
        ...

    def reload(self, config: ProcessingConfig) -> None:
        """Tell it a configuration that is in force now."""
        ...


class FollowersApart:
    """As `Followers`, which run elsewhere. `declared` are the same that nobody starts here: they say what there is."""

    def __init__(self, declared: Followers, elsewhere: Elsewhere) -> None:
        self._declared, self._elsewhere = declared, elsewhere

    def start(self, cleanup: CleanupStack) -> None:
        """Nothing is started here."""

    def routes(self) -> list[Route]:
        """As `Followers.routes`, answered by the other process."""
        return self._handed_over(self._declared.routes())

    def views(self) -> list[Route]:
        """As `Followers.views`, answered by the other process."""
        return self._handed_over(self._declared.views())

    def _handed_over(self, routes: Sequence[Route]) -> list[Route]:
        return [with_fields(route, handler=self._elsewhere.hand_over) for route in routes]

    async def health(self) -> Mapping[str, Part]:
        """As the other process says."""
        return await self._elsewhere.parts(self._declared.names)

    def prepare(self, config: ProcessingConfig) -> Callable[[], None]:
        """What the other process would refuse is refused here; else it is told once the whole is taken."""
        commit_declared = self._declared.prepare(config)

        def commit() -> None:
            commit_declared()
            self._elsewhere.reload(config)

        return commit
