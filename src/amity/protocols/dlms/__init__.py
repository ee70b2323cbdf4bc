"""DLMS/COSEM application layer (IEC 62056-5-3, IEC 62056-6-2): data, APDUs, association, ciphering, profiles."""
