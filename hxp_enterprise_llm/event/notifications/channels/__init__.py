"""Ways to reach people: each channel sends one delivery at a time and says what became of it."""
