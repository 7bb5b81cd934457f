"""Notifications in the operator's words: templates from files, rendered in a process that may be lost."""
