"""Is the clock right, and are the time zones known? A head-end with a wrong clock sets meters wrong."""

import ctypes
import ctypes.util
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from amity.runtime.checkup.check import Check, State

_TIMEX_OCTETS: Final = 256  # struct timex of adjtimex(2) has 208 on 64-bit Linux
_MAXERROR_STATUS: Final = struct.Struct("=24x q 8x i")  # offsets 24 and 40 there
_UNSYNCHRONISED: Final = 0x40
_ERROR_S_MAX: Final = 1.0
_MICROSECONDS: Final = 1_000_000
_POINTER_OCTETS: Final = 8


class Synchronisation(NamedTuple):
    """What the kernel knows of its clock."""

    synchronised: bool
    error_s_max: float


def check_clock() -> Iterator[Check]:
    """Synchronised by NTP or PTP, and time zone data there."""
    yield _told(kernel_clock())
    try:
        ZoneInfo("Europe/Berlin")
        yield Check("time zones", State.OK, f"{len(available_timezones())} zones are known")
    except (KeyError, OSError):
        yield Check("time zones", State.FAIL, "no time zone data", "apt-get install tzdata, or pip install tzdata")


def kernel_clock() -> Synchronisation | None:
    """Ask the kernel by adjtimex(2), which anybody may; None where it cannot be asked."""
    if os.name != "posix" or ctypes.sizeof(ctypes.c_void_p) != _POINTER_OCTETS:
        return None
    try:
        ask = ctypes.CDLL(None, use_errno=True).adjtimex
    except (AttributeError, OSError):
        return None
    timex = ctypes.create_string_buffer(_TIMEX_OCTETS)  # modes 0: nothing is set
    if ask(timex) < 0:
        return None
    error_us, status = _MAXERROR_STATUS.unpack_from(timex.raw)
    return Synchronisation(not status & _UNSYNCHRONISED, error_us / _MICROSECONDS)


def _told(clock: Synchronisation | None) -> Check:
    name = "clock"
    if clock is None:
        return Check(name, State.UNKNOWN, "the kernel does not say", "timedatectl status")
    if not clock.synchronised:
        return Check(
            name, State.HINT, "the kernel counts its clock as not synchronised",
            "sudo timedatectl set-ntp true (or run chrony); in a container look at the host",
        )  # fmt: skip
    if clock.error_s_max > _ERROR_S_MAX:
        return Check(name, State.HINT, f"synchronised, but up to {clock.error_s_max:.1f} s off", "chronyc tracking")
    return Check(name, State.OK, f"synchronised, at most {clock.error_s_max * 1000:.0f} ms off")
