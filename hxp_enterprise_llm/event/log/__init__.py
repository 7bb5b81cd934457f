"""The spine: an ordered, durable log of events and its backends."""
