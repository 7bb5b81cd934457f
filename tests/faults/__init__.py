"""Faults of disks: a preload shim that records or breaks what a program writes, and the power cuts made of it."""
