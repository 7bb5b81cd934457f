"""HTTP routes of the deliveries: drills, and what was given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from hxp_enterprise_llm.config.notifications import NotificationsConfig
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications.channels.model import Channel
from hxp_enterprise_llm.event.notifications.delivery import described
from hxp_enterprise_llm.event.notifications.delivery.dispatcher import Dispatcher
from hxp_enterprise_llm.event.notifications.delivery.trials import Outcome, Receivers, trial
from hxp_enterprise_llm.event.notifications.guard import stored
from hxp_enterprise_llm.event.notifications.model import Notification
from hxp_enterprise_llm.event.notifications.outbox import Recipient
from hxp_enterprise_llm.event.notifications.requests import DrillRequest, parse_replay, parse_test
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.security.problems import Problem, json_response

MAX_BODY_BYTES = 64 * 1024
_SETTINGS = "real_time_notifications"


class Engine(Protocol):
    """What the routes need of the engine."""

    @property
    def config(self) -> NotificationsConfig: ...
    @property
    def channels(self) -> Mapping[str, Channel]: ...
    @property
    def dispatcher(self) -> Dispatcher: ...
    def absence(self, name: str) -> str: ...
    async def send(self, notification: Notification, to: Sequence[Recipient]) -> None: ...


def routes(engine: Engine, *, clock: Clock, budget: BodyBudget, receivers: Receivers) -> list[Route]:
    """The routes over an engine."""
    view = DeliveryApi(engine, clock, budget, receivers)
    return [
        Route(
            "POST",
            "/notifications/test",
            view.test,
            "notify",
            "Try a channel or a receiver, and see whether it arrives",
            body=JSON_BODY,
            described=described.TEST,
        ),
        Route(
            "GET",
            "/notifications/dead",
            view.dead,
            "read",
            "Deliveries that were given up, and why",
            described=described.DEAD,
        ),
        Route(
            "POST",
            "/notifications/dead/replay",
            view.replay,
            "notify",
            "Send again what was given up",
            body=JSON_BODY,
            described=described.REPLAY,
        ),
    ]


class DeliveryApi:
    """Answers of the three routes."""

    def __init__(self, engine: Engine, clock: Clock, budget: BodyBudget, receivers: Receivers) -> None:
        self._engine, self._clock, self._budget, self._receivers = engine, clock, budget, receivers

    async def test(self, request: web.Request) -> web.Response:
        """200 with the outcome at each recipient, whatever it is."""
        wish = parse_test(await read_body(request, limit=MAX_BODY_BYTES, budget=self._budget))
        to = self._recipients(wish)
        notification = wish.notification(self._clock.new_id(), self._clock.time())
        outcomes = await stored(lambda: trial(self._engine.dispatcher, self._engine.send, notification, to))
        answer = {
            "id": notification.id,
            "delivered": all(outcome.state == "delivered" for outcome in outcomes),
            "deliveries": [_told(outcome) for outcome in outcomes],
        }
        return json_response(answer)

    def _recipients(self, wish: DrillRequest) -> list[Recipient]:
        if not self._engine.config.enabled:
            raise Problem(409, "notifications_off", "notifications are switched off", f"set {_SETTINGS}.enabled")
        to = self._behind(wish.receiver) if wish.receiver else self._by(wish.channel)
        chosen = [recipient for recipient in to if not wish.target or recipient[1] == wish.target]
        if not chosen:
            known = ", ".join(sorted({target for _, target in to if target})) or "none with a name"
            message = f"{wish.target!r} is no recipient of {wish.receiver or wish.channel}"
            raise Problem(404, "unknown_target", message, f"its recipients: {known}")
        return chosen

    def _behind(self, receiver: str) -> list[Recipient]:
        to = self._receivers(receiver)
        if to is None:
            raise Problem(404, "unknown_receiver", f"there is no receiver {receiver!r}", f"see {_SETTINGS}.receivers")
        if not to:
            message = f"the receiver {receiver} has no recipient: {self._engine.absence(receiver)}"
            raise Problem(409, "channel_off", message, f"see {_SETTINGS}.receivers")
        return list(to)

    def _by(self, name: str) -> list[Recipient]:
        channel = self._engine.channels.get(name)
        hint = "see GET /notifications/channels"
        if channel is None or name not in self._engine.config.notification_channels:
            reason = f"it is not in {_SETTINGS}.notification_channels"
            raise Problem(409, "channel_off", f"channel {name} cannot deliver: {reason}", hint)
        if not channel.readiness.ready:
            raise Problem(409, "channel_off", f"channel {name} cannot deliver: {channel.readiness.reason}", hint)
        return [(name, target) for target in channel.targets]

    async def dead(self, request: web.Request) -> web.Response:
        """The newest first."""
        letters = await stored(self._engine.dispatcher.dead)
        shown = [
            letter._asdict() | {"created_at": rfc3339(letter.created_at), "given_up_at": rfc3339(letter.given_up_at)}
            for letter in letters
        ]
        return json_response({"dead": shown})

    async def replay(self, request: web.Request) -> web.Response:
        """202 once they are durably queued."""
        ids = parse_replay(await read_body(request, limit=MAX_BODY_BYTES, budget=self._budget))
        replayed = await stored(lambda: self._engine.dispatcher.replay(ids))
        unknown = sorted(set(ids or ()) - set(replayed))
        return json_response({"replayed": replayed, "unknown": unknown}, status=202)


def _told(outcome: Outcome) -> dict[str, Any]:
    told = {"channel": outcome.channel, "target": outcome.target, "state": outcome.state}
    return told | ({"reason": outcome.reason} if outcome.reason else {})
