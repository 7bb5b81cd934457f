"""Rules: from conditions over the metrics to the states of alerts."""
