"""Validation, estimation, editing: one small pure function per rule."""
