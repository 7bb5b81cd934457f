"""The command line: `hxp`."""
