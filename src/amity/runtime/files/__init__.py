"""Files of an installation that may change while a role runs, and whose they have to be."""
