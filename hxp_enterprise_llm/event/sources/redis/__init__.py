"""Entries of Redis Streams as events: a consumer of a group, what it is told, what an entry means."""
