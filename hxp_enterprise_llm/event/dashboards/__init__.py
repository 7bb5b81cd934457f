"""Dashboards: definitions from files, data computed from the log, refreshes that are events again, one live page."""
