"""May the service open as many files as its settings ask for, and are serial lines there?"""

import grp
import re
import resource
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from amity.runtime.checkup.check import Check, State
from amity.runtime.settings import SerialPortSettings, Settings
from amity.transports.call import CallRules

_OTHER_FILES: Final = 128
_LINE_MODE: Final = 0o660
_LIMIT: Final = re.compile(r"^LimitNOFILE=(\d{1,9})\s*$", re.MULTILINE)
_UNLIMITED: Final = "any number"


def check_open_files(settings: Settings, unit: Path | None = None) -> Iterator[Check]:
    """A session and a caller are an open file each; the limit is that of the service's unit, where there is one."""
    needed = settings.headend.concurrency + CallRules().strangers_max + _OTHER_FILES
    name, of_unit = "open files", _limit_of(unit)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE) if of_unit is None else (of_unit, of_unit)
    told = f"{_UNLIMITED if soft == resource.RLIM_INFINITY else soft}, {needed} needed"
    if _below(hard, needed):
        where = f"ulimit -Hn {needed} where you start it" if of_unit is None else "systemctl edit ami-collector"
        yield Check(name, State.FAIL, f"{hard} allowed, {needed} needed", f"LimitNOFILE={needed}: {where}")
    elif _below(soft, needed):
        yield Check(name, State.HINT, told, f"by hand: ulimit -n {needed}")
    else:
        yield Check(name, State.OK, told)


def _below(limit: int, needed: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < needed


def _limit_of(unit: Path | None) -> int | None:
    """What the unit says, None where there is no unit or it says nothing."""
    if unit is None or not unit.exists():
        return None
    said = _LIMIT.findall(unit.read_text(encoding="utf-8", errors="replace"))
    return int(said[-1]) if said else None


def check_serial_ports(ports: Sequence[SerialPortSettings]) -> Iterator[Check]:
    """Each line of `serial_ports`: there, a line, for its group."""
    for port in ports:
        yield _line(port.device)


def _line(device: str) -> Check:
    name = f"serial line {device}"
    try:
        about = Path(device).stat()
    except OSError as error:
        return Check(name, State.FAIL, f"not there: {error.strerror}", "plug it in; dmesg | grep tty names it")
    if not stat.S_ISCHR(about.st_mode):
        return Check(name, State.FAIL, "is no serial line", "name a device like /dev/ttyUSB0")
    if stat.S_IMODE(about.st_mode) != _LINE_MODE or _group(about.st_gid) != "dialout":
        mode = f"mode {stat.S_IMODE(about.st_mode):04o}, group {_group(about.st_gid)}"
        return Check(name, State.HINT, mode, f"sudo chmod 660 {device}; sudo chgrp dialout {device}")
    return Check(name, State.OK, "mode 0660, group dialout")


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
