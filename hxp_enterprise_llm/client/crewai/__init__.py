"""What CrewAI's crews do, as events: a listener on its event bus."""
