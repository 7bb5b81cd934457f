"""What an agent does, as events: one line each for agents, calls of models and tools, look-ups and hypotheses."""
