"""Wired M-Bus frames as carriers of DLMS telegrams (EN 13757-2, EN 13757-3)."""
