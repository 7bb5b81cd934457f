"""HTTP routes of the notifications: send one by hand, see how rules and channels are doing."""

from __future__ import annotations

from typing import Any, get_args

from aiohttp import web

from hxp_enterprise_llm.config.delivery import DeliveryChannel
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.event.notifications import described
from hxp_enterprise_llm.event.notifications.channels.model import Channel, Readiness
from hxp_enterprise_llm.event.notifications.delivery import api as delivery_api
from hxp_enterprise_llm.event.notifications.engine import NotificationEngine
from hxp_enterprise_llm.event.notifications.guard import stored
from hxp_enterprise_llm.event.notifications.outbox import Recipient, recipients, switched_on
from hxp_enterprise_llm.event.notifications.records import Recent
from hxp_enterprise_llm.event.notifications.requests import SendRequest, parse_send
from hxp_enterprise_llm.event.notifications.routing import api as routing_api
from hxp_enterprise_llm.event.notifications.routing import api_v2
from hxp_enterprise_llm.event.notifications.routing.model import Known
from hxp_enterprise_llm.event.notifications.rules.status import rule_status
from hxp_enterprise_llm.runtime.clock import Clock
from hxp_enterprise_llm.security.body import BodyBudget, read_body
from hxp_enterprise_llm.security.model import JSON_BODY, Route
from hxp_enterprise_llm.security.problems import Problem, json_response

MAX_BODY_BYTES = 64 * 1024
_SETTINGS = "real_time_notifications"
_ALWAYS_SHOWN = ("websocket", "sse", "email", "slack")
"""The seed's four; others are shown where they may be used."""


def routes(engine: NotificationEngine, *, clock: Clock, budget: BodyBudget) -> list[Route]:
    """The routes over an engine."""
    view = NotificationsApi(engine, clock, budget)
    return [
        *routing_api.routes(engine.desk, clock=clock, budget=budget),
        *api_v2.routes(engine.desk, clock=clock, budget=budget),
        Route(
            "POST",
            "/notifications/send",
            view.send,
            "notify",
            "Send a notification by hand",
            body=JSON_BODY,
            described=described.SEND,
        ),
        Route(
            "GET",
            "/notifications/status",
            view.status,
            "read",
            "Rules, alerts and the outbox",
            described=described.STATUS,
        ),
        Route(
            "GET",
            "/notifications/channels",
            view.channels,
            "read",
            "Delivery channels and how they do",
            described=described.CHANNELS,
        ),
        *delivery_api.routes(engine, clock=clock, budget=budget, receivers=engine.receiver),
    ]


class NotificationsApi:
    """Answers of the three routes."""

    def __init__(self, engine: NotificationEngine, clock: Clock, budget: BodyBudget) -> None:
        self._engine, self._clock, self._budget = engine, clock, budget

    async def send(self, request: web.Request) -> web.Response:
        """202 once the message is durably queued."""
        wish = parse_send(await read_body(request, limit=MAX_BODY_BYTES, budget=self._budget))
        to = self._recipients(wish)
        notification = wish.notification(self._clock.new_id(), self._clock.time())
        await stored(lambda: self._engine.send(notification, to))
        names = dict.fromkeys(channel for channel, _ in to)
        answer = {"id": notification.id, "deliveries": [{"channel": name, "state": "queued"} for name in names]}
        return json_response(answer, status=202)

    def _recipients(self, wish: SendRequest) -> list[Recipient]:
        config = self._engine.config
        if not config.enabled:
            raise Problem(409, "notifications_off", "notifications are switched off", f"set {_SETTINGS}.enabled")
        if not switched_on(config, wish.priority):
            hint = f"set {_SETTINGS}.{wish.priority}_enabled, or send another priority"
            raise Problem(409, "priority_off", f"{wish.priority} notifications are switched off", hint)
        to = recipients(wish.channel, config, self._engine.channels)
        if not to:
            reason = self._readiness(wish.channel).reason
            hint = "see GET /notifications/channels"
            raise Problem(409, "channel_off", f"channel {wish.channel} cannot deliver: {reason}", hint)
        return to

    def _readiness(self, name: str) -> Readiness:
        if name == "all":
            return Readiness(False, "no channel is ready")
        channel = self._engine.channels.get(name)
        if name not in self._engine.config.notification_channels or channel is None:
            return Readiness(False, f"it is not in {_SETTINGS}.notification_channels")
        return channel.readiness

    async def status(self, request: web.Request) -> web.Response:
        """Everything at a glance; the first two keys are the seed's."""
        engine = self._engine
        recent = await stored(engine.deliveries)
        readiness = {name: self._readiness(name) for name in engine.config.notification_channels}
        counts = dict.fromkeys(("queued", "in_flight", "retry", "merged", "sent", "dead"), 0)
        for entry in recent.values():
            for state, count in entry.counts.items():
                counts[state] += count
        last = engine.monitor.last_snapshot
        return json_response(
            {
                "notifications_enabled": engine.config.enabled,
                "delivery_channels": [name for name, (ready, _) in readiness.items() if ready],
                "not_ready": {name: reason for name, (ready, reason) in readiness.items() if not ready},
                "priorities": {name: switched_on(engine.config, name) for name in ("critical", "warning", "info")},
                "rules": rule_status(engine.rules, engine.monitor, engine.alerts, self._acknowledged),
                "foreign_alerts": list(map(_foreign, engine.desk.foreign())),
                "silences": engine.desk.silences(),
                "outbox": counts,
                "last_snapshot": None if last is None else rfc3339(last),
            }
        )

    def _acknowledged(self, episode: str) -> str | None:
        known = self._engine.desk.episode(episode)
        return known.ack.by if known is not None and known.ack is not None else None

    async def channels(self, request: web.Request) -> web.Response:
        """Each channel: on or off, ready or why not, how its deliveries went."""
        recent = await stored(self._engine.deliveries)
        wanted = self._engine.config.notification_channels
        names = [name for name in get_args(DeliveryChannel) if name in _ALWAYS_SHOWN or name in wanted]
        return json_response({"channels": [self._channel(name, recent.get(name)) for name in names]})

    def _channel(self, name: str, recent: Recent | None) -> dict[str, Any]:
        ready, reason = self._readiness(name)
        channel: Channel | None = self._engine.channels.get(name)
        last = recent.last if recent else None
        return {
            "name": name,
            "enabled": name in self._engine.config.notification_channels,
            "ready": ready,
            **({"reason": reason} if reason else {}),
            "recipients": len(channel.targets) if channel else 0,
            "deliveries": recent.counts if recent else {},
            "last_delivery": None if last is None else last | {"at": rfc3339(last["at"])},
        }


def _foreign(known: Known) -> dict[str, Any]:
    alert = known.alert
    return {
        "episode": alert.episode,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "priority": alert.priority,
        "since": rfc3339(alert.starts_at),
        **({"acknowledged_by": known.ack.by} if known.ack else {}),
    }
