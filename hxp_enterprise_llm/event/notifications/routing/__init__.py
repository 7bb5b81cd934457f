"""The way of an alert to people: route, group, inhibit, mute, silence, dedup, repeat, escalate; and why."""
