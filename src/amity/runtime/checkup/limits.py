"""May the service open as many files as its settings ask for, and are serial lines there?"""

import grp
import resource
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from amity.headend.push_listener import PushRules
from amity.runtime.checkup.check import Check, State
from amity.runtime.gateway_config import SerialPort
from amity.runtime.settings import Settings

_OTHER_FILES: Final = 128
_LINE_MODE: Final = 0o660


def check_open_files(settings: Settings) -> Iterator[Check]:
    """A session and a caller are an open file each. The unit has a limit of its own (LimitNOFILE=65536)."""
    needed = settings.headend.concurrency + PushRules().connections_max + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if unlimited not in {soft, hard} and hard < needed:
        step = f"LimitNOFILE={needed} in the unit, or ulimit -Hn {needed} where you start it by hand"
        yield Check("open files", State.FAIL, f"{hard} allowed here, {needed} needed", step)
    elif soft != unlimited and soft < needed:
        yield Check("open files", State.HINT, f"{soft} here, {needed} needed", f"by hand: ulimit -n {needed}")
    else:
        yield Check("open files", State.OK, f"{'any number' if soft == unlimited else soft}, {needed} needed")


def check_serial_ports(ports: Sequence[SerialPort]) -> Iterator[Check]:
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
