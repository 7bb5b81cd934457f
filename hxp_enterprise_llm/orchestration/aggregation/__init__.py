"""Event processing in two processes: one takes events in and has the log, the other follows it and counts."""
