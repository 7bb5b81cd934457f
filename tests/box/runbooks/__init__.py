"""Faults in a running installation, seen by its alerts and mended by the pages of these alerts."""
