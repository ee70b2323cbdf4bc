"""Operator console (NiceGUI)."""
