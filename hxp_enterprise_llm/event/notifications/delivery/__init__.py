"""From the outbox to the channels: who delivers, in which order, how often, and what became of it."""
