"""Streaming daemon for LLM platforms: everything is an event, the log is the spine, a client is a cursor on it."""

__version__ = "0.1.0"
