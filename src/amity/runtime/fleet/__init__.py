"""Meters on their way into an installation, and what holds for those of which nothing is said."""
