"""Configuration: typed sections, one loader, one table of environment names, faults with file, line and column."""
