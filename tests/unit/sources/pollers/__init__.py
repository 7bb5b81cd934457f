"""Sources that are asked."""
