"""The log in SQLite files on this machine, owned by one process."""

from hxp_enterprise_llm.event.log.sqlite.log import SqliteLog

__all__ = ["SqliteLog"]
