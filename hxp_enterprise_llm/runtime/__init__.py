"""What every room is handed instead of reaching for it: clock, ids, named tasks, orderly shutdown."""
