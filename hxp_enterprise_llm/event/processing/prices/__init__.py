"""What models cost: a snapshot of public prices, the operator's own before it."""
