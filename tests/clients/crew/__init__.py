"""A real crew with a model that answers from a script, run in the environment that has CrewAI."""
