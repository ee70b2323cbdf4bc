"""The gateway prefix of DLMS/COSEM (IEC 62056-5-3, gateway protocol): one address behind another."""
