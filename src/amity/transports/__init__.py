"""TCP shells around the sans-I/O protocols."""
