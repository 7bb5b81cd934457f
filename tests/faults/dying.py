"""The daemon, with a step of a notification's way at whose n-th time it kills itself.

    python -m tests.faults.dying STEP NTH PYTHON -m MODULE ARGUMENTS…

The rest is the command that runs the daemon; it is run in this process. With an empty STEP nothing happens by itself.
CITADEL_PLANT=1 makes the daemon forget what was in flight when it ended: what a test of deliveries must find.
"""

from __future__ import annotations

import itertools
import os
import runpy
import signal
import sys
from collections.abc import Callable
from typing import Any

from hxp_enterprise_llm.event.notifications import records
from hxp_enterprise_llm.event.notifications.channels.email import EmailChannel
from hxp_enterprise_llm.event.notifications.channels.slack import SlackChannel
from hxp_enterprise_llm.event.notifications.channels.stream import StreamChannel
from hxp_enterprise_llm.event.notifications.channels.webhook import WebhookChannel
from hxp_enterprise_llm.event.notifications.delivery import rows
from hxp_enterprise_llm.event.notifications.delivery.worker import Worker
from hxp_enterprise_llm.event.notifications.routing import records as way
from hxp_enterprise_llm.event.notifications.routing.router import Router
from hxp_enterprise_llm.event.notifications.rules import rows as rule_rows
from hxp_enterprise_llm.store.tables import outbox

PEOPLE = ("email", "slack", "webhook")


def anything(*_: object, **__: object) -> bool:
    return True


def for_people(_: object, delivery: Any, *__: object, **___: object) -> bool:
    return delivery.channel in PEOPLE


def row_for_people(_: object, row: Any, *__: object) -> bool:
    return row.channel in PEOPLE


def has_queue(_: object, draft: Any, *__: object) -> bool:
    return bool(draft.queue)


def work_queued(_: object, work: Any) -> bool:
    return bool(work.draft.queue)


STEPS: dict[str, tuple[list[tuple[Any, str]], Callable[..., bool]]] = {
    "the state of the alert is stored": ([(rule_rows, "save_alerts")], lambda _, changed, __: bool(changed)),
    "the deliveries are queued": ([(way, "save")], has_queue),
    "its group is stored": ([(way, "_write")], lambda *a: bool(a[3])),
    "the place in the log is stored": ([(records, "save_cursor")], anything),
    "what is stored is believed": ([(Router, "_adopt")], work_queued),
    "the event is appended": ([(StreamChannel, "send")], anything),
    "it is taken from the outbox": ([(rows, "_take")], row_for_people),
    "it is handed to the channel": (
        [(EmailChannel, "send"), (SlackChannel, "send"), (WebhookChannel, "send")],
        anything,
    ),
    "the acceptance is written down": ([(rows, "settle")], for_people),
    "the next one is looked for": ([(Worker, "_tell")], for_people),
    "what was in flight is taken up": ([(rows, "recover")], anything),
}
"""Before each of them the process may end."""


def arm(step: str, nth: int) -> None:
    """From here on the n-th time is the end."""
    places, concerned = STEPS[step]
    count = itertools.count(1)
    for owner, name in places:
        setattr(owner, name, _cut(getattr(owner, name), concerned, count, nth))


def _cut(whole: Callable[..., Any], concerned: Callable[..., bool], count: Any, nth: int) -> Callable[..., Any]:
    def cut(*args: Any, **kwargs: Any) -> Any:
        if concerned(*args, **kwargs) and next(count) == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*args, **kwargs)

    return cut


def forget(connection: Any, now: float, fence: int) -> int:
    """In place of taking up what was in flight: take it for told."""
    theirs = (outbox.c.state == "in_flight") & (outbox.c.fence != fence)
    return connection.execute(outbox.update().where(theirs).values(state="sent", finished_at=now)).rowcount


def main(step: str, nth: str, *command: str) -> None:
    if os.environ.get("CITADEL_PLANT"):
        rows.recover = forget
    if step:
        arm(step, int(nth))
    _, option, module, *arguments = command
    assert option == "-m"
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
