"""Analytics: metrics over sliding windows of the log, and a snapshot of them on each tick."""
