"""A real systemd in a box, and the installation in it."""
