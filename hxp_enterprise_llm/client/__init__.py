"""The Python client: publish events, follow a channel with resume, instrument agents, send a notification.

Names are loaded when they are used: a program that emits events alone needs msgspec and no HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hxp_enterprise_llm.client.answers import BadAnswer, ClientError, Refused, Unreachable
    from hxp_enterprise_llm.client.emitting.emitter import Emitter, Stats
    from hxp_enterprise_llm.client.headers import BadHeader
    from hxp_enterprise_llm.client.instrument.instrument import Instrument
    from hxp_enterprise_llm.client.notify import notification_log, send_notification
    from hxp_enterprise_llm.client.publish import Accepted, Publisher, Receipt
    from hxp_enterprise_llm.client.subscribe import Control, Item, Lost, Position, Received, Subscription

_MODULES = {
    "answers": ("BadAnswer", "ClientError", "Refused", "Unreachable"),
    "emitting.emitter": ("Emitter", "Stats"),
    "headers": ("BadHeader",),
    "instrument.instrument": ("Instrument",),
    "notify": ("notification_log", "send_notification"),
    "publish": ("Accepted", "Publisher", "Receipt"),
    "subscribe": ("Control", "Item", "Lost", "Position", "Received", "Subscription"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Accepted",
    "BadAnswer",
    "BadHeader",
    "ClientError",
    "Control",
    "Emitter",
    "Instrument",
    "Item",
    "Lost",
    "Position",
    "Publisher",
    "Receipt",
    "Received",
    "Refused",
    "Stats",
    "Subscription",
    "Unreachable",
    "notification_log",
    "send_notification",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
