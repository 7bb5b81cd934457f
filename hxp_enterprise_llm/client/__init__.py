"""The Python client: publish events, follow a channel with resume, send a notification."""

from hxp_enterprise_llm.client.answers import BadAnswer, ClientError, Refused, Unreachable
from hxp_enterprise_llm.client.notify import notification_log, send_notification
from hxp_enterprise_llm.client.publish import Accepted, Publisher, Receipt
from hxp_enterprise_llm.client.subscribe import Control, Item, Lost, Position, Received, Subscription

__all__ = [
    "Accepted",
    "BadAnswer",
    "ClientError",
    "Control",
    "Item",
    "Lost",
    "Position",
    "Publisher",
    "Receipt",
    "Received",
    "Refused",
    "Subscription",
    "Unreachable",
    "notification_log",
    "send_notification",
]
