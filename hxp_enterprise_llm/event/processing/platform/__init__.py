"""What is known of the LLM platform: cores that follow the log, each in its own module, and what they answer."""
