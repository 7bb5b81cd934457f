"""Wires the services, starts, reloads and stops them: one process or several."""
