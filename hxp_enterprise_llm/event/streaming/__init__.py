"""Ways out: channels over the log, given to WebSocket and SSE clients that are cursors on it."""
