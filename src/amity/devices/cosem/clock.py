"""Clock (class 8): what its methods allow (IEC 62056-6-2, 4.5.1)."""

SHIFT_S_MAX = 900
"""What shift_time moves a clock by at most, either way."""
