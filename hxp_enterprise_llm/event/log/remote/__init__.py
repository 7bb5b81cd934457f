"""The log of another process, over its HTTP API."""

from hxp_enterprise_llm.event.log.remote.log import RemoteLog

__all__ = ["RemoteLog"]
