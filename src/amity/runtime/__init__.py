"""Configuration, wiring and process roles: the one place that knows every class."""
