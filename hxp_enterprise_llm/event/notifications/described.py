"""What the notifications' routes take and answer."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

import msgspec
from msgspec import Meta

from hxp_enterprise_llm.config.delivery import DeliveryChannel
from hxp_enterprise_llm.config.rules import Priority
from hxp_enterprise_llm.event.notifications.requests import MAX_MESSAGE, MAX_TITLE, WORD
from hxp_enterprise_llm.security.described import JSON, Answer, Described


class Send(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A notification by hand."""

    message: Annotated[str, Meta(min_length=1, max_length=MAX_MESSAGE)]
    type: Annotated[str, Meta(pattern=f"^{WORD}$")] = "message"
    channel: DeliveryChannel | Literal["all"] = "all"
    priority: Priority = "info"
    title: Annotated[str, Meta(max_length=MAX_TITLE)] = ""


class Queued(TypedDict):
    """A delivery that is durably queued."""

    channel: str
    state: Literal["queued"]


class Sent(TypedDict):
    """The notification, and where it goes."""

    id: str
    deliveries: list[Queued]


class LabelSetState(TypedDict):
    """One label set of a rule with `by`, and its alert."""

    labels: dict[str, str]
    state: str
    since: str | None
    episode: NotRequired[str]
    acknowledged_by: NotRequired[str]
    values: dict[str, float | None]


class RuleState(TypedDict):
    """A rule and its alert; of a rule with `by` the worst of its alerts."""

    name: str
    condition: str
    channel: str
    priority: Priority
    state: str
    since: str | None
    episode: NotRequired[str]
    values: dict[str, float | None]
    health: str
    reason: NotRequired[str]
    by: NotRequired[list[str]]
    label_sets: NotRequired[list[LabelSetState]]
    acknowledged_by: NotRequired[str]


class ForeignAlert(TypedDict):
    """An alert from Prometheus or Alertmanager that fires."""

    episode: str
    labels: dict[str, str]
    annotations: dict[str, str]
    priority: Priority
    since: str
    acknowledged_by: NotRequired[str]


class Overview(TypedDict):
    """Everything at a glance."""

    notifications_enabled: bool
    delivery_channels: list[str]
    not_ready: dict[str, str]
    priorities: dict[str, bool]
    rules: list[RuleState]
    foreign_alerts: list[ForeignAlert]
    silences: dict[str, int]
    outbox: dict[str, int]
    last_snapshot: str | None


class LastDelivery(TypedDict):
    """The latest delivery that was tried."""

    state: str
    attempts: int
    at: str
    error: str


class ChannelState(TypedDict):
    """A delivery channel."""

    name: str
    enabled: bool
    ready: bool
    reason: NotRequired[str]
    recipients: int
    deliveries: dict[str, int]
    last_delivery: LastDelivery | None


class Channels(TypedDict):
    """All delivery channels."""

    channels: list[ChannelState]


SEND = Described(request={JSON: Send}, answers=(Answer("Durably queued", Sent, status=202),), refusals=(409, 503))
STATUS = Described(answers=(Answer("Rules, alerts, outbox", Overview),), refusals=(503,))
CHANNELS = Described(answers=(Answer("The channels", Channels),), refusals=(503,))
