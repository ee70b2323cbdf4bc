"""Meters that call in: who speaks, and the lines that they hold open to be read on."""
