"""Messages of a NATS server as events: the protocol as a subscriber speaks it, a connection, what a message means."""
