"""Attacks on the real program: each must leave it answering, its memory bounded, and its log as it was."""
