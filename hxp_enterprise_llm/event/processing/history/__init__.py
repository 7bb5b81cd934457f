"""What analytics has counted, for months: tiers of 1 s, 1 min, 1 h and 1 day, merged without loss, in SQLite."""
