"""What spans, metrics and log records of LLM applications mean as events: conventions, mapping, the token rule."""
