"""HDLC data link for DLMS/COSEM (IEC 62056-46)."""
