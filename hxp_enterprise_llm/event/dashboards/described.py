"""What the dashboards' routes take and answer."""

from __future__ import annotations

from typing import Any, Literal, TypedDict, get_args

import msgspec

from hxp_enterprise_llm.event.dashboards.queries import PanelType
from hxp_enterprise_llm.security.described import HTML, JSON, Answer, Described, Parameter


class RefreshRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What POST /dashboards/refresh may say."""

    dashboard: str | None = None


class Pushed(TypedDict):
    """Whether and how often refreshes are sent. `interval` in seconds."""

    pushed: bool
    interval: float


class LogFigures(TypedDict):
    """The event log."""

    bytes: int
    first: int
    head: int
    status: Literal["ok", "read_only", "down"]


class Around(TypedDict):
    """What stands around every answer: the log it is of, how old it is, what fires. Seconds."""

    epoch: str
    head: int
    stale: bool
    data_age_seconds: float | None
    tick_seconds: float | None
    alerts: list[dict[str, Any]]
    spine: dict[str, Any]
    log: LogFigures


class DashboardData(Around):
    """A dashboard with its panels, and what stands around them."""

    dashboard: str
    title: str
    faults: list[str]
    refresh: Pushed
    at: str | None
    position: int
    revision: str | None
    panels: list[dict[str, Any]]


class Answers(Around):
    """What was asked for, and the moment that it is true of. `now` in unix seconds."""

    now: float
    position: int
    answers: list[dict[str, Any]]


class Saved(TypedDict):
    """A definition that is in use now."""

    dashboard: str
    panels: int


class FeedbackList(TypedDict):
    """What people said, the newest last."""

    feedback: list[dict[str, Any]]


class Given(TypedDict):
    """Where it is in the log."""

    offset: int


class RefreshState(TypedDict):
    """How refreshes are made."""

    enabled: bool
    interval: float
    mode: str
    mode_in_use: str


class DashboardState(TypedDict):
    """One dashboard."""

    status: Literal["ok", "fault"]
    faults: list[str]
    title: str
    type: str | None
    file: str | None
    panels: int
    data_sources: list[str]
    update_frequency: int | None
    updated_at: str | None
    revision: str | None
    interval_seconds: float


class Status(TypedDict):
    """All dashboards."""

    enabled: bool
    refresh: RefreshState
    dashboards: dict[str, DashboardState]
    stale: bool
    data_age_seconds: float | None
    epoch: str
    position: int
    unreadable_events: int


class RefreshedDashboard(TypedDict):
    """One refresh that is in the log."""

    dashboard: str
    mode: str
    panels: int
    revision: str
    offset: int


class RefreshedAll(TypedDict):
    """What was refreshed."""

    refreshed: list[RefreshedDashboard]


_UNCHANGED = Answer("As it was", media="", status=304)

PAGE = Described(answers=(Answer("The page", media=HTML), _UNCHANGED), refusals=(404, 503))
ASSET = Described(answers=(Answer("A part of the page", media="*/*"), _UNCHANGED))
DATA = Described(answers=(Answer("The data", DashboardData),), refusals=(503,))
QUERY = Described(
    parameters=tuple(
        Parameter(name, f"A query, answered as a panel of type {name}; may be given several times")
        for name in get_args(PanelType)
    ),
    answers=(Answer("The answers, in the order of the queries", Answers),),
    refusals=(404, 503),
)
DEFINITION = Described(answers=(Answer("The definition as JSON", dict[str, Any]),), refusals=(404,))
SAVE = Described(request={JSON: dict[str, Any]}, answers=(Answer("It is in use", Saved),), refusals=(404, 409, 412))
FEEDBACK = Described(answers=(Answer("What was said", FeedbackList),))
STATUS = Described(answers=(Answer("The state", Status),))
REFRESH = Described(
    request={JSON: RefreshRequest},
    optional_body=True,
    answers=(Answer("What is in the log now", RefreshedAll),),
    refusals=(404,),
)


def give(body: type[msgspec.Struct]) -> Described:
    """The route that takes feedback of this form."""
    return Described(
        request={JSON: body}, answers=(Answer("It is in the log", Given, status=202),), refusals=(400, 413, 503)
    )
