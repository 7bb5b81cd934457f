"""The spine: an ordered, durable log of events and its backends."""

from hxp_enterprise_llm.event.log.memory import MemoryLog
from hxp_enterprise_llm.event.log.remote import RemoteLog
from hxp_enterprise_llm.event.log.sqlite import SqliteLog

__all__ = ["MemoryLog", "RemoteLog", "SqliteLog"]
