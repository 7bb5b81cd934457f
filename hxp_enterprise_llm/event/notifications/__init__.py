"""Rules over the metrics, the alerts that they raise, and their delivery to people through a durable outbox."""
