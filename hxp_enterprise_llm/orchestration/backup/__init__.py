"""Copies of what must survive: made while the services run, checked, and put back."""
