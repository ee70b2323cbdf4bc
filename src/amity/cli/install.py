"""`amity install`: the head-end laid down as a service of this machine, or below a folder."""

import json
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from amity.cli.errors import exit_status
from amity.kernel.errors import ConfigurationError
from amity.runtime.install.carry_out import may_install, put_down, take_away
from amity.runtime.install.firewall import Firewall, firewall_lines
from amity.runtime.install.layout import Place, pieces
from amity.runtime.install.material import KeyKind, exposed_keys, make_material, material
from amity.runtime.install.survey import Change, Verb, read_memory, survey
from amity.runtime.installation import look_at_gateway

_HIDDEN_FROM_THE_SERVICE = ("home", "root", "tmp", "var/tmp", "run/user")
_HERE = Path("/")


def install(
    root: Annotated[Path, typer.Option(help="Lay it down below this folder instead of on this machine.")] = _HERE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, with differences.")] = False,
    uninstall: Annotated[
        bool, typer.Option("--uninstall", help="Remove the service; configuration, keys, data and logs stay.")
    ] = False,
    key_kind: Annotated[KeyKind, typer.Option("--key", help="Kind of the private key.")] = KeyKind.RSA_4096,
    name: Annotated[str | None, typer.Option(help="Name in the certificate request; default: this machine's.")] = None,
    program: Annotated[Path | None, typer.Option(help="The amity program that the service runs.")] = None,
    print_firewall: Annotated[
        Firewall | None, typer.Option(help="Print the allow-list of dlms_config.yaml for this firewall, do nothing.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say in JSON what was done.")] = False,
) -> None:
    """Lay the head-end down: configuration, key and request, hardened unit, log rotation, log and state folders.

    A second run changes nothing that a person edited. Exit status 2: something is readable by others; the command that
    mends it is printed.
    """
    place = Place(root.absolute(), (program or Place().program).absolute())
    if print_firewall is not None:
        _print_firewall(place, print_firewall)
        return
    if not dry_run:
        may_install(place)
    if uninstall:
        _uninstall(place, dry_run=dry_run, as_json=as_json)
        return
    _check_program(place)
    changes = survey(place, pieces(place), read_memory(place))
    made, exposed = material(place).missing, exposed_keys(place)
    if not dry_run:
        _make_user(place, changes)
        put_down(place, changes)
        make_material(place, key_kind, name or socket.getfqdn())
        _make_log_files(place)
        _tell_systemd(place)
    refused = exposed | {change.path: change.mend for change in changes if change.mend}
    _report(_Done(place, changes, made, refused, dry_run), as_json=as_json)
    if refused:
        raise typer.Exit(exit_status(ConfigurationError("")))


def _print_firewall(place: Place, kind: Firewall) -> None:
    gateway = look_at_gateway(place.configuration)
    print("\n".join(firewall_lines(kind, gateway.file.peers_allowed, gateway.file.listen.port)))


def _check_program(place: Place) -> None:
    """The unit hides home and temporary folders from the service: a program there would not be found."""
    if place.root == _HERE and any(map(place.program.is_relative_to, map(_HERE.joinpath, _HIDDEN_FROM_THE_SERVICE))):
        raise ConfigurationError(
            f"the service could not see {place.program}",
            next_step="install Amity into /opt/amity (python3 -m venv /opt/amity) and run its amity, or give --program",
        )


def _make_user(place: Place, changes: Sequence[Change]) -> None:
    """The user that owns what follows; on this machine only."""
    if place.root != _HERE or (sysusers := shutil.which("systemd-sysusers")) is None:
        return
    text = next(change.piece.text for change in changes if change.piece.path.startswith("/etc/sysusers.d/"))
    subprocess.run([sysusers, "-"], input=text.encode(), check=False)  # noqa: S603 - what fails shows as no such user


def _make_log_files(place: Place) -> None:
    """So that somebody may follow them before the first start; the service makes them too."""
    if place.root == _HERE and (tmpfiles := shutil.which("systemd-tmpfiles")) is not None:
        subprocess.run([tmpfiles, "--create", "/etc/tmpfiles.d/ami-gateway.conf"], check=False)  # noqa: S603 - as above


def _tell_systemd(place: Place) -> None:
    if place.root == _HERE and Path("/run/systemd/system").is_dir() and (systemctl := shutil.which("systemctl")):
        subprocess.run([systemctl, "daemon-reload"], check=False)  # noqa: S603 - a fixed command


def _uninstall(place: Place, *, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        goes = [change.path for change in survey(place, pieces(place), read_memory(place)) if _would_go(change)]
        print("\n".join(f"would remove {path}" for path in goes) or "nothing to remove")
        return
    removed, left = take_away(place)
    _tell_systemd(place)
    if as_json:
        print(json.dumps({"removed": list(map(str, removed)), "left": list(map(str, left))}))
        return
    print("\n".join([*(f"removed {path}" for path in removed), *(f"left    {path}" for path in left)]))
    print("If the service still runs: systemctl disable --now ami-collector. The data is yours to delete.")


def _would_go(change: Change) -> bool:
    return not change.piece.stays and change.verb in {Verb.SAME, Verb.UPDATE}


class _Done(NamedTuple):
    """What was done, or would be; `refused` are files that others may read or write, with what mends each."""

    place: Place
    changes: Sequence[Change]
    made: Sequence[Path]
    refused: Mapping[Path, str]
    dry_run: bool

    def pieces(self) -> list[dict[str, str]]:
        """Each piece as JSON values."""
        verbs = {one.path: one.verb for one in self.changes} | dict.fromkeys(self.made, Verb.CREATE)
        verbs = dict.fromkeys(self.refused, Verb.SAME) | verbs
        return [
            {"path": str(path), "done": verb.value, "mend": self.refused.get(path, "")} for path, verb in verbs.items()
        ]

    def lines(self) -> list[str]:
        """The same for people."""
        would = "would " if self.dry_run else ""
        lines = [f"{would}{one.verb.value:<6} {one.path}" for one in self.changes if one.verb is not Verb.SAME]
        lines += [f"{would}{Verb.CREATE.value:<6} {path}" for path in self.made]
        if self.dry_run:
            lines += [line for one in self.changes for line in one.difference]
        lines += [f"refused: {path} is open to others; mend it with: {mend}" for path, mend in self.refused.items()]
        return lines or ["nothing to do: everything is in place"]


def _report(done: _Done, *, as_json: bool) -> None:
    if as_json:
        told = {"root": str(done.place.root), "dry_run": done.dry_run, "pieces": done.pieces()}
        print(json.dumps(told, indent=1))
        return
    print("\n".join(done.lines()))
    if not done.dry_run and done.made:
        print(_NEXT.format(certs=done.place.certificates, config=done.place.configuration))


_NEXT = """next:
  have {certs}/ami_service.csr signed by your CA; put the certificate beside it as ami_service.crt
  edit {config}/dlms_config.yaml, then: sudo amity doctor
  sudo systemctl enable --now ami-collector.service
  sudo amity meter add METER HOST:PORT; sudo amity meter ping METER"""
