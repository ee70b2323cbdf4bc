"""Meter data management: pure functions on columns; knows no wire."""
