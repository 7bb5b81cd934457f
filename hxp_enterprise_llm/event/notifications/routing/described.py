"""What the routes of the way take and answer; those under /api/v2 in Alertmanager's words."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
from msgspec import Meta

from hxp_enterprise_llm.config.types import Duration
from hxp_enterprise_llm.event.notifications.routing.acknowledgements import DEFAULT_FOR
from hxp_enterprise_llm.security.described import JSON, Answer, Described, Parameter

MOST_DECISIONS = 1000


class PostableMatcher(msgspec.Struct, kw_only=True):
    """A comparison of a label."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    value: Annotated[str, Meta(max_length=1024)]
    isRegex: bool
    isEqual: bool = True


class PostableSilence(msgspec.Struct, kw_only=True):
    """A silence to make, or to change when it has an id."""

    matchers: Annotated[list[PostableMatcher], Meta(min_length=1, max_length=64)]
    startsAt: str
    endsAt: str
    createdBy: Annotated[str, Meta(min_length=1, max_length=256)]
    comment: Annotated[str, Meta(min_length=1, max_length=4096)]
    id: str | None = None


class PostableAlert(msgspec.Struct, kw_only=True):
    """An alert as Prometheus posts it."""

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: str = ""
    endsAt: str = ""
    generatorURL: str = ""


class WebhookAlert(PostableAlert, kw_only=True):
    """An alert in Alertmanager's webhook."""

    status: Literal["firing", "resolved"]
    fingerprint: str = ""


class Webhook(msgspec.Struct, kw_only=True):
    """Alertmanager's webhook, version 4; further members are passed over."""

    version: Literal["4"]
    alerts: list[WebhookAlert]
    externalURL: str = ""


class Acknowledge(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An alert is taken on."""

    episode: Annotated[str, Meta(min_length=1, max_length=64)]
    by: Annotated[str, Meta(min_length=1, max_length=100)]
    comment: Annotated[str, Meta(max_length=1000)] = ""
    lasts: Duration = msgspec.field(name="for", default=DEFAULT_FOR)


class Acknowledged(TypedDict):
    """It is in the log."""

    episode: str
    by: str
    until: str


class Received(TypedDict):
    """How many alerts were new, renewed, resolved, …"""

    received: dict[str, int]


class DecisionTaken(TypedDict):
    """What was decided about an alert, and why."""

    at: str
    episode: str
    alertname: str
    stage: str
    outcome: str
    reason: str
    group_key: NotRequired[str]
    receiver: NotRequired[str]


class DeliveryMade(TypedDict):
    """What has become of a delivery: `sent` means that the other side took it."""

    episode: str
    channel: str
    target: str
    kind: str
    state: str
    attempts: int
    at: str
    error: NotRequired[str]


class Decisions(TypedDict):
    """Decisions in the order in which they were taken, and the deliveries about the newest of their episodes."""

    decisions: list[DecisionTaken]
    deliveries: list[DeliveryMade]


class GettableMatcher(TypedDict):
    """A comparison of a label."""

    name: str
    value: str
    isRegex: bool
    isEqual: bool


class SilenceStatus(TypedDict):
    """Whether a silence holds."""

    state: Literal["active", "pending", "expired"]


class GettableSilence(TypedDict):
    """A silence."""

    id: str
    status: SilenceStatus
    updatedAt: str
    matchers: list[GettableMatcher]
    startsAt: str
    endsAt: str
    createdBy: str
    comment: str


class SilenceMade(TypedDict):
    """The silence that holds now."""

    silenceID: str


class ReceiverName(TypedDict):
    """A receiver."""

    name: str


class AlertStatus(TypedDict):
    """Whether an alert is told."""

    state: Literal["unprocessed", "active", "suppressed"]
    silencedBy: list[str]
    inhibitedBy: list[str]
    mutedBy: list[str]


class GettableAlert(TypedDict):
    """An alert."""

    annotations: dict[str, str]
    endsAt: str
    fingerprint: str
    receivers: list[ReceiverName]
    startsAt: str
    status: AlertStatus
    updatedAt: str
    generatorURL: str
    labels: dict[str, str]


class AlertGroup(TypedDict):
    """Alerts that one receiver is told of together."""

    labels: dict[str, str]
    receiver: ReceiverName
    alerts: list[GettableAlert]


class ClusterStatus(TypedDict):
    """There is no cluster."""

    status: Literal["disabled"]
    peers: list[Any]


class VersionInfo(TypedDict):
    """What this is."""

    branch: str
    buildDate: str
    buildUser: str
    goVersion: str
    revision: str
    version: str


class ConfigText(TypedDict):
    """The configuration is not shown here."""

    original: str


class Status(TypedDict):
    """What Alertmanager says of itself."""

    cluster: ClusterStatus
    versionInfo: VersionInfo
    config: ConfigText
    uptime: str


_FILTER = Parameter("filter", 'Matcher such as `alertname="slow"`; may be given several times')
_KINDS = tuple(
    Parameter(name, f"Whether {what} are listed: true or false", Literal["true", "false"])
    for name, what in (
        ("active", "alerts that are told"),
        ("silenced", "silenced alerts"),
        ("inhibited", "inhibited alerts"),
        ("unprocessed", "alerts that nobody has looked at; there are none"),
    )
)
_RECEIVER = Parameter("receiver", "Regular expression that the name of a receiver must match as a whole")

STATUS = Described(answers=(Answer("The daemon in Alertmanager's words", Status),))
RECEIVERS = Described(answers=(Answer("The receivers", list[ReceiverName]),))
ALERTS = Described(
    parameters=(_FILTER, *_KINDS, _RECEIVER),
    answers=(Answer("The alerts that fire", list[GettableAlert]),),
    refusals=(400,),
)
GROUPS = Described(
    parameters=(_FILTER, *_KINDS[:3], _RECEIVER), answers=(Answer("The groups", list[AlertGroup]),), refusals=(400,)
)
POST_ALERTS = Described(
    request={JSON: list[PostableAlert]}, answers=(Answer("Durably taken", media=""),), refusals=(400, 409, 503)
)
SILENCES = Described(parameters=(_FILTER,), answers=(Answer("The silences", list[GettableSilence]),), refusals=(400,))
SILENCE = Described(answers=(Answer("The silence", GettableSilence),), refusals=(404,))
POST_SILENCE = Described(
    request={JSON: PostableSilence}, answers=(Answer("It holds", SilenceMade),), refusals=(400, 404, 409, 503)
)
EXPIRE = Described(answers=(Answer("It has ended", media=""),), refusals=(404, 503))
LOG = Described(
    parameters=(
        Parameter("episode", "Decisions about this episode"),
        Parameter("alertname", "Decisions about alerts of this name"),
        Parameter("since", "Decisions from then on, RFC 3339"),
        Parameter("limit", "At most so many, the newest", Annotated[int, Meta(ge=1, le=MOST_DECISIONS)]),
    ),
    answers=(Answer("What was decided, and why", Decisions),),
    refusals=(400, 503),
)
ACKNOWLEDGE = Described(
    request={JSON: Acknowledge}, answers=(Answer("It is in the log", Acknowledged),), refusals=(400, 404, 503)
)
ALERTMANAGER = Described(
    request={JSON: Webhook}, answers=(Answer("Durably taken", Received),), refusals=(400, 409, 503)
)
