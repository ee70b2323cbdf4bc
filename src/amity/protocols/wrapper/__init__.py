"""The wrapper that carries DLMS APDUs over TCP and UDP (IEC 62056-47)."""
