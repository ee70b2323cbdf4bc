"""Signing on at an optical head or current loop (IEC 62056-21): ASCII first, then what both sides agree on."""
