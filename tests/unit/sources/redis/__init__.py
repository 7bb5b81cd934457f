"""Streams of Redis, and what entries mean."""
