"""Long runs of the fault tests, by hand: `python -m tests.torture`."""
