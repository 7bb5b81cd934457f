"""Ways in: events over HTTP, the host's own figures, a replayed trace."""
