"""Amity: an open, vendor-neutral Advanced Metering Infrastructure."""
