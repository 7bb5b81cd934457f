"""Several gateway processes on one port: the first runs everything, the others hold connections for it."""
