"""The protocol of NATS, and what messages mean."""
