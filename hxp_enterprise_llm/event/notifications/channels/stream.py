"""Delivery to WebSocket and SSE clients, and to everyone who follows the log: the notification becomes an event."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from hxp_enterprise_llm.event.log.model import (
    BatchTooLarge,
    EventLog,
    EventTooLarge,
    LogError,
    LogFull,
    LogUnavailable,
)
from hxp_enterprise_llm.event.model import Encoded
from hxp_enterprise_llm.event.notifications.channels.model import Dead, Readiness, Retry
from hxp_enterprise_llm.event.notifications.model import Delivery, event_of

LOG_RETRY_SECONDS = 1.0


class StreamChannel:
    """Appends the notification's event, whose id is always the same: told on several streams it is one event."""

    def __init__(
        self, name: str, log: EventLog, is_on: Callable[[], bool] = lambda: True, *, time: Callable[[], float]
    ) -> None:
        """`is_on`: whether there is a transport of this name for clients to come by; `time`: wall-clock seconds."""
        self._name, self._log, self._is_on, self._time = name, log, is_on, time

    @property
    def name(self) -> str:
        return self._name

    @property
    def readiness(self) -> Readiness:
        if self._is_on():
            return Readiness(True)
        return Readiness(False, f"{self._name} is switched off: set {self._name}.enabled: true and restart")

    @property
    def targets(self) -> tuple[str, ...]:
        return ("",)

    def reaches(self, target: str) -> Readiness:
        return self.readiness

    async def send(self, delivery: Delivery, timeout: float) -> None:
        """Return once the event is in the log. Raises Retry, Dead."""
        await self.send_all([delivery], timeout)

    async def send_all(self, deliveries: Sequence[Delivery], timeout: float) -> None:
        """Return once all of their events are in the log, in this order; none of them is otherwise. As `send`."""
        try:
            await self._log.append([self._event(each) for each in deliveries], deadline=timeout)
        except (EventTooLarge, BatchTooLarge) as error:
            raise Dead(str(error)) from error
        except LogFull as error:
            raise Retry(str(error), after=10 * LOG_RETRY_SECONDS) from error
        except LogUnavailable as error:
            raise Retry(str(error), after=LOG_RETRY_SECONDS) from error
        except LogError as error:
            raise Retry(str(error), after=10 * LOG_RETRY_SECONDS) from error

    def _event(self, delivery: Delivery) -> Encoded:
        """Nothing was after now: a clock that was ahead and is set right left a time that the log refuses for ever."""
        notification = delivery.notification
        return event_of(msgspec.structs.replace(notification, at=min(notification.at, self._time())))
